//! `--wait`: until a sidecar's outbound calls work (contract `lifecycle.md` 9).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::sidecar::tell;

const LIMIT: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(100);
const ATTEMPT: Duration = Duration::from_millis(500);
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Asks until the answer is 204. A time-out is a failure here; the reference calls it success.
pub(crate) fn until_outbound_ready(port: &str) -> ExitCode {
    let url = format!("http://localhost:{port}/v1.0/healthz/outbound");
    tell(&format!(
        "Waiting for Dapr to be outbound ready (timeout: 60 seconds): url={url}\n"
    ));
    let Ok(port) = port.parse::<u16>() else {
        tell(&format!("invalid value for --dapr-http-port: {port}\n"));
        return ExitCode::FAILURE;
    };
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let error = match ask(port) {
            Ok(204) => {
                tell("Dapr is outbound ready!\n");
                return ExitCode::SUCCESS;
            }
            Ok(status) => format!("unexpected status code {status}"),
            Err(error) => error.to_string(),
        };
        if started.elapsed() > LIMIT {
            tell(&format!(
                "timeout waiting for Dapr to become outbound ready. Last error: {error}\n"
            ));
            return ExitCode::FAILURE;
        }
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            tell(&format!("Dapr outbound NOT ready yet: {error}\n"));
            told = Some(Instant::now());
        }
        #[expect(clippy::disallowed_methods, reason = "a one-shot process that polls")]
        std::thread::sleep(EVERY);
    }
}

fn ask(port: u16) -> std::io::Result<u16> {
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&addr, ATTEMPT)?;
    stream.set_read_timeout(Some(ATTEMPT))?;
    stream.write_all(
        b"GET /v1.0/healthz/outbound HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut head = [0u8; 64];
    let n = stream.read(&mut head)?;
    let status = std::str::from_utf8(&head[..n])
        .ok()
        .and_then(|text| text.get(9..12)?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no HTTP answer"))
}
