//! The calling app: connections that carry opaque gRPC calls.

use std::future::poll_fn;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tokio::task::JoinSet;

use super::app::{ANSWER, LENGTH};
use super::gathered;
use super::message::framed;
use super::subject::Subject;
use crate::client::Measured;

/// What a client takes of one stream before it has read it: HTTP/2's own default.
const WINDOW: u32 = 65_535;

/// One connection; clones share it.
#[derive(Clone)]
pub(super) struct Caller {
    send: SendRequest<Bytes>,
    /// The app that the sidecar is to call.
    target: Option<HeaderValue>,
}

impl Caller {
    pub(super) async fn open(subject: &Subject) -> io::Result<Self> {
        let target = subject.target.as_deref().map(HeaderValue::from_str);
        Ok(Self {
            send: gathered::connect(subject.port, WINDOW).await?,
            target: target.transpose().map_err(io::Error::other)?,
        })
    }

    /// Opens a stream.
    pub(super) async fn start(
        &self,
        path: &'static str,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut send = self.send.clone();
        poll_fn(|cx| send.poll_ready(cx)).await?;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.authority = Some(http::uri::Authority::from_static("localhost"));
        uri.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
        let mut req = Request::new(());
        *req.method_mut() = Method::POST;
        *req.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        let headers = req.headers_mut();
        headers.reserve(4);
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert("content-type", grpc);
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("user-agent", HeaderValue::from_static("bench/1"));
        if let Some(target) = &self.target {
            headers.insert("dapr-app-id", target.clone());
        }
        send.send_request(req, false)
    }

    /// A unary call with a whole framed message; an answer other than OK is an error.
    pub(super) async fn unary(&self, message: Bytes) -> io::Result<()> {
        let work = async {
            let (response, mut send) = self.start(ANSWER).await?;
            send.send_data(message, true)?;
            let (head, mut recv) = response.await?.into_parts();
            let mut length = 0;
            read(&mut recv, |data| length += data.len()).await?;
            let trailers = recv.trailers().await?.unwrap_or(head.headers);
            Ok((length, trailers))
        };
        let (length, trailers) = work.await.map_err(|error: h2::Error| wire(&error))?;
        ended_well(&trailers)?;
        match length == LENGTH + 5 {
            true => Ok(()),
            false => Err(io::Error::other(format!("an answer of {length} bytes"))),
        }
    }
}

/// Reads what is left of a stream.
pub(super) async fn read(
    recv: &mut RecvStream,
    mut take: impl FnMut(&[u8]),
) -> Result<(), h2::Error> {
    while let Some(data) = recv.data().await {
        let data = data?;
        recv.flow_control().release_capacity(data.len())?;
        take(&data);
    }
    Ok(())
}

pub(super) fn wire(error: &h2::Error) -> io::Error {
    io::Error::other(error.to_string())
}

/// An error unless these trailers say OK.
pub(super) fn ended_well(trailers: &HeaderMap) -> io::Result<()> {
    let text = |name| {
        let value = trailers.get(name).map(HeaderValue::as_bytes);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    match text("grpc-status").as_str() {
        "0" => Ok(()),
        status => {
            let message = text("grpc-message");
            Err(io::Error::other(format!("status {status}: {message}")))
        }
    }
}

/// How many connections, and how many calls at once on each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) connections: usize,
    pub(super) streams: usize,
}

/// So many unary calls at once, each followed by the next one.
pub(super) async fn closed_loop(
    subject: &Subject,
    shape: Shape,
    length: Duration,
) -> io::Result<Measured> {
    let message = framed(&[b'x'; LENGTH]);
    let mut loops = JoinSet::new();
    let mut callers = Vec::new();
    for _ in 0..shape.connections {
        let caller = Caller::open(subject).await?;
        // The greetings of HTTP/2 are no part of what is measured.
        caller.unary(message.clone()).await?;
        callers.push(caller);
    }
    let start = Instant::now();
    for caller in callers {
        for _ in 0..shape.streams {
            loops.spawn_local(one_loop(caller.clone(), message.clone(), start + length));
        }
    }
    let mut all = Measured::default();
    while let Some(one) = loops.join_next().await {
        let one = one.map_err(io::Error::other)?;
        all.latencies.extend(one.latencies);
        all.failed += one.failed;
    }
    all.elapsed = start.elapsed();
    all.latencies.sort_unstable();
    Ok(all)
}

async fn one_loop(caller: Caller, message: Bytes, until: Instant) -> Measured {
    let mut measured = Measured::default();
    let mut before = Instant::now();
    while before < until {
        let called = caller.unary(message.clone()).await;
        let after = Instant::now();
        match called {
            Ok(()) => measured.latencies.push(nanos(after - before)),
            Err(_) => measured.failed += 1,
        }
        before = after;
    }
    measured
}

pub(super) fn nanos(took: Duration) -> u32 {
    u32::try_from(took.as_nanos()).unwrap_or(u32::MAX)
}
