//! Components follow their files while the sidecar runs (contract `configuration.md` 10).
//!
//! Other kinds do not. Whatever happened, all files are read again and compared with what runs.

use std::future::pending;

use outrider_config::resources::Error;
use outrider_telemetry::log::scope;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Components;

/// Why the files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Event,
    Routine,
}

impl Components {
    /// Follows the files until something is wrong that the sidecar can't live with, which is
    /// returned in the words of the fatal line. Without hot reload it never is.
    pub(crate) async fn follow(&mut self) -> String {
        let Some(watch) = self.watch.take() else {
            return pending().await;
        };
        let period = self.options().map_or(DAY, |options| options.reconcile);
        tracing::info!(
            target: scope::RUNTIME_HOTRELOAD,
            "Hot reloading enabled. Daprd will reload 'Component' resources when they are added, \
             updated or deleted."
        );
        tracing::info!(
            target: scope::RUNTIME_HOTRELOAD_RECONCILER, "Starting to watch Component updates"
        );
        let mut routine = interval_at(Instant::now() + period, period);
        routine.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                () = watch.changed() => Cause::Event,
                _ = routine.tick() => Cause::Routine,
            };
            if let Err(why) = self.reload(cause).await {
                return why;
            }
        }
    }

    async fn reload(&mut self, cause: Cause) -> Result<(), String> {
        tracing::debug!(target: scope::RUNTIME_HOTRELOAD_RECONCILER, "Reconciling all Component");
        match self.read() {
            Ok(found) => self.apply(found).await,
            Err(error) if cause == Cause::Routine => {
                tracing::error!(
                    target: scope::RUNTIME_HOTRELOAD_RECONCILER,
                    "Error listing Component: {error}"
                );
                Ok(())
            }
            Err(error @ Error::Folder { .. }) => {
                Err(format!("failed to read resource directories: {error}"))
            }
            Err(error @ Error::Duplicates(_)) => {
                Err(format!("failed to load resources from disk: {error}"))
            }
        }
    }
}

/// There is a plan wherever there is a watch, so this is never waited for.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
