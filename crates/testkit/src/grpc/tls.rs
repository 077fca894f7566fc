//! TLS in front of an app, with a certificate that nobody vouches for.
//!
//! It passes bytes and nothing else, so any app of the kit can stand behind it; what it tells of a
//! handshake is what the client offered. It refuses TLS below 1.2, as the library does.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

use crate::log::Log;

/// One handshake as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The server name the client asked for.
    pub server_name: Option<String>,
    /// What was agreed on by ALPN.
    pub protocol: Option<String>,
}

/// A TLS server that hands on to a plain port; ends when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    seen: Arc<Log<Vec<Handshake>>>,
    task: JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsFront {
    /// Stands before `behind`, a port of 127.0.0.1, and speaks `protocols` (ALPN, best first; none
    /// leaves ALPN out). The certificate is self-signed, for a name that no test uses.
    ///
    /// # Errors
    /// If no port can be bound or no certificate made.
    pub async fn start(behind: u16, protocols: &[&str]) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(protocols)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Log::default());
        let task = tokio::spawn(accept(listener, acceptor, behind, Arc::clone(&seen)));
        Ok(Self { port, seen, task })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All handshakes so far that succeeded.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.seen.look(Clone::clone)
    }
}

fn server_config(protocols: &[&str]) -> io::Result<ServerConfig> {
    let names = vec!["nobody.invalid".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    Ok(config)
}

async fn pass(outside: &mut TlsStream<TcpStream>, behind: u16) -> io::Result<()> {
    // A probe of the port says nothing more; the app should not see it either.
    let mut first = [0; 1024];
    let n = outside.read(&mut first).await?;
    if n == 0 {
        return Ok(());
    }
    let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).await?;
    inside.write_all(&first[..n]).await?;
    copy_bidirectional(outside, &mut inside).await.map(drop)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    behind: u16,
    seen: Arc<Log<Vec<Handshake>>>,
) {
    // Connections end with this task: the set aborts them when it is dropped.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            // Plain text, a probe, a client that trusts only what it knows: none gets through.
            let Ok(mut outside) = acceptor.accept(stream).await else {
                return;
            };
            let session = outside.get_ref().1;
            let protocol = session.alpn_protocol().map(String::from_utf8_lossy);
            let handshake = Handshake {
                server_name: session.server_name().map(ToOwned::to_owned),
                protocol: protocol.map(|name| name.into_owned()),
            };
            seen.change(|all| all.push(handshake));
            // Either side may break off; both then end.
            let _ = pass(&mut outside, behind).await;
        });
    }
}
