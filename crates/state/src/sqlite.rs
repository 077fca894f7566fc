//! State in one SQLite file (contract `state.md` 7), in the layout that the reference writes and
//! reads.
//!
//! All work on the file is done on one thread of the store's own, because it may block: calls go
//! there through a bounded queue and wait for their answers. The thread closes the file and ends
//! when the store and all of its sessions are gone. Nothing is answered before it is committed.

use std::rc::Rc;
use std::sync::Arc;

use crate::clock::Clock;
use crate::{
    Answer, Delete, Error, Get, Item, OpenError, Operation, Properties, Session, Set, Store,
};

mod database;
mod fault;
mod moment;
mod schema;
mod settings;
mod worker;

use settings::Settings;
use worker::Worker;

/// The store.
#[derive(Debug)]
pub(crate) struct Sqlite {
    worker: Arc<Worker>,
}

/// The store as one thread uses it.
struct SqliteSession {
    worker: Arc<Worker>,
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
        let worker = Worker::start(settings, clock).await.map_err(OpenError)?;
        let worker = Arc::new(worker);
        Ok(Self { worker })
    }
}

impl Store for Sqlite {
    fn capabilities(&self) -> &'static [&'static str] {
        &["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR"]
    }

    fn session(&self) -> Rc<dyn Session> {
        let worker = Arc::clone(&self.worker);
        Rc::new(SqliteSession { worker })
    }
}

impl Session for SqliteSession {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(async move {
            if get.key.is_empty() {
                return Err(Error::failed("missing key in get operation"));
            }
            self.worker.ask(move |db| db.get(&get.key)).await?
        })
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            let count = gets.len();
            let found = self.worker.ask(move |db| db.get_many(&gets)).await;
            found.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.worker.ask(move |db| db.set(&set)).await? })
    }

    fn set_many(&self, sets: Vec<Set>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let count = sets.len();
            let done = self.worker.ask(move |db| db.set_many(&sets)).await;
            done.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.worker.ask(move |db| db.delete(&delete)).await? })
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.worker.ask(move |db| db.transact(&operations)).await? })
    }
}

#[cfg(test)]
pub(crate) mod tests;
