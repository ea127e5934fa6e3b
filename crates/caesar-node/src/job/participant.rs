//! A job's life at A: an offer arrives, the catalogue decides, the data is loaded, both compute, and B
//! says how it ended.

use std::sync::Arc;

use caesar_proto::v1::{JobSpec, Offer, Outcome, PeerMessage, peer_message::Kind};
use mpc_core::session::LabelOptions;
use prost::Message as _;

use super::{
    Cause, Context, Control, Event, JobId, Live, Manager,
    attempt::{Claim, End, end, end_of},
    load::load,
    manager::now_ms,
    run::compute,
};
use crate::{
    config::{Config, Dataset, Role},
    error::{Failure, Side, code},
    peer::{JobLink, Route},
    store::{Details, Offered},
    wire,
};

/// B offers an attempt. Returns when it is recorded or refused.
pub(super) async fn offered(manager: &Arc<Manager>, offer: Offer) {
    let Some(job) = JobId::from_slice(&offer.job) else { return };
    if manager.config.role == Role::B {
        tracing::warn!(%job, "the peer offers a job, but jobs are offered by B");
        return;
    }
    if let Some(former) = manager.attempt_of(job) {
        if former.attempt == offer.attempt {
            return manager.hub.offered_again(job, offer.attempt);
        }
        if former.attempt > offer.attempt {
            return refuse_old(manager, job, offer.attempt, former.attempt);
        }
        let over = Failure::new(
            code::NODE_RESTARTED,
            Side::B,
            "B begins a later attempt",
            "nothing: the job goes on by itself",
        );
        former.control.end(Cause::Interrupted(over));
    }
    match manager.try_claim(job) {
        Some(claim) => begin(manager, job, offer, claim).await,
        None => {
            let manager = manager.clone();
            drop(tokio::spawn(async move {
                let claim = manager.claim(job).await;
                begin(&manager, job, offer, claim).await;
            }));
        }
    }
}

async fn begin(manager: &Arc<Manager>, job: JobId, offer: Offer, claim: Claim) {
    let attempt = offer.attempt;
    match record(manager, job, &offer).await {
        Ok(Offered::Taken) => {}
        // B has not heard of it yet.
        Ok(Offered::Ended(record)) => return manager.tell_standing(&record),
        Ok(Offered::Refused { expected }) => {
            return refuse_old(manager, job, attempt, expected);
        }
        Err(failure) => {
            tracing::warn!(%job, "an offer of the peer was refused: {failure}");
            return manager.hub.standing(job, Outcome::Failed, Some(&failure));
        }
    }
    let (control, live) = (Arc::new(Control::default()), Arc::new(Live::default()));
    manager.enlist(job, attempt, control.clone(), live.clone());
    let size = PeerMessage { kind: Some(Kind::Offer(offer.clone())) }.encoded_len();
    live.count_received(size);
    let route = manager.hub.open(job, attempt, control.clone(), live.clone(), None);
    let manager = manager.clone();
    tokio::spawn(async move {
        let _claim = claim;
        let work = async {
            take_part(&manager, job, &offer, &control, &live, route?)
                .await
                .map(|never| match never {})
        };
        manager.see_through(job, offer.attempt, &control, &live, work).await;
    });
}

/// B's attempt is an old one: it is to begin a later one.
fn refuse_old(manager: &Manager, job: JobId, attempt: u32, expected: u32) {
    let old = Failure::new(
        code::NODE_RESTARTED,
        Side::B,
        format!("A takes part from attempt {expected} on, with the parameters it knows"),
        "see whether B's data_dir was put back to an older state",
    );
    manager.hub.interrupt(job, attempt, &old);
}

/// Persists the attempt before anything is answered.
async fn record(manager: &Manager, job: JobId, offer: &Offer) -> Result<Offered, Failure> {
    let spec = spec_of(offer)?;
    wire::check_data(&spec, &[(&spec.train_a, &spec.test_a)])?;
    Ok(manager.store.offered(job, offer.attempt, spec, now_ms()).await?)
}

/// What A knows of the job's specification.
fn spec_of(offer: &Offer) -> Result<JobSpec, Failure> {
    Ok(JobSpec {
        name: offer.name.clone(),
        train_a: offer.train_a.clone(),
        test_a: offer.test_a.clone(),
        features_a: offer.features_a.clone(),
        split_hash: offer.split_hash.clone(),
        split_column: offer.split_column.clone(),
        ..wire::spec_of_parameters(&offer.parameters)?
    })
}

/// What A cannot return: a job that ended well, since that is B's to say.
enum Never {}

async fn take_part(
    manager: &Arc<Manager>,
    job: JobId,
    offer: &Offer,
    control: &Arc<Control>,
    live: &Arc<Live>,
    mut route: Route,
) -> Result<Never, End> {
    let parameters = wire::decode_parameters(&offer.parameters)?;
    let prepared = async {
        live.prepare("load");
        let slots = manager.slots.clone();
        let slot = slots.acquire_owned().await.map_err(|_| Failure::bug("job::slot"))?;
        let config = &manager.config;
        let train = offered_dataset(config, &offer.train_a)?;
        if parameters.validation.is_some() {
            consented(train)?;
        }
        let test = match offer.test_a.as_str() {
            "" => None,
            name => Some(offered_dataset(config, name)?),
        };
        Ok::<_, Failure>((slot, load(config, &spec_of(offer)?, train, test, live).await?))
    };
    let (_slot, tables) = tokio::select! {
        biased;
        () = control.ended() => return Err(end(control)),
        prepared = prepared => prepared?,
    };
    manager.apply(job, Event::Accept, Details::default()).await?;
    let link = JobLink::new(&mut route, control.clone(), live.clone())?;
    manager.hub.accept(job, offer.attempt);
    tracing::info!(%job, attempt = offer.attempt, "job of the peer accepted");
    let context = Context {
        job,
        attempt: offer.attempt,
        certificate_a: manager.config.material.fingerprint(),
        certificate_b: manager.config.peer.fingerprint,
        parameters,
        options: LabelOptions::default(),
        train_limit: None,
    };
    let vault = Box::new(manager.checkpoints.open(job)?);
    let (engine, observer) = (manager.engine.clone(), live.clone());
    let work = move || engine.run_a(&context, tables.train, tables.test, link, vault, observer);
    let computed = compute(manager.config.limits.threads, work).await;
    computed.map_err(|failure| end_of(control, failure))?;
    let (profile, product) = live.profile();
    route.tell_profile(wire::own_profile(manager.config.role, &profile, product));
    // A's part is done. Only B can say that the job has succeeded, once its result is on disk; until
    // then another attempt must be possible.
    let _waiting = live.waiting();
    let limit = manager.config.limits.step_timeout();
    tokio::select! {
        () = control.ended() => Err(end(control)),
        () = manager.hub.connected_for(limit) => {
            Err(End::Again(manager.hub.timed_out(live.step(), limit)))
        }
    }
}

/// Scores of rows of this data set may be opened to B while a model is trained on them.
fn consented(dataset: &Dataset) -> Result<(), Failure> {
    if dataset.allow_validation {
        return Ok(());
    }
    Err(Failure::new(
        code::DATASET_REFUSED,
        Side::A,
        format!("A's data set `{}` does not allow validation scores", dataset.name),
        "A sets allow_validation = true for it, or the job drops validation and patience",
    ))
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
