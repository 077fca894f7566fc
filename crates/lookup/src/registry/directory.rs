//! The private folder: made with mode 0700, and used only if it is a real folder of ours.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// `<base>/outrider-<uid>/net-<namespace>`.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    per_user: PathBuf,
    path: PathBuf,
    user: u32,
}

/// Tells whether a folder is still the one seen before, and unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            size: meta.len(),
        }
    }
}

impl Folder {
    pub(super) fn new(base: &Path, user: u32, namespace: u64) -> Self {
        let per_user = base.join(format!("outrider-{user}"));
        Self {
            path: per_user.join(format!("net-{namespace}")),
            per_user,
            user,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn user(&self) -> u32 {
        self.user
    }

    /// Makes the folder if need be, checks it, and does what needs it. Begins again when a sidecar
    /// that left last removed the folder meanwhile.
    pub(super) fn with_folder<T>(
        &self,
        mut work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempts = 1;
        loop {
            match self.prepare().and_then(|()| work()) {
                Err(Error::Io { cause, .. })
                    if cause.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS =>
                {
                    attempts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) fn prepare(&self) -> Result<(), Error> {
        self.make(&self.per_user)?;
        self.make(&self.path)
    }

    /// Checks the folder without making it; `None` if it is not there.
    pub(super) fn check(&self) -> Result<Option<Stamp>, Error> {
        if self.check_one(&self.per_user)?.is_none() {
            return Ok(None);
        }
        let meta = self.check_one(&self.path)?;
        Ok(meta.as_ref().map(Stamp::of))
    }

    /// Removes what is empty, so that the last sidecar leaves nothing behind. Writers that come in
    /// between make the folder again.
    pub(super) fn remove_if_empty(&self) {
        if fs::remove_dir(&self.path).is_ok() {
            let _ = fs::remove_dir(&self.per_user);
        }
    }

    pub(super) fn error(&self, action: &'static str, path: &Path, cause: io::Error) -> Error {
        Error::Io {
            action,
            path: path.to_owned(),
            user: self.user,
            cause,
        }
    }

    fn make(&self, path: &Path) -> Result<(), Error> {
        match DirBuilder::new().mode(PRIVATE).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.error("create the folder", path, error));
            }
            _ => {}
        }
        // Also after making it: a check that always runs cannot be forgotten on one way.
        let meta = self.check_one(path)?;
        // None: another sidecar's leaving removed it just now; the writer tries again.
        if meta.is_some_and(|it| it.mode() & 0o777 != PRIVATE) {
            fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE))
                .map_err(|error| self.error("make private", path, error))?;
        }
        Ok(())
    }

    fn check_one(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error("examine", path, error)),
        };
        if !meta.is_dir() {
            return Err(Error::NotAFolder {
                path: path.to_owned(),
                found: kind(&meta),
                owner: meta.uid(),
            });
        }
        if meta.uid() != self.user {
            return Err(Error::ForeignFolder {
                path: path.to_owned(),
                owner: meta.uid(),
                user: self.user,
            });
        }
        Ok(Some(meta))
    }
}

fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_file() {
        "file"
    } else if kind.is_socket() {
        "socket"
    } else {
        "special file"
    }
}

const PRIVATE: u32 = 0o700;
const ATTEMPTS: u32 = 100;
