//! Being found on this host, and finding others: the same-host registry joined to the table, and
//! the probes that bring ejected instances back.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outrider_lookup::{
    Registry,
    registry::{Announcement, Entry},
    table::SAME_HOST,
};
use outrider_telemetry::log::scope;
use tokio::{task::spawn_local, time::Instant};

use crate::{link::connection::probe, shared::Shared};

/// The registry is watched even if we can't be listed in it, and the other way round.
pub(crate) fn watch(shared: &Shared) {
    let registry = Registry::new();
    match registry.watch(shared.table.source(SAME_HOST)) {
        Ok(watch) => {
            spawn_local(watch.run());
        }
        Err(error) => warn(&error),
    }
}

/// Lists us. Dropping what it returns takes us off again.
pub(crate) fn announce(shared: &Shared, internal_port: u16) -> Option<Announcement> {
    let plan = &shared.plan;
    let listen = &plan.listen;
    let host = match listen.internal_host.as_str() {
        "" | "0.0.0.0" | "[::]" | "::" | "localhost" => "127.0.0.1".to_owned(),
        host => bracketed(host),
    };
    let socket = listen.socket_folder.as_ref().map(|folder| {
        let path = folder.join(format!("dapr-{}-http.socket", plan.app_id));
        path.display().to_string()
    });
    let entry = Entry {
        app_id: plan.app_id.to_string(),
        namespace: plan.namespace.to_string(),
        pid: std::process::id(),
        address: format!("{host}:{internal_port}"),
        http_port: socket.is_none().then_some(listen.http_port),
        grpc_port: socket.is_none().then_some(listen.grpc_port),
        app_port: plan.app.as_ref().map(|app| app.port),
        metrics_port: listen.metrics.as_ref().map(|(_, port)| *port),
        http_socket: socket,
        started_unix_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0)),
        version: plan.version.to_owned(),
        ..Entry::default()
    };
    match Registry::new().announce(entry) {
        Ok(announcement) => Some(announcement),
        Err(error) => {
            warn(&error);
            None
        }
    }
}

/// IPv6 addresses stand in brackets where a port follows.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        return format!("[{host}]");
    }
    host.to_owned()
}

fn warn(error: &outrider_lookup::registry::Error) {
    tracing::warn!(
        target: scope::RUNTIME,
        "apps on this host can't be found through the same-host registry: {error}"
    );
}

/// Lists us again if somebody has cleaned the folder.
pub(crate) async fn keep(announcement: &mut Option<Announcement>) -> Infallible {
    let mut ticks = tokio::time::interval(Duration::from_secs(30));
    loop {
        ticks.tick().await;
        if let Some(announcement) = announcement
            && let Err(error) = announcement.ensure()
        {
            warn(&error);
        }
    }
}

/// Tries ejected instances again, one connection each time. Only an answer over it counts.
pub(crate) async fn probe_ejected(shared: Arc<Shared>) {
    loop {
        let instance = shared.table.next_probe().await;
        let shared = Arc::clone(&shared);
        spawn_local(async move {
            match probe(&instance).await {
                Ok(()) => instance.report_connected(),
                Err(_) => {
                    instance.eject(Instant::now());
                    // Sources that look on demand find out whether it is still there.
                    let namespace = instance.namespace().unwrap_or_default();
                    shared.table.ask(namespace, instance.app_id());
                }
            }
        });
    }
}
