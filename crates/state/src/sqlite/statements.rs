//! The statements that a database is read and written with. Begins and ends no transaction.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use outrider_core::base64;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::settings::Settings;
use super::{fault, moment};
use crate::clock::Clock;
use crate::{Delete, Error, Item, Operation, Set, Value, ttl};

/// The texts of the statements, which differ by the names of the tables, and the time they are
/// given. Rows that have ended are as good as gone in all of them but the clean-up's.
pub(super) struct Statements {
    clock: Clock,
    met_lock: Cell<Option<bool>>,
    get: String,
    put: String,
    put_if_absent: String,
    put_if_etag: String,
    delete: String,
    delete_if_etag: String,
    pub(super) claim_clean_up: String,
    pub(super) clean_up: String,
}

impl Statements {
    pub(super) fn new(settings: &Settings, clock: Clock) -> Self {
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
            met_lock: Cell::new(None),
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

    pub(super) fn now(&self) -> String {
        moment::text(self.clock.now())
    }

    /// Whether others held a lock when something was last done, if it was since this was last asked.
    pub(super) fn met_lock(&self) -> &Cell<Option<bool>> {
        &self.met_lock
    }

    /// What has become of something that was done. Takes note of locks.
    pub(super) fn told<T>(&self, done: rusqlite::Result<T>) -> Result<T, Error> {
        let is_locked = done.as_ref().err().is_some_and(fault::is_busy);
        self.met_lock.set(Some(is_locked));
        done.map_err(|error| Error::Failed(fault::text(&error)))
    }

    /// Does one after the other, each for itself. When one has waited for a lock in vain the rest is
    /// not tried, which would only wait in vain too.
    pub(super) fn each<I, T>(
        &self,
        items: &[I],
        one: impl Fn(&I) -> Result<T, Error>,
    ) -> Vec<Result<T, Error>> {
        let mut lock = None;
        let answer = |item: &I| {
            if let Some(error) = &lock {
                return Err(Error::clone(error));
            }
            self.met_lock.set(None);
            let answer = one(item);
            if let Err(error) = &answer
                && self.met_lock.get() == Some(true)
            {
                lock = Some(error.clone());
            }
            answer
        };
        items.iter().map(answer).collect()
    }

    pub(super) fn get(&self, connection: &Connection, key: &str) -> Result<Option<Item>, Error> {
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
        let Some((value, etag, expires)) = self.told(read())? else {
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

    pub(super) fn apply(
        &self,
        connection: &Connection,
        operation: &Operation,
    ) -> Result<(), Error> {
        match operation {
            Operation::Set(set) => self.set(connection, set),
            Operation::Delete(delete) => self.delete(connection, delete),
        }
    }

    pub(super) fn set(&self, connection: &Connection, set: &Set) -> Result<(), Error> {
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
        self.matched(written)
    }

    pub(super) fn delete(&self, connection: &Connection, delete: &Delete) -> Result<(), Error> {
        delete.options.check()?;
        if delete.key.is_empty() {
            return Err(Error::failed("missing key in delete operation"));
        }
        let Some(etag) = wanted(delete.etag.as_ref()) else {
            let done = connection.prepare_cached(&self.delete);
            let done = done.and_then(|mut statement| statement.execute([&delete.key]));
            return self.told(done).map(drop);
        };
        let statement = connection.prepare_cached(&self.delete_if_etag);
        let rows = statement.and_then(|mut s| s.execute([&self.now(), &delete.key, etag]));
        self.matched(rows.map(|rows| rows > 0))
    }

    /// A write that hit no row was refused by its condition.
    fn matched(&self, written: rusqlite::Result<bool>) -> Result<(), Error> {
        match self.told(written)? {
            true => Ok(()),
            false => Err(Error::EtagMismatch(String::new())),
        }
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
