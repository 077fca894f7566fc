//! What is remembered of a request until its answer has been sent: the source of its metrics and
//! of its log line.

use std::{rc::Rc, time::Instant};

use outrider_telemetry::log::scope;

use super::{Answer, Asked, finish, route::Route};
use crate::{
    http1::{Response, Sent},
    lane::Lane,
    metrics::HttpSeries,
    shared::InFlightGuard,
};

/// One request on the API or the public port.
pub(crate) struct Record {
    started: Instant,
    method: String,
    path: String,
    received: u64,
    status: u16,
    /// The log line, if one is to be written.
    line: Option<Line>,
    logged: bool,
    /// Nothing has been recorded yet.
    open: bool,
    lane: Rc<Lane>,
    _in_flight: InFlightGuard,
}

struct Line {
    method: String,
    agent: String,
}

impl Record {
    pub(super) fn new(lane: &Rc<Lane>, asked: &Asked) -> Self {
        let head = &asked.req.head;
        let length = head.fields.get("content-length").unwrap_or_default();
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.parse().ok());
        Self {
            started: Instant::now(),
            method: head.method().to_owned(),
            path: shortened(merged(&asked.path)),
            received: length.unwrap_or(0),
            status: 0,
            line: None,
            logged: false,
            open: true,
            lane: Rc::clone(lane),
            _in_flight: lane.shared.in_flight.begin(),
        }
    }

    /// The request has reached the innermost layer: from here it is logged.
    pub(super) fn log_from_here(&mut self) {
        self.logged = true;
    }

    /// Prepares the log line, if one is wanted for this route.
    pub(super) fn route(&mut self, route: &Route, asked: &Asked, log: Option<crate::plan::Log>) {
        let Some(log) = log.filter(|log| self.logged && !(log.omit_health && route.is_health()))
        else {
            return;
        };
        let agent = asked.req.head.fields.get("user-agent").unwrap_or_default();
        self.line = Some(Line {
            method: if log.obfuscate {
                route.name().to_owned()
            } else {
                format!("{} {}", self.method, asked.path)
            },
            agent: String::from_utf8_lossy(agent).into_owned(),
        });
    }

    /// Names the called app in an obfuscated log line.
    pub(super) fn target(&mut self, target: &str) {
        if let Some(line) = &mut self.line
            && line.method == "InvokeService"
        {
            line.method = format!("InvokeService/{target}");
        }
    }

    /// How long the request has been under way.
    pub(super) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// The answer with this record attached.
    pub(super) fn sealed(mut self, answer: Answer) -> Response<Option<Self>> {
        self.status = answer.status;
        if let Some(error) = answer.error {
            self.lane.metrics.error(error);
        }
        finish(answer, Some(self))
    }

    /// Records the request now that its answer has been sent.
    pub(super) fn finish(mut self, sent: Sent) {
        self.record(sent);
    }

    fn record(&mut self, sent: Sent) {
        self.open = false;
        let took = self.started.elapsed();
        let series = HttpSeries {
            method: &self.method,
            path: &self.path,
            status: self.status,
        };
        self.lane
            .metrics
            .http(&series, took, self.received, sent.bytes);
        if let Some(line) = &self.line {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let (code, size) = (u64::from(self.status), sent.bytes);
            if line.agent.is_empty() {
                tracing::info!(target: scope::RUNTIME_HTTP_INFO, method = %line.method, duration = took, code, size, "HTTP API Called");
            } else {
                tracing::info!(target: scope::RUNTIME_HTTP_INFO, method = %line.method, duration = took, code, size, useragent = %line.agent, "HTTP API Called");
            }
        }
    }
}

/// A client that left before its answer is recorded too, with the status 0 of an answer that never
/// was.
impl Drop for Record {
    fn drop(&mut self) {
        if self.open {
            self.status = 0;
            self.record(Sent::default());
        }
    }
}

/// Keys of state and names of secrets are left out, wherever the path begins.
fn shortened(mut path: String) -> String {
    let mut slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
    if let (Some(first), Some(second)) = (slashes.next(), slashes.next())
        && matches!(&path[first + 1..second], "state" | "secrets")
        && let Some(third) = slashes.next()
    {
        path.truncate(third);
    }
    path
}

/// The path label: double slashes merged, one in front (contract `observability.md` 5).
fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        merged.push('/');
    }
    for c in path.chars() {
        if !(c == '/' && merged.ends_with('/')) {
            merged.push(c);
        }
    }
    merged
}
