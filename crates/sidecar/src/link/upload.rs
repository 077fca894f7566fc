//! A body on its way into a gRPC stream, piece by piece, as fast as the receiver takes it.

use std::future::{Future, poll_fn};

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use outrider_wire::envelope;

use crate::call::{Body, BodyError};

/// No message is made longer than this: the receiver's limit is unknown, and this is below all
/// sensible ones (contract `sidecar-protocol.md` 15.5).
pub(crate) const PIECE: usize = 64 * 1024;

/// Why an upload ended early.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The body itself failed; the call must not look complete.
    Body(BodyError),
    /// The receiver takes no more; what it has to say comes on the other half.
    Stopped,
}

/// Sends the rest of `body`, numbered from `seq`, and ends the stream.
pub(crate) async fn upload(
    mut body: Body,
    mut send: SendStream<Bytes>,
    mut seq: u64,
) -> Result<(), UploadError> {
    while let Some(piece) = next_or_reset(&mut body, &mut send).await {
        let piece = match piece? {
            Ok(piece) => piece,
            Err(error) => {
                send.send_reset(h2::Reason::CANCEL);
                return Err(UploadError::Body(error));
            }
        };
        let mut rest = piece;
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(PIECE));
            send_message(&mut send, part, &mut seq).await?;
        }
    }
    send.send_data(Bytes::new(), true)
        .map_err(|_| UploadError::Stopped)
}

/// The next piece of the body, unless the receiver resets the stream first.
async fn next_or_reset(
    body: &mut Body,
    send: &mut SendStream<Bytes>,
) -> Option<Result<Result<Bytes, BodyError>, UploadError>> {
    poll_fn(|cx| match body.poll_data(cx) {
        std::task::Poll::Pending => send.poll_reset(cx).map(|_| Some(Err(UploadError::Stopped))),
        ready => ready.map(|piece| piece.map(Ok)),
    })
    .await
}

async fn send_message(
    send: &mut SendStream<Bytes>,
    data: Bytes,
    seq: &mut u64,
) -> Result<(), UploadError> {
    let mut out = BytesMut::with_capacity(data.len() + 32);
    // A piece is far below what gRPC can frame.
    envelope::encode_payload(&mut out, *seq, &data).map_err(|_| UploadError::Stopped)?;
    *seq += 1;
    wait_for_window(send).await?;
    send.send_data(out.freeze(), false)
        .map_err(|_| UploadError::Stopped)
}

/// [`wait_for_window`], while what accompanies `body` goes on.
pub(crate) async fn wait_beside(
    send: &mut SendStream<Bytes>,
    body: &mut Body,
) -> Result<(), UploadError> {
    let mut waiting = std::pin::pin!(wait_for_window(send));
    poll_fn(|cx| {
        let polled = waiting.as_mut().poll(cx);
        if polled.is_pending() {
            body.poll_progress(cx);
        }
        polled
    })
    .await
}

/// Waits until the receiver has room for something; the whole message is queued then.
pub(crate) async fn wait_for_window(send: &mut SendStream<Bytes>) -> Result<(), UploadError> {
    if send.capacity() > 0 {
        return Ok(());
    }
    send.reserve_capacity(1);
    loop {
        match poll_fn(|cx| send.poll_capacity(cx)).await {
            Some(Ok(0)) => {}
            Some(Ok(_)) => return Ok(()),
            Some(Err(_)) | None => return Err(UploadError::Stopped),
        }
    }
}
