//! One attempt at a job, from its claim to its recorded end. The same on both sides.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use caesar_proto::v1 as proto;
use tokio::time::sleep;

use super::{Cause, Control, Event, JobId, LAST_MESSAGES, Live, Manager, State, manager::now_ms};
use crate::{
    config::Role,
    error::{Failure, Side, code},
    store::{Details, JobRecord, StoreError},
    wire,
};

/// How often the time limit of a phase is checked.
const PHASE_CHECK: Duration = Duration::from_millis(500);
/// Between two tries to record an end that the disk does not take.
const RECORD_AGAIN: Duration = Duration::from_secs(2);

/// An attempt that is under way at this node.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub(super) attempt: u32,
    pub(super) control: Arc<Control>,
    pub(super) live: Arc<Live>,
}

/// The right to work on a job: one attempt at a time, until its thread is gone.
#[derive(Debug)]
pub(super) struct Claim {
    manager: Arc<Manager>,
    job: JobId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.manager.claimed().remove(&self.job);
        self.manager.freed.notify_waiters();
    }
}

/// How an attempt ended early.
#[derive(Debug)]
pub(super) enum End {
    /// Somebody has recorded the end of the job already.
    Recorded,
    /// The job fails.
    Failed(Failure),
    /// The job goes back to the queue.
    Again(Failure),
}

impl From<&Cause> for End {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Cancelled | Cause::Peer(_) => End::Recorded,
            Cause::Lost(f) | Cause::Local(f) => End::Failed(f.clone()),
            Cause::Interrupted(f) => End::Again(f.clone()),
        }
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        End::Failed(failure)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        match error {
            // Somebody ended the job between two steps.
            StoreError::Illegal(_) => End::Recorded,
            other => End::Failed(other.into()),
        }
    }
}

/// How an attempt ends that was told to.
pub(super) fn end(control: &Control) -> End {
    control.cause().map_or_else(|| End::Failed(Failure::bug("job::control")), End::from)
}

/// How an attempt ends whose engine failed: if it was told to end, that is the reason. A disk that is
/// full or refuses costs the attempt, not what it has computed so far.
pub(super) fn end_of(control: &Control, failure: Failure) -> End {
    match control.cause() {
        Some(cause) => End::from(cause),
        None if failure.code == code::IO_CHECKPOINT => End::Again(failure),
        None => End::Failed(failure),
    }
}

impl Manager {
    pub(super) fn under_way(&self) -> MutexGuard<'_, HashMap<JobId, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job's attempt, if one is under way.
    pub(super) fn attempt_of(&self, id: JobId) -> Option<UnderWay> {
        self.under_way().get(&id).cloned()
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<JobId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to work on a job, if nobody has it.
    pub(super) fn try_claim(self: &Arc<Self>, job: JobId) -> Option<Claim> {
        let free = self.claimed().insert(job);
        free.then(|| Claim { manager: self.clone(), job })
    }

    /// Waits until the thread of a former attempt is gone, which ends at its next message.
    pub(super) async fn claim(self: &Arc<Self>, job: JobId) -> Claim {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(claim) = self.try_claim(job) {
                return claim;
            }
            freed.await;
        }
    }

    /// The attempt is under way from now on.
    pub(super) fn enlist(&self, id: JobId, attempt: u32, control: Arc<Control>, live: Arc<Live>) {
        self.under_way().insert(id, UnderWay { attempt, control, live });
        self.notify();
    }

    /// Waits for an attempt and records how it ended. An attempt that is told to end does so now, even
    /// when its engine is in the middle of a computation; then only its thread remains, and this
    /// returns when that is gone too.
    pub(super) async fn see_through(
        self: &Arc<Self>,
        id: JobId,
        attempt: u32,
        control: &Control,
        live: &Live,
        work: impl Future<Output = Result<Option<proto::JobResult>, End>>,
    ) {
        tokio::pin!(work);
        let overdue = async {
            control.ended().await;
            if control.succeeded_there() {
                // The last messages may still be on their way.
                sleep(LAST_MESSAGES).await;
            }
        };
        let finished = tokio::select! {
            biased;
            outcome = &mut work => Some(outcome),
            () = overdue => None,
            () = self.watch_phases(control, live) => None,
        };
        live.finish();
        match finished {
            Some(outcome) => self.conclude(id, attempt, live, outcome).await,
            None => {
                self.conclude(id, attempt, live, Err(end(control))).await;
                // Its outcome no longer counts.
                let _ = work.await;
            }
        }
    }

    /// Ends the job when a phase takes longer than it may.
    async fn watch_phases(&self, control: &Control, live: &Live) {
        let limit = self.config.limits.phase_timeout();
        loop {
            sleep(PHASE_CHECK).await;
            let (phase, elapsed) = live.phase();
            if elapsed > limit {
                let failure = Failure::new(
                    code::JOB_PHASE_TIMEOUT,
                    Side::Client,
                    format!("the phase {phase} took longer than {} s", limit.as_secs()),
                    "raise limits.phase_timeout_seconds at both nodes, or make the job smaller",
                );
                control.end(Cause::Local(failure.in_step(live.step())));
                return;
            }
        }
    }

    async fn conclude(
        self: &Arc<Self>,
        id: JobId,
        attempt: u32,
        live: &Live,
        outcome: Result<Option<proto::JobResult>, End>,
    ) {
        let progress = Some(live.progress());
        // B's end of a job is the end.
        let decided = self.config.role == Role::B;
        let details = Details { progress, decided, ..Details::default() };
        match outcome {
            Ok(result) => {
                tracing::info!(job = %id, "job succeeded");
                self.end_job(id, Event::Succeed, Details { result, ..details }).await;
            }
            Err(End::Recorded) => {}
            Err(End::Failed(failure)) => {
                tracing::warn!(job = %id, "job failed: {failure}");
                let failure = Some(failure);
                self.end_job(id, Event::Fail, Details { failure, ..details }).await;
            }
            Err(End::Again(why)) => self.requeue(id, attempt, &why).await,
        }
        self.under_way().remove(&id);
        self.wake.notify_one();
        self.notify();
    }

    /// Records the end of a job, unless it has one, and tells the peer.
    pub(super) async fn end_job(self: &Arc<Self>, id: JobId, event: Event, details: Details) {
        if let Some(record) = self.record(id, event, details).await {
            self.tell_standing(&record);
            self.clean(&record);
        }
    }

    /// The attempt is over; the job waits for the next one.
    pub(super) async fn requeue(self: &Arc<Self>, id: JobId, attempt: u32, why: &Failure) {
        let details = Details { failure: Some(why.clone()), ..Details::default() };
        if let Some(record) = self.record(id, Event::Restart, details).await
            && record.state == State::Queued
        {
            let next = record.attempt;
            tracing::warn!(job = %id, next, "the job goes back to the queue: {why}");
            // If the peer began it, it has no such attempt any more.
            self.hub.interrupt(id, attempt, why);
        }
    }

    /// Applies an event, again and again while the disk does not take it: a job must not keep a state
    /// that is not true. `None` if the job has ended already, or the node stops.
    pub(super) async fn record(
        &self,
        id: JobId,
        event: Event,
        details: Details,
    ) -> Option<JobRecord> {
        loop {
            match self.apply(id, event, details.clone()).await {
                Ok(record) => return Some(record),
                Err(StoreError::Illegal(_) | StoreError::Unknown | StoreError::Stopping) => {
                    return None;
                }
                Err(error) => {
                    tracing::error!(job = %id, "the job's state is not recorded: {error}");
                }
            }
            tokio::select! {
                () = self.stopped.cancelled() => return None,
                () = sleep(RECORD_AGAIN) => {}
            }
        }
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

    /// Tells the peer how the job stands here.
    pub(super) fn tell_standing(&self, record: &JobRecord) {
        let outcome = wire::outcome(record.state);
        self.hub.standing(record.id, outcome, record.failure.as_ref());
    }
}
