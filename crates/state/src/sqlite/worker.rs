//! A thread that works on the file, and the way to it. Knows nothing of what is done there, but that
//! others may hold a lock on the file: calls that stand in line wait for it together, each from when
//! it was made, and not one after the other.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use outrider_telemetry::log::scope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::database::Database;
use crate::Error;

/// Calls that may stand in the queue; more wait for their place in it.
const QUEUE: usize = 256;

/// So long before a call's time is over it stops waiting for a lock, so that the lock is what its
/// caller is told of.
const BEFORE_THE_END: Duration = Duration::from_millis(100);

/// What is to be done, and from when to when its caller waits.
struct Job {
    asked: Instant,
    until: Option<Instant>,
    work: Box<dyn FnOnce(&mut Database) + Send>,
}

/// The thread's other end. The thread ends when this is dropped, after what is in the queue.
pub(super) struct Worker {
    thread: JoinHandle<()>,
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Worker {
    /// Opens the file on a new thread of that name, which stays. Calls may take `timeout`; the
    /// thread cleans up every `clean_up`.
    pub(super) async fn start(
        name: &str,
        timeout: Duration,
        clean_up: Option<Duration>,
        open: impl FnOnce() -> Result<Database, String> + Send + 'static,
    ) -> Result<Self, String> {
        let (jobs, inbox) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || match open() {
                Ok(database) => {
                    // Nobody waits any more: then the inbox is closed too, and work ends at once.
                    let _ = opened.send(Ok(()));
                    Thread::new(database).work(&inbox, clean_up);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|error| format!("cannot start a thread for the database: {error}"))?;
        answer
            .await
            .unwrap_or_else(|_| Err("the database's thread ended".to_owned()))?;
        Ok(Self {
            thread,
            jobs,
            places: Arc::new(Semaphore::new(QUEUE)),
            timeout,
        })
    }

    /// Has `work` done on the thread. If that takes longer than the component's `timeout`, or the
    /// caller leaves, it is not begun any more; once begun it is done.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.timeout, self.queue(work)).await;
        answer.unwrap_or_else(|_| Err(Error::failed("context deadline exceeded")))
    }

    /// Ends this thread, and keeps `other` from closing the file before: if both closed it at the
    /// same moment neither would tidy up as the last one.
    pub(super) fn end_before(self, other: &Self) {
        let Self { thread, jobs, .. } = self;
        drop(jobs);
        let wait = move |_: &mut Database| {
            // It catches what panics.
            let _ = thread.join();
        };
        // Ended already, then: so there is nothing to keep open.
        let _ = other.jobs.send(Job {
            asked: Instant::now(),
            until: None,
            work: Box::new(wait),
        });
    }

    async fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let gone = || Error::failed("the database's thread ended");
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place: OwnedSemaphorePermit = place.map_err(|_| gone())?;
        let (done, answer) = oneshot::channel();
        let job = Job {
            asked,
            until: asked.checked_add(self.timeout),
            work: Box::new(move |database| {
                drop(place);
                if !done.is_closed() {
                    // The caller may leave meanwhile.
                    let _ = done.send(work(database));
                }
            }),
        };
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| {
            Error::failed("the database call broke off; it may have been done all the same")
        })
    }
}

/// What the thread has.
struct Thread {
    database: Database,
    /// Since when others have held a lock, as far as this thread has found out.
    locked_since: Option<Instant>,
}

impl Thread {
    fn new(database: Database) -> Self {
        Self {
            database,
            locked_since: None,
        }
    }

    /// Does what comes, and cleans up every `interval`.
    fn work(mut self, inbox: &Receiver<Job>, interval: Option<Duration>) {
        let Some(interval) = interval else {
            for job in inbox {
                self.serve(job);
            }
            return;
        };
        let mut due = Instant::now() + interval;
        loop {
            match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(job) => self.serve(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if due <= Instant::now() {
                self.serve(Job {
                    asked: Instant::now(),
                    until: None,
                    work: Box::new(move |database| clean_up(database, interval)),
                });
                due = Instant::now() + interval;
            }
        }
    }

    /// Does a job. If that panics its caller is told so, and the next one is served.
    fn serve(&mut self, job: Job) {
        let begun = Instant::now();
        let patience = self.patience(&job, begun);
        self.database.prepare(patience);
        let Job { work, .. } = job;
        // SQLite itself never stops in the middle, so the connection is whole. Guards on the way out
        // end statements and transaction; `prepare` sees to it.
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(&mut self.database)));
        if done.is_err() {
            tracing::error!(target: scope::CONTRIB, "a call to the database broke off");
        }
        match self.database.met_lock() {
            Some(true) => self.locked_since = self.locked_since.or(Some(begun)),
            Some(false) => self.locked_since = None,
            None => {}
        }
    }

    /// How much longer a job may wait for the locks of others.
    fn patience(&self, job: &Job, now: Instant) -> Duration {
        let since = self
            .locked_since
            .map_or(now, |locked| locked.max(job.asked));
        let waited = now.saturating_duration_since(since);
        let left = self.database.busy_timeout().saturating_sub(waited);
        match job.until {
            None => left,
            Some(until) => {
                let end = until.saturating_duration_since(now);
                left.min(end.saturating_sub(BEFORE_THE_END))
            }
        }
    }
}

fn clean_up(database: &mut Database, interval: Duration) {
    match database.clean_up(interval) {
        Ok(Some(rows)) => {
            tracing::debug!(target: scope::CONTRIB, "removed {rows} expired rows of the state table");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(
                target: scope::CONTRIB,
                "expired rows of the state table stay until the next clean-up: {error}"
            );
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}
