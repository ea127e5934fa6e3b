//! The database's layout and its versions.

use rusqlite::Connection;

use super::StoreError;

/// One step a version, applied in order; never edited once released.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE jobs (
        number       INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id       BLOB NOT NULL UNIQUE,
        request_id   TEXT UNIQUE,
        spec         BLOB NOT NULL,     -- caesar.v1.JobSpec
        state        TEXT NOT NULL,
        attempt      INTEGER NOT NULL,
        failure      TEXT,              -- JSON
        result       BLOB,              -- caesar.v1.JobResult
        progress     BLOB,              -- caesar.v1.Progress at the end
        submitted_ms INTEGER NOT NULL,
        ended_ms     INTEGER
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, number);
"];

/// Opens what is there, creates what is not.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A job is acknowledged after its commit, so the commit has to survive a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::Version { found, known });
    }
    let tx = connection.transaction()?;
    for migration in &MIGRATIONS[found as usize..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    Ok(())
}
