//! A job's life at B: wait for its turn, load, offer, compute.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{self as proto, Offer, peer_message::Kind};

use super::{
    Context, Control, Event, Live, Manager,
    load::{Tables, load},
    manager::End,
    run::compute,
};
use crate::{
    config::{Config, Dataset, Role},
    error::{Failure, Side, code},
    peer::{JobLink, Outgoing, Route},
    store::{Details, JobRecord},
    wire,
};

/// How long a job that has failed already waits for A, to tell it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs queued jobs one after the other until the node stops.
pub(super) async fn queue_loop(manager: Arc<Manager>) {
    loop {
        let woken = manager.wake.notified();
        match manager.store.next_queued().await {
            Ok(Some(record)) => run(&manager, record).await,
            Ok(None) => tokio::select! {
                () = woken => {}
                () = manager.closing.cancelled() => {}
            },
            Err(error) => {
                tracing::error!("the queue cannot be read: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        if manager.closing.is_cancelled() {
            return;
        }
    }
}

async fn run(manager: &Arc<Manager>, record: JobRecord) {
    let (control, live) = (Arc::new(Control::default()), Arc::new(Live::default()));
    let (id, attempt) = (record.id, record.attempt);
    manager.enlist(id, attempt, control.clone(), live.clone());
    let work = async {
        // Cancelled between the query and the enlisting: nobody would have told us.
        let now = manager.store.get(id).await?;
        if now.state != record.state {
            return Err(End::Cancelled);
        }
        attempt_job(manager, &record, &control, &live).await.map(Some)
    };
    manager.see_through(id, attempt, &control, &live, work).await;
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
        let hub = &manager.hub;
        live.prepare("connect");
        let waiting = live.waiting();
        let outgoing = hub.wait_up(manager.config.limits.peer_timeout()).await?;
        drop(waiting);
        let mut route = offer(manager, record, control, live, outgoing).await?;
        accepted(manager, record, live, &mut route).await?;
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
    let test = own_dataset(config, &record.spec.test_b)?;
    load(config, train, test).await
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
        let outgoing = manager.hub.wait_up(PATIENCE).await?;
        offer(manager, record, control, live, outgoing).await
    };
    match told.await {
        // The job ends at A as well, by an abort on the heels of the offer.
        Ok(_) => End::Here(failure),
        Err(End::Cancelled) => End::Cancelled,
        Err(End::Here(untold) | End::There(untold)) => {
            tracing::info!(job = %record.id, "A does not hear of the job: {untold}");
            End::Here(failure)
        }
    }
}

/// Records the offer and makes it.
async fn offer(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
    outgoing: Outgoing,
) -> Result<Route, End> {
    let (control, shown) = (control.clone(), live.clone());
    let route = manager.hub.open(record.id, record.attempt, outgoing, control, shown)?;
    manager.apply(record.id, Event::Offer, Details::default()).await?;
    live.prepare("offer");
    let offer = Offer {
        job: record.id.as_bytes().to_vec(),
        attempt: record.attempt,
        parameters: wire::parameters(&record.spec)?.1,
        train_a: record.spec.train_a.clone(),
        test_a: record.spec.test_a.clone(),
        name: record.spec.name.clone(),
    };
    route.send(Kind::Offer(offer), live).await?;
    Ok(route)
}

/// Waits for A's answer and records that it accepts.
async fn accepted(
    manager: &Manager,
    record: &JobRecord,
    live: &Live,
    route: &mut Route,
) -> Result<(), End> {
    let waiting = live.waiting();
    let answer = route.answer().await?;
    drop(waiting);
    if let Some(refusal) = answer.refusal {
        return Err(End::There(wire::failure(Some(refusal), Side::A)));
    }
    manager.apply(record.id, Event::Accept, Details::default()).await?;
    tracing::info!(job = %record.id, "job accepted by the peer");
    Ok(())
}

async fn train(
    manager: &Arc<Manager>,
    record: &JobRecord,
    control: &Arc<Control>,
    live: &Arc<Live>,
    tables: Tables,
    mut route: Route,
) -> Result<proto::JobResult, End> {
    let limits = &manager.config.limits;
    let link = JobLink::new(
        &mut route,
        record.id,
        control.clone(),
        live.clone(),
        limits.step_timeout(),
        limits.max_message_bytes(),
    )?;
    let context = Context {
        job: record.id,
        attempt: record.attempt,
        certificate_a: manager.config.peer.fingerprint,
        certificate_b: manager.config.material.fingerprint(),
        parameters: wire::parameters(&record.spec)?.0,
    };
    let (engine, observer) = (manager.engine.clone(), live.clone());
    let work = move || engine.run_b(&context, tables.train, tables.test, link, observer);
    let computed = compute(manager.pool.clone(), work).await;
    live.finish();
    let mut result = computed.map_err(|failure| end_of(control, failure))?;
    let (sent, received) = live.traffic();
    result.job_id = record.id.to_string();
    result.seconds_psi = live.seconds("psi");
    result.seconds_setup = live.seconds("setup");
    result.seconds_train = live.seconds("train");
    result.seconds_eval = live.seconds("evaluate");
    result.seconds_total = live.seconds_total();
    result.bytes_a_to_b = received;
    result.bytes_b_to_a = sent;
    Ok(result)
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

/// How a job ends that was told to.
pub(super) fn end(control: &Control) -> End {
    control.cause().map_or_else(|| End::Here(Failure::bug("job::control")), End::from_cause)
}

/// How a job ends whose engine failed: if it was told to end, that is the reason.
pub(super) fn end_of(control: &Control, failure: Failure) -> End {
    control.cause().map_or(End::Here(failure), End::from_cause)
}
