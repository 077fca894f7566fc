//! The two tables, made where they are missing, in the layout that the reference makes (contract
//! `state.md` 7). Changes nothing that is there.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::settings::Settings;

/// The row of the metadata table that says how far the tables are.
const LEVEL: &str = "migrations";

/// Makes what is missing, all or nothing; sidecars that start together wait for each other.
pub(super) fn prepare(connection: &mut Connection, settings: &Settings) -> rusqlite::Result<()> {
    let (state, metadata) = (&settings.table, &settings.metadata_table);
    let step = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    step.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {metadata} (
            key text NOT NULL PRIMARY KEY,
            value text NOT NULL
        );
        CREATE TABLE IF NOT EXISTS {state} (
            key TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL,
            is_binary BOOLEAN NOT NULL,
            etag TEXT NOT NULL,
            expiration_time TIMESTAMP DEFAULT NULL,
            update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
        );"
    ))?;
    let level = format!("SELECT value FROM {metadata} WHERE key = ?1");
    let level: Option<String> = step
        .query_row(&level, [LEVEL], |row| row.get(0))
        .optional()?;
    if level.is_none() {
        let insert = format!("INSERT INTO {metadata} (key, value) VALUES (?1, '1')");
        step.execute(&insert, [LEVEL])?;
    }
    step.commit()
}
