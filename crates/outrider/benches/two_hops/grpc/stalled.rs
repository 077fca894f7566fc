//! Small messages to a reader that rests for five seconds, beside other calls on the same
//! connection: what the others feel of it.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::app::{ECHO, LENGTH, MANY, PAUSE, POUR, REST, pour};
use super::client::{Caller, ended_well, nanos, read, wire};
use super::message::{Checked, framed, numbered};
use super::subject::{self, Subject};
use crate::stats::quantile;
use crate::subject::Sidecar;

/// Others at work, each of whom calls so often.
const OTHERS: u32 = 100;
const EVERY: Duration = Duration::from_millis(100);

/// Who rests.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    Client,
    App,
}

pub(crate) async fn measure(app: u16, quick: bool) -> io::Result<()> {
    println!(
        "\n{MANY} small messages to a reader that rests for {} s, beside {OTHERS} others that call \
         every {} ms, one connection; µs, growth of resident memory in MiB:",
        PAUSE.as_secs(),
        EVERY.as_millis()
    );
    println!(
        "  {:9} {:8} {:>8} {:>8} {:>8} {:>8} {:>8}  most growth, each side",
        "", "rests", "calls", "p50", "p99", "p99.9", "FAILED"
    );
    let plain = Sidecar::default();
    let subjects = [
        subject::relays(app, [&[], &[]]).await?,
        subject::outrider(app, &plain, &plain).await?,
    ];
    let rounds = if quick { 1 } else { 3 };
    for subject in &subjects {
        let caller = Caller::open(subject).await?;
        let canary = Canary::open(&caller).await?;
        let mut canary = canary;
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        let mut growth = [[0.0_f64; 2]; 3];
        let mut failed = [0; 3];
        for _ in 0..rounds {
            for (at, who) in [Who::Nobody, Who::Client, Who::App].into_iter().enumerate() {
                let seen = one(subject, &caller, who).await?;
                all[at].extend(seen.latencies);
                failed[at] += seen.failed;
                for (most, now) in growth[at].iter_mut().zip(seen.growth) {
                    *most = most.max(now);
                }
            }
        }
        for (at, who) in ["nobody", "client", "app"].into_iter().enumerate() {
            let latencies = &mut all[at];
            latencies.sort_unstable();
            print!("  {:9} {who:8} {:8}", subject.name, latencies.len());
            for part in [0.5, 0.99, 0.999] {
                print!(" {:8.0}", quantile(latencies, part) / 1e3);
            }
            print!(" {:8} ", failed[at]);
            println!(" {:6.2} {:6.2}", growth[at][0], growth[at][1]);
        }
        canary.check().await?;
        println!(
            "  {:9} the link has stayed the same, and works",
            subject.name
        );
    }
    Ok(())
}

/// A stream that is open all the time: it breaks if its connections do.
struct Canary {
    send: h2::SendStream<Bytes>,
    recv: h2::RecvStream,
}

impl Canary {
    async fn open(caller: &Caller) -> io::Result<Self> {
        let opened = async {
            let (response, send) = caller.start(ECHO).await?;
            let recv = response.await?.into_body();
            Ok(Self { send, recv })
        };
        opened.await.map_err(|error: h2::Error| wire(&error))
    }

    async fn check(&mut self) -> io::Result<()> {
        let mut checked = Checked::new(7);
        let work = async {
            self.send.send_data(numbered(7, 0, 0), true)?;
            read(&mut self.recv, |data| checked.push(data)).await?;
            self.recv.trailers().await
        };
        let trailers = work.await.map_err(|error| wire(&error))?;
        ended_well(&trailers.unwrap_or_default())?;
        match checked.good {
            1 => Ok(()),
            _ => Err(io::Error::other("a stream lost its echo")),
        }
    }
}

/// What the others felt.
struct Seen {
    latencies: Vec<u32>,
    failed: u64,
    growth: Vec<f64>,
}

async fn one(subject: &Subject, caller: &Caller, who: Who) -> io::Result<Seen> {
    let before = subject.resident()?;
    let mut peak = before.clone();
    let resting = async {
        match who {
            Who::Nobody => {
                sleep(PAUSE).await;
                Ok(())
            }
            Who::Client => client_rests(caller).await,
            Who::App => app_rests(caller).await,
        }
    };
    let until = Instant::now() + PAUSE;
    let mut others = JoinSet::new();
    for number in 0..OTHERS {
        others.spawn_local(other(caller.clone(), number, until));
    }
    let watching = async {
        let mut ticks = interval(Duration::from_millis(50));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            ticks.tick().await;
            for (peak, now) in peak.iter_mut().zip(subject.resident()?) {
                *peak = peak.max(now);
            }
        }
        io::Result::Ok(())
    };
    let (rested, watched) = tokio::join!(resting, watching);
    watched?;
    rested?;
    let mut seen = Seen {
        latencies: Vec::new(),
        failed: 0,
        growth: peak.iter().zip(&before).map(|(a, b)| a - b).collect(),
    };
    while let Some(ended) = others.join_next().await {
        let (latencies, failed) = ended.map_err(io::Error::other)?;
        seen.latencies.extend(latencies);
        seen.failed += failed;
    }
    Ok(seen)
}

/// Calls now and then.
async fn other(caller: Caller, number: u32, until: Instant) -> (Vec<u32>, u64) {
    let message = framed(&[b'x'; LENGTH]);
    let (mut latencies, mut failed) = (Vec::new(), 0);
    // Not all at the same moment.
    sleep(EVERY * number / OTHERS).await;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let start = Instant::now();
        if start >= until {
            return (latencies, failed);
        }
        match caller.unary(message.clone()).await {
            Ok(()) => latencies.push(nanos(start.elapsed())),
            Err(_) => failed += 1,
        }
    }
}

/// The app sends at once; nothing is read for a while, then everything.
async fn client_rests(caller: &Caller) -> io::Result<()> {
    let mut checked = Checked::new(0);
    let work = async {
        let (response, mut send) = caller.start(POUR).await?;
        send.send_data(framed(&[]), true)?;
        let mut recv = response.await?.into_body();
        sleep(PAUSE).await;
        read(&mut recv, |data| checked.push(data)).await?;
        recv.trailers().await
    };
    let trailers = work.await.map_err(|error| wire(&error))?;
    ended_well(&trailers.unwrap_or_default())?;
    match (checked.good, checked.wrong) {
        (MANY, 0) => Ok(()),
        other => Err(io::Error::other(format!("messages good, wrong: {other:?}"))),
    }
}

/// The client sends at once; the app rests before it reads.
async fn app_rests(caller: &Caller) -> io::Result<()> {
    let mut answer = Vec::new();
    let work = async {
        let (response, mut send) = caller.start(REST).await?;
        pour(&mut send).await?;
        send.send_data(Bytes::new(), true)?;
        let mut recv = response.await?.into_body();
        read(&mut recv, |data| answer.extend_from_slice(data)).await?;
        recv.trailers().await
    };
    let trailers = work.await.map_err(|error| wire(&error))?;
    ended_well(&trailers.unwrap_or_default())?;
    let sent = u64::from(MANY) * numbered(0, 0, 0).len() as u64;
    match answer == framed(&sent.to_be_bytes()) {
        true => Ok(()),
        false => Err(io::Error::other("the app did not get all bytes")),
    }
}
