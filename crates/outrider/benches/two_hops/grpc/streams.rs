//! Many bidirectional streams at once on one connection: what they hold, and whether each gets its
//! own messages, all of them, in order.

use std::io;
use std::time::{Duration, Instant};

use h2::{RecvStream, SendStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use bytes::Bytes;

use super::app::ECHO;
use super::client::{Caller, ended_well, read, wire};
use super::message::{Checked, numbered, room};
use super::subject::{self, Subject};
use crate::subject::Sidecar;

const MESSAGES: u32 = 100;

/// Bytes of a message beside its two numbers.
const MORE: usize = 120;

/// A stream whose head has been answered.
struct Open {
    number: u32,
    send: SendStream<Bytes>,
    recv: RecvStream,
}

pub(crate) async fn measure(app: u16, quick: bool) -> io::Result<()> {
    let count: u32 = if quick { 100 } else { 1000 };
    println!("\n{count} bidirectional streams at once, {MESSAGES} messages of 128 bytes each:");
    println!(
        "  {:9} {:8} {:>6} {:>6} {:>6}  resident KiB per stream, caller's and callee's side: \
         open and idle, most",
        "", "pace", "good", "wrong", "lost"
    );
    let plain = Sidecar::default();
    for paced in [true, false] {
        let subjects = [
            subject::relays(app, [&[], &[]]).await?,
            subject::outrider(app, &plain, &plain).await?,
        ];
        for subject in &subjects {
            one(subject, count, paced).await?;
        }
    }
    Ok(())
}

async fn one(subject: &Subject, count: u32, paced: bool) -> io::Result<()> {
    let caller = Caller::open(subject).await?;
    let before = subject.resident()?;
    let mut opened = Vec::new();
    for number in 0..count {
        opened.push(open(&caller, number).await?);
    }
    sleep(Duration::from_millis(300)).await;
    let idle = subject.resident()?;
    let start = Instant::now();
    let mut work = JoinSet::new();
    for open in opened {
        match paced {
            true => work.spawn_local(in_step(open)),
            false => work.spawn_local(at_once(open)),
        };
    }
    let mut peak = idle.clone();
    let (mut good, mut wrong) = (0, 0);
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut broken = Vec::new();
    loop {
        tokio::select! {
            ended = work.join_next() => match ended {
                None => break,
                Some(ended) => match ended.map_err(io::Error::other)? {
                    Ok(checked) => {
                        good += checked.good;
                        wrong += checked.wrong;
                    }
                    Err(error) => broken.push(error),
                },
            },
            _ = ticks.tick() => {
                for (peak, now) in peak.iter_mut().zip(subject.resident()?) {
                    *peak = peak.max(now);
                }
            }
        }
    }
    let pace = if paced { "in step" } else { "at once" };
    let lost = i64::from(count * MESSAGES) - i64::from(good + wrong);
    print!("  {:9} {pace:8} {good:6} {wrong:6} {lost:6} ", subject.name);
    for sizes in [&idle, &peak] {
        for (size, before) in sizes.iter().zip(&before) {
            print!(" {:7.1}", (size - before) * 1024.0 / f64::from(count));
        }
        print!("  ");
    }
    println!("in {:.2} s", start.elapsed().as_secs_f64());
    if let Some(first) = broken.first() {
        println!("  {} streams BROKEN, the first one: {first}", broken.len());
    }
    Ok(())
}

async fn open(caller: &Caller, number: u32) -> io::Result<Open> {
    let opened = async {
        let (response, send) = caller.start(ECHO).await?;
        let recv = response.await?.into_body();
        Ok(Open { number, send, recv })
    };
    opened.await.map_err(|error: h2::Error| wire(&error))
}

/// Each message waits for the echo of the one before.
async fn in_step(mut open: Open) -> io::Result<Checked> {
    let mut checked = Checked::new(open.number);
    let work = async {
        for number in 0..MESSAGES {
            room(&mut open.send).await?;
            open.send
                .send_data(numbered(open.number, number, MORE), false)?;
            while checked.good + checked.wrong <= number {
                let Some(data) = open.recv.data().await else {
                    return Ok(());
                };
                let data = data?;
                open.recv.flow_control().release_capacity(data.len())?;
                checked.push(&data);
            }
        }
        open.send.send_data(Bytes::new(), true)
    };
    work.await.map_err(|error| wire(&error))?;
    finish(open.recv, checked).await
}

/// All are sent as fast as they are taken, and read meanwhile.
async fn at_once(open: Open) -> io::Result<Checked> {
    let Open {
        number: stream,
        mut send,
        recv,
    } = open;
    let sent = async {
        for number in 0..MESSAGES {
            room(&mut send).await?;
            send.send_data(numbered(stream, number, MORE), false)?;
        }
        send.send_data(Bytes::new(), true)
    };
    let sent = async { sent.await.map_err(|error| wire(&error)) };
    let (sent, read) = tokio::join!(sent, finish(recv, Checked::new(stream)));
    sent.and(read)
}

async fn finish(mut recv: RecvStream, mut checked: Checked) -> io::Result<Checked> {
    let ended = async {
        read(&mut recv, |data| checked.push(data)).await?;
        recv.trailers().await
    };
    let trailers = ended.await.map_err(|error| wire(&error))?;
    ended_well(&trailers.unwrap_or_default())?;
    Ok(checked)
}
