//! One job as a row.

use caesar_proto::v1::{JobResult, JobSpec, Progress};
use prost::Message;
use rusqlite::{Params, Row, Transaction, params};

use super::StoreError;
use crate::{
    error::Failure,
    job::{JobId, State},
};

/// What the store knows of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// Identifier on both sides.
    pub id: JobId,
    /// What was asked for. At A only the fields that B's offer carries.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: State,
    /// Counts attempts from 1. While the job is queued: the next one; at A, B's may be later.
    pub attempt: u32,
    /// Set when the state is failed.
    pub failure: Option<Failure>,
    /// Set at B when the state is succeeded.
    pub result: Option<JobResult>,
    /// The last progress of an ended job.
    pub progress: Option<Progress>,
    /// When this node first knew of it, Unix time in milliseconds.
    pub submitted_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Why the last attempt ended before the job did, if one did.
    pub interrupted: Option<Failure>,
    /// B's word on how it ended is recorded.
    pub decided: bool,
    /// When its state last changed.
    pub changed_ms: u64,
}

impl JobRecord {
    pub(super) fn new(id: JobId, spec: JobSpec, state: State, submitted_ms: u64) -> Self {
        Self {
            id,
            spec,
            state,
            attempt: 1,
            failure: None,
            result: None,
            progress: None,
            submitted_ms,
            ended_ms: None,
            interrupted: None,
            decided: false,
            changed_ms: submitted_ms,
        }
    }
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    record: &JobRecord,
    request_id: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO jobs
         (job_id, request_id, spec, state, attempt, submitted_ms, changed_ms, priority)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            record.id.as_bytes(),
            request_id,
            record.spec.encode_to_vec(),
            record.state.name(),
            record.attempt,
            millis(record.submitted_ms),
            millis(record.changed_ms),
            record.spec.priority,
        ],
    )?;
    Ok(())
}

pub(super) fn update(tx: &Transaction<'_>, record: &JobRecord) -> Result<(), StoreError> {
    let json = |failure: &Option<Failure>| {
        let text = failure.as_ref().map(serde_json::to_string).transpose();
        text.map_err(|_| StoreError::Corrupt("failure"))
    };
    tx.execute(
        "UPDATE jobs SET state = ?2, attempt = ?3, failure = ?4, result = ?5, progress = ?6,
         ended_ms = ?7, decided = ?8, changed_ms = ?9, interrupted = ?10 WHERE job_id = ?1",
        params![
            record.id.as_bytes(),
            record.state.name(),
            record.attempt,
            json(&record.failure)?,
            record.result.as_ref().map(Message::encode_to_vec),
            record.progress.as_ref().map(Message::encode_to_vec),
            record.ended_ms.map(millis),
            record.decided,
            millis(record.changed_ms),
            json(&record.interrupted)?,
        ],
    )?;
    Ok(())
}

pub(super) fn get(tx: &Transaction<'_>, job: JobId) -> Result<Option<JobRecord>, StoreError> {
    Ok(query(tx, "WHERE job_id = ?1", params![job.as_bytes()])?.pop())
}

/// `clause` is ours, never input.
pub(super) fn query(
    tx: &Transaction<'_>,
    clause: &str,
    params: impl Params,
) -> Result<Vec<JobRecord>, StoreError> {
    let sql = format!(
        "SELECT job_id, spec, state, attempt, failure, result, progress, submitted_ms, ended_ms,
         decided, changed_ms, interrupted FROM jobs {clause}"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

fn read(row: &Row<'_>) -> Result<JobRecord, StoreError> {
    let id: Vec<u8> = row.get(0)?;
    let state: String = row.get(2)?;
    let failure = |index| -> Result<Option<Failure>, StoreError> {
        let text: Option<String> = row.get(index)?;
        let parsed = text.map(|text| serde_json::from_str(&text)).transpose();
        parsed.map_err(|_| StoreError::Corrupt("failure"))
    };
    Ok(JobRecord {
        id: JobId::from_slice(&id).ok_or(StoreError::Corrupt("id"))?,
        spec: decode(&row.get::<_, Vec<u8>>(1)?, "spec")?,
        state: State::from_name(&state).ok_or(StoreError::Corrupt("state"))?,
        attempt: row.get(3)?,
        failure: failure(4)?,
        result: optional(row.get(5)?, "result")?,
        progress: optional(row.get(6)?, "progress")?,
        submitted_ms: row.get::<_, i64>(7)?.unsigned_abs(),
        ended_ms: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
        decided: row.get(9)?,
        changed_ms: row.get::<_, i64>(10)?.unsigned_abs(),
        interrupted: failure(11)?,
    })
}

fn optional<M: Message + Default>(
    bytes: Option<Vec<u8>>,
    what: &'static str,
) -> Result<Option<M>, StoreError> {
    bytes.map(|b| decode(&b, what)).transpose()
}

fn decode<M: Message + Default>(bytes: &[u8], what: &'static str) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|_| StoreError::Corrupt(what))
}

/// SQLite's integers are signed; our times stay far below their end.
fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
