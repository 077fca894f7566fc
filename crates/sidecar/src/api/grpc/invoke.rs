//! `InvokeService`: the unary call that SDKs make over gRPC (contract `grpc-api.md` 4).

use std::rc::Rc;

use h2::RecvStream;
use http::{HeaderMap, HeaderValue, request::Parts, uri};
use outrider_core::{base64, path::normalize_method};
use outrider_wire::{
    Fields,
    r#gen::{common, google, runtime},
    grpc::{Code, metadata, status::code_from_http, trace},
    http1::reason,
};
use prost::Message;
use tokio::time::Instant;

use super::unary::{Asked, Ended, check_length, over, read};
use crate::{
    api::trace::{is_valid_traceparent, new_traceparent},
    app_channel::{App, Speaks},
    call::{
        Body, Call, Fault, Kind, Status, Target, fault::FAILED_CALL, grpc::GrpcStatus,
        request::GrpcOrigin, until::in_time,
    },
    lane::Lane,
    outbound::{self, Outcome},
};

/// Serves one call. Returns the code.
pub(super) async fn invoke(lane: &Rc<Lane>, asked: Asked) -> i32 {
    let deadline = asked.deadline;
    let work = async |parts, recv| {
        let called = in_time(deadline, call(lane, parts, recv, deadline)).await;
        over(called).unwrap_or_else(Ended::from)
    };
    asked.answer(work).await
}

async fn call(
    lane: &Rc<Lane>,
    parts: Parts,
    recv: RecvStream,
    deadline: Option<Instant>,
) -> Result<Ended, GrpcStatus> {
    let request: runtime::InvokeServiceRequest = read(lane, &parts.headers, recv).await?;
    let id = request.id.clone();
    let failed = |fault: &Fault| {
        lane.metrics.error(FAILED_CALL);
        fault.invoke_status(&id, id.split('.').next().unwrap_or_default())
    };
    let call = to_call(lane, &parts, request, deadline);
    let mut call = call.map_err(|fault| failed(&fault))?;
    let context = context(&call.fields);
    let reply = outbound::invoke(lane, &mut call, &mut Outcome::default()).await;
    let mut reply = reply.map_err(|fault| failed(&fault))?;
    let body = std::mem::take(&mut reply.body);
    let http_status = match reply.status {
        Status::Http(status) => Some(status),
        Status::Grpc(_) => None,
    };
    let mut headers = metadata::to_caller(&reply.fields, http_status);
    if let Some(context) = context {
        tell_context(&mut headers, &context);
    }
    // Of an error, the beginning is told.
    let limit = match http_status {
        Some(200..300) | None => lane.shared.limits.message,
        Some(_) => TOLD,
    };
    let body = match body.collect(limit).await {
        Ok(body) => body,
        Err(Ok(mut longer)) if limit == TOLD => longer.ready().await.unwrap_or_default(),
        Err(Ok(_)) => {
            let text = format!("grpc: trying to send message larger than max ({limit})");
            return Ok(Ended {
                headers,
                status: GrpcStatus::new(Code::ResourceExhausted, text),
                ..Ended::default()
            });
        }
        Err(Err(error)) => {
            let text = format!("failed to invoke, id: {id}, err: {error}");
            return Err(GrpcStatus::new(Code::Internal, text));
        }
    };
    let mut ended = Ended {
        headers,
        ..Ended::default()
    };
    let content_type = String::from_utf8_lossy(reply.content_type()).into_owned();
    let mut type_url = String::new();
    match reply.status {
        Status::Http(200..300) => {}
        Status::Http(status) => ended.status = app_status(status, &body),
        Status::Grpc(end) => {
            ended.trailers = metadata::to_caller_trailers(&end.trailers);
            metadata::copy_trace(&ended.headers, &mut ended.trailers);
            ended.status = end.status;
            type_url = end.type_url;
        }
    }
    if ended.status.is_ok() {
        let message = common::InvokeResponse {
            data: Some(google::protobuf::Any {
                type_url,
                value: body,
            }),
            content_type,
        };
        match check_length(lane, message.encoded_len()) {
            Ok(()) => ended.message = message.encode_to_vec().into(),
            Err(status) => ended.status = status,
        }
    }
    Ok(ended)
}

fn to_call(
    lane: &Lane,
    parts: &Parts,
    request: runtime::InvokeServiceRequest,
    deadline: Option<Instant>,
) -> Result<Call, Fault> {
    if request.id.is_empty() {
        return Err(Fault::new(Kind::InvalidTarget, "app id is empty"));
    }
    let target = Target::parse(&request.id, &lane.shared.plan.namespace)
        .map_err(|error| Fault::new(Kind::InvalidTarget, error.to_string()))?;
    let Some(message) = request.message else {
        return Err(no_message(lane, &target));
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
        verb,
        query,
        fields: fields(lane, parts),
        body: Body::whole(data.value),
        unsized_body: false,
        grpc: Some(GrpcOrigin {
            content_type: message.content_type,
            type_url: data.type_url,
            http_extension,
        }),
        deadline,
    })
}

/// The trace context that a call goes out with.
fn context(fields: &Fields) -> Option<[u8; trace::TEXT_LEN]> {
    let binary = fields.get("grpc-trace-bin").and_then(base64::decode);
    let binary = binary.and_then(|binary| trace::to_text(&binary));
    binary.or_else(|| {
        let text = fields
            .get("traceparent")
            .filter(|it| is_valid_traceparent(it))?;
        text.try_into().ok()
    })
}

/// Tells the caller the trace context, unless the app has told one of its own (contract
/// `grpc-api.md` 4.2).
fn tell_context(headers: &mut HeaderMap, context: &[u8]) {
    if headers.contains_key("traceparent") {
        return;
    }
    if let Ok(text) = HeaderValue::from_bytes(context) {
        let _ = headers.try_insert("traceparent", text);
    }
    let binary = trace::to_binary(context).map(|binary| base64::encode_unpadded(&binary));
    if let Some(Ok(binary)) = binary.map(|text| HeaderValue::from_str(&text)) {
        let _ = headers.try_insert("grpc-trace-bin", binary);
    }
}

/// A call without a call in it: each hop has its own word for that (contract `grpc-api.md` 4.7).
fn no_message(lane: &Lane, target: &Target) -> Fault {
    let plan = &lane.shared.plan;
    if let (true, Err(fault)) = (target.app_id == plan.app_id, lane.needs_app()) {
        return fault;
    }
    if target.app_id != plan.app_id || target.namespace != plan.namespace {
        let text = "parsing InternalInvokeRequest error: request does not contain the required \
                    fields in the leading chunk";
        return Fault::new(Kind::PeerStatus(Code::InvalidArgument), text);
    }
    match lane.app.as_ref().map(App::speaks) {
        Some(Speaks::Grpc) => Fault::new(Kind::BadField, "message is nil"),
        _ => Fault::new(Kind::InvalidVerb, "missing HTTP extension field"),
    }
}

/// The caller's metadata as it travels between sidecars, with a trace context if it has none.
fn fields(lane: &Lane, parts: &Parts) -> Fields {
    let api = &lane.shared.plan.api;
    let authority = parts.uri.authority().map(uri::Authority::as_str);
    let mut fields = metadata::from_caller(&parts.headers, authority, api.token.is_some());
    if api.tracing && context(&fields).is_none() {
        fields.set(b"traceparent", &new_traceparent(|| lane.random()));
    }
    fields
}

/// Bytes of an HTTP app's error that a gRPC client is told.
const TOLD: usize = 63;

/// An HTTP app's error as a gRPC status (contract `grpc-api.md` 4.3).
fn app_status(status: u16, body: &[u8]) -> GrpcStatus {
    let phrase = reason(status).unwrap_or_default();
    let told = GrpcStatus::new(code_from_http(status), phrase);
    match std::str::from_utf8(&body[..body.len().min(TOLD)]) {
        Ok(text) => told.with_info(phrase, status, text),
        Err(_) => told,
    }
}
