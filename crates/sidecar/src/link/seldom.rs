//! Futures that are seldom ready, beside something that is polled all the time.
//!
//! A connection is polled for each piece that arrives or leaves; its timer, its pings and the end of
//! the process concern it every few seconds. They are polled with a waker of their own and only
//! after that has been called: to poll them each time was a hundredth of the work of a call.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// Knows whether one of the futures wants to be polled.
pub(crate) struct Seldom {
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
    /// The task that is woken when it rings, as it was at the last poll.
    task: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

impl Seldom {
    /// For futures that have not been polled yet.
    pub(crate) fn new() -> Self {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            task: Mutex::default(),
        });
        Self {
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            task: None,
        }
    }

    /// What to poll them with, if one of them wants to be polled.
    pub(crate) fn rung(&mut self, cx: &Context<'_>) -> Option<Context<'_>> {
        let known = self.task.as_ref();
        if !known.is_some_and(|task| task.will_wake(cx.waker())) {
            let task = cx.waker().clone();
            let mut place = self
                .bell
                .task
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *place = Some(task.clone());
            drop(place);
            self.task = Some(task);
        }
        let rung = self.bell.rung.swap(false, Ordering::Acquire);
        rung.then(|| Context::from_waker(&self.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_at_first_and_then_only_when_it_has_said_so() {
        let (say, said) = oneshot::channel();
        let (mut say, mut said) = (Some(say), pin!(said));
        let mut seldom = Seldom::new();
        let (mut polls, mut asked) = (0, 0);
        let heard = poll_fn(|cx| {
            polls += 1;
            if let Some(mut cx) = seldom.rung(cx) {
                asked += 1;
                if let Poll::Ready(heard) = said.as_mut().poll(&mut cx) {
                    return Poll::Ready(heard);
                }
            }
            match polls {
                // Something else wakes the task.
                1..4 => cx.waker().wake_by_ref(),
                _ => drop(say.take().map(|say| say.send("word"))),
            }
            Poll::Pending
        });
        assert_eq!(heard.await, Ok("word"));
        assert_eq!((polls, asked), (5, 2));
    }
}
