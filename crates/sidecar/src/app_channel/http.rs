//! A request to an app that speaks HTTP, of whichever version.

use std::{io::Write, rc::Rc};

use http::{HeaderName, HeaderValue, Request, Uri, uri};
use outrider_core::quote::quote;
use outrider_trust::Connector;
use outrider_wire::{Fields, http1::push_field};
use tokio::sync::OwnedSemaphorePermit;

use super::{AppError, http1, http2};
use crate::{call::Body, io::Buffers};

/// An app that speaks HTTP.
pub(crate) struct HttpApp {
    addr: String,
    version: Version,
}

enum Version {
    One(http1::Channel),
    Two(http2::Channel),
}

/// What is sent to the app.
pub(crate) struct AppRequest {
    /// Request line and fields, without those that frame the body.
    pub head: Head,
    /// The rest.
    pub rest: Rest,
}

/// A request but for its head.
pub(crate) struct Rest {
    /// The method as sent.
    pub verb: &'static str,
    /// The body.
    pub body: Body,
    /// Its length, if declared.
    pub length: Option<u64>,
    /// May be sent again if nothing was answered.
    pub idempotent: bool,
}

/// What the app answers.
pub(crate) struct AppAnswer {
    /// Status code, 100–999.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
    /// The body.
    pub body: Body,
}

/// The head of a request in the form of its version.
pub(crate) enum Head {
    /// Bytes, the final empty line missing.
    One(Vec<u8>),
    /// A request.
    Two(Request<()>),
}

/// Room left behind the head for framing fields, so that it is allocated once.
const FRAMING_ROOM: usize = 64;

impl HttpApp {
    /// An app that speaks HTTP/1.1, over TLS if there is a connector.
    pub(super) fn one(
        addr: &str,
        tls: Option<Connector>,
        buffers: Rc<Buffers>,
        head_limit: usize,
    ) -> Self {
        let channel = http1::Channel::new(addr, tls, buffers, head_limit);
        Self {
            addr: addr.to_owned(),
            version: Version::One(channel),
        }
    }

    /// An app that speaks HTTP/2 without TLS.
    pub(super) fn two(addr: &str) -> Self {
        Self {
            addr: addr.to_owned(),
            version: Version::Two(http2::Channel::new(addr)),
        }
    }

    /// What clients call themselves that say nothing about it.
    pub(crate) fn default_agent(&self) -> &'static [u8] {
        match self.version {
            Version::One(_) => b"Go-http-client/1.1",
            Version::Two(_) => b"Go-http-client/2.0",
        }
    }

    /// A head that asks for `target`: path and query as they are written in a request line. About
    /// `room` bytes of fields will follow.
    pub(crate) fn head(&self, verb: &str, target: &[u8], room: usize) -> Result<Head, AppError> {
        let mut head = match &self.version {
            Version::One(_) => {
                let len = verb.len() + target.len() + room + FRAMING_ROOM + 16;
                let mut line = Vec::with_capacity(len);
                line.extend_from_slice(verb.as_bytes());
                line.push(b' ');
                line.extend_from_slice(target);
                line.extend_from_slice(b" HTTP/1.1\r\n");
                Head::One(line)
            }
            Version::Two(_) => Head::Two(self.request(verb, target)?),
        };
        if let Head::One(_) = head {
            head.push(b"Host", self.addr.as_bytes());
        }
        Ok(head)
    }

    fn request(&self, verb: &str, target: &[u8]) -> Result<Request<()>, AppError> {
        let escaped = escaped(target);
        let bad = || {
            let text = String::from_utf8_lossy(target);
            AppError::Target(format!("parse {}: invalid character in URL", quote(&text)))
        };
        let mut parts = uri::Parts::default();
        parts.scheme = Some(uri::Scheme::HTTP);
        parts.authority = Some(self.addr.parse().map_err(|_| bad())?);
        parts.path_and_query = Some(uri::PathAndQuery::try_from(&escaped[..]).map_err(|_| bad())?);
        let mut req = Request::new(());
        *req.uri_mut() = Uri::from_parts(parts).map_err(|_| bad())?;
        *req.method_mut() = verb.parse().map_err(|_| bad())?;
        Ok(req)
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        req: AppRequest,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<AppAnswer, AppError> {
        match (&self.version, req.head) {
            (Version::One(channel), Head::One(head)) => channel.send(head, req.rest, permit).await,
            (Version::Two(channel), Head::Two(head)) => channel.send(head, req.rest, permit).await,
            // Heads come from `head`, which makes those of this version.
            _ => Err(AppError::Target("a head of another version".to_owned())),
        }
    }

    pub(super) fn expire(&self) {
        if let Version::One(channel) = &self.version {
            channel.idle().expire();
        }
    }
}

/// `target` with what can't stand in one of HTTP/2 escaped.
fn escaped(target: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(target.len());
    for &byte in target {
        match byte {
            b'"' | b'<' | b'>' | b'`' | b'\\' | b'^' | b'{' | b'|' | b'}' | 0x80.. => {
                // Writing to memory can't fail.
                let _ = write!(out, "%{byte:02X}");
            }
            byte => out.push(byte),
        }
    }
    out
}

impl Head {
    /// Adds a field. HTTP/2 has no way to say one whose name or value is none.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        match self {
            Self::One(line) => push_field(line, name, value),
            Self::Two(req) => {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    // A full map stays as it is: whoever filled it came from outside.
                    let _ = req.headers_mut().try_append(name, value);
                }
            }
        }
    }
}
