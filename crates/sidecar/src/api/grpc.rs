//! The gRPC API's port. Its services come in a version of their own; until then every method gets
//! the status that a gRPC client understands.

use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderValue, Response, header};
use outrider_wire::grpc::{Code, encode_message};

use crate::{
    io::Stream,
    lane::Lane,
    link::io::Gathered,
    listen::server::{builder, serve_http2},
};

/// Serves a connection to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let drain = lane.shared.drain.subscribe();
    let gathered = Gathered::new(stream, Vec::new());
    serve_http2(&builder(), gathered, drain, |req, mut respond| {
        unimplemented(&mut respond, req.uri().path());
    })
    .await;
}

fn unimplemented(respond: &mut SendResponse<Bytes>, path: &str) {
    let text = format!("{path} is not served by this version of outrider: use the HTTP API");
    let mut rsp = Response::new(());
    let headers = rsp.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        "grpc-status",
        HeaderValue::from(Code::Unimplemented.number()),
    );
    if let Ok(text) = HeaderValue::from_str(&encode_message(&text)) {
        headers.insert("grpc-message", text);
    }
    // Failing means that the client has gone.
    let _ = respond.send_response(rsp, true);
}
