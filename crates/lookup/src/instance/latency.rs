//! A moving average of answer times that fades while nothing is asked, and how long an answer has
//! been waited for, in three atomics.
//!
//! The average alone says nothing of an instance that has stopped answering: no answer, no sample.
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
    /// One more than the milliseconds since the epoch at which the first call was sent that was
    /// not followed by an answer; 0 means that there is none. Calls that were given up leave it:
    /// until the next answer, whoever looks while another call is out there sees a long silence.
    unanswered: AtomicU64,
}

impl Latency {
    /// A call is about to be sent.
    pub(crate) fn sent(&self, now_ms: u64) {
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            let now = now_ms.saturating_add(1);
            self.unanswered.store(now, Ordering::Relaxed);
        }
    }

    /// An answer came, while so many other calls are still out.
    pub(crate) fn record(&self, elapsed: Duration, now_ms: u64, in_flight: u32) {
        let next_since = match in_flight {
            0 => 0,
            _ => now_ms.saturating_add(1),
        };
        self.unanswered.store(next_since, Ordering::Relaxed);
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

    /// The average; it fades only while no call is out that could tell how fast the instance is.
    pub(crate) fn at(&self, now_ms: u64, in_flight: u32) -> Option<Duration> {
        let halvings = match in_flight {
            0 => self.halvings(now_ms),
            _ => 0,
        };
        match self.average.load(Ordering::Relaxed) {
            0 => None,
            average => Some(Duration::from_nanos(halved(average, halvings))),
        }
    }

    /// How long calls have been out without any answer.
    pub(crate) fn silence(&self, now_ms: u64, in_flight: u32) -> Duration {
        match self.unanswered.load(Ordering::Relaxed) {
            since if in_flight > 0 && since > 0 => {
                Duration::from_millis(now_ms.saturating_sub(since - 1))
            }
            _ => Duration::ZERO,
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
        assert_eq!(latency.at(0, 0), None);
        latency.record(Duration::from_millis(8), 0, 0);
        assert_eq!(latency.at(0, 0), Some(Duration::from_millis(8)));
        latency.record(Duration::from_millis(16), 1, 0);
        assert_eq!(latency.at(1, 0), Some(Duration::from_millis(9)));
    }

    #[test]
    fn the_average_halves_while_nothing_comes() {
        let latency = Latency::default();
        latency.record(Duration::from_millis(8), 100, 0);
        assert_eq!(latency.at(5_100, 0), Some(Duration::from_millis(4)));
        assert_eq!(latency.at(10_100, 0), Some(Duration::from_millis(2)));
        assert_eq!(latency.at(u64::MAX, 0), Some(Duration::ZERO));
    }

    #[test]
    fn after_a_long_pause_a_sample_weighs_nearly_all() {
        let latency = Latency::default();
        latency.record(Duration::from_millis(8), 0, 0);
        latency.record(Duration::from_millis(8), 20_000, 0);
        assert_eq!(latency.at(20_000, 0), Some(Duration::from_millis(8)));
        latency.record(Duration::from_millis(80), u64::MAX, 0);
        assert_eq!(latency.at(u64::MAX, 0), Some(Duration::from_millis(80)));
    }

    #[test]
    fn absurd_samples_do_not_overflow() {
        let latency = Latency::default();
        latency.record(Duration::MAX, 0, 0);
        latency.record(Duration::MAX, 0, 0);
        latency.record(Duration::ZERO, u64::MAX, 0);
        assert!(latency.at(u64::MAX, 0).is_some());
    }

    #[test]
    fn the_average_stays_while_calls_are_out() {
        let latency = Latency::default();
        latency.record(Duration::from_millis(8), 0, 1);
        assert_eq!(latency.at(20_000, 1), Some(Duration::from_millis(8)));
        assert_eq!(latency.at(20_000, 0), Some(Duration::from_micros(500)));
    }

    #[test]
    fn silence_is_counted_from_the_first_call_that_got_no_answer() {
        let latency = Latency::default();
        let silence = |now, in_flight| latency.silence(now, in_flight).as_millis();
        latency.sent(0);
        latency.sent(500);
        assert_eq!(silence(700, 2), 700);
        latency.record(Duration::from_millis(700), 700, 1);
        assert_eq!(silence(900, 1), 200);
        latency.record(Duration::from_millis(900), 900, 0);
        latency.sent(5_000);
        assert_eq!(silence(5_010, 1), 10, "idleness is no silence");
        assert_eq!(silence(9_000, 0), 0, "the call was given up");
        latency.sent(9_000);
        assert_eq!(silence(9_000, 1), 4_000, "and is remembered");
    }
}
