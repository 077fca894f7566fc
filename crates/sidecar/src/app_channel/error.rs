//! What can go wrong on the way to the app, worded as the reference's client does.

use std::io;

use outrider_core::quote::quote;
use outrider_wire::http1::ResponseError;

use crate::{
    call::{BodyError, Fault, Kind},
    link::connect::os_text,
};

/// A failed request to the app.
#[derive(Debug)]
pub(crate) enum AppError {
    /// No connection; the text is that of the failed dial.
    Unreachable(String),
    /// The connection ended before an answer.
    Eof,
    /// Reading or writing failed.
    Io(&'static str, io::Error),
    /// The answer can't be read.
    Malformed(ResponseError),
    /// The head of the answer exceeds so many bytes.
    HeadTooLarge(usize),
    /// The body that was to be sent failed.
    Body(BodyError),
    /// An HTTP/2 stream broke.
    Http2(String),
    /// Path or query can't be said in the app's protocol.
    Target(String),
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const BROKEN: &str = "net/http: HTTP/1.x transport connection broken";
        match self {
            Self::Unreachable(text) | Self::Http2(text) | Self::Target(text) => f.write_str(text),
            Self::Eof => f.write_str("EOF"),
            Self::Io(what, error) => write!(f, "{what} tcp: {what}: {}", os_text(error)),
            Self::Malformed(error) => write!(f, "{BROKEN}: {error}"),
            Self::HeadTooLarge(limit) => write!(
                f,
                "{BROKEN}: net/http: server response headers exceeded {limit} bytes; aborted"
            ),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl AppError {
    /// The fault of a call: `Get "http://127.0.0.1:3000/x": EOF`.
    pub(crate) fn into_fault(self, verb: &str, url: &str) -> Fault {
        let kind = match &self {
            Self::Unreachable(_) => Kind::AppUnreachable,
            Self::Body(_) => Kind::BadBody,
            Self::Target(_) => Kind::BadField,
            _ => Kind::AppBroken,
        };
        let (first, rest) = verb.split_at(verb.len().min(1));
        let verb = format!("{first}{}", rest.to_lowercase());
        Fault::new(kind, format!("{verb} {}: {self}", quote(url)))
    }
}
