//! Waiting until the app listens (contract `lifecycle.md` 2).

use std::time::Duration;

use outrider_telemetry::log::scope;
use outrider_trust::Connector;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    link::connect::{ConnectError, connect},
    plan::Plan,
};

const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPT: Duration = Duration::from_millis(500);

/// A log line after so many failures.
const REMIND_EVERY: u32 = 100;

/// Returns once the app accepts connections. There is no limit: an app may take its time.
pub(crate) async fn until_listening(plan: &Plan) {
    let Some(app) = &plan.app else {
        return;
    };
    tracing::info!(
        target: scope::RUNTIME,
        "application protocol: {}. waiting on port {}.  This will block until the app is listening on that port.",
        plan.app_protocol, app.port
    );
    let tls = app.is_secure().then(|| Connector::unverified(&[]));
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0u32;
    let mut told = false;
    loop {
        ticks.tick().await;
        // Success closes the connection at once; nothing is sent.
        // A TLS app has to shake hands, too.
        let connected = connect(&app.addr, tls.as_ref(), ATTEMPT).await;
        if let Err(ConnectError::Tls(why)) = &connected
            && !std::mem::replace(&mut told, true)
        {
            tracing::warn!(
                target: scope::RUNTIME,
                "something listens on port {} and speaks no TLS that we can use: {why} \
                 (--app-protocol says {})",
                app.port, plan.app_protocol
            );
        }
        if connected.is_ok() {
            tracing::info!(target: scope::RUNTIME, "application discovered on port {}", app.port);
            return;
        }
        failures += 1;
        if failures.is_multiple_of(REMIND_EVERY) {
            tracing::info!(
                target: scope::RUNTIME,
                "waiting for application to listen on port {}", app.port
            );
        }
    }
}
