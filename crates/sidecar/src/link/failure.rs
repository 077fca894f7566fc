//! Failures of the link in the words and codes a gRPC client would use.

use h2::{Reason, RecvStream};
use http::HeaderMap;
use outrider_wire::grpc::{Code, FrameError, decode_message, details};

use super::client::FAULT_TRAILER;
use crate::{
    call::{Fault, Kind, grpc::GrpcStatus},
    link::message::MessageError,
};

/// True if the far end surely did not look at the stream.
pub(crate) fn is_unprocessed(error: &h2::Error) -> bool {
    (error.is_go_away() && error.is_remote())
        || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

/// The status of a stream that broke.
pub(crate) fn status(error: &h2::Error) -> GrpcStatus {
    let code = match error.is_reset() && error.is_remote() {
        true => reset_code(error.reason()),
        false => Code::Unavailable,
    };
    GrpcStatus::new(code, text(error))
}

/// The status of a message stream that broke.
pub(crate) fn message_status(error: &MessageError) -> GrpcStatus {
    match error {
        MessageError::Stream(error) => status(error),
        MessageError::Frame(error) => frame_status(*error),
        MessageError::Cut => GrpcStatus::new(Code::Internal, error.to_string()),
    }
}

/// The status of bytes that are no messages, or too long ones.
pub(crate) fn frame_status(error: FrameError) -> GrpcStatus {
    let code = match error {
        FrameError::TooLarge { .. } => Code::ResourceExhausted,
        FrameError::Compressed | FrameError::Flag(_) => Code::Internal,
    };
    GrpcStatus::new(code, error.to_string())
}

/// A stream that failed before its answer. Some failures prove that the peer never looked at it.
pub(crate) fn unprocessed_or_lost(error: &h2::Error) -> Fault {
    if is_unprocessed(error) {
        return Fault::new(Kind::PeerUnprocessed, text(error));
    }
    lost(error)
}

/// A stream that failed while the peer may have been working on it.
pub(crate) fn lost(error: &h2::Error) -> Fault {
    if error.is_reset() && error.is_remote() {
        return Fault::new(Kind::PeerStatus(reset_code(error.reason())), text(error));
    }
    Fault::new(Kind::PeerLost, text(error))
}

/// The message of a broken stream.
pub(crate) fn text(error: &h2::Error) -> String {
    match (error.is_reset(), error.reason()) {
        (true, Some(reason)) => format!(
            "stream terminated by RST_STREAM with error code: {}",
            reason_name(reason)
        ),
        _ if error.is_go_away() && error.is_remote() => "the connection is draining".to_owned(),
        _ => format!("error reading from server: {}", io_text(error)),
    }
}

/// A broken connection as Go words it.
fn io_text(error: &h2::Error) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    match error.get_io().map(std::io::Error::kind) {
        Some(BrokenPipe | UnexpectedEof | NotConnected) => "EOF".to_owned(),
        Some(ConnectionReset) => "connection reset by peer".to_owned(),
        _ => error.to_string(),
    }
}

/// What is left of a message stream that broke.
pub(crate) fn message(error: &MessageError) -> Fault {
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
pub(crate) fn status_of(headers: &HeaderMap) -> Option<Fault> {
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
        .get(&FAULT_TRAILER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Some(fault)
}

/// The code in headers or trailers; nothing if there is none that can be read. Negative ones are
/// read, too, and written as what they are without a sign.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<i32> {
    let text = headers.get(&GRPC_STATUS)?.to_str().ok()?;
    text.parse().ok()
}

/// Whether trailers tell of a failure that can be read.
pub(crate) fn is_failure(trailers: &HeaderMap) -> bool {
    code_in(trailers).is_some_and(|code| code != Code::Ok.number())
}

/// The status in headers or trailers, details included; nothing if there is none.
pub(crate) fn status_in(headers: &HeaderMap) -> Option<GrpcStatus> {
    headers.get("grpc-status")?;
    let Some(code) = code_in(headers) else {
        let shown = headers
            .get("grpc-status")
            .map_or(&b""[..], |value| value.as_bytes());
        let digits = shown.strip_prefix(b"-").unwrap_or(shown);
        let why = match !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            true => "value out of range",
            false => "invalid syntax",
        };
        let shown = outrider_core::quote::quote(&String::from_utf8_lossy(shown));
        let text =
            format!("transport: malformed grpc-status: strconv.ParseInt: parsing {shown}: {why}");
        return Some(GrpcStatus::new(Code::Unknown, text));
    };
    let message = headers.get("grpc-message");
    let message = message.map_or_else(String::new, |value| {
        decode_message(value.as_bytes()).into_owned()
    });
    let details = headers.get("grpc-status-details-bin");
    let Some(told) = details.and_then(|value| details::decode(value.as_bytes())) else {
        return Some(GrpcStatus {
            code,
            message,
            details: Vec::new(),
        });
    };
    if told.code != code {
        let text = format!(
            "grpc-status-details-bin mismatch: grpc-status={code}, grpc-status-details-bin={{code: {}}}",
            told.code
        );
        return Some(GrpcStatus::new(Code::Internal, text));
    }
    Some(GrpcStatus {
        code,
        message: told.message,
        details: told.details,
    })
}

/// An answer that is none of gRPC.
pub(crate) fn not_grpc(head: &http::response::Parts) -> Option<GrpcStatus> {
    let content_type = head.headers.get(http::header::CONTENT_TYPE);
    let typed = content_type.is_some_and(|value| {
        let value = value.as_bytes();
        value.len() >= GRPC.len() && value[..GRPC.len()].eq_ignore_ascii_case(GRPC)
    });
    let status = head.status.as_u16();
    if typed && (status == 200 || head.headers.contains_key("grpc-status")) {
        return None;
    }
    let code = match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let phrase = head.status.canonical_reason().unwrap_or_default();
    let kind = match content_type {
        Some(value) => {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!(
                "transport: received unexpected content-type {}",
                outrider_core::quote::quote(&value)
            )
        }
        None => "malformed header: missing HTTP content-type".to_owned(),
    };
    let text = match typed {
        true => format!("unexpected HTTP status code received from server: {status} ({phrase})"),
        false => {
            format!("unexpected HTTP status code received from server: {status} ({phrase}); {kind}")
        }
    };
    Some(GrpcStatus::new(code, text))
}

/// Bytes of an answer that is none of gRPC that the caller is told.
const TOLD: usize = 1024;

/// The status of an answer that is none of gRPC, and what stands in it: mostly, that names the cause.
pub(crate) async fn told(mut status: GrpcStatus, mut recv: RecvStream) -> GrpcStatus {
    let mut data = Vec::new();
    while data.len() < TOLD
        && let Some(Ok(piece)) = recv.data().await
    {
        // Failing means that the stream has ended.
        let _ = recv.flow_control().release_capacity(piece.len());
        data.extend_from_slice(&piece);
    }
    data.truncate(TOLD);
    if !data.is_empty() {
        let shown = outrider_core::quote::quote(&String::from_utf8_lossy(&data));
        status.message += &format!("\ndata: {shown}");
    }
    status
}

static GRPC_STATUS: http::HeaderName = http::HeaderName::from_static("grpc-status");

const GRPC: &[u8] = b"application/grpc";

/// Trailers without a status, or with one that is no number.
pub(crate) fn no_status(trailers: &HeaderMap) -> GrpcStatus {
    status_in(trailers).unwrap_or_else(|| GrpcStatus::new(Code::Unknown, ""))
}

/// A stream that ended without trailers.
pub(crate) fn no_trailers() -> GrpcStatus {
    let text = "server closed the stream without sending trailers";
    GrpcStatus::new(Code::Internal, text)
}

/// How a gRPC client reads a reset (gRPC over HTTP/2, "Errors").
fn reset_code(reason: Option<Reason>) -> Code {
    match reason {
        Some(Reason::REFUSED_STREAM) => Code::Unavailable,
        Some(Reason::CANCEL) => Code::Canceled,
        Some(Reason::ENHANCE_YOUR_CALM | Reason::FLOW_CONTROL_ERROR) => Code::ResourceExhausted,
        Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        // Beyond what RFC 9113 names.
        Some(reason) if u32::from(reason) > u32::from(Reason::HTTP_1_1_REQUIRED) => Code::Unknown,
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
        Reason::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        Reason::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        Reason::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        Reason::CONNECT_ERROR => "CONNECT_ERROR",
        Reason::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        Reason::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        _ => "UNKNOWN",
    }
}
