//! Families: the series of one metric, found by their label values.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::series::{Counter, Gauge, Histogram, Series};
use super::text::{Page, push_label};

/// The counters of one metric.
pub type CounterFamily = Family<Counter>;
/// The gauges of one metric.
pub type GaugeFamily = Family<Gauge>;
/// The histograms of one metric.
pub type HistogramFamily = Family<Histogram>;

/// Name, help and labels of a metric.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    /// Positions of the labels in the order in which they are printed.
    order: Box<[usize]>,
}

impl Shape {
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        let mut order: Box<[usize]> = (0..labels.len()).collect();
        order.sort_by_key(|&at| labels[at]);
        Self {
            name,
            help,
            labels,
            order,
        }
    }

    /// Appends the labels as they stand between the braces. `keep` says which values are.
    fn push_labels(&self, out: &mut String, values: &[&str], keep: Keep) {
        for &at in &self.order {
            let name = self.labels[at];
            let value = values.get(at).copied().unwrap_or_default();
            let value = if keep.keeps(name) { value } else { "" };
            push_label(out, name, value);
        }
    }
}

/// How much of a label set is kept, as a family fills up.
#[derive(Clone, Copy)]
enum Keep {
    All,
    AllButPath,
    OnlyAppId,
    Nothing,
}

impl Keep {
    fn keeps(self, label: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllButPath => label != "path",
            Self::OnlyAppId => label == "app_id",
            Self::Nothing => false,
        }
    }
}

/// A family of any kind, as the registry keeps it.
#[derive(Clone, Debug)]
pub enum Any {
    /// Counters.
    Counter(CounterFamily),
    /// Gauges.
    Gauge(GaugeFamily),
    /// Histograms.
    Histogram(HistogramFamily),
}

impl Any {
    pub(super) fn render(&self, out: &mut String) {
        match self {
            Self::Counter(family) => family.render(out),
            Self::Gauge(family) => family.render(out),
            Self::Histogram(family) => family.render(out),
        }
    }
}

/// The series of one metric. Clones share them.
pub struct Family<S: Series>(Arc<Core<S>>);

impl<S: Series> Family<S> {
    pub(super) fn new(shape: Shape, setup: S::Setup, cap: usize) -> Self {
        Self(Arc::new(Core {
            shape,
            setup,
            cap,
            series: Mutex::default(),
        }))
    }

    pub(super) fn fits(&self, shape: &Shape, setup: &S::Setup) -> bool {
        self.0.shape.labels == shape.labels && self.0.setup == *setup
    }

    /// The series with these label values, given in the order of the labels; a missing value is
    /// empty. Takes a lock: keep the series where calls repeat.
    ///
    /// Values are printable ASCII of at most 255 bytes on the page. What is not is replaced by `_`
    /// byte by byte, what is longer is cut: such calls are counted under a similar name, where the
    /// reference drops them unseen.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Arc<S> {
        debug_assert_eq!(
            values.len(),
            self.0.shape.labels.len(),
            "one value per label of {}",
            self.0.shape.name
        );
        let mut key = KEY.try_with(Cell::take).unwrap_or_default();
        let series = self.0.find(&mut key, values);
        // Refused only while the thread ends.
        let _ = KEY.try_with(|cell| cell.set(key));
        series
    }

    pub(super) fn render(&self, out: &mut String) {
        let mut page = Page::new(out, self.0.shape.name);
        for (at, (labels, series)) in self.0.visible().into_iter().enumerate() {
            if at == 0 {
                page.head(self.0.shape.help, S::TYPE);
            }
            series.render(&mut page, &labels);
        }
    }
}

thread_local! {
    /// Room for the labels being looked up, so that finding a series allocates nothing.
    static KEY: Cell<String> = Cell::default();
}

impl<S: Series> Clone for Family<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Series> fmt::Debug for Family<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.shape.name).finish()
    }
}

/// What the clones of a family share.
struct Core<S: Series> {
    shape: Shape,
    setup: S::Setup,
    cap: usize,
    /// By the text between the braces: unique per label set, and ready for the page.
    series: Mutex<HashMap<Box<str>, Arc<S>>>,
}

impl<S: Series> Core<S> {
    fn find(&self, key: &mut String, values: &[&str]) -> Arc<S> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let twice = self.cap.saturating_mul(2);
        let steps = [
            (Keep::All, self.cap),
            (Keep::AllButPath, twice),
            (Keep::OnlyAppId, twice.saturating_add(1)),
        ];
        for (keep, limit) in steps {
            self.write_key(key, values, keep);
            if let Some(found) = series.get(key.as_str()) {
                return Arc::clone(found);
            }
            if series.len() < limit {
                return self.insert(&mut series, key);
            }
        }
        self.write_key(key, values, Keep::Nothing);
        match series.get(key.as_str()) {
            Some(found) => Arc::clone(found),
            None => self.insert(&mut series, key),
        }
    }

    fn write_key(&self, key: &mut String, values: &[&str], keep: Keep) {
        key.clear();
        self.shape.push_labels(key, values, keep);
    }

    fn insert(&self, series: &mut HashMap<Box<str>, Arc<S>>, key: &str) -> Arc<S> {
        let new = Arc::new(S::new(&self.setup));
        series.insert(key.into(), Arc::clone(&new));
        new
    }

    /// A copy, so that nobody waits for the page to be written.
    fn visible(&self) -> Vec<(Box<str>, Arc<S>)> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = series
            .iter()
            .filter(|(_, series)| series.is_visible())
            .map(|(labels, series)| (labels.clone(), Arc::clone(series)))
            .collect();
        drop(series);
        all.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        all
    }
}
