//! A call that has reached the callee's sidecar: from here it goes to the app and nowhere else.
//! Calls of the app to itself enter here too, without a network in between.

use std::time::Duration;

use outrider_core::{path::push_escaped_path, quote::quote};
use outrider_wire::{
    Fields,
    envelope::Verb,
    headers::{strip_hop_by_hop, to_http},
    http1::push_field,
};

use crate::{
    app_channel::{AppRequest, http::FRAMING_ROOM},
    call::{Body, Fault, Kind, Reply},
    lane::Lane,
};

/// A request field that asks for the time of each hop in `Server-Timing` (W3C) of the answer.
pub(crate) const TIMING: &str = "outrider-timing";

/// Adds one hop's time, in milliseconds.
pub(crate) fn push_timing(fields: &mut Fields, hop: &str, took: Duration) {
    let millis = took.as_secs_f64() * 1000.0;
    fields.push(
        b"Server-Timing",
        format!("{hop};dur={millis:.3}").as_bytes(),
    );
}

/// A call for the app.
pub(crate) struct Arrival<'a> {
    /// Decoded, cleaned method path, without a leading slash.
    pub method: &'a str,
    /// HTTP verb.
    pub verb: Verb,
    /// Raw query without `?`.
    pub query: &'a str,
    /// Content type; empty if there is none.
    pub content_type: &'a [u8],
    /// The caller's fields as they travelled.
    pub fields: &'a Fields,
    /// Length of the body, if it did not travel among the fields.
    pub length: Option<u64>,
    /// The body.
    pub body: Body,
}

/// Hands the call to the app.
pub(crate) async fn deliver(lane: &Lane, arrival: Arrival<'_>) -> Result<Reply, Fault> {
    let Some(channel) = &lane.app else {
        let text = "cannot invoke local endpoint: app channel not initialized";
        return Err(Fault::new(Kind::NoApp, text));
    };
    if !lane.shared.app_state.is_healthy() {
        return Err(Fault::new(
            Kind::AppUnhealthy,
            "app is not in a healthy state",
        ));
    }
    if matches!(arrival.verb, Verb::None | Verb::Connect) {
        return Err(Fault::new(Kind::InvalidVerb, "invalid HTTP verb"));
    }
    let verb = arrival.verb.as_str();
    let mut arrival = arrival;
    // A body that turns out to be empty is none.
    arrival.body = arrival
        .body
        .begun()
        .await
        .map_err(|error| Fault::new(Kind::BadBody, error.to_string()))?;
    check_percent(channel.addr(), arrival.method)?;
    let length = declared_length(arrival.fields)?.or(arrival.length);
    let mut head = Vec::with_capacity(512 + arrival.fields.text_len());
    push_request_line(&mut head, verb, arrival.method, arrival.query);
    push_fields(&mut head, lane, &arrival, channel.addr());
    head.reserve(FRAMING_ROOM);
    let req = AppRequest {
        head,
        verb,
        body: arrival.body,
        length,
        idempotent: !matches!(arrival.verb, Verb::Post | Verb::Patch),
    };
    let (head, body) = channel.send(req).await.map_err(|error| {
        let mut line = Vec::new();
        push_request_line(&mut line, "", arrival.method, arrival.query);
        let line = String::from_utf8_lossy(&line);
        let path = line.trim_start().trim_end_matches(" HTTP/1.1\r\n");
        error.into_fault(verb, &format!("http://{}{path}", channel.addr()))
    })?;
    let mut fields = head.fields;
    strip_hop_by_hop(&mut fields);
    let mut typed = false;
    // A length may be wrong, and the body says itself where it ends; of types the first counts.
    fields.retain(|name, _| match name.len() {
        14 => !name.eq_ignore_ascii_case(b"content-length"),
        12 => !name.eq_ignore_ascii_case(b"content-type") || !std::mem::replace(&mut typed, true),
        _ => true,
    });
    Ok(Reply {
        status: head.status,
        fields,
        body,
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

/// Writes `VERB /path?query HTTP/1.1`.
fn push_request_line(head: &mut Vec<u8>, verb: &str, method: &str, query: &str) {
    head.extend_from_slice(verb.as_bytes());
    head.push(b' ');
    if !method.starts_with('/') {
        head.push(b'/');
    }
    push_escaped_path(head, method.as_bytes());
    if !query.is_empty() {
        head.push(b'?');
        push_query(head, query.as_bytes());
    }
    head.extend_from_slice(b" HTTP/1.1\r\n");
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
fn push_fields(head: &mut Vec<u8>, lane: &Lane, arrival: &Arrival<'_>, addr: &str) {
    push_field(head, b"Host", addr.as_bytes());
    let token = lane.shared.app_token.as_deref();
    let mut has_agent = false;
    let trace = to_http(arrival.fields, |name, value| {
        if name.eq_ignore_ascii_case(b"user-agent") {
            // One, or none if the client says so by an empty value.
            if !std::mem::replace(&mut has_agent, true) && !value.is_empty() {
                push_field(head, name, value);
            }
            return;
        }
        if token.is_none() || !name.eq_ignore_ascii_case(b"dapr-api-token") {
            push_field(head, name, value);
        }
    });
    if !has_agent {
        push_field(head, b"User-Agent", b"Go-http-client/1.1");
    }
    if !arrival.content_type.is_empty() {
        push_field(head, b"Content-Type", arrival.content_type);
    }
    if let Some(token) = token {
        push_field(head, b"Dapr-Api-Token", token.as_bytes());
    }
    if let Some(traceparent) = trace.traceparent {
        push_field(head, b"Traceparent", traceparent);
        if let Some(tracestate) = trace.tracestate {
            push_field(head, b"Tracestate", tracestate);
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
