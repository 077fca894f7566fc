//! A call handed to an app that speaks HTTP.

use outrider_core::{base64, path::push_escaped_path, quote::quote};
use outrider_wire::{
    Fields,
    envelope::Verb,
    grpc::{metadata::is_from_grpc, trace::to_text},
    headers::{strip_hop_by_hop, to_http},
};

use super::Arrival;
use crate::{
    app_channel::{App, AppRequest, Head, HttpApp, Rest},
    call::{Fault, Kind, Reply, Status, grpc::PROTOBUF},
    lane::Lane,
};

/// Sends the call as a request and waits for the head of its answer.
pub(super) async fn deliver(
    lane: &Lane,
    app: &App,
    http: &HttpApp,
    mut arrival: Arrival<'_>,
) -> Result<Reply, Fault> {
    if !arrival.has_extension {
        let text = "missing HTTP extension field";
        return Err(Fault::new(Kind::InvalidVerb, text));
    }
    let kind = Verb::from_i32(arrival.verb).unwrap_or_default();
    if matches!(kind, Verb::None | Verb::Connect) {
        return Err(Fault::new(Kind::InvalidVerb, "invalid HTTP verb"));
    }
    let verb = kind.as_str();
    // A body that turns out to be empty is none.
    let body = std::mem::take(&mut arrival.body).begun().await;
    let body = body.map_err(|error| Fault::new(Kind::BadBody, error.to_string()))?;
    check_percent(app.addr(), arrival.method)?;
    let length = declared_length(arrival.fields)?.or(arrival.length);
    let target = target(arrival.method, arrival.query);
    let failed = |error: crate::app_channel::AppError| {
        let path = String::from_utf8_lossy(&target);
        error.into_fault(verb, &format!("{}://{}{path}", app.scheme(), app.addr()))
    };
    let mut head = http
        .head(verb, &target, 512 + arrival.fields.text_len())
        .map_err(failed)?;
    push_fields(&mut head, lane, http, &arrival);
    let rest = Rest {
        verb,
        body,
        length,
        idempotent: !matches!(kind, Verb::Post | Verb::Patch),
    };
    let answer = http.send(AppRequest { head, rest }, app.slot().await).await;
    let answer = answer.map_err(failed)?;
    let mut fields = answer.fields;
    strip_hop_by_hop(&mut fields);
    let mut typed = false;
    // A length may be wrong, and the body says itself where it ends; of types the first counts.
    fields.retain(|name, _| match name.len() {
        14 => !name.eq_ignore_ascii_case(b"content-length"),
        12 => !name.eq_ignore_ascii_case(b"content-type") || !std::mem::replace(&mut typed, true),
        _ => true,
    });
    Ok(Reply {
        status: Status::Http(answer.status),
        fields,
        body: answer.body,
    })
}

/// A `%` that begins no escape is refused, as the reference's client does when it reads the URL it
/// has put together (pinned: `http-api.md` 4).
fn check_percent(addr: &str, method: &str) -> Result<(), Fault> {
    let bytes = method.as_bytes();
    let bad = (0..bytes.len()).find(|&at| {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        bytes[at] == b'%' && !(digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit))
    });
    let Some(at) = bad else {
        return Ok(());
    };
    let slash = if method.starts_with('/') { "" } else { "/" };
    let url = quote(&format!("http://{addr}{slash}{method}"));
    let escape: String = method[at..].chars().take(3).collect();
    let text = format!("parse {url}: invalid URL escape {}", quote(&escape));
    Err(Fault::new(Kind::BadField, text))
}

/// `/path?query` as a request line has it.
fn target(method: &str, query: &str) -> Vec<u8> {
    let mut target = Vec::with_capacity(method.len() + query.len() + 16);
    if !method.starts_with('/') {
        target.push(b'/');
    }
    push_escaped_path(&mut target, method.as_bytes());
    if !query.is_empty() {
        target.push(b'?');
        push_query(&mut target, query.as_bytes());
    }
    target
}

/// The query as the caller wrote it; bytes that can't stand in a request line are escaped, so that
/// a peer can't write another request into ours.
fn push_query(head: &mut Vec<u8>, query: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in query {
        if byte <= b' ' || byte == 0x7f || byte == b'#' {
            head.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        } else {
            head.push(byte);
        }
    }
}

/// The fields the app sees (contract `http-api.md` 6).
fn push_fields(head: &mut Head, lane: &Lane, http: &HttpApp, arrival: &Arrival<'_>) {
    let token = lane.shared.app_token.as_deref();
    let mut has_agent = false;
    let trace = to_http(arrival.fields, |name, value| {
        if name.eq_ignore_ascii_case(b"user-agent") {
            // One, or none if the client says so by an empty value.
            if !std::mem::replace(&mut has_agent, true) && !value.is_empty() {
                head.push(name, value);
            }
            return;
        }
        if token.is_none() || !name.eq_ignore_ascii_case(b"dapr-api-token") {
            head.push(name, value);
        }
    });
    if !has_agent {
        head.push(b"User-Agent", http.default_agent());
    }
    let content_type = match arrival.type_url.is_empty() {
        true => arrival.content_type,
        false => PROTOBUF.as_bytes(),
    };
    if !content_type.is_empty() {
        head.push(b"Content-Type", content_type);
    }
    if let Some(token) = token {
        head.push(b"Dapr-Api-Token", token.as_bytes());
    }
    let of_binary = trace
        .grpc_trace_bin
        .filter(|_| is_from_grpc(arrival.fields));
    let of_binary = of_binary
        .and_then(base64::decode)
        .and_then(|it| to_text(&it));
    let traceparent = of_binary.as_ref().map(|text| &text[..]);
    if let Some(traceparent) = traceparent.or(trace.traceparent) {
        head.push(b"Traceparent", traceparent);
        if let Some(tracestate) = trace.tracestate {
            head.push(b"Tracestate", tracestate);
        }
    }
}

/// The body length that travelled with the call.
fn declared_length(fields: &Fields) -> Result<Option<u64>, Fault> {
    let Some(value) = fields.get("content-length") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value).unwrap_or_default();
    match text.parse::<u64>() {
        Ok(length) if !text.starts_with('+') => Ok(Some(length)),
        _ => {
            let value = quote(&String::from_utf8_lossy(value));
            let text = format!("strconv.ParseInt: parsing {value}: invalid syntax");
            Err(Fault::new(Kind::BadField, text))
        }
    }
}
