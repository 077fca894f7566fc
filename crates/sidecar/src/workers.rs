//! Tasks that take one call after the other.
//!
//! The future of a call is a few kilobytes. A task of its own would move it about several times
//! before its first step and after its last, and take its memory anew each time: measured, a tenth
//! of the work of a call that is passed through. So a task whose call has ended waits for the next
//! one.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use tokio::task::spawn_local;

/// Work on one call.
pub(crate) trait Job: 'static {
    /// Does it, once.
    async fn run(&mut self);
}

/// Tasks that wait are kept up to so many; more are there only while they work.
const KEPT: usize = 64;

/// The tasks of one kind of job on one lane.
pub(crate) struct Workers<J> {
    waiting: Rc<RefCell<Vec<Rc<Seat<J>>>>>,
}

impl<J> Clone for Workers<J> {
    fn clone(&self) -> Self {
        let waiting = Rc::clone(&self.waiting);
        Self { waiting }
    }
}

impl<J> Default for Workers<J> {
    fn default() -> Self {
        let waiting = Rc::default();
        Self { waiting }
    }
}

/// Where a task waits.
struct Seat<J> {
    job: Cell<Option<J>>,
    waker: RefCell<Option<Waker>>,
}

impl<J: Job> Workers<J> {
    /// Begins a job, which goes on by itself.
    pub(crate) fn begin(&self, job: J) {
        let waiting = self.waiting.borrow_mut().pop();
        let Some(seat) = waiting else {
            let seat = Rc::new(Seat {
                job: Cell::new(Some(job)),
                waker: RefCell::default(),
            });
            spawn_local(self.clone().work(seat));
            return;
        };
        seat.job.set(Some(job));
        if let Some(waker) = &*seat.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Does jobs, until enough others wait for some.
    async fn work(self, seat: Rc<Seat<J>>) {
        loop {
            let mut job = seat.next().await;
            job.run().await;
            drop(job);
            let mut waiting = self.waiting.borrow_mut();
            if waiting.len() >= KEPT {
                return;
            }
            waiting.push(Rc::clone(&seat));
        }
    }
}

impl<J> Seat<J> {
    async fn next(&self) -> J {
        poll_fn(|cx| {
            if let Some(job) = self.job.take() {
                return Poll::Ready(job);
            }
            let mut waker = self.waker.borrow_mut();
            match &mut *waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    /// Waits to be let go on, and then says its number.
    struct Numbered {
        number: u32,
        go: oneshot::Receiver<()>,
        said: mpsc::UnboundedSender<(u32, tokio::task::Id)>,
    }

    impl Job for Numbered {
        async fn run(&mut self) {
            if (&mut self.go).await.is_ok() {
                let _ = self.said.send((self.number, tokio::task::id()));
            }
        }
    }

    struct Crew {
        workers: Workers<Numbered>,
        said: mpsc::UnboundedSender<(u32, tokio::task::Id)>,
        heard: mpsc::UnboundedReceiver<(u32, tokio::task::Id)>,
    }

    impl Crew {
        fn new() -> Self {
            let (said, heard) = mpsc::unbounded_channel();
            Self {
                workers: Workers::default(),
                said,
                heard,
            }
        }

        fn begin(&self, number: u32) -> oneshot::Sender<()> {
            let (let_go, go) = oneshot::channel();
            let said = self.said.clone();
            self.workers.begin(Numbered { number, go, said });
            let_go
        }

        async fn hear(&mut self) -> (u32, tokio::task::Id) {
            self.heard.recv().await.unwrap()
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_task_whose_job_is_done_takes_the_next() {
        let mut crew = Crew::new();
        crew.begin(1).send(()).unwrap();
        let (first, task) = crew.hear().await;
        tokio::task::yield_now().await;
        crew.begin(2).send(()).unwrap();
        assert_eq!((first, crew.hear().await), (1, (2, task)));
    }

    #[tokio::test(flavor = "local")]
    async fn jobs_do_not_wait_for_each_other() {
        let mut crew = Crew::new();
        let first = crew.begin(1);
        crew.begin(2).send(()).unwrap();
        assert_eq!(crew.hear().await.0, 2);
        first.send(()).unwrap();
        assert_eq!(crew.hear().await.0, 1);
    }

    #[tokio::test(flavor = "local")]
    async fn after_a_burst_only_some_tasks_are_kept() {
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        let mut crew = Crew::new();
        let waiting: Vec<_> = (0..3 * KEPT as u32).map(|n| crew.begin(n)).collect();
        assert_eq!(tasks() - before, 3 * KEPT);
        for job in waiting {
            job.send(()).unwrap();
        }
        for _ in 0..3 * KEPT {
            crew.hear().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(tasks() - before, KEPT);
    }

    /// Holds something until it is dropped.
    struct Holding {
        _held: Option<mpsc::UnboundedSender<()>>,
        fails: bool,
    }

    impl Holding {
        fn new(held: Option<mpsc::UnboundedSender<()>>, fails: bool) -> Self {
            Self { _held: held, fails }
        }
    }

    impl Job for Holding {
        async fn run(&mut self) {
            assert!(!self.fails, "a fault of ours");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn what_a_job_holds_ends_with_it_and_not_with_its_task() {
        let (held, mut dropped) = mpsc::unbounded_channel();
        let workers = Workers::default();
        workers.begin(Holding::new(Some(held), false));
        assert_eq!(dropped.recv().await, None);
        assert_eq!(workers.waiting.borrow().len(), 1);
    }

    #[tokio::test(flavor = "local")]
    async fn a_job_that_panics_takes_only_its_task_along() {
        let (held, mut dropped) = mpsc::unbounded_channel();
        let workers = Workers::default();
        workers.begin(Holding::new(Some(held), true));
        workers.begin(Holding::new(None, false));
        assert_eq!(dropped.recv().await, None);
        tokio::task::yield_now().await;
        assert_eq!(workers.waiting.borrow().len(), 1);
    }
}
