//! gRPC with a real daprd on the other side: calls by name of a method, and calls passed through
//! (contract `grpc-api.md`, `sidecar-protocol.md` 3 to 6, 12).

mod ends;
mod http_apps;
mod invoke;
mod life;
mod many;
mod protocols;
mod proxy;
mod routes;
mod traces;

use std::time::Instant;

use outrider_testkit::{GrpcApp, GrpcCall, GrpcClient, GrpcScript, LIMIT};

use crate::pair::{Pair, Way};

pub(crate) type GrpcPair = Pair<GrpcApp>;

impl Pair<GrpcApp> {
    /// An app that does with each call what `handler` says at its head.
    pub(crate) async fn start(
        way: Way,
        handler: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static,
    ) -> Self {
        Self::grpc(way, GrpcApp::start(handler).await.unwrap()).await
    }

    pub(crate) async fn grpc(way: Way, app: GrpcApp) -> Self {
        let port = app.port();
        Self::between(
            way,
            app,
            port,
            |caller| caller,
            |callee| callee.app_protocol("grpc"),
        )
        .await
    }
}

/// A client of the calling sidecar.
async fn client_of<A>(pair: &Pair<A>) -> GrpcClient {
    pair.caller.grpc().await.unwrap()
}

/// Tries again until `check` holds. Each try is a call, so this turns no faster than calls do.
async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !check().await {
        assert!(Instant::now() < until, "waited in vain: {what}");
    }
}

/// A message that no other stream and no other place has.
fn message(stream: usize, number: usize, len: usize) -> Vec<u8> {
    let mut bytes = format!("{stream}/{number}:").into_bytes();
    let seed = stream.wrapping_mul(31).wrapping_add(number);
    bytes.extend((0..len).map(|i| (i.wrapping_add(seed) % 251) as u8));
    bytes
}
