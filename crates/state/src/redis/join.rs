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

/// The first success, or if there is none, the last one's failure.
pub(super) async fn first_of<T, E: Default, F: Future<Output = Result<T, E>>>(
    futures: Vec<F>,
) -> Result<T, E> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut last = E::default();
    poll_fn(|cx| {
        let mut first = None;
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Err(error)) => {
                last = error;
                false
            }
            Poll::Ready(Ok(value)) => {
                first.get_or_insert(value);
                false
            }
        });
        match first {
            Some(value) => Poll::Ready(Ok(value)),
            None if futures.is_empty() => Poll::Ready(Err(std::mem::take(&mut last))),
            None => Poll::Pending,
        }
    })
    .await
}
