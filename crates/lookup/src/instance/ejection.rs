//! Whether an instance is out of the choice, and when one attempt at it is allowed, in one atomic.
//!
//! The pause starts at 100 ms and doubles up to 5 s with each failed attempt. Time is handed in as
//! milliseconds, so this reads no clock.

use std::sync::atomic::{AtomicU64, Ordering};

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

    pub(crate) fn eject(&self, now: u64) {
        self.update(|state| match Out::unpack(state) {
            None => Some(Out::paused(1, now)),
            // The others of the burst that noticed the same failure.
            Some(out) if !out.probing && now < out.until => None,
            Some(out) => Some(Out::paused(out.step.saturating_add(1), now)),
        });
    }

    /// True for one caller once the pause is over. A claim that is never answered expires, so a
    /// cancelled call cannot keep the instance out for ever.
    pub(crate) fn try_claim(&self, now: u64) -> bool {
        self.update(|state| match Out::unpack(state) {
            Some(out) if out.until <= now => Some(Out {
                until: now.saturating_add(CLAIM_MS.max(pause(out.step))),
                probing: true,
                ..out
            }),
            _ => None,
        })
    }

    pub(crate) fn clear(&self) {
        // The usual case is healthy: reading keeps the cache line shared between lanes.
        if self.is_ejected() {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    fn update(&self, next: impl Fn(u64) -> Option<Out>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                next(state).map(Out::pack)
            })
            .is_ok()
    }
}

#[derive(Clone, Copy)]
struct Out {
    /// Milliseconds since the instance's epoch.
    until: u64,
    /// Failed attempts so far, at least 1; which also keeps the packed number from being zero.
    step: u8,
    probing: bool,
}

impl Out {
    fn paused(step: u8, now: u64) -> Self {
        Self {
            until: now.saturating_add(pause(step)),
            step,
            probing: false,
        }
    }

    fn pack(self) -> u64 {
        let until = self.until.min(u64::MAX >> UNTIL_SHIFT);
        until << UNTIL_SHIFT | u64::from(self.step) << STEP_SHIFT | u64::from(self.probing)
    }

    fn unpack(state: u64) -> Option<Self> {
        (state != 0).then_some(Self {
            until: state >> UNTIL_SHIFT,
            step: (state >> STEP_SHIFT) as u8,
            probing: state & 1 == 1,
        })
    }
}

fn pause(step: u8) -> u64 {
    let doublings = u32::from(step.saturating_sub(1)).min(16);
    (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS)
}

const STEP_SHIFT: u32 = 1;
const UNTIL_SHIFT: u32 = 9;
const FIRST_PAUSE_MS: u64 = 100;
const LONGEST_PAUSE_MS: u64 = 5_000;
/// How long a claimed attempt may take before another may be made.
const CLAIM_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_failures_counts_once() {
        let ejection = Ejection::default();
        for _ in 0..100 {
            ejection.eject(1_000);
        }
        assert_eq!(ejection.due(), Some(1_100));
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let ejection = Ejection::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        ejection.eject(now);
        for _ in 0..300 {
            let due = ejection.due().unwrap();
            pauses.push(due - now);
            now = due;
            assert!(ejection.try_claim(now));
            ejection.eject(now);
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
        ejection.eject(0);
        assert!(!ejection.try_claim(99));
        assert!(ejection.try_claim(100));
        assert!(!ejection.try_claim(100));
        ejection.eject(150);
        assert!(!ejection.try_claim(349));
        assert!(ejection.try_claim(350));
        ejection.clear();
        assert!(!ejection.is_ejected());
    }

    #[test]
    fn an_unanswered_claim_expires() {
        let ejection = Ejection::default();
        ejection.eject(0);
        assert!(ejection.try_claim(100));
        assert!(!ejection.try_claim(1_099));
        assert!(ejection.try_claim(1_100));
    }

    #[test]
    fn a_failed_call_after_the_pause_lengthens_it_without_a_claim() {
        let ejection = Ejection::default();
        ejection.eject(0);
        ejection.eject(100);
        assert_eq!(ejection.due(), Some(300));
    }
}
