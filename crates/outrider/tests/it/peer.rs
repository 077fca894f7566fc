//! Hand-made peers: a caller and a callee that speak the sidecars' protocol as the test says.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use outrider_lookup::Registry;
use outrider_lookup::registry::{Announcement, Entry};
use outrider_testkit::unique_id;
use outrider_wire::r#gen::{common, google, internals};
use outrider_wire::grpc::frame::FrameReader;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const STREAM: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream";
pub(crate) const UNARY: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocal";

/// A message with its gRPC prefix.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 5);
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap());
    out.put_slice(message);
    out.freeze()
}

/// The head of a POST to `/x` as a caller sends it.
pub(crate) fn request() -> internals::InternalInvokeRequest {
    let values = vec!["tester".to_owned()];
    internals::InternalInvokeRequest {
        ver: 1,
        metadata: [(
            "dapr-caller-app-id".to_owned(),
            internals::ListStringValue { values },
        )]
        .into(),
        message: Some(common::InvokeRequest {
            method: "x".into(),
            http_extension: Some(common::HttpExtension {
                verb: common::http_extension::Verb::Post as i32,
                querystring: String::new(),
            }),
            ..Default::default()
        }),
        actor: None,
    }
}

pub(crate) fn payload(seq: u64, data: &[u8]) -> Option<common::StreamPayload> {
    Some(common::StreamPayload {
        data: Bytes::copy_from_slice(data),
        seq,
    })
}

pub(crate) fn any(value: &[u8]) -> Option<google::protobuf::Any> {
    Some(google::protobuf::Any {
        value: Bytes::copy_from_slice(value),
        type_url: String::new(),
    })
}

/// One message of a streamed request.
pub(crate) fn request_message(
    request: Option<internals::InternalInvokeRequest>,
    payload: Option<common::StreamPayload>,
) -> Bytes {
    framed(&internals::InternalInvokeRequestStream { request, payload }.encode_to_vec())
}

/// The head of an answer with this status.
pub(crate) fn response(code: i32) -> internals::InternalInvokeResponse {
    internals::InternalInvokeResponse {
        status: Some(internals::Status {
            code,
            ..Default::default()
        }),
        message: Some(common::InvokeResponse {
            content_type: "text/x".into(),
            data: None,
        }),
        ..Default::default()
    }
}

/// One message of a streamed answer.
pub(crate) fn response_message(
    response: Option<internals::InternalInvokeResponse>,
    payload: Option<common::StreamPayload>,
) -> Bytes {
    framed(&internals::InternalInvokeResponseStream { response, payload }.encode_to_vec())
}

/// What came back over a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) messages: Vec<Bytes>,
    /// gRPC status, of headers or trailers.
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    /// The stream was reset instead.
    pub(crate) reset: Option<Reason>,
}

impl Answer {
    /// The answer as streamed messages.
    pub(crate) fn streamed(&self) -> Vec<internals::InternalInvokeResponseStream> {
        let decode = |m: &Bytes| internals::InternalInvokeResponseStream::decode(&m[..]).unwrap();
        self.messages.iter().map(decode).collect()
    }

    /// All payload bytes; fails if they are not numbered without gaps.
    pub(crate) fn body(&self) -> Vec<u8> {
        let payloads = self.streamed().into_iter().filter_map(|m| m.payload);
        let mut body = Vec::new();
        for (expected, payload) in payloads.enumerate() {
            assert_eq!(payload.seq, expected as u64);
            body.extend_from_slice(&payload.data);
        }
        body
    }

    fn take_status(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Some(code.to_str().unwrap().parse().unwrap());
            let text = headers.get("grpc-message").map(|v| v.as_bytes());
            let text = outrider_wire::grpc::decode_message(text.unwrap_or_default());
            self.text = text.into_owned();
        }
    }
}

/// A stream to the internal port of a sidecar.
pub(crate) struct Call {
    pub(crate) send: h2::SendStream<Bytes>,
    response: h2::client::ResponseFuture,
}

/// Opens a stream; `headers` come beside those of every gRPC call.
pub(crate) async fn open(port: u16, path: &str, headers: &[(&'static str, &str)]) -> Call {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut send = send.ready().await.unwrap();
    let mut req = Request::post(format!("http://peer{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        req = req.header(*name, *value);
    }
    let (response, send) = send.send_request(req.body(()).unwrap(), false).unwrap();
    Call { send, response }
}

impl Call {
    /// Reads the answer to its end.
    pub(crate) async fn answer(self) -> Answer {
        let mut answer = Answer::default();
        let reading = read_answer(self.response, &mut answer);
        match timeout(outrider_testkit::LIMIT, reading).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => answer.reset = Some(error.reason().unwrap_or(Reason::INTERNAL_ERROR)),
            Err(_) => panic!("the peer was silent for too long: {answer:?}"),
        }
        answer
    }
}

async fn read_answer(
    response: h2::client::ResponseFuture,
    answer: &mut Answer,
) -> Result<(), h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    assert_eq!(head.status, 200);
    answer.take_status(&head.headers);
    let mut frames = FrameReader::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        frames.push(data);
        while let Some(frame) = frames.next_frame(usize::MAX).unwrap() {
            answer.messages.push(frame);
        }
    }
    if let Some(trailers) = body.trailers().await? {
        answer.take_status(&trailers);
    }
    Ok(())
}

/// Calls with these bytes as the whole request.
pub(crate) async fn call(port: u16, path: &str, messages: &[Bytes]) -> Answer {
    let mut call = open(port, path, &[]).await;
    for message in messages {
        call.send.send_data(message.clone(), false).unwrap();
    }
    call.send.send_data(Bytes::new(), true).unwrap();
    call.answer().await
}

/// What a hand-made callee does with one call.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Resets the stream.
    Reset(Reason),
    /// Answers with trailers only.
    Refuse(i32, &'static str),
    /// Sends a message, with the response's head before the first.
    Send(Bytes),
    /// Ends the answer.
    End(i32, &'static str),
    /// Reads the whole request.
    Read,
    /// Waits until the caller resets the stream.
    UntilReset,
}

/// One call as a hand-made callee saw it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) messages: Vec<Bytes>,
    pub(crate) reset: bool,
}

impl Seen {
    pub(crate) fn streamed(&self) -> Vec<internals::InternalInvokeRequestStream> {
        let decode = |m: &Bytes| internals::InternalInvokeRequestStream::decode(&m[..]).unwrap();
        self.messages.iter().map(decode).collect()
    }
}

type Handler = Arc<dyn Fn(usize, &str) -> Vec<Act> + Send + Sync>;
type Log = watch::Sender<Vec<Seen>>;

/// A callee that is found as app `id`.
pub(crate) struct Callee {
    pub(crate) id: String,
    log: Arc<Log>,
    task: JoinHandle<()>,
    _announcement: Announcement,
}

impl Drop for Callee {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes `id` found at a port of this host.
pub(crate) fn announce(id: &str, port: u16) -> Announcement {
    let entry = Entry {
        app_id: id.to_owned(),
        namespace: "default".into(),
        pid: std::process::id(),
        address: format!("127.0.0.1:{port}"),
        ..Entry::default()
    };
    Registry::new().announce(entry).unwrap()
}

impl Callee {
    /// Does with the n-th call what `handler` says for it and its path.
    pub(crate) async fn start(
        handler: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let id = unique_id("peer");
        let announcement = announce(&id, listener.local_addr().unwrap().port());
        let log = Arc::new(Log::new(Vec::new()));
        let task = tokio::spawn(accept(listener, Arc::new(handler), Arc::clone(&log)));
        Self {
            id,
            log,
            task,
            _announcement: announcement,
        }
    }

    /// All calls so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.borrow().clone()
    }

    /// Waits for a call as `wanted`.
    pub(crate) async fn wait(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let mut log = self.log.subscribe();
        let waiting = log.wait_for(|all| all.iter().any(&wanted));
        let all = timeout(outrider_testkit::LIMIT, waiting)
            .await
            .unwrap()
            .unwrap();
        all.iter().find(|seen| wanted(seen)).unwrap().clone()
    }
}

async fn accept(listener: TcpListener, handler: Handler, log: Arc<Log>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else {
                return;
            };
            while let Some(Ok((req, respond))) = connection.accept().await {
                let mut number = 0;
                log.send_modify(|all| {
                    number = all.len();
                    all.push(Seen {
                        path: req.uri().path().to_owned(),
                        headers: req.headers().clone(),
                        ..Seen::default()
                    });
                });
                let acts = handler(number, req.uri().path());
                let log = Arc::clone(&log);
                // What the caller does to the stream is in the record.
                tokio::spawn(async move {
                    let _ = act(acts, req.into_body(), respond, (&log, number)).await;
                });
            }
        });
    }
}

async fn act(
    acts: Vec<Act>,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    (log, number): (&Log, usize),
) -> Result<(), h2::Error> {
    let grpc = || Response::builder().header("content-type", "application/grpc");
    let mut send = None;
    for act in acts {
        match act {
            Act::Reset(reason) => respond.send_reset(reason),
            Act::Refuse(code, text) => {
                let head = grpc()
                    .header("grpc-status", code)
                    .header("grpc-message", text);
                respond.send_response(head.body(()).unwrap(), true)?;
            }
            Act::Send(message) => {
                if send.is_none() {
                    send = Some(respond.send_response(grpc().body(()).unwrap(), false)?);
                }
                send.as_mut().unwrap().send_data(message, false)?;
            }
            Act::End(code, text) => {
                if send.is_none() {
                    send = Some(respond.send_response(grpc().body(()).unwrap(), false)?);
                }
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", code.into());
                trailers.insert("grpc-message", text.parse().unwrap());
                send.as_mut().unwrap().send_trailers(trailers)?;
            }
            Act::Read => read_request(&mut body, log, number).await?,
            Act::UntilReset => {
                let reset = match &mut send {
                    Some(send) => std::future::poll_fn(|cx| send.poll_reset(cx)).await,
                    None => std::future::poll_fn(|cx| respond.poll_reset(cx)).await,
                };
                log.send_modify(|all| all[number].reset = reset.is_ok());
            }
        }
    }
    Ok(())
}

async fn read_request(body: &mut RecvStream, log: &Log, number: usize) -> Result<(), h2::Error> {
    let mut frames = FrameReader::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        frames.push(data);
        while let Some(frame) = frames.next_frame(usize::MAX).unwrap() {
            log.send_modify(|all| all[number].messages.push(frame.clone()));
        }
    }
    Ok(())
}
