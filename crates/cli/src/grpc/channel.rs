//! Calls on one HTTP/2 connection without TLS.

use std::{io, time::Duration};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use outrider_wire::grpc::{FrameError, FrameReader, format_timeout, frame};
use tokio::{task::JoinSet, time::Instant};

use super::Status;
use crate::http::Address;

/// A connection; it ends with the value.
#[derive(Debug)]
pub(crate) struct Channel {
    send: SendRequest<Bytes>,
    authority: String,
    /// Drives the connection.
    _driver: JoinSet<()>,
}

/// Why a call has no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("no gRPC is spoken there, or the connection broke: {0}")]
    Http2(#[from] h2::Error),
    #[error("it answered with HTTP status {0}, and no status of gRPC")]
    NotGrpc(u16),
    #[error("the answer broke off")]
    Cut,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0:?} cannot be sent as metadata")]
    Metadata(String),
    #[error("{0:?} can be no method")]
    Method(String),
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Service and method without the first slash.
    pub(crate) method: &'a str,
    /// Names in any case, and values as they stand on the wire.
    pub(crate) metadata: &'a [(String, String)],
    pub(crate) limit: Option<Duration>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) http_status: u16,
    pub(crate) headers: HeaderMap,
    /// The first one, if there is any.
    pub(crate) message: Option<Bytes>,
    pub(crate) trailers: HeaderMap,
    pub(crate) status: Status,
    /// Up to the headers.
    pub(crate) to_head: Duration,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    send: SendStream<Bytes>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Awaited(h2::client::ResponseFuture),
    Here(Box<Incoming>),
}

#[derive(Debug)]
struct Incoming {
    head: http::response::Parts,
    body: RecvStream,
    frames: FrameReader,
}

impl Channel {
    pub(crate) async fn connect(address: &Address) -> Result<Self, Failure> {
        let stream = address.stream().await.map_err(Failure::Connect)?;
        let (send, connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // The calls on it learn of the error too.
            let _ = connection.await;
        });
        Ok(Self {
            send,
            authority: address.host(),
            _driver: driver,
        })
    }

    /// One message there, and all that comes back.
    pub(crate) async fn unary(
        &self,
        question: Question<'_>,
        message: &[u8],
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        let mut call = self.open(question).await?;
        // What is answered before it was sent whole is an answer.
        let sent = call.send(message, Last::Yes);
        let first = match call.message().await {
            Ok(first) => first,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        };
        let (http_status, headers) = call.head().await?;
        let to_head = call.to_head(started);
        let (trailers, status) = call.finish().await?;
        Ok(Reply {
            http_status,
            headers,
            message: first,
            trailers,
            status,
            to_head,
        })
    }

    /// Begins a call.
    pub(super) async fn open(&self, question: Question<'_>) -> Result<Call, Failure> {
        let mut send = self.send.clone().ready().await?;
        let (answer, stream) = send.send_request(self.head(question)?, false)?;
        Ok(Call {
            send: stream,
            answer: Answer::Awaited(answer),
        })
    }

    fn head(&self, question: Question<'_>) -> Result<Request<()>, Failure> {
        let Self { authority, .. } = self;
        let method = question.method;
        let bad_method = |_| Failure::Method(method.to_owned());
        let mut request = Request::post(format!("http://{authority}/{method}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .map_err(bad_method)?;
        let headers = request.headers_mut();
        if let Some(limit) = question.limit {
            let limit = HeaderValue::try_from(format_timeout(limit));
            headers.insert("grpc-timeout", limit.expect("digits and a letter"));
        }
        for (name, value) in question.metadata {
            let bad = || Failure::Metadata(name.clone());
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            headers.append(name, value);
        }
        let agent = || HeaderValue::from_static(AGENT);
        headers
            .entry(http::header::USER_AGENT)
            .or_insert_with(agent);
        Ok(request)
    }
}

/// Whether more messages follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

impl Call {
    pub(super) fn send(&mut self, message: &[u8], last: Last) -> Result<(), Failure> {
        let framed = frame::framed(message).ok_or(Failure::TooLong(message.len()))?;
        Ok(self.send.send_data(framed, last == Last::Yes)?)
    }

    /// The next message; nothing at the end.
    pub(super) async fn message(&mut self) -> Result<Option<Bytes>, Failure> {
        let incoming = self.incoming().await?;
        loop {
            if let Some(message) = incoming.frames.next_frame(LONGEST)? {
                return Ok(Some(message));
            }
            match incoming.body.data().await {
                Some(piece) => {
                    let piece = piece?;
                    incoming.body.flow_control().release_capacity(piece.len())?;
                    incoming.frames.push(piece);
                }
                None if incoming.frames.is_mid_message() => return Err(Failure::Cut),
                None => return Ok(None),
            }
        }
    }

    async fn head(&mut self) -> Result<(u16, HeaderMap), Failure> {
        let head = &self.incoming().await?.head;
        Ok((head.status.as_u16(), head.headers.clone()))
    }

    fn to_head(&self, started: Instant) -> Duration {
        match &self.answer {
            Answer::Here(incoming) => match incoming.head.extensions.get::<Instant>() {
                Some(at) => at.saturating_duration_since(started),
                None => Duration::ZERO,
            },
            Answer::Awaited(_) => started.elapsed(),
        }
    }

    /// Reads to the end; further messages are dropped.
    pub(super) async fn finish(mut self) -> Result<(HeaderMap, Status), Failure> {
        while self.message().await?.is_some() {}
        let incoming = self.incoming().await?;
        let head = &incoming.head;
        if let Some(status) = Status::of(&head.headers) {
            return Ok((HeaderMap::new(), status));
        }
        let http_status = head.status.as_u16();
        let trailers = incoming.body.trailers().await?.unwrap_or_default();
        match Status::of(&trailers) {
            Some(status) => Ok((trailers, status)),
            None if http_status != 200 => Err(Failure::NotGrpc(http_status)),
            None => Err(Failure::Cut),
        }
    }

    async fn incoming(&mut self) -> Result<&mut Incoming, Failure> {
        if let Answer::Awaited(response) = &mut self.answer {
            let (mut head, body) = Response::into_parts(response.await?);
            head.extensions.insert(Instant::now());
            let is_grpc = head.headers.get("content-type").is_some_and(is_grpc);
            if !is_grpc && Status::of(&head.headers).is_none() {
                return Err(Failure::NotGrpc(head.status.as_u16()));
            }
            self.answer = Answer::Here(Box::new(Incoming {
                head,
                body,
                frames: FrameReader::new(),
            }));
        }
        match &mut self.answer {
            Answer::Here(incoming) => Ok(incoming),
            // It was made so above.
            Answer::Awaited(_) => Err(Failure::Cut),
        }
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/grpc")
}

const AGENT: &str = concat!("outrider/", env!("CARGO_PKG_VERSION"));
const WINDOW: u32 = 1 << 20;
/// More than a sidecar lets through unless told otherwise.
const LONGEST: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::super::testing::{App, Said};
    use super::*;

    fn question<'a>(method: &'a str, metadata: &'a [(String, String)]) -> Question<'a> {
        Question {
            method,
            metadata,
            limit: Some(Duration::from_secs(2)),
        }
    }

    #[tokio::test]
    async fn a_call_brings_message_headers_trailers_and_status() {
        let app = App::start(|_, message| Said::message(message)).await;
        let channel = Channel::connect(&app.address()).await.unwrap();
        let metadata = [("X-One".to_owned(), "1".to_owned())];
        let asked = question("a.B/C", &metadata);
        let reply = channel.unary(asked, b"hello").await.unwrap();
        assert_eq!(reply.message.as_deref(), Some(&b"hello"[..]));
        assert_eq!(reply.status.code, 0);
        assert_eq!(reply.headers["x-path"], "/a.B/C");
        assert_eq!(reply.headers["x-one"], "1");
        assert_eq!(reply.headers["grpc-timeout"], "2000000u");
        assert_eq!(reply.trailers["x-last"], "yes");
    }

    #[tokio::test]
    async fn a_status_may_come_alone() {
        let app = App::start(|_, _| Said::status(5, "no such order")).await;
        let channel = Channel::connect(&app.address()).await.unwrap();
        let reply = channel.unary(question("a.B/C", &[]), b"").await.unwrap();
        assert_eq!((reply.status.code, reply.message), (5, None));
        assert_eq!(reply.status.message, "no such order");
    }

    #[tokio::test]
    async fn long_messages_go_both_ways() {
        let app = App::start(|_, message| Said::message(message)).await;
        let channel = Channel::connect(&app.address()).await.unwrap();
        let long = vec![7u8; 3 << 20];
        let reply = channel.unary(question("a.B/C", &[]), &long).await.unwrap();
        assert!(reply.message.unwrap() == long);
    }

    #[tokio::test]
    async fn a_server_of_http1_is_told_as_such() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::local(listener.local_addr().unwrap().port());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream
        };
        let ask = async {
            let channel = Channel::connect(&address).await?;
            channel.unary(question("a.B/C", &[]), b"").await
        };
        let (_stream, failure) = tokio::join!(serve, ask);
        let text = failure.unwrap_err().to_string();
        assert!(text.starts_with("no gRPC is spoken there"), "{text}");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_refused() {
        let app = App::start(|_, _| Said::status(0, "")).await;
        let channel = Channel::connect(&app.address()).await.unwrap();
        let bad = [("a b".to_owned(), String::new())];
        let failure = channel.unary(question("a.B/C", &bad), b"").await;
        assert!(matches!(failure, Err(Failure::Metadata(_))), "{failure:?}");
        let failure = channel.unary(question("a.B/C d", &[]), b"").await;
        assert!(matches!(failure, Err(Failure::Method(_))), "{failure:?}");
    }
}
