//! Why nothing could be started. Each says what to do, if there is something.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "the system does not tell which file this program is, and sidecars are started from it; \
         run it by its full path"
    )]
    NoExecutable,
    #[error("no runtime for it: {0}")]
    Runtime(io::Error),
    #[error("no port is free: {0}")]
    NoFreePort(io::Error),
    #[error("port {port} is given twice: as {owner} and as {other}")]
    PortTwice {
        port: u16,
        owner: String,
        other: String,
    },
    #[error("{owner}: port {port} can't be used: {cause}; choose another one or leave it out")]
    Port {
        port: u16,
        owner: String,
        cause: io::Error,
    },
    #[error("{what} {path}: {cause}")]
    File {
        what: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    /// A value that can't be used; a sentence.
    #[error("{0}")]
    Value(String),
    /// The sidecar's own words.
    #[error("the sidecar of {name} can't start: {why}")]
    Refused { name: String, why: String },
}
