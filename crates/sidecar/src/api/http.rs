//! The HTTP API: what a request passes on its way in, and the routes.
//!
//! The order is the reference's (contract `http-api.md` 1): trace context, metrics, CORS, token,
//! log, routing. A family of routes has a file of its own; it decodes, calls, encodes.

mod connection;
mod health;
mod invoke;
mod metadata;
pub(crate) mod missing;
pub(crate) mod public;
mod record;
mod route;
mod shutdown;
mod state;

use std::{mem, rc::Rc};

use outrider_core::path::{BadPath, clean, decode_path};
use outrider_wire::Fields;

use crate::{
    api::trace::{is_valid_traceparent, new_traceparent},
    call::{Body, fault::error_body},
    http1::{Handler, Request, Response, Sent, Sizing},
    lane::Lane,
    metrics::ErrorCode,
};

pub(crate) use connection::serve;
pub(crate) use record::Record;
use route::Route;

/// The API as one connection sees it.
pub(crate) struct Api {
    lane: Rc<Lane>,
}

/// An answer without what is remembered of its request.
pub(crate) struct Answer {
    pub status: u16,
    pub fields: Fields,
    pub body: Body,
    pub sizing: Sizing,
    pub close: bool,
    /// Set where metrics are to count an error.
    pub error: Option<ErrorCode>,
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            fields: Fields::default(),
            body: Body::Empty,
            sizing: Sizing::Length,
            close: false,
            error: None,
        }
    }

    /// An error of the API itself.
    pub(crate) fn error(status: u16, error: ErrorCode, message: &str) -> Self {
        let mut answer = Self::json(status, error_body(error.name, message));
        answer.error = Some(error);
        answer
    }

    /// Another method than those of the route.
    pub(crate) fn wrong_method(allowed: &[&str]) -> Self {
        let mut answer = Self::empty(405);
        for method in allowed {
            answer.fields.push(b"Allow", method.as_bytes());
        }
        answer
    }

    /// A JSON document.
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        let mut answer = Self::empty(status);
        answer.fields.push(b"Content-Type", b"application/json");
        answer.body = Body::whole(body.into());
        answer
    }

    /// A plain text for people, as Go's `http.Error` sends it.
    pub(crate) fn text(status: u16, text: &str) -> Self {
        let mut answer = Self::empty(status);
        answer
            .fields
            .push(b"Content-Type", b"text/plain; charset=utf-8");
        answer.fields.push(b"X-Content-Type-Options", b"nosniff");
        answer.body = Body::whole(format!("{text}\n").into());
        answer
    }
}

/// A request with its target taken apart.
pub(crate) struct Asked {
    /// The request.
    pub req: Request,
    /// Escaped path as written.
    pub raw_path: String,
    /// Decoded path, not cleaned.
    pub path: String,
    /// Raw query.
    pub query: String,
    /// The decoded path was no text; what is in `path` stands for it.
    pub garbled: bool,
}

impl Handler for Api {
    type Record = Option<Record>;

    async fn handle(&self, req: Request) -> Response<Self::Record> {
        if req.head.target() == "*" && req.head.method() == "OPTIONS" {
            return finish(Answer::empty(200), None);
        }
        match take_apart(req) {
            Ok(mut asked) => self.answer(&mut asked).await,
            Err(answer) => finish(answer, None),
        }
    }

    fn finished(&self, record: Self::Record, sent: Sent) {
        if let Some(record) = record {
            record.finish(sent);
        }
    }
}

impl Api {
    pub(crate) fn new(lane: Rc<Lane>) -> Self {
        Self { lane }
    }

    async fn answer(&self, asked: &mut Asked) -> Response<Option<Record>> {
        let api = &self.lane.shared.plan.api;
        let mut record = Record::new(&self.lane, asked);
        let traced = api.tracing && !asked.path.contains("/healthz");
        let mut extra = Fields::default();
        if traced && let Err(answer) = trace(&self.lane, asked, &mut extra) {
            return record.sealed(answer);
        }
        if let Some(origins) = &api.origins {
            let fields = &asked.req.head.fields;
            let method = fields
                .get("access-control-request-method")
                .unwrap_or_default();
            if asked.req.head.method() == "OPTIONS" && !method.is_empty() {
                let mut answer = Answer::empty(200);
                answer.fields = origins.preflight(fields);
                return record.sealed(answer);
            }
            origins.answer(fields, asked.req.head.method(), &mut extra);
        }
        if let Some(token) = &api.token
            && !is_token_exempt(asked)
        {
            let shown = asked
                .req
                .head
                .fields
                .get("dapr-api-token")
                .unwrap_or_default();
            if !super::is_same_secret(shown, token.as_bytes()) {
                let mut answer = Answer::text(401, "invalid api token");
                add(&mut answer.fields, &extra);
                return record.sealed(answer);
            }
            asked.req.head.fields.remove("dapr-api-token");
        }
        record.log_from_here();
        let mut answer = self.route(asked, &mut record).await;
        add_trace(&mut answer.fields, &extra);
        record.sealed(answer)
    }

    async fn route(&self, asked: &mut Asked, record: &mut Record) -> Answer {
        let shared = &self.lane.shared;
        let route = Route::of(
            asked.req.head.method(),
            &asked.raw_path,
            &shared.plan.api.routes,
        );
        record.route(&route, asked, shared.plan.api.log);
        match route {
            Route::Healthz => health::healthz(shared, &asked.query),
            Route::HealthzOutbound => health::outbound(shared),
            Route::Metadata => metadata::read(shared),
            Route::PutMetadata(key) => {
                metadata::write(shared, key, mem::take(&mut asked.req.body)).await
            }
            Route::Shutdown => shutdown::shutdown(shared, &asked.req.head.fields),
            Route::State(store, wish) => state::state(&self.lane, asked, &store, wish).await,
            Route::Invoke => invoke::invoke(&self.lane, asked, record).await,
            Route::Missing => missing::answer(),
            Route::WrongMethod(allowed) => Answer::wrong_method(allowed),
            Route::Nothing => Answer::text(404, "404 page not found"),
        }
    }
}

pub(crate) fn finish<R>(answer: Answer, record: R) -> Response<R> {
    Response {
        status: answer.status,
        fields: answer.fields,
        body: answer.body,
        sizing: answer.sizing,
        close: answer.close,
        record,
    }
}

/// Splits the request target; refuses what the reference's server refuses before any handler.
pub(crate) fn take_apart(req: Request) -> Result<Asked, Answer> {
    let target = req.head.target();
    // An absolute form names us, whatever host it gives; an authority (CONNECT) has no path.
    let origin = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            &rest[rest.find(['/', '?']).unwrap_or(rest.len())..]
        }
        _ if !target.starts_with('/') => "",
        _ => target,
    };
    let (raw_path, query) = origin.split_once('?').unwrap_or((origin, ""));
    let path = match decode_path(raw_path) {
        Ok(path) => (path.into_owned(), false),
        Err(BadPath::NotUtf8) => (raw_path.to_owned(), true),
        Err(BadPath::Escape(_)) => return Err(bad_request()),
    };
    let (path, garbled) = path;
    let (raw_path, query) = (raw_path.to_owned(), query.to_owned());
    let mut req = req;
    let fields = &mut req.head.fields;
    if fields.get("pragma") == Some(b"no-cache") && !fields.contains("cache-control") {
        // The older spelling of the same wish; servers in Go complete it.
        fields.push(b"Cache-Control", b"no-cache");
    }
    Ok(Asked {
        req,
        raw_path,
        path,
        query,
        garbled,
    })
}

/// The answer to a request that is none.
fn bad_request() -> Answer {
    let mut answer = Answer::empty(400);
    answer
        .fields
        .push(b"Content-Type", b"text/plain; charset=utf-8");
    answer.body = Body::whole(bytes::Bytes::from_static(b"400 Bad Request"));
    answer.close = true;
    answer
}

/// Checks baggage, and gives a request without trace context one. What the answer repeats goes
/// into `extra`.
fn trace(lane: &Lane, asked: &mut Asked, extra: &mut Fields) -> Result<(), Answer> {
    let fields = &mut asked.req.head.fields;
    match crate::api::trace::baggage(fields) {
        Ok(None) => {}
        Ok(Some(baggage)) => extra.push(b"Baggage", &baggage),
        Err(reason) => {
            return Err(Answer::text(
                400,
                &format!("invalid baggage header: {reason}"),
            ));
        }
    }
    match fields.get("traceparent") {
        Some(value) if is_valid_traceparent(value) => {
            extra.push(b"Traceparent", value);
            if let Some(state) = fields.get("tracestate").filter(|state| state.len() <= 512) {
                extra.push(b"Tracestate", state);
            }
        }
        Some(_) => extra.push(b"Traceparent", &new_traceparent(|| lane.random())),
        None => {
            // State without the context that it belongs to means nothing.
            fields.remove("tracestate");
            let made = new_traceparent(|| lane.random());
            extra.push(b"Traceparent", &made);
            fields.push(b"Traceparent", &made);
        }
    }
    Ok(())
}

fn add(fields: &mut Fields, extra: &Fields) {
    for (name, value) in extra.iter() {
        fields.push(name, value);
    }
}

/// Adds the door's own fields; the app's trace context, if it sent one, stays.
fn add_trace(fields: &mut Fields, extra: &Fields) {
    let has = fields.contains("traceparent");
    for (name, value) in extra.iter() {
        if !(has && (name == b"Traceparent" || name == b"Tracestate")) {
            fields.push(name, value);
        }
    }
}

/// Health is open to everybody. The route must also be the one that is then served, which the
/// cleaned escaped path decides (contract `http-api.md` 13, Weakness).
fn is_token_exempt(asked: &Asked) -> bool {
    let is_health = |path: &str| {
        matches!(
            path.trim_matches('/'),
            "v1.0/healthz" | "v1.0/healthz/outbound"
        )
    };
    asked.req.head.method() == "GET" && is_health(&asked.path) && is_health(&clean(&asked.raw_path))
}
