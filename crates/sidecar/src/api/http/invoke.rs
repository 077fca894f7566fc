//! Invocation over HTTP: the three ways of naming the target, and the answer's way back
//! (contract `http-api.md` 3–9).

use std::{borrow::Cow, mem, rc::Rc, time::Duration};

use outrider_core::{
    path::{InvalidMethod, invoke_path, method_of_invoke_path, method_of_path},
    sniff,
};
use outrider_wire::{Fields, envelope::Verb, http1::Framing};

use super::{Answer, Asked, record::Record};
use crate::{
    call::{
        Body, BodyError, Call, Fault, Kind, Reply, Status, Target, body::prefixed,
        fault::FAILED_CALL, grpc::as_http, request::relayed,
    },
    http1::Sizing,
    inbound::{TIMING, push_timing},
    lane::Lane,
    outbound::{self, Outcome},
};

/// An answer that is not a success is sent with its length, if it is not longer than this.
const WHOLE_LIMIT: usize = 1024 * 1024;

const NO_TARGET: &str = "failed getting app id either from the URL path or the header dapr-app-id";

/// Answers a request that may be a call.
pub(super) async fn invoke(lane: &Rc<Lane>, asked: &mut Asked, record: &mut Record) -> Answer {
    let (shown, mut call) = match read(lane, asked) {
        Ok(read) => read,
        Err((shown, fault)) => return refuse(&fault, &shown, None),
    };
    record.target(&shown);
    let unsized_body = call.unsized_body;
    let timed = call.fields.contains(TIMING);
    let head = call.verb == Verb::Head.number();
    let events = call.wants_events();
    let app_id = call.target.app_id.clone();
    let mut outcome = Outcome::default();
    match outbound::invoke(lane, &mut call, &mut outcome).await {
        Ok(reply) => {
            let of_grpc_app = matches!(reply.status, Status::Grpc(_));
            let mut reply = as_http(reply);
            reply.fields = relayed(&reply);
            if events
                && !of_grpc_app
                && outcome.instance.is_some()
                && reply.status.is_http_success()
            {
                of_events(&mut reply.fields);
            }
            if timed {
                push_timing(&mut reply.fields, "link", outcome.took);
                push_timing(&mut reply.fields, "sidecar", record.elapsed());
            }
            match relay(reply, unsized_body || of_grpc_app, head).await {
                Ok(answer) => answer,
                Err(error) => {
                    // Nothing has been sent yet, so what happened can still be told.
                    let fault = Fault::new(Kind::AppBroken, error.to_string());
                    refuse(&fault, &shown, Some((&app_id, &outcome, record.elapsed())))
                }
            }
        }
        Err(fault) => refuse(&fault, &shown, Some((&app_id, &outcome, record.elapsed()))),
    }
}

/// Takes the call out of the request. An error comes with the target as far as it is known.
fn read(lane: &Lane, asked: &mut Asked) -> Result<(String, Call), (String, Fault)> {
    let (found, method) = match find_target(&asked.req.head.fields, &asked.path) {
        Some((found, method)) => (found, method),
        None => return Err((String::new(), Fault::new(Kind::NoTarget, NO_TARGET))),
    };
    let shown = found.shown.into_owned();
    if asked.garbled {
        let text = "error sending message: rpc error: code = Internal desc = grpc: error while \
                    marshaling: string field contains invalid UTF-8";
        return Err((shown, Fault::new(Kind::InvalidTarget, text)));
    }
    let method = match method {
        Ok(method) => method.into_owned(),
        Err(error) => {
            let fault = Fault::new(Kind::InvalidMethod, format!("invalid method: {error}"));
            return Err((shown, fault));
        }
    };
    let by_header = found.by_header;
    let target = match Target::parse(&shown, &lane.shared.plan.namespace) {
        Ok(target) => target,
        Err(error) => return Err((shown, Fault::new(Kind::InvalidTarget, error.to_string()))),
    };
    let verb = Verb::from(asked.req.head.method().as_bytes());
    if matches!(verb, Verb::None | Verb::Connect) {
        return Err((shown, Fault::new(Kind::InvalidVerb, "invalid HTTP verb")));
    }
    let unsized_body = asked.req.head.framing == Framing::Chunked;
    let mut fields = mem::take(&mut asked.req.head.fields);
    if by_header {
        fields.remove("dapr-app-id");
    }
    let call = Call {
        target,
        method,
        verb: verb.number(),
        query: mem::take(&mut asked.query),
        fields,
        body: mem::take(&mut asked.req.body),
        unsized_body,
        grpc: None,
        deadline: None,
    };
    Ok((shown, call))
}

/// A target as the request names it.
struct Found<'a> {
    shown: Cow<'a, str>,
    by_header: bool,
}

type Method<'a> = Result<Cow<'a, str>, InvalidMethod>;

/// The first of header, basic authentication and path that names a target (section 3).
fn find_target<'a>(fields: &'a Fields, path: &'a str) -> Option<(Found<'a>, Method<'a>)> {
    if let Some(id) = fields.get("dapr-app-id").filter(|id| !id.is_empty()) {
        let found = Found {
            shown: String::from_utf8_lossy(id),
            by_header: true,
        };
        return Some((found, method_of_path(path)));
    }
    if let Some(id) = fields.get("authorization").and_then(basic_target) {
        let found = Found {
            shown: Cow::Owned(id),
            by_header: false,
        };
        return Some((found, method_of_path(path)));
    }
    let (shown, method) = invoke_path(path)?;
    let found = Found {
        shown,
        by_header: false,
    };
    Some((found, method_of_invoke_path(method)))
}

/// The password of `Basic` credentials whose user is `dapr-app-id`.
fn basic_target(value: &[u8]) -> Option<String> {
    let decoded = outrider_core::base64::decode(value.strip_prefix(b"Basic ")?)?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    let named = user.eq_ignore_ascii_case("dapr-app-id") && !password.is_empty();
    (named && !password.contains(':')).then(|| password.to_owned())
}

/// The fields of an event stream from a peer (contract `sidecar-protocol.md` 6).
fn of_events(fields: &mut Fields) {
    fields.set(b"Content-Type", b"text/event-stream");
    fields.set(b"Cache-Control", b"no-cache");
    fields.set(b"Connection", b"keep-alive");
}

/// The answer of the app as the client gets it; an error if its body has broken already. One that
/// is `streamed` is never collected, whatever its status.
async fn relay(reply: Reply, streamed: bool, head: bool) -> Result<Answer, BodyError> {
    let Reply {
        status,
        mut fields,
        body,
    } = reply;
    let status = match status {
        Status::Http(status) => status,
        // Turned into HTTP's before.
        Status::Grpc(_) => 500,
    };
    let success = (200..400).contains(&status);
    // An answer that says "as you have it" describes no body (Go's server drops the type there).
    if status == 304 || fields.get("content-type").is_some_and(<[u8]>::is_empty) {
        fields.remove("content-type");
    }
    let has_type = status == 304 || fields.contains("content-type");
    if success || streamed {
        // What is encoded does not show what it is.
        let sniffs = !has_type && !head && !fields.contains("content-encoding");
        let body = if sniffs {
            sniffed(body, &mut fields).await?
        } else {
            body.begun().await?
        };
        return Ok(Answer {
            status,
            fields,
            body,
            sizing: Sizing::Chunked,
            close: false,
            error: None,
        });
    }
    if !has_type {
        fields.push(b"Content-Type", b"application/json");
    }
    let body = match body.collect(WHOLE_LIMIT).await {
        Ok(whole) => Body::whole(whole),
        Err(Ok(longer)) => longer,
        Err(Err(error)) => return Err(error),
    };
    Ok(Answer {
        status,
        fields,
        body,
        sizing: Sizing::Length,
        close: status == 101,
        // The reference counts what an app refuses as if it had failed.
        error: Some(FAILED_CALL),
    })
}

/// Gives a body without a type the one that Go's server would find in its first bytes.
async fn sniffed(mut body: Body, fields: &mut Fields) -> Result<Body, BodyError> {
    let Some(first) = body.data().await.transpose()? else {
        return Ok(Body::Empty);
    };
    let looked_at = &first[..first.len().min(sniff::LOOKED_AT)];
    fields.push(b"Content-Type", sniff::content_type(looked_at).as_bytes());
    Ok(prefixed(first, body))
}

/// Names where and how a call failed, beside the pinned body.
const FAULT_HEADER: &[u8] = b"Outrider-Fault";

/// The answer to a failed call.
fn refuse(fault: &Fault, shown: &str, made: Option<(&str, &Outcome, Duration)>) -> Answer {
    let app_id = made.map_or(shown, |(app_id, ..)| app_id);
    let mut answer = Answer::json(fault.status(), fault.body(shown, app_id));
    let mut facts = format!("{}; hop={}", fault.name(), fault.hop().name());
    if let Some((_, outcome, elapsed)) = made {
        if outcome.attempts > 0 {
            facts.push_str(&format!("; attempts={}", outcome.attempts));
        }
        if let Some(instance) = &outcome.instance {
            facts.push_str(&format!("; instance={}", instance.addr()));
        }
        facts.push_str(&format!("; elapsed={}ms", elapsed.as_millis()));
    }
    answer.fields.push(FAULT_HEADER, facts.as_bytes());
    answer.error = Some(FAILED_CALL);
    // A body that failed on its way in has left the connection in the middle of it.
    answer.close = fault.kind == Kind::BadBody;
    answer
}
