//! The job store: one SQLite database in the data folder, owned by one process.
//!
//! Every change is a transaction that is on disk before anybody is told (WAL with full
//! synchronisation). The state machine is applied inside the transaction, so two events that race
//! cannot both win. Calls block on disk and therefore run on the runtime's blocking threads.

mod record;
mod schema;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use caesar_proto::v1::{JobResult, JobSpec, Progress};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use thiserror::Error;

pub use record::JobRecord;

use crate::{
    error::{Failure, Side, code},
    job::{Event, Illegal, JobId, State, transition},
};

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The data folder cannot be used.
    #[error("data folder {}: {source}", path.display())]
    Folder {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("data folder {} is in use by another node", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// SQLite failed, for example because the disk is full.
    #[error("job store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row cannot be read back.
    #[error("job store: a job's {0} cannot be read back")]
    Corrupt(&'static str),
    /// The database was written by a newer release.
    #[error("job store has version {found}, this release knows {known}; use the newer release")]
    Version {
        /// In the file.
        found: u32,
        /// The newest that this release knows.
        known: u32,
    },
    /// No such job.
    #[error("no job has this id")]
    Unknown,
    /// The request id was used for another specification.
    #[error("the request id was used before for another specification")]
    Conflict,
    /// The queue has its maximum length.
    #[error("{0} jobs are queued already")]
    Full(u32),
    /// The event cannot happen to the job any more.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The blocking thread went away: the runtime stops.
    #[error("the node is stopping")]
    Stopping,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unknown => code::JOB_UNKNOWN,
            StoreError::Conflict => code::JOB_CONFLICT,
            StoreError::Full(_) => code::JOB_QUEUE_FULL,
            StoreError::Stopping => code::NODE_SHUTDOWN,
            StoreError::Illegal(_) => return Failure::bug("store: illegal event"),
            _ => code::IO_STORE,
        };
        let hint = match error {
            StoreError::Unknown => {
                "list the jobs of this node; a job has the same id on both nodes"
            }
            StoreError::Conflict => "use a new request id for a new job",
            StoreError::Full(_) => "wait, or raise limits.max_queued_jobs",
            _ => "see this node's log; check its disk",
        };
        Failure::new(code, Side::Client, error.to_string(), hint)
    }
}

/// What goes with an event.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Why the job failed, or the attempt ended.
    pub failure: Option<Failure>,
    /// What it computed.
    pub result: Option<JobResult>,
    /// Where it stood when it ended.
    pub progress: Option<Progress>,
    /// This is B's word on the end of the job.
    pub decided: bool,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq)]
pub enum Offered {
    /// The attempt is recorded.
    Taken,
    /// The job has ended here.
    Ended(Box<JobRecord>),
    /// The attempt is an old one, or the job is not what it was.
    Refused {
        /// The first attempt that would not be old.
        expected: u32,
    },
}

/// A handle to the store; clones share the database.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// Held for the life of the process.
    _lock: File,
}

impl Store {
    /// Opens or creates the store in `folder`. Blocks; call it before the runtime is busy.
    ///
    /// # Errors
    /// The folder is not writable, belongs to a running node, or holds a newer store.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Folder { path, source }
        };
        create_private(folder).map_err(error(folder))?;
        let lock_path = folder.join("lock");
        let lock = private_file(&lock_path).map_err(error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::Folder { path: lock_path, source });
            }
        }
        let path = folder.join("jobs.sqlite");
        // SQLite gives its side files the mode of the database, so the mode is set first.
        drop(private_file(&path).map_err(error(&path))?);
        let mut connection = Connection::open(&path)?;
        schema::prepare(&mut connection)?;
        Ok(Self { inner: Arc::new(Mutex::new(Inner { connection, _lock: lock })) })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            // A panic inside a transaction rolls it back; the connection stays usable.
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let out = work(&tx)?;
            tx.commit()?;
            Ok(out)
        })
        .await
        .map_err(|_| StoreError::Stopping)?
    }

    /// Records a submitted job, or finds the one that this request id made.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for the same id with another specification, [`StoreError::Full`].
    pub async fn submit(
        &self,
        job: JobId,
        request_id: String,
        spec: JobSpec,
        now_ms: u64,
        max_queued: u32,
    ) -> Result<JobRecord, StoreError> {
        self.with(move |tx| {
            let known = record::query(tx, "WHERE request_id = ?1", params![request_id])?;
            if let Some(known) = known.into_iter().next() {
                return if known.spec == spec { Ok(known) } else { Err(StoreError::Conflict) };
            }
            let queued: u32 = tx.query_row(
                "SELECT count(*) FROM jobs WHERE state = ?1",
                [State::Queued.name()],
                |row| row.get(0),
            )?;
            if queued >= max_queued {
                return Err(StoreError::Full(queued));
            }
            let record = JobRecord::new(job, spec, State::Queued, now_ms);
            record::insert(tx, &record, Some(&request_id))?;
            Ok(record)
        })
        .await
    }

    /// Records an attempt that B offers: of a new job, or of one whose former attempt has ended.
    ///
    /// # Errors
    /// Only IO.
    pub async fn offered(
        &self,
        job: JobId,
        attempt: u32,
        spec: JobSpec,
        now_ms: u64,
    ) -> Result<Offered, StoreError> {
        self.with(move |tx| {
            let Some(mut record) = record::get(tx, job)? else {
                let mut record = JobRecord::new(job, spec, State::Offered, now_ms);
                record.attempt = attempt;
                record::insert(tx, &record, None)?;
                return Ok(Offered::Taken);
            };
            if record.state.has_ended() {
                return Ok(Offered::Ended(Box::new(record)));
            }
            restart(&mut record)?;
            if attempt < record.attempt || record.spec != spec {
                return Ok(Offered::Refused { expected: record.attempt });
            }
            record.state = transition(record.state, Event::Offer)?;
            record.attempt = attempt;
            record.changed_ms = now_ms;
            record::update(tx, &record)?;
            Ok(Offered::Taken)
        })
        .await
    }

    /// Applies an event to a job.
    ///
    /// # Errors
    /// [`StoreError::Illegal`] when the job's state does not allow it; nothing changes then.
    pub async fn apply(
        &self,
        job: JobId,
        event: Event,
        details: Details,
        now_ms: u64,
    ) -> Result<JobRecord, StoreError> {
        self.with(move |tx| {
            let mut record = record::get(tx, job)?.ok_or(StoreError::Unknown)?;
            let before = record.state;
            match event {
                Event::Restart => {
                    restart(&mut record)?;
                    record.interrupted = details.failure;
                }
                event => {
                    record.state = transition(record.state, event)?;
                    record.failure = details.failure;
                }
            }
            record.changed_ms = now_ms;
            record.result = details.result;
            // B's word comes after the end that A saw, whose numbers stay.
            record.progress = details.progress.or(record.progress);
            if record.state.has_ended() && !before.has_ended() {
                record.ended_ms = Some(now_ms);
            }
            record.decided |= details.decided;
            record::update(tx, &record)?;
            Ok(record)
        })
        .await
    }

    /// A job.
    ///
    /// # Errors
    /// [`StoreError::Unknown`].
    pub async fn get(&self, job: JobId) -> Result<JobRecord, StoreError> {
        self.with(move |tx| record::get(tx, job)?.ok_or(StoreError::Unknown)).await
    }

    /// The newest jobs, newest first.
    ///
    /// # Errors
    /// Only IO.
    pub async fn list(&self, limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        self.with(move |tx| record::query(tx, "ORDER BY number DESC LIMIT ?1", params![limit]))
            .await
    }

    /// The queued jobs: the highest priority first, then the one that came first.
    ///
    /// # Errors
    /// Only IO.
    pub async fn queued(&self) -> Result<Vec<JobRecord>, StoreError> {
        self.with(|tx| {
            let clause = "WHERE state = ?1 ORDER BY priority DESC, number";
            record::query(tx, clause, params![State::Queued.name()])
        })
        .await
    }

    /// The jobs on which B's word is not recorded.
    ///
    /// # Errors
    /// Only IO.
    pub async fn undecided(&self) -> Result<Vec<JobRecord>, StoreError> {
        self.with(|tx| record::query(tx, "WHERE decided = 0 ORDER BY number", params![])).await
    }

    /// Puts back into the queue what a former process left under way; tells how many jobs that were.
    ///
    /// # Errors
    /// Only IO.
    pub async fn recover(&self, why: Failure, now_ms: u64) -> Result<usize, StoreError> {
        self.with(move |tx| {
            let mut requeued = 0;
            for mut record in record::query(tx, "WHERE ended_ms IS NULL", params![])? {
                let before = record.state;
                restart(&mut record)?;
                if record.state != before {
                    record.interrupted = Some(why.clone());
                    record.changed_ms = now_ms;
                    record::update(tx, &record)?;
                    requeued += 1;
                }
            }
            Ok(requeued)
        })
        .await
    }

    /// Forgets jobs that ended before `ended_before_ms`, and all but the newest `keep` of those that
    /// have ended. A job on which B's word is awaited stays. Tells how many were forgotten.
    ///
    /// # Errors
    /// Only IO.
    pub async fn forget(&self, ended_before_ms: u64, keep: u32) -> Result<usize, StoreError> {
        self.with(move |tx| {
            let sql = "DELETE FROM jobs WHERE decided = 1 AND (ended_ms < ?1 OR number NOT IN
                       (SELECT number FROM jobs WHERE decided = 1
                        ORDER BY ended_ms DESC, number DESC LIMIT ?2))";
            let before = i64::try_from(ended_before_ms).unwrap_or(i64::MAX);
            Ok(tx.execute(sql, params![before, keep])?)
        })
        .await
    }
}

/// The attempt, if one is under way, has ended: the job waits for the next one.
fn restart(record: &mut JobRecord) -> Result<(), StoreError> {
    let next = transition(record.state, Event::Restart)?;
    if next != record.state {
        record.state = next;
        record.attempt = record.attempt.saturating_add(1);
    }
    Ok(())
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests;
