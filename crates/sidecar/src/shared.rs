//! What all lanes and the control thread of one sidecar share: immutable values, atomics, and the
//! few things that change by a snapshot.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use outrider_lookup::Table;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::{metadata::Metadata, metrics::Families, plan::Plan, ready::Ready, stores::Stores};

/// One sidecar, seen from any of its threads.
pub(crate) struct Shared {
    /// What was asked for, checked.
    pub plan: Plan,
    /// Address other sidecars know this host by; goes into `X-Forwarded-For`.
    pub host_address: String,
    /// Name of this host.
    pub hostname: String,
    /// `Forwarded` as every call to a peer carries it.
    pub forwarded: String,
    /// Sizes.
    pub limits: Limits,
    /// Sent to the app as `dapr-api-token`.
    pub app_token: Option<String>,
    /// Instances of apps.
    pub table: Table,
    /// Which parts are up.
    pub ready: Ready,
    /// State stores that are loaded.
    pub stores: Stores,
    /// `/v1.0/metadata`.
    pub metadata: Metadata,
    /// Metric families.
    pub families: Families,
    /// What the probes say of the app.
    pub app_state: AppState,
    /// Bounds requests to the app, if asked for.
    pub app_slots: Option<Arc<Semaphore>>,
    /// Calls under way.
    pub in_flight: InFlight,
    /// Becomes true when no new work is to be taken.
    pub drain: watch::Sender<bool>,
    /// Asks the control thread to stop.
    pub stop: mpsc::UnboundedSender<Stop>,
}

/// Sizes that bound what is read, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A request head on the API port.
    pub head: usize,
    /// A request body on the API port.
    pub body: u64,
    /// A message of a client or of our app.
    pub message: usize,
    /// A message between sidecars: an envelope is larger than what it carries.
    pub envelope: usize,
    /// The head of the app's answer.
    pub app_head: usize,
}

/// Why the sidecar is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The shutdown API.
    Api,
    /// The shutdown API, forced: no draining.
    Forced,
}

/// Whether the app may be called. Without probes it always may.
#[derive(Debug)]
pub(crate) struct AppState {
    healthy: AtomicBool,
    changed: Notify,
}

impl AppState {
    /// Healthy until a probe says otherwise, or the reverse where probes are on.
    pub(crate) fn new(healthy: bool) -> Self {
        Self {
            healthy: AtomicBool::new(healthy),
            changed: Notify::new(),
        }
    }

    /// What the last probes say.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Notes what the probes say.
    pub(crate) fn set(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until the app is unhealthy.
    pub(crate) async fn unhealthy(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.is_healthy() {
                return;
            }
            changed.await;
        }
    }
}

/// Counts calls under way over all lanes.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    calls: Arc<AtomicUsize>,
}

impl InFlight {
    /// Counts one call until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlightGuard {
        self.calls.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(&self.calls))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// One call under way.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<AtomicUsize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
