//! The one file of a demo: the state store of nodeapp's sidecar.
//!
//! Its folder lies beside the same-host registry, private to the user, and ends with the demo. A
//! demo holds a lock on its folder, which the kernel drops however the demo ends; so the next demo
//! can tell what a killed one left, and removes it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use outrider_lookup::Registry;

use super::{error::Error, state::STORE};

/// The folder; removed when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Keeps the lock.
    _locked: File,
}

impl Folder {
    pub(super) fn try_new() -> Result<Self, Error> {
        let registry = Registry::new();
        let base = registry.dir().parent();
        Self::within(base.expect("the registry has a folder in one of its user's"))
    }

    /// Below a folder that others may remove while it is empty, as the last sidecar does.
    fn within(base: &Path) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            match make(base, attempt) {
                Err(cause) if is_passing(&cause) && attempt < ATTEMPTS => attempt += 1,
                Err(cause) => {
                    let path = base.to_owned();
                    return Err(Error::Folder { path, cause });
                }
                Ok(folder) => return Ok(folder),
            }
        }
    }

    /// For the sidecar of nodeapp.
    pub(super) fn resources(&self) -> PathBuf {
        self.path.join("resources")
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
fn make(base: &Path, attempt: u32) -> io::Result<Folder> {
    prepare(base)?;
    clean(base);
    let path = base.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
    DirBuilder::new().mode(PRIVATE).create(&path)?;
    let locked = File::open(&path)?;
    locked.try_lock()?;
    let folder = Folder {
        path,
        _locked: locked,
    };
    let resources = folder.resources();
    // Fails if another demo took the folder for a left one before it was locked.
    fs::create_dir(&resources)?;
    fs::write(resources.join(format!("{STORE}.yaml")), store())?;
    Ok(folder)
}

/// A folder that went or came meanwhile, or one that another demo looks at.
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

/// Removes what demos left that were killed.
fn clean(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
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

fn store() -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\n\
         kind: Component\n\
         metadata:\n\
         \x20 name: {STORE}\n\
         spec:\n\
         \x20 type: state.in-memory\n\
         \x20 version: v1\n\
         \x20 metadata: []\n"
    )
}

const PREFIX: &str = "demo-";
const PRIVATE: u32 = 0o700;
const ATTEMPTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_with_its_guard() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("outrider-7");
        let folder = Folder::within(&base).unwrap();
        for path in [&base, &folder.path] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{}", path.display());
        }
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let store = read(folder.resources().join("statestore.yaml"));
        assert!(store.contains("\n  type: state.in-memory\n"), "{store}");
        drop(folder);
        assert!(!base.exists());
    }

    #[test]
    fn what_a_killed_demo_left_is_removed_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let left = base.path().join("demo-1-1");
        let other = base.path().join("net-1");
        for folder in [&left, &other] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(left.join("statestore.yaml"), "").unwrap();
        let running = Folder::within(base.path()).unwrap();
        let next = Folder::within(base.path()).unwrap();
        assert_ne!(running.path, next.path);
        assert!(running.resources().join("statestore.yaml").exists());
        drop((running, next));
        assert!(!left.exists());
        assert!(other.exists());
    }

    #[test]
    fn what_is_no_folder_of_ours_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("outrider-7");
        std::os::unix::fs::symlink(temporary.path(), &base).unwrap();
        let error = Folder::within(&base).unwrap_err().to_string();
        assert!(error.contains("it is no folder of user "), "{error}");
    }
}
