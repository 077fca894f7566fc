//! A small HTTP/1.1 client for the APIs of sidecars on this machine, by port or by socket.
//!
//! It follows no redirects, sends nothing twice and adds no field that it was not given, but for
//! `Host`, `Connection` and `Content-Length`.

mod connection;
mod timing;

use std::{fmt, io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

pub(crate) use connection::{Connection, Error, text};
pub(crate) use timing::{SERVER_TIMING, hop_duration, server_timing};

/// Where the HTTP API of a sidecar listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// On a port of this machine.
    Port {
        /// Without brackets, if it is an IPv6 address.
        host: String,
        port: u16,
    },
    /// On a socket of the file system.
    Socket(PathBuf),
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Stream for T {}

/// A connection whose kind does not matter.
pub(crate) type Client = Connection<Box<dyn Stream>>;

impl Address {
    /// The port on the loopback address, where every sidecar listens unless told otherwise.
    pub(crate) fn local(port: u16) -> Self {
        Self::Port {
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    /// Connects, but does not wait for it for ever.
    pub(crate) async fn connect(&self) -> io::Result<Client> {
        self.stream().await.map(Connection::over)
    }

    /// The same without a word on what is spoken there.
    pub(crate) async fn stream(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Port { host, port } => {
                let stream = within(CONNECT, TcpStream::connect((host.as_str(), *port))).await?;
                // Without it small messages may wait for an acknowledgement.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Self::Socket(path) => Box::new(within(CONNECT, UnixStream::connect(path)).await?),
        })
    }

    /// The `Host` field, or the authority.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Port { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Port { host, port } => format!("{host}:{port}"),
            Self::Socket(_) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { .. } => f.write_str(&self.host()),
            Self::Socket(path) => write!(f, "the socket {}", path.display()),
        }
    }
}

/// A request on a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) verb: &'a str,
    /// Path and query, as they are to stand on the wire.
    pub(crate) target: &'a str,
    /// Names and values without line ends.
    pub(crate) fields: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
}

impl Request<'_> {
    /// The message for a server at that address.
    pub(crate) fn message(&self, address: &Address) -> Vec<u8> {
        let Self { verb, target, .. } = self;
        let mut message = format!("{verb} {target} HTTP/1.1\r\n").into_bytes();
        let mut push = |name: &str, value: &str| {
            message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        let has = |wanted: &str| {
            let mut names = self.fields.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        };
        if !has("Host") {
            push("Host", &address.host());
        }
        push("Connection", "close");
        for (name, value) in &self.fields {
            push(name, value);
        }
        // Servers expect a length where the verb usually has a body.
        if !self.body.is_empty() || matches!(*verb, "POST" | "PUT" | "PATCH") {
            push("Content-Length", &self.body.len().to_string());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(self.body);
        message
    }
}

/// The future's result, or that it took too long.
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {limit:?}"),
        )),
    }
}

/// Does the work on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// A server on this machine that has room takes a connection at once.
const CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn message(verb: &str, fields: Vec<(&str, &str)>, body: &[u8]) -> String {
        let request = Request {
            verb,
            target: "/a?b",
            fields,
            body,
        };
        String::from_utf8(request.message(&Address::local(80))).unwrap()
    }

    #[test]
    fn a_message_has_a_host_and_a_length_where_one_is_due() {
        assert_eq!(
            message("GET", vec![("A", "1")], b""),
            "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\nA: 1\r\n\r\n"
        );
        assert!(message("POST", vec![], b"").contains("\r\nContent-Length: 0\r\n"));
        assert!(message("GET", vec![], b"hi").ends_with("\r\nContent-Length: 2\r\n\r\nhi"));
        assert!(!message("GET", vec![("host", "x")], b"").contains("Host:"));
    }

    #[test]
    fn addresses_are_shown_as_they_are_written_in_urls() {
        let v6 = Address::Port {
            host: "::1".to_owned(),
            port: 1,
        };
        assert_eq!(v6.to_string(), "[::1]:1");
        let socket = Address::Socket("/run/a.socket".into());
        assert_eq!(socket.to_string(), "the socket /run/a.socket");
    }
}
