//! `sqlite`: sidecars register in a database that they share (contract, naming 8), understood by
//! the reference and understanding it.
//!
//! A registration holds while it is renewed. Two faults of the reference are not repeated: clean-up
//! removes only what is long dead, and a registration that somebody removed is made again.
//! Every statement runs on a thread of its own; nothing here blocks the thread it is polled on.

mod database;
mod worker;

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use outrider_core::sqlite_dsn::SqliteDsn;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::{OpenError, REMEMBER_UNKNOWN, failed, kept::Kept, unknown};
use crate::table::{Listing, Query, SourceHandle, Table};
use database::{Database, Renewed};
use worker::Worker;

/// What the resolver must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database is.
    pub dsn: SqliteDsn,
    /// The table of registrations.
    pub table: String,
    /// The table of facts about the first one.
    pub metadata_table: String,
    /// How long a registration holds without being renewed.
    pub update_interval: Duration,
    /// How long one operation may take.
    pub timeout: Duration,
    /// How often registrations that were left behind are removed.
    pub cleanup_interval: Option<Duration>,
}

/// Who registers, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The app.
    pub app_id: String,
    /// `host:port` of the internal port, IPv6 in brackets.
    pub address: String,
}

/// An open database.
#[derive(Debug)]
pub struct Sqlite {
    worker: Worker,
    config: Config,
}

impl Sqlite {
    /// Opens the database and makes its tables.
    ///
    /// # Errors
    /// The database cannot be opened or written to.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let database = Database::new(config.clone());
        let worker = Worker::start(database).map_err(|error| OpenError(error.to_string()))?;
        let opened = worker.run(Database::prepare).await;
        opened.map_err(|error| OpenError(format!("failed to perform migrations: {error}")))?;
        Ok(Self {
            worker,
            config: config.clone(),
        })
    }

    /// Lists the instances of every id that is asked for, and keeps them up to date. Runs until
    /// dropped.
    pub async fn resolve(&self, table: &Table) {
        let mut asked = table.asked();
        let mut resolving = Resolving {
            worker: &self.worker,
            limit: self.config.timeout.min(LONGEST_LOOK),
            source: table.source("sqlite"),
            table,
            kept: Kept::new(),
            told: false,
        };
        let mut looks = interval_at(Instant::now() + REFRESH, REFRESH);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                query = asked.next() => match query {
                    Some(query) => resolving.answer(&query).await,
                    None => return pending().await,
                },
                _ = looks.tick(), if !resolving.kept.is_empty() => resolving.refresh().await,
            }
        }
    }

    /// Registers, renews the registration in time, and removes what others left behind. Runs until
    /// dropped.
    pub async fn keep_registered(&self, host: &Host) {
        let register = || {
            let host = host.clone();
            self.worker.run(move |it| it.register(host))
        };
        while let Err(error) = register().await {
            tracing::error!("failed to register host: {error}; trying again");
            sleep(PAUSE_AFTER_FAILURE).await;
        }
        let pause = self.config.update_interval - self.config.timeout;
        tokio::join!(self.renew(pause), self.clean_up());
    }

    async fn renew(&self, pause: Duration) {
        loop {
            sleep(pause).await;
            let until = Instant::now() + self.config.timeout;
            loop {
                match self.worker.run(Database::renew).await {
                    Ok(Renewed::Yes) => break,
                    Ok(Renewed::Anew) => {
                        tracing::warn!(
                            "the host registration was lost and has been made again; if this \
                             happens often, two sidecars register the same address, or one with a \
                             faulty clean-up shares the database"
                        );
                        break;
                    }
                    Err(error) if Instant::now() >= until => {
                        tracing::error!("failed to update host registration: {error}; going on");
                        break;
                    }
                    Err(_) => sleep(BETWEEN_TRIES).await,
                }
            }
        }
    }

    async fn clean_up(&self) {
        let Some(pause) = self.config.cleanup_interval else {
            return pending().await;
        };
        loop {
            sleep(pause).await;
            match self.worker.run(move |it| it.clean_up(pause)).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!("removed {removed} expired host registrations"),
                Err(error) => tracing::error!("failed to remove expired hosts: {error}"),
            }
        }
    }

    /// Takes the registration back, for good. [`keep_registered`](Self::keep_registered) must not
    /// run any more.
    pub async fn withdraw(&self) {
        match timeout(self.config.timeout, self.worker.run(Database::withdraw)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => tracing::error!("failed to unregister host: no row deleted"),
            Ok(Err(error)) => tracing::error!("failed to unregister host: {error}"),
            Err(_) => tracing::error!("failed to unregister host: the database does not answer"),
        }
    }
}

/// The side that looks for others.
struct Resolving<'a> {
    worker: &'a Worker,
    limit: Duration,
    source: SourceHandle,
    table: &'a Table,
    /// The ids to look for.
    kept: Kept<Box<str>, ()>,
    /// The log knows that refreshing fails.
    told: bool,
}

impl Resolving<'_> {
    async fn answer(&mut self, query: &Query) {
        let app_id: Box<str> = query.app_id().into();
        let was_known = self.kept.get_mut(&app_id).is_some();
        self.kept.insert(app_id.clone(), ());
        match self.look().await {
            Ok(found) if found.contains_key(&app_id) => self.show(&found),
            Ok(found) => {
                self.kept.remove(&app_id);
                self.show(&found);
                let why = unknown("no host found with the given ID");
                self.table.refuse(query, why, REMEMBER_UNKNOWN);
            }
            Err(error) => {
                if !was_known {
                    self.kept.remove(&app_id);
                }
                let why = failed(format!("failed to look up address: {error}"));
                self.table.refuse(query, why, REMEMBER_UNKNOWN);
            }
        }
    }

    async fn refresh(&mut self) {
        match self.look().await {
            Ok(found) => {
                self.told = false;
                self.kept.retain(|app_id| found.contains_key(app_id));
                self.show(&found);
            }
            Err(error) if !self.told => {
                self.told = true;
                tracing::warn!("name resolution stays as it was last read: {error}");
            }
            Err(_) => {}
        }
    }

    async fn look(&self) -> Result<Found, String> {
        let ids: Vec<Box<str>> = self.kept.keys().cloned().collect();
        let looked = timeout(self.limit, self.worker.run(move |it| it.find(&ids))).await;
        match looked {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("context deadline exceeded".to_owned()),
        }
    }

    fn show(&self, found: &Found) {
        let listings = found.iter().flat_map(|(app_id, addresses)| {
            let listing = |address| Listing::new(None, app_id, address);
            addresses.iter().map(move |address| listing(address))
        });
        self.source.replace_all(listings);
    }
}

/// Addresses by app id; none without an address.
type Found = HashMap<Box<str>, Vec<Box<str>>>;

/// How soon a new instance of a known app gets calls, and a dead one none.
const REFRESH: Duration = Duration::from_secs(1);
/// Calls wait for a second; they should hear why.
const LONGEST_LOOK: Duration = Duration::from_millis(900);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
