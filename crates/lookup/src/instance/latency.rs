//! A moving average of answer times that fades while nothing is measured, in two atomics.
//!
//! Two lanes that record at the same moment may lose one of the two samples; an average can bear
//! that, and a lock on the call path would cost more than the sample is worth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// Nanoseconds; 0 means never measured.
    average: AtomicU64,
    /// Milliseconds since the instance's epoch at which the last sample came.
    sampled: AtomicU64,
}

impl Latency {
    pub(crate) fn record(&self, elapsed: Duration, now_ms: u64) {
        let sample = u64::try_from(elapsed.as_nanos())
            .unwrap_or(u64::MAX / WEIGHT)
            .clamp(1, u64::MAX / WEIGHT);
        let next = match self.average.load(Ordering::Relaxed) {
            0 => sample,
            old => {
                // What is left of the old average after one more sample and the time since; the
                // new sample has the rest of the weight.
                let halvings = self.halvings(now_ms);
                let left = |it: u64| halved(it - it / WEIGHT, halvings);
                (left(old) + sample - left(sample)).max(1)
            }
        };
        self.average.store(next, Ordering::Relaxed);
        self.sampled.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn at(&self, now_ms: u64) -> Option<Duration> {
        match self.average.load(Ordering::Relaxed) {
            0 => None,
            average => {
                let faded = halved(average, self.halvings(now_ms));
                Some(Duration::from_nanos(faded))
            }
        }
    }

    /// One for every [`HALF_LIFE_MS`] without a sample: an instance that was slow once must get
    /// the calls that can show it is fast again.
    fn halvings(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.sampled.load(Ordering::Relaxed)) / HALF_LIFE_MS
    }
}

fn halved(value: u64, times: u64) -> u64 {
    u32::try_from(times).map_or(0, |times| value.checked_shr(times).unwrap_or(0))
}

/// A new sample counts for one part in this many.
const WEIGHT: u64 = 8;
const HALF_LIFE_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_is_the_average_and_later_ones_pull() {
        let latency = Latency::default();
        assert_eq!(latency.at(0), None);
        latency.record(Duration::from_millis(8), 0);
        assert_eq!(latency.at(0), Some(Duration::from_millis(8)));
        latency.record(Duration::from_millis(16), 1);
        assert_eq!(latency.at(1), Some(Duration::from_millis(9)));
    }

    #[test]
    fn the_average_halves_while_nothing_comes() {
        let latency = Latency::default();
        latency.record(Duration::from_millis(8), 100);
        assert_eq!(latency.at(5_100), Some(Duration::from_millis(4)));
        assert_eq!(latency.at(10_100), Some(Duration::from_millis(2)));
        assert_eq!(latency.at(u64::MAX), Some(Duration::ZERO));
    }

    #[test]
    fn after_a_long_pause_a_sample_weighs_nearly_all() {
        let latency = Latency::default();
        latency.record(Duration::from_millis(8), 0);
        latency.record(Duration::from_millis(8), 20_000);
        assert_eq!(latency.at(20_000), Some(Duration::from_millis(8)));
        latency.record(Duration::from_millis(80), u64::MAX);
        assert_eq!(latency.at(u64::MAX), Some(Duration::from_millis(80)));
    }

    #[test]
    fn absurd_samples_do_not_overflow() {
        let latency = Latency::default();
        latency.record(Duration::MAX, 0);
        latency.record(Duration::MAX, 0);
        latency.record(Duration::ZERO, u64::MAX);
        assert!(latency.at(u64::MAX).is_some());
    }
}
