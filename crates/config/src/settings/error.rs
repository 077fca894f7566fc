//! Why settings are refused, and in which phase: each phase has its own line in the log.

use crate::configuration;
use outrider_core::ids::InvalidAppId;
use outrider_core::quantity::InvalidQuantity;

/// A refusal. Displays as the whole message of its fatal log line; exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag's value is wrong in itself.
    #[error("Failed to parse flags: {0}")]
    Flags(#[from] FlagFault),
    /// There is no such log level.
    #[error("invalid value for --log-level: {0}")]
    LogLevel(String),
    /// The values do not go together, or a file cannot be used.
    #[error("Fatal error from runtime: {0}")]
    Runtime(#[from] RuntimeFault),
}

/// What is wrong with a flag's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagFault {
    /// A size that is none.
    #[error("invalid value for '{flag}' option: {source}")]
    Size {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        source: InvalidQuantity,
    },
    /// A duration that is not positive.
    #[error("invalid value for 'actors-disseminate-timeout' option: must be positive, got {0}")]
    DisseminateTimeout(String),
    /// Ours: not a number of threads.
    #[error("invalid value for '{name}': {value} is no number of threads; allowed are 0 to {most}")]
    Lanes {
        /// The flag or variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The largest one.
        most: usize,
    },
    /// Ours: not a truth value.
    #[error("invalid value for '{name}': {value} is neither true nor false")]
    Boolean {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// What keeps the sidecar from starting.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeFault {
    /// No trust domain.
    #[error("control plane trust domain is required")]
    NoTrustDomain,
    /// Mutual TLS without anything to trust.
    #[error("trust anchors are required")]
    NoTrustAnchors,
    /// A mode that does not exist.
    #[error("invalid mode: {0}")]
    Mode(String),
    /// No usable name.
    #[error(transparent)]
    AppId(#[from] InvalidAppId),
    /// A port that is no number.
    #[error("{what}: {why}")]
    PortNumber {
        /// The beginning of the text, which is not the same for all flags.
        what: &'static str,
        /// Why it is none.
        why: String,
    },
    /// A number that no port has.
    #[error("invalid value for '{flag}': {value} is no port; allowed are 0 to 65535")]
    PortRange {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: i64,
    },
    /// An API on the app's port.
    #[error("the '{flag}' argument value {port} conflicts with 'app-port'")]
    PortConflict {
        /// The flag.
        flag: &'static str,
        /// Its value.
        port: i64,
    },
    /// A protocol that does not exist.
    #[error("invalid value for 'app-protocol': {0}")]
    Protocol(String),
    /// A question to the app that does not exist.
    #[error("invalid value for 'disable-init-endpoints': {0}")]
    InitEndpoint(String),
    /// A probe that outlives its interval.
    #[error("value for 'health-probe-timeout' must be smaller than 'health-probe-interval'")]
    ProbeTimeout,
    /// A Configuration that cannot be used.
    #[error("error loading configuration: {0}")]
    Configuration(#[from] configuration::Error),
}
