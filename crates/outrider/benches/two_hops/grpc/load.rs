//! Closed loops of unary calls with 1 KiB both ways, every way in turn, round by round; and the
//! same message over HTTP.

use std::io;
use std::time::Duration;

use super::app::LENGTH;
use super::client::{Shape, closed_loop};
use super::subject::{self, Subject};
use crate::client::{self, Measured};
use crate::stats::{median, quantile, spread};
use crate::subject::{self as http, Sidecar};

const SHAPES: [Shape; 3] = [
    Shape {
        connections: 1,
        streams: 1,
    },
    Shape {
        connections: 1,
        streams: 16,
    },
    Shape {
        connections: 16,
        streams: 1,
    },
];

/// One subject in one round.
struct Round {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of CPU per call, of all processes together.
    cpu: f64,
    failed: u64,
}

/// Several rounds of one subject.
struct Row {
    name: &'static str,
    rounds: Vec<Round>,
}

impl Row {
    fn of(&self, value: fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }
}

pub(crate) async fn measure(
    app: u16,
    grpc_app: u16,
    daprd: Option<&str>,
    quick: bool,
) -> io::Result<()> {
    let (rounds, length) = match quick {
        true => (1, Duration::from_millis(500)),
        false => (7, Duration::from_secs(2)),
    };
    let plain = Sidecar::default();
    let mut subjects = vec![
        subject::direct(grpc_app),
        subject::relays(grpc_app, [&[], &[]]).await?,
        subject::outrider(grpc_app, &plain, &plain).await?,
    ];
    if let Some(program) = daprd {
        subjects.push(subject::daprd(grpc_app, program).await?);
    }
    println!(
        "\ngRPC passed through, unary, {LENGTH} bytes both ways, {rounds} rounds of {} s each, \
         medians; times in µs, CPU of both hops together",
        length.as_secs_f64()
    );
    for subject in &subjects {
        closed_loop(subject, SHAPES[1], length / 4).await?;
    }
    for shape in SHAPES {
        let mut rows = rows(&subjects);
        for _ in 0..rounds {
            for (row, subject) in rows.iter_mut().zip(&subjects) {
                row.rounds.push(round(subject, shape, length).await?);
            }
        }
        println!(
            "\nconnections: {}, calls at once on each: {}",
            shape.connections, shape.streams
        );
        table(&rows);
    }
    subjects.retain(|it| it.name == "direct" || it.name == "outrider");
    against_http(app, &subjects, rounds, length).await
}

fn rows(subjects: &[Subject]) -> Vec<Row> {
    let names = subjects.iter().map(|it| it.name);
    names.map(row).collect()
}

fn row(name: &'static str) -> Row {
    let rounds = Vec::new();
    Row { name, rounds }
}

async fn round(subject: &Subject, shape: Shape, length: Duration) -> io::Result<Round> {
    let before = subject.cpu()?;
    let measured = closed_loop(subject, shape, length).await?;
    Ok(figures(&measured, subject.cpu()? - before))
}

fn figures(measured: &Measured, cpu: f64) -> Round {
    let calls = measured.latencies.len() as f64;
    Round {
        rate: calls / measured.elapsed.as_secs_f64(),
        p50: quantile(&measured.latencies, 0.5) / 1e3,
        p99: quantile(&measured.latencies, 0.99) / 1e3,
        cpu: cpu / calls * 1e6,
        failed: measured.failed,
    }
}

fn table(rows: &[Row]) {
    let find = |name| rows.iter().find(|it| it.name == name);
    let base = find("direct").map_or(0.0, |it| it.of(|it| it.p50));
    println!(
        "  {:9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8}   CPU to relays, to daprd",
        "", "calls/s", "p50", "p99", "added p50", "CPU/call", "spread"
    );
    for row in rows {
        print!(
            "  {:9} {:8.0} {:8.1} {:8.1}",
            row.name,
            row.of(|it| it.rate),
            row.of(|it| it.p50),
            row.of(|it| it.p99)
        );
        if row.name != "direct" {
            let cpus: Vec<f64> = row.rounds.iter().map(|it| it.cpu).collect();
            let cpu = median(cpus.iter().copied());
            let added = row.of(|it| it.p50) - base;
            print!(" {added:9.1} {cpu:9.1} {:7.0}%  ", spread(&cpus));
            for peer in ["relays", "daprd"] {
                match find(peer) {
                    Some(peer) => print!(" {:13.3}", cpu / peer.of(|it| it.cpu)),
                    None => print!(" {:>13}", "-"),
                }
            }
        }
        match row.rounds.iter().map(|it| it.failed).sum::<u64>() {
            0 => println!(),
            n => println!("   {n} calls FAILED"),
        }
    }
}

/// What the sidecars add to one call at a time, by gRPC and by HTTP.
async fn against_http(
    app: u16,
    subjects: &[Subject],
    rounds: usize,
    length: Duration,
) -> io::Result<()> {
    let plain = Sidecar::default();
    let https = [
        http::direct(app),
        http::outrider(app, &plain, &plain).await?,
    ];
    // Short turns and many: which CPU the scheduler gives to whom changes by the second.
    let (rounds, length) = (rounds * 4, length / 4);
    let mut grpc_rows = [row("gRPC"), row("gRPC")];
    let mut http_rows = [row("HTTP"), row("HTTP")];
    for _ in 0..rounds {
        for (row, subject) in http_rows.iter_mut().zip(&https) {
            row.rounds.push(http_round(subject, length).await?);
        }
        for (row, subject) in grpc_rows.iter_mut().zip(subjects) {
            row.rounds.push(round(subject, SHAPES[0], length).await?);
        }
    }
    println!(
        "\none call at a time, {LENGTH} bytes both ways, {rounds} turns of {} s; µs",
        length.as_secs_f64()
    );
    println!(
        "  {:9} {:>10} {:>10} {:>10} {:>10}",
        "", "direct p50", "two hops", "added p50", "CPU/call"
    );
    let mut added = Vec::new();
    for [direct, hops] in [&http_rows, &grpc_rows] {
        let [without, with] = [direct, hops].map(|row| row.of(|it| it.p50));
        added.push(with - without);
        println!(
            "  {:9} {without:10.1} {with:10.1} {:10.1} {:10.1}",
            hops.name,
            with - without,
            hops.of(|it| it.cpu)
        );
    }
    println!("  added p50 of gRPC to HTTP's: {:.2}", added[1] / added[0]);
    let pairs = |rows: &[Row; 2], at: usize| rows[1].rounds[at].p50 - rows[0].rounds[at].p50;
    let ratios = (0..rounds).map(|at| pairs(&grpc_rows, at) / pairs(&http_rows, at));
    println!("  the same turn by turn, median: {:.2}", median(ratios));
    Ok(())
}

async fn http_round(subject: &http::Subject, length: Duration) -> io::Result<Round> {
    let path = format!("/answer/{LENGTH}");
    let fields = format!("Content-Length: {LENGTH}\r\n");
    let mut request = subject.request("POST", &path, &fields);
    request.resize(request.len() + LENGTH, b'x');
    let before = subject.cpu()?;
    let measured = client::closed_loop(subject.port, &request, 1, length).await?;
    Ok(figures(&measured, subject.cpu()? - before))
}
