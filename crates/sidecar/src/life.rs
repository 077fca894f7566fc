//! The life of a sidecar: bind everything, serve, wait for the app, stop in order
//! (contract `lifecycle.md` 1 and 6).

mod start;
mod stop;

use std::{sync::Arc, time::Instant};

use outrider_telemetry::log::scope;
use tokio::sync::mpsc;

use crate::{
    app_channel::wait,
    control::{self, registry, signals::Signals},
    lanes::Running,
    plan::Plan,
    ready::Part,
    shared::Shared,
};

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Stopped,
    /// SIGHUP: live again with everything read anew.
    Restart,
    /// With that exit code; why has been logged.
    Exit(u8),
}

/// What the process knows of its host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address as others see it.
    pub address: String,
    /// Its name.
    pub name: String,
}

/// Lives through a plan. Blocks until the end.
pub fn live(plan: Plan, host: Host) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    match runtime {
        Ok(runtime) => {
            let end = runtime.block_on(run(plan, host));
            // What is left, a lane that hangs for example, does not hold the process.
            runtime.shutdown_background();
            end
        }
        Err(error) => fatal(&format!("no runtime: {error}")),
    }
}

/// Logs why the process ends, and says with which code.
fn fatal(why: &str) -> End {
    tracing::error!(target: scope::RUNTIME, fatal = true, "Fatal error from runtime: {why}");
    End::Exit(1)
}

async fn run(plan: Plan, host: Host) -> End {
    let started = Instant::now();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fatal(&format!("can't listen to signals: {error}")),
    };
    let bound = tokio::select! {
        bound = start::bind(&plan) => bound,
        // An end during the start is an end in good order.
        received = signals.next() => return stop::before_start(received),
    };
    let bound = match bound {
        Ok(bound) => bound,
        Err(error) => return fatal(&error.to_string()),
    };
    let (stop, stops) = mpsc::unbounded_channel();
    let shared = start::share(plan, host, stop);
    match start::serve(&shared, bound) {
        Ok(serving) => serve(shared, serving, stop::Reasons { signals, stops }, started).await,
        Err(error) => fatal(&error.to_string()),
    }
}

/// What runs while the sidecar serves.
struct Serving {
    lanes: Vec<Running>,
    internal_port: u16,
    /// Socket files, removed in the end.
    sockets: Vec<crate::bind::UnixBound>,
}

async fn serve(
    shared: Arc<Shared>,
    serving: Serving,
    mut reasons: stop::Reasons,
    started: Instant,
) -> End {
    let mut announcement = None;
    if shared.plan.registry {
        registry::watch(&shared);
        tokio::task::spawn_local(registry::probe_ejected(Arc::clone(&shared)));
    }
    let begin = async {
        wait::until_listening(&shared.plan).await;
        control::app::attend(&shared);
        if shared.plan.registry {
            announcement = registry::announce(&shared, serving.internal_port);
        }
        shared.ready.set(Part::Runtime);
        tracing::info!(
            target: scope::RUNTIME,
            "dapr initialized. Status: Running. Init Elapsed {}ms", started.elapsed().as_millis()
        );
        registry::keep(&mut announcement).await
    };
    let reason = tokio::select! {
        never = begin => match never {},
        reason = stop::reason(&shared, &mut reasons) => reason,
    };
    // First of all nobody finds us any more.
    drop(announcement);
    let _sockets = serving.sockets;
    stop::stop(&shared, reason, serving.lanes, &mut reasons).await
}
