//! Counters of loads and failures (contract `state.md` 1.4).

use outrider_core::ids::AppId;
use outrider_telemetry::metrics::{CounterFamily, names};

use crate::shared::Shared;

/// The counters; absent where metrics are off.
pub(super) struct Counted {
    app_id: AppId,
    families: Option<Families>,
}

struct Families {
    loaded: CounterFamily,
    initialized: CounterFamily,
    failed: CounterFamily,
}

impl Counted {
    /// Registers the families.
    pub(super) fn new(shared: &Shared) -> Self {
        let registry = &shared.families.registry;
        Self {
            app_id: shared.plan.app_id.clone(),
            families: shared.plan.metrics.enabled.then(|| Families {
                loaded: names::COMPONENT_LOADED.counters(registry),
                initialized: names::COMPONENT_INIT.counters(registry),
                failed: names::COMPONENT_INIT_FAIL.counters(registry),
            }),
        }
    }

    /// A component of that type works.
    pub(super) fn loaded(&self, component_type: &str) {
        if let Some(families) = &self.families {
            let app_id = self.app_id.as_str();
            families.initialized.with(&[app_id, component_type]).inc();
            families.loaded.with(&[app_id]).inc();
        }
    }

    /// A component could not be made or started; the reference counts one failure in two places.
    pub(super) fn failed(&self, component_type: &str, name: &str, reason: &str) {
        if let Some(families) = &self.families {
            let labels = [self.app_id.as_str(), component_type, name, reason];
            families.failed.with(&labels).inc();
        }
    }
}
