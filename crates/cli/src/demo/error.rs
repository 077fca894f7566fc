//! Why a demo can't go on.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "the system does not tell which file this program is, and the sidecars are started from \
         it; run it by its full path"
    )]
    NoExecutable,
    #[error("no runtime for it: {0}")]
    Runtime(io::Error),
    #[error("127.0.0.1 has no free port: {0}")]
    Ports(io::Error),
    #[error(
        "port {port} of 127.0.0.1 can't be used: {cause}; choose another --port or leave it out"
    )]
    Port { port: u16, cause: io::Error },
    #[error("cannot write the files of the demo in {path}: {cause}")]
    Folder { path: PathBuf, cause: io::Error },
    #[error("cannot start a sidecar from {path}: {cause}")]
    Spawn { path: PathBuf, cause: io::Error },
    #[error("the sidecar of {app_id} (pid {pid}) {what}{log}")]
    Sidecar {
        app_id: &'static str,
        pid: u32,
        what: String,
        /// Its last lines, each behind a line break, or nothing.
        log: String,
    },
    #[error("nobody reads its output: {0}")]
    Output(io::Error),
}
