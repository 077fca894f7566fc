//! The API log line of a gRPC call (contract `grpc-api.md` 1).

use std::time::Instant;

use h2::RecvStream;
use http::{HeaderValue, Request, header};
use outrider_telemetry::log::scope;

/// A line that is written once the call has ended.
pub(super) struct Line {
    method: String,
    agent: String,
    started: Instant,
}

impl Line {
    /// Remembers who asks for what.
    pub(super) fn begin(req: &Request<RecvStream>) -> Self {
        let agent = req.headers().get(header::USER_AGENT);
        let agent = agent.map_or(&b""[..], HeaderValue::as_bytes);
        Self {
            method: req.uri().path().to_owned(),
            agent: String::from_utf8_lossy(agent).into_owned(),
            started: Instant::now(),
        }
    }

    /// Writes the line.
    pub(super) fn end(self, code: i32) {
        let took = self.started.elapsed().as_millis();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        let method = self.method.as_str();
        if self.agent.is_empty() {
            tracing::info!(target: scope::RUNTIME_GRPC_API_INFO, method = %method, duration = took, code = code, "gRPC API Called");
        } else {
            tracing::info!(target: scope::RUNTIME_GRPC_API_INFO, method = %method, useragent = %self.agent, duration = took, code = code, "gRPC API Called");
        }
    }
}
