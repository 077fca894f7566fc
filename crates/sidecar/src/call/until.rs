//! Work that ends when somebody gives up: at a deadline, or when the caller's stream is reset.
//!
//! These are types and no async functions, because an async function holds a future that it is
//! given twice, and the tasks of calls are to be small.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::server::SendResponse;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// What the work comes to; none if the deadline is first.
    pub(crate) struct InTime<F> {
        #[pin]
        work: F,
        #[pin]
        over: Option<Sleep>,
    }
}

/// Lets `work` go on until the deadline, if there is one.
pub(crate) fn in_time<F: Future>(deadline: Option<Instant>, work: F) -> InTime<F> {
    let over = deadline.map(sleep_until);
    InTime { work, over }
}

impl<F: Future> Future for InTime<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(done) = this.work.poll(cx) {
            return Poll::Ready(Some(done));
        }
        match this.over.as_pin_mut() {
            Some(over) => over.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}

pin_project! {
    /// What the work comes to; none if the caller resets its stream first.
    pub(crate) struct UnlessReset<'a, F> {
        respond: &'a mut SendResponse<Bytes>,
        #[pin]
        work: F,
    }
}

/// Lets `work` go on until the caller gives up; then it is to be dropped.
pub(crate) fn unless_reset<F: Future>(
    respond: &mut SendResponse<Bytes>,
    work: F,
) -> UnlessReset<'_, F> {
    UnlessReset { respond, work }
}

impl<F: Future> Future for UnlessReset<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.work.poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => this.respond.poll_reset(cx).map(|_| None),
        }
    }
}
