//! What the job API stands on: submission, queries, cancellation, and the bookkeeping that the two
//! roles share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use caesar_proto::v1 as proto;
use rayon::ThreadPool;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Cause, Control, Engine, Event, JobId, Live, State, coordinator, participant, run};
use crate::{
    config::{Config, Role},
    error::{Failure, Side, code},
    peer::{Hub, Invitation},
    store::{Details, JobRecord, Store, StoreError},
    wire,
};

/// How many jobs a listing has at most.
const LIST_LIMIT: u32 = 500;
/// How long a job whose peer is gone may still work with what has arrived.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// What a manager is made of.
#[derive(Debug)]
pub struct ManagerConfig {
    /// The node's configuration.
    pub config: Arc<Config>,
    /// The job store.
    pub store: Store,
    /// The channel to the peer.
    pub hub: Arc<Hub>,
    /// What computes.
    pub engine: Arc<dyn Engine>,
}

/// All jobs of this node.
#[derive(Debug)]
pub struct Manager {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) hub: Arc<Hub>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) pool: Arc<ThreadPool>,
    /// One job computes at a time.
    pub(super) slot: Semaphore,
    /// Wakes the queue of B.
    pub(super) wake: Notify,
    /// The node is about to stop: jobs are ended by [`Manager::shut_down`], nothing new begins.
    pub(super) closing: CancellationToken,
    /// All jobs have been ended; watchers may go.
    stopped: CancellationToken,
    under_way: Mutex<HashMap<JobId, UnderWay>>,
    /// Counts changes of states, for watchers.
    changes: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct UnderWay {
    attempt: u32,
    control: Arc<Control>,
    live: Arc<Live>,
}

/// How an attempt at a job ended early.
#[derive(Debug)]
pub(super) enum End {
    /// Somebody cancelled; the peer knows or is told.
    Cancelled,
    /// It failed here: the peer has to be told.
    Here(Failure),
    /// It failed at the peer, or the peer is gone: there is nobody to tell.
    There(Failure),
}

impl End {
    /// What the job's cause means for this side.
    pub(super) fn from_cause(cause: &Cause) -> Self {
        match cause {
            Cause::Cancelled => End::Cancelled,
            Cause::PeerAborted(f) if f.code == code::JOB_CANCELLED => End::Cancelled,
            Cause::PeerAborted(f) | Cause::Lost(f) => End::There(f.clone()),
            // The peer was told when the cause was set.
            Cause::Local(f) => End::There(f.clone()),
        }
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        End::Here(failure)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        match error {
            // Somebody cancelled between two steps.
            StoreError::Illegal(_) => End::Cancelled,
            other => End::Here(other.into()),
        }
    }
}

impl Manager {
    /// Ends what a former process left, then starts working.
    ///
    /// # Errors
    /// The store or the thread pool cannot be used.
    pub async fn start(
        parts: ManagerConfig,
        invitations: mpsc::Receiver<Invitation>,
    ) -> Result<Arc<Self>, Failure> {
        let ManagerConfig { config, store, hub, engine } = parts;
        let pool = run::pool(config.limits.threads).map_err(|_| Failure::bug("thread pool"))?;
        let restarted = Failure::new(
            code::NODE_RESTARTED,
            Side::Client,
            format!("the node at {} was restarted while the job was under way", config.role),
            "submit the job again",
        );
        let ended = store.recover(restarted, now_ms()).await?;
        if ended > 0 {
            tracing::warn!(ended, "jobs of the former process were ended");
        }
        let manager = Arc::new(Self {
            config,
            store,
            hub,
            engine,
            pool,
            slot: Semaphore::new(1),
            wake: Notify::new(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            under_way: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        match manager.config.role {
            Role::B => drop(tokio::spawn(coordinator::queue_loop(manager.clone()))),
            Role::A => {
                drop(tokio::spawn(participant::offer_loop(manager.clone(), invitations)));
            }
        }
        Ok(manager)
    }

    /// Ends all jobs for a shutdown, telling the peer. The queue stays.
    pub async fn shut_down(&self) {
        let failure = Failure::new(
            code::NODE_SHUTDOWN,
            Side::Client,
            format!("the node at {} was stopped while the job was under way", self.config.role),
            "submit the job again when the node runs",
        );
        self.closing.cancel();
        let jobs: Vec<_> = self.under_way().iter().map(|(id, job)| (*id, job.clone())).collect();
        for (id, job) in jobs {
            let failure = failure.clone().in_step(job.live.step());
            job.control.end(Cause::Local(failure.clone()));
            // What is still queued simply waits for the next start.
            let queued = self.store.get(id).await.is_ok_and(|r| r.state == State::Queued);
            if !queued {
                self.hub.abort(id, job.attempt, &failure);
                let details = Details {
                    failure: Some(failure),
                    progress: Some(job.live.progress()),
                    ..Details::default()
                };
                self.record_end(id, Event::Fail, details).await;
            }
        }
        self.stopped.cancel();
    }

    /// Records a job and returns it, or the job that this request id made before.
    ///
    /// # Errors
    /// An unacceptable specification, a reused request id, a full queue, IO.
    pub async fn submit(
        &self,
        request_id: String,
        spec: proto::JobSpec,
    ) -> Result<proto::Job, Failure> {
        if self.config.role == Role::A {
            return Err(Failure::new(
                code::JOB_WRONG_NODE,
                Side::Client,
                "this node is A; jobs are submitted to B",
                "connect to the label holder's node",
            ));
        }
        wire::check_request_id(&request_id)?;
        wire::check_spec(&spec)?;
        for name in [&spec.train_b, &spec.test_b] {
            coordinator::own_dataset(&self.config, name)?;
        }
        let id = JobId::random().map_err(|_| Failure::bug("random numbers"))?;
        let max = self.config.limits.max_queued_jobs;
        let record = self.store.submit(id, request_id, spec, now_ms(), max).await?;
        if record.id == id {
            tracing::info!(job = %id, "job submitted");
            self.notify();
            self.wake.notify_one();
        }
        Ok(self.view(record))
    }

    /// One job as clients see it.
    ///
    /// # Errors
    /// `job.unknown`, IO.
    pub async fn get(&self, id: JobId) -> Result<proto::Job, Failure> {
        Ok(self.view(self.store.get(id).await?))
    }

    /// The newest jobs, newest first.
    ///
    /// # Errors
    /// IO.
    pub async fn list(&self) -> Result<Vec<proto::Job>, Failure> {
        let records = self.store.list(LIST_LIMIT).await?;
        Ok(records.into_iter().map(|record| self.view(record)).collect())
    }

    /// Ends a job on both nodes. An ended job stays as it is.
    ///
    /// # Errors
    /// `job.unknown`, IO.
    pub async fn cancel(&self, id: JobId) -> Result<proto::Job, Failure> {
        let before = self.store.get(id).await?;
        if before.state.has_ended() {
            return Ok(self.view(before));
        }
        let under_way = self.under_way().get(&id).cloned();
        let details = Details {
            progress: under_way.as_ref().map(|job| job.live.progress()),
            ..Details::default()
        };
        match self.apply(id, Event::Cancel, details).await {
            Ok(record) => {
                tracing::info!(job = %id, "job cancelled by a client of this node");
                if let Some(job) = under_way {
                    job.control.end(Cause::Cancelled);
                    self.hub.abort(id, job.attempt, &Failure::cancelled(self.config.role.side()));
                }
                Ok(self.view(record))
            }
            // It ended at this very moment.
            Err(StoreError::Illegal(_)) => self.get(id).await,
            Err(other) => Err(other.into()),
        }
    }

    /// What a job computed.
    ///
    /// # Errors
    /// `job.no_result` until it has succeeded, and always at A.
    pub async fn result(&self, id: JobId) -> Result<proto::JobResult, Failure> {
        let record = self.store.get(id).await?;
        record.result.ok_or_else(|| {
            let (message, hint) = match (self.config.role, &record.failure) {
                (Role::A, _) => ("results are at B".to_owned(), String::new()),
                (_, Some(failure)) => (format!("the job failed: {failure}"), failure.hint.clone()),
                (_, None) => (format!("the job is {}", record.state), "watch it".to_owned()),
            };
            Failure::new(code::JOB_NO_RESULT, Side::Client, message, hint)
        })
    }

    /// Changes of states, for watchers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends when the node stops and all its jobs have been ended.
    pub fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    fn view(&self, record: JobRecord) -> proto::Job {
        let live = self.under_way().get(&record.id).map(|job| job.live.progress());
        wire::job(record, live)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<JobId, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// The job is under way from now on.
    pub(super) fn enlist(&self, id: JobId, attempt: u32, control: Arc<Control>, live: Arc<Live>) {
        self.under_way().insert(id, UnderWay { attempt, control, live });
    }

    pub(super) async fn apply(
        &self,
        id: JobId,
        event: Event,
        details: Details,
    ) -> Result<JobRecord, StoreError> {
        let record = self.store.apply(id, event, details, now_ms()).await?;
        self.notify();
        Ok(record)
    }

    /// Waits for an attempt at a job and persists how it ended. A job that is told to end does so
    /// now, even when its engine is in the middle of a computation; then only its thread remains,
    /// and this returns when that is gone too.
    pub(super) async fn see_through(
        &self,
        id: JobId,
        attempt: u32,
        control: &Control,
        live: &Live,
        work: impl Future<Output = Result<Option<proto::JobResult>, End>>,
    ) {
        tokio::pin!(work);
        let overdue = async {
            control.ended().await;
            if matches!(control.cause(), Some(Cause::Lost(_))) {
                // The peer's last messages may have arrived before it went.
                tokio::time::sleep(LAST_MESSAGES).await;
            }
        };
        let finished = tokio::select! {
            biased;
            outcome = &mut work => Some(outcome),
            () = overdue => None,
        };
        live.finish();
        match finished {
            Some(outcome) => self.conclude(id, attempt, live, outcome).await,
            None => {
                let end = control.cause().map_or(End::Cancelled, End::from_cause);
                self.conclude(id, attempt, live, Err(end)).await;
                // Its outcome no longer counts.
                let _ = work.await;
            }
        }
    }

    async fn conclude(
        &self,
        id: JobId,
        attempt: u32,
        live: &Live,
        outcome: Result<Option<proto::JobResult>, End>,
    ) {
        let progress = Some(live.progress());
        let (event, details) = match outcome {
            Ok(result) => {
                tracing::info!(job = %id, "job succeeded");
                (Event::Succeed, Details { result, progress, failure: None })
            }
            Err(End::Cancelled) => {
                tracing::info!(job = %id, "job cancelled");
                (Event::Cancel, Details { progress, ..Details::default() })
            }
            Err(End::Here(failure)) => {
                tracing::warn!(job = %id, "job failed: {failure}");
                self.hub.abort(id, attempt, &failure);
                (Event::Fail, Details { failure: Some(failure), progress, result: None })
            }
            Err(End::There(failure)) => {
                tracing::warn!(job = %id, "job ended: {failure}");
                (Event::Fail, Details { failure: Some(failure), progress, result: None })
            }
        };
        // During a shutdown `shut_down` decides, as a job that is still queued stays queued.
        if !self.closing.is_cancelled() {
            self.record_end(id, event, details).await;
        }
        self.under_way().remove(&id);
        self.notify();
    }

    async fn record_end(&self, id: JobId, event: Event, details: Details) {
        match self.apply(id, event, details).await {
            // Illegal: it ended before, by a cancellation for example, and that stands.
            Ok(_) | Err(StoreError::Illegal(_)) => {}
            Err(error) => {
                tracing::error!(job = %id, "the end of the job was not recorded: {error}");
            }
        }
    }
}

/// Unix time in milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
