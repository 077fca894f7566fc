//! What the thread does with the file. Blocks; knows neither threads nor futures.

use std::time::{Duration, Instant};

use bytes::Bytes;
use outrider_core::base64;
use outrider_telemetry::log::scope;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::settings::Settings;
use super::{fault, moment, schema};
use crate::clock::Clock;
use crate::{Delete, Error, Get, Item, Operation, Set, Value, ttl};

/// An open file with its tables.
pub(super) struct Database {
    connection: Connection,
    transaction: TransactionBehavior,
    statements: Statements,
}

/// The texts of the statements, which differ by the names of the tables, and the time they are
/// given. Rows that have ended are as good as gone in all of them but the clean-up's.
struct Statements {
    clock: Clock,
    get: String,
    put: String,
    put_if_absent: String,
    put_if_etag: String,
    delete: String,
    delete_if_etag: String,
    claim_clean_up: String,
    clean_up: String,
}

impl Database {
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Self, String> {
        let connection = patiently(settings.busy_timeout, || connect(settings));
        let mut connection =
            connection.map_err(|e| format!("failed to ping: {}", cause(&e, settings)))?;
        patiently(settings.busy_timeout, || {
            schema::prepare(&mut connection, settings)
        })
        .map_err(|e| format!("failed to perform migrations: {}", fault::text(&e)))?;
        if let Some(interval) = settings.cleanup_interval {
            let interval = outrider_core::duration::GoDuration::from(interval);
            tracing::info!(target: scope::CONTRIB, "Schedule expired data clean up every {interval}");
        }
        Ok(Self {
            connection,
            transaction: settings.transaction(),
            statements: Statements::new(settings, clock),
        })
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Item>, Error> {
        self.statements.get(&self.connection, key)
    }

    /// All as of one moment.
    pub(super) fn get_many(&mut self, gets: &[Get]) -> Vec<Result<Option<Item>, Error>> {
        let begin = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred);
        let snapshot = match begin {
            Ok(snapshot) => snapshot,
            Err(error) => return vec![Err(failed(&error)); gets.len()],
        };
        let found = gets
            .iter()
            .map(|get| self.statements.get(&snapshot, &get.key));
        found.collect()
    }

    pub(super) fn set(&self, set: &Set) -> Result<(), Error> {
        self.statements.set(&self.connection, set)
    }

    /// Each for itself, but on disk in one go.
    pub(super) fn set_many(&mut self, sets: &[Set]) -> Vec<Result<(), Error>> {
        let all = |error: rusqlite::Error| vec![Err(failed(&error)); sets.len()];
        let batch = match self.connection.transaction_with_behavior(self.transaction) {
            Ok(batch) => batch,
            Err(error) => return all(error),
        };
        let done = sets.iter().map(|set| self.statements.set(&batch, set));
        let done: Vec<_> = done.collect();
        match batch.commit() {
            Ok(()) => done,
            Err(error) => all(error),
        }
    }

    pub(super) fn delete(&self, delete: &Delete) -> Result<(), Error> {
        self.statements.delete(&self.connection, delete)
    }

    pub(super) fn transact(&mut self, operations: &[Operation]) -> Result<(), Error> {
        if let [operation] = operations {
            return self.statements.apply(&self.connection, operation);
        }
        let begin = self.connection.transaction_with_behavior(self.transaction);
        let all = begin.map_err(|e| failed(&e))?;
        for operation in operations {
            self.statements.apply(&all, operation)?;
        }
        all.commit().map_err(|e| failed(&e))
    }

    /// Removes rows that have ended, unless some sidecar did within the interval. Returns how many.
    pub(super) fn clean_up(&mut self, interval: Duration) -> Result<Option<usize>, String> {
        let statements = &self.statements;
        let now = statements.now();
        // A little less, because timers are never exact.
        let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX) - 100;
        let claimed = self
            .connection
            .execute(&statements.claim_clean_up, params![now, millis])
            .map_err(|e| fault::text(&e))?;
        if claimed == 0 {
            return Ok(None);
        }
        let removed = self.connection.execute(&statements.clean_up, [now]);
        removed.map(Some).map_err(|e| fault::text(&e))
    }
}

fn connect(settings: &Settings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&settings.dsn.uri, flags)?;
    for pragma in settings.pragmas() {
        connection.execute_batch(&format!("PRAGMA {pragma}"))?;
    }
    connection.query_row("SELECT 1", [], |_| Ok(()))?;
    Ok(connection)
}

/// Tries again while the file is locked: SQLite itself does not wait for those who change the
/// journal of a new file or close it as the last one, and sidecars of one machine start together.
fn patiently<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let begin = Instant::now();
    loop {
        match attempt() {
            Err(error) if fault::is_busy(&error) && begin.elapsed() < patience => {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// Why the file can't be opened; if it can't be made, which one.
fn cause(error: &rusqlite::Error, settings: &Settings) -> String {
    if !fault::is_no_file(error) {
        return fault::text(error);
    }
    format!(
        "unable to open database file: out of memory (14): cannot open or make '{}', see that its \
         folder exists and can be written to",
        settings.file()
    )
}

impl Statements {
    fn new(settings: &Settings, clock: Clock) -> Self {
        let (state, metadata) = (&settings.table, &settings.metadata_table);
        let lives = "(expiration_time IS NULL OR expiration_time > ?1)";
        let columns = "(update_time, key, value, is_binary, etag, expiration_time)";
        let change = "SET value = excluded.value, is_binary = excluded.is_binary, \
            etag = excluded.etag, expiration_time = excluded.expiration_time, \
            update_time = excluded.update_time";
        let put = format!(
            "INSERT INTO {state} {columns} VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (key) DO UPDATE {change}"
        );
        Self {
            clock,
            get: format!(
                "SELECT value, is_binary, etag, CAST(unixepoch(expiration_time) AS INTEGER) \
                 FROM {state} WHERE key = ?2 AND {lives}"
            ),
            put_if_absent: format!("{put} WHERE {state}.expiration_time <= ?1"),
            put,
            put_if_etag: format!(
                "UPDATE {state} SET value = ?3, is_binary = ?4, etag = ?5, expiration_time = ?6, \
                 update_time = ?1 WHERE key = ?2 AND etag = ?7 AND {lives}"
            ),
            delete: format!("DELETE FROM {state} WHERE key = ?1"),
            delete_if_etag: format!("DELETE FROM {state} WHERE key = ?2 AND etag = ?3 AND {lives}"),
            claim_clean_up: format!(
                "INSERT INTO {metadata} (key, value) VALUES ('last-cleanup', ?1) \
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value \
                 WHERE (unixepoch(?1) - unixepoch({metadata}.value)) * 1000 > ?2"
            ),
            clean_up: format!("DELETE FROM {state} WHERE expiration_time < ?1"),
        }
    }

    fn now(&self) -> String {
        moment::text(self.clock.now())
    }

    fn get(&self, connection: &Connection, key: &str) -> Result<Option<Item>, Error> {
        let read = || {
            let mut get = connection.prepare_cached(&self.get)?;
            let row = get.query_row([self.now().as_str(), key], |row| {
                let stored = row.get_ref(0)?.as_bytes()?;
                let value = match row.get(1)? {
                    true => base64::decode(stored).map(Bytes::from),
                    false => Some(Bytes::copy_from_slice(stored)),
                };
                Ok((value, row.get(2)?, row.get(3)?))
            });
            row.optional()
        };
        let Some((value, etag, expires)) = read().map_err(|e| failed(&e))? else {
            return Ok(None);
        };
        let value = value.ok_or_else(|| {
            Error::failed("failed to decode binary data: the stored text is not base64")
        })?;
        Ok(Some(Item {
            value,
            etag,
            expires,
        }))
    }

    fn apply(&self, connection: &Connection, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::Set(set) => self.set(connection, set),
            Operation::Delete(delete) => self.delete(connection, delete),
        }
    }

    fn set(&self, connection: &Connection, set: &Set) -> Result<(), Error> {
        set.options.check()?;
        if set.key.is_empty() {
            return Err(Error::failed("missing key in set option"));
        }
        let expires = lifetime(set)?.map(|life| moment::text(self.clock.now() + life));
        let (encoded, is_binary);
        // The column is a text in any case.
        let value = ToSqlOutput::Borrowed(ValueRef::Text(match &set.value {
            Value::Json(text) => {
                is_binary = false;
                &text[..]
            }
            Value::Raw(bytes) => {
                is_binary = true;
                encoded = base64::encode(bytes);
                encoded.as_bytes()
            }
        }));
        let etag = Uuid::new_v4().to_string();
        let (key, now) = (&set.key, self.now());
        let plain = params![now, key, value, is_binary, etag, expires];
        let write = |statement: &str, values: &[&dyn rusqlite::ToSql]| {
            let rows = connection.prepare_cached(statement)?.execute(values)?;
            Ok(rows > 0)
        };
        let written = match wanted(set.etag.as_ref()) {
            Some(old) => {
                let values = params![now, key, value, is_binary, etag, expires, old];
                write(&self.put_if_etag, values)
            }
            None if set.options.concurrency == "first-write" => write(&self.put_if_absent, plain),
            None => write(&self.put, plain),
        };
        matched(written)
    }

    fn delete(&self, connection: &Connection, delete: &Delete) -> Result<(), Error> {
        delete.options.check()?;
        if delete.key.is_empty() {
            return Err(Error::failed("missing key in delete operation"));
        }
        let Some(etag) = wanted(delete.etag.as_ref()) else {
            let done = connection.prepare_cached(&self.delete);
            let done = done.and_then(|mut statement| statement.execute([&delete.key]));
            return done.map(drop).map_err(|e| failed(&e));
        };
        let statement = connection.prepare_cached(&self.delete_if_etag);
        let rows = statement.and_then(|mut s| s.execute([&self.now(), &delete.key, etag]));
        matched(rows.map(|rows| rows > 0))
    }
}

/// How long an item is to live, if not for ever.
fn lifetime(set: &Set) -> Result<Option<Duration>, Error> {
    let error = |why: &str| {
        Error::Failed(format!(
            "error parsing TTL: incorrect value for metadata 'ttlInSeconds': {why}"
        ))
    };
    let seconds = ttl::parse(&set.metadata, "ParseInt").map_err(|why| error(&why))?;
    match seconds.unwrap_or(0) {
        -1 | 0 => Ok(None),
        n @ 1..=0x7fff_ffff => Ok(Some(Duration::from_secs(n.unsigned_abs()))),
        _ => Err(error("must be -1 or greater")),
    }
}

fn wanted(etag: Option<&String>) -> Option<&String> {
    etag.filter(|etag| !etag.is_empty())
}

/// A write that hit no row was refused by its condition.
fn matched(written: rusqlite::Result<bool>) -> Result<(), Error> {
    match written {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::EtagMismatch(String::new())),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &rusqlite::Error) -> Error {
    Error::Failed(fault::text(error))
}
