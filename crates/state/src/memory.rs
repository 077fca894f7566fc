//! State in this process's memory (contract `state.md` 6): gone when the store is dropped.
//!
//! One lock for all threads, held for map operations only: what can be made ready is made ready
//! before, and what was replaced is freed after. Has no task of its own; items that have ended are
//! removed a few at a time by the calls that come. An item that has ended counts as absent for
//! everything, whether it was removed yet or not.

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Clock;
use crate::{Answer, Delete, Error, Get, Item, Operation, Options, Session, Set, Store, ttl};

mod items;

use items::{Change, Entry, Items, Only};

/// The store.
#[derive(Debug)]
pub(crate) struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    items: Mutex<Items>,
}

/// The store as one thread uses it.
struct MemorySession {
    shared: Arc<Shared>,
}

impl Memory {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        let items = Mutex::default();
        let shared = Arc::new(Shared { clock, items });
        Self { shared }
    }
}

impl Store for Memory {
    fn capabilities(&self) -> &'static [&'static str] {
        &[
            "ETAG",
            "TRANSACTIONAL",
            "TTL",
            "DELETE_WITH_PREFIX",
            "KEYS_LIKE",
            "ACTOR",
        ]
    }

    fn session(&self) -> Rc<dyn Session> {
        let shared = Arc::clone(&self.shared);
        Rc::new(MemorySession { shared })
    }
}

impl Session for MemorySession {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(async move { Ok(self.shared.read(|items, now| items.item(&get.key, now))) })
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            self.shared.read(|items, now| {
                let found = gets.iter().map(|get| Ok(items.item(&get.key, now)));
                found.collect()
            })
        })
    }

    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.shared.write(vec![set_change(set, self.shared.now())?]) })
    }

    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move {
            delete.options.check()?;
            self.shared.write(vec![delete_change(delete)])
        })
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move {
            let now = self.shared.now();
            let changes = operations.into_iter().map(|operation| match operation {
                Operation::Set(set) => set_change(set, now),
                // Unknown words in the options of a delete are not refused here, as in the
                // reference.
                Operation::Delete(delete) => Ok(delete_change(delete)),
            });
            let changes = changes.collect::<Result<_, Error>>()?;
            self.shared.write(changes)
        })
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The map is whole between any two statements, so a thread that died does no harm.
    fn lock(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Items, Duration) -> T) -> T {
        let now = self.now();
        let mut items = self.lock();
        let ended = items.sweep(now);
        let found = read(&items, now);
        drop(items);
        drop(ended);
        found
    }

    /// All of these changes or none. Etags are compared with what was there before the first.
    fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        let now = self.now();
        let mut items = self.lock();
        let ended = items.sweep(now);
        let checked = changes.iter().try_for_each(|c| items.check(c, now));
        let replaced: Vec<_> = match &checked {
            Ok(()) => changes.into_iter().map(|c| items.apply(c)).collect(),
            Err(_) => Vec::new(),
        };
        drop(items);
        drop((ended, replaced));
        checked
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

fn set_change(set: Set, now: Duration) -> Result<Change, Error> {
    set.options.check()?;
    let seconds = ttl::parse(&set.metadata, "Atoi").map_err(Error::Failed)?;
    let entry = Entry {
        // A slice of a request body would keep all of the body.
        value: Bytes::copy_from_slice(set.value.bytes()),
        etag: Uuid::new_v4().to_string(),
        expires: seconds.and_then(|s| items::end(now, s)),
    };
    Ok(Change {
        key: set.key,
        only: only(set.etag, &set.options),
        entry: Some(entry),
    })
}

fn delete_change(delete: Delete) -> Change {
    Change {
        key: delete.key,
        only: only(delete.etag, &delete.options),
        entry: None,
    }
}

fn only(etag: Option<String>, options: &Options) -> Only {
    match etag {
        Some(etag) if !etag.is_empty() => Only::IfEtag(etag),
        _ if options.concurrency == "first-write" => Only::IfAbsent,
        _ => Only::Always,
    }
}

#[cfg(test)]
mod tests;
