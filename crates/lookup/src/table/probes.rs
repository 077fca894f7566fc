//! When ejected instances may be tried again, for the control thread that tries them.
//!
//! Probing aside keeps live calls away from dead instances as long as another one lives.

use std::future::pending;
use std::sync::Arc;

use tokio::time::Instant;

use super::Table;
use crate::instance::Instance;

impl Table {
    /// Waits until an ejected instance may be tried again, and claims that attempt. The caller
    /// connects and reports with [`Instance::report_connected`] or [`Instance::eject`].
    ///
    /// For one prober only: ejections wake a single waiter. Idle, it costs nothing. An instance
    /// that left the table is not probed.
    pub async fn next_probe(&self) -> Arc<Instance> {
        let mut changed = self.inner.changed.subscribe();
        loop {
            let snapshot = self.snapshot();
            let now = Instant::now();
            if let Some(due) = snapshot
                .instances()
                .find(|it| it.needs_connection() && it.try_probe(now))
            {
                return Arc::clone(due);
            }
            let first_due = snapshot.instances().filter_map(|it| it.probe_due()).min();
            tokio::select! {
                () = until(first_due) => {}
                () = self.inner.on_eject.notified() => {}
                _ = changed.changed() => {}
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}
