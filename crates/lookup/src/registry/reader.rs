//! Reads the entries of the folder, tells the living from the dead, and removes what the dead
//! left.
//!
//! Known files are kept open. Asking again whether one's writer lives is then a single call on its
//! lock, and causes no event in the watches of the other sidecars, which opening it would.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::directory::{Folder, Stamp};
use super::{Entry, Error};

#[derive(Debug)]
pub(super) struct Reader {
    folder: Folder,
    known: HashMap<OsString, Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    file: File,
    /// `None` for a file that cannot be read, of which the log was told.
    entry: Option<Entry>,
}

impl Reader {
    pub(super) fn new(folder: Folder) -> Self {
        Self {
            folder,
            known: HashMap::new(),
        }
    }

    /// Reads what is new or changed and drops what is gone. On an error, what was known stays.
    pub(super) fn read(&mut self) -> Result<(), Error> {
        if self.folder.check()?.is_none() {
            self.known.clear();
            return Ok(());
        }
        let names = self.names()?;
        self.known.retain(|name, _| names.contains(name));
        for name in names {
            self.read_one(name);
        }
        self.drop_dead();
        Ok(())
    }

    /// Drops the entries whose writers ended, and removes their files.
    pub(super) fn drop_dead(&mut self) {
        let unlocked = self.known.iter().filter(|(_, it)| !is_locked(&it.file));
        let names: Vec<OsString> = unlocked.map(|(name, _)| name.clone()).collect();
        for name in names {
            let path = self.folder.path().join(&name);
            let inode = self.known.remove(&name).map(|it| it.stamp.inode);
            match fs::symlink_metadata(&path) {
                Ok(meta) if Some(meta.ino()) == inode => {
                    let _ = fs::remove_file(&path);
                }
                // Its writer lives and put a newer file there.
                Ok(_) => self.read_one(name),
                Err(_) => {}
            }
        }
    }

    /// The entries, in a fixed order.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let readable = self.known.values().filter_map(|it| it.entry.clone());
        let mut entries: Vec<Entry> = readable.collect();
        entries.sort_by(|a, b| {
            let key = |it: &Entry| (it.app_id.clone(), it.address.clone(), it.pid);
            key(a).cmp(&key(b))
        });
        entries
    }

    fn names(&self) -> Result<Vec<OsString>, Error> {
        let failed = |error| self.folder.error("read", self.folder.path(), error);
        let mut names = Vec::new();
        let found = match fs::read_dir(self.folder.path()) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(failed(error)),
        };
        for item in found {
            let name = item.map_err(failed)?.file_name();
            match Path::new(&name).extension() {
                Some(kind) if kind == ENTRY => names.push(name),
                Some(kind) if kind == UNFINISHED => self.remove_abandoned(&name),
                _ => {}
            }
        }
        Ok(names)
    }

    fn read_one(&mut self, name: OsString) {
        let path = self.folder.path().join(&name);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            self.known.remove(&name);
            return;
        };
        let known = self.known.get(&name);
        if known.is_some_and(|it| it.stamp == Stamp::of(&meta)) {
            return;
        }
        match self.open(&path) {
            Ok(known) => {
                self.known.insert(name, known);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.known.remove(&name);
            }
            // Out of file handles, say. What was known of it is a better guess than nothing.
            Err(error) => tracing::debug!("could not read {}: {error}", path.display()),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Known> {
        // A fifo or a link put here must neither block us nor lead us away.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != self.folder.user() {
            return Err(io::Error::other("it is not a file of ours"));
        }
        let mut bytes = Vec::new();
        (&file).take(LARGEST).read_to_end(&mut bytes)?;
        let entry = match Entry::from_json(&bytes) {
            Ok(entry) => Some(entry),
            Err(error) => {
                // What a dead writer left is removed without a word.
                if is_locked(&file) {
                    tracing::warn!("skipping {} in the registry: {error}", path.display());
                }
                None
            }
        };
        Ok(Known {
            stamp: Stamp::of(&meta),
            file,
            entry,
        })
    }

    /// Unfinished files belong to writers at work, who need far less than a minute.
    fn remove_abandoned(&self, name: &OsStr) {
        let path = self.folder.path().join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            return;
        };
        let age = meta
            .modified()
            .map(|it| SystemTime::now().duration_since(it));
        if matches!(age, Ok(Ok(age)) if age > ABANDONED) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether the writer lives. If the lock cannot be asked for, it is taken to live: wrongly calling
/// a dead instance costs a refused connection, wrongly removing a live one makes it vanish.
fn is_locked(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
    }
}

pub(super) const ENTRY: &str = "json";
pub(super) const UNFINISHED: &str = "tmp";
const LARGEST: u64 = 64 * 1024;
const ABANDONED: Duration = Duration::from_secs(60);
