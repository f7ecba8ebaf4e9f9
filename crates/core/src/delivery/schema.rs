//! The tables of an object. Only the app's object has one more, for the statistics.

use super::Sql;
use crate::runtime::PlatformError;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events (
        sequence INTEGER PRIMARY KEY, head INTEGER NOT NULL, next INTEGER NOT NULL,
        key TEXT NOT NULL, iat INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, received_at INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, answer TEXT, failed_at INTEGER,
        attempted_at INTEGER NOT NULL DEFAULT 0, pause INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0,
        done_at INTEGER, erase_at INTEGER, redeliver INTEGER, body TEXT);
    CREATE INDEX IF NOT EXISTS events_by_key ON events (key);
    CREATE INDEX IF NOT EXISTS events_to_erase ON events (erase_at) WHERE erase_at IS NOT NULL;
    CREATE INDEX IF NOT EXISTS events_parked ON events (received_at) WHERE state = 2;
    CREATE INDEX IF NOT EXISTS events_to_redeliver ON events (sequence) WHERE redeliver IS NOT NULL;";

/// Creates the tables and indexes that are missing, unless this object did so since it came into memory.
pub fn create(sql: &impl Sql) -> Result<(), PlatformError> {
    if !sql.has_tables() {
        sql.sql(SCHEMA, &[])?;
        sql.set_has_tables();
    }
    Ok(())
}
