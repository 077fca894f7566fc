//! Counts calls and knows their percentiles.

use std::{collections::VecDeque, time::Duration};

use super::call::Call;

/// All calls so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: u64,
    failed: u64,
    /// Total times of the latest calls that were answered; bounded, however long the demo runs.
    times: VecDeque<Duration>,
}

/// Total times of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) min: Duration,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Tally {
    pub(super) fn add(&mut self, call: &Call) {
        if call.result.is_err() {
            self.failed += 1;
            return;
        }
        self.answered += 1;
        if self.times.len() == REMEMBERED {
            self.times.pop_front();
        }
        self.times.push_back(call.total);
    }

    pub(super) fn calls(&self) -> u64 {
        self.answered + self.failed
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed
    }

    /// Of the calls that were answered, if there were any.
    pub(super) fn times(&self) -> Option<Times> {
        let mut sorted: Vec<Duration> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        Some(Times {
            min: *sorted.first()?,
            p50: percentile(&sorted, 50)?,
            p99: percentile(&sorted, 99)?,
            max: *sorted.last()?,
        })
    }
}

/// The smallest value that so many percent do not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

const REMEMBERED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::call::{Answered, Failed, Way};

    fn millis(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = millis(1..=100);
        assert_eq!(percentile(&hundred, 50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&hundred, 99), Some(Duration::from_millis(99)));
        let three = millis([1, 2, 9]);
        assert_eq!(percentile(&three, 50), Some(Duration::from_millis(2)));
        assert_eq!(percentile(&three, 99), Some(Duration::from_millis(9)));
        assert_eq!(percentile(&millis([4]), 1), Some(Duration::from_millis(4)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn failures_count_but_their_times_do_not() {
        let mut tally = Tally::default();
        assert_eq!(tally.times(), None);
        let call = |id, total, result| Call {
            id,
            total: Duration::from_millis(total),
            result,
        };
        let good = || {
            Ok(Answered {
                status: 200,
                way: Way::Unknown,
            })
        };
        tally.add(&call(1, 3, good()));
        tally.add(&call(2, 1, good()));
        let failed = Failed {
            status: Some(500),
            message: String::new(),
            fault: None,
        };
        tally.add(&call(3, 5_000, Err(failed)));
        assert_eq!((tally.calls(), tally.failures()), (3, 1));
        let times = tally.times().unwrap();
        assert_eq!(
            millis([1, 1, 3, 3]),
            [times.min, times.p50, times.p99, times.max]
        );
    }

    #[test]
    fn a_long_demo_keeps_a_bounded_number_of_times() {
        let mut tally = Tally::default();
        for id in 0..=REMEMBERED as u64 {
            let result = Ok(Answered {
                status: 200,
                way: Way::Unknown,
            });
            tally.add(&Call {
                id,
                total: Duration::from_nanos(id),
                result,
            });
        }
        assert_eq!(tally.times.len(), REMEMBERED);
        assert_eq!(tally.calls(), REMEMBERED as u64 + 1);
    }
}
