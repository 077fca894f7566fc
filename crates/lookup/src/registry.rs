//! The same-host registry: sidecars of one user on one host find each other through small files.
//!
//! It needs neither HOME nor TMPDIR nor multicast. The folder is
//! `/tmp/outrider-<uid>/net-<network namespace>`: private to the user, and apart for each network
//! namespace, because the loopback address of another one leads elsewhere. A file counts while
//! its writer holds an exclusive lock on it; the kernel drops the lock however the writer ends,
//! and a pid that was given to another process cannot lie. Readers remove what dead ones left.
//!
//! It never follows links, never trusts a folder or file of another user, and never waits for a
//! lock.

mod announce;
mod directory;
mod entry;
mod reader;
mod watch;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::table::SourceHandle;
use directory::Folder;
use reader::Reader;

pub use announce::Announcement;
pub use entry::Entry;
pub use watch::Watch;

/// Where the sidecars of this user and network namespace announce themselves.
#[derive(Clone, Debug)]
pub struct Registry {
    folder: Folder,
}

/// Why the registry cannot be used. Each says what to do; without the registry, instances on this
/// host are found by the other sources only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Someone else made a folder of our name first.
    #[error(
        "the registry folder {path} belongs to user {owner}, not to user {user} who runs this; \
         have its owner or root remove it, or turn the same-host registry off"
    )]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
        /// The user id it belongs to.
        owner: u32,
        /// The user id we run as.
        user: u32,
    },
    /// Something that is no folder has our name.
    #[error(
        "{path} is a {found} owned by user {owner}, where the same-host registry needs a folder; \
         remove it, or turn the same-host registry off"
    )]
    NotAFolder {
        /// What is in the way.
        path: PathBuf,
        /// Its kind.
        found: &'static str,
        /// The user id it belongs to.
        owner: u32,
    },
    /// The folder cannot be made, read or written to.
    #[error(
        "cannot {action} {path} for the same-host registry: {cause}; {}, or turn the same-host \
         registry off",
        cure(path, *user, cause)
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The user id we run as.
        user: u32,
        /// What the system said.
        cause: io::Error,
    },
}

fn cure(path: &Path, user: u32, cause: &io::Error) -> String {
    let parent = path.parent().unwrap_or(path).display();
    match cause.kind() {
        io::ErrorKind::NotFound => format!("create the folder {parent}"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some space in {parent}")
        }
        io::ErrorKind::Unsupported => format!("put {parent} on a file system that has locks"),
        _ => format!("make {parent} readable and writable for user {user}"),
    }
}

impl Registry {
    /// The registry of this user and network namespace. Touches nothing yet.
    pub fn new() -> Self {
        Self::at(Path::new("/tmp"))
    }

    /// The same below another folder than `/tmp`.
    pub fn at(base: &Path) -> Self {
        Self::for_user(base, rustix::process::geteuid().as_raw())
    }

    fn for_user(base: &Path, user: u32) -> Self {
        Self {
            folder: Folder::new(base, user, network_namespace()),
        }
    }

    /// The folder with the entries. It need not exist.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a sidecar known until the announcement is dropped. Makes the folder if need be.
    pub fn announce(&self, entry: Entry) -> Result<Announcement, Error> {
        Announcement::new(self.folder.clone(), entry)
    }

    /// The live sidecars, by app id, then address. Makes nothing; no folder means no sidecars.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut reader = Reader::new(self.folder.clone());
        reader.read()?;
        Ok(reader.entries())
    }

    /// Feeds a source of the table: at once with what is there, later with every change, for as
    /// long as [`Watch::run`] runs. Makes the folder if need be.
    pub fn watch(&self, source: SourceHandle) -> Result<Watch, Error> {
        Watch::new(self.folder.clone(), source)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

/// The inode that names our network namespace, 0 where there is no telling.
fn network_namespace() -> u64 {
    fs::metadata("/proc/self/ns/net").map_or(0, |it| it.ino())
}

#[cfg(test)]
mod tests;
