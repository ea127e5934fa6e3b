//! What the job API stands on: submission, queries, cancellation.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use caesar_proto::v1 as proto;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Cause, Engine, Event, JobId, State,
    attempt::UnderWay,
    coordinator,
    notices::{absence_loop, notice_loop},
};
use crate::{
    checkpoint::Checkpoints,
    config::{Config, Role},
    error::{Failure, Side, code},
    peer::{Hub, Notice, Status},
    store::{Details, JobRecord, Store, StoreError},
    wire,
};

/// How many jobs a listing has at most.
const LIST_LIMIT: u32 = 500;
/// How often old jobs are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

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
    /// What attempts leave for the next one.
    pub checkpoints: Checkpoints,
}

/// All jobs of this node.
#[derive(Debug)]
pub struct Manager {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) hub: Arc<Hub>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) checkpoints: Checkpoints,
    /// Attempts that may compute at the same time.
    pub(super) slots: Arc<Semaphore>,
    /// Wakes the queue of B.
    pub(super) wake: Notify,
    /// The node is about to stop: attempts are ended by [`Manager::shut_down`], nothing new begins.
    pub(super) closing: CancellationToken,
    /// All attempts have been ended; watchers may go.
    pub(super) stopped: CancellationToken,
    pub(super) under_way: Mutex<HashMap<JobId, UnderWay>>,
    /// Jobs that somebody works on, see `Claim`.
    pub(super) claimed: Mutex<HashSet<JobId>>,
    /// A claim was given up.
    pub(super) freed: Notify,
    /// Counts changes of states, for watchers.
    changes: watch::Sender<u64>,
}

impl Manager {
    /// Puts back into the queue what a former process left, then starts working.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn start(
        parts: ManagerConfig,
        notices: mpsc::Receiver<Notice>,
    ) -> Result<Arc<Self>, Failure> {
        let ManagerConfig { config, store, hub, engine, checkpoints } = parts;
        let why = Failure::new(
            code::NODE_RESTARTED,
            config.role.side(),
            format!("the node at {} was restarted", config.role),
            "",
        );
        let requeued = store.recover(why, now_ms()).await?;
        if requeued > 0 {
            tracing::warn!(requeued, "jobs of the former process go on");
        }
        let unended: HashSet<_> = store.undecided().await?.iter().map(|job| job.id).collect();
        for job in &unended {
            // Better now than when the job's turn comes.
            checkpoints.open(*job)?;
        }
        match checkpoints.keep_only(&unended) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "checkpoints of ended jobs were removed"),
            Err(error) => tracing::warn!("checkpoints of ended jobs are not removed: {error}"),
        }
        let slots = Arc::new(Semaphore::new(config.limits.max_running_jobs as usize));
        let manager = Arc::new(Self {
            config,
            store,
            hub,
            engine,
            checkpoints,
            slots,
            wake: Notify::new(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            under_way: Mutex::default(),
            claimed: Mutex::default(),
            freed: Notify::new(),
            changes: watch::Sender::new(0),
        });
        tokio::spawn(notice_loop(manager.clone(), notices));
        tokio::spawn(absence_loop(manager.clone()));
        tokio::spawn(forget_loop(manager.clone()));
        if manager.config.role == Role::B {
            tokio::spawn(coordinator::queue_loop(manager.clone()));
        }
        Ok(manager)
    }

    /// Ends all attempts for a shutdown, telling the peer. Their jobs go back to the queue.
    pub async fn shut_down(self: &Arc<Self>) {
        let failure = Failure::new(
            code::NODE_SHUTDOWN,
            Side::Client,
            format!("the node at {} was stopped", self.config.role),
            "the job goes on when the node runs again",
        );
        self.closing.cancel();
        let jobs: Vec<_> = self.under_way().iter().map(|(id, job)| (*id, job.clone())).collect();
        for (id, job) in jobs {
            job.control.end(Cause::Interrupted(failure.clone().in_step(job.live.step())));
            self.requeue(id, job.attempt, &failure).await;
        }
        // On its heels, so that the peer does not offer anything more.
        self.hub.say_goodbye();
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
        // A divided training set has no test set beside it.
        for name in [&spec.train_b, &spec.test_b].into_iter().filter(|name| !name.is_empty()) {
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

    /// Ends a job on both nodes. An ended job stays as it is. At A the job may turn out to have ended
    /// otherwise at B before; that is what counts then.
    ///
    /// # Errors
    /// `job.unknown`, IO.
    pub async fn cancel(self: &Arc<Self>, id: JobId) -> Result<proto::Job, Failure> {
        let before = self.store.get(id).await?;
        if before.state.has_ended() {
            return Ok(self.view(before));
        }
        let under_way = self.attempt_of(id);
        let details = Details {
            progress: under_way.as_ref().map(|job| job.live.progress()),
            decided: self.config.role == Role::B,
            ..Details::default()
        };
        match self.apply(id, Event::Cancel, details).await {
            Ok(record) => {
                tracing::info!(job = %id, "job cancelled by a client of this node");
                if let Some(job) = under_way {
                    job.control.end(Cause::Cancelled);
                }
                self.tell_standing(&record);
                self.clean(&record);
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

    /// Ends when the node begins to stop.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Ends when the node stops and all its jobs have been ended.
    pub fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    fn view(&self, record: JobRecord) -> proto::Job {
        let live = self.attempt_of(record.id).map(|job| job.live.progress());
        let progress = match live {
            _ if record.state.has_ended() => None,
            Some(progress) => Some(self.explain(progress)),
            None if record.state == State::Queued => Some(self.queued(&record)),
            None => None,
        };
        wire::job(record, progress)
    }

    /// Whom a job waits for, and why that may take longer.
    fn explain(&self, mut progress: proto::Progress) -> proto::Progress {
        if progress.waiting_seconds > 0.0 {
            progress.waiting_for.clone_from(&self.hub.peer);
        }
        progress.round_trip_seconds = self.hub.round_trip().map_or(0.0, |d| d.as_secs_f64());
        if let Status::Down { why, .. } = &*self.hub.watch().borrow() {
            progress.not_connected.clone_from(&why.message);
        }
        progress
    }

    /// What a queued job waits for: at B its turn, at A the peer.
    fn queued(&self, record: &JobRecord) -> proto::Progress {
        let mut progress = proto::Progress {
            phase: "queued".to_owned(),
            step: "turn".to_owned(),
            eta_seconds: -1.0,
            ..proto::Progress::default()
        };
        if self.config.role == Role::A {
            progress.step = "offer".to_owned();
            progress.waiting_seconds = now_ms().saturating_sub(record.changed_ms) as f64 / 1000.0;
            progress = self.explain(progress);
        }
        progress
    }

    pub(super) fn notify(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Removes the checkpoints of a job that has ended for both sides, when the last one who works on
    /// it has gone.
    pub(super) fn clean(self: &Arc<Self>, record: &JobRecord) {
        if !record.decided {
            return;
        }
        let (manager, job) = (self.clone(), record.id);
        tokio::spawn(async move {
            let _claim = manager.claim(job).await;
            let checkpoints = manager.checkpoints.clone();
            let removed = tokio::task::spawn_blocking(move || checkpoints.remove(job)).await;
            if let Ok(Err(error)) = removed {
                // The next start tries again.
                tracing::warn!(%job, "the job's checkpoints are not removed: {error}");
            }
        });
    }
}

/// Forgets jobs that ended long ago, until the node stops.
async fn forget_loop(manager: Arc<Manager>) {
    let limits = &manager.config.limits;
    loop {
        let before = now_ms().saturating_sub(limits.keep_ended().as_millis() as u64);
        match manager.store.forget(before, limits.keep_ended_jobs).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "old jobs were forgotten"),
            Err(error) => tracing::error!("old jobs cannot be forgotten: {error}"),
        }
        tokio::select! {
            () = manager.closing.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// Unix time in milliseconds.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
