//! The called app: a minimal HTTP/1.1 server that answers from memory, on a thread of its own.
//!
//! `/answer/N` answers N bytes, `/pour/N` streams N bytes, `/sink` reads a body slowly. It knows no
//! more HTTP than its callers use: a request body needs a `Content-Length`.

use std::io;
use std::net::Ipv4Addr;
use std::thread;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Incoming, field};

/// Starts the app, which lives as long as the process, and returns its port.
pub(crate) fn start() -> io::Result<u16> {
    on_a_thread("app", serve)
}

/// Lets `serve` serve a port on a thread of that name, and returns the port.
pub(crate) fn on_a_thread(
    name: &str,
    serve: fn(std::net::TcpListener) -> io::Result<()>,
) -> io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    thread::Builder::new()
        .name(name.into())
        .spawn(move || serve(listener))?;
    Ok(port)
}

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // Broken connections are the clients' to notice.
            tokio::spawn(async move { connection(stream).await });
        }
    })
}

async fn connection(stream: TcpStream) -> io::Result<()> {
    let mut incoming = Incoming::new(stream);
    // The last answer, ready to be sent again.
    let mut ready = (0, Vec::new());
    while let Some(head) = incoming.head().await? {
        let path = head[..]
            .split(|byte| *byte == b' ')
            .nth(1)
            .unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        let length = field(&head, "content-length").and_then(|text| text.parse().ok());
        let length: u64 = length.unwrap_or(0);
        match path.rsplit_once('/') {
            Some(("/answer", size)) => {
                incoming.discard(length).await?;
                let size = size.parse().unwrap_or(0);
                if ready.0 != size || ready.1.is_empty() {
                    ready = (size, answer("200 OK", size, &vec![b'x'; size]));
                }
                incoming.stream.write_all(&ready.1).await?;
            }
            Some(("/pour", size)) => {
                pour(&mut incoming.stream, size.parse().unwrap_or(0)).await?;
            }
            Some(("", "sink")) => {
                incoming.discard_slowly(length).await?;
                incoming.stream.write_all(&answer("200 OK", 0, &[])).await?;
            }
            _ => {
                incoming.discard(length).await?;
                let none = answer("404 Not Found", 0, &[]);
                incoming.stream.write_all(&none).await?;
            }
        }
    }
    Ok(())
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

async fn pour(stream: &mut TcpStream, size: usize) -> io::Result<()> {
    const PIECE: usize = 64 << 10;
    let piece = vec![b'x'; PIECE];
    stream.write_all(&answer("200 OK", size, &[])).await?;
    let mut left = size;
    while left > 0 {
        let now = left.min(PIECE);
        stream.write_all(&piece[..now]).await?;
        left -= now;
    }
    Ok(())
}
