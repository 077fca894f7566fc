//! One connection from another sidecar, and the calls on it (contract `sidecar-protocol.md` 1–3).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::HeaderMap;
use outrider_wire::grpc::Code;
use tokio::{task::spawn_local, time::Instant};

use super::{
    answer::refuse,
    connection::{OpenStream, PEER_STREAMS, builder, serve_http2},
    streamed,
};
use crate::{
    call::{Fault, Kind, early, until::in_time},
    io::Stream,
    lane::Lane,
    link::{connection::STREAM_WINDOW, io::Gathered},
    proxy::{Asked, Guards, Origin, Passing},
    reflection,
    shared::InFlightGuard,
    workers::{Job, Workers},
};

/// Who does the work on calls; each kind of call has tasks of its own size.
#[derive(Clone, Default)]
pub(crate) struct Crew {
    calls: Workers<Calling>,
    passed: Workers<Passing<Rest>>,
}

/// What lasts as long as a call.
struct Rest {
    _open: OpenStream,
    _in_flight: InFlightGuard,
}

impl Guards for Rest {
    fn ended(&mut self, _: i32) {}
}

/// Serves one connection from a peer to its end.
pub(crate) async fn serve(lane: Rc<Lane>, crew: Crew, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    let builder = builder(PEER_STREAMS, STREAM_WINDOW);
    serve_http2(&builder, gathered, drain, |req, mut respond, open| {
        let deadline = match early::check(&req) {
            Ok(deadline) => deadline,
            Err(refused) => return refused.send(&mut respond),
        };
        let lane = Rc::clone(&lane);
        let guards = Rest {
            _open: open,
            _in_flight: lane.shared.in_flight.begin(),
        };
        let path = req.uri().path();
        let is_streamed = path == streamed::STREAM_PATH;
        if is_streamed || path == streamed::UNARY_PATH {
            crew.calls.begin(Calling {
                lane,
                body: Some(req.into_body()),
                respond,
                is_streamed,
                deadline,
                _guards: guards,
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
            crew.passed.begin(Passing {
                lane,
                asked: Asked::new(req, Origin::Peer, deadline, None),
                respond,
                guards,
            });
        }
    })
    .await;
}

/// A call that this sidecar understands.
struct Calling {
    lane: Rc<Lane>,
    /// There until the job begins.
    body: Option<RecvStream>,
    respond: SendResponse<Bytes>,
    is_streamed: bool,
    deadline: Option<Instant>,
    _guards: Rest,
}

impl Job for Calling {
    async fn run(&mut self) {
        let (lane, respond) = (&self.lane, &mut self.respond);
        let Some(body) = self.body.take() else {
            return;
        };
        let deadline = self.deadline;
        let work = async {
            match self.is_streamed {
                true => streamed::stream(lane, body, respond, deadline).await,
                false => streamed::unary(lane, body, respond, deadline).await,
            }
        };
        let result = in_time(deadline, work).await;
        if let Err(fault) = result.unwrap_or_else(|| Err(Fault::too_late())) {
            refuse(&mut self.respond, &fault);
        }
    }
}

const SERVICE: &str = "dapr.proto.internals.v1.ServiceInvocation";
const METHODS: &str = "/dapr.proto.internals.v1.ServiceInvocation/";

/// Methods of actors are registered with peers, so they get a clean answer.
fn unknown(method: &str) -> Fault {
    let text = format!("method {method} not implemented");
    Fault::new(Kind::PeerStatus(Code::Unimplemented), text)
}
