//! Listening sockets. All are bound before anything is served; each lane gets its own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    time::Duration,
};

use outrider_telemetry::log::scope;
use socket2::{Domain, Protocol, Socket, Type};

/// How long a port in use is tried again: the process before us may be ending.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// None of the addresses could be bound.
    #[error(
        "failed to start {server}: could not listen on any endpoint: {cause} (stop what listens \
         there or choose another --{flag})"
    )]
    NoEndpoint {
        /// The server's name.
        server: &'static str,
        /// Addresses and what the system says of them.
        cause: String,
        /// The flag that names the port.
        flag: &'static str,
    },
    /// A Unix socket could not be made.
    #[error("failed to start {server}: listen unix {path}: bind: {cause} ({cure})")]
    Unix {
        /// The server's name.
        server: &'static str,
        /// The socket's path.
        path: PathBuf,
        /// What the system says.
        cause: String,
        /// What to do.
        cure: &'static str,
    },
}

/// What is to be bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The server's name for messages.
    pub server: &'static str,
    /// The flag that names the port.
    pub flag: &'static str,
    /// Hosts; an empty one means all interfaces.
    pub hosts: &'a [String],
    /// The port.
    pub port: u16,
    /// One socket per lane and address.
    pub lanes: usize,
}

/// One listening address: a socket for each lane.
pub(crate) type PerLane = Vec<TcpListener>;

/// Binds all addresses that can be bound; an error if there is none.
pub(crate) async fn bind(wanted: Wanted<'_>) -> Result<Vec<PerLane>, Error> {
    let mut bound = Vec::new();
    let mut failures = Vec::new();
    for host in wanted.hosts {
        match bind_host(&wanted, host).await {
            Ok(sockets) => bound.push(sockets),
            Err(error) => failures.push(format!("{host}:{}: {}", wanted.port, text(&error))),
        }
    }
    if bound.is_empty() {
        return Err(Error::NoEndpoint {
            server: wanted.server,
            cause: failures.join(", "),
            flag: wanted.flag,
        });
    }
    for failure in failures {
        tracing::warn!(target: scope::RUNTIME_HTTP, "{} does not listen on {failure}", wanted.server);
    }
    Ok(bound)
}

/// The system's words without the number.
fn text(error: &io::Error) -> String {
    crate::link::connect::os_text(error)
}

async fn bind_host(wanted: &Wanted<'_>, host: &str) -> io::Result<PerLane> {
    let mut waited = Duration::ZERO;
    loop {
        match bind_once(host, wanted.port, wanted.lanes) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && waited < RETRY_FOR => {
                if waited.is_zero() {
                    tracing::warn!(
                        target: scope::RUNTIME,
                        "port {} is in use; trying for {} s (--{} chooses another)",
                        wanted.port, RETRY_FOR.as_secs(), wanted.flag
                    );
                }
                tokio::time::sleep(RETRY_EVERY).await;
                waited += RETRY_EVERY;
            }
            result => return result,
        }
    }
}

fn bind_once(host: &str, port: u16, lanes: usize) -> io::Result<PerLane> {
    let addr = resolve(host, port)?;
    if lanes == 1 {
        return Ok(vec![listen(addr, Sharing::None)?]);
    }
    // Sockets that share a port would also share it with another sidecar that does the same, so
    // first make sure that the port is free.
    drop(listen(addr, Sharing::None)?);
    let first = listen(addr, Sharing::Lanes)?;
    let addr = first.local_addr()?;
    let more = (1..lanes).map(|_| listen(addr, Sharing::Lanes));
    std::iter::once(Ok(first)).chain(more).collect()
}

/// The address to bind. No host means all interfaces, both families where there is IPv6.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    if host == "localhost" {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?;
    found
        .next()
        .ok_or_else(|| io::Error::other(format!("no address for host {host}")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    None,
    Lanes,
}

fn listen(addr: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port());
    let (socket, addr) =
        match Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)) {
            Ok(socket) => (socket, addr),
            // A machine without IPv6.
            Err(_) if addr.ip().is_unspecified() => (
                Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?,
                any,
            ),
            Err(error) => return Err(error),
        };
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Lanes {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A Unix socket that removes its file in the end.
#[derive(Debug)]
pub(crate) struct UnixBound {
    /// The socket, until somebody serves it.
    pub listener: Option<UnixListener>,
    path: PathBuf,
}

impl Drop for UnixBound {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Binds a Unix socket. A file left by a process that is gone is replaced; one in use is not.
pub(crate) fn bind_unix(server: &'static str, path: &Path) -> Result<UnixBound, Error> {
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
    let listener = UnixListener::bind(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    match listener {
        Ok(listener) => Ok(UnixBound {
            listener: Some(listener),
            path: path.to_owned(),
        }),
        Err(cause) => Err(Error::Unix {
            server,
            path: path.to_owned(),
            cure: match cause.kind() {
                io::ErrorKind::NotFound => "make the folder first",
                io::ErrorKind::AddrInUse => "remove the file if no other sidecar uses it",
                _ => "name another folder with --unix-domain-socket",
            },
            cause: text(&cause),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_a_port_and_nobody_else_does() {
        let first = bind_once("127.0.0.1", 0, 3).unwrap();
        assert_eq!(first.len(), 3);
        let port = first[0].local_addr().unwrap().port();
        for lanes in [1, 2] {
            let error = bind_once("127.0.0.1", port, lanes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(resolve("[::1]", 5).unwrap().to_string(), "[::1]:5");
        assert_eq!(resolve("localhost", 5).unwrap().to_string(), "127.0.0.1:5");
        assert!(resolve("", 5).unwrap().ip().is_unspecified());
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.socket");
        let stale = UnixListener::bind(&path).unwrap();
        drop(stale);
        let bound = bind_unix("test", &path).unwrap();
        assert!(bind_unix("test", &path).is_err());
        drop(bound);
        assert!(!path.exists());
        let error = bind_unix("test", &dir.path().join("no/x.socket")).unwrap_err();
        assert!(error.to_string().ends_with("(make the folder first)"));
    }
}
