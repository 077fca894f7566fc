//! The thread that the database lives on: whoever asks awaits the answer, nobody blocks.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::database::{Database, Error};

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// The thread. It ends after its last job when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(super) fn start(mut database: Database) -> io::Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("resolver-db".to_owned())
            .spawn(move || {
                while let Ok(job) = todo.recv() {
                    job(&mut database);
                }
            })?;
        Ok(Self { jobs })
    }

    /// Runs one job after those before it. It runs even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let job = Box::new(move |database: &mut Database| {
            // The receiver may have given up.
            let _ = tell.send(work(database));
        });
        self.jobs.send(job).map_err(|_| Error::Gone)?;
        told.await.unwrap_or(Err(Error::Gone))
    }
}
