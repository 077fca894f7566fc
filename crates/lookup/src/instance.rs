//! One instance of an app, and the immutable set of instances a call chooses from.
//!
//! What calls learn about an instance (requests in flight, latency, ejection) lives here in
//! atomics, because every lane learns it and none may wait for another. Sending is not done here.

mod choice;
mod ejection;
mod latency;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::table::Listing;
pub(crate) use ejection::Ejected;
use ejection::{Ejection, Reason};
use latency::Latency;

/// A sidecar that serves an app, as seen by this process.
///
/// The same value lives on through updates of the table while address and process are unchanged,
/// so what was learned about it is kept.
pub struct Instance {
    listing: Listing,
    listed: Mutex<Listed>,
    epoch: Instant,
    in_flight: AtomicU32,
    latency: Latency,
    ejection: Ejection,
    /// An attempt has failed since the prober last looked.
    failed: AtomicBool,
    ejected: Arc<Ejected>,
}

/// How the table lists an instance now.
struct Listed {
    source: &'static str,
    /// The sets it is chosen from; none once it has left the table.
    among: Vec<Weak<Instances>>,
}

impl Instance {
    pub(crate) fn new(listing: Listing, source: &'static str, ejected: Arc<Ejected>) -> Self {
        let among = Vec::new();
        Self {
            listing,
            listed: Mutex::new(Listed { source, among }),
            epoch: Instant::now(),
            in_flight: AtomicU32::new(0),
            latency: Latency::default(),
            ejection: Ejection::default(),
            failed: AtomicBool::new(false),
            ejected,
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
        self.listed().source
    }

    pub(crate) fn set_source(&self, source: &'static str) {
        self.listed().source = source;
    }

    /// It is chosen from no set any more.
    pub(crate) fn leave_sets(&self) {
        self.listed().among.clear();
    }

    pub(crate) fn enter_set(&self, set: &Arc<Instances>) {
        self.listed().among.push(Arc::downgrade(set));
    }

    /// The sets that it is chosen from; none once it has left the table.
    pub(crate) fn among(&self) -> Vec<Arc<Instances>> {
        let listed = self.listed();
        listed.among.iter().filter_map(Weak::upgrade).collect()
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether calls can do without it: another instance of its app is in the choice.
    pub fn is_dispensable(&self) -> bool {
        let is_other = |it: &Arc<Self>| !std::ptr::eq(Arc::as_ptr(it), self);
        let sets = self.among();
        let mut beside = sets.iter().flat_map(|set| set.all());
        beside.any(|it| is_other(it) && !it.is_ejected())
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
        self.latency
            .record(elapsed, self.millis(now), self.in_flight());
    }

    /// The moving average of answer times; it fades while nothing is asked. `None` before the
    /// first.
    pub fn latency(&self, now: Instant) -> Option<Duration> {
        self.latency.at(self.millis(now), self.in_flight())
    }

    /// How long requests have been in flight without any answer.
    fn silence(&self, now: Instant) -> Duration {
        self.latency.silence(self.millis(now), self.in_flight())
    }

    /// A call will be sent to it.
    fn note_sent(&self, now: Instant) {
        self.latency.sent(self.millis(now));
    }

    /// Takes it out of the choice because a connection to it failed. Reports that arrive during
    /// the pause count as the same failure, so a burst of them does not lengthen it.
    pub fn eject(self: &Arc<Self>, now: Instant) {
        if self.ejection.eject(Reason::Connection, self.millis(now)) {
            self.failed.store(true, Ordering::Relaxed);
            self.ejected.add(self);
        }
    }

    /// Whether an attempt has failed since this was asked last.
    pub(crate) fn take_failed(&self) -> bool {
        self.failed.swap(false, Ordering::Relaxed)
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
        millis_since(self.epoch, now)
    }
}

fn millis_since(epoch: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(epoch).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
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
    epoch: Instant,
    /// When a call last chose from it, in milliseconds since the epoch, give or take
    /// [`ASKED_STEP_MS`].
    asked: AtomicU64,
}

impl Instances {
    pub(crate) fn new(all: Vec<Arc<Instance>>, generation: u64) -> Self {
        Self {
            all,
            generation,
            epoch: Instant::now(),
            asked: AtomicU64::new(0),
        }
    }

    /// Whether no call has chosen from it for a while.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        self.millis(now).saturating_sub(asked) >= IDLE_MS
    }

    /// A call chooses from it. Seldom more than a comparison.
    fn note_asked(&self, now: Instant) {
        let now_ms = self.millis(now);
        let before = self.asked.load(Ordering::Relaxed);
        if now_ms < before + ASKED_STEP_MS {
            return;
        }
        self.asked.store(now_ms, Ordering::Relaxed);
        if let Some(first) = self.all.first().filter(|_| now_ms >= before + IDLE_MS) {
            // Those that were left alone meanwhile are to be tried again.
            first.ejected.changed.notify_one();
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        millis_since(self.epoch, now)
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

/// Ejected instances of an app that nobody has called for so long are left alone.
const IDLE_MS: u64 = 60_000;
/// Calls that come faster than this don't write to the memory that the lanes share.
const ASKED_STEP_MS: u64 = 1_000;

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
        let instance = Arc::new(Instance::new(listing, "static", Arc::default()));
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
