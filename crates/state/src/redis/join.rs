//! Several things at the same time on one thread.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// What all of them end with, in their order.
pub(super) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<(Pin<Box<F>>, Option<F::Output>)> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|cx| {
        let mut is_done = true;
        for (future, end) in &mut futures {
            if end.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *end = Some(output),
                    Poll::Pending => is_done = false,
                }
            }
        }
        match is_done {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, end)| end).collect()
}
