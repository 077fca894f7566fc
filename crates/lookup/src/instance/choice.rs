//! Which instance a call goes to: power of two choices on (latency × requests in flight).
//!
//! Pure: the clock and the random numbers are arguments. Ejected instances are chosen only when
//! no other is left, so a live instance is never passed over for a dead one.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Instance, Instances};

impl Instances {
    /// Chooses an instance whose address is not among those in `avoid`; `None` when all are.
    ///
    /// If only ejected ones are left, the call becomes the probe of one whose pause is over, else
    /// goes to the one that is due first: a refused connection costs less than a refused call.
    pub fn choose(
        &self,
        rng: &mut impl FnMut() -> u64,
        avoid: &[Arc<Instance>],
        now: Instant,
    ) -> Option<Arc<Instance>> {
        self.note_asked(now);
        let open = || self.all().iter().filter(|it| !is_avoided(it, avoid));
        let healthy = || open().filter(|it| !it.is_ejected());
        let chosen = match healthy().count() {
            0 => None,
            1 => healthy().next(),
            count => {
                let first = below(rng(), count);
                let step = 1 + below(rng(), count - 1);
                // Another lane may eject one between the count and the pick, so either may be
                // missing here.
                match (healthy().nth(first), healthy().nth((first + step) % count)) {
                    (Some(a), Some(b)) => Some(cheaper(a, b, now)),
                    (one, other) => one.or(other),
                }
            }
        };
        chosen
            .or_else(|| open().find(|it| it.try_probe(now)))
            .or_else(|| open().min_by(|a, b| due_first(a, b)))
            .inspect(|it| it.note_sent(now))
            .map(Arc::clone)
    }

    /// An instance whose app could not be reached and which a call may try again now; the claim is
    /// the caller's. A call that can't be repeated elsewhere must not ask.
    pub fn trial(&self, avoid: &[Arc<Instance>], now: Instant) -> Option<Arc<Instance>> {
        let mut open = self.all().iter().filter(|it| !is_avoided(it, avoid));
        open.find(|it| it.is_set_aside() && it.try_probe(now))
            .inspect(|it| it.note_sent(now))
            .map(Arc::clone)
    }
}

fn is_avoided(instance: &Instance, avoid: &[Arc<Instance>]) -> bool {
    avoid.iter().any(|tried| tried.addr() == instance.addr())
}

/// `first` unless `second` costs less by more than a quarter: near-equals share by the draw, and
/// noise does not send every call to the same instance.
fn cheaper<'a>(
    first: &'a Arc<Instance>,
    second: &'a Arc<Instance>,
    now: Instant,
) -> &'a Arc<Instance> {
    let (of_first, of_second) = match (first.latency(now), second.latency(now)) {
        (Some(a), Some(b)) => (cost(first, a, now), cost(second, b, now)),
        // One was never measured: only the queues compare, and the silences.
        _ => (cost(first, LEVEL, now), cost(second, LEVEL, now)),
    };
    if of_second.saturating_mul(5) < of_first.saturating_mul(4) {
        second
    } else {
        first
    }
}

/// An instance that has been silent for longer than it usually takes is at least as slow as that.
fn cost(instance: &Instance, latency: Duration, now: Instant) -> u128 {
    let expected = latency.max(instance.silence(now)).max(LEVEL);
    expected.as_nanos() * (u128::from(instance.in_flight()) + 1)
}

fn due_first(a: &Arc<Instance>, b: &Arc<Instance>) -> Ordering {
    a.due().cmp(&b.due())
}

/// A number below `limit`, which is not zero.
fn below(random: u64, limit: usize) -> usize {
    // Multiplying keeps the high bits, which are the good ones of most generators.
    ((u128::from(random) * limit as u128) >> 64) as usize
}

/// Below this, differences of latency are noise of the scheduler and not worth a preference.
const LEVEL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Listing;

    fn instances(count: u16) -> Instances {
        let instance = |n| {
            let listing = Listing::new(None, "app", &format!("127.0.0.1:{n}"));
            Arc::new(Instance::new(listing, "static", Arc::default()))
        };
        Instances::new((1..=count).map(instance).collect(), 1)
    }

    /// A multiplicative generator that is good enough for shares and repeats exactly.
    fn dice() -> impl FnMut() -> u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    fn shares(set: &Instances, now: Instant) -> Vec<usize> {
        let mut rng = dice();
        let mut counts = vec![0; set.all().len()];
        for _ in 0..1_000 {
            let chosen = set.choose(&mut rng, &[], now).unwrap();
            let at = set.all().iter().position(|it| Arc::ptr_eq(it, &chosen));
            counts[at.unwrap()] += 1;
        }
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn equal_instances_share_evenly() {
        let set = instances(4);
        let now = Instant::now();
        for (it, micros) in set.all().iter().zip([80, 120, 200, 90]) {
            it.record_latency(Duration::from_micros(micros), now);
        }
        for share in shares(&set, now) {
            assert!((200..=300).contains(&share), "{share}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_busier_of_two_is_passed_over() {
        let set = instances(2);
        let _busy = set.all()[0].begin();
        assert_eq!(shares(&set, Instant::now()), [0, 1_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slower_of_two_is_passed_over_until_its_average_fades() {
        let set = instances(2);
        let now = Instant::now();
        set.all()[0].record_latency(Duration::from_millis(40), now);
        set.all()[1].record_latency(Duration::from_millis(4), now);
        assert_eq!(shares(&set, now), [0, 1_000]);
        let later = now + Duration::from_secs(20);
        set.all()[1].record_latency(Duration::from_millis(4), later);
        assert_eq!(shares(&set, later), [1_000, 0], "it is measured again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_instance_gets_calls_but_no_flood() {
        let set = instances(2);
        let now = Instant::now();
        set.all()[0].record_latency(Duration::from_millis(40), now);
        assert!(shares(&set, now)[1] > 400);
        let _first_calls: Vec<_> = (0..3).map(|_| set.all()[1].begin()).collect();
        assert_eq!(shares(&set, now)[1], 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_stops_answering_is_not_faster_for_that() {
        let set = instances(2);
        let mut now = Instant::now();
        for it in set.all() {
            it.record_latency(Duration::from_millis(100), now);
        }
        let mut rng = dice();
        let hung = &set.all()[0];
        let mut stuck = Vec::new();
        for _ in 0..3_000 {
            now += Duration::from_millis(10);
            let chosen = set.choose(&mut rng, &[], now).unwrap();
            match Arc::ptr_eq(&chosen, hung) {
                true => stuck.push(chosen.begin()),
                false => chosen.record_latency(Duration::from_millis(100), now),
            }
        }
        assert!(stuck.len() <= 3, "{} calls went there", stuck.len());
        // The callers give up: only one of the next calls finds out that nothing has changed.
        stuck.clear();
        now += Duration::from_secs(60);
        set.all()[1].record_latency(Duration::from_millis(100), now);
        for _ in 0..1_000 {
            let chosen = set.choose(&mut rng, &[], now).unwrap();
            if Arc::ptr_eq(&chosen, hung) {
                stuck.push(chosen.begin());
            }
        }
        assert_eq!(stuck.len(), 1);
        stuck.clear();
        hung.record_latency(Duration::from_millis(1), now);
        assert_eq!(
            shares(&set, now)[0],
            1_000,
            "an answer makes it whole again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ejected_instances_are_chosen_only_when_no_other_is_left() {
        let set = instances(3);
        let now = Instant::now();
        set.all()[0].eject(now);
        let much_later = now + Duration::from_secs(60);
        assert_eq!(shares(&set, much_later)[0], 0);
        set.all()[1].eject(now);
        assert_eq!(shares(&set, much_later), [0, 0, 1_000]);
        set.all()[2].eject(now);
        let chosen = set.choose(&mut dice(), &[], now).unwrap();
        assert_eq!(chosen.addr(), "127.0.0.1:1");
    }

    #[tokio::test(start_paused = true)]
    async fn among_ejected_ones_the_call_is_the_probe_of_one_that_is_due() {
        let set = instances(2);
        let now = Instant::now();
        set.all()[0].eject(now + Duration::from_millis(900));
        set.all()[1].eject(now);
        let later = now + Duration::from_millis(500);
        let chosen = set.choose(&mut dice(), &[], later).unwrap();
        assert_eq!(chosen.addr(), "127.0.0.1:2");
        assert!(!chosen.try_probe(later), "the call holds the claim");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_tried_is_avoided() {
        let set = instances(2);
        let now = Instant::now();
        let mut tried = Vec::new();
        for _ in 0..2 {
            let next = set.choose(&mut dice(), &tried, now).unwrap();
            assert!(!tried.iter().any(|it| Arc::ptr_eq(it, &next)));
            tried.push(next);
        }
        assert!(set.choose(&mut dice(), &tried, now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_without_its_app_is_tried_by_one_call_at_a_time() {
        let set = instances(2);
        let now = Instant::now();
        set.all()[0].set_aside(now);
        set.all()[0].report_connected();
        assert_eq!(shares(&set, now), [0, 1_000]);
        assert!(set.trial(&[], now).is_none());
        let later = now + Duration::from_millis(100);
        assert_eq!(set.all()[0].probe_due(), None, "no connection can tell");
        let trial = set.trial(&[], later).unwrap();
        assert_eq!(trial.addr(), "127.0.0.1:1");
        assert!(set.trial(&[], later).is_none(), "one at a time");
        trial.report_success();
        assert!(!trial.is_ejected());
    }

    #[test]
    fn drawn_numbers_stay_below_the_limit() {
        assert_eq!(below(u64::MAX, 3), 2);
        assert_eq!(below(0, 3), 0);
        assert_eq!(below(u64::MAX, 1), 0);
    }
}
