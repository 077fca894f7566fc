//! Certificates and keys as people give them (PEM), and those that the system trusts. Connects to
//! nothing.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    InconsistentKeys, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};

/// Why certificates or a key can't be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The text has no certificate in it.
    #[error(
        "there is no certificate in the text: it must be PEM, from \"-----BEGIN CERTIFICATE-----\" \
         to \"-----END CERTIFICATE-----\", line breaks included"
    )]
    NoCertificate,
    /// The text has no private key in it.
    #[error(
        "there is no private key in the text: it must be PEM, from \"-----BEGIN PRIVATE KEY-----\" \
         (or EC, or RSA) to its END line, line breaks included and not encrypted"
    )]
    NoKey,
    /// The text is no PEM.
    #[error("the text can't be read as PEM: {0}")]
    Unreadable(String),
    /// A certificate that can't be used.
    #[error("the certificate can't be used: {0}")]
    BadCertificate(String),
    /// A key that can't be used.
    #[error("the private key can't be used: {0}; RSA from 2048 bits, ECDSA and Ed25519 keys can")]
    BadKey(String),
    /// Certificate and key have nothing to do with each other.
    #[error(
        "the private key does not belong to the certificate: give the pair that was made together"
    )]
    Mismatch,
    /// The system trusts nobody.
    #[error(
        "this system has no certificates of authorities that it trusts{0}: install the package \
         ca-certificates, or name a file of them in SSL_CERT_FILE"
    )]
    NoRoots(String),
}

/// Who we are: a certificate, those that vouch for it, and its key.
#[derive(Clone)]
pub struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
}

impl Identity {
    /// From PEM texts; the certificate comes first and may be followed by those that vouch for it.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_pem(cert_pem: &[u8], key_pem: &[u8]) -> Result<Self, MaterialError> {
        let chain = certificates(cert_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| match error {
            pem::Error::NoItemsFound => MaterialError::NoKey,
            error => MaterialError::Unreadable(error.to_string()),
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                MaterialError::Mismatch
            }
            rustls::Error::InvalidCertificate(why) => {
                MaterialError::BadCertificate(why.to_string())
            }
            rustls::Error::General(why) => MaterialError::BadKey(why),
            other => MaterialError::BadKey(other.to_string()),
        })?;
        Ok(Self { key: Arc::new(key) })
    }
}

/// The key stays out of logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The one library of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Authorities from PEM text.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, MaterialError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots
            .add(certificate)
            .map_err(|error| MaterialError::BadCertificate(error.to_string()))?;
    }
    Ok(roots)
}

/// The authorities that the system trusts, read once in a process. Those that can't be read are
/// left out: a system has some that are too old for anybody.
pub(crate) fn system_roots() -> Result<Arc<RootCertStore>, MaterialError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, MaterialError>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if !roots.is_empty() {
            return Ok(Arc::new(roots));
        }
        let why = found.errors.first();
        let why = why.map_or_else(String::new, |error| format!(" ({error})"));
        Err(MaterialError::NoRoots(why))
    });
    roots.clone()
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| MaterialError::Unreadable(error.to_string()))?;
    match found.is_empty() {
        true => Err(MaterialError::NoCertificate),
        false => Ok(found),
    }
}
