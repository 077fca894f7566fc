//! Whether the folders of resources may have changed. Says no more than that: what has changed is
//! found by reading them again.

use std::{path::Path, sync::Arc, time::Duration};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use outrider_telemetry::log::scope;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Files are read once nothing has happened for this long: programs empty a file before they write
/// it, and write several.
const QUIET: Duration = Duration::from_millis(20);

/// They are read after this long even if it goes on.
const LONGEST: Duration = Duration::from_millis(500);

/// Watches folders, not what lies deeper.
pub(super) struct Watch {
    changed: Arc<Notify>,
    /// None if the system gives no events; then there is only the comparison now and then.
    _events: Option<RecommendedWatcher>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// A folder that is not there.
    pub(super) fn try_new(folders: &[String]) -> Result<Self, String> {
        let shown = folders.join(", ");
        tracing::info!(
            target: scope::RUNTIME_HOTRELOAD_LOADER_DISK, "Watching directories: [{shown}]"
        );
        for folder in folders {
            std::fs::read_dir(folder).map_err(|error| {
                let text = error.to_string();
                let why = text.split(" (os error").next().unwrap_or_default();
                format!(
                    "failed to create watcher: failed to add target {folder}: {} (name an existing \
                     folder with --resources-path, or leave the flag out)",
                    why.to_lowercase()
                )
            })?;
        }
        let changed = Arc::<Notify>::default();
        let events = events(folders, Arc::clone(&changed));
        let events = events.inspect_err(|error| {
            tracing::warn!(
                target: scope::RUNTIME_HOTRELOAD_LOADER_DISK,
                "changes of [{shown}] are seen late, because the system reports none: {error} (on \
                 Linux, a higher fs.inotify.max_user_instances may help)"
            );
        });
        Ok(Self {
            changed,
            _events: events.ok(),
        })
    }

    /// Waits for a change, and until it seems complete.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
        let latest = Instant::now() + LONGEST;
        loop {
            tokio::select! {
                () = sleep(QUIET) => return,
                () = self.changed.notified() => {
                    if Instant::now() >= latest {
                        return;
                    }
                }
            }
        }
    }
}

fn events(folders: &[String], changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may mean lost events: a reason to look.
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    })?;
    for folder in folders {
        watcher.watch(Path::new(folder), RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Reading is none, or our own reading would never end.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
