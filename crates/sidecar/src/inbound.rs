//! A call that has reached the callee's sidecar: from here it goes to the app and nowhere else.
//! Calls of the app to itself enter here too, without a network in between.

mod grpc;
mod http;

use std::time::Duration;

use outrider_wire::Fields;
use tokio::time::Instant;

use crate::{
    app_channel::Speaks,
    call::{Body, Fault, Kind, Reply},
    lane::Lane,
};

/// A request field that asks for the time of each hop in `Server-Timing` (W3C) of the answer.
pub(crate) const TIMING: &str = "outrider-timing";

/// Adds one hop's time, in milliseconds.
pub(crate) fn push_timing(fields: &mut Fields, hop: &str, took: Duration) {
    let millis = took.as_secs_f64() * 1000.0;
    fields.push(
        b"Server-Timing",
        format!("{hop};dur={millis:.3}").as_bytes(),
    );
}

/// A call for the app.
pub(crate) struct Arrival<'a> {
    /// Decoded, cleaned method path as it was given.
    pub method: &'a str,
    /// The verb's number; any number may come.
    pub verb: i32,
    /// Raw query without `?`.
    pub query: &'a str,
    /// Verb and query were given.
    pub has_extension: bool,
    /// Content type; empty if there is none.
    pub content_type: &'a [u8],
    /// Protobuf type of the body; empty if there is none.
    pub type_url: &'a str,
    /// The caller's fields as they travelled.
    pub fields: &'a Fields,
    /// Length of the body, if it did not travel among the fields.
    pub length: Option<u64>,
    /// The body.
    pub body: Body,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
}

/// Hands the call to the app.
pub(crate) async fn deliver(lane: &Lane, arrival: Arrival<'_>) -> Result<Reply, Fault> {
    let Some(app) = &lane.app else {
        let text = "cannot invoke local endpoint: app channel not initialized";
        return Err(Fault::new(Kind::NoApp, text));
    };
    if !lane.shared.app_state.is_healthy() {
        return Err(Fault::new(
            Kind::AppUnhealthy,
            "app is not in a healthy state",
        ));
    }
    match app.speaks() {
        Speaks::Http(http) => http::deliver(lane, app, http, arrival).await,
        Speaks::Grpc => grpc::deliver(lane, app, arrival).await,
    }
}
