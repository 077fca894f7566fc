//! Health probes of the app (contract `lifecycle.md` 3).

use outrider_telemetry::log::scope;
use outrider_wire::http1::push_field;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{AppRequest, Channel};
use crate::{call::Body, plan::Health, shared::AppState};

/// Counts probe results. Pure, so that its rules can be told apart from time and network.
#[derive(Debug)]
pub(crate) struct Judge {
    threshold: u32,
    /// Failures in a row; at the threshold the app is unhealthy.
    failures: u32,
}

impl Judge {
    /// Starts unhealthy: one success is needed.
    pub(crate) fn new(threshold: u32) -> Self {
        Self {
            threshold,
            failures: threshold,
        }
    }

    /// Takes a result; says what the app has become if that has changed.
    pub(crate) fn judge(&mut self, success: bool) -> Option<bool> {
        let was_healthy = self.failures < self.threshold;
        self.failures = if success {
            0
        } else {
            self.failures.saturating_add(1).min(self.threshold)
        };
        let is_healthy = self.failures < self.threshold;
        (is_healthy != was_healthy).then_some(is_healthy)
    }
}

/// Probes for ever. `healthy` is called each time the app becomes healthy.
pub(crate) async fn probe(
    channel: &Channel,
    health: &Health,
    state: &AppState,
    mut healthy: impl FnMut(),
) {
    tracing::info!(target: scope::APPHEALTH, "App health probes starting");
    let mut judge = Judge::new(health.threshold);
    let mut ticks = interval(health.interval);
    // A probe that comes late is left out.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let result = timeout(health.timeout, ask(channel, &health.path)).await;
        let failure = match result {
            Ok(Ok(200..=299)) => None,
            Ok(Ok(status)) => Some(format!("Health check failed with status code: {status}")),
            Ok(Err(error)) => Some(error),
            Err(_) => Some(format!("no answer within {:?}", health.timeout)),
        };
        match judge.judge(failure.is_none()) {
            Some(true) => {
                tracing::info!(target: scope::APPHEALTH, "App entered healthy status");
                state.set(true);
                healthy();
            }
            Some(false) => {
                let why = failure.unwrap_or_default();
                tracing::warn!(target: scope::APPHEALTH, "App entered un-healthy status: {why}");
                state.set(false);
            }
            None => {}
        }
    }
}

async fn ask(channel: &Channel, path: &str) -> Result<u16, String> {
    let mut head = format!("GET {path} HTTP/1.1\r\n").into_bytes();
    push_field(&mut head, b"Host", channel.addr().as_bytes());
    push_field(&mut head, b"User-Agent", b"Go-http-client/1.1");
    let req = AppRequest {
        head,
        verb: "GET",
        body: Body::Empty,
        length: None,
        idempotent: true,
    };
    let (head, body) = channel.send(req).await.map_err(|error| error.to_string())?;
    // Read, so that the connection can serve the next probe.
    let _ = body.collect(64 * 1024).await;
    Ok(head.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_success_makes_healthy_and_only_failures_in_a_row_make_unhealthy() {
        let mut judge = Judge::new(3);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(true), Some(true));
        for _ in 0..10 {
            assert_eq!(judge.judge(false), None);
            assert_eq!(judge.judge(false), None);
            assert_eq!(judge.judge(true), None);
        }
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), Some(false));
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(true), Some(true));
    }
}
