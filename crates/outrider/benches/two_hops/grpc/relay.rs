//! What the least possible relay costs: a process with one thread that accepts a stream, opens the
//! same one at the next server, and passes frames and trailers both ways.
//!
//! It knows no names, no limits, no deadlines; it respects windows, since a relay that does not is
//! none, and writes once for everything one wake-up brought.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::process;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use super::gathered;
use super::message::room;

/// A call of this ends the process, so that a tool that watches it can say what it saw.
pub(super) const END_URI: &str = "http://localhost/relay/end";
const END: &str = "/relay/end";

/// Passes streams that arrive at `port` on to `next`, for ever.
pub(crate) fn run(port: u16, next: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let upstream = Rc::new(RefCell::new(None));
        loop {
            let (stream, _) = listener.accept().await?;
            if upstream.borrow().is_none() {
                let connected = gathered::connect(next, 256 << 10).await;
                // The next one may not be there yet; the client will try again.
                *upstream.borrow_mut() = connected.ok();
            }
            let Some(upstream) = upstream.borrow().clone() else {
                continue;
            };
            spawn_local(gathered::serve(stream, move |req, respond| {
                if req.uri().path() == END {
                    process::exit(0);
                }
                spawn_local(relay(req, respond, upstream.clone()));
            }));
        }
    })
}

async fn relay(
    req: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    mut upstream: SendRequest<Bytes>,
) -> Result<(), h2::Error> {
    let (parts, recv) = req.into_parts();
    poll_fn(|cx| upstream.poll_ready(cx)).await?;
    let ends = recv.is_end_stream();
    let (response, send) = upstream.send_request(Request::from_parts(parts, ()), ends)?;
    let forth = async {
        match ends {
            true => Ok(()),
            false => pass(recv, send).await,
        }
    };
    let back = async {
        let (parts, recv) = response.await?.into_parts();
        let ends = recv.is_end_stream();
        let send = respond.send_response(Response::from_parts(parts, ()), ends)?;
        match ends {
            true => Ok(()),
            false => pass(recv, send).await,
        }
    };
    let (mut forth, mut back) = (pin!(forth), pin!(back));
    let mut sent = false;
    poll_fn(|cx| {
        if !sent && let Poll::Ready(ended) = forth.as_mut().poll(cx) {
            sent = true;
            ended?;
        }
        back.as_mut().poll(cx)
    })
    .await
}

async fn pass(mut recv: RecvStream, mut send: SendStream<Bytes>) -> Result<(), h2::Error> {
    // What comes first has room and leaves with the head, for which a stream that is just being
    // opened would wait.
    let mut is_first = true;
    while let Some(data) = recv.data().await {
        let data = data?;
        recv.flow_control().release_capacity(data.len())?;
        let ends = recv.is_end_stream();
        if !data.is_empty() || ends {
            if !is_first {
                room(&mut send).await?;
            }
            is_first = false;
            send.send_data(data, ends)?;
        }
        if ends {
            return Ok(());
        }
    }
    match recv.trailers().await? {
        Some(trailers) => send.send_trailers(trailers),
        None => send.send_data(Bytes::new(), true),
    }
}
