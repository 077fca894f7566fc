//! Feeds the table from the folder: events of the file system for speed, a slow re-read for what
//! has no event (a killed writer's lock vanishes silently) and for what an event may miss.
//!
//! Runs on the control thread; the file work is a few system calls. Writes nothing but to remove
//! what dead writers left, and never makes the folder again: whoever announces does.

use std::ffi::OsStr;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::directory::{Folder, Stamp};
use super::reader::{Reader, UNFINISHED};
use super::{Entry, Error};
use crate::table::SourceHandle;

/// Keeps a source of the table equal to the registry while [`run`](Self::run) runs.
#[derive(Debug)]
pub struct Watch {
    folder: Folder,
    source: SourceHandle,
    reader: Reader,
    shown: Vec<Entry>,
    /// The folder as last seen; `None` while it is not there.
    stamp: Option<Stamp>,
    signal: Arc<Signal>,
    /// `None` when the system gives no events, or the folder is gone.
    events: Option<RecommendedWatcher>,
    told: Told,
}

/// What the thread that reads the events has to say.
#[derive(Debug, Default)]
struct Signal {
    changed: Notify,
    /// The folder itself went away. Its number may be given to the next one made, so the stamp
    /// alone would not show that the events have ended.
    folder_lost: AtomicBool,
}

/// What the log was told already.
#[derive(Debug, Default)]
struct Told {
    no_events: bool,
    unreadable: bool,
}

/// Why the folder is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Event,
    /// Soon after an event, for what happened beside it: a dying writer's file is closed before
    /// its lock is released, and two changes may leave the same time stamp.
    AfterEvent,
    Routine,
}

impl Watch {
    pub(super) fn new(folder: Folder, source: SourceHandle) -> Result<Self, Error> {
        folder.with_folder(|| Ok(()))?;
        let mut watch = Self {
            reader: Reader::new(folder.clone()),
            folder,
            source,
            shown: Vec::new(),
            stamp: None,
            signal: Arc::default(),
            events: None,
            told: Told::default(),
        };
        // Events first, then the first read: no change falls between the two.
        watch.follow_folder()?;
        watch.reader.read()?;
        watch.show();
        Ok(watch)
    }

    /// Runs until dropped. To be polled by the control thread's runtime.
    pub async fn run(mut self) {
        let mut last = Cause::Event;
        loop {
            let cause = self.next_cause(last).await;
            self.look(cause);
            if cause == Cause::Event {
                // Many sidecars that start at once must not cost a look for every file event.
                sleep(LEAST_GAP).await;
            }
            last = cause;
        }
    }

    fn next_cause(&self, last: Cause) -> impl Future<Output = Cause> {
        let (pause, after) = match (last, &self.events) {
            (_, None) => (WITHOUT_EVENTS, Cause::AfterEvent),
            (Cause::Event, Some(_)) => (AFTER_EVENT, Cause::AfterEvent),
            (_, Some(_)) => (ROUTINE, Cause::Routine),
        };
        let signal = Arc::clone(&self.signal);
        async move {
            tokio::select! {
                () = signal.changed.notified() => Cause::Event,
                () = sleep(pause) => after,
            }
        }
    }

    fn look(&mut self, cause: Cause) {
        let looked = self.follow_folder().and_then(|changed| {
            if changed || cause != Cause::Routine {
                self.reader.read()
            } else {
                self.reader.drop_dead();
                Ok(())
            }
        });
        match looked {
            Ok(()) => self.told.unreadable = false,
            Err(error) if !self.told.unreadable => {
                self.told.unreadable = true;
                tracing::warn!("the same-host registry stays as it was last read: {error}");
            }
            Err(_) => {}
        }
        self.show();
    }

    /// Whether the folder changed since the last look; sets up events for a new one.
    fn follow_folder(&mut self) -> Result<bool, Error> {
        let stamp = self.folder.check()?;
        let inode = |stamp: Option<Stamp>| stamp.map(|it| it.inode);
        let lost = self.signal.folder_lost.swap(false, Ordering::Relaxed);
        if lost || inode(stamp) != inode(self.stamp) {
            self.events = None;
            if stamp.is_some() {
                self.follow_events();
            }
        }
        let changed = lost || stamp != self.stamp;
        self.stamp = stamp;
        Ok(changed)
    }

    fn follow_events(&mut self) {
        match events_of(self.folder.path(), Arc::clone(&self.signal)) {
            Ok(events) => self.events = Some(events),
            Err(error) if !self.told.no_events => {
                self.told.no_events = true;
                tracing::warn!(
                    "no file events for {}: {error}; looking there every {} ms instead (on Linux, \
                     a higher fs.inotify.max_user_instances may help)",
                    self.folder.path().display(),
                    WITHOUT_EVENTS.as_millis()
                );
            }
            Err(_) => {}
        }
    }

    fn show(&mut self) {
        let entries = self.reader.entries();
        if entries != self.shown {
            self.source
                .replace_all(entries.iter().map(Entry::to_listing));
            self.shown = entries;
        }
    }
}

fn events_of(folder: &Path, signal: Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let path = folder.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may mean lost events: a reason to look.
        if event.as_ref().is_ok_and(|it| ends_folder(it, &path)) {
            signal.folder_lost.store(true, Ordering::Relaxed);
        }
        if event.map_or(true, |it| matters(&it)) {
            signal.changed.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn ends_folder(event: &notify::Event, folder: &Path) -> bool {
    let goes = matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    );
    goes && event.paths.iter().any(|it| it == folder)
}

/// Readers open files too, and looking because somebody looked would never end.
fn matters(event: &notify::Event) -> bool {
    let by_reader = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    };
    let unfinished = Some(OsStr::new(UNFINISHED));
    let is_unfinished = |path: &PathBuf| path.extension() == unfinished;
    let only_unfinished = !event.paths.is_empty() && event.paths.iter().all(is_unfinished);
    !by_reader && !only_unfinished
}

const LEAST_GAP: Duration = Duration::from_millis(5);
const AFTER_EVENT: Duration = Duration::from_millis(50);
const ROUTINE: Duration = Duration::from_secs(2);
const WITHOUT_EVENTS: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, RemoveKind, RenameMode};

    use super::*;

    fn event(kind: EventKind, paths: &[&str]) -> notify::Event {
        let event = notify::Event::new(kind);
        paths
            .iter()
            .fold(event, |event, path| event.add_path(path.into()))
    }

    #[test]
    fn what_readers_and_unfinished_writers_do_is_no_event() {
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let created = EventKind::Create(CreateKind::File);
        let moved = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(!matters(&event(opened, &["/d/a.json"])));
        assert!(!matters(&event(created, &["/d/a.1.tmp"])));
        assert!(matters(&event(closed, &["/d/a.json"])));
        assert!(matters(&event(moved, &["/d/a.1.tmp", "/d/a.json"])));
        assert!(matters(&event(EventKind::Other, &[])));
    }

    #[test]
    fn only_the_folder_itself_ends_the_events() {
        let removed = EventKind::Remove(RemoveKind::Folder);
        assert!(ends_folder(&event(removed, &["/d"]), Path::new("/d")));
        assert!(!ends_folder(
            &event(removed, &["/d/a.json"]),
            Path::new("/d")
        ));
    }
}
