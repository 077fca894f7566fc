//! Certificates of an authority of a test's own.

use std::path::PathBuf;

use outrider_trust::{Connector, Identity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, and in files what a server needs.
pub(super) struct Papers {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Papers {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of the test");
        let key = KeyPair::generate().unwrap();
        let papers = Self {
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let (cert, key) = papers.issue("127.0.0.1");
        let ca = papers.authority.pem();
        for (name, text) in [("ca", ca), ("cert", cert), ("key", key)] {
            std::fs::write(papers.file(name), text).unwrap();
        }
        papers
    }

    /// A certificate and its key.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.authority).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// Trusts this authority; with a certificate of its own or none.
    pub(super) fn connector(&self, with_identity: bool) -> Connector {
        let identity = with_identity.then(|| {
            let (cert, key) = self.issue("client");
            Identity::from_pem(cert.as_bytes(), key.as_bytes()).unwrap()
        });
        Connector::with_roots(self.authority.pem().as_bytes(), &[], identity).unwrap()
    }

    /// A server's settings, as lines of its file.
    pub(super) fn lines(&self, port: u16) -> String {
        let file = |name| self.file(name).display().to_string();
        format!(
            "tls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n\
             tls-auth-clients optional\n",
            file("cert"),
            file("key"),
            file("ca")
        )
    }

    /// A server's settings, as arguments.
    pub(super) fn args(&self, port: u16) -> Vec<String> {
        let lines = self.lines(port);
        let words = lines.lines().flat_map(|line| line.splitn(2, ' '));
        let dashed = words.enumerate().map(|(index, word)| match index % 2 {
            0 => format!("--{word}"),
            _ => word.to_owned(),
        });
        dashed.collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
