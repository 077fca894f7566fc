//! What the `sqlite` resolver is told (contract, naming 8).

use super::properties::Properties;
use outrider_core::duration::GoDuration;
use outrider_core::sqlite_dsn::SqliteDsn;
use serde_json::Value;
use std::time::Duration;

/// A database that sidecars register in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteResolver {
    /// Where the database is and how it is opened.
    pub dsn: SqliteDsn,
    /// The table of registrations; letters, digits and `_` only.
    pub table: String,
    /// The table of facts about the first one; the same letters.
    pub metadata_table: String,
    /// How long a registration holds without being renewed; whole seconds.
    pub update_interval: Duration,
    /// How long one operation may take.
    pub timeout: Duration,
    /// How often registrations that were left behind are removed; none for never.
    pub cleanup_interval: Option<Duration>,
}

const SECOND: GoDuration = GoDuration::from_secs(1);

impl SqliteResolver {
    /// The checks come in the reference's order.
    pub(super) fn read(told: &Value) -> Result<Self, String> {
        let told = Properties::read(told)?;
        let update = told.duration(&["updateInterval"], GoDuration::from_secs(5))?;
        let timeout = told.duration(&["timeout", "timeoutInSeconds"], SECOND)?;
        let busy = told.duration(&["busyTimeout"], GoDuration::from_millis(800))?;
        let cleanup = told.duration(
            &["cleanupInterval", "cleanupIntervalInSeconds"],
            GoDuration::from_secs(3600),
        )?;
        let path = told.text(&["connectionString", "url"]);
        let path = path.ok_or("missing connection string")?;
        if timeout < SECOND {
            return Err("invalid value for 'timeout': must be greater than 1s".to_owned());
        }
        let table = identifier("table name", told.text(&["tableName"]), "hosts")?;
        let metadata = told.text(&["metadataTableName"]);
        let metadata_table = identifier("metadata table name", metadata, "metadata")?;
        if update.as_nanos() % SECOND.as_nanos() != 0 {
            return Err("update interval must not contain fractions of seconds".to_owned());
        }
        if update.as_nanos().saturating_sub(timeout.as_nanos()) < SECOND.as_nanos() {
            return Err("update interval must be at least 1s greater than timeout".to_owned());
        }
        let dsn = SqliteDsn::parse(path, busy.to_std_or_zero(), told.truthy("disableWAL"))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            dsn,
            table,
            metadata_table,
            update_interval: update.to_std_or_zero(),
            timeout: timeout.to_std_or_zero(),
            cleanup_interval: cleanup.to_std().filter(|span| !span.is_zero()),
        })
    }
}

fn identifier(what: &str, name: Option<&str>, default: &str) -> Result<String, String> {
    let name = name.unwrap_or(default);
    match name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => Ok(name.to_owned()),
        false => Err(format!("invalid identifier for {what}: {name}")),
    }
}
