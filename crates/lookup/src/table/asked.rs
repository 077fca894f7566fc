//! Which ids calls are waiting for, told to the sources that look on demand, and which ids were
//! just waited for in vain. Nothing here is touched by a call whose target is known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{Inner, NotFound};

/// An app somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    namespace: Arc<str>,
    app_id: Arc<str>,
}

impl Query {
    pub(super) fn new(namespace: &str, app_id: &str) -> Self {
        Self {
            namespace: namespace.into(),
            app_id: app_id.into(),
        }
    }

    /// The namespace asked in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The app id asked for.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(super) fn not_found(&self) -> NotFound {
        NotFound {
            app_id: (*self.app_id).into(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Asks {
    state: Mutex<State>,
    told: broadcast::Sender<Query>,
}

#[derive(Debug, Default)]
struct State {
    /// How many calls wait for each id.
    waiting: HashMap<Query, usize>,
    failed: HashMap<Query, Failed>,
}

#[derive(Debug)]
struct Failed {
    until: Instant,
    /// How long the wait was: one that would wait longer may still succeed.
    waited: Duration,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            told: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Asks {
    /// Counts a waiting call until the guard is dropped; the first one for an id tells the
    /// subscribers.
    pub(super) fn enter<'a>(&'a self, query: &'a Query) -> WaitingGuard<'a> {
        let mut state = self.state();
        let count = state.waiting.entry(query.clone()).or_default();
        *count += 1;
        if *count == 1 {
            // Told under the lock, so that a new subscriber gets it exactly once.
            self.ask(query.clone());
        }
        WaitingGuard { asks: self, query }
    }

    pub(super) fn ask(&self, query: Query) {
        // No subscriber is the normal case without mDNS.
        let _ = self.told.send(query);
    }

    pub(super) fn failed_lately(&self, query: &Query, limit: Duration, now: Instant) -> bool {
        let state = self.state();
        let failed = state.failed.get(query);
        failed.is_some_and(|it| now < it.until && limit <= it.waited)
    }

    pub(super) fn remember_failure(&self, query: &Query, waited: Duration, now: Instant) {
        let mut state = self.state();
        if state.failed.len() >= MOST_FAILED {
            state.failed.retain(|_, it| now < it.until);
        }
        if state.failed.len() < MOST_FAILED {
            let until = now + REMEMBER_FAILURE;
            state.failed.insert(query.clone(), Failed { until, waited });
        }
    }

    fn leave(&self, query: &Query) {
        let mut state = self.state();
        if let Some(count) = state.waiting.get_mut(query) {
            *count -= 1;
            if *count == 0 {
                state.waiting.remove(query);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiting call; ends on drop.
#[derive(Debug)]
pub(super) struct WaitingGuard<'a> {
    asks: &'a Asks,
    query: &'a Query,
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.asks.leave(self.query);
    }
}

/// The ids calls wait for, as they are asked. It does not keep the table alive.
#[derive(Debug)]
pub struct Asked {
    backlog: Vec<Query>,
    told: broadcast::Receiver<Query>,
    table: Weak<Inner>,
}

impl Asked {
    pub(super) fn subscribe(table: &Arc<Inner>) -> Self {
        let state = table.asks.state();
        Self {
            backlog: state.waiting.keys().cloned().collect(),
            told: table.asks.told.subscribe(),
            table: Arc::downgrade(table),
        }
    }

    /// The next id; `None` once the table is gone. An id comes again when it is asked for again
    /// after a pause, so the source decides how often it looks.
    pub async fn next(&mut self) -> Option<Query> {
        loop {
            if let Some(query) = self.backlog.pop() {
                return Some(query);
            }
            match self.told.recv().await {
                Ok(query) => return Some(query),
                Err(RecvError::Closed) => return None,
                // Too slow: what was lost matters only if it is still waited for.
                Err(RecvError::Lagged(_)) => *self = Self::subscribe(&self.table.upgrade()?),
            }
        }
    }
}

const BACKLOG: usize = 256;
const REMEMBER_FAILURE: Duration = Duration::from_secs(1);
/// Bounds what a client that makes up ids can cost; beyond it, failures take their time.
const MOST_FAILED: usize = 1_024;
