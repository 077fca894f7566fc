//! Against servers of our own, with certificates of our own authority.

use std::{net::Ipv4Addr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::material;

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// PEM of a certificate and its key.
struct Issued {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        Self::named("authority of the test")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2100)
    }

    fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Issued {
            cert: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Issued {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.cert.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

/// A server's settings; with an authority it asks clients for certificates of that one.
fn server_config(issued: &Issued, clients: Option<&Authority>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(material::provider())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = material::roots(authority.pem().as_bytes()).unwrap();
            let provider = material::provider();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder
        .with_single_cert(issued.chain(), issued.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// What a client sees that sends `ping` to such a server, which sends it back.
async fn echo(
    config: ServerConfig,
    connector: &Connector,
    name: &str,
) -> Result<TlsStream, TlsError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap());
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        if let Ok(mut stream) = acceptor.accept(tcp).await {
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.flush().await.unwrap();
        }
    };
    let ask = async {
        let mut stream = connector.connect(name, tcp.await.unwrap()).await?;
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        let mut bytes = [0; 4];
        // Only here does a client learn that TLS 1.3 has refused its certificate.
        if let Err(error) = stream.read_exact(&mut bytes).await {
            let error = error.into_inner().expect("an error of ours");
            return Err(*error.downcast::<TlsError>().expect("an error of ours"));
        }
        assert_eq!(&bytes, b"ping");
        Ok(stream)
    };
    let ((), asked) = tokio::join!(serve, ask);
    asked
}

/// What is said when a server answers with these bytes and hangs up.
async fn told(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let serve = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut hello = [0; 5];
        tcp.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello[0], 22, "a handshake");
        tcp.write_all(answer).await.unwrap();
        tcp.shutdown().await.unwrap();
        drop(tcp.read_to_end(&mut Vec::new()).await);
    };
    let connector = Connector::unverified(&[]);
    let ((), shaken) = tokio::join!(serve, connector.connect("some.host", tcp));
    shaken.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_that_a_known_authority_vouches_for_is_believed() {
    let authority = Authority::new();
    let connector = Connector::with_roots(authority.pem().as_bytes(), &["h2"], None).unwrap();
    let issued = authority.issue(&["shop.test", "127.0.0.1", "::1"]);
    // The last two are no names but addresses: nothing but the certificate knows them.
    for name in ["shop.test", "shop.test.", "SHOP.test", "127.0.0.1", "[::1]"] {
        let stream = echo(server_config(&issued, None), &connector, name).await;
        let stream = stream.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stream.alpn(), Some(&b"h2"[..]));
        assert_eq!(
            stream.get_ref().peer_addr().unwrap().ip(),
            Ipv4Addr::LOCALHOST
        );
    }
}

#[tokio::test]
async fn an_older_server_is_served_as_well() {
    let authority = Authority::new();
    let connector = Connector::with_roots(authority.pem().as_bytes(), &[], None).unwrap();
    let issued = authority.issue(&["shop.test"]);
    let config = ServerConfig::builder_with_provider(material::provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(issued.chain(), issued.key())
        .unwrap();
    let stream = echo(config, &connector, "shop.test").await.unwrap();
    assert_eq!(stream.alpn(), None);
}

#[tokio::test]
async fn strangers_are_not_believed_and_the_cure_is_told() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let connector = Connector::with_roots(authority.pem().as_bytes(), &[], None).unwrap();
    let refusal = async |issued: Issued| {
        let end = echo(server_config(&issued, None), &connector, "shop.test").await;
        end.unwrap_err()
    };
    let error = refusal(stranger.issue(&["shop.test"])).await;
    assert!(matches!(error, TlsError::Untrusted { .. }));
    assert_eq!(
        error.to_string(),
        "the certificate of shop.test is signed by nobody whom this system trusts: let an \
         authority sign it that the system knows, or add the authority to the system's \
         certificates"
    );
    // An authority that was made anew under its old name.
    let error = refusal(Authority::new().issue(&["shop.test"])).await;
    assert!(error.to_string().contains("same name"), "{error}");
    let error = refusal(authority.issue(&["bank.test", "127.0.0.1"])).await;
    assert_eq!(
        error.to_string(),
        "the certificate of shop.test is for bank.test, 127.0.0.1 only: call it by such a name, or \
         have the certificate made for this one"
    );
    let own = Issued {
        cert: authority.pem(),
        key: authority.0.key().serialize_pem(),
    };
    let error = refusal(own).await;
    assert!(error.to_string().contains("CA:TRUE"), "{error}");
    let error = refusal(authority.issue_until(&["shop.test"], 2001)).await;
    assert!(matches!(error, TlsError::OutOfDate { .. }), "{error}");
}

#[tokio::test]
async fn whoever_asks_for_no_proof_gets_a_connection_to_anybody() {
    let stranger = Authority::new();
    let connector = Connector::unverified(&["http/1.1"]);
    for (name, year) in [("bank.test", 2100), ("bank.test", 2001)] {
        let config = server_config(&stranger.issue_until(&[name], year), None);
        let stream = echo(config, &connector, "127.0.0.1").await.unwrap();
        assert_eq!(stream.alpn(), Some(&b"http/1.1"[..]));
    }
}

#[tokio::test]
async fn a_certificate_that_somebody_else_has_the_key_of_is_no_proof() {
    let authority = Authority::new();
    let (own, other) = (
        authority.issue(&["shop.test"]),
        authority.issue(&["shop.test"]),
    );
    let provider = material::provider();
    let key = provider.key_provider.load_private_key(other.key()).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(own.chain(), key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
    let shaken = echo(config, &Connector::unverified(&[]), "shop.test").await;
    assert!(matches!(shaken, Err(TlsError::BadCertificate { .. })));
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_told() {
    let authority = Authority::new();
    let server = authority.issue(&["shop.test"]);
    let pem = authority.pem();
    let ask = async |connector: Connector| {
        let config = server_config(&server, Some(&authority));
        echo(config, &connector, "shop.test").await
    };
    let identity = || Some(authority.issue(&["client.test"]).identity());
    let known = Connector::with_roots(pem.as_bytes(), &[], identity()).unwrap();
    ask(known).await.unwrap();
    ask(Connector::unverified_as(&[], identity()))
        .await
        .unwrap();
    let error = ask(Connector::unverified(&[])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the TLS peer refuses us: it wants a certificate of ours, and none was given"
    );
    let stranger = Authority::named("stranger")
        .issue(&["client.test"])
        .identity();
    let error = ask(Connector::unverified_as(&[], Some(stranger)))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("does not accept our certifi"),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_without_tls_is_told_apart() {
    let other = "some.host does not speak TLS: is this its port for TLS?";
    assert_eq!(told(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, other);
    assert_eq!(told(b"-ERR unknown command\r\n").await, other);
    let ended = told(b"").await;
    assert!(
        ended.starts_with("the connection to some.host ended"),
        "{ended}"
    );
    // An alert.
    let alert = told(&[21, 3, 3, 0, 2, 2, 70]).await;
    assert_eq!(
        alert,
        "the TLS peer refuses us: it speaks neither TLS 1.2 nor 1.3 (alert ProtocolVersion)"
    );
}

/// Version 1, which the library can't read.
const OLD: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----\n\
     MIIBJDCBywIUK1hERD/iH36rDlcf1su0WjM2cLUwCgYIKoZIzj0EAwIwFDESMBAG\n\
     A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjE2NDAxOFoYDzIxMjYxMTAyMTY0MDE4\n\
     WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
     AARR7rW7hmwhZLGZzmLXQXK2eJBOHZ/dTZ3D7B16Q7plGkE4Du9gEF5wTUEBOtjB\n\
     XTRqH+SQr5t9aj8P4CyTZzSjMAoGCCqGSM49BAMCA0gAMEUCIQDLGcEFmOxWSS+e\n\
     eKs/towi0g0/BfN1di6in8PIfk6WZwIgH3LX/Y3YapRFc/NBGfPJkManaFR6iN0A\n\
     +Rk4HAWenIg=\n\
     -----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----\n\
     MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDlAe98BBj9sKLE8d\n\
     EJpeunioWijUZ33i9kW1vz4U6VGhRANCAARR7rW7hmwhZLGZzmLXQXK2eJBOHZ/d\n\
     TZ3D7B16Q7plGkE4Du9gEF5wTUEBOtjBXTRqH+SQr5t9aj8P4CyTZzSj\n\
     -----END PRIVATE KEY-----",
);

#[tokio::test]
async fn a_certificate_of_version_1_is_good_enough_where_none_is_verified() {
    let provider = material::provider();
    let cert = CertificateDer::from_pem_slice(OLD.0.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(OLD.1.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let certified = CertifiedKey::new(vec![cert], key);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())));
        let connector = Connector::unverified(&[]);
        echo(config, &connector, "localhost").await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    let connector = Connector::unverified(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for name in ["", "a b", "ä", "a:1"] {
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let error = connector.connect(name, tcp).await.unwrap_err();
        assert!(matches!(error, TlsError::BadName(_)), "{name}: {error}");
    }
    assert!(format!("{connector:?}").contains("verifies: false"));
}

#[test]
fn bad_texts_are_told_with_their_cure() {
    let issued = Authority::new().issue(&["a.test"]);
    let other = Authority::new().issue(&["a.test"]);
    let (cert, key) = (issued.cert.as_str(), issued.key.as_str());
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (cert, key, words) in [
        ("", key, "no certificate in the text"),
        (key, key, "no certificate in the text"),
        (cert, "", "no private key in the text"),
        (cert, cert, "no private key in the text"),
        (garbage, key, "the certificate can't be used"),
        (cert, bad_key, "the private key can't be used"),
        (cert, &other.key, "does not belong to the certificate"),
        ("-----BEGIN CERTIFICATE-----\nA", key, "read as PEM"),
    ] {
        let error = Identity::from_pem(cert.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Connector::with_roots(b"", &[], None).unwrap_err();
    assert!(matches!(error, MaterialError::NoCertificate));
    let secret = format!("{:?}", issued.identity());
    assert_eq!(secret, "Identity { .. }");
}

#[tokio::test]
async fn the_systems_authorities_know_no_stranger() {
    let connector = match Connector::system_roots(&[], None) {
        Ok(connector) => connector,
        // A machine without any says so.
        Err(error) => return assert!(error.to_string().contains("ca-certificates"), "{error}"),
    };
    let config = server_config(&Authority::new().issue(&["shop.test"]), None);
    let error = echo(config, &connector, "shop.test").await.unwrap_err();
    assert!(matches!(error, TlsError::Untrusted { .. }), "{error}");
}
