//! What arrives at a node: messages of its peer and requests of its clients.

use caesar_node::{
    config::Role,
    error::{Failure, Side},
    peer::{Assembler, CHUNK_BYTES},
    wire,
};
use caesar_proto::v1::{
    Frame, JobSpec, PartyProfile, PeerMessage, Reason, SubmitRequest, peer_message::Kind,
};
use mpc_core::step::Step;
use prost::{Message as _, bytes::Bytes};

use crate::split;

/// A stream of envelopes, each with its length, as the peer sends them for one job.
pub(crate) fn peer_messages(data: &[u8]) {
    let Some(([step, limit], mut stream)) = split(data) else { return };
    let step = Step::ALL[usize::from(step) % Step::ALL.len()];
    let limit = usize::from(limit) * (CHUNK_BYTES / 64);
    let mut assembler = Assembler::default();
    while let Ok(message) = PeerMessage::decode_length_delimited(&mut stream) {
        match message.kind {
            Some(Kind::Frame(frame)) => {
                let Ok(whole) = assembler.push(&full(frame), step, limit) else { return };
                assert!(whole.is_none_or(|body| body.len() <= limit), "the limit does not hold");
            }
            Some(Kind::Offer(offer)) => {
                let Ok(spec) = wire::spec_of_parameters(&offer.parameters) else { continue };
                let spec = JobSpec {
                    name: offer.name,
                    train_a: offer.train_a,
                    test_a: offer.test_a,
                    features_a: offer.features_a,
                    split_hash: offer.split_hash,
                    split_column: offer.split_column,
                    ..spec
                };
                if wire::check_data(&spec, &[(&spec.train_a, &spec.test_a)]).is_ok() {
                    let names = [&spec.name, &spec.train_a, &spec.test_a];
                    let mut names = names.into_iter().chain(&spec.features_a);
                    assert!(names.all(|n| !n.chars().any(char::is_control)));
                }
            }
            Some(Kind::Interrupt(interrupt)) => told(interrupt.reason),
            Some(Kind::Standing(standing)) => told(standing.reason),
            Some(Kind::Profile(told)) => profile(&told.profile.unwrap_or_default()),
            // Numbers and names that `peer` checks against what it knows of the attempt.
            Some(
                Kind::Hello(_)
                | Kind::Heartbeat(_)
                | Kind::Accept(_)
                | Kind::Resume(_)
                | Kind::Ack(_),
            )
            | None => {}
        }
    }
}

/// What A says of its time is kept: known steps, each once, and times that are times.
fn profile(told: &PartyProfile) {
    let Some(taken) = wire::peer_profile(Role::A, told) else { return };
    assert!(taken.steps.len() <= Step::ALL.len() && taken.product_seconds >= 0.0);
    assert!(taken.steps.iter().all(|step| step.compute_seconds.is_finite()));
    assert_eq!(
        wire::peer_profile(Role::A, &taken).as_ref(),
        Some(&taken),
        "a profile changes on its way"
    );
}

/// An input that had to hold whole chunks would be too long for a fuzzer: a byte stands for one.
fn full(mut frame: Frame) -> Frame {
    if let ([byte], false) = (frame.body.as_ref(), frame.last) {
        frame.body = Bytes::from(vec![*byte; CHUNK_BYTES]);
    }
    frame
}

/// What a peer says went wrong is shown to people and kept.
fn told(reason: Option<Reason>) {
    let failure: Failure = wire::failure(reason, Side::A);
    for text in [&failure.code, &failure.message, &failure.hint, &failure.step] {
        assert!(text.chars().count() <= 500 && !text.chars().any(char::is_control));
    }
    let again = wire::failure(Some(wire::reason(&failure)), Side::A);
    assert_eq!(again, failure, "a failure changes on its way");
    let _ = wire::status(&failure);
}

/// A submission.
pub(crate) fn requests(data: &[u8]) {
    let Ok(SubmitRequest { request_id, spec }) = SubmitRequest::decode(data) else { return };
    let _ = wire::check_request_id(&request_id);
    let Some(spec) = spec else { return };
    if wire::check_spec(&spec).is_err() {
        return;
    }
    let (typed, bytes) = wire::parameters(&spec).expect("a checked specification has parameters");
    let offered = wire::decode_parameters(&bytes).expect("what B offers, A takes");
    assert_eq!(offered, typed);
    let kept = wire::spec_of_parameters(&bytes).expect("what B offers, A keeps");
    assert_eq!(kept.training.unwrap_or_default(), spec.training.unwrap_or_default());
}
