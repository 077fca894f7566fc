//! How much the memory of the proxies grows while a long body passes them to a slow reader.

use std::io;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::client::Connection;
use crate::process::Running;
use crate::subject::{Sidecar, Subject, haproxy, outrider};

pub(crate) async fn measure(app: u16, quick: bool) -> io::Result<()> {
    let mib = if quick { 32 } else { 256 };
    println!("\na body of {mib} MiB to a slow reader, growth of resident memory in MiB:");
    println!("  {:9} {:9} caller's side, callee's side, took", "", "");
    let large = Sidecar {
        flags: vec!["--max-body-size=1Gi".to_owned()],
        ..Sidecar::default()
    };
    let mut subjects: Vec<_> = haproxy(app).await?.into_iter().collect();
    subjects.push(outrider(app, &large, &large).await?);
    for subject in &subjects {
        for direction in ["request", "answer"] {
            // The first short call has been made; what grows from here on is the body's doing.
            let before = each(subject)?;
            let start = Instant::now();
            let peak = watched(subject, transfer(subject, direction, mib << 20)).await?;
            println!(
                "  {:9} {direction:9} {:13.1} {:14.1} {:5.1} s",
                subject.name,
                peak[0] - before[0],
                peak[1] - before[1],
                start.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}

fn each(subject: &Subject) -> io::Result<[f64; 2]> {
    let sizes: Vec<f64> = subject
        .processes
        .iter()
        .map(Running::resident)
        .collect::<io::Result<_>>()?;
    sizes
        .try_into()
        .map_err(|_| io::Error::other("a subject without two processes"))
}

async fn transfer(subject: &Subject, direction: &str, length: usize) -> io::Result<()> {
    let mut connection = Connection::open(subject.port).await?;
    let status = match direction {
        "request" => {
            let fields = format!("Content-Length: {length}\r\n");
            let head = subject.request("POST", "/sink", &fields);
            connection.send_body(&head, length).await?
        }
        _ => {
            let request = subject.request("GET", &format!("/pour/{length}"), "");
            connection.call_slowly(&request).await?
        }
    };
    match status {
        200 => Ok(()),
        other => Err(io::Error::other(format!(
            "{} answered a long body with {other}",
            subject.name
        ))),
    }
}

/// The largest sizes seen while `work` was under way.
async fn watched(
    subject: &Subject,
    work: impl Future<Output = io::Result<()>>,
) -> io::Result<[f64; 2]> {
    let mut work = std::pin::pin!(work);
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut peak = [0.0_f64; 2];
    loop {
        let ended = tokio::select! {
            ended = &mut work => Some(ended),
            _ = ticks.tick() => None,
        };
        let now = each(subject)?;
        peak = [peak[0].max(now[0]), peak[1].max(now[1])];
        if let Some(ended) = ended {
            return ended.map(|()| peak);
        }
    }
}
