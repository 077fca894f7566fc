//! A gRPC client that sends the metadata and bytes it is given and shows those it gets.
//!
//! It never retries, never compresses, and reads a stream only when the test does.

use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream, client};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frame::{framed, take_message};
use super::metadata::{add, from_base64, owned, percent_decoded, values};
use crate::LIMIT;

/// Writes all of it, as the other side has room.
pub(super) async fn write(send: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let room = match poll_fn(|cx| send.poll_capacity(cx)).await {
            Some(room) => room?,
            None => return Err(Reason::CANCEL.into()),
        };
        let piece = bytes.split_to(room.min(bytes.len()));
        send.send_data(piece, false)?;
    }
    Ok(())
}

async fn bounded<T, E: Into<Gone>>(
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Gone> {
    match timeout(LIMIT, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Gone::Late(format!("waited in vain for {what}"))),
    }
}

enum Gone {
    Late(String),
    Broken(h2::Error),
}

impl From<h2::Error> for Gone {
    fn from(err: h2::Error) -> Self {
        Self::Broken(err)
    }
}

impl From<Gone> for io::Error {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Late(what) => Self::new(io::ErrorKind::TimedOut, what),
            Gone::Broken(err) => Self::other(err),
        }
    }
}

/// The task of a connection; ends with the last that uses it.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One connection to a gRPC server; clones share it, and it ends with the last of them and of their
/// streams.
#[derive(Debug, Clone)]
pub struct GrpcClient {
    send: SendRequest<Bytes>,
    driver: Arc<Driver>,
}

impl GrpcClient {
    /// Connects to `port` of 127.0.0.1.
    ///
    /// # Errors
    /// As the connection attempt ends.
    pub async fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Self::over(stream).await
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// As the connection attempt ends.
    pub async fn connect_unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::over(UnixStream::connect(path).await?).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Self> {
        let mut settings = client::Builder::new();
        settings.initial_connection_window_size(super::CONNECTION_WINDOW);
        settings.max_header_list_size(1 << 20);
        // A test may give up many streams at once; the connection is not to be the library's victim.
        settings.max_local_error_reset_streams(None);
        let handshake = settings.handshake(stream);
        let (send, connection) = bounded("the HTTP/2 handshake", handshake).await?;
        let driver = tokio::spawn(async move {
            // What ends the connection ends its streams, and those say so.
            let _ = connection.await;
        });
        Ok(Self {
            send,
            driver: Arc::new(Driver(driver)),
        })
    }

    /// Opens a stream; `metadata` comes beside what every gRPC call has.
    ///
    /// # Errors
    /// If the connection is gone, or has no room within [`LIMIT`].
    pub async fn open<V: AsRef<[u8]>>(
        &self,
        path: &str,
        metadata: &[(&str, V)],
    ) -> io::Result<GrpcStream> {
        let mut fields = owned(&[("content-type", "application/grpc"), ("te", "trailers")]);
        fields.extend(owned(metadata));
        self.request("POST", path, &fields).await
    }

    /// Opens a stream with exactly these fields; a path that is no URL is sent as it is.
    ///
    /// # Errors
    /// As [`GrpcClient::open`].
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        fields: &[(String, Vec<u8>)],
    ) -> io::Result<GrpcStream> {
        let ready = self.send.clone().ready();
        let mut send = bounded("room for a stream", ready).await?;
        let mut req = Request::new(());
        *req.method_mut() = method.parse().map_err(io::Error::other)?;
        *req.uri_mut() = http::Uri::builder()
            .scheme("http")
            .authority("localhost")
            .path_and_query(path)
            .build()
            .map_err(io::Error::other)?;
        add(req.headers_mut(), fields);
        let (response, send) = send.send_request(req, false).map_err(io::Error::other)?;
        Ok(GrpcStream {
            tx: GrpcSender { send },
            rx: GrpcReceiver {
                response: Some(response),
                body: None,
                buffered: BytesMut::new(),
                answer: GrpcAnswer::default(),
                driver: Arc::clone(&self.driver),
            },
        })
    }

    /// Sends one message and half-closes.
    ///
    /// # Errors
    /// As [`GrpcClient::open`]; how the call itself ends is in the answer.
    pub async fn unary<V: AsRef<[u8]>>(
        &self,
        path: &str,
        metadata: &[(&str, V)],
        message: impl AsRef<[u8]>,
    ) -> io::Result<GrpcAnswer> {
        let mut stream = self.open(path, metadata).await?;
        // A call that was refused may end before its request; the answer tells.
        let _ = stream.tx.send(message).await;
        stream.tx.half_close();
        stream.rx.finish().await
    }
}

/// A running call.
#[derive(Debug)]
pub struct GrpcStream {
    /// Towards the server.
    pub tx: GrpcSender,
    /// From the server.
    pub rx: GrpcReceiver,
}

impl GrpcStream {
    /// Both directions apart, for tasks of their own.
    pub fn split(self) -> (GrpcSender, GrpcReceiver) {
        (self.tx, self.rx)
    }
}

/// The request of a running call.
#[derive(Debug)]
pub struct GrpcSender {
    send: SendStream<Bytes>,
}

impl GrpcSender {
    /// Sends one message; waits while the other side has no room.
    ///
    /// # Errors
    /// If the stream is gone, or there is no room within [`LIMIT`].
    pub async fn send(&mut self, message: impl AsRef<[u8]>) -> io::Result<()> {
        self.send_raw(framed(message)).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As [`GrpcSender::send`].
    pub async fn send_raw(&mut self, bytes: impl Into<Bytes>) -> io::Result<()> {
        let writing = write(&mut self.send, bytes.into());
        Ok(bounded("room on the stream", writing).await?)
    }

    /// Ends the request. Harmless if the stream is gone.
    pub fn half_close(&mut self) {
        // The answer tells why it cannot be done.
        let _ = self.send.send_data(Bytes::new(), true);
    }

    /// Resets the stream, both directions.
    pub fn reset(&mut self, reason: Reason) {
        self.send.send_reset(reason);
    }
}

/// The answer of a running call.
#[derive(Debug)]
pub struct GrpcReceiver {
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    buffered: BytesMut,
    answer: GrpcAnswer,
    /// Keeps the connection.
    #[expect(dead_code, reason = "held, not used")]
    driver: Arc<Driver>,
}

impl GrpcReceiver {
    /// Waits for the head of the answer.
    ///
    /// # Errors
    /// If the stream breaks, or nothing comes within [`LIMIT`].
    pub async fn head(&mut self) -> io::Result<HeaderMap> {
        self.take_head().await?;
        Ok(self.answer.headers.clone())
    }

    /// Waits for one message; `None` at the end.
    ///
    /// # Errors
    /// As [`GrpcReceiver::head`].
    pub async fn message(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.take_message().await?)
    }

    /// Reads to the end. How the call ended, a reset included, is in the answer.
    ///
    /// # Errors
    /// `TimedOut` if there is silence for [`LIMIT`].
    pub async fn finish(mut self) -> io::Result<GrpcAnswer> {
        loop {
            match self.take_message().await {
                Ok(Some(message)) => self.answer.messages.push(message),
                Ok(None) => break,
                Err(Gone::Broken(err)) => {
                    self.answer.broken = Some(err.to_string());
                    self.answer.reset = err.reason();
                    break;
                }
                Err(late) => return Err(late.into()),
            }
        }
        self.answer.rest = self.buffered.to_vec();
        Ok(self.answer)
    }

    async fn take_head(&mut self) -> Result<(), Gone> {
        if let Some(response) = self.response.take() {
            let (head, body) = bounded("the head of an answer", response)
                .await?
                .into_parts();
            self.answer.http_status = head.status.as_u16();
            self.answer.headers = head.headers;
            self.answer.trailers_only = body.is_end_stream();
            let status = self.answer.headers.clone();
            self.answer.take_status(&status);
            self.body = Some(body);
        }
        Ok(())
    }

    async fn take_message(&mut self) -> Result<Option<Bytes>, Gone> {
        self.take_head().await?;
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        loop {
            if let Some(message) = take_message(&mut self.buffered) {
                return Ok(Some(message));
            }
            let piece = bounded("a message", async {
                let piece = body.data().await.transpose()?;
                if let Some(piece) = &piece {
                    body.flow_control().release_capacity(piece.len())?;
                }
                Ok::<_, h2::Error>(piece)
            });
            match piece.await? {
                Some(piece) => self.buffered.put_slice(&piece),
                None => break,
            }
        }
        if let Some(trailers) = bounded("trailers", body.trailers()).await? {
            self.answer.take_status(&trailers);
            self.answer.trailers = trailers;
        }
        Ok(None)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Default)]
pub struct GrpcAnswer {
    /// 200 for gRPC; 0 if no head came.
    pub http_status: u16,
    /// Initial metadata, or all of it if it is trailers only.
    pub headers: HeaderMap,
    /// Messages that [`GrpcReceiver::message`] had not taken.
    pub messages: Vec<Bytes>,
    /// Trailing metadata.
    pub trailers: HeaderMap,
    /// The answer ended with its head.
    pub trailers_only: bool,
    /// The `grpc-status`, wherever it stood.
    pub code: Option<i32>,
    /// The `grpc-message`, decoded.
    pub text: String,
    /// The `grpc-message` as it stood.
    pub raw_text: String,
    /// The `grpc-status-details-bin`, decoded.
    pub details: Option<Vec<u8>>,
    /// The reset that ended it.
    pub reset: Option<Reason>,
    /// Why the stream broke, resets included.
    pub broken: Option<String>,
    /// Bytes behind the last whole message.
    pub rest: Vec<u8>,
}

impl GrpcAnswer {
    /// Code and text in one.
    ///
    /// # Panics
    /// If the call ended without a status.
    #[track_caller]
    pub fn status(&self) -> (i32, &str) {
        match self.code {
            Some(code) => (code, &self.text),
            None => panic!("no status: {self:?}"),
        }
    }

    /// All values of an initial metadata key.
    pub fn initial(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// All values of a trailing metadata key, wherever trailers stood.
    pub fn trailing(&self, name: &str) -> Vec<String> {
        match self.trailers_only {
            true => values(&self.headers, name),
            false => values(&self.trailers, name),
        }
    }

    fn take_status(&mut self, fields: &HeaderMap) {
        let Some(code) = values(fields, "grpc-status").first().cloned() else {
            return;
        };
        self.code = code.parse().ok();
        if let Some(text) = fields.get("grpc-message") {
            self.raw_text = String::from_utf8_lossy(text.as_bytes()).into_owned();
            self.text = percent_decoded(text.as_bytes());
        }
        let details = values(fields, "grpc-status-details-bin");
        self.details = details.first().map(|value| from_base64(value));
    }
}
