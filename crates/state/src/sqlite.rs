//! State in one SQLite file (contract `state.md` 7), in the layout that the reference writes and
//! reads.
//!
//! All work on the file is done on threads of the store's own, because it may block: one writes, and
//! one reads, so that whoever reads does not wait for those who wait to write. (A database in memory
//! has one for both.) Calls go there through bounded queues and wait for their answers. The threads
//! close the file and end when the store and all of its sessions are gone. Nothing is answered before
//! it is committed.

use std::rc::Rc;
use std::sync::Arc;

use outrider_telemetry::log::scope;

use crate::clock::Clock;
use crate::{
    Answer, Delete, Error, Get, Item, OpenError, Operation, Properties, Session, Set, Store,
};

mod database;
mod fault;
mod moment;
mod schema;
mod settings;
mod statements;
mod worker;

use database::Database;
use settings::Settings;
use worker::Worker;

/// The store.
#[derive(Debug)]
pub(crate) struct Sqlite {
    threads: Arc<Threads>,
}

/// The store as one thread uses it.
struct SqliteSession {
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads {
    writer: Worker,
    /// None if the writer must read too.
    reader: Option<Worker>,
}

impl Sqlite {
    /// Opens the file, made if missing, and brings its tables up to date.
    pub(crate) async fn open(properties: &Properties) -> Result<Self, OpenError> {
        Self::open_with_clock(properties, Clock::system()).await
    }

    pub(crate) async fn open_with_clock(
        properties: &Properties,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let settings = Settings::try_new(properties).map_err(OpenError)?;
        let threads = Threads::start(settings, clock).await.map_err(OpenError)?;
        let threads = Arc::new(threads);
        Ok(Self { threads })
    }
}

impl Threads {
    async fn start(settings: Settings, clock: Clock) -> Result<Self, String> {
        let (timeout, clean_up) = (settings.timeout, settings.cleanup_interval);
        let settings = Arc::new(settings);
        let (own, time) = (Arc::clone(&settings), clock.clone());
        let open = move || Database::open(&own, time);
        let writer = Worker::start("sqlite-state", timeout, clean_up, open).await?;
        let can_be_shared =
            settings.allow_two() && writer.ask(|db| db.can_be_shared()).await == Ok(true);
        let reader = if can_be_shared {
            let open = move || Database::open_to_read(&settings, clock);
            let reader = Worker::start("sqlite-read", timeout, None, open).await;
            let warn = |error: &String| {
                tracing::warn!(
                    target: scope::CONTRIB,
                    "reads of the state table will wait for writes, for want of a second connection: {error}"
                );
            };
            reader.inspect_err(warn).ok()
        } else {
            None
        };
        Ok(Self { writer, reader })
    }

    /// Whoever reads.
    fn reader(&self) -> &Worker {
        self.reader.as_ref().unwrap_or(&self.writer)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.end_before(&self.writer);
        }
    }
}

impl Store for Sqlite {
    fn capabilities(&self) -> &'static [&'static str] {
        &["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR"]
    }

    fn session(&self) -> Rc<dyn Session> {
        let threads = Arc::clone(&self.threads);
        Rc::new(SqliteSession { threads })
    }
}

impl Session for SqliteSession {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(async move {
            if get.key.is_empty() {
                return Err(Error::failed("missing key in get operation"));
            }
            self.threads
                .reader()
                .ask(move |db| db.get(&get.key))
                .await?
        })
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            let count = gets.len();
            let found = self
                .threads
                .reader()
                .ask(move |db| db.get_many(&gets))
                .await;
            found.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.threads.writer.ask(move |db| db.set(&set)).await? })
    }

    fn set_many(&self, sets: Vec<Set>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let count = sets.len();
            let done = self.threads.writer.ask(move |db| db.set_many(&sets)).await;
            done.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move {
            self.threads
                .writer
                .ask(move |db| db.delete(&delete))
                .await?
        })
    }

    fn delete_many(&self, deletes: Vec<Delete>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let count = deletes.len();
            let delete = move |db: &mut Database| db.delete_many(&deletes);
            let done = self.threads.writer.ask(delete).await;
            done.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move {
            self.threads
                .writer
                .ask(move |db| db.transact(&operations))
                .await?
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
