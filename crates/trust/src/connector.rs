//! Makes TLS connections out of plain ones.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::{WantsClientCert, danger::ServerCertVerifier},
    pki_types::ServerName,
    sign::SingleCertAndKey,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    Identity, MaterialError, TlsError, TlsStream,
    material::{provider, roots, system_roots},
    unverified::Unverified,
};

/// Makes TLS connections, version 1.2 or 1.3. Cheap to clone; clones share sessions, so that a
/// second connection to a server costs less than the first.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    verifies: bool,
}

impl Connector {
    /// For servers that may show any certificate. Nobody listens in, but whoever sits between may
    /// be the one who answers. `alpn` are the protocols offered, the best one first.
    #[must_use]
    pub fn unverified(alpn: &[&str]) -> Self {
        Self::unverified_as(alpn, None)
    }

    /// Like [`Self::unverified`], with a certificate to show if the server asks for one.
    #[must_use]
    pub fn unverified_as(alpn: &[&str], identity: Option<Identity>) -> Self {
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Unverified(provider()));
        let config = builder()
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Self {
            verifies: false,
            ..Self::new(config, alpn, identity)
        }
    }

    /// For servers whose certificates the system's authorities vouch for. Those are read from files
    /// when first asked for, once in a process. `identity` is shown if the server asks for one.
    ///
    /// # Errors
    /// The system trusts nobody.
    pub fn system_roots(alpn: &[&str], identity: Option<Identity>) -> Result<Self, MaterialError> {
        Ok(Self::with_store(system_roots()?, alpn, identity))
    }

    /// For servers whose certificates the authorities in a PEM text vouch for.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn with_roots(
        pem: &[u8],
        alpn: &[&str],
        identity: Option<Identity>,
    ) -> Result<Self, MaterialError> {
        Ok(Self::with_store(Arc::new(roots(pem)?), alpn, identity))
    }

    /// Shakes hands over a connection. `server_name` is a host name or an address: what the
    /// certificate must be for and, if it is a name, what the server is told that we look for.
    /// There is no time limit but the caller's.
    ///
    /// # Errors
    /// Why there is no TLS connection.
    pub async fn connect(&self, server_name: &str, tcp: TcpStream) -> Result<TlsStream, TlsError> {
        let name = parse(server_name)?;
        let shaken = self.tls.connect(name, tcp).await;
        shaken
            .map(TlsStream::new)
            .map_err(|error| TlsError::of_handshake(server_name, error))
    }

    fn with_store(roots: Arc<RootCertStore>, alpn: &[&str], identity: Option<Identity>) -> Self {
        Self::new(builder().with_root_certificates(roots), alpn, identity)
    }

    fn new(
        config: ConfigBuilder<ClientConfig, WantsClientCert>,
        alpn: &[&str],
        identity: Option<Identity>,
    ) -> Self {
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key)))
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            tls: TlsConnector::from(Arc::new(config)),
            verifies: true,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("verifies", &self.verifies)
            .finish_non_exhaustive()
    }
}

fn builder() -> ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has cipher suites for both versions")
}

/// Brackets and the zone of an IPv6 address, and the dot that ends a full name, are no part of what
/// certificates say.
fn parse(name: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let bare = bare.unwrap_or(name);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName(name.to_owned()))
}
