//! The statements, as the reference's tables want them. Blocks; for the worker thread only.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::{Config, Found, Host};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The thread has ended, which only a bug can bring about.
    #[error("the database thread has ended")]
    Gone,
}

/// What became of a registration that was to be renewed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    Yes,
    /// It was not there any more.
    Anew,
}

/// The database and our registration in it.
#[derive(Debug)]
pub(super) struct Database {
    config: Config,
    sql: Sql,
    /// Closed after an error that a new connection may cure.
    connection: Option<Connection>,
    registered: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    id: String,
    host: Host,
}

impl Database {
    pub(super) fn new(config: Config) -> Self {
        Self {
            sql: Sql::new(&config.table, &config.metadata_table),
            config,
            connection: None,
            registered: None,
        }
    }

    /// Opens the database and makes what is missing in it.
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        self.with(|connection, sql| {
            let transaction =
                Transaction::new(connection, rusqlite::TransactionBehavior::Exclusive)?;
            transaction.execute_batch(&sql.make_metadata)?;
            let level: Option<String> = transaction
                .query_row(&sql.level, [], |row| row.get(0))
                .optional()?;
            if level.is_none() {
                transaction.execute_batch(&sql.make_hosts)?;
            }
            // Once this row is there, sidecars of the reference leave the live registrations of
            // everybody alone for weeks (naming 8, Weakness).
            transaction.execute_batch(&sql.make_guard)?;
            transaction.commit()
        })
    }

    /// Takes the address, from a dead one if need be.
    pub(super) fn register(&mut self, host: Host) -> Result<(), Error> {
        let id = Uuid::new_v4().to_string();
        self.with(|connection, sql| {
            let mut statement = connection.prepare_cached(&sql.register)?;
            statement.execute(params![id, host.address, host.app_id])
        })?;
        self.registered = Some(Registered { id, host });
        Ok(())
    }

    /// Renews the registration, or makes it again if it is gone.
    pub(super) fn renew(&mut self) -> Result<Renewed, Error> {
        let Some(ours) = self.registered.take() else {
            return Ok(Renewed::Yes);
        };
        let renewed = self.with(|connection, sql| {
            let mut statement = connection.prepare_cached(&sql.renew)?;
            if statement.execute([&ours.id, &ours.host.address])? > 0 {
                return Ok(Renewed::Yes);
            }
            let mut statement = connection.prepare_cached(&sql.register)?;
            statement.execute([&ours.id, &ours.host.address, &ours.host.app_id])?;
            Ok(Renewed::Anew)
        });
        self.registered = Some(ours);
        renewed
    }

    /// Deletes the registration; false if it was gone.
    pub(super) fn withdraw(&mut self) -> Result<bool, Error> {
        let Some(ours) = self.registered.take() else {
            return Ok(true);
        };
        self.with(|connection, sql| {
            let mut statement = connection.prepare_cached(&sql.withdraw)?;
            Ok(statement.execute([&ours.id, &ours.host.address])? > 0)
        })
    }

    /// The addresses of these apps that were renewed in time.
    pub(super) fn find(&mut self, app_ids: &[Box<str>]) -> Result<Found, Error> {
        let fresh = seconds(self.config.update_interval);
        let ids = serde_json::json!(app_ids).to_string();
        self.with(|connection, sql| {
            let mut statement = connection.prepare_cached(&sql.find)?;
            let mut rows = statement.query(params![fresh, ids])?;
            let mut found: Found = HashMap::new();
            while let Some(row) = rows.next()? {
                let (app_id, address): (Box<str>, Box<str>) = (row.get(0)?, row.get(1)?);
                found.entry(app_id).or_default().push(address);
            }
            Ok(found)
        })
    }

    /// Removes what is long dead, unless another did so lately. Gives how many there were.
    pub(super) fn clean_up(&mut self, interval: Duration) -> Result<usize, Error> {
        // Others may renew more rarely than we do.
        let dead = seconds(self.config.update_interval * 10).max(60);
        let interval = seconds(interval);
        let behavior = behavior(&self.config);
        self.with(|connection, sql| {
            let transaction = Transaction::new(connection, behavior)?;
            let mut removed = 0;
            if transaction.execute(&sql.claim, [interval])? > 0 {
                removed = transaction.execute(&sql.clean_up, [dead])?;
            }
            transaction.commit()?;
            Ok(removed)
        })
    }

    /// Runs something on the connection, opening it if need be.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &Sql) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.config)?,
        };
        let done = work(&mut connection, &self.sql);
        let lost = match &done {
            Err(error) => !is_busy(error) && !self.config.dsn.in_memory,
            Ok(_) => false,
        };
        if !lost {
            self.connection = Some(connection);
        }
        Ok(done?)
    }
}

fn open(config: &Config) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&config.dsn.uri, flags)?;
    for pragma in &config.dsn.pragmas {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(connection)
}

fn behavior(config: &Config) -> rusqlite::TransactionBehavior {
    use outrider_core::sqlite_dsn::Locking;
    match config.dsn.locking {
        Locking::Deferred => rusqlite::TransactionBehavior::Deferred,
        Locking::Immediate => rusqlite::TransactionBehavior::Immediate,
        Locking::Exclusive => rusqlite::TransactionBehavior::Exclusive,
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// The statements with their tables. Names of tables hold letters, digits and `_` only.
#[derive(Debug)]
struct Sql {
    make_metadata: String,
    level: String,
    make_hosts: String,
    make_guard: String,
    register: String,
    renew: String,
    withdraw: String,
    find: String,
    claim: String,
    clean_up: String,
}

impl Sql {
    fn new(hosts: &str, metadata: &str) -> Self {
        Self {
            make_metadata: format!(
                "CREATE TABLE IF NOT EXISTS {metadata} (
                    key text NOT NULL PRIMARY KEY,
                    value text NOT NULL
                )"
            ),
            level: format!("SELECT value FROM {metadata} WHERE key = 'nr-migrations'"),
            make_hosts: format!(
                "CREATE TABLE IF NOT EXISTS {hosts} (
                    registration_id TEXT NOT NULL PRIMARY KEY,
                    address TEXT NOT NULL,
                    app_id TEXT NOT NULL,
                    namespace TEXT NOT NULL,
                    last_update INTEGER NOT NULL
                );
                CREATE UNIQUE INDEX IF NOT EXISTS {hosts}_address_idx ON {hosts} (address);
                CREATE INDEX IF NOT EXISTS {hosts}_last_update_idx ON {hosts} (last_update);
                REPLACE INTO {metadata} (key, value) VALUES ('nr-migrations', '1')"
            ),
            make_guard: format!(
                "INSERT OR IGNORE INTO {metadata} (key, value)
                 VALUES ('nr-last-cleanup', CURRENT_TIMESTAMP)"
            ),
            register: format!(
                "REPLACE INTO {hosts} (registration_id, address, app_id, namespace, last_update)
                 VALUES (?1, ?2, ?3, '', unixepoch())"
            ),
            renew: format!(
                "UPDATE {hosts} SET last_update = unixepoch()
                 WHERE registration_id = ?1 AND address = ?2"
            ),
            withdraw: format!("DELETE FROM {hosts} WHERE registration_id = ?1 AND address = ?2"),
            find: format!(
                "SELECT app_id, address FROM {hosts}
                 WHERE last_update > unixepoch() - ?1
                 AND app_id IN (SELECT value FROM json_each(?2))"
            ),
            claim: format!(
                "UPDATE {metadata} SET value = CURRENT_TIMESTAMP
                 WHERE key = 'nr-last-cleanup'
                 AND coalesce(unixepoch() - unixepoch(value), ?1) >= ?1"
            ),
            clean_up: format!("DELETE FROM {hosts} WHERE last_update < unixepoch() - ?1"),
        }
    }
}
