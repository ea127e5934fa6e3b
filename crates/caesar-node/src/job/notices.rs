//! What the peer says about jobs, and what follows from it. B's word on the end of a job decides; A's
//! is taken over by B if it comes first (docs/STATE_MACHINE.md).

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{Outcome, Standing};
use tokio::{sync::mpsc, time::timeout};

use super::{Cause, Event, JobId, LAST_MESSAGES, Manager, State, Verdict, participant};
use crate::{
    config::Role,
    error::{Failure, Side, code},
    peer::{Notice, Status},
    store::{Details, StoreError},
    wire,
};

/// Listens to the peer until the node stops.
pub(super) async fn notice_loop(manager: Arc<Manager>, mut notices: mpsc::Receiver<Notice>) {
    loop {
        let notice = tokio::select! {
            () = manager.closing.cancelled() => return,
            notice = notices.recv() => notice,
        };
        let Some(notice) = notice else { return };
        match notice {
            Notice::Connected => drop(tokio::spawn(ask(manager.clone()))),
            Notice::Offer(offer) => participant::offered(&manager, offer).await,
            Notice::Standing(standing) => {
                drop(tokio::spawn(hear(manager.clone(), standing)));
            }
            Notice::Interrupt(interrupt) => {
                let Some(job) = JobId::from_slice(&interrupt.job) else { continue };
                let under_way = manager.attempt_of(job);
                if let Some(job) = under_way.filter(|job| job.attempt == interrupt.attempt) {
                    let why = wire::failure(interrupt.reason, manager.config.role.other().side());
                    job.control.end(Cause::Interrupted(why));
                }
            }
            Notice::Stray { job, attempt } => stray(&manager, job, attempt).await,
        }
    }
}

/// A, on each new connection: how its jobs stand on which it does not have B's word.
async fn ask(manager: Arc<Manager>) {
    if manager.config.role == Role::B {
        return;
    }
    match manager.store.undecided().await {
        // There are few: B does not offer new jobs while A cannot hear of old ones.
        Ok(jobs) => jobs.iter().for_each(|record| manager.tell_standing(record)),
        Err(error) => {
            tracing::error!("the jobs cannot be read: {error}");
            // The next connection asks.
            manager.hub.close();
        }
    }
}

async fn hear(manager: Arc<Manager>, standing: Standing) {
    let Some(job) = JobId::from_slice(&standing.job) else { return };
    let peer = manager.config.role.other().side();
    let verdict = match standing.outcome() {
        Outcome::UnderWay => None,
        Outcome::Succeeded => Some(Verdict::Succeeded),
        Outcome::Cancelled => Some(Verdict::Cancelled),
        Outcome::Failed => Some(Verdict::Failed(wire::failure(standing.reason, peer))),
    };
    match (manager.config.role, verdict) {
        (Role::A, Some(verdict)) => settle(&manager, job, verdict).await,
        (Role::A, None) => {}
        (Role::B, verdict) => decide(&manager, job, verdict).await,
    }
}

/// A: B has said how the job ended.
async fn settle(manager: &Arc<Manager>, job: JobId, verdict: Verdict) {
    let under_way = manager.attempt_of(job);
    if let Some(under_way) = &under_way {
        under_way.control.end(Cause::Peer(verdict.clone()));
        if verdict == Verdict::Succeeded {
            // The engine still takes its last message, so that both sides count the same bytes.
            let gone = async {
                let mut changes = manager.changes();
                while manager.attempt_of(job).is_some() && changes.changed().await.is_ok() {}
            };
            let _ = timeout(2 * LAST_MESSAGES, gone).await;
        }
    }
    let (event, progress) = (verdict.decided(), under_way.map(|job| job.live.progress()));
    let failure = verdict.failure();
    let details = Details { failure, progress, decided: true, result: None };
    if let Some(record) = manager.record(job, event, details).await {
        tracing::info!(%job, "B says that the job is {}", record.state);
        manager.clean(&record);
    }
}

/// B: takes over how the job ended at A, unless it has ended here, and says how it ended.
async fn decide(manager: &Arc<Manager>, job: JobId, verdict: Option<Verdict>) {
    let record = match manager.store.get(job).await {
        Ok(record) => record,
        Err(StoreError::Unknown) => {
            let unknown = Failure::new(
                code::JOB_UNKNOWN,
                Side::B,
                "B does not know the job",
                "see whether B's data_dir is the right one; submit the job again",
            );
            return manager.hub.standing(job, Outcome::Failed, Some(&unknown));
        }
        // A asks again.
        Err(error) => return tracing::error!("the job cannot be read: {error}"),
    };
    if record.state.has_ended() {
        return manager.tell_standing(&record);
    }
    let (event, failure) = match &verdict {
        None => return,
        Some(Verdict::Cancelled) => (Event::Cancel, None),
        Some(Verdict::Failed(failure)) => (Event::Fail, Some(failure.clone())),
        Some(Verdict::Succeeded) => {
            // A has this from B, so B has lost its own record of it.
            let lost = Failure::new(
                code::PEER_DISAGREEMENT,
                Side::B,
                "the job has succeeded, but B has lost its result",
                "see whether B's data_dir was put back to an older state; submit the job again",
            );
            (Event::Fail, Some(lost))
        }
    };
    tracing::warn!(%job, "the job has ended at A");
    let under_way = manager.attempt_of(job);
    let progress = under_way.as_ref().map(|job| job.live.progress());
    let details = Details { failure, progress, decided: true, result: None };
    manager.end_job(job, event, details).await;
    if let (Some(under_way), Some(verdict)) = (under_way, verdict) {
        under_way.control.end(Cause::Peer(verdict));
    }
}

/// The peer goes on with an attempt that is not under way here.
async fn stray(manager: &Arc<Manager>, job: JobId, attempt: u32) {
    if manager.attempt_of(job).is_some_and(|job| job.attempt == attempt) {
        // It begins or ends at this moment; either way the peer will hear of it.
        return;
    }
    match manager.store.get(job).await {
        Ok(record) if record.state.has_ended() => manager.tell_standing(&record),
        Ok(_) => {
            let role = manager.config.role;
            let over = Failure::new(
                code::NODE_RESTARTED,
                Side::Client,
                format!("{role} does not work on this attempt any more"),
                "nothing: the job goes on by itself",
            );
            manager.hub.interrupt(job, attempt, &over);
        }
        Err(StoreError::Unknown) => {
            if manager.config.role == Role::B {
                decide(manager, job, None).await;
            }
        }
        Err(error) => tracing::error!("the job cannot be read: {error}"),
    }
}

/// Ends what waits for a peer that does not come back.
pub(super) async fn absence_loop(manager: Arc<Manager>) {
    let limit = manager.config.limits.reconnect_timeout();
    let hub = &manager.hub;
    loop {
        hub.until_down().await;
        tokio::select! {
            () = manager.closing.cancelled() => return,
            () = hub.until_up() => {}
            () = tokio::time::sleep(limit) => {
                give_up(&manager, limit).await;
                tokio::select! {
                    () = manager.closing.cancelled() => return,
                    () = hub.until_up() => {}
                }
            }
        }
    }
}

async fn give_up(manager: &Arc<Manager>, limit: Duration) {
    let status = manager.hub.watch().borrow().clone();
    let Status::Down { why, .. } = status else { return };
    let failure =
        manager.hub.lost(&format!("no connection for {} s: {}", limit.as_secs(), why.message));
    manager.hub.expire(&failure);
    if manager.config.role == Role::B {
        // What is queued at B waits for nothing but its turn.
        return;
    }
    let queued = manager.store.undecided().await.unwrap_or_default();
    for record in queued.into_iter().filter(|record| record.state == State::Queued) {
        let details = Details { failure: Some(failure.clone()), ..Details::default() };
        manager.end_job(record.id, Event::Fail, details).await;
    }
}
