//! The database's layout and its versions.

use rusqlite::Connection;

use super::StoreError;

/// One step a version, applied in order; never edited once released.
const MIGRATIONS: &[&str] = &[
    "
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
",
    "
    ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    -- A: B has said how the job ended. B: the same as ended.
    ALTER TABLE jobs ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;
    -- Why the last attempt ended before the job did, JSON.
    ALTER TABLE jobs ADD COLUMN interrupted TEXT;
    -- When the state last changed.
    ALTER TABLE jobs ADD COLUMN changed_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET decided = ended_ms IS NOT NULL, changed_ms = COALESCE(ended_ms, submitted_ms);
",
];

/// Opens what is there, creates what is not.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A job is acknowledged after its commit, so the commit has to survive a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // KiB. SQLite's own 2 MiB would fill over hundreds of jobs, and look like memory that is lost.
    connection.pragma_update(None, "cache_size", -256)?;
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
