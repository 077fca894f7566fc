//! One connection of a gRPC app: accepting streams, and its end.

use std::sync::Arc;

use bytes::Bytes;
use h2::{Reason, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::app::{GrpcCall, Shared, lock};
use super::running::Running;
use super::script::GrpcScript;

/// What sidecars ask apps on their own account.
const INTERNAL_HTTP: [&str; 2] = ["/dapr/config", "/healthz"];
const INTERNAL: [&str; 2] = [
    "/dapr.proto.runtime.v1.AppCallback/List",
    "/dapr.proto.runtime.v1.AppCallbackAlpha/",
];

/// What a script wants of its connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Control {
    GoAway(Reason),
    Cut,
}

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with this task: the set aborts them when it is dropped.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // Latency only; failing is harmless.
        let _ = stream.set_nodelay(true);
        let number = shared.seen.change(|seen| {
            seen.open.push(true);
            seen.open.len() - 1
        });
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Whoever only looks whether the port is open is nobody to refuse.
            let talks = stream.peek(&mut [0]).await.is_ok_and(|n| n > 0);
            let refusal = talks.then(|| lock(&shared.refusals).pop_front()).flatten();
            match refusal {
                Some(refusal) => {
                    // The other side hangs up; that is how it ends.
                    let _ = refusal.act(stream).await;
                }
                None => serve(stream, number, &shared).await,
            }
            shared.seen.change(|seen| seen.open[number] = false);
        });
    }
}

async fn serve(stream: TcpStream, number: usize, shared: &Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let mut settings = server::Builder::new();
    settings.initial_connection_window_size(super::CONNECTION_WINDOW);
    settings.max_header_list_size(1 << 20);
    settings.max_local_error_reset_streams(None);
    settings.max_pending_accept_reset_streams(100_000);
    if let Some(streams) = shared.settings.streams {
        settings.max_concurrent_streams(streams);
    }
    if let Some(window) = shared.settings.window {
        settings.initial_window_size(window);
    }
    let Ok(mut conn) = settings.handshake::<_, Bytes>(stream).await else {
        // A probe of the port, most likely.
        return;
    };
    let (control, mut wanted) = mpsc::unbounded_channel();
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            next = conn.accept() => {
                let Some(Ok((req, respond))) = next else { return };
                let (head, body) = req.into_parts();
                let call = GrpcCall {
                    method: head.method.to_string(),
                    path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                    authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
                    metadata: head.headers,
                    connection: number,
                    ..GrpcCall::default()
                };
                let script = script_for(&call, shared);
                let recorded = script.is_some();
                let script = script.unwrap_or_else(|| unserved(&call));
                let running = Running::new(call, recorded, shared, (body, respond));
                let control = control.clone();
                calls.spawn(running.run(script, control));
            }
            Some(control) = wanted.recv() => match control {
                Control::GoAway(Reason::NO_ERROR) => conn.graceful_shutdown(),
                Control::GoAway(reason) => conn.abrupt_shutdown(reason),
                Control::Cut => return,
            },
            _ = cuts.changed() => return,
        }
    }
}

/// The answer to what no app of the kit serves.
fn unserved(call: &GrpcCall) -> GrpcScript {
    match &*call.method {
        "GET" => GrpcScript::new().head_only(404, &[("content-length", "0")]),
        _ => GrpcScript::refuse(12, "not this app"),
    }
}

/// `None` for what is answered in silence.
fn script_for(call: &GrpcCall, shared: &Shared) -> Option<GrpcScript> {
    let over_http = call.method == "GET" && INTERNAL_HTTP.contains(&&*call.path);
    if over_http || INTERNAL.iter().any(|prefix| call.path.starts_with(prefix)) {
        return None;
    }
    // The order matters: a queued script is for the first call that gets this far.
    let once = lock(&shared.once).pop_front();
    once.or_else(|| {
        let handler = Arc::clone(&lock(&shared.handler));
        Some(handler(call))
    })
}
