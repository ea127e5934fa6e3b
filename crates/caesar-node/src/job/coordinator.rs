//! A job's life at B: wait for its turn, load, offer, compute.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{self as proto, Offer};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Context, Control, Event, JobId, Live, Manager,
    attempt::{End, end, end_of},
    load::{Tables, load},
    run::compute,
};
use crate::{
    config::{Config, Dataset, Role},
    error::{Failure, Side, code},
    peer::{JobLink, Route},
    store::{Details, JobRecord},
    wire,
};

/// How long a job that has failed already waits for A, to tell it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the last frames of a job that has succeeded may take to leave.
const LAST_FRAMES: Duration = Duration::from_secs(2);
/// How long A's profile may take after that.
const LAST_PROFILE: Duration = Duration::from_secs(5);
/// Pause before the second attempt; each further one waits longer, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Begins attempts at queued jobs as slots become free, until the node stops.
pub(super) async fn queue_loop(manager: Arc<Manager>) {
    loop {
        // The semaphore is never closed.
        let slot = tokio::select! {
            () = manager.closing.cancelled() => return,
            Ok(slot) = manager.slots.clone().acquire_owned() => slot,
        };
        let woken = manager.wake.notified();
        match next(&manager).await {
            Ok(Some(record)) => begin(&manager, record, slot),
            Ok(None) => {
                drop(slot);
                tokio::select! {
                    () = woken => {}
                    () = manager.closing.cancelled() => return,
                }
            }
            Err(failure) => {
                tracing::error!("the queue cannot be read: {failure}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The first queued job that nobody attends to.
async fn next(manager: &Manager) -> Result<Option<JobRecord>, Failure> {
    let queued = manager.store.queued().await?;
    let under_way = manager.under_way();
    Ok(queued.into_iter().find(|record| !under_way.contains_key(&record.id)))
}

fn begin(manager: &Arc<Manager>, record: JobRecord, slot: OwnedSemaphorePermit) {
    let (control, live) = (Arc::new(Control::default()), Arc::new(Live::default()));
    // Before anything waits, so that the queue does not see the job again.
    manager.enlist(record.id, record.attempt, control.clone(), live.clone());
    let manager = manager.clone();
    tokio::spawn(async move {
        let _slot = slot;
        let _claim = manager.claim(record.id).await;
        let work = async {
            tokio::select! {
                () = control.ended() => return Err(end(&control)),
                () = tokio::time::sleep(pause(record.attempt)) => {}
            }
            // Ended between the query and the enlisting: nobody would have told us.
            let now = manager.store.get(record.id).await?;
            if now.state != record.state {
                return Err(End::Recorded);
            }
            check_attempts(&manager, &record)?;
            attempt_job(&manager, &record, &control, &live).await.map(Some)
        };
        manager.see_through(record.id, record.attempt, &control, &live, work).await;
    });
}

/// A job that kills its node must not do so for ever.
fn check_attempts(manager: &Manager, record: &JobRecord) -> Result<(), Failure> {
    let most = manager.config.limits.max_attempts;
    if record.attempt <= most {
        return Ok(());
    }
    let last = record.interrupted.as_ref().map_or("", |failure| &failure.message);
    Err(Failure::new(
        code::JOB_TOO_MANY_ATTEMPTS,
        Side::Both,
        format!("the job was interrupted {most} times, the last time because: {last}"),
        "find out why the nodes do not stay up; limits.max_attempts is the number",
    ))
}

fn pause(attempt: u32) -> Duration {
    (FIRST_PAUSE * attempt.saturating_sub(1)).min(LONGEST_PAUSE)
}

async fn attempt_job(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
) -> Result<proto::JobResult, End> {
    let tables_and_route = async {
        let tables = match prepare(manager, record, live).await {
            Ok(tables) => tables,
            Err(failure) => return Err(fail_openly(manager, record, control, live, failure).await),
        };
        live.prepare("connect");
        let waiting = live.waiting();
        let limits = &manager.config.limits;
        // Of a first attempt nothing is lost; a later one waits for a node that was restarted.
        let limit =
            if record.attempt > 1 { limits.reconnect_timeout() } else { limits.peer_timeout() };
        manager.hub.wait_up(limit).await?;
        drop(waiting);
        let mut route = offer(manager, record, control, live).await?;
        let waiting = live.waiting();
        route.accepted().await?;
        drop(waiting);
        manager.apply(record.id, Event::Accept, Details::default()).await?;
        tracing::info!(job = %record.id, attempt = record.attempt, "job accepted by the peer");
        Ok((tables, route))
    };
    let (tables, route) = tokio::select! {
        biased;
        () = control.ended() => return Err(end(control)),
        ready = tables_and_route => ready?,
    };
    train(manager, record, control, live, tables, route).await
}

async fn prepare(
    manager: &Arc<Manager>,
    record: &JobRecord,
    live: &Live,
) -> Result<Tables, Failure> {
    live.prepare("load");
    let config = &manager.config;
    let train = own_dataset(config, &record.spec.train_b)?;
    let test = match record.spec.test_b.as_str() {
        "" => None,
        name => Some(own_dataset(config, name)?),
    };
    load(config, &record.spec, train, test, live).await
}

/// B's own data is at fault. A's operator waits for the job as well, so A is told of it, if it is
/// there, and then why it ends.
async fn fail_openly(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
    failure: Failure,
) -> End {
    let told = async {
        manager.hub.wait_up(PATIENCE).await?;
        offer(manager, record, control, live).await.map(drop)
    };
    match told.await {
        Err(End::Recorded) => End::Recorded,
        Err(End::Failed(untold) | End::Again(untold)) => {
            tracing::info!(job = %record.id, "A does not hear of the job: {untold}");
            End::Failed(failure)
        }
        // The end of the job follows on the heels of the offer.
        Ok(()) => End::Failed(failure),
    }
}

/// Records the offer and makes it.
async fn offer(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
) -> Result<Route, End> {
    live.prepare("offer");
    let offer = Offer {
        job: record.id.as_bytes().to_vec(),
        attempt: record.attempt,
        parameters: wire::parameters(&record.spec)?.1,
        train_a: record.spec.train_a.clone(),
        test_a: record.spec.test_a.clone(),
        name: record.spec.name.clone(),
        features_a: record.spec.features_a.clone(),
        split_hash: record.spec.split_hash.clone(),
        split_column: wire::split_column_for_a(&record.spec),
    };
    manager.apply(record.id, Event::Offer, Details::default()).await?;
    let (control, live) = (control.clone(), live.clone());
    Ok(manager.hub.open(record.id, record.attempt, control, live, Some(offer))?)
}

async fn train(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
    tables: Tables,
    mut route: Route,
) -> Result<proto::JobResult, End> {
    let link = JobLink::new(&mut route, control.clone(), live.clone())?;
    let (options, train_limit) = wire::label_options(&record.spec)?;
    let context = Context {
        job: record.id,
        attempt: record.attempt,
        certificate_a: manager.config.peer.fingerprint,
        certificate_b: manager.config.material.fingerprint(),
        parameters: wire::parameters(&record.spec)?.0,
        options,
        train_limit,
    };
    let vault = Box::new(manager.checkpoints.open(record.id)?);
    let (engine, observer) = (manager.engine.clone(), live.clone());
    let work = move || engine.run_b(&context, tables.train, tables.test, link, vault, observer);
    let computed = compute(manager.config.limits.threads, work).await;
    live.finish();
    let mut result = computed.map_err(|failure| end_of(control, failure))?;
    let (profile, product) = live.profile();
    route.flushed(LAST_FRAMES).await;
    let (sent, received) = live.traffic();
    result.job_id = record.id.to_string();
    result.seconds_psi = live.seconds("psi");
    result.seconds_setup = live.seconds("setup");
    result.seconds_train = live.seconds("train");
    result.seconds_eval = live.seconds("evaluate");
    result.seconds_total = live.seconds_total();
    result.bytes_a_to_b = received;
    result.bytes_b_to_a = sent;
    let own = wire::own_profile(manager.config.role, &profile, product);
    result.profile = both_profiles(record.id, &route, own, live).await;
    Ok(result)
}

/// A's profile, if A tells it in time, and B's own, with what the steps should have taken.
async fn both_profiles(
    job: JobId,
    route: &Route,
    own: proto::PartyProfile,
    live: &Live,
) -> Vec<proto::PartyProfile> {
    let [costs_a, costs_b] = live.costs();
    let mut both = Vec::with_capacity(2);
    match route.peer_profile(LAST_PROFILE).await {
        Some(peer) => both.push((peer, costs_a)),
        None => tracing::warn!(%job, "A does not tell where its time went"),
    }
    both.push((own, costs_b));
    let predicted = both.into_iter().map(|(mut profile, costs)| {
        wire::predict(&mut profile, &costs);
        profile
    });
    predicted.collect()
}

/// The catalogue entry of B with this name.
pub(super) fn own_dataset<'a>(config: &'a Config, name: &str) -> Result<&'a Dataset, Failure> {
    debug_assert_eq!(config.role, Role::B);
    config.dataset(name).ok_or_else(|| {
        Failure::new(
            code::DATASET_UNKNOWN,
            Side::B,
            format!("B's catalogue has no data set `{name}`"),
            "add it to [[datasets]] of B's node, or correct the name in the job",
        )
    })
}
