//! One call of a gRPC app: acting out its script and keeping its record.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};
use tokio::sync::mpsc::UnboundedSender;

use super::app::{GrpcCall, Shared};
use super::connection::Control;
use super::frame::{framed, take_message};
use super::metadata::add;
use super::script::{GrpcScript, Step};

pub(super) struct Running {
    call: GrpcCall,
    shared: Arc<Shared>,
    /// Its place in the record, if it has one.
    at: Option<usize>,
    recv: RecvStream,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    /// Read, but not yet taken as a message.
    unread: BytesMut,
}

/// The stream is gone.
struct Gone(Option<Reason>);

impl From<h2::Error> for Gone {
    fn from(err: h2::Error) -> Self {
        Self(err.reason())
    }
}

enum After {
    Next,
    End,
}

impl Running {
    pub(super) fn new(
        call: GrpcCall,
        recorded: bool,
        shared: &Arc<Shared>,
        (recv, respond): (RecvStream, SendResponse<Bytes>),
    ) -> Self {
        let at = recorded.then(|| {
            let entry = call.clone();
            shared.seen.change(|seen| {
                seen.calls.push(entry);
                seen.cleared + seen.calls.len() - 1
            })
        });
        Self {
            call,
            shared: Arc::clone(shared),
            at,
            recv,
            respond,
            send: None,
            unread: BytesMut::new(),
        }
    }

    pub(super) async fn run(mut self, script: GrpcScript, control: UnboundedSender<Control>) {
        let mut steps: VecDeque<Step> = script.0.into();
        while let Some(step) = steps.pop_front() {
            if let Step::Then(next) = step {
                for more in next(&self.call).0.into_iter().rev() {
                    steps.push_front(more);
                }
                continue;
            }
            match self.act(step, &control).await {
                Ok(After::Next) => {}
                Ok(After::End) => break,
                Err(Gone(reason)) => {
                    self.note(|call| (call.reset, call.broken) = (reason, true));
                    return;
                }
            }
        }
        self.note(|call| call.done = true);
    }

    fn note(&mut self, change: impl Fn(&mut GrpcCall)) {
        change(&mut self.call);
        self.shared.seen.change(|seen| {
            // A test may have cleared the record meanwhile.
            let at = self.at.and_then(|at| at.checked_sub(seen.cleared));
            if let Some(call) = at.and_then(|at| seen.calls.get_mut(at)) {
                change(call);
            }
        });
    }

    async fn act(&mut self, step: Step, control: &UnboundedSender<Control>) -> Result<After, Gone> {
        match step {
            Step::Head(status, fields) => self.send_head(status, &fields, false)?,
            Step::Data(bytes) => self.write(bytes).await?,
            Step::Repeat(bytes, n) => {
                for _ in 0..n {
                    self.write(bytes.clone()).await?;
                }
            }
            Step::Numbered(n, len) => {
                for i in 0..n {
                    self.write(numbered(i, len)).await?;
                }
            }
            Step::Trailers(fields) => {
                let mut trailers = HeaderMap::new();
                add(&mut trailers, &fields);
                self.stream()?.send_trailers(trailers)?;
                return Ok(After::End);
            }
            Step::HeadOnly(status, fields) => {
                self.send_head(status, &fields, true)?;
                return Ok(After::End);
            }
            Step::End => {
                self.stream()?.send_data(Bytes::new(), true)?;
                return Ok(After::End);
            }
            Step::Wait(gate) => {
                tokio::select! {
                    () = gate.pass() => {}
                    gone = self.reset() => return Err(gone),
                }
            }
            Step::ReadMessage => self.read_message().await?,
            Step::ReadAll => while self.read().await?.is_some() {},
            Step::Echo => {
                while let Some(bytes) = self.read().await? {
                    self.write(bytes).await?;
                }
            }
            Step::Then(_) => unreachable!("taken apart by the caller"),
            Step::Reset(reason) => {
                match &mut self.send {
                    Some(send) => send.send_reset(reason),
                    None => self.respond.send_reset(reason),
                }
                return Ok(After::End);
            }
            Step::UntilReset => return Err(self.reset().await),
            // The connection may have ended by itself.
            Step::GoAway(reason) => {
                let _ = control.send(Control::GoAway(reason));
            }
            Step::Cut => {
                let _ = control.send(Control::Cut);
                return Err(self.reset().await);
            }
        }
        Ok(After::Next)
    }

    fn send_head(
        &mut self,
        status: u16,
        fields: &[(String, Vec<u8>)],
        end: bool,
    ) -> Result<(), Gone> {
        let mut rsp = Response::new(());
        *rsp.status_mut() = status.try_into().expect("a status in a test");
        add(rsp.headers_mut(), fields);
        self.send = Some(self.respond.send_response(rsp, end)?);
        Ok(())
    }

    /// The stream to write on; a plain gRPC head goes first if there was none.
    fn stream(&mut self) -> Result<&mut SendStream<Bytes>, Gone> {
        if self.send.is_none() {
            let plain = ("content-type".to_owned(), b"application/grpc".to_vec());
            self.send_head(200, &[plain], false)?;
        }
        Ok(self.send.as_mut().expect("just made"))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Gone> {
        super::client::write(self.stream()?, bytes)
            .await
            .map_err(Gone::from)
    }

    /// One piece more of the request.
    async fn read(&mut self) -> Result<Option<Bytes>, Gone> {
        let Some(piece) = self.recv.data().await else {
            self.note(|call| call.half_closed = true);
            return Ok(None);
        };
        let piece = piece?;
        self.recv.flow_control().release_capacity(piece.len())?;
        self.unread.put_slice(&piece);
        self.note(|call| call.body.extend_from_slice(&piece));
        Ok(Some(piece))
    }

    async fn read_message(&mut self) -> Result<(), Gone> {
        while take_message(&mut self.unread).is_none() {
            if self.read().await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Waits for the other side to give the stream up.
    async fn reset(&mut self) -> Gone {
        let reason = match &mut self.send {
            Some(send) => poll_fn(|cx| send.poll_reset(cx)).await,
            None => poll_fn(|cx| self.respond.poll_reset(cx)).await,
        };
        Gone(reason.ok())
    }
}

fn numbered(i: u32, len: usize) -> Bytes {
    let mut message = i.to_be_bytes().to_vec();
    message.resize(len.max(4), b'.');
    framed(message)
}
