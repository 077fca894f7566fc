//! The gRPC API's port: `InvokeService`, metadata, shutdown, state; an explicit answer for the other
//! methods of the service; anything else is passed through (contract `grpc-api.md` 1, 2).

mod invoke;
mod log;
mod metadata;
pub(crate) mod rules;
mod state;
mod status;
mod unary;

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use outrider_wire::{
    r#gen::runtime,
    grpc::{Code, trace},
};
use tokio::{task::spawn_local, time::Instant};

use super::trace::{baggage_of, new_traceparent, normalised};
use crate::{
    call::early,
    io::Stream,
    lane::Lane,
    link::{connection::LOCAL_STREAM_WINDOW, io::Gathered},
    listen::connection::{CLIENT_STREAMS, OpenStream, builder, serve_http2},
    proxy::{self, Guards, Passing},
    reflection,
    shared::InFlightGuard,
    workers::Workers,
};
use log::Line;
use status::Status;
use unary::{Asked, serve as unary};

pub(crate) static BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The service that is ours.
const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";

/// Prefix of its methods.
const DAPR: &str = "/dapr.proto.runtime.v1.Dapr/";

/// Prefix of the workflow engine's methods, which the reference has and we do not.
const WORKFLOWS: &str = "/TaskHubSidecarService/";

/// Serves a connection to its end.
pub(crate) async fn serve(lane: Rc<Lane>, workers: Workers<Passing<Rest>>, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    let builder = builder(CLIENT_STREAMS, LOCAL_STREAM_WINDOW);
    serve_http2(&builder, gathered, drain, |req, respond, open| {
        let Some(begun) = Begun::new(&lane, req, respond, open) else {
            return;
        };
        let lane = Rc::clone(&lane);
        // Each kind of call has tasks of its own size.
        if begun.is_ours() {
            let (asked, mut rest) = begun.asked();
            spawn_local(async move {
                let code = dispatch(&lane, asked).await;
                rest.ended(code);
            });
        } else {
            workers.begin(begun.passing(lane));
        }
    })
    .await;
}

/// A call that has been let in.
struct Begun {
    req: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    deadline: Option<Instant>,
    /// The client's, which is sent back to it.
    baggage: Option<HeaderValue>,
    rest: Rest,
}

/// What lasts as long as a call.
pub(crate) struct Rest {
    line: Option<Line>,
    _open: OpenStream,
    _in_flight: InFlightGuard,
}

impl Begun {
    /// Lets a call in, or refuses it.
    fn new(
        lane: &Lane,
        req: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        open: OpenStream,
    ) -> Option<Self> {
        let deadline = match early::check(&req) {
            Ok(deadline) => deadline,
            Err(refused) => {
                refused.send(&mut respond);
                return None;
            }
        };
        let baggage = match admit(lane, &req) {
            Ok(baggage) => baggage,
            // What is refused before it is looked at is not logged (contract `grpc-api.md` 1).
            Err(status) => {
                status.send_with(&mut respond, HeaderMap::new());
                return None;
            }
        };
        let rest = Rest {
            line: lane.shared.plan.api.log.map(|_| Line::begin(&req)),
            _open: open,
            _in_flight: lane.shared.in_flight.begin(),
        };
        Some(Self {
            req,
            respond,
            deadline,
            baggage,
            rest,
        })
    }

    /// Whether it is for a service of this sidecar.
    fn is_ours(&self) -> bool {
        let path = self.req.uri().path();
        path.starts_with(DAPR) || path.starts_with(WORKFLOWS) || reflection::is_asked(path)
    }

    /// As a call of a service of this sidecar.
    fn asked(self) -> (Asked, Rest) {
        let baggage = self.baggage.map(|baggage| (BAGGAGE.clone(), baggage));
        let asked = Asked {
            req: self.req,
            respond: self.respond,
            echo: baggage.into_iter().collect(),
            deadline: self.deadline,
        };
        (asked, self.rest)
    }

    /// As a call that is passed through.
    fn passing(self, lane: Rc<Lane>) -> Passing<Rest> {
        let origin = proxy::Origin::Client;
        Passing {
            lane,
            asked: proxy::Asked::new(self.req, origin, self.deadline, self.baggage),
            respond: self.respond,
            guards: self.rest,
        }
    }
}

impl Guards for Rest {
    fn ended(&mut self, code: i32) {
        if let Some(line) = self.line.take() {
            line.end(code);
        }
    }
}

/// What stands before every method, in the reference's order (contract `grpc-api.md` 1). Gives the
/// client's baggage, which is sent back to it.
fn admit(lane: &Lane, req: &Request<RecvStream>) -> Result<Option<HeaderValue>, Status> {
    let api = &lane.shared.plan.api;
    let path = req.uri().path();
    if !path.get(1..).is_some_and(|path| path.contains('/')) {
        let name = outrider_core::quote::quote(path);
        let text = format!("malformed method name: {name}");
        return Err(Status::new(Code::Unimplemented, text));
    }
    if api.grpc_rules.refuse(path) {
        return Err(
            Status::new(Code::Unimplemented, "Not Implemented").with_info(
                "Not Implemented",
                501,
                "requested endpoint is not available",
            ),
        );
    }
    check_token(lane, req)?;
    if !api.tracing {
        return Ok(None);
    }
    let values = req.headers().get_all(&BAGGAGE);
    match baggage_of(values.iter().map(HeaderValue::as_bytes)) {
        Ok(list) => Ok(list.and_then(|list| HeaderValue::from_bytes(&normalised(&list)).ok())),
        Err(why) => {
            let text = format!("invalid baggage header: {why}");
            Err(Status::new(Code::InvalidArgument, text))
        }
    }
}

/// Returns the code that the call ended with.
async fn dispatch(lane: &Rc<Lane>, mut asked: Asked) -> i32 {
    let shared = &lane.shared;
    let path = asked.req.uri().path().to_owned();
    let ours = path.strip_prefix(DAPR);
    if ours.is_some_and(|method| method != "InvokeService") && shared.plan.api.tracing {
        let context = trace_context(lane, asked.req.headers());
        asked.echo.insert("grpc-trace-bin", context);
    }
    match ours {
        Some("InvokeService") => Box::pin(invoke::invoke(lane, asked)).await,
        Some("GetMetadata") => {
            let read = async |_: runtime::GetMetadataRequest| Ok(metadata::read(shared));
            unary(lane, asked, read).await
        }
        Some("SetMetadata") => {
            let write = async |q| metadata::write(shared, q);
            unary(lane, asked, write).await
        }
        Some("Shutdown") => {
            let headers = asked.req.headers().clone();
            let end = async |_: runtime::ShutdownRequest| Ok(metadata::shutdown(shared, &headers));
            unary(lane, asked, end).await
        }
        Some(method) if state::is_state(method) => state::state(lane, method, asked).await,
        Some(_) => asked.refuse(&unimplemented()),
        None if reflection::is_asked(&path) => {
            let Asked {
                req,
                mut respond,
                echo,
                ..
            } = asked;
            reflection::serve(SERVICE, req.into_body(), &mut respond, echo).await
        }
        None => asked.refuse(&unimplemented()),
    }
}

/// The trace context of a call in gRPC's form, which is told to the client.
fn trace_context(lane: &Lane, headers: &HeaderMap) -> HeaderValue {
    if let Some(context) = headers.get("grpc-trace-bin") {
        return context.clone();
    }
    let text = headers.get("traceparent").map(HeaderValue::as_bytes);
    let binary = text.and_then(trace::to_binary).or_else(|| {
        let made = new_traceparent(|| lane.random());
        trace::to_binary(&made)
    });
    let text = outrider_core::base64::encode_unpadded(&binary.unwrap_or_default());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn unimplemented() -> Status {
    Status::new(Code::Unimplemented, "this API is currently not implemented")
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
