//! `InvokeService`: the unary call that SDKs make over gRPC (contract `grpc-api.md` 4).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, request::Parts};
use outrider_core::{base64, path::normalize_method};
use outrider_wire::{
    Fields,
    envelope::Verb,
    r#gen::{common, google, runtime},
    grpc::{Code, parse_timeout},
    http1::reason,
};
use prost::Message;

use super::{
    Status,
    unary::{answer, check_length, read, unless_reset},
};
use crate::{
    api::trace::{is_valid_traceparent, new_traceparent},
    call::{Body, Call, Fault, Kind, Reply, Target, fault::FAILED_CALL, request::GrpcOrigin},
    lane::Lane,
    outbound::{self, Outcome},
};

/// Serves one call.
pub(super) async fn invoke(
    lane: &Rc<Lane>,
    req: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, recv) = req.into_parts();
    match unless_reset(&mut respond, call(lane, parts, recv)).await {
        Some(Ok((headers, message))) => answer(&mut respond, headers, message).await,
        Some(Err((headers, status))) => status.send_with(&mut respond, headers),
        None => {}
    }
}

type Failed = (HeaderMap, Status);

async fn call(
    lane: &Rc<Lane>,
    parts: Parts,
    recv: RecvStream,
) -> Result<(HeaderMap, Bytes), Failed> {
    let bare = |status| (HeaderMap::new(), status);
    let request: runtime::InvokeServiceRequest =
        read(lane, &parts.headers, recv).await.map_err(bare)?;
    let id = request.id.clone();
    let failed = |fault: &Fault| {
        lane.metrics.error(FAILED_CALL);
        let text = if fault.retries > 0 {
            let app = id.split('.').next().unwrap_or_default();
            format!(
                "failed to invoke target {app} after {} retries. Error: {}",
                fault.retries,
                fault.text()
            )
        } else {
            fault.text()
        };
        let code = match fault.kind {
            Kind::DeadlineExceeded => Code::DeadlineExceeded,
            _ => Code::Internal,
        };
        bare(Status::new(
            code,
            format!("failed to invoke, id: {id}, err: {text}"),
        ))
    };
    let call = to_call(lane, &parts, request).map_err(|fault| failed(&fault))?;
    let limit = lane.shared.limits.message;
    let reply = outbound::invoke(lane, call, &mut Outcome::default())
        .await
        .map_err(|f| failed(&f))?;
    let (status, content_type) = (reply.status, content_type(&reply));
    let headers = headers(&reply);
    let body = match reply.body.collect(limit).await {
        Ok(body) => body,
        Err(Ok(_)) => {
            let text = format!("grpc: trying to send message larger than max ({limit})");
            return Err((headers, Status::new(Code::ResourceExhausted, text)));
        }
        Err(Err(error)) => {
            let text = format!("failed to invoke, id: {id}, err: {error}");
            return Err(bare(Status::new(Code::Internal, text)));
        }
    };
    if !(200..300).contains(&status) {
        return Err((headers, app_status(status, &body)));
    }
    let message = common::InvokeResponse {
        data: Some(google::protobuf::Any {
            type_url: String::new(),
            value: body,
        }),
        content_type,
    };
    match check_length(lane, message.encoded_len()) {
        Ok(()) => Ok((headers, message.encode_to_vec().into())),
        Err(status) => Err((headers, status)),
    }
}

fn to_call(
    lane: &Lane,
    parts: &Parts,
    request: runtime::InvokeServiceRequest,
) -> Result<Call, Fault> {
    if request.id.is_empty() {
        return Err(Fault::new(Kind::InvalidTarget, "app id is empty"));
    }
    let target = Target::parse(&request.id, &lane.shared.plan.namespace)
        .map_err(|error| Fault::new(Kind::InvalidTarget, error.to_string()))?;
    let Some(message) = request.message else {
        let text = "rpc error: code = InvalidArgument desc = missing HTTP extension field";
        return Err(Fault::new(Kind::BadField, text));
    };
    let method = normalize_method(&message.method)
        .map_err(|error| Fault::new(Kind::InvalidMethod, format!("invalid method: {error}")))?
        .into_owned();
    let extension = message.http_extension;
    let http_extension = extension.is_some();
    let (verb, query) = extension.map_or((0, String::new()), |e| (e.verb, e.querystring));
    let data = message.data.unwrap_or_default();
    Ok(Call {
        target,
        method,
        verb: Verb::from_i32(verb).unwrap_or_default(),
        query,
        fields: metadata(lane, parts),
        body: Body::whole(data.value),
        unsized_body: false,
        grpc: Some(GrpcOrigin {
            content_type: message.content_type,
            type_url: data.type_url,
            http_extension,
        }),
        deadline: parts
            .headers
            .get("grpc-timeout")
            .and_then(|value| parse_timeout(value.as_bytes()).ok())
            .map(|timeout| tokio::time::Instant::now() + timeout),
    })
}

/// The caller's metadata as the peer wire has it (contract `sidecar-protocol.md` 4.1).
fn metadata(lane: &Lane, parts: &Parts) -> Fields {
    let mut fields = Fields::with_capacity(512, parts.headers.len() + 4);
    if let Some(authority) = parts.uri.authority() {
        fields.push(b":authority", authority.as_str().as_bytes());
    }
    let has_token = lane.shared.plan.api.token.is_some();
    for (name, value) in &parts.headers {
        let name = name.as_str();
        match name {
            "te" | "grpc-timeout" | "grpc-encoding" | "host" => {}
            "dapr-api-token" if has_token => {}
            _ if name.ends_with("-bin") => {
                // Padding is optional in gRPC and wanted here.
                for part in value.as_bytes().split(|b| *b == b',') {
                    let mut text = part.trim_ascii().to_vec();
                    while !text.len().is_multiple_of(4) {
                        text.push(b'=');
                    }
                    fields.push(name.as_bytes(), &text);
                }
            }
            _ => fields.push(name.as_bytes(), value.as_bytes()),
        }
    }
    if lane.shared.plan.api.tracing
        && !fields.get("traceparent").is_some_and(is_valid_traceparent)
        && !fields.contains("grpc-trace-bin")
    {
        fields.set(b"traceparent", &new_traceparent(|| lane.random()));
    }
    fields
}

fn content_type(reply: &Reply) -> String {
    let value = reply.fields.get("content-type").unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// Header names that mean something to HTTP itself and travel under another name in gRPC
/// (contract `grpc-api.md` 4.4).
const PERMANENT: [&str; 28] = [
    "accept",
    "accept-charset",
    "accept-language",
    "accept-ranges",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "cache-control",
    "content-type",
    "content-length",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-schedule-tag-match",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "referer",
    "via",
    "warning",
];

/// The app's headers as metadata; what gRPC can't carry is left out.
fn headers(reply: &Reply) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(reply.fields.len() + 4);
    let mut put = |name: &str, value: &[u8]| {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    };
    for (name, value) in reply.fields.iter() {
        let lower = String::from_utf8_lossy(&name.to_ascii_lowercase()).into_owned();
        match lower.as_str() {
            "dapr-http-status" | "grpc-status" | "grpc-message" => {}
            name if PERMANENT.contains(&name) => put(&format!("dapr-{name}"), value),
            name => put(name, value),
        }
    }
    put("dapr-http-status", reply.status.to_string().as_bytes());
    if let Some(binary) = reply.fields.get("traceparent").and_then(trace_bin) {
        put(
            "grpc-trace-bin",
            base64::encode_unpadded(&binary).as_bytes(),
        );
    }
    headers
}

/// The binary form of a trace context (contract `observability.md` 7.1).
fn trace_bin(traceparent: &[u8]) -> Option<[u8; 29]> {
    let hex = |at: usize| {
        let digits = std::str::from_utf8(traceparent.get(at..at + 2)?).ok()?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut out = [0u8; 29];
    for (index, byte) in out[2..18].iter_mut().enumerate() {
        *byte = hex(3 + 2 * index)?;
    }
    out[18] = 1;
    for (index, byte) in out[19..27].iter_mut().enumerate() {
        *byte = hex(36 + 2 * index)?;
    }
    out[27] = 2;
    out[28] = hex(53)?;
    Some(out)
}

/// An HTTP app's error as a gRPC status (contract `grpc-api.md` 4.3).
fn app_status(status: u16, body: &[u8]) -> Status {
    let code = match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 => Code::Canceled,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Unknown,
    };
    let phrase = reason(status).unwrap_or_default();
    let told = Status::new(code, phrase);
    match std::str::from_utf8(&body[..body.len().min(63)]) {
        Ok(text) => told.with_info(phrase, status, text),
        Err(_) => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_context_in_both_forms() {
        let binary = trace_bin(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(binary[..3], [0, 0, 0x0a]);
        assert_eq!(binary[17..20], [0x9c, 1, 0xb7]);
        assert_eq!(binary[26..], [0x31, 2, 1]);
        assert_eq!(trace_bin(b"00-zz"), None);
    }

    #[test]
    fn permanent_headers_are_renamed() {
        let mut fields = Fields::default();
        fields.push(b"Content-Type", b"a/b");
        fields.push(b"X-One", b"1");
        fields.push(b"Dapr-Http-Status", b"9");
        let reply = Reply {
            status: 418,
            fields,
            body: Body::Empty,
        };
        let headers = headers(&reply);
        assert_eq!(headers["dapr-content-type"], "a/b");
        assert_eq!(headers["x-one"], "1");
        assert_eq!(headers["dapr-http-status"], "418");
        assert_eq!(headers.get_all("dapr-http-status").iter().count(), 1);
    }
}
