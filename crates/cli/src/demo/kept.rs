//! What nodeapp remembers: the last order, and when it was there.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::time::Instant;

/// Shared between nodeapp and the line that the demo prints about a call. Both apps run in one
/// process, so their clocks are one and both directions of a call can be timed.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Value>,
    visit: Option<(u64, Visit)>,
}

/// When nodeapp had a request, and when it had its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) arrived: Instant,
    pub(super) answered: Instant,
}

impl Kept {
    /// Keeps the order instead of the one before.
    pub(super) fn keep(&self, order: Value) {
        self.with(|state| state.last = Some(order));
    }

    pub(super) fn last(&self) -> Option<Value> {
        self.with(|state| state.last.clone())
    }

    /// Notes when one of the demo's own orders was there.
    pub(super) fn note(&self, id: u64, visit: Visit) {
        self.with(|state| state.visit = Some((id, visit)));
    }

    /// When that order was there, if it was the last to be.
    pub(super) fn visit(&self, id: u64) -> Option<Visit> {
        let seen = self.with(|state| state.visit);
        seen.filter(|(seen, _)| *seen == id).map(|(_, visit)| visit)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // No holder can leave the state half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state)
    }
}
