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
}

/// The answer to a forced shutdown is on its way this long.
const FORCED_PAUSE: Duration = Duration::from_millis(100);

/// Waits for a reason, and says which it is.
pub(super) async fn reason(
    shared: &Shared,
    signals: &mut Signals,
    stops: &mut mpsc::UnboundedReceiver<Stop>,
) -> Reason {
    let reason = tokio::select! {
        received = signals.next() => Reason::Signal(received),
        // The sender lives in `shared`, so there is always one.
        Some(stop) = stops.recv() => Reason::Asked(stop),
    };
    match reason {
        Reason::Signal(received) => say(received),
        Reason::Asked(Stop::Api) => {
            tracing::info!(target: scope::API, "Shutdown requested via API");
        }
        Reason::Asked(Stop::Forced) => tracing::warn!(
            target: scope::API,
            "Force shutdown requested, exiting immediately without graceful shutdown"
        ),
    }
    if let (Reason::Signal(_), Some(block)) = (reason, shared.plan.end.block) {
        hold(shared, block, signals).await;
    }
    reason
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

/// Goes on as before until the time is over or the app is unhealthy.
async fn hold(shared: &Shared, block: Duration, signals: &mut Signals) {
    let shown = GoDuration::from(block);
    tracing::info!(
        target: scope::RUNTIME,
        "Blocking graceful shutdown for {shown} or until app reports unhealthy..."
    );
    tokio::select! {
        () = tokio::time::sleep(block) => {
            tracing::info!(target: scope::RUNTIME, "Block shutdown period expired, entering shutdown...");
        }
        () = shared.app_state.unhealthy() => {
            tracing::info!(target: scope::RUNTIME, "App reported unhealthy, entering shutdown...");
        }
        received = signals.next() => say(received),
    }
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
    signals: &mut Signals,
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
        received = signals.next() => {
            let name = received.name();
            tracing::error!(
                target: scope::SIGNALS, fatal = true,
                "Received signal '{name}' during shutdown; exiting immediately"
            );
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
    if reason == Reason::Signal(Received::Hangup) {
        return End::Restart;
    }
    tracing::info!(target: scope::RUNTIME, "Daprd shutdown gracefully");
    End::Stopped
}
