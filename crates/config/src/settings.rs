//! Everything the sidecar was told, checked once and never changed.
//!
//! The checks run in the order of contract, configuration 1.3, with its texts. They come in two
//! steps because Configuration files may use ports that are known only after the first:
//! [`Draft::try_new`] checks flags and environment, [`Draft::finish`] adds the files. Opens
//! nothing, resolves no name and logs nothing; what should be logged is in
//! [`Settings::warnings`].

mod draft;
mod effective;
mod error;
mod parts;
mod port_numbers;
mod resolver;
mod stable_port;

use crate::configuration::Configuration;
use crate::env::Env;
use crate::sidecar_flags::RawFlags;

pub use draft::Draft;
pub use error::{Error, FlagFault, RuntimeFault};
pub use parts::*;
pub use resolver::*;
pub use stable_port::stable_port;

/// Facts about process and machine that settings depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The working folder, as text.
    pub cwd: String,
    /// The user's number.
    pub uid: u32,
    /// The machine's name.
    pub hostname: String,
}

/// The checked snapshot. Its parts are handed to those who need them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The app behind this sidecar.
    pub app: App,
    /// What the sidecar listens on.
    pub listen: Listen,
    /// The HTTP and gRPC API.
    pub api: Api,
    /// How large things may be.
    pub limits: Limits,
    /// How names and resources are found.
    pub discovery: Discovery,
    /// Trust.
    pub security: Security,
    /// Log lines.
    pub log: Log,
    /// Numbers for Prometheus.
    pub metrics: Metrics,
    /// Start and end.
    pub lifecycle: Lifecycle,
    /// How many threads carry calls; none to choose by the number of processors.
    pub lanes: Option<usize>,
    /// The merged Configuration files.
    pub configuration: Configuration,
    /// The features that are on.
    pub features: Vec<String>,
    /// What to log as warnings at start.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Both steps at once, for those who have the Configuration already.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn try_new(
        raw: RawFlags,
        env: &Env,
        configuration: Configuration,
        host: &Host,
    ) -> Result<Self, Error> {
        Draft::try_new(raw, env, host)?.finish(configuration)
    }

    /// The settings in force, one `name = value` a line, without secrets.
    #[must_use]
    pub fn effective(&self) -> String {
        effective::lines(self)
    }
}

#[cfg(test)]
mod tests;
