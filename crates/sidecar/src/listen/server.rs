//! One connection from another sidecar, and the calls on it (contract `sidecar-protocol.md` 1–3).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::HeaderMap;
use outrider_wire::grpc::Code;
use tokio::{task::spawn_local, time::Instant};

use super::{
    answer::refuse,
    connection::{PEER_STREAMS, builder, serve_http2},
    streamed,
};
use crate::{
    call::{Fault, Kind, early, until::in_time},
    io::Stream,
    lane::Lane,
    link::{connection::STREAM_WINDOW, io::Gathered},
    proxy::{self, Asked},
    reflection,
};

/// Serves one connection from a peer to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    let builder = builder(PEER_STREAMS, STREAM_WINDOW);
    serve_http2(&builder, gathered, drain, |req, mut respond, open| {
        let deadline = match early::check(&req) {
            Ok(deadline) => deadline,
            Err(refused) => return refused.send(&mut respond),
        };
        let lane = Rc::clone(&lane);
        let guards = (open, lane.shared.in_flight.begin());
        let path = req.uri().path();
        // Each kind of call has a task of its own size.
        if path == streamed::STREAM_PATH || path == streamed::UNARY_PATH {
            let is_streamed = path == streamed::STREAM_PATH;
            spawn_local(async move {
                call(
                    &lane,
                    req.into_body(),
                    &mut respond,
                    (is_streamed, deadline),
                )
                .await;
                drop(guards);
            });
        } else if let Some(method) = path.strip_prefix(METHODS) {
            refuse(&mut respond, &unknown(method));
        } else if reflection::is_asked(path) {
            spawn_local(async move {
                let (recv, headers) = (req.into_body(), HeaderMap::new());
                reflection::serve(SERVICE, recv, &mut respond, headers).await;
                drop(guards);
            });
        } else {
            spawn_local(async move {
                let asked = Asked {
                    req,
                    deadline,
                    baggage: None,
                };
                proxy::from_peer(&lane, asked, &mut respond).await;
                drop(guards);
            });
        }
    })
    .await;
}

/// One call that this sidecar understands, in the form that says `is_streamed`.
async fn call(
    lane: &Lane,
    body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    (is_streamed, deadline): (bool, Option<Instant>),
) {
    let work = async {
        match is_streamed {
            true => streamed::stream(lane, body, respond, deadline).await,
            false => streamed::unary(lane, body, respond, deadline).await,
        }
    };
    let result = in_time(deadline, work).await;
    let result = result.unwrap_or_else(|| {
        let text = "context deadline exceeded";
        Err(Fault::new(Kind::DeadlineExceeded, text))
    });
    if let Err(fault) = result {
        refuse(respond, &fault);
    }
}

const SERVICE: &str = "dapr.proto.internals.v1.ServiceInvocation";
const METHODS: &str = "/dapr.proto.internals.v1.ServiceInvocation/";

/// Methods of actors are registered with peers, so they get a clean answer.
fn unknown(method: &str) -> Fault {
    let text = format!("method {method} not implemented");
    Fault::new(Kind::PeerStatus(Code::Unimplemented), text)
}
