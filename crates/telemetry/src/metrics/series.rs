//! The three kinds of series: numbers that many threads change without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::family::{Any, Family};
use super::text::Page;

/// What a family needs to know of its kind of series.
pub trait Series: Sized + 'static {
    /// What all series of a family share.
    type Setup: Clone + PartialEq + fmt::Debug;
    /// The word after `# TYPE <name>`.
    const TYPE: &'static str;

    fn new(setup: &Self::Setup) -> Self;
    fn is_visible(&self) -> bool;
    fn render(&self, page: &mut Page<'_>, labels: &str);
    fn from_any(any: &Any) -> Option<&Family<Self>>;
    fn into_any(family: Family<Self>) -> Any;
}

/// Counts up, from its first recording on.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `n`. Nought does not make the series appear.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Series for Counter {
    type Setup = ();
    const TYPE: &'static str = "counter";

    fn new((): &()) -> Self {
        Self::default()
    }

    fn is_visible(&self) -> bool {
        self.value() > 0
    }

    fn render(&self, page: &mut Page<'_>, labels: &str) {
        page.count("", labels, self.value());
    }

    fn from_any(any: &Any) -> Option<&Family<Self>> {
        match any {
            Any::Counter(family) => Some(family),
            _ => None,
        }
    }

    fn into_any(family: Family<Self>) -> Any {
        Any::Counter(family)
    }
}

/// Holds the last value set.
#[derive(Debug)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// A pattern of "not a number" that no arithmetic produces: nothing was set yet.
    const UNSET: u64 = u64::MAX;

    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the value, taking one never set as nought.
    pub fn add(&self, delta: f64) {
        update(&self.0, |bits| {
            let old = if bits == Self::UNSET {
                0.0
            } else {
                f64::from_bits(bits)
            };
            old + delta
        });
    }

    /// The value, if one was set.
    pub fn value(&self) -> Option<f64> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != Self::UNSET).then(|| f64::from_bits(bits))
    }
}

impl Series for Gauge {
    type Setup = ();
    const TYPE: &'static str = "gauge";

    fn new((): &()) -> Self {
        Self(AtomicU64::new(Self::UNSET))
    }

    fn is_visible(&self) -> bool {
        self.value().is_some()
    }

    fn render(&self, page: &mut Page<'_>, labels: &str) {
        page.number("", labels, self.value().unwrap_or_default());
    }

    fn from_any(any: &Any) -> Option<&Family<Self>> {
        match any {
            Any::Gauge(family) => Some(family),
            _ => None,
        }
    }

    fn into_any(family: Family<Self>) -> Any {
        Any::Gauge(family)
    }
}

/// Sorts values into buckets. As in the reference, a value equal to a bound falls into the next
/// bucket although the page says `le` (contract 2): dashboards compare the two sidecars' numbers.
#[derive(Debug)]
pub struct Histogram {
    bounds: Arc<[f64]>,
    /// One per bound and a last one for what lies above; not yet summed up.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Records one value; what is not a number is ignored.
    pub fn observe(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let at = self.bounds.partition_point(|bound| *bound <= value);
        update(&self.sum, |bits| f64::from_bits(bits) + value);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    /// The sum of the values recorded.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }
}

impl Series for Histogram {
    type Setup = Arc<[f64]>;
    const TYPE: &'static str = "histogram";

    fn new(bounds: &Arc<[f64]>) -> Self {
        Self {
            bounds: Arc::clone(bounds),
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    fn is_visible(&self) -> bool {
        self.count() > 0
    }

    fn render(&self, page: &mut Page<'_>, labels: &str) {
        // The count is the sum of what was read here, so the last bucket always equals it.
        let mut total = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, bucket) in bounds.zip(&self.buckets) {
            total += bucket.load(Ordering::Relaxed);
            page.bucket(labels, bound, total);
        }
        page.number("_sum", labels, self.sum());
        page.count("_count", labels, total);
    }

    fn from_any(any: &Any) -> Option<&Family<Self>> {
        match any {
            Any::Histogram(family) => Some(family),
            _ => None,
        }
    }

    fn into_any(family: Family<Self>) -> Any {
        Any::Histogram(family)
    }
}

fn update(bits: &AtomicU64, next: impl Fn(u64) -> f64) {
    let step = |old| Some(next(old).to_bits());
    // The closure never declines, so there is no failure to handle.
    let _ = bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
}
