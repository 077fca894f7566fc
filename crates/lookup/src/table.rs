//! The table of instances: written by sources on the control thread, read by calls on the lanes.
//!
//! Reading takes no lock: a caller keeps the set it found and compares [`Table::generation`], one
//! atomic load, before it uses it again. Only a call to an id that nobody has seen waits, and only
//! as long as it said. The table asks no source by itself; it merely tells whoever subscribed to
//! [`Table::asked`] what is being waited for.

mod asked;
mod feed;
mod probes;
mod snapshot;

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::instance::{Ejected, Instances};
use asked::Asks;
use feed::Feeds;

pub use asked::{Asked, Query};
pub use feed::{Listing, SourceHandle};
pub use snapshot::Snapshot;

/// The name of the source that outranks all others.
pub const SAME_HOST: &str = "same-host";

/// Which instances of which apps exist. Cloning shares the table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    feeds: Mutex<Feeds>,
    current: ArcSwap<Snapshot>,
    generation: AtomicU64,
    changed: watch::Sender<u64>,
    asks: Asks,
    ejected: Arc<Ejected>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            feeds: Mutex::default(),
            current: ArcSwap::default(),
            generation: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            asks: Asks::default(),
            ejected: Arc::default(),
        }
    }
}

/// No instance of an app is known. The text is that of the source that says so, or the general one
/// (`naming.md` 4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct NotFound {
    /// What the caller hears.
    pub text: Box<str>,
    /// Whose fault it is.
    pub cause: Cause,
}

/// Why no instance is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nobody has registered under that id.
    Unknown,
    /// The source can't tell: it does not work, or does not reach what it asks.
    Source,
}

impl Table {
    /// An empty table without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// The writing end for one source. [`SAME_HOST`] outranks the others, which rank in the order
    /// they came. A name used before takes over what was listed under it.
    pub fn source(&self, name: &'static str) -> SourceHandle {
        let slot = self.feeds().slot(name);
        SourceHandle::new(self.clone(), slot)
    }

    /// Counts the changes. While it stays the same, everything read from the table holds.
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// Everything known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.current.load_full()
    }

    /// The instances of an app, if any are known; never empty, never waits.
    pub fn peek(&self, namespace: &str, app_id: &str) -> Option<Arc<Instances>> {
        self.inner.current.load().find(namespace, app_id).cloned()
    }

    /// The instances of an app, waiting up to `limit` for a source to bring the first one.
    ///
    /// An id that was just waited for in vain (at least as long) fails at once for a second,
    /// unless it has appeared. Dropping the future ends the wait and leaves nothing behind.
    pub async fn wait_for(
        &self,
        namespace: &str,
        app_id: &str,
        limit: Duration,
    ) -> Result<Arc<Instances>, NotFound> {
        if let Some(found) = self.peek(namespace, app_id) {
            return Ok(found);
        }
        let query = Query::new(namespace, app_id);
        let asks = &self.inner.asks;
        if let Some(why) = asks.failed_lately(&query, limit, Instant::now()) {
            return Err(why);
        }
        let (arrival, refusal) = (self.arrival(&query), asks.refusal(&query));
        // Entered only now, so that a source that answers at once cannot be missed.
        let _waiting = asks.enter(&query);
        tokio::select! {
            biased;
            found = arrival => Ok(found),
            why = refusal => Err(why),
            () = tokio::time::sleep(limit) => {
                asks.remember_failure(&query, limit, Instant::now());
                Err(query.not_found())
            }
        }
    }

    /// Subscribed when called, not when first polled.
    fn arrival(&self, query: &Query) -> impl Future<Output = Arc<Instances>> {
        let mut changed = self.inner.changed.subscribe();
        async move {
            loop {
                if let Some(found) = self.peek(query.namespace(), query.app_id()) {
                    return found;
                }
                if changed.changed().await.is_err() {
                    // The sender lives in the table we borrow; were it gone, nothing could come.
                    pending::<()>().await;
                }
            }
        }
    }

    /// What calls are waiting for, for sources that look on demand (mDNS). Begins with the ids
    /// being waited for now.
    pub fn asked(&self) -> Asked {
        Asked::subscribe(&self.inner)
    }

    /// Tells the subscribers of [`asked`](Self::asked) to look for an app again, for instance
    /// after a refused connection. Waits for nothing.
    pub fn ask(&self, namespace: &str, app_id: &str) {
        self.inner.asks.ask(Query::new(namespace, app_id));
    }

    /// For the source that alone decides: there is no instance, for this reason. Ends the waits for
    /// it now, and fails new ones at once for as long as `remember` says. An instance that is
    /// listed meanwhile counts all the same.
    pub fn refuse(&self, query: &Query, why: NotFound, remember: Duration) {
        self.inner.asks.refuse(query, why, remember);
    }

    /// From the next change on, an app that a namespace does not have is not looked for in others.
    /// For sources that know namespaces for certain.
    pub fn keep_namespaces_apart(&self) {
        self.feeds().apart = true;
    }

    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        // Feeds stay whole wherever a panic strikes: at worst an update is missing.
        self.inner
            .feeds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what the feeds say visible, if it differs from what is visible.
    fn publish(&self, feeds: &mut Feeds) {
        let old = self.inner.current.load();
        let Some(next) = feeds.compile(&old, &self.inner.ejected) else {
            return;
        };
        let generation = next.generation();
        self.inner.current.store(Arc::new(next));
        // After the snapshot: who sees the new number finds the new snapshot.
        self.inner.generation.store(generation, Ordering::Release);
        self.inner.changed.send_replace(generation);
    }
}

#[cfg(test)]
mod tests;
