//! A body on its way into a gRPC stream, piece by piece, as fast as the receiver takes it.

use std::{
    future::{Future, poll_fn},
    task::{Context, Poll},
};

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

/// Sends the rest of `body`, numbered from `seq`, and ends the stream. A body that breaks resets
/// it: the call must not look complete.
pub(crate) async fn upload(
    mut body: Body,
    mut send: SendStream<Bytes>,
    seq: u64,
) -> Result<(), UploadError> {
    let sent = send_pieces(&mut body, &mut send, seq).await;
    match sent {
        Ok(()) => send
            .send_data(Bytes::new(), true)
            .map_err(|_| UploadError::Stopped),
        Err(error) => {
            if let UploadError::Body(_) = error {
                send.send_reset(h2::Reason::CANCEL);
            }
            Err(error)
        }
    }
}

/// Sends `body` to its end, numbered from `seq`, until the receiver resets the stream. What ends
/// the stream is the caller's to say.
pub(crate) async fn send_pieces(
    body: &mut Body,
    send: &mut SendStream<Bytes>,
    mut seq: u64,
) -> Result<(), UploadError> {
    loop {
        let piece = poll_fn(|cx| match body.poll_data(cx) {
            Poll::Pending => send.poll_reset(cx).map(|_| Err(UploadError::Stopped)),
            ready => ready.map(|piece| piece.transpose().map_err(UploadError::Body)),
        })
        .await?;
        let Some(mut piece) = piece else {
            return Ok(());
        };
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(PIECE));
            let mut out = BytesMut::with_capacity(part.len() + 32);
            // A piece is far below what gRPC can frame.
            envelope::encode_payload(&mut out, seq, &part).map_err(|_| UploadError::Stopped)?;
            seq += 1;
            wait_beside(send, |cx| body.poll_progress(cx)).await?;
            send.send_data(out.freeze(), false)
                .map_err(|_| UploadError::Stopped)?;
        }
    }
}

/// [`wait_for_window`], while something else goes on.
pub(crate) async fn wait_beside(
    send: &mut SendStream<Bytes>,
    mut progress: impl FnMut(&mut Context<'_>),
) -> Result<(), UploadError> {
    let mut waiting = std::pin::pin!(wait_for_window(send));
    poll_fn(|cx| {
        let polled = waiting.as_mut().poll(cx);
        if polled.is_pending() {
            progress(cx);
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
