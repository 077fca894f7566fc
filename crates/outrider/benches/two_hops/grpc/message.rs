//! gRPC messages, and room to send them.

use std::future::poll_fn;
use std::task::{Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::SendStream;

/// Bytes before a message: not compressed, and its length.
const PREFIX: usize = 5;

/// A message with its prefix.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX + message.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(message);
    out.freeze()
}

/// A message that tells its stream and its place there, and so many bytes more.
pub(super) fn numbered(stream: u32, number: u32, more: usize) -> Bytes {
    let mut message = Vec::with_capacity(8 + more);
    message.put_u32(stream);
    message.put_u32(number);
    message.resize(8 + more, b'x');
    framed(&message)
}

/// Numbered messages as they arrive: checked, counted, forgotten.
#[derive(Debug, Default)]
pub(super) struct Checked {
    stream: u32,
    buffer: BytesMut,
    /// Those that came in their turn.
    pub(super) good: u32,
    /// Those of another stream or out of turn.
    pub(super) wrong: u32,
}

impl Checked {
    /// Of that stream.
    pub(super) fn new(stream: u32) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
        while let Some(length) = self.buffer.get(1..PREFIX) {
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if self.buffer.len() < PREFIX + length {
                return;
            }
            let mut message = self.buffer.split_to(PREFIX + length);
            message.advance(PREFIX);
            let told = (length >= 8).then(|| (message.get_u32(), message.get_u32()));
            match told == Some((self.stream, self.good)) {
                true => self.good += 1,
                false => self.wrong += 1,
            }
        }
    }
}

/// Waits until the far end takes something.
pub(super) async fn room(send: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    if send.capacity() > 0 {
        return Ok(());
    }
    send.reserve_capacity(1);
    poll_fn(|cx| {
        loop {
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(0)) => {}
                Some(Ok(_)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Err(h2::Reason::CANCEL.into())),
            }
        }
    })
    .await
}
