//! Closed loops at several connection counts and answer sizes, every way in turn, round by round.

use std::io;
use std::time::Duration;

use crate::client::closed_loop;
use crate::stats::{median, quantile, spread};
use crate::subject::{Sidecar, Subject, direct, haproxy, outrider};

const CONNECTIONS: [usize; 3] = [1, 16, 128];
const SIZES: [usize; 2] = [128, 1024];

/// One subject in one round.
struct Round {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of proxy CPU per call.
    cpu: f64,
    resident: f64,
    failed: u64,
}

/// The medians of all rounds.
struct Row {
    name: &'static str,
    rate: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
    cpu_spread: f64,
    resident: f64,
    failed: u64,
}

pub(crate) async fn measure(app: u16, quick: bool) -> io::Result<()> {
    let (rounds, length) = match quick {
        true => (1, Duration::from_millis(500)),
        false => (5, Duration::from_secs(2)),
    };
    let plain = Sidecar::default();
    let mut subjects = vec![direct(app)];
    subjects.extend(haproxy(app).await?);
    subjects.push(outrider(app, &plain, &plain).await?);
    println!("\nresident memory before any load, largest of the two processes:");
    for subject in subjects.iter().filter(|it| !it.processes.is_empty()) {
        println!("  {:9} {:6.1} MiB", subject.name, subject.resident()?);
    }
    println!(
        "\n{rounds} rounds of {} s each, medians; times in µs, CPU of both proxies together",
        length.as_secs_f64()
    );
    for size in SIZES {
        warm_up(&subjects, size).await?;
        let mut cells: Vec<Vec<Vec<Round>>> = CONNECTIONS.map(|_| Vec::new()).into();
        for cell in &mut cells {
            cell.extend(subjects.iter().map(|_| Vec::with_capacity(rounds)));
        }
        for _ in 0..rounds {
            for (cell, connections) in cells.iter_mut().zip(CONNECTIONS) {
                for (done, subject) in cell.iter_mut().zip(&subjects) {
                    done.push(round(subject, size, connections, length).await?);
                }
            }
        }
        for (cell, connections) in cells.iter().zip(CONNECTIONS) {
            println!("\nanswers of {size} bytes, connections: {connections}");
            let rows = cell.iter().zip(&subjects);
            table(
                &rows
                    .map(|(rounds, it)| row(it.name, rounds))
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(())
}

async fn warm_up(subjects: &[Subject], size: usize) -> io::Result<()> {
    for subject in subjects {
        round(subject, size, 16, Duration::from_millis(300)).await?;
    }
    Ok(())
}

async fn round(
    subject: &Subject,
    size: usize,
    connections: usize,
    length: Duration,
) -> io::Result<Round> {
    let request = subject.request("GET", &format!("/answer/{size}"), "");
    let before = subject.cpu()?;
    let measured = closed_loop(subject.port, &request, connections, length).await?;
    let cpu = subject.cpu()? - before;
    let calls = measured.latencies.len() as f64;
    Ok(Round {
        rate: calls / measured.elapsed.as_secs_f64(),
        p50: quantile(&measured.latencies, 0.5) / 1e3,
        p99: quantile(&measured.latencies, 0.99) / 1e3,
        cpu: cpu / calls * 1e6,
        resident: subject.resident()?,
        failed: measured.failed,
    })
}

fn row(name: &'static str, rounds: &[Round]) -> Row {
    let of = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    Row {
        name,
        rate: median(of(|it| it.rate)),
        p50: median(of(|it| it.p50)),
        p99: median(of(|it| it.p99)),
        cpu: median(of(|it| it.cpu)),
        cpu_spread: spread(&of(|it| it.cpu)),
        resident: of(|it| it.resident).into_iter().fold(0.0, f64::max),
        failed: rounds.iter().map(|it| it.failed).sum(),
    }
}

fn table(rows: &[Row]) {
    let base = rows.iter().find(|it| it.name == "direct");
    let added = |row: &Row| row.p50 - base.map_or(0.0, |it| it.p50);
    let haproxy = rows.iter().find(|it| it.name == "haproxy");
    println!(
        "  {:9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8}   to haproxy: CPU, added p50",
        "", "calls/s", "p50", "p99", "added p50", "CPU/call", "spread", "RSS MiB"
    );
    for row in rows {
        print!(
            "  {:9} {:8.0} {:8.1} {:8.1}",
            row.name, row.rate, row.p50, row.p99
        );
        if row.name == "direct" {
            println!();
            continue;
        }
        print!(
            " {:9.1} {:9.1} {:7.0}% {:8.1}",
            added(row),
            row.cpu,
            row.cpu_spread,
            row.resident
        );
        if let Some(haproxy) = haproxy {
            let ratios = (row.cpu / haproxy.cpu, added(row) / added(haproxy));
            print!("   {:11.2} {:11.2}", ratios.0, ratios.1);
        }
        match row.failed {
            0 => println!(),
            n => println!("   {n} calls FAILED"),
        }
    }
}
