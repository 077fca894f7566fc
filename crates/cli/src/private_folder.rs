//! Folders for the time of one command: private to the user, beside the same-host registry.
//!
//! A command holds a lock on its folder, which the kernel drops however the command ends; so the
//! next one can tell what a killed one left, and removes it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use outrider_lookup::Registry;

/// The folder; removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Keeps the lock.
    _locked: File,
}

/// Where it can't be, and why.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) path: PathBuf,
    pub(crate) cause: io::Error,
}

impl Folder {
    /// A new one for commands of this kind. `fill` puts into it what it is for, and must put
    /// something: that fails if another command took the folder for a left one before it was locked.
    pub(crate) fn try_new(
        kind: &str,
        fill: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<Self, Failure> {
        let registry = Registry::new();
        let base = registry.dir().parent();
        let base = base.expect("the registry has a folder in one of its user's");
        Self::within(base, kind, fill)
    }

    /// Below a folder that others may remove while it is empty, as the last sidecar does.
    pub(crate) fn within(
        base: &Path,
        kind: &str,
        fill: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<Self, Failure> {
        let mut attempt = 1;
        loop {
            let made = make(base, kind, attempt);
            match made.and_then(|folder| fill(&folder.path).map(|()| folder)) {
                Err(cause) if is_passing(&cause) && attempt < ATTEMPTS => attempt += 1,
                Err(cause) => {
                    let path = base.to_owned();
                    return Err(Failure { path, cause });
                }
                Ok(folder) => return Ok(folder),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        // Only if nothing else is in there.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// Every attempt has a name of its own: what is in the way may be another container's, and in use.
fn make(base: &Path, kind: &str, attempt: u32) -> io::Result<Folder> {
    prepare(base)?;
    clean(base, kind);
    let path = base.join(format!("{kind}-{}-{attempt}", std::process::id()));
    DirBuilder::new().mode(PRIVATE).create(&path)?;
    let locked = File::open(&path)?;
    locked.try_lock()?;
    Ok(Folder {
        path,
        _locked: locked,
    })
}

/// A folder that went or came meanwhile, or one that another command looks at.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
    )
}

/// Anybody can make a folder of that name in `/tmp`; only our own is used.
fn prepare(base: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE).create(base) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(base)?;
    let user = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != user {
        let told = format!("it is no folder of user {user}, who runs this; have it removed");
        return Err(io::Error::other(told));
    }
    fs::set_permissions(base, Permissions::from_mode(PRIVATE))
}

/// Removes what commands of the kind left that were killed.
fn clean(base: &Path, kind: &str) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(kind.as_bytes());
        let is_ours = rest.is_some_and(|rest| rest.starts_with(b"-"));
        if !is_ours || !entry.file_type().is_ok_and(|it| it.is_dir()) {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else {
            continue;
        };
        // Held until it is gone.
        if folder.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

const PRIVATE: u32 = 0o700;
const ATTEMPTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(base: &Path) -> Result<Folder, Failure> {
        Folder::within(base, "demo", |path| fs::write(path.join("x"), ""))
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_guard() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("outrider-7");
        let folder = filled(&base).unwrap();
        for path in [&base, &folder.path] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{}", path.display());
        }
        drop(folder);
        assert!(!base.exists());
    }

    #[test]
    fn what_a_killed_command_left_is_removed_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let left = base.path().join("demo-1-1");
        let others = ["net-1", "demos", "run-1-1"].map(|name| base.path().join(name));
        for folder in others.iter().chain([&left]) {
            fs::create_dir(folder).unwrap();
        }
        fs::write(left.join("statestore.yaml"), "").unwrap();
        let running = filled(base.path()).unwrap();
        let next = filled(base.path()).unwrap();
        assert_ne!(running.path, next.path);
        assert!(running.path.join("x").exists());
        drop((running, next));
        assert!(!left.exists());
        assert!(others.iter().all(|it| it.exists()));
    }

    #[test]
    fn what_is_no_folder_of_ours_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("outrider-7");
        std::os::unix::fs::symlink(temporary.path(), &base).unwrap();
        let error = filled(&base).unwrap_err().cause.to_string();
        assert!(error.contains("it is no folder of user "), "{error}");
    }
}
