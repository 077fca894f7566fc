//! What a sidecar tells about itself, and its form in the file.
//!
//! The file is `{"format":1,"sidecar":{…}}`. Members that are not known are ignored, so that a
//! newer outrider may add some; a change that older ones must not read raises the format.

use serde::{Deserialize, Serialize};

use crate::table::Listing;

/// A sidecar on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The app it serves.
    pub app_id: String,
    /// The app's namespace; may be empty.
    pub namespace: String,
    /// The sidecar's process, as it sees itself.
    pub pid: u32,
    /// The host's name as mDNS announces it; left empty, it is filled in when announced.
    #[serde(default)]
    pub host: String,
    /// `host:port` at which other sidecars on this host reach it, IPv6 in brackets.
    pub address: String,
    /// Port of the HTTP API.
    #[serde(default)]
    pub http_port: Option<u16>,
    /// Port of the gRPC API.
    #[serde(default)]
    pub grpc_port: Option<u16>,
    /// Port of the app.
    #[serde(default)]
    pub app_port: Option<u16>,
    /// Port of the metrics page.
    #[serde(default)]
    pub metrics_port: Option<u16>,
    /// Path of the socket the HTTP API listens on instead of a port.
    #[serde(default)]
    pub http_socket: Option<String>,
    /// When it started, in milliseconds since 1970.
    #[serde(default)]
    pub started_unix_ms: u64,
    /// The sidecar's version.
    #[serde(default)]
    pub version: String,
}

/// Why a file is skipped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no registry entry: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has format {0}, this version of outrider reads format {FORMAT}")]
    Format(u32),
    #[error("its app id is empty")]
    NoApp,
    #[error("its address \"{0}\" is not host:port")]
    Address(String),
}

#[derive(Serialize)]
struct Writing<'a> {
    format: u32,
    sidecar: &'a Entry,
}

/// Read before the entry, which another format may shape differently.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Deserialize)]
struct Reading {
    sidecar: Entry,
}

impl Entry {
    pub(super) fn to_json(&self) -> String {
        let file = Writing {
            format: FORMAT,
            sidecar: self,
        };
        serde_json::to_string(&file).expect("strings and numbers always make JSON")
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, Unreadable> {
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format != FORMAT {
            return Err(Unreadable::Format(head.format));
        }
        let Reading { sidecar } = serde_json::from_slice(bytes)?;
        if sidecar.app_id.is_empty() {
            return Err(Unreadable::NoApp);
        }
        if !is_host_port(&sidecar.address) {
            return Err(Unreadable::Address(sidecar.address));
        }
        Ok(sidecar)
    }

    pub(super) fn to_listing(&self) -> Listing {
        let process = format!("{}:{}", self.host, self.pid);
        Listing {
            process: (!self.host.is_empty()).then(|| process.into()),
            ..Listing::new(Some(&self.namespace), &self.app_id, &self.address)
        }
    }
}

fn is_host_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let has_host = !host.is_empty() && (is_bracketed || !host.contains(':'));
    has_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was_written() {
        let entry = Entry {
            app_id: "nodeapp".into(),
            namespace: "default".into(),
            pid: 7,
            host: "laptop".into(),
            address: "[::1]:50002".into(),
            http_port: Some(3500),
            http_socket: Some("/run/dapr/app.socket".into()),
            started_unix_ms: 1_700_000_000_000,
            version: "0.1.0".into(),
            ..Entry::default()
        };
        let json = entry.to_json();
        assert_eq!(Entry::from_json(json.as_bytes()).unwrap(), entry);
        let listing = entry.to_listing();
        assert_eq!(listing.process.as_deref(), Some("laptop:7"));
        assert_eq!(&*listing.addr, "[::1]:50002");
    }

    #[test]
    fn unknown_members_are_ignored_and_most_may_be_missing() {
        let json = br#"{"format":1,"colour":"red","sidecar":
            {"app_id":"a","namespace":"","pid":1,"address":"localhost:1","mood":"good"}}"#;
        assert_eq!(Entry::from_json(json).unwrap().address, "localhost:1");
    }

    #[test]
    fn broken_files_are_refused_with_the_reason() {
        let with = |app: &str, address: &str| {
            let entry = Entry {
                app_id: app.into(),
                address: address.into(),
                ..Entry::default()
            };
            Entry::from_json(entry.to_json().as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(with("", "127.0.0.1:1"), "its app id is empty");
        for bad in [
            "",
            "127.0.0.1",
            "127.0.0.1:0",
            ":1",
            "::1:1",
            "a:99999",
            "[::1:1",
        ] {
            assert_eq!(
                with("a", bad),
                format!("its address \"{bad}\" is not host:port")
            );
        }
        let newer = Entry::from_json(br#"{"format":2,"sidecar":[]}"#);
        assert_eq!(
            newer.unwrap_err().to_string(),
            "it has format 2, this version of outrider reads format 1"
        );
        for bytes in [&b""[..], b"{", b"\xff\xfe", b"{\"format\":1}", b"[1]"] {
            assert!(matches!(Entry::from_json(bytes), Err(Unreadable::Json(_))));
        }
    }
}
