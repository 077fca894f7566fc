//! The thread that works on the file, and the way to it. Knows nothing of what is done there.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use outrider_telemetry::log::scope;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::database::Database;
use super::settings::Settings;
use crate::Error;
use crate::clock::Clock;

/// Calls that may stand in the queue; more wait for their place in it.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// The thread's other end. The thread ends when this is dropped, after what is in the queue.
pub(super) struct Worker {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Worker {
    /// Opens the file on a new thread, which stays.
    pub(super) async fn start(settings: Settings, clock: Clock) -> Result<Self, String> {
        let (jobs, inbox) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let timeout = settings.timeout;
        std::thread::Builder::new()
            .name("sqlite-state".to_owned())
            .spawn(move || match Database::open(&settings, clock) {
                Ok(database) => {
                    // Nobody waits any more: then the inbox is closed too, and work ends at once.
                    let _ = opened.send(Ok(()));
                    work(database, &inbox, settings.cleanup_interval);
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

    async fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let gone = || Error::failed("the database's thread ended");
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place: OwnedSemaphorePermit = place.map_err(|_| gone())?;
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            drop(place);
            if !done.is_closed() {
                // The caller may leave meanwhile.
                let _ = done.send(work(database));
            }
        });
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

/// Does what comes, and cleans up every `interval`.
fn work(mut database: Database, inbox: &Receiver<Job>, interval: Option<Duration>) {
    let Some(interval) = interval else {
        for job in inbox {
            job(&mut database);
        }
        return;
    };
    let mut due = Instant::now() + interval;
    loop {
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(job) => job(&mut database),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if due <= Instant::now() {
            clean_up(&mut database, interval);
            due = Instant::now() + interval;
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
