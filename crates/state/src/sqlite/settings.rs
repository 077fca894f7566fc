//! The component's metadata, checked (contract `state.md` 7). Opens nothing.

use std::time::Duration;

use outrider_core::duration::GoDuration;
use outrider_core::sqlite_dsn::{Locking, SqliteDsn};
use outrider_core::words::is_truthy;
use rusqlite::TransactionBehavior;

use crate::Properties;

/// How the file is opened and used.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) dsn: SqliteDsn,
    /// How long a statement waits for the locks of others.
    pub(super) busy_timeout: Duration,
    /// How long a call may take.
    pub(super) timeout: Duration,
    pub(super) table: String,
    pub(super) metadata_table: String,
    pub(super) cleanup_interval: Option<Duration>,
}

/// Ends are told in seconds; to look more often would be all that the thread does.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl Settings {
    pub(super) fn try_new(properties: &Properties) -> Result<Self, String> {
        let connection = properties.get(&["connectionString", "url"]).unwrap_or("");
        if connection.is_empty() {
            return Err("missing connection string".to_owned());
        }
        let timeout = duration(properties, &["timeout", "timeoutInSeconds"])?;
        let timeout = timeout.unwrap_or(GoDuration::from_secs(20));
        if timeout < GoDuration::from_secs(1) {
            return Err("invalid value for 'timeout': must be greater than 1s".to_owned());
        }
        let busy = duration(properties, &["busyTimeout"])?.unwrap_or(GoDuration::from_secs(2));
        let busy_timeout = whole_millis(busy.to_std_or_zero());
        let cleanup = duration(properties, &["cleanupInterval", "cleanupIntervalInSeconds"])?;
        let disable_wal = properties.get(&["disableWAL"]).is_some_and(is_truthy);
        Ok(Self {
            table: identifier(properties, "tableName", "state")?,
            metadata_table: identifier(properties, "metadataTableName", "metadata")?,
            dsn: SqliteDsn::parse(connection, busy_timeout, disable_wal)
                .map_err(|error| error.to_string())?,
            busy_timeout,
            timeout: timeout.to_std_or_zero(),
            cleanup_interval: cleanup
                .and_then(GoDuration::to_std)
                .filter(|d| !d.is_zero())
                .map(|interval| interval.max(SHORTEST_INTERVAL)),
        })
    }

    /// How transactions begin.
    pub(super) fn transaction(&self) -> TransactionBehavior {
        match self.dsn.locking {
            Locking::Deferred => TransactionBehavior::Deferred,
            Locking::Immediate => TransactionBehavior::Immediate,
            Locking::Exclusive => TransactionBehavior::Exclusive,
        }
    }

    /// What to run on a new connection, behind the word `PRAGMA`. Whoever only reads can't change
    /// the journal, and would wait in vain for others to leave the file.
    pub(super) fn pragmas(&self) -> impl Iterator<Item = &str> {
        let pragmas = self.dsn.pragmas.iter().map(String::as_str);
        pragmas.filter(|pragma| !(self.dsn.read_only && pragma.starts_with("journal_mode")))
    }

    /// True if nothing in the connection string makes two connections one, or blind to each other.
    pub(super) fn allow_two(&self) -> bool {
        let (_, options) = self.dsn.uri.split_once('?').unwrap_or_default();
        let is_harmless = |option: &str| {
            let name = option.split('=').next().unwrap_or_default();
            matches!(name, "" | "mode" | "immutable")
        };
        !self.dsn.in_memory && options.split('&').all(is_harmless)
    }

    /// The part of the connection string that names the file, for messages.
    pub(super) fn file(&self) -> &str {
        let uri = &self.dsn.uri;
        let path = uri.split_once('?').map_or(uri.as_str(), |(path, _)| path);
        path.split_once(':').map_or(path, |(_, path)| path)
    }
}

/// At most what SQLite can count.
fn whole_millis(span: Duration) -> Duration {
    let millis = span.as_millis().min(i32::MAX.unsigned_abs().into());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn identifier(properties: &Properties, name: &str, default: &str) -> Result<String, String> {
    let text = properties.get(&[name]).unwrap_or(default);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(format!("invalid identifier: {text}"));
    }
    Ok(text.to_owned())
}

/// A span as Go writes it, or whole seconds; empty is none at all.
fn duration(properties: &Properties, names: &[&str]) -> Result<Option<GoDuration>, String> {
    let Some(text) = properties.get(names) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(GoDuration::ZERO));
    }
    if let Ok(span) = text.parse() {
        return Ok(Some(span));
    }
    let seconds = text.parse().map(GoDuration::from_secs).map_err(|_| {
        let name = names[0];
        format!("invalid value for '{name}': '{text}' is neither a duration like 30s nor a number of seconds")
    });
    seconds.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::try_new(&Properties::try_new(pairs).unwrap())
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = settings(&[("url", "x.db")]).unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(20));
        assert_eq!(settings.busy_timeout, Duration::from_secs(2));
        assert_eq!(settings.table, "state");
        assert_eq!(settings.metadata_table, "metadata");
        assert_eq!(settings.cleanup_interval, None);
    }

    #[test]
    fn durations_are_spans_or_seconds() {
        let settings = settings(&[
            ("connectionString", "x.db"),
            ("timeoutInSeconds", "1"),
            ("busyTimeout", "1500us"),
            ("cleanupInterval", "1m"),
        ])
        .unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(1));
        assert_eq!(settings.busy_timeout, Duration::from_millis(1));
        assert_eq!(settings.cleanup_interval, Some(Duration::from_secs(60)));
        let pairs = [("url", "x"), ("cleanupInterval", "1ns")];
        let settings = super::tests::settings(&pairs).unwrap();
        assert_eq!(settings.cleanup_interval, Some(Duration::from_secs(1)));
        for off in ["0", "-1s", ""] {
            let pairs = [("url", "x"), ("cleanupInterval", off), ("busyTimeout", off)];
            let settings = super::tests::settings(&pairs).unwrap();
            assert_eq!(settings.cleanup_interval, None);
            assert_eq!(settings.busy_timeout, Duration::ZERO);
        }
    }

    #[test]
    fn the_journal_stays_with_a_reader() {
        let pragmas = |url: &str| -> Vec<String> {
            let settings = settings(&[("url", url), ("busyTimeout", "1s")]).unwrap();
            settings.pragmas().map(str::to_owned).collect()
        };
        let busy = "busy_timeout = 1000";
        assert_eq!(pragmas("a.db"), [busy, "journal_mode = WAL"]);
        assert_eq!(pragmas("a.db?mode=ro"), [busy]);
        assert_eq!(
            settings(&[("url", "file:a:b.db?x=1")]).unwrap().file(),
            "a:b.db"
        );
    }

    #[test]
    fn shared_caches_and_files_without_locks_have_one_connection() {
        for (url, two) in [
            ("a.db", true),
            ("file:a.db?mode=ro&immutable=1&_txlock=deferred", true),
            (":memory:", false),
            ("file:x?mode=memory", false),
            ("a.db?cache=shared", false),
            ("a.db?mode=rwc&nolock=1", false),
            ("a.db?vfs=unix-none", false),
        ] {
            assert_eq!(settings(&[("url", url)]).unwrap().allow_two(), two, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let short = "invalid value for 'timeout': must be greater than 1s";
        for (pairs, text) in [
            (&[][..], "missing connection string"),
            (&[("url", "")], "missing connection string"),
            (
                &[("url", "x"), ("tableName", "a b")],
                "invalid identifier: a b",
            ),
            (
                &[("url", "x"), ("metadataTableName", "")],
                "invalid identifier: ",
            ),
            (&[("url", "x"), ("timeout", "999ms")], short),
            (&[("url", "x"), ("timeout", "")], short),
            (
                &[("url", "x"), ("busyTimeout", "soon")],
                "invalid value for 'busyTimeout': 'soon' is neither a duration like 30s nor a number of seconds",
            ),
            (
                &[("url", "x?_pragma=busy_timeout(5)")],
                "found forbidden option '_pragma=busy_timeout' in the connection string",
            ),
        ] {
            assert_eq!(settings(pairs).unwrap_err(), text);
        }
    }
}
