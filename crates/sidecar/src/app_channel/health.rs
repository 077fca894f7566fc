//! Health probes of the app (contract `lifecycle.md` 3).

use outrider_telemetry::log::scope;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{App, AppRequest, HttpApp, Rest, Speaks};
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
pub(crate) async fn probe(app: &App, health: &Health, state: &AppState, mut healthy: impl FnMut()) {
    tracing::info!(target: scope::APPHEALTH, "App health probes starting");
    let mut judge = Judge::new(health.threshold);
    let mut ticks = interval(health.interval);
    // A probe that comes late is left out.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let asked = async {
            match app.speaks() {
                Speaks::Http(http) => ask(http, &health.path).await,
                Speaks::Grpc => app.grpc.check_health().await.inspect_err(|error| {
                    tracing::error!(
                        target: scope::APPHEALTH,
                        "App health probe could not complete with error: {error}"
                    );
                }),
            }
        };
        let result = timeout(health.timeout, asked).await;
        let failure = match result {
            Ok(answer) => answer.err(),
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

/// An error tells why the app is not healthy.
async fn ask(http: &HttpApp, path: &str) -> Result<(), String> {
    let text = |error: super::AppError| error.to_string();
    let mut head = http.head("GET", path.as_bytes(), 64).map_err(text)?;
    head.push(b"User-Agent", http.default_agent());
    let rest = Rest {
        verb: "GET",
        body: Body::Empty,
        length: None,
        idempotent: true,
    };
    // Probes take no slot of the app.
    let answer = http
        .send(AppRequest { head, rest }, None)
        .await
        .map_err(text)?;
    // Read, so that the connection can serve the next probe.
    let _ = answer.body.collect(64 * 1024).await;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(format!("Health check failed with status code: {status}")),
    }
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
