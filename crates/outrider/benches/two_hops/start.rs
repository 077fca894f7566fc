//! How long a sidecar takes from its start to the first 204 of `/v1.0/healthz/outbound`.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use outrider_testkit::unique_id;

use crate::process::Running;
use crate::stats::median;
use crate::subject::Sidecar;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn measure(quick: bool) -> io::Result<()> {
    let times = if quick { 3 } else { 21 };
    let took: Vec<f64> = (0..times).map(|_| one_start()).collect::<io::Result<_>>()?;
    let max = took.iter().copied().fold(f64::MIN, f64::max);
    let min = took.iter().copied().fold(f64::MAX, f64::min);
    println!("\nstart to /v1.0/healthz/outbound = 204, {times} starts:");
    println!(
        "  median {:.1} ms, min {min:.1}, max {max:.1}",
        median(took.iter().copied())
    );
    Ok(())
}

/// Milliseconds of one start. Asks without a pause: a timer would be coarser than what it measures.
fn one_start() -> io::Result<f64> {
    let (mut command, ports) = Sidecar::default().command(&unique_id("start"), None)?;
    let start = Instant::now();
    let mut sidecar = Running::start(&mut command)?;
    while !is_ready(ports.http) {
        sidecar.check()?;
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other("a sidecar did not become ready"));
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn is_ready(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /v1.0/healthz/outbound HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut line = [0; 12];
        stream.read_exact(&mut line)?;
        io::Result::Ok(line == *b"HTTP/1.1 204")
    };
    ask().unwrap_or(false)
}
