//! A job's life at A: an offer arrives, the catalogue decides, the data is loaded, both compute.

use std::sync::Arc;

use caesar_proto::v1::{Answer, JobSpec, peer_message::Kind};
use tokio::sync::mpsc;

use super::{
    Context, Event, Manager,
    coordinator::{end, end_of},
    load::load,
    manager::{End, now_ms},
    run::compute,
};
use crate::{
    config::{Config, Dataset},
    error::{Failure, Side, code},
    peer::{Invitation, JobLink},
    store::Details,
    wire,
};

/// Takes the peer's offers until the node stops.
pub(super) async fn offer_loop(manager: Arc<Manager>, mut invitations: mpsc::Receiver<Invitation>) {
    loop {
        let invitation = tokio::select! {
            () = manager.closing.cancelled() => return,
            invitation = invitations.recv() => invitation,
        };
        let Some(invitation) = invitation else { return };
        tokio::spawn(handle(manager.clone(), invitation));
    }
}

async fn handle(manager: Arc<Manager>, mut invitation: Invitation) {
    let (id, attempt) = (invitation.job, invitation.offer.attempt);
    let live = invitation.live.clone();
    let recorded = record(&manager, &invitation).await;
    if let Err(failure) = recorded {
        tracing::warn!(job = %id, "an offer of the peer was refused: {failure}");
        refuse(&invitation, failure).await;
        return;
    }
    let control = invitation.control.clone();
    manager.enlist(id, attempt, control.clone(), live.clone());
    let work = async { take_part(&manager, &mut invitation).await.map(|()| None) };
    manager.see_through(id, attempt, &control, &live, work).await;
}

/// Persists the job before anything is answered.
async fn record(manager: &Manager, invitation: &Invitation) -> Result<(), Failure> {
    let offer = &invitation.offer;
    let spec = JobSpec {
        name: offer.name.clone(),
        train_a: offer.train_a.clone(),
        test_a: offer.test_a.clone(),
        ..wire::spec_of_parameters(&offer.parameters)?
    };
    wire::check_names(&spec, &[&spec.train_a, &spec.test_a])?;
    let recorded = manager.store.offered(invitation.job, offer.attempt, spec, now_ms()).await?;
    if recorded.is_some() {
        return Ok(());
    }
    Err(Failure::new(
        code::PEER_PROTOCOL,
        Side::B,
        "A knows a job with this id already",
        "submit the job again; it gets a new id",
    ))
}

async fn take_part(manager: &Arc<Manager>, invitation: &mut Invitation) -> Result<(), End> {
    let control = invitation.control.clone();
    let live = invitation.live.clone();
    let prepared = async {
        live.prepare("load");
        // A former job may still be on its way out.
        let slot = manager.slot.acquire().await.map_err(|_| Failure::bug("job::slot"))?;
        let config = &manager.config;
        let train = offered_dataset(config, &invitation.offer.train_a)?;
        let test = offered_dataset(config, &invitation.offer.test_a)?;
        Ok::<_, Failure>((slot, load(config, train, test).await?))
    };
    let prepared = tokio::select! {
        biased;
        () = control.ended() => return Err(end(&control)),
        prepared = prepared => prepared,
    };
    let (_slot, tables) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            // The refusal tells the peer; an abort would say it twice.
            refuse(invitation, failure.clone()).await;
            return Err(End::There(failure));
        }
    };
    let (id, attempt) = (invitation.job, invitation.offer.attempt);
    manager.apply(id, Event::Accept, Details::default()).await?;
    let limits = &manager.config.limits;
    let link = JobLink::new(
        &mut invitation.route,
        id,
        control.clone(),
        live.clone(),
        limits.step_timeout(),
        limits.max_message_bytes(),
    )?;
    let accept = Answer { job: id.as_bytes().to_vec(), attempt, refusal: None };
    invitation.route.send(Kind::Answer(accept), &live).await?;
    tracing::info!(job = %id, "job of the peer accepted");
    let context = Context {
        job: id,
        attempt,
        certificate_a: manager.config.material.fingerprint(),
        certificate_b: manager.config.peer.fingerprint,
        parameters: wire::decode_parameters(&invitation.offer.parameters)?,
    };
    let (engine, observer) = (manager.engine.clone(), live.clone());
    let work = move || engine.run_a(&context, tables.train, tables.test, link, observer);
    let computed = compute(manager.pool.clone(), work).await;
    computed.map_err(|failure| end_of(&control, failure))
}

async fn refuse(invitation: &Invitation, failure: Failure) {
    let answer = Answer {
        job: invitation.job.as_bytes().to_vec(),
        attempt: invitation.offer.attempt,
        refusal: Some(wire::reason(&failure)),
    };
    // If the peer is gone meanwhile it will not miss the answer.
    let _ = invitation.route.send(Kind::Answer(answer), &invitation.live).await;
}

/// The catalogue entry that the peer may use. That an entry does not exist and that it is not open
/// to the peer look the same from outside; the log tells them apart.
fn offered_dataset<'a>(config: &'a Config, name: &str) -> Result<&'a Dataset, Failure> {
    let peer = &config.peer.name;
    let known = config.dataset(name);
    match known {
        Some(dataset) if dataset.allow_peers.contains(peer) => return Ok(dataset),
        Some(_) => tracing::warn!("data set `{name}` is asked for, but allow_peers lacks `{peer}`"),
        None => tracing::warn!("data set `{name}` is asked for, but is not in the catalogue"),
    }
    Err(Failure::new(
        code::DATASET_REFUSED,
        Side::A,
        format!("A's catalogue has no data set `{name}` that is open to B"),
        "A adds it to [[datasets]] with B's name in allow_peers, or the job's name is corrected",
    ))
}
