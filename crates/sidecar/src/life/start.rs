//! Binding and starting, in the order that leaves nothing half open.

use std::{collections::VecDeque, sync::Arc};

use outrider_lookup::Table;
use outrider_telemetry::log::scope;
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Host, Serving};
use crate::{
    bind::{self, PerLane, UnixBound, Wanted},
    control::metrics_page,
    lanes::{self, Door, Listener, Service},
    metadata::Metadata,
    metrics::Families,
    plan::Plan,
    ready::{Part, Ready},
    shared::{AppState, InFlight, Limits, Shared, Stop},
    stores::Stores,
};

/// Everything that listens, not yet serving.
pub(super) struct Bound {
    tcp: Vec<(Service, PerLane)>,
    unix: Vec<(Service, UnixBound)>,
    metrics: Option<std::net::TcpListener>,
    internal_port: u16,
}

/// Binds every port.
pub(super) async fn bind(plan: &Plan) -> Result<Bound, bind::Error> {
    let listen = &plan.listen;
    let lanes = plan.lanes;
    let internal = bind_internal(plan).await?;
    let internal_port = internal
        .first()
        .and_then(|sockets| sockets.first())
        .and_then(|socket| socket.local_addr().ok())
        .map_or(listen.internal_port, |addr| addr.port());
    let mut tcp: Vec<_> = internal
        .into_iter()
        .map(|s| (Service::Internal, s))
        .collect();
    let mut unix = Vec::new();
    match &listen.socket_folder {
        Some(folder) => {
            for (service, server, kind) in [
                (Service::Grpc, "API gRPC server", "grpc"),
                (Service::Http, "HTTP server", "http"),
            ] {
                let path = folder.join(format!("dapr-{}-{kind}.socket", plan.app_id));
                unix.push((service, bind::bind_unix(server, &path)?));
            }
        }
        None => {
            for (service, server, flag, port) in [
                (
                    Service::Grpc,
                    "API gRPC server",
                    "dapr-grpc-port",
                    listen.grpc_port,
                ),
                (
                    Service::Http,
                    "HTTP server",
                    "dapr-http-port",
                    listen.http_port,
                ),
            ] {
                let hosts = &listen.hosts[..];
                let bound = bind::bind(Wanted {
                    server,
                    flag,
                    hosts,
                    port,
                    lanes,
                })
                .await?;
                tcp.extend(bound.into_iter().map(|sockets| (service, sockets)));
            }
        }
    }
    if let Some((host, port)) = &listen.public {
        let bound = bind::bind(Wanted {
            server: "public HTTP server",
            flag: "dapr-public-port",
            hosts: std::slice::from_ref(host),
            port: *port,
            lanes,
        });
        tcp.extend(
            bound
                .await?
                .into_iter()
                .map(|sockets| (Service::Public, sockets)),
        );
    }
    Ok(Bound {
        tcp,
        unix,
        metrics: bind_metrics(plan).await?,
        internal_port,
    })
}

/// The internal port; one that was only computed gives way to any free one.
async fn bind_internal(plan: &Plan) -> Result<Vec<PerLane>, bind::Error> {
    let listen = &plan.listen;
    let wanted = Wanted {
        server: "internal gRPC server",
        flag: "dapr-internal-grpc-port",
        hosts: std::slice::from_ref(&listen.internal_host),
        port: listen.internal_port,
        lanes: plan.lanes,
    };
    if listen.internal_port_is_stable {
        let loopback = std::net::TcpListener::bind(("127.0.0.1", wanted.port));
        if loopback.is_err() {
            return bind::bind(Wanted { port: 0, ..wanted }).await;
        }
    }
    bind::bind(wanted).await
}

async fn bind_metrics(plan: &Plan) -> Result<Option<std::net::TcpListener>, bind::Error> {
    let Some((host, port)) = &plan.listen.metrics else {
        return Ok(None);
    };
    let bound = bind::bind(Wanted {
        server: "metrics server",
        flag: "metrics-port",
        hosts: std::slice::from_ref(host),
        port: *port,
        lanes: 1,
    });
    Ok(bound.await?.into_iter().flatten().next())
}

/// What all threads are to share.
pub(super) fn share(plan: Plan, host: Host, stop: mpsc::UnboundedSender<Stop>) -> Arc<Shared> {
    let api = &plan.api;
    let probed = plan.app.as_ref().is_some_and(|app| app.health.is_some());
    let slots = plan.app.as_ref().and_then(|app| app.max_concurrency);
    Arc::new(Shared {
        forwarded: forwarded(&host),
        host_address: host.address,
        hostname: host.name,
        limits: Limits {
            head: api.head_limit,
            body: api.body_limit.unwrap_or(u64::MAX),
            message: api.message_limit,
            envelope: api.message_limit.max(ENVELOPE_ROOM),
            app_head: APP_HEAD_LIMIT.max(api.head_limit),
        },
        app_token: api.app_token.clone(),
        table: Table::new(),
        ready: Ready::default(),
        stores: Stores::default(),
        metadata: Metadata::default(),
        families: Families::new(plan.metrics.clone()),
        app_state: AppState::new(!probed),
        app_slots: slots.map(|slots| Arc::new(Semaphore::new(slots))),
        in_flight: InFlight::default(),
        drain: watch::Sender::new(false),
        stop,
        plan,
    })
}

/// What an envelope may weigh however small the limit is: header fields of up to that.
const ENVELOPE_ROOM: usize = 1024 * 1024;

/// The head of an app's answer may be this long. The reference's 4 KiB refuse ordinary cookies.
const APP_HEAD_LIMIT: usize = 256 * 1024;

/// `for=<addr>;by=<addr>;host=<name>` (RFC 7239), parts without a value left out.
fn forwarded(host: &Host) -> String {
    let mut parts = Vec::new();
    if !host.address.is_empty() {
        let address = match host.address.contains(':') {
            true => format!("\"[{}]\"", host.address),
            false => host.address.clone(),
        };
        parts.push(format!("for={address};by={address}"));
    }
    if !host.name.is_empty() {
        parts.push(format!("host={}", host.name));
    }
    parts.join(";")
}

/// Starts the metrics page, which is there while components load.
pub(super) fn open_metrics(shared: &Arc<Shared>, mut bound: Bound) -> Bound {
    if let Some(listener) = bound.metrics.take() {
        let (host, port) = shared.plan.listen.metrics.clone().unwrap_or_default();
        tracing::info!(target: scope::RUNTIME, "metrics server started on {host}:{port}/");
        tokio::task::spawn_local(metrics_page::serve(listener, Arc::clone(shared)));
    }
    shared.ready.set(Part::Metrics);
    bound
}

/// Starts the lanes.
pub(super) fn serve(shared: &Arc<Shared>, bound: Bound) -> std::io::Result<Serving> {
    for warning in &shared.plan.warnings {
        tracing::warn!(target: scope::RUNTIME, "{warning}");
    }
    if shared.plan.end.grace.is_none() {
        tracing::warn!(
            target: scope::RUNTIME,
            "Graceful shutdown timeout is infinite, will wait indefinitely to shutdown"
        );
    }
    if shared.plan.app.is_none() {
        tracing::warn!(
            target: scope::RUNTIME,
            "App channel is not initialized. Did you configure an app-port?"
        );
    }
    let mut doors: Vec<Vec<Door>> = (0..shared.plan.lanes).map(|_| Vec::new()).collect();
    for (service, sockets) in bound.tcp {
        for (lane, socket) in sockets.into_iter().enumerate() {
            let listener = Listener::Tcp(socket);
            doors[lane % shared.plan.lanes].push(Door { service, listener });
        }
    }
    let mut sockets = Vec::new();
    for (service, mut unix) in bound.unix {
        if let Some(socket) = unix.listener.take() {
            for lane in &mut doors {
                let listener = Listener::Unix(socket.try_clone()?);
                lane.push(Door { service, listener });
            }
        }
        sockets.push(unix);
    }
    let doors = VecDeque::from(doors);
    let lanes = doors.into_iter().enumerate();
    let lanes = lanes.map(|(number, doors)| lanes::start(number, Arc::clone(shared), doors));
    let lanes = lanes.collect::<std::io::Result<Vec<_>>>()?;
    tell_ports(shared, bound.internal_port);
    for part in [
        Part::Security,
        Part::GrpcApi,
        Part::GrpcInternal,
        Part::Outbound,
    ] {
        shared.ready.set(part);
    }
    Ok(Serving {
        lanes,
        internal_port: bound.internal_port,
        sockets,
    })
}

fn tell_ports(shared: &Shared, internal_port: u16) {
    let listen = &shared.plan.listen;
    if listen.socket_folder.is_some() {
        tracing::info!(target: scope::RUNTIME, "API gRPC server is running on a Unix Domain Socket");
        tracing::info!(target: scope::RUNTIME, "HTTP server is running on a Unix Domain Socket");
    } else {
        tracing::info!(target: scope::RUNTIME, "API gRPC server is running on port {}", listen.grpc_port);
        tracing::info!(target: scope::RUNTIME, "HTTP server is running on port {}", listen.http_port);
    }
    let bytes = shared
        .plan
        .api
        .body_limit
        .map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
    tracing::info!(target: scope::RUNTIME, "The request body size parameter is: {bytes} bytes");
    tracing::info!(
        target: scope::RUNTIME,
        "Internal gRPC server is running on {}:{internal_port}", listen.internal_host
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_names_what_is_known() {
        let host = |address: &str, name: &str| Host {
            address: address.into(),
            name: name.into(),
        };
        assert_eq!(
            forwarded(&host("10.0.0.1", "h")),
            "for=10.0.0.1;by=10.0.0.1;host=h"
        );
        assert_eq!(
            forwarded(&host("fd00::1", "")),
            "for=\"[fd00::1]\";by=\"[fd00::1]\""
        );
        assert_eq!(forwarded(&host("", "")), "");
    }
}
