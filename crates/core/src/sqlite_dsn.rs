//! Connection strings of SQLite databases as Dapr components write them.
//!
//! A path or `file:` URI with options behind `?`. SQLite itself reads `mode`, `cache`, `immutable`
//! and the like; the options that begin with `_` belong to the driver that Dapr uses, so they are
//! taken out here and told apart (contract, naming 8 and state 7). Nothing is opened here.

use std::time::Duration;

/// A connection string, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteDsn {
    /// What SQLite opens with URI names switched on; holds no option of the driver.
    pub uri: String,
    /// The database lives in memory and ends with the process.
    pub in_memory: bool,
    /// The database cannot be written to.
    pub read_only: bool,
    /// What to run on a new connection, in this order, as the argument of `PRAGMA`:
    /// `busy_timeout = 800`, `journal_mode = WAL`, then those of the string.
    pub pragmas: Vec<String>,
    /// How transactions begin.
    pub locking: Locking,
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Without a lock.
    Deferred,
    /// With the right to write.
    Immediate,
    /// With nobody else reading.
    Exclusive,
}

impl Locking {
    /// The statement that begins a transaction.
    #[must_use]
    pub const fn begin(self) -> &'static str {
        match self {
            Self::Deferred => "BEGIN DEFERRED",
            Self::Immediate => "BEGIN IMMEDIATE",
            Self::Exclusive => "BEGIN EXCLUSIVE",
        }
    }
}

/// Why a connection string cannot be used. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSqliteDsn {
    /// There is none.
    #[error("missing connection string")]
    Missing,
    /// An option that has a setting of its own.
    #[error("found forbidden option '_pragma={0}' in the connection string")]
    ForbiddenPragma(&'static str),
    /// A way of locking that does not exist.
    #[error("unknown _txlock {}", crate::quote::quote(.0))]
    Locking(String),
    /// A pragma that is no name with an optional value.
    #[error("'_pragma={0}' in the connection string is no pragma; write it as name(value)")]
    Pragma(String),
}

/// The pragmas that have settings of their own, or must not be changed.
const FORBIDDEN: [&str; 3] = ["busy_timeout", "journal_mode", "foreign_keys"];

impl SqliteDsn {
    /// Takes a connection string apart. A `busy_timeout` of nothing means not to wait.
    ///
    /// # Errors
    /// See [`InvalidSqliteDsn`].
    pub fn parse(
        text: &str,
        busy_timeout: Duration,
        disable_wal: bool,
    ) -> Result<Self, InvalidSqliteDsn> {
        if text.is_empty() {
            return Err(InvalidSqliteDsn::Missing);
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut own = Vec::new();
        let mut pragmas = Vec::new();
        let mut locking = Locking::Immediate;
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match unescape(key).as_str() {
                "_pragma" => pragmas.push(pragma(&unescape(value))?),
                "_txlock" => locking = read_locking(&unescape(value))?,
                name if name.starts_with('_') => {}
                _ => own.push(option),
            }
        }
        let has = |wanted: &str| {
            own.iter()
                .any(|option| unescape(option).eq_ignore_ascii_case(wanted))
        };
        let lower = path.to_ascii_lowercase();
        let in_memory =
            matches!(lower.as_str(), ":memory:" | "file::memory:") || has("mode=memory");
        let read_only = has("mode=ro") || has("immutable=1");
        if in_memory && !own.iter().any(|option| option.starts_with("cache=")) {
            own.push("cache=shared");
        }
        let journal = match (in_memory, read_only || disable_wal) {
            (true, _) => "MEMORY",
            (false, true) => "DELETE",
            (false, false) => "WAL",
        };
        let mut all = vec![
            format!("busy_timeout = {}", busy_timeout.as_millis()),
            format!("journal_mode = {journal}"),
        ];
        all.extend(pragmas);
        let prefix = if lower.starts_with("file:") {
            ""
        } else {
            "file:"
        };
        let mark = if own.is_empty() { "" } else { "?" };
        Ok(Self {
            uri: format!("{prefix}{path}{mark}{}", own.join("&")),
            in_memory,
            read_only,
            pragmas: all,
            locking,
        })
    }
}

/// `name(value)` or `name=value` or `name` in the form that a statement takes.
fn pragma(text: &str) -> Result<String, InvalidSqliteDsn> {
    let wrong = || InvalidSqliteDsn::Pragma(text.to_owned());
    let (name, value) = match text.split_once(['(', '=']) {
        Some((name, value)) => (name.trim(), value.trim().trim_end_matches(')')),
        None => (text.trim(), ""),
    };
    let lower = name.to_ascii_lowercase();
    if let Some(forbidden) = FORBIDDEN.iter().find(|forbidden| **forbidden == lower) {
        return Err(InvalidSqliteDsn::ForbiddenPragma(forbidden));
    }
    // Whatever is neither a name nor a number could begin another statement.
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+'))
    };
    if name.is_empty() || !plain(name) || !plain(value) {
        return Err(wrong());
    }
    Ok(match value {
        "" => name.to_owned(),
        value => format!("{name} = {value}"),
    })
}

fn read_locking(text: &str) -> Result<Locking, InvalidSqliteDsn> {
    match text.to_ascii_lowercase().as_str() {
        "deferred" => Ok(Locking::Deferred),
        "immediate" => Ok(Locking::Immediate),
        "exclusive" => Ok(Locking::Exclusive),
        _ => Err(InvalidSqliteDsn::Locking(text.to_owned())),
    }
}

/// A part of a query, with `%XX` and `+` undone; what is no escape stays as it is.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SqliteDsn, InvalidSqliteDsn> {
        SqliteDsn::parse(text, Duration::from_millis(800), false)
    }

    #[test]
    fn options_of_the_driver_are_taken_out() {
        for (text, uri, last) in [
            ("/d/a.db", "file:/d/a.db", "journal_mode = WAL"),
            ("file:a.db", "file:a.db", "journal_mode = WAL"),
            (
                "a.db?cache=shared&_txlock=deferred&_time_format=x",
                "file:a.db?cache=shared",
                "journal_mode = WAL",
            ),
            (
                "a.db?_pragma=cache_size(-4000)",
                "file:a.db",
                "cache_size = -4000",
            ),
            (
                "a.db?_pragma=synchronous%3Doff&mode=rw",
                "file:a.db?mode=rw",
                "synchronous = off",
            ),
            ("a.db?mode=ro", "file:a.db?mode=ro", "journal_mode = DELETE"),
            (
                "a.db?immutable=1",
                "file:a.db?immutable=1",
                "journal_mode = DELETE",
            ),
            (
                ":memory:",
                "file::memory:?cache=shared",
                "journal_mode = MEMORY",
            ),
            (
                "file:x?mode=memory",
                "file:x?mode=memory&cache=shared",
                "journal_mode = MEMORY",
            ),
        ] {
            let dsn = parse(text).expect(text);
            assert_eq!(dsn.uri, uri, "{text}");
            assert_eq!(dsn.pragmas[0], "busy_timeout = 800", "{text}");
            assert_eq!(dsn.pragmas.last().map(String::as_str), Some(last), "{text}");
        }
        assert_eq!(parse("a.db").expect("dsn").locking, Locking::Immediate);
        let deferred = parse("a.db?_txlock=Deferred").expect("dsn");
        assert_eq!(deferred.locking.begin(), "BEGIN DEFERRED");
        let without = SqliteDsn::parse("a.db", Duration::ZERO, true).expect("dsn");
        assert_eq!(
            without.pragmas,
            ["busy_timeout = 0", "journal_mode = DELETE"]
        );
        assert!(parse(":memory:").expect("dsn").in_memory);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, error) in [
            ("", "missing connection string"),
            (
                "a.db?_pragma=busy_timeout(1)",
                "found forbidden option '_pragma=busy_timeout' in the connection string",
            ),
            (
                "a.db?_pragma=foreign_keys%281%29",
                "found forbidden option '_pragma=foreign_keys' in the connection string",
            ),
            ("a.db?_txlock=foo", "unknown _txlock \"foo\""),
            (
                "a.db?_pragma=x(1);drop",
                "'_pragma=x(1);drop' in the connection string is no pragma; write it as name(value)",
            ),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), error);
        }
    }
}
