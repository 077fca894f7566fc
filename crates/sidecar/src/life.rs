//! The life of a sidecar: bind everything, serve, wait for the app, stop in order
//! (contract `lifecycle.md` 1 and 6).

mod start;
mod stop;

use std::{sync::Arc, time::Instant};

use outrider_telemetry::log::scope;
use tokio::sync::mpsc;

use crate::{
    app_channel::wait,
    components::Components,
    control::{self, mdns, registry, resolvers, signals::Signals},
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
    let bound = start::open_metrics(&shared, bound);
    let mut components = match Components::try_new(&shared) {
        Ok(components) => components,
        Err(why) => return fatal(&why),
    };
    let loaded = tokio::select! {
        loaded = components.load() => loaded,
        received = signals.next() => return stop::before_start(received),
    };
    if let Err(why) = loaded {
        return fatal(&why);
    }
    match start::serve(&shared, bound) {
        Ok(serving) => {
            let reasons = stop::Reasons { signals, stops };
            let life = Life {
                shared,
                serving,
                components,
                started,
            };
            serve(life, reasons).await
        }
        Err(error) => fatal(&error.to_string()),
    }
}

/// What a start leaves behind.
struct Life {
    shared: Arc<Shared>,
    serving: Serving,
    components: Components,
    started: Instant,
}

/// What runs while the sidecar serves.
struct Serving {
    lanes: Vec<Running>,
    internal_port: u16,
    /// Socket files, removed in the end.
    sockets: Vec<crate::bind::UnixBound>,
}

async fn serve(life: Life, mut reasons: stop::Reasons) -> End {
    let Life {
        shared,
        serving,
        mut components,
        started,
    } = life;
    let waiting = components.waiting();
    let (mut announcement, mut by_mdns) = (None, None);
    let mdns = shared.plan.mdns.then(|| mdns::start(&shared));
    let mut registrar = resolvers::start(&shared);
    if shared.plan.registry && shared.plan.resolver.is_mdns() {
        if !shared.plan.mdns {
            // mDNS knows no namespaces, so with it any is better than none. Without it all are
            // known.
            shared.table.keep_namespaces_apart();
        }
        registry::watch(&shared);
    }
    tokio::task::spawn_local(registry::probe_ejected(Arc::clone(&shared)));
    let begin = async {
        wait::until_listening(&shared.plan).await;
        control::app::attend(&shared);
        if shared.plan.registry {
            announcement = registry::announce(&shared, serving.internal_port);
        }
        by_mdns = mdns.and_then(|mdns| mdns::announce(&mdns, &shared, serving.internal_port));
        registrar.register(&shared, serving.internal_port);
        shared.ready.set(Part::Runtime);
        if let Some(waiting) = waiting {
            tracing::warn!(target: scope::RUNTIME, "{waiting}");
        }
        tracing::info!(
            target: scope::RUNTIME,
            "dapr initialized. Status: Running. Init Elapsed {}ms", started.elapsed().as_millis()
        );
        registry::keep(&mut announcement).await
    };
    let (reason, failed) = tokio::select! {
        never = begin => match never {},
        why = components.follow() => (stop::Reason::Failed, Some(why)),
        reason = stop::reason(&shared, &mut reasons) => (reason, None),
    };
    // First of all nobody finds us any more.
    drop((announcement, by_mdns));
    registrar.withdraw().await;
    let _sockets = serving.sockets;
    let end = stop::stop(&shared, reason, serving.lanes, &mut reasons).await;
    failed.map_or(end, |why| fatal(&why))
}
