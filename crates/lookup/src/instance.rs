//! One instance of an app, and the immutable set of instances a call chooses from.
//!
//! What calls learn about an instance (requests in flight, latency, ejection) lives here in
//! atomics, because every lane learns it and none may wait for another. Sending is not done here.

mod choice;
mod ejection;
mod latency;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::table::Listing;
use ejection::{Ejection, Reason};
use latency::Latency;

/// A sidecar that serves an app, as seen by this process.
///
/// The same value lives on through updates of the table while address and process are unchanged,
/// so what was learned about it is kept.
pub struct Instance {
    listing: Listing,
    source: Mutex<&'static str>,
    epoch: Instant,
    in_flight: AtomicU32,
    latency: Latency,
    ejection: Ejection,
    on_eject: Arc<Notify>,
}

impl Instance {
    pub(crate) fn new(listing: Listing, source: &'static str, on_eject: Arc<Notify>) -> Self {
        Self {
            listing,
            source: Mutex::new(source),
            epoch: Instant::now(),
            in_flight: AtomicU32::new(0),
            latency: Latency::default(),
            ejection: Ejection::default(),
            on_eject,
        }
    }

    /// `host:port` of the internal gRPC server, IPv6 in brackets.
    pub fn addr(&self) -> &str {
        &self.listing.addr
    }

    /// The app it serves.
    pub fn app_id(&self) -> &str {
        &self.listing.app_id
    }

    /// Its namespace; `None` when the source knows no namespaces (mDNS).
    pub fn namespace(&self) -> Option<&str> {
        self.listing.namespace.as_deref()
    }

    /// `<hostname>:<pid>` of the sidecar, where the source tells.
    pub fn process(&self) -> Option<&str> {
        self.listing.process.as_deref()
    }

    /// The source of highest rank that lists it now.
    pub fn source(&self) -> &'static str {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_source(&self, source: &'static str) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlightGuard {
            instance: Arc::clone(self),
        }
    }

    /// Requests this process has in flight to it.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes one answer's time into the moving average.
    pub fn record_latency(&self, elapsed: Duration, now: Instant) {
        self.latency.record(elapsed, self.millis(now));
    }

    /// The moving average of answer times; it fades when no answers come. `None` before the first.
    pub fn latency(&self, now: Instant) -> Option<Duration> {
        self.latency.at(self.millis(now))
    }

    /// Takes it out of the choice because a connection to it failed. Reports that arrive during
    /// the pause count as the same failure, so a burst of them does not lengthen it.
    pub fn eject(&self, now: Instant) {
        self.ejection.eject(Reason::Connection, self.millis(now));
        self.on_eject.notify_one();
    }

    /// Takes it out of the choice because its sidecar answers that the app can't be reached. No
    /// connection can show that the app is back: now and then a call is let through, see
    /// [`Instances::trial`].
    pub fn set_aside(&self, now: Instant) {
        self.ejection.eject(Reason::App, self.millis(now));
    }

    /// Whether it is out of the choice until a probe or call succeeds.
    pub fn is_ejected(&self) -> bool {
        self.ejection.is_ejected()
    }

    /// Claims the one attempt that may be made once the pause after an ejection is over. The
    /// holder reports back through [`report_success`](Self::report_success) or
    /// [`eject`](Self::eject); if it never does, the claim expires.
    pub fn try_probe(&self, now: Instant) -> bool {
        self.ejection.try_claim(self.millis(now))
    }

    /// A connection succeeded: it is back in the choice if that was what it lacked.
    pub fn report_connected(&self) {
        self.ejection.clear_if(Reason::Connection);
    }

    /// A call succeeded: it is back in the choice.
    pub fn report_success(&self) {
        self.ejection.clear();
    }

    /// When the next connection may be tried; `None` if none is needed.
    pub fn probe_due(&self) -> Option<Instant> {
        match self.ejection.reason()? {
            Reason::Connection => self.due(),
            Reason::App => None,
        }
    }

    /// When the next attempt of any kind may be claimed.
    fn due(&self) -> Option<Instant> {
        let due = self.ejection.due()?;
        Some(self.epoch + Duration::from_millis(due))
    }

    /// Whether a connection can bring it back into the choice.
    pub(crate) fn needs_connection(&self) -> bool {
        self.ejection.reason() == Some(Reason::Connection)
    }

    /// Whether only a call can bring it back into the choice.
    fn is_set_aside(&self) -> bool {
        self.ejection.reason() == Some(Reason::App)
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("listing", &self.listing)
            .field("source", &self.source())
            .field("in_flight", &self.in_flight())
            .field("ejected", &self.is_ejected())
            .finish_non_exhaustive()
    }
}

/// One request in flight; ends on drop.
#[derive(Debug)]
pub struct InFlightGuard {
    instance: Arc<Instance>,
}

impl InFlightGuard {
    /// The instance the request went to.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.instance.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The instances of one app id in one namespace at one moment; never empty in a snapshot.
#[derive(Debug)]
pub struct Instances {
    all: Vec<Arc<Instance>>,
    generation: u64,
}

impl Instances {
    pub(crate) fn new(all: Vec<Arc<Instance>>, generation: u64) -> Self {
        Self { all, generation }
    }

    /// All of them, highest-ranked source first.
    pub fn all(&self) -> &[Arc<Instance>] {
        &self.all
    }

    /// The table's generation that brought this set.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn is_same_as(&self, others: &[Arc<Instance>]) -> bool {
        self.all.len() == others.len()
            && self.all.iter().zip(others).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn in_flight_guards_count_up_and_down() {
        let listing = Listing::new(None, "app", "127.0.0.1:1");
        let instance = Arc::new(Instance::new(listing, "static", Arc::default()));
        let first = instance.begin();
        let second = instance.begin();
        assert_eq!(instance.in_flight(), 2);
        drop(first);
        assert_eq!(second.instance().in_flight(), 1);
        drop(second);
        assert_eq!(instance.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ejection_ends_with_a_success() {
        let listing = Listing::new(None, "app", "127.0.0.1:1");
        let instance = Instance::new(listing, "static", Arc::default());
        let now = Instant::now();
        instance.eject(now);
        assert!(instance.is_ejected());
        let due = instance.probe_due().unwrap();
        assert_eq!(due - now, Duration::from_millis(100));
        assert!(!instance.try_probe(now));
        assert!(instance.try_probe(due));
        instance.report_success();
        assert!(!instance.is_ejected());
        assert_eq!(instance.probe_due(), None);
    }
}
