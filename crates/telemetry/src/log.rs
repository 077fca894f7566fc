//! Log lines in the reference's layout (observability contract 9), written by a `tracing`
//! subscriber of our own.
//!
//! Events of our scopes ([`scope`]) become lines; spans and events of other crates do not, and
//! cost nothing. A fatal line is an ERROR event with the field `fatal = true`; ending the process
//! is left to whoever wrote it. Local time zones are not looked up: stamps are in UTC unless the
//! options say how far from it the clock of the place is.

use std::io;
use std::path::PathBuf;

mod layout;
mod level;
mod record;
pub mod scope;
mod sink;
mod stamp;
mod subscriber;

pub use level::{Level, UnknownLevel};
pub use sink::{Memory, Sink};
pub use subscriber::Logger;

/// How lines are written and which.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lines below this level are left out, except at info in scopes ending in `-info`.
    pub level: Level,
    /// Text or JSON.
    pub format: Format,
    /// Field `app_id`; left out when empty.
    pub app_id: String,
    /// Field `instance`: the host name.
    pub instance: String,
    /// Field `ver`: the build version.
    pub version: String,
    /// Seconds east of UTC in which stamps are printed.
    pub utc_offset: i32,
    /// Where lines go.
    pub sink: Sink,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::default(),
            format: Format::default(),
            app_id: String::new(),
            instance: String::new(),
            version: "unknown".to_owned(),
            utc_offset: 0,
            sink: Sink::default(),
        }
    }
}

/// The layout asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs, coloured on a terminal.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log file cannot be opened.
    #[error("cannot append to log file {}; give a writable path in --log-file", path.display())]
    File {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in this process receives events already.
    #[error("logging is already set up in this process; install it once")]
    AlreadyInstalled,
}

/// Makes a [`Logger`] the receiver of all events of this process, for good.
///
/// # Errors
///
/// [`Error::File`] if the log file cannot be opened, [`Error::AlreadyInstalled`] on a second call.
pub fn install(options: Options) -> Result<(), Error> {
    let logger = Logger::try_new(options)?;
    tracing::subscriber::set_global_default(logger).map_err(|_| Error::AlreadyInstalled)
}

#[cfg(test)]
mod tests;
