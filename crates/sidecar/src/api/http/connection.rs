//! One client connection: HTTP/1.1, and HTTP/2 where the client asks for it.

mod http2;

use std::rc::Rc;

use super::Api;
use crate::{
    http1::{self, Ended, Limits, Served},
    io::{Socket, Stream},
    lane::Lane,
};

/// Serves a connection to its end.
pub(crate) async fn serve(lane: Rc<Lane>, stream: Stream) {
    let socket = Socket::new(stream);
    let limits = Limits {
        head: lane.shared.limits.head,
        body: lane.shared.limits.body,
        h2c: lane.shared.plan.api.h2c,
    };
    let api = Api::new(Rc::clone(&lane));
    let served = Served {
        socket: &socket,
        buffers: &lane.buffers,
        date: &lane.date,
        limits,
        drain: lane.shared.drain.subscribe(),
    };
    match http1::serve(served, &api).await {
        Ended::Closed => {}
        Ended::Http2(early) => {
            if let Some(stream) = socket.into_stream() {
                Box::pin(http2::serve(api, stream, early, None)).await;
            }
        }
        Ended::Upgrade(head, early) => {
            let accepted =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
            if socket.write_all(accepted).await.is_ok()
                && let Some(stream) = socket.into_stream()
            {
                Box::pin(http2::serve(api, stream, early, Some(*head))).await;
            }
        }
    }
}
