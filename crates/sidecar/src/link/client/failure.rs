//! Failures of the link in the words and codes a gRPC client would use.

use h2::Reason;
use http::HeaderMap;
use outrider_wire::grpc::{Code, FrameError, decode_message};

use super::FAULT_TRAILER;
use crate::{
    call::{Fault, Kind},
    link::message::MessageError,
};

/// A stream that failed before its answer. Some failures prove that the peer never looked at it.
pub(super) fn unprocessed_or_lost(error: &h2::Error) -> Fault {
    let unprocessed = (error.is_go_away() && error.is_remote())
        || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM));
    if unprocessed {
        return Fault::new(Kind::PeerUnprocessed, text(error));
    }
    lost(error)
}

/// A stream that failed while the peer may have been working on it.
pub(super) fn lost(error: &h2::Error) -> Fault {
    if error.is_reset() && error.is_remote() {
        return Fault::new(Kind::PeerStatus(reset_code(error.reason())), text(error));
    }
    Fault::new(Kind::PeerLost, text(error))
}

/// The message of a broken stream.
pub(super) fn text(error: &h2::Error) -> String {
    match (error.is_reset(), error.reason()) {
        (true, Some(reason)) => format!(
            "stream terminated by RST_STREAM with error code: {}",
            reason_name(reason)
        ),
        _ if error.is_go_away() => "the connection is draining".to_owned(),
        _ => format!("error reading from server: {error}"),
    }
}

/// What is left of a message stream that broke.
pub(super) fn message(error: &MessageError) -> Fault {
    match error {
        MessageError::Stream(error) => lost(error),
        MessageError::Frame(error @ FrameError::TooLarge { .. }) => {
            Fault::new(Kind::PeerStatus(Code::ResourceExhausted), error.to_string())
        }
        MessageError::Frame(error) => {
            Fault::new(Kind::PeerStatus(Code::Internal), error.to_string())
        }
        MessageError::Cut => Fault::new(Kind::PeerStatus(Code::Internal), "unexpected EOF"),
    }
}

/// The fault in headers or trailers; nothing if the status is OK or absent.
pub(super) fn status_of(headers: &HeaderMap) -> Option<Fault> {
    let status = headers.get("grpc-status")?;
    let number: Option<i32> = status.to_str().ok().and_then(|text| text.parse().ok());
    let code = match number.and_then(Code::from_i32) {
        Some(Code::Ok) => return None,
        Some(code) => code,
        None => Code::Unknown,
    };
    let message = headers
        .get("grpc-message")
        .map(|value| decode_message(value.as_bytes()).into_owned());
    let mut fault = Fault::new(Kind::PeerStatus(code), message.unwrap_or_default());
    fault.peer_kind = headers
        .get(FAULT_TRAILER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Some(fault)
}

/// How a gRPC client reads a reset (gRPC over HTTP/2, "Errors").
fn reset_code(reason: Option<Reason>) -> Code {
    match reason {
        Some(Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(Reason::CANCEL) => Code::Canceled,
        Some(Reason::ENHANCE_YOUR_CALM | Reason::FLOW_CONTROL_ERROR) => Code::ResourceExhausted,
        Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::NO_ERROR => "NO_ERROR",
        Reason::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        Reason::INTERNAL_ERROR => "INTERNAL_ERROR",
        Reason::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        Reason::STREAM_CLOSED => "STREAM_CLOSED",
        Reason::REFUSED_STREAM => "REFUSED_STREAM",
        Reason::CANCEL => "CANCEL",
        Reason::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        _ => "UNKNOWN",
    }
}
