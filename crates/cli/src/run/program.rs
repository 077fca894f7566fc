//! What sidecars are started from: this very program, under the name `daprd`.
//!
//! Dapr's own tool knows sidecars by the kernel's name of a process (contract `cli.md` 0), which is
//! that of the file it was started from, a link included. The link lies in a private folder that
//! ends with the run. Without it the sidecars run all the same, only that tool does not see them.

use std::{os::unix::fs::symlink, path::PathBuf};

use tokio::process::Command;

use crate::private_folder::Folder;

/// The file, and how the sidecar is asked for.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// Our own name does not say which command it is.
    word: Option<&'static str>,
    /// Keeps the link.
    _folder: Option<Folder>,
}

impl Program {
    pub(super) fn of(executable: PathBuf) -> Self {
        let folder = Folder::try_new("run", |folder| symlink(&executable, folder.join(NAME)));
        match folder {
            Ok(folder) => Self {
                path: folder.path().join(NAME),
                word: None,
                _folder: Some(folder),
            },
            Err(_) => Self {
                path: executable,
                word: Some("sidecar"),
                _folder: None,
            },
        }
    }

    /// To be given a sidecar's flags.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.word);
        command
    }

    /// For messages.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

const NAME: &str = "daprd";
