//! What went wrong between two TLS peers, with the cure.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Why there is no TLS connection, or none any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A name that no certificate can be for.
    #[error("{0:?} is neither a host name nor an address, so no certificate can be for it")]
    BadName(String),
    /// Nobody whom we trust vouches for the certificate.
    #[error(
        "the certificate of {server} is signed by nobody whom this system trusts: let an authority \
         sign it that the system knows, or add the authority to the system's certificates"
    )]
    Untrusted {
        /// Who was called.
        server: String,
    },
    /// The certificate is somebody else's.
    #[error(
        "the certificate of {server} is for {names} only: call it by such a name, or have the \
         certificate made for this one"
    )]
    WrongName {
        /// Who was called.
        server: String,
        /// Whom it is for.
        names: String,
    },
    /// Too early or too late.
    #[error(
        "the certificate of {server} is out of date: renew it, or set the clocks right ({why})"
    )]
    OutOfDate {
        /// Who was called.
        server: String,
        /// The times.
        why: String,
    },
    /// Any other fault of a certificate.
    #[error("the certificate of {server} can't be used: {why}")]
    BadCertificate {
        /// Who was called.
        server: String,
        /// Its fault.
        why: String,
    },
    /// The answer was no TLS.
    #[error("{server} does not speak TLS: is this its port for TLS?")]
    NotTls {
        /// Who was called.
        server: String,
    },
    /// The peer said no.
    #[error("the TLS peer refuses us: {why}")]
    Refused {
        /// In which words.
        why: String,
    },
    /// Nothing that both can do.
    #[error(
        "{server} offers no TLS that we know, which is 1.2 and 1.3 with modern ciphers ({why})"
    )]
    Unfit {
        /// Who was called.
        server: String,
        /// What is missing.
        why: String,
    },
    /// A message that breaks the rules of TLS.
    #[error("the TLS connection is broken: {why}")]
    Broken {
        /// The rule.
        why: String,
    },
    /// The connection ended.
    #[error(
        "the connection to {server} ended during the TLS handshake, which a server without TLS may \
         do: {source}"
    )]
    Lost {
        /// Who was called.
        server: String,
        /// How.
        source: io::Error,
    },
}

impl TlsError {
    /// True if the same may go well in a moment: the connection ended, and nobody said no.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// What ended a handshake.
    pub(crate) fn of_handshake(server: &str, error: io::Error) -> Self {
        match inner(&error) {
            Some(tls) => Self::of(server, tls),
            None => Self::Lost {
                server: server.to_owned(),
                source: error,
            },
        }
    }

    fn of(server: &str, error: &Error) -> Self {
        let server = server.to_owned();
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(server, error),
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
                Self::NotTls { server }
            }
            Error::AlertReceived(alert) => Self::Refused {
                why: alerted(*alert),
            },
            Error::NoApplicationProtocol => Self::Refused {
                why: "it speaks none of the protocols that we offer (ALPN)".into(),
            },
            Error::PeerIncompatible(why) => Self::Unfit {
                server,
                why: format!("{why:?}"),
            },
            other => Self::Broken {
                why: other.to_string(),
            },
        }
    }

    fn of_certificate(server: String, error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::Untrusted { server },
            CertificateError::NotValidForName => Self::WrongName {
                server,
                names: "other names".into(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                server,
                names: names(presented),
            },
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::OutOfDate {
                server,
                why: error.to_string(),
            },
            CertificateError::BadSignature => Self::BadCertificate {
                server,
                why: "an authority of the same name as one that this system trusts has signed it, \
                      but with another key, or it is shown by somebody who has not its key"
                    .into(),
            },
            // Of this one the library has the name only.
            CertificateError::Other(fault) if fault.to_string() == "CaUsedAsEndEntity" => {
                Self::BadCertificate {
                    server,
                    why: "it is an authority's own (CA:TRUE), which vouches for others; let it \
                          sign another one for the server"
                        .into(),
                }
            }
            other => Self::BadCertificate {
                server,
                why: other.to_string(),
            },
        }
    }
}

/// An error of a connection in use, in our words if TLS is its cause.
pub(crate) fn explained(error: io::Error) -> io::Error {
    match inner(&error) {
        Some(tls) => io::Error::new(error.kind(), TlsError::of("the peer", tls)),
        None => error,
    }
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// `DnsName("a")`, as the library lists them, is told as `a`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name.split_once('(').and_then(|(_, n)| n.strip_suffix(')'));
        inside.unwrap_or(name).trim_matches('"').to_owned()
    };
    match presented {
        [] => "no host".to_owned(),
        some => some.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

fn alerted(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of ours, and none was given".into()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => format!(
            "it does not accept our certificate, or wants one and none was given (alert {alert:?})"
        ),
        AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked => {
            format!("our certificate is not valid any more (alert {alert:?})")
        }
        AlertDescription::ProtocolVersion => {
            "it speaks neither TLS 1.2 nor 1.3 (alert ProtocolVersion)".into()
        }
        AlertDescription::HandshakeFailure => {
            "it knows no cipher that we do, or wants a certificate of ours (alert HandshakeFailure)"
                .into()
        }
        AlertDescription::UnrecognisedName => {
            "it does not know the name that it was called by (alert UnrecognisedName)".into()
        }
        AlertDescription::NoApplicationProtocol => {
            "it speaks none of the protocols that we offer (ALPN)".into()
        }
        other => format!("alert {other:?}"),
    }
}
