//! When the demo's orders were inside nodeapp.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Shared between nodeapp and the line that the demo prints about a call. Both apps run in one
/// process, so their clocks are one and both directions of a call can be timed.
#[derive(Clone, Debug, Default)]
pub(super) struct Visits {
    last: Arc<Mutex<Option<(u64, Visit)>>>,
}

/// When nodeapp had a request, and when it had its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) arrived: Instant,
    pub(super) answered: Instant,
}

impl Visits {
    /// Notes when one of the demo's own orders was there.
    pub(super) fn note(&self, id: u64, visit: Visit) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, visit));
    }

    /// When that order was there, if it was the last to be.
    pub(super) fn of(&self, id: u64) -> Option<Visit> {
        let seen = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(seen, _)| *seen == id).map(|(_, visit)| visit)
    }
}
