//! Opening a connection to another sidecar or to the app: TCP, and TLS where it is spoken.

use std::{io, net::SocketAddr, time::Duration};

use outrider_trust::Connector;
use tokio::net::TcpStream;

use crate::io::Stream;

/// Why no connection could be made. The text is what a gRPC client would say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// No TCP connection.
    #[error("connection error: desc = \"transport: Error while dialing: {0}\"")]
    Dial(String),
    /// No TLS over it.
    #[error("connection error: desc = \"transport: authentication handshake failed: {0}\"")]
    Tls(String),
    /// No HTTP/2 over that.
    #[error("connection error: desc = \"error reading server preface: {0}\"")]
    Preface(String),
}

impl ConnectError {
    /// The cause alone.
    pub(crate) fn cause(&self) -> &str {
        match self {
            Self::Dial(text) | Self::Tls(text) | Self::Preface(text) => text,
        }
    }
}

/// Connects to `addr` within `limit`.
pub(crate) async fn connect(
    addr: &str,
    tls: Option<&Connector>,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    let connected = tokio::time::timeout(limit, secured(addr, tls)).await;
    connected.unwrap_or_else(|_| {
        let timed_out = io::ErrorKind::TimedOut.into();
        Err(ConnectError::Dial(dial_text(addr, &timed_out)))
    })
}

/// A stream ready for the protocol above.
async fn secured(addr: &str, tls: Option<&Connector>) -> Result<Stream, ConnectError> {
    let tcp = dial(addr)
        .await
        .map_err(|error| ConnectError::Dial(dial_text(addr, &error)))?;
    let Some(tls) = tls else {
        return Ok(Stream::Tcp(tcp));
    };
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match tls.connect(host, tcp).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) => Err(ConnectError::Tls(error.to_string())),
    }
}

/// A TCP connection with small writes sent at once. A name is resolved by the system's resolver,
/// which blocks, so the runtime does it on a thread beside the lane.
pub(crate) async fn dial(addr: &str) -> io::Result<TcpStream> {
    let tcp = match addr.parse::<SocketAddr>() {
        Ok(addr) => TcpStream::connect(addr).await?,
        Err(_) => TcpStream::connect(addr).await?,
    };
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// A failed dial as Go words it: `dial tcp 127.0.0.1:1: connect: connection refused`.
pub(crate) fn dial_text(addr: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return format!("dial tcp {addr}: i/o timeout");
    }
    match error.raw_os_error() {
        Some(_) => format!("dial tcp {addr}: connect: {}", os_text(error)),
        None => unresolved_text(addr, &error.to_string()),
    }
}

/// The same for an address that came to no connection attempt.
fn unresolved_text(addr: &str, error: &str) -> String {
    let Some((host, _)) = addr.rsplit_once(':') else {
        return format!("dial tcp: address {addr}: missing port in address");
    };
    match error.strip_prefix("failed to lookup address information: ") {
        Some("Name or service not known" | "No address associated with hostname") => {
            format!("dial tcp: lookup {host}: no such host")
        }
        Some(why) => format!("dial tcp: lookup {host}: {}", why.to_lowercase()),
        None => format!("dial tcp {addr}: {error}"),
    }
}

/// The system's text of an error, in lower case and without its number.
pub(crate) fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dial_errors_read_like_gos() {
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        assert_eq!(
            dial_text("127.0.0.1:1", &refused),
            "dial tcp 127.0.0.1:1: connect: connection refused"
        );
        let timeout = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(dial_text("h:1", &timeout), "dial tcp h:1: i/o timeout");
        let unknown = "failed to lookup address information: Name or service not known";
        for (addr, error, text) in [
            (
                "h",
                "invalid socket address",
                "dial tcp: address h: missing port in address",
            ),
            ("h:1", unknown, "dial tcp: lookup h: no such host"),
            (
                "h:x",
                "invalid port value",
                "dial tcp h:x: invalid port value",
            ),
        ] {
            assert_eq!(dial_text(addr, &io::Error::other(error)), text);
        }
    }
}
