//! The time of day, as something that tests can set. Says nothing about zones or dates.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Tells how long ago 1970 began.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The clock of the machine. Before 1970 it stands still.
    pub(crate) fn system() -> Self {
        Self(Arc::new(|| {
            SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
        }))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that moves only when told.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Hands(Arc<AtomicU64>);

    impl Hands {
        /// Some day in 2026.
        pub(crate) const START: i64 = 1_790_000_000;

        pub(crate) fn clock(&self) -> Clock {
            let millis = Arc::clone(&self.0);
            let start = Duration::from_secs(Self::START.unsigned_abs());
            Clock(Arc::new(move || {
                start + Duration::from_millis(millis.load(Ordering::SeqCst))
            }))
        }

        pub(crate) fn forward(&self, millis: u64) {
            self.0.fetch_add(millis, Ordering::SeqCst);
        }
    }
}
