//! The end: nobody finds us, calls under way finish, one deadline for everything.

use std::time::Duration;

use outrider_core::duration::GoDuration;
use outrider_telemetry::log::scope;
use tokio::sync::mpsc;

use super::End;
use crate::{
    control::signals::{Received, Signals},
    lanes::Running,
    ready::Part,
    shared::{Shared, Stop},
};

/// Why the end has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Signal(Received),
    Asked(Stop),
    /// Something that the sidecar can't live with; whoever ends it says what.
    Failed,
}

/// The answer to a forced shutdown is on its way this long.
const FORCED_PAUSE: Duration = Duration::from_millis(100);

/// What may end the process.
pub(super) struct Reasons {
    pub signals: Signals,
    pub stops: mpsc::UnboundedReceiver<Stop>,
}

impl Reasons {
    async fn next(&mut self) -> Reason {
        tokio::select! {
            received = self.signals.next() => Reason::Signal(received),
            // The sender lives in `shared`, so there is always one.
            Some(stop) = self.stops.recv() => Reason::Asked(stop),
        }
    }

    /// The next reason to end at once: a second signal, or a forced shutdown. A second SIGHUP is
    /// the same restart (contract `lifecycle.md` 7).
    async fn at_once(&mut self) -> Reason {
        loop {
            match self.next().await {
                Reason::Signal(Received::Hangup) | Reason::Asked(Stop::Api) => {}
                reason => return reason,
            }
        }
    }
}

/// Time for the news that we are gone to reach those who look names up.
const WITHDRAWN_PAUSE: Duration = Duration::from_millis(50);

/// Waits for a reason, says which it is, and holds the end back if that is asked for.
pub(super) async fn reason(shared: &Shared, reasons: &mut Reasons) -> Reason {
    let reason = reasons.next().await;
    match reason {
        Reason::Signal(received) => say(received),
        Reason::Asked(Stop::Api) => {
            tracing::info!(target: scope::API, "Shutdown requested via API");
        }
        Reason::Asked(Stop::Forced) => say_forced(),
        Reason::Failed => {}
    }
    match (reason, shared.plan.end.block) {
        (Reason::Signal(_), Some(block)) => hold(shared, block, reasons).await.unwrap_or(reason),
        _ => reason,
    }
}

fn say_forced() {
    tracing::warn!(
        target: scope::API,
        "Force shutdown requested, exiting immediately without graceful shutdown"
    );
}

fn say(received: Received) {
    let name = received.name();
    match received {
        Received::Hangup => {
            tracing::info!(target: scope::SIGNALS, "Received signal '{name}'; restarting");
        }
        _ => tracing::info!(target: scope::SIGNALS, "Received signal '{name}'; beginning shutdown"),
    }
}

/// Goes on as before until the time is over or the app is unhealthy. A reason to end at once is
/// returned.
async fn hold(shared: &Shared, block: Duration, reasons: &mut Reasons) -> Option<Reason> {
    let shown = GoDuration::from(block);
    tracing::info!(
        target: scope::RUNTIME,
        "Blocking graceful shutdown for {shown} or until app reports unhealthy..."
    );
    // Probes are to see that no new work should come (contract `http-api.md` 11).
    shared.ready.unset(Part::Security);
    tokio::select! {
        () = tokio::time::sleep(block) => {
            tracing::info!(target: scope::RUNTIME, "Block shutdown period expired, entering shutdown...");
        }
        () = shared.app_state.unhealthy() => {
            tracing::info!(target: scope::RUNTIME, "App reported unhealthy, entering shutdown...");
        }
        reason = reasons.at_once() => {
            if let Reason::Signal(received) = reason {
                say_second(received);
            } else {
                say_forced();
            }
            return Some(Reason::Asked(Stop::Forced));
        }
    }
    None
}

fn say_second(received: Received) {
    let name = received.name();
    tracing::error!(
        target: scope::SIGNALS, fatal = true,
        "Received signal '{name}' during shutdown; exiting immediately"
    );
}

/// An end before anything was served.
pub(super) fn before_start(received: Received) -> End {
    say(received);
    if received == Received::Hangup {
        return End::Restart;
    }
    tracing::info!(target: scope::RUNTIME, "Daprd shutdown gracefully");
    End::Stopped
}

/// Ends what runs.
pub(super) async fn stop(
    shared: &Shared,
    reason: Reason,
    lanes: Vec<Running>,
    reasons: &mut Reasons,
) -> End {
    if reason == Reason::Asked(Stop::Forced) {
        tokio::time::sleep(FORCED_PAUSE).await;
        return End::Exit(1);
    }
    for part in [Part::GrpcApi, Part::GrpcInternal, Part::Outbound] {
        shared.ready.unset(part);
    }
    tracing::info!(
        target: scope::RUNTIME,
        "Dapr is shutting down: {} calls under way", shared.in_flight.count()
    );
    // Nobody finds us any more, but some have just looked: they still get in.
    tokio::time::sleep(WITHDRAWN_PAUSE).await;
    shared.drain.send_replace(true);
    let ended = async {
        for lane in lanes {
            lane.ended().await;
        }
    };
    let limit = async {
        match shared.plan.end.grace {
            Some(grace) => tokio::time::sleep(grace).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = ended => {}
        reason = reasons.at_once() => {
            match reason {
                Reason::Signal(received) => say_second(received),
                Reason::Asked(_) | Reason::Failed => say_forced(),
            }
            return End::Exit(1);
        }
        () = limit => {
            tracing::error!(
                target: scope::RUNTIME, fatal = true,
                "Graceful shutdown timeout exceeded, forcing shutdown"
            );
            return End::Exit(1);
        }
    }
    tracing::info!(target: scope::RUNTIME, "Dapr runtime stopped");
    match reason {
        Reason::Signal(Received::Hangup) => return End::Restart,
        Reason::Failed => return End::Exit(1),
        _ => {}
    }
    tracing::info!(target: scope::RUNTIME, "Daprd shutdown gracefully");
    End::Stopped
}
