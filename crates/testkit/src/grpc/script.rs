//! What a gRPC app does with one call: metadata, messages, pauses, ends.
//!
//! A script is data; what is not in it is not sent. The one courtesy: a head goes out before the
//! first message or status if the script sends none itself.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;

use super::app::GrpcCall;
use super::frame::framed;
use super::metadata::{owned, percent_encoded};
use crate::script::Gate;

type Fields = Vec<(String, Vec<u8>)>;
type Then = Arc<dyn Fn(&GrpcCall) -> GrpcScript + Send + Sync>;

/// One act of an app.
#[derive(Clone)]
pub(crate) enum Step {
    Head(u16, Fields),
    Data(Bytes),
    Repeat(Bytes, usize),
    Numbered(u32, usize),
    Trailers(Fields),
    HeadOnly(u16, Fields),
    End,
    Wait(Gate),
    ReadMessage,
    ReadAll,
    Echo,
    Then(Then),
    Reset(Reason),
    UntilReset,
    GoAway(Reason),
    Cut,
}

/// The acts that answer one call, in order. A script that ends without an end of the answer leaves
/// the stream to the transport, which resets it.
#[derive(Clone, Default)]
pub struct GrpcScript(pub(crate) Vec<Step>);

impl std::fmt::Debug for GrpcScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GrpcScript of {} steps", self.0.len())
    }
}

fn grpc_head<V: AsRef<[u8]>>(fields: &[(&str, V)]) -> Fields {
    let mut all = owned(&[("content-type", "application/grpc")]);
    all.extend(owned(fields));
    all
}

fn status_fields<V: AsRef<[u8]>>(code: i32, text: &str, fields: &[(&str, V)]) -> Fields {
    let mut all = owned(fields);
    all.push(("grpc-status".to_owned(), code.to_string().into_bytes()));
    if !text.is_empty() {
        all.push(("grpc-message".to_owned(), percent_encoded(text).into()));
    }
    all
}

const NONE: &[(&str, &str)] = &[];

impl GrpcScript {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The whole request is read, one message answered, status 0.
    pub fn reply(message: impl AsRef<[u8]>) -> Self {
        Self::new().read_all().message(message).ok()
    }

    /// An answer of trailers only.
    pub fn refuse(code: i32, text: &str) -> Self {
        Self::refuse_with(code, text, NONE)
    }

    /// An answer of trailers only, with these beside the status.
    pub fn refuse_with<V: AsRef<[u8]>>(code: i32, text: &str, fields: &[(&str, V)]) -> Self {
        let mut all = owned(&[("content-type", "application/grpc")]);
        all.extend(status_fields(code, text, fields));
        Self::new().step(Step::HeadOnly(200, all))
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// Sends the initial metadata.
    pub fn initial<V: AsRef<[u8]>>(self, fields: &[(&str, V)]) -> Self {
        self.step(Step::Head(200, grpc_head(fields)))
    }

    /// Sends a head that is not gRPC's: any status, these fields only.
    pub fn head<V: AsRef<[u8]>>(self, status: u16, fields: &[(&str, V)]) -> Self {
        self.step(Step::Head(status, owned(fields)))
    }

    /// Ends with a head that is not gRPC's.
    pub fn head_only<V: AsRef<[u8]>>(self, status: u16, fields: &[(&str, V)]) -> Self {
        self.step(Step::HeadOnly(status, owned(fields)))
    }

    /// Sends one message.
    pub fn message(self, message: impl AsRef<[u8]>) -> Self {
        self.step(Step::Data(framed(message)))
    }

    /// Sends the same message `n` times.
    pub fn messages(self, message: impl AsRef<[u8]>, n: usize) -> Self {
        self.step(Step::Repeat(framed(message), n))
    }

    /// Sends `n` messages of `len` bytes (at least four) that begin with their number from 0.
    pub fn numbered(self, n: u32, len: usize) -> Self {
        self.step(Step::Numbered(n, len))
    }

    /// Sends these bytes as they are.
    pub fn data(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Data(bytes.into()))
    }

    /// Ends with status 0.
    pub fn ok(self) -> Self {
        self.status(0, "")
    }

    /// Ends with this status.
    pub fn status(self, code: i32, text: &str) -> Self {
        self.status_with(code, text, NONE)
    }

    /// Ends with this status and these trailers beside it.
    pub fn status_with<V: AsRef<[u8]>>(self, code: i32, text: &str, fields: &[(&str, V)]) -> Self {
        self.step(Step::Trailers(status_fields(code, text, fields)))
    }

    /// Ends with exactly these trailers.
    pub fn trailers<V: AsRef<[u8]>>(self, fields: &[(&str, V)]) -> Self {
        self.step(Step::Trailers(owned(fields)))
    }

    /// Ends without trailers.
    pub fn end(self) -> Self {
        self.step(Step::End)
    }

    /// Stops at a gate until the test opens it.
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Waits for one message more; returns at the half-close, too.
    pub fn read_message(self) -> Self {
        self.step(Step::ReadMessage)
    }

    /// Reads to the half-close.
    pub fn read_all(self) -> Self {
        self.step(Step::ReadAll)
    }

    /// Sends each piece of the request back as it comes, to the half-close.
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    /// Goes on with the script made of what has been read so far.
    pub fn and_then(self, next: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static) -> Self {
        self.step(Step::Then(Arc::new(next)))
    }

    /// Resets the stream.
    pub fn reset(self, reason: Reason) -> Self {
        self.step(Step::Reset(reason))
    }

    /// Never answers: waits until the other side gives up.
    pub fn hang(self) -> Self {
        self.step(Step::UntilReset)
    }

    /// Sends a GOAWAY that covers this stream; with `NO_ERROR` what runs may end in order.
    pub fn go_away(self, reason: Reason) -> Self {
        self.step(Step::GoAway(reason))
    }

    /// Drops the connection.
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }
}
