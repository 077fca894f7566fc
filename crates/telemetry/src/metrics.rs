//! Metric families in the reference's text layout (observability contract 1 and 2).
//!
//! A series is resolved once by its label values; recording into it is then a few atomic
//! operations without a lock. A series appears on the page with its first recording, a family
//! with its first series. Nothing here serves the page or decides what is recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

mod family;
pub mod names;
mod series;
mod text;

pub use family::{CounterFamily, GaugeFamily, HistogramFamily};
pub use names::Description;
pub use series::{Counter, Gauge, Histogram};

pub(crate) use text::Page;

use family::{Any, Shape};

/// Content type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// How many series a family holds before it begins to merge them (see [`Registry::with_cap`]).
pub const DEFAULT_SERIES_CAP: usize = 10_000;

/// All families of one sidecar. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    families: Arc<Mutex<BTreeMap<&'static str, Any>>>,
    cap: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_cap(DEFAULT_SERIES_CAP)
    }
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A registry whose families hold `cap` series each before they merge further ones: then a new
    /// label set is recorded with an empty `path`, and if `cap` such sets came too, in one series
    /// that keeps only `app_id` (a second `app_id` in that state loses even that). No family ever
    /// holds more than `2 * cap + 2` series, whatever strangers send. (The reference grows without
    /// bound.)
    #[must_use]
    pub fn with_cap(cap: usize) -> Self {
        Self {
            families: Arc::default(),
            cap,
        }
    }

    /// The counter family of this name. A second call returns the same family, so counts survive a
    /// reload; one with other labels or another type begins the family anew.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> CounterFamily {
        self.family(Shape::new(name, help, labels), ())
    }

    /// The gauge family of this name; see [`Registry::counters`].
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> GaugeFamily {
        self.family(Shape::new(name, help, labels), ())
    }

    /// The histogram family of this name; see [`Registry::counters`]. `bounds` ascend and are
    /// shared by all its series; other bounds than before begin the family anew.
    pub fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: Arc<[f64]>,
    ) -> HistogramFamily {
        self.family(Shape::new(name, help, labels), bounds)
    }

    /// Appends the page, families by name and series by labels.
    pub fn render(&self, out: &mut String) {
        let families: Vec<Any> = self.lock().values().cloned().collect();
        for family in families {
            family.render(out);
        }
    }

    fn family<S: series::Series>(&self, shape: Shape, setup: S::Setup) -> family::Family<S> {
        let mut families = self.lock();
        let known = families.get(shape.name).and_then(S::from_any);
        if let Some(family) = known.filter(|family| family.fits(&shape, &setup)) {
            return family.clone();
        }
        let name = shape.name;
        let family = family::Family::new(shape, setup, self.cap);
        families.insert(name, S::into_any(family.clone()));
        family
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Any>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends the whole page as it is served: the families of `registry` and those of the process.
pub fn render_page(registry: &Registry, out: &mut String) {
    registry.render(out);
    crate::process::render(out);
}

#[cfg(test)]
mod tests;
