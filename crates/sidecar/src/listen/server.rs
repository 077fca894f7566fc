//! One connection from another sidecar, and the calls on it (contract `sidecar-protocol.md` 1–3).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Request};
use outrider_wire::grpc::Code;
use tokio::{task::spawn_local, time::timeout_at};

use super::{
    answer::refuse,
    connection::{PEER_STREAMS, builder, serve_http2},
    proxied, streamed,
};
use crate::{
    call::{Fault, Kind, early},
    io::Stream,
    lane::Lane,
    link::{connection::STREAM_WINDOW, io::Gathered},
    reflection,
};

/// Serves one connection from a peer to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    serve_http2(
        &builder(PEER_STREAMS, STREAM_WINDOW),
        gathered,
        drain,
        |req, respond, open| {
            let lane = Rc::clone(&lane);
            spawn_local(async move {
                handle(lane, req, respond).await;
                drop(open);
            });
        },
    )
    .await;
}

/// One call.
async fn handle(lane: Rc<Lane>, req: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let _in_flight = lane.shared.in_flight.begin();
    let deadline = match early::check(&req) {
        Ok(deadline) => deadline,
        Err(refused) => return refused.send(&mut respond),
    };
    let path = req.uri().path();
    let is_streamed = path == streamed::STREAM_PATH;
    if !is_streamed && path != streamed::UNARY_PATH {
        return match path.strip_prefix(METHODS) {
            Some(method) => refuse(&mut respond, &unknown(method)),
            None if reflection::is_asked(path) => {
                let (recv, headers) = (req.into_body(), HeaderMap::new());
                reflection::serve(SERVICE, recv, &mut respond, headers).await;
            }
            None => proxied::serve(&lane, req, respond, deadline).await,
        };
    }
    let body = req.into_body();
    let work = async {
        match is_streamed {
            true => streamed::stream(&lane, body, &mut respond, deadline).await,
            false => streamed::unary(&lane, body, &mut respond, deadline).await,
        }
    };
    let result = match deadline {
        None => work.await,
        Some(deadline) => timeout_at(deadline, work).await.unwrap_or_else(|_| {
            let text = "context deadline exceeded";
            Err(Fault::new(Kind::DeadlineExceeded, text))
        }),
    };
    if let Err(fault) = result {
        refuse(&mut respond, &fault);
    }
}

const SERVICE: &str = "dapr.proto.internals.v1.ServiceInvocation";
const METHODS: &str = "/dapr.proto.internals.v1.ServiceInvocation/";

/// Methods of actors are registered with peers, so they get a clean answer.
fn unknown(method: &str) -> Fault {
    let text = format!("method {method} not implemented");
    Fault::new(Kind::PeerStatus(Code::Unimplemented), text)
}
