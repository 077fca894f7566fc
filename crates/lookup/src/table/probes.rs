//! When ejected instances may be tried again, for the control thread that tries them.
//!
//! Probing aside keeps live calls away from dead instances as long as another one lives. So nothing
//! is probed that calls would try anyway, the only instance of an app, nor what no call asks for:
//! made-up names must not cost anything for ever.

use std::future::pending;
use std::sync::Arc;

use tokio::time::Instant;

use super::Table;
use crate::instance::Instance;

impl Table {
    /// Waits until an ejected instance may be tried again, and claims that attempt. The caller
    /// connects and reports with [`Instance::report_connected`] or [`Instance::eject`].
    ///
    /// Where calls are the probes, failures are told to the subscribers of [`asked`](Self::asked)
    /// meanwhile. For one prober only: ejections wake a single waiter. Idle, it costs nothing.
    pub async fn next_probe(&self) -> Arc<Instance> {
        let mut changed = self.inner.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let now = Instant::now();
            let mut first_due = None;
            for instance in self.inner.ejected.current() {
                if !self.is_to_be_probed(&instance, now) {
                    continue;
                }
                if instance.try_probe(now) {
                    instance.take_failed();
                    return instance;
                }
                first_due = first_due.into_iter().chain(instance.probe_due()).min();
            }
            tokio::select! {
                () = until(first_due) => {}
                () = self.inner.ejected.changed.notified() => {}
                _ = changed.changed() => {}
            }
        }
    }

    fn is_to_be_probed(&self, instance: &Instance, now: Instant) -> bool {
        let sets = instance.among();
        if sets.iter().all(|set| set.all().len() == 1) {
            if instance.take_failed() {
                // Sources that look on demand find out whether it is still there.
                self.ask(instance.namespace().unwrap_or_default(), instance.app_id());
            }
            return false;
        }
        !sets.iter().all(|set| set.is_idle(now))
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}
