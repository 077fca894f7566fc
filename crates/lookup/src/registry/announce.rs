//! Announcing a sidecar: a file that exists under its name only whole and locked.
//!
//! It is written and locked under another name and then moved into place; the lock is held until
//! the file is gone again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::directory::Folder;
use super::reader::{ENTRY, UNFINISHED};
use super::{Entry, Error};

/// A sidecar others can find. Dropping it removes the entry.
#[derive(Debug)]
pub struct Announcement {
    folder: Folder,
    path: PathBuf,
    entry: Entry,
    /// Holds the lock that proves we live.
    file: File,
}

impl Announcement {
    pub(super) fn new(folder: Folder, mut entry: Entry) -> Result<Self, Error> {
        name_host(&mut entry);
        let name = format!("{}-{:016x}.{ENTRY}", entry.pid, random());
        let path = folder.path().join(name);
        let file = place(&folder, &path, &entry)?;
        Ok(Self {
            folder,
            path,
            entry,
            file,
        })
    }

    /// What others read.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Replaces the entry in one step: readers see the old one or the new one.
    pub fn update(&mut self, mut entry: Entry) -> Result<(), Error> {
        name_host(&mut entry);
        // The old lock goes when its file is no longer under the name.
        self.file = place(&self.folder, &self.path, &entry)?;
        self.entry = entry;
        Ok(())
    }

    /// Writes the entry again if something cleaned the folder; to be called now and then.
    pub fn ensure(&mut self) -> Result<(), Error> {
        if !self.is_in_place() {
            self.file = place(&self.folder, &self.path, &self.entry)?;
        }
        Ok(())
    }

    /// Removes the entry now; the same as dropping it.
    pub fn withdraw(self) {}

    fn is_in_place(&self) -> bool {
        let ours = self.file.metadata().map(|it| it.ino());
        let there = fs::symlink_metadata(&self.path).map(|it| it.ino());
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // First the name, then the lock: no reader finds our entry unlocked.
        if self.is_in_place()
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::debug!("could not remove {path}: {error}; other sidecars will remove it");
        }
        self.folder.remove_if_empty();
    }
}

fn name_host(entry: &mut Entry) {
    if entry.host.is_empty() {
        let names = rustix::system::uname();
        entry.host = names.nodename().to_string_lossy().into_owned();
    }
}

fn place(folder: &Folder, path: &Path, entry: &Entry) -> Result<File, Error> {
    folder.with_folder(|| try_place(folder, path, entry))
}

fn try_place(folder: &Folder, path: &Path, entry: &Entry) -> Result<File, Error> {
    let unfinished = path.with_extension(format!("{:016x}.{UNFINISHED}", random()));
    let placed = write_locked(&unfinished, entry).and_then(|file| {
        fs::rename(&unfinished, path).map_err(|error| ("move into place", error))?;
        Ok(file)
    });
    placed.map_err(|(action, error)| {
        let _ = fs::remove_file(&unfinished);
        folder.error(action, path, error)
    })
}

fn write_locked(path: &Path, entry: &Entry) -> Result<File, (&'static str, io::Error)> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| ("create", error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::Error(error) => ("lock", error),
        TryLockError::WouldBlock => ("lock", io::Error::from(io::ErrorKind::WouldBlock)),
    })?;
    file.write_all(entry.to_json().as_bytes())
        .map_err(|error| ("write", error))?;
    Ok(file)
}

/// Makes names differ, also between containers that give equal pids. Nothing rests on secrecy.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
