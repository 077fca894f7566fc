//! What a thread does with the file. Blocks; knows neither threads nor futures.

use std::time::{Duration, Instant};

use outrider_telemetry::log::scope;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::settings::Settings;
use super::statements::Statements;
use super::{fault, schema};
use crate::clock::Clock;
use crate::{Delete, Error, Get, Item, Operation, Set};

/// An open file with its tables.
pub(super) struct Database {
    connection: Connection,
    transaction: TransactionBehavior,
    busy_timeout: Duration,
    statements: Statements,
}

impl Database {
    /// Opens the file, made if missing, and makes the tables that are missing.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Self, String> {
        let mut database = Self::connect(settings, clock)?;
        patiently(settings.busy_timeout, || {
            schema::prepare(&mut database.connection, settings)
        })
        .map_err(|e| format!("failed to perform migrations: {}", fault::text(&e)))?;
        if let Some(interval) = settings.cleanup_interval {
            let interval = outrider_core::duration::GoDuration::from(interval);
            tracing::info!(target: scope::CONTRIB, "Schedule expired data clean up every {interval}");
        }
        Ok(database)
    }

    /// Opens a file that is open already, to read from it beside whoever writes.
    pub(super) fn open_to_read(settings: &Settings, clock: Clock) -> Result<Self, String> {
        let database = Self::connect(settings, clock)?;
        let only = database.connection.execute_batch("PRAGMA query_only = 1");
        only.map_err(|e| fault::text(&e))?;
        Ok(database)
    }

    fn connect(settings: &Settings, clock: Clock) -> Result<Self, String> {
        let connection = patiently(settings.busy_timeout, || connect(settings));
        let connection =
            connection.map_err(|e| format!("failed to ping: {}", cause(&e, settings)))?;
        Ok(Self {
            connection,
            transaction: settings.transaction(),
            busy_timeout: settings.busy_timeout,
            statements: Statements::new(settings, clock),
        })
    }

    /// True if a second connection sees the same data and is let in.
    pub(super) fn can_be_shared(&self) -> bool {
        let mode = self
            .connection
            .query_row("PRAGMA locking_mode", [], |row| row.get(0));
        let is_file = self.connection.path().is_some_and(|path| !path.is_empty());
        is_file && mode.is_ok_and(|mode: String| mode == "normal")
    }

    /// How long the component lets a statement wait for the locks of others.
    pub(super) fn busy_timeout(&self) -> Duration {
        self.busy_timeout
    }

    /// To be called before each job: how long its statements may wait for the locks of others.
    pub(super) fn prepare(&self, patience: Duration) {
        // Left by a job that broke off, or whose own roll-back failed.
        if !self.connection.is_autocommit() {
            let undone = self.connection.execute_batch("ROLLBACK");
            if let Err(error) = undone {
                tracing::error!(target: scope::CONTRIB, "cannot roll back: {}", fault::text(&error));
            }
        }
        // Cannot fail: it sets a number.
        let _ = self.connection.busy_timeout(patience);
    }

    /// Whether the job met a lock of others; none if it did not get so far as to find out.
    pub(super) fn met_lock(&self) -> Option<bool> {
        self.statements.met_lock().take()
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Item>, Error> {
        self.statements.get(&self.connection, key)
    }

    /// All as of one moment.
    pub(super) fn get_many(&mut self, gets: &[Get]) -> Vec<Result<Option<Item>, Error>> {
        let statements = &self.statements;
        let begin = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred);
        match statements.told(begin) {
            Ok(snapshot) => statements.each(gets, |get| statements.get(&snapshot, &get.key)),
            Err(error) => vec![Err(error); gets.len()],
        }
    }

    pub(super) fn set(&self, set: &Set) -> Result<(), Error> {
        self.statements.set(&self.connection, set)
    }

    /// Each for itself, but on disk in one go.
    pub(super) fn set_many(&mut self, sets: &[Set]) -> Vec<Result<(), Error>> {
        self.many(sets, Statements::set)
    }

    pub(super) fn delete(&self, delete: &Delete) -> Result<(), Error> {
        self.statements.delete(&self.connection, delete)
    }

    /// Each for itself, but on disk in one go.
    pub(super) fn delete_many(&mut self, deletes: &[Delete]) -> Vec<Result<(), Error>> {
        self.many(deletes, Statements::delete)
    }

    /// Does all in one go, or each by itself if SQLite undoes that: then each is told the truth about
    /// itself.
    fn many<T>(&mut self, items: &[T], one: One<T>) -> Vec<Result<(), Error>> {
        if let Some(answers) = self.in_one_go(items, one) {
            return answers;
        }
        let Self {
            connection,
            statements,
            ..
        } = self;
        statements.each(items, |item| one(statements, connection, item))
    }

    /// Nothing if nothing is stored because of what SQLite could not do: a full disk or the like ends
    /// the transaction in the middle of it, and what came before is gone.
    fn in_one_go<T>(&mut self, items: &[T], one: One<T>) -> Option<Vec<Result<(), Error>>> {
        let statements = &self.statements;
        let begin = self.connection.transaction_with_behavior(self.transaction);
        let all = match statements.told(begin) {
            Ok(all) => all,
            Err(error) => return Some(vec![Err(error); items.len()]),
        };
        let answers = statements.each(items, |item| {
            // What came now would be stored by itself.
            if all.is_autocommit() {
                return Err(Error::failed("the transaction was undone"));
            }
            one(statements, &all, item)
        });
        if all.is_autocommit() {
            return None;
        }
        match statements.told(all.commit()) {
            Ok(()) => Some(answers),
            Err(error) => {
                let is_locked = statements.met_lock().get() == Some(true);
                is_locked.then(|| vec![Err(error); items.len()])
            }
        }
    }

    pub(super) fn transact(&mut self, operations: &[Operation]) -> Result<(), Error> {
        let statements = &self.statements;
        if let [operation] = operations {
            return statements.apply(&self.connection, operation);
        }
        let begin = self.connection.transaction_with_behavior(self.transaction);
        let all = statements.told(begin)?;
        for operation in operations {
            statements.apply(&all, operation)?;
        }
        statements.told(all.commit())
    }

    /// Removes rows that have ended, unless some sidecar did within the interval. Returns how many.
    pub(super) fn clean_up(&mut self, interval: Duration) -> Result<Option<usize>, Error> {
        let statements = &self.statements;
        let now = statements.now();
        // A little less, because timers are never exact.
        let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX) - 100;
        let claimed = self
            .connection
            .execute(&statements.claim_clean_up, params![now, millis]);
        if statements.told(claimed)? == 0 {
            return Ok(None);
        }
        let removed = self.connection.execute(&statements.clean_up, [now]);
        statements.told(removed).map(Some)
    }
}

/// Does one of several things.
type One<T> = fn(&Statements, &Connection, &T) -> Result<(), Error>;

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
