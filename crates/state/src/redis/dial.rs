//! How a connection to a server comes about: its name is looked up, its addresses are tried, and if
//! it is to be so, TLS begins. Says nothing to Redis yet.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use outrider_trust::{Connector, TlsStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time,
};

use super::settings::Host;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    /// This may have passed in a moment.
    Passing(String),
    /// Trying again at once would only take time.
    Lasting(String),
}

impl Failure {
    /// The reason.
    pub(super) fn text(self) -> String {
        let (Self::Passing(text) | Self::Lasting(text)) = self;
        text
    }
}

/// A connection, encrypted or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// Connects to a server within that time.
pub(super) async fn dial(
    host: &Host,
    tls: Option<&Connector>,
    limit: Duration,
) -> Result<Stream, Failure> {
    let stream = within(host, limit, connect(host)).await?;
    let Some(tls) = tls else {
        return Ok(Stream::Plain(stream));
    };
    let shaken = async {
        let shaken = tls.connect(&host.name, stream).await;
        shaken.map_err(|error| {
            let text = format!("tls: {error}");
            match error.may_pass() {
                true => Failure::Passing(text),
                false => Failure::Lasting(text),
            }
        })
    };
    match time::timeout(limit, shaken).await {
        Ok(shaken) => shaken.map(|stream| Stream::Tls(Box::new(stream))),
        Err(_) => {
            let text = "tls: handshake: i/o timeout; does it speak TLS on this port?";
            Err(Failure::Lasting(format!("dial tcp {host}: {text}")))
        }
    }
}

async fn within<T>(
    host: &Host,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Lasting(format!("dial tcp {host}: i/o timeout"))),
    }
}

async fn connect(host: &Host) -> Result<TcpStream, Failure> {
    let found = tokio::net::lookup_host((host.name.as_str(), host.port)).await;
    let addrs = found.map_err(|error| {
        let text = os_words(&error);
        let why = text.rsplit(": ").next().unwrap_or_default();
        Failure::Passing(format!("dial tcp: lookup {}: {why}", host.name))
    })?;
    let mut last = format!("dial tcp: lookup {}: no such host", host.name);
    for addr in addrs {
        match TcpStream::connect(addr).await {
            // A small write waits for nothing.
            Ok(stream) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => last = format!("dial tcp {addr}: {}", os_words(&error)),
            },
            Err(error) => last = format!("dial tcp {addr}: connect: {}", os_words(&error)),
        }
    }
    Err(Failure::Passing(last))
}

/// The system's words as Go has them.
fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
