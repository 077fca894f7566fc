//! How a connection to a server comes about: its name is looked up, its addresses are tried, and if
//! it is to be so, TLS begins. Says nothing to Redis yet.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use outrider_trust::{Connector, TlsStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{self, Instant},
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
    let stream = connect(host, Instant::now() + limit).await?;
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

async fn connect(host: &Host, until: Instant) -> Result<TcpStream, Failure> {
    let found = tokio::net::lookup_host((host.name.as_str(), host.port));
    let found = time::timeout_at(until, found).await;
    let found = found.map_err(|_| Failure::Lasting(format!("dial tcp {host}: i/o timeout")))?;
    let addrs = found.map_err(|error| {
        let text = os_words(&error);
        let why = text.rsplit(": ").next().unwrap_or_default();
        Failure::Passing(format!("dial tcp: lookup {}: {why}", host.name))
    })?;
    reach(host, addrs.collect(), until).await
}

/// Connects to the first address that can be reached. One that says nothing must leave time for
/// those behind it.
async fn reach(host: &Host, addrs: Vec<SocketAddr>, until: Instant) -> Result<TcpStream, Failure> {
    let text = format!("dial tcp: lookup {}: no such host", host.name);
    let mut last = Failure::Passing(text);
    let mut left = addrs.len() as u32;
    for addr in addrs {
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / left;
        left -= 1;
        last = match time::timeout(share, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => match prepared(&stream) {
                Ok(()) => return Ok(stream),
                Err(error) => Failure::Passing(format!("dial tcp {addr}: {}", os_words(&error))),
            },
            Ok(Err(error)) => {
                Failure::Passing(format!("dial tcp {addr}: connect: {}", os_words(&error)))
            }
            Err(_) => Failure::Lasting(format!("dial tcp {host}: i/o timeout")),
        };
    }
    Err(last)
}

/// A small write waits for nothing, and a server that has vanished is noticed while nothing is asked.
fn prepared(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let every = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket2::SockRef::from(stream).set_tcp_keepalive(&every)
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn an_address_that_says_nothing_leaves_time_for_the_next() {
        // Nobody accepts here, and more than this the kernel does not keep.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.listen(1).unwrap();
        let addr = silent.local_addr().unwrap();
        let mut held = Vec::new();
        let short = Duration::from_millis(100);
        while let Ok(stream) = time::timeout(short, TcpStream::connect(addr)).await {
            held.push(stream.unwrap());
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let host = Host::local();
        let until = || Instant::now() + Duration::from_secs(1);
        let stream = reach(&host, vec![addr, good], until()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let late = reach(&host, vec![addr], until()).await.unwrap_err().text();
        assert!(late.ends_with("i/o timeout"), "{late}");
    }
}
