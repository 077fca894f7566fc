//! Which ids calls are waiting for, told to the sources that look on demand, and which ids were
//! just waited for in vain, or refused by a source. Nothing here is touched by a call whose target
//! is known.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::{Cause, Inner, NotFound};

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

    /// What a call hears that waited for it in vain.
    pub(super) fn not_found(&self) -> NotFound {
        NotFound {
            text: format!("couldn't find service: {}", self.app_id).into(),
            cause: Cause::Unknown,
        }
    }
}

#[derive(Debug)]
pub(super) struct Asks {
    state: Mutex<State>,
    told: broadcast::Sender<Query>,
    /// Counts the refusals that somebody waits for.
    refused: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Query, Waiting>,
    failed: HashMap<Query, Failed>,
}

/// The calls that wait for one id.
#[derive(Debug, Default)]
struct Waiting {
    calls: usize,
    /// Why a source says there is no point in it.
    refused: Option<NotFound>,
}

#[derive(Debug)]
struct Failed {
    until: Instant,
    /// How long the wait was: one that would wait longer may still succeed.
    waited: Duration,
    why: NotFound,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            told: broadcast::Sender::new(BACKLOG),
            refused: watch::Sender::new(0),
        }
    }
}

impl Asks {
    /// Counts a waiting call until the guard is dropped; the first one for an id tells the
    /// subscribers.
    pub(super) fn enter<'a>(&'a self, query: &'a Query) -> WaitingGuard<'a> {
        let mut state = self.state();
        let waiting = state.waiting.entry(query.clone()).or_default();
        waiting.calls += 1;
        if waiting.calls == 1 {
            // Told under the lock, so that a new subscriber gets it exactly once.
            self.ask(query.clone());
        }
        WaitingGuard { asks: self, query }
    }

    pub(super) fn ask(&self, query: Query) {
        // No subscriber is the normal case without mDNS.
        let _ = self.told.send(query);
    }

    /// Ends the waits for an id, and fails new ones at once for as long as it says.
    pub(super) fn refuse(&self, query: &Query, why: NotFound, remember: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(query) {
            waiting.refused = Some(why.clone());
            self.refused.send_modify(|count| *count += 1);
        }
        if !remember.is_zero() {
            let failed = Failed {
                until: now + remember,
                waited: Duration::MAX,
                why,
            };
            state.remember(query, failed, now);
        }
    }

    /// Waits until a source refuses the id. Subscribed when called, not when first polled.
    pub(super) fn refusal(&self, query: &Query) -> impl Future<Output = NotFound> {
        let mut refused = self.refused.subscribe();
        async move {
            loop {
                let why = self.state().waiting.get(query).map(|it| it.refused.clone());
                if let Some(Some(why)) = why {
                    return why;
                }
                if refused.changed().await.is_err() {
                    // The sender lives in what we borrow.
                    pending::<()>().await;
                }
            }
        }
    }

    /// Why an id needs no new wait.
    pub(super) fn failed_lately(
        &self,
        query: &Query,
        limit: Duration,
        now: Instant,
    ) -> Option<NotFound> {
        let state = self.state();
        let failed = state.failed.get(query);
        let holds = failed.filter(|it| now < it.until && limit <= it.waited);
        holds.map(|it| it.why.clone())
    }

    pub(super) fn remember_failure(&self, query: &Query, waited: Duration, now: Instant) {
        let failed = Failed {
            until: now + REMEMBER_FAILURE,
            waited,
            why: query.not_found(),
        };
        self.state().remember(query, failed, now);
    }

    fn leave(&self, query: &Query) {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(query) {
            waiting.calls -= 1;
            if waiting.calls == 0 {
                state.waiting.remove(query);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, query: &Query, failed: Failed, now: Instant) {
        if self.failed.len() >= MOST_FAILED {
            self.failed.retain(|_, it| now < it.until);
        }
        if self.failed.len() < MOST_FAILED {
            self.failed.insert(query.clone(), failed);
        }
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
