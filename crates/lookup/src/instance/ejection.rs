//! Whether an instance is out of the choice, why, and when one attempt at it is allowed, in one
//! atomic.
//!
//! The pause starts at 100 ms and doubles with each failed attempt, up to a limit that depends on
//! the reason. Time is handed in as milliseconds, so this reads no clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::Instance;

/// Zero while the instance is in the choice, else an [`Out`] packed into the number.
#[derive(Debug, Default)]
pub(crate) struct Ejection(AtomicU64);

impl Ejection {
    pub(crate) fn is_ejected(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// When the next attempt may be claimed.
    pub(crate) fn due(&self) -> Option<u64> {
        Out::unpack(self.0.load(Ordering::Relaxed)).map(|out| out.until)
    }

    /// Why it is out.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Out::unpack(self.0.load(Ordering::Relaxed)).map(|out| out.reason)
    }

    /// False if it was that already, and its pause goes on.
    pub(crate) fn eject(&self, reason: Reason, now: u64) -> bool {
        self.update(|state| match Out::unpack(state) {
            None => Some(Out::paused(reason, 1, now)),
            // Another failure than the one that is known.
            Some(out) if out.reason != reason => Some(Out::paused(reason, 1, now)),
            // The others of the burst that noticed the same failure.
            Some(out) if !out.probing && now < out.until => None,
            Some(out) => Some(Out::paused(reason, out.step.saturating_add(1), now)),
        })
    }

    /// True for one caller once the pause is over. A claim that is never answered expires, so a
    /// cancelled call cannot keep the instance out for ever.
    pub(crate) fn try_claim(&self, now: u64) -> bool {
        self.update(|state| match Out::unpack(state) {
            Some(out) if out.until <= now => Some(Out {
                until: now.saturating_add(CLAIM_MS.max(pause(out.reason, out.step))),
                probing: true,
                ..out
            }),
            _ => None,
        })
    }

    /// Back in the choice if it was out for that reason.
    pub(crate) fn clear_if(&self, reason: Reason) {
        if self.is_ejected() {
            self.update(|state| {
                let out = Out::unpack(state)?;
                (out.reason == reason).then_some(None)
            });
        }
    }

    pub(crate) fn clear(&self) {
        // The usual case is healthy: reading keeps the cache line shared between lanes.
        if self.is_ejected() {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Stores what `next` makes of the state, zero for an inner `None`.
    fn update<O: Into<Option<Out>>>(&self, next: impl Fn(u64) -> Option<O>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                next(state).map(|out| out.into().map_or(0, Out::pack))
            })
            .is_ok()
    }
}

/// Why an instance is out of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its sidecar could not be reached. A connection shows when it is back.
    Connection,
    /// Its sidecar says that the app can't be reached. Only a call shows when it is back.
    App,
}

impl Reason {
    fn longest_pause_ms(self) -> u64 {
        match self {
            Self::Connection => 5_000,
            // A call that finds the app still away costs one more hop, no more.
            Self::App => 1_000,
        }
    }
}

#[derive(Clone, Copy)]
struct Out {
    reason: Reason,
    /// Milliseconds since the instance's epoch.
    until: u64,
    /// Failed attempts so far, at least 1; which also keeps the packed number from being zero.
    step: u8,
    probing: bool,
}

impl Out {
    fn paused(reason: Reason, step: u8, now: u64) -> Self {
        Self {
            reason,
            until: now.saturating_add(pause(reason, step)),
            step,
            probing: false,
        }
    }

    fn pack(self) -> u64 {
        let until = self.until.min(u64::MAX >> UNTIL_SHIFT);
        let by_app = u64::from(self.reason == Reason::App);
        let step = u64::from(self.step);
        until << UNTIL_SHIFT | step << STEP_SHIFT | by_app << 1 | u64::from(self.probing)
    }

    fn unpack(state: u64) -> Option<Self> {
        (state != 0).then_some(Self {
            reason: match state & 2 {
                0 => Reason::Connection,
                _ => Reason::App,
            },
            until: state >> UNTIL_SHIFT,
            step: (state >> STEP_SHIFT) as u8,
            probing: state & 1 == 1,
        })
    }
}

/// The ejected instances of a table, for whoever tries them again. Only failures write to it.
#[derive(Debug, Default)]
pub(crate) struct Ejected {
    all: Mutex<Vec<Weak<Instance>>>,
    /// There is something new to look at.
    pub(crate) changed: Notify,
}

impl Ejected {
    pub(super) fn add(&self, instance: &Arc<Instance>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.iter().any(|it| it.as_ptr() == Arc::as_ptr(instance)) {
            all.push(Arc::downgrade(instance));
        }
        drop(all);
        self.changed.notify_one();
    }

    /// Those that a connection can bring back and that are still in the table. The others are
    /// forgotten.
    pub(crate) fn current(&self) -> Vec<Arc<Instance>> {
        let mut current = Vec::new();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| {
            let instance = it.upgrade();
            let instance = instance.filter(|it| it.needs_connection() && !it.among().is_empty());
            let is_current = instance.is_some();
            current.extend(instance);
            is_current
        });
        current
    }
}

fn pause(reason: Reason, step: u8) -> u64 {
    let doublings = u32::from(step.saturating_sub(1)).min(16);
    (FIRST_PAUSE_MS << doublings).min(reason.longest_pause_ms())
}

const STEP_SHIFT: u32 = 2;
const UNTIL_SHIFT: u32 = 10;
const FIRST_PAUSE_MS: u64 = 100;
/// How long a claimed attempt may take before another may be made.
const CLAIM_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_failures_counts_once() {
        let ejection = Ejection::default();
        for _ in 0..100 {
            ejection.eject(Reason::Connection, 1_000);
        }
        assert_eq!(ejection.due(), Some(1_100));
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let ejection = Ejection::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        ejection.eject(Reason::Connection, now);
        for _ in 0..300 {
            let due = ejection.due().unwrap();
            pauses.push(due - now);
            now = due;
            assert!(ejection.try_claim(now));
            ejection.eject(Reason::Connection, now);
        }
        assert_eq!(
            pauses[..8],
            [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]
        );
        assert_eq!(pauses[299], 5_000);
    }

    #[test]
    fn one_attempt_at_a_time_and_only_after_the_pause() {
        let ejection = Ejection::default();
        assert!(!ejection.try_claim(0), "a healthy instance needs no probe");
        ejection.eject(Reason::Connection, 0);
        assert!(!ejection.try_claim(99));
        assert!(ejection.try_claim(100));
        assert!(!ejection.try_claim(100));
        ejection.eject(Reason::Connection, 150);
        assert!(!ejection.try_claim(349));
        assert!(ejection.try_claim(350));
        ejection.clear();
        assert!(!ejection.is_ejected());
    }

    #[test]
    fn an_unanswered_claim_expires() {
        let ejection = Ejection::default();
        ejection.eject(Reason::Connection, 0);
        assert!(ejection.try_claim(100));
        assert!(!ejection.try_claim(1_099));
        assert!(ejection.try_claim(1_100));
    }

    #[test]
    fn a_failed_call_after_the_pause_lengthens_it_without_a_claim() {
        let ejection = Ejection::default();
        ejection.eject(Reason::Connection, 0);
        ejection.eject(Reason::Connection, 100);
        assert_eq!(ejection.due(), Some(300));
    }

    #[test]
    fn what_connects_again_may_still_have_no_app() {
        let ejection = Ejection::default();
        ejection.eject(Reason::App, 0);
        ejection.clear_if(Reason::Connection);
        assert_eq!(ejection.reason(), Some(Reason::App));
        ejection.eject(Reason::Connection, 10);
        assert_eq!(ejection.due(), Some(110), "a new reason begins anew");
        ejection.clear_if(Reason::Connection);
        assert!(!ejection.is_ejected());
    }

    #[test]
    fn an_app_is_tried_at_least_once_a_second() {
        let ejection = Ejection::default();
        let mut now = 0;
        for _ in 0..10 {
            ejection.eject(Reason::App, now);
            now = ejection.due().unwrap();
            assert!(ejection.try_claim(now));
        }
        ejection.eject(Reason::App, now);
        assert_eq!(ejection.due(), Some(now + 1_000));
    }
}
