//! The five levels of the reference and how they relate to those of `tracing`, which has no
//! `fatal`: a fatal line is an ERROR event with the field `fatal = true`.

use std::fmt;
use std::str::FromStr;

use tracing::Metadata;

/// Name of the field that turns an ERROR event into a fatal line; it is not printed itself.
pub(super) const FATAL_FIELD: &str = "fatal";

/// A level setting, and the level of a line; the order is that of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For someone looking for a fault.
    Debug,
    /// What happens in normal life.
    #[default]
    Info,
    /// Unexpected, but work goes on.
    Warn,
    /// Something failed.
    Error,
    /// The process ends because of it.
    Fatal,
}

impl Level {
    /// The word in a line: `warning`, where the flag says `warn`.
    pub(super) fn printed(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The most severe level an event of this place in the code can have; `None` for `trace`,
    /// which the reference does not know.
    pub(super) fn of(metadata: &Metadata<'_>) -> Option<Self> {
        match *metadata.level() {
            tracing::Level::DEBUG => Some(Self::Debug),
            tracing::Level::INFO => Some(Self::Info),
            tracing::Level::WARN => Some(Self::Warn),
            tracing::Level::ERROR if metadata.fields().field(FATAL_FIELD).is_some() => {
                Some(Self::Fatal)
            }
            tracing::Level::ERROR => Some(Self::Error),
            _ => None,
        }
    }
}

/// As `--log-level` is written; what was read back is what a start-up line prints.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warn => "warn",
            other => other.printed(),
        })
    }
}

/// A word that is none of the five levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log level; use one of debug, info, warn, error, fatal")]
pub struct UnknownLevel;

/// Letters of either case, as the flag allows.
impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        [
            Self::Debug,
            Self::Info,
            Self::Warn,
            Self::Error,
            Self::Fatal,
        ]
        .into_iter()
        .find(|level| level.to_string().eq_ignore_ascii_case(text))
        .ok_or(UnknownLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn level_words_are_read_in_any_case() {
        assert_eq!("DeBug".parse(), Ok(Level::Debug));
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert_eq!("FATAL".parse(), Ok(Level::Fatal));
    }

    #[test]
    fn other_words_are_no_levels() {
        for text in ["", "warning", "trace", "info "] {
            assert!(text.parse::<Level>().is_err(), "{text:?}");
        }
    }
}
