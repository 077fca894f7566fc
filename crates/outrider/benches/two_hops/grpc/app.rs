//! The called app: a minimal gRPC server of opaque frames, on a thread of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::gathered;
use super::message::{framed, numbered, room};
use crate::app::on_a_thread;

/// Answers a message by one as long as [`LENGTH`] says.
pub(super) const ANSWER: &str = "/bench.Bench/Answer";
/// Sends everything back.
pub(super) const ECHO: &str = "/bench.Bench/Echo";
/// Sends [`MANY`] small messages as fast as they are taken.
pub(super) const POUR: &str = "/bench.Bench/Pour";
/// Rests for [`PAUSE`], then reads; answers how many bytes came.
pub(super) const REST: &str = "/bench.Bench/Rest";

/// Bytes of a message and of its answer.
pub(super) const LENGTH: usize = 1024;
/// Small messages to a reader that rests.
pub(super) const MANY: u32 = 10_000;
/// How long it does.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Starts the app, which lives as long as the process, and returns its port.
pub(crate) fn start() -> io::Result<u16> {
    on_a_thread("grpc app", serve)
}

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = framed(&[b'x'; LENGTH]);
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let answer = answer.clone();
            // Broken connections are the clients' to notice.
            spawn_local(gathered::serve(stream, move |req, respond| {
                spawn_local(handle(req, respond, answer.clone()));
            }));
        }
    })
}

async fn handle(
    req: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    answer: Bytes,
) -> Result<(), h2::Error> {
    let (parts, mut recv) = req.into_parts();
    let path = parts.uri.path();
    if ![ANSWER, ECHO, POUR, REST].contains(&path) {
        return respond.send_response(head(Some(12)), true).map(drop);
    }
    match path {
        ANSWER => {
            read(&mut recv).await?;
            let mut send = respond.send_response(head(None), false)?;
            send.send_data(answer, false)?;
            send.send_trailers(trailers())
        }
        ECHO => {
            let mut send = respond.send_response(head(None), false)?;
            while let Some(data) = recv.data().await {
                let data = data?;
                recv.flow_control().release_capacity(data.len())?;
                // An empty one that is not the last counts against the connection for ever.
                if !data.is_empty() {
                    room(&mut send).await?;
                    send.send_data(data, false)?;
                }
            }
            send.send_trailers(trailers())
        }
        POUR => {
            let mut send = respond.send_response(head(None), false)?;
            pour(&mut send).await?;
            send.send_trailers(trailers())
        }
        _ => {
            let mut send = respond.send_response(head(None), false)?;
            sleep(PAUSE).await;
            let count = read(&mut recv).await?;
            send.send_data(framed(&count.to_be_bytes()), false)?;
            send.send_trailers(trailers())
        }
    }
}

/// Messages that each are a frame of their own.
pub(super) async fn pour(send: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    for number in 0..MANY {
        room(send).await?;
        send.send_data(numbered(0, number, 0), false)?;
        if number % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn read(recv: &mut RecvStream) -> Result<u64, h2::Error> {
    let mut count = 0;
    while let Some(data) = recv.data().await {
        let data = data?;
        count += data.len() as u64;
        recv.flow_control().release_capacity(data.len())?;
    }
    Ok(count)
}

fn head(status: Option<u16>) -> Response<()> {
    let mut rsp = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    rsp.headers_mut().insert("content-type", grpc);
    if let Some(status) = status {
        rsp.headers_mut().insert("grpc-status", status.into());
    }
    rsp
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
