//! Sources for those who turn from mDNS to another name resolver (contract, naming 8 and 9): a
//! pattern, a database, a list, name servers.
//!
//! Each runs on the control thread, hears from the table what calls wait for, and lists or refuses
//! it. It is the only source then. What may block has a thread of its own. None of them connects to
//! an instance or decides which one is called.

pub mod dns;
pub mod fixed;
mod kept;
pub mod nameformat;
pub mod sqlite;

use std::time::Duration;

use crate::table::{Cause, NotFound};

/// Why a resolver cannot start now. It may later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// Ids that a source has found and keeps up to date, at most; clients may make them up.
const MOST_KEPT: usize = 1_024;

/// How long it is remembered that an id is not known.
const REMEMBER_UNKNOWN: Duration = Duration::from_millis(200);

fn unknown(text: impl Into<Box<str>>) -> NotFound {
    NotFound {
        text: text.into(),
        cause: Cause::Unknown,
    }
}

/// The source itself fails.
fn failed(text: impl Into<Box<str>>) -> NotFound {
    NotFound {
        text: text.into(),
        cause: Cause::Source,
    }
}
