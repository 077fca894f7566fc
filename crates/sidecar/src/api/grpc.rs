//! The gRPC API's port: `InvokeService`, metadata, shutdown, state. Every other method gets the status
//! that a gRPC client understands, until its service comes.

mod invoke;
mod metadata;
mod state;
mod status;
mod unary;

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use outrider_wire::{r#gen::runtime, grpc::Code};
use tokio::task::spawn_local;

use crate::{
    io::Stream,
    lane::Lane,
    link::io::Gathered,
    listen::server::{builder, serve_http2},
};
use status::Status;

/// Prefix of the methods that are ours; anything else would be proxied.
const DAPR: &str = "/dapr.proto.runtime.v1.Dapr/";

/// Serves a connection to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    serve_http2(&builder(), gathered, drain, |req, respond, open| {
        let lane = Rc::clone(&lane);
        spawn_local(async move {
            handle(lane, req, respond).await;
            drop(open);
        });
    })
    .await;
}

async fn handle(lane: Rc<Lane>, req: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let _in_flight = lane.shared.in_flight.begin();
    if let Err(status) = check_token(&lane, &req) {
        return status.send(&mut respond);
    }
    let path = req.uri().path().to_owned();
    match path.strip_prefix(DAPR) {
        Some("InvokeService") => invoke::invoke(&lane, req, respond).await,
        Some("GetMetadata") => {
            let shared = &lane.shared;
            let read = async |_: runtime::GetMetadataRequest| Ok(metadata::read(shared));
            unary::serve(&lane, req, respond, read).await;
        }
        Some("SetMetadata") => {
            let write = async |q| metadata::write(&lane.shared, q);
            unary::serve(&lane, req, respond, write).await;
        }
        Some("Shutdown") => {
            let headers = req.headers().clone();
            let end =
                async |_: runtime::ShutdownRequest| Ok(metadata::shutdown(&lane.shared, &headers));
            unary::serve(&lane, req, respond, end).await;
        }
        Some(method) if state::is_state(method) => {
            state::state(&lane, method, req, respond).await;
        }
        Some(_) => {
            Status::new(Code::Unimplemented, "this API is currently not implemented")
                .send(&mut respond);
        }
        None => {
            let text = format!("gRPC proxying is not available in this version: {path}");
            Status::new(Code::Unimplemented, text).send(&mut respond);
        }
    }
}

/// The API token, as metadata (contract `grpc-api.md` 6).
fn check_token(lane: &Lane, req: &Request<RecvStream>) -> Result<(), Status> {
    let Some(token) = &lane.shared.plan.api.token else {
        return Ok(());
    };
    let why = match req.headers().get("dapr-api-token") {
        Some(shown) if super::is_same_secret(shown.as_bytes(), token.as_bytes()) => return Ok(()),
        Some(_) => "authentication error: api token mismatch",
        None => "missing api token in request metadata",
    };
    Err(Status::new(Code::Unauthenticated, "Unauthorized").with_info("Unauthorized", 401, why))
}
