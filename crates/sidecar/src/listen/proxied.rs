//! Calls from other sidecars that are passed through to the app (contract `sidecar-protocol.md` 12).

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Request;
use tokio::time::Instant;

use crate::{
    lane::Lane,
    proxy::{self, Asked},
};

/// Serves one call.
pub(super) async fn serve(
    lane: &Rc<Lane>,
    req: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    deadline: Option<Instant>,
) {
    let asked = Asked {
        req,
        deadline,
        baggage: None,
    };
    proxy::from_peer(lane, asked, &mut respond).await;
}
