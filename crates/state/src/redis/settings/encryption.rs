//! Whether connections are encrypted, whom to trust and who we are. Read before anything is
//! connected, so that a text that is no certificate is told at once.

use outrider_trust::{Connector, Identity};

use super::decode::Decoder;
use crate::Properties;

/// What the metadata's switches say.
pub(super) struct Encryption {
    enabled: bool,
    unverified: bool,
}

impl Encryption {
    pub(super) fn read(decoder: &mut Decoder<'_>) -> Self {
        Self {
            enabled: decoder.bool(&["enableTLS"]),
            unverified: decoder.bool(&["insecureSkipTLSVerify"]),
        }
    }

    /// What makes encrypted connections, if they are to be so. Without `enableTLS` the other names
    /// mean nothing, as in the reference.
    pub(super) fn connector(&self, properties: &Properties) -> Result<Option<Connector>, String> {
        if !self.enabled {
            return Ok(None);
        }
        let text = |name| properties.get(&[name]).filter(|text| !text.is_empty());
        let identity = match (text("clientCert"), text("clientKey")) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let identity = Identity::from_pem(cert.as_bytes(), key.as_bytes());
                Some(identity.map_err(|why| format!("clientCert and clientKey: {why}"))?)
            }
            // The reference says nothing and goes on without it.
            (None, Some(_)) => told("clientKey has no effect without clientCert, the certificate"),
            (Some(_), None) => told("clientCert has no effect without clientKey, its private key"),
        };
        if self.unverified {
            return Ok(Some(Connector::unverified_as(&[], identity)));
        }
        let connector = Connector::system_roots(&[], identity);
        connector
            .map(Some)
            .map_err(|why| format!("enableTLS: {why}"))
    }
}

fn told(text: &str) -> Option<Identity> {
    tracing::warn!("redis: {text}");
    None
}
