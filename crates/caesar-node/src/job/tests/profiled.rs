//! The profile of a real job, as B's clients see it.

use std::{sync::Arc, time::Instant};

use caesar_proto::v1::{JobResult, JobSpec, JobState, PartyProfile, StepProfile, Training};

use super::{
    ProtocolEngine,
    hostile::{ended, write_data},
};
use crate::{
    node::Node,
    testing::{Pki, spec},
};

/// A small job between two nodes of this process, and how long it took from outside.
async fn run() -> (JobResult, f64) {
    let pki = Pki::new();
    write_data(&pki);
    let a = Node::start(pki.config_a(), Arc::new(ProtocolEngine)).await.unwrap();
    let address = a.address().to_string();
    let b = Node::start(pki.config_b(&address), Arc::new(ProtocolEngine)).await.unwrap();
    let training = Training { epochs: Some(2), batch_size: Some(64), ..Training::default() };
    let spec = JobSpec { modulus_bits: 2048, training: Some(training), ..spec() };
    let started = Instant::now();
    let job = b.manager().submit("r".to_owned(), spec).await.unwrap();
    let id = job.job_id.parse().unwrap();
    let job = ended(&b.manager(), id).await;
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    (b.manager().result(id).await.unwrap(), seconds)
}

fn step<'a>(profile: &'a PartyProfile, name: &str) -> Option<&'a StepProfile> {
    profile.steps.iter().find(|step| step.step == name)
}

fn seconds(profile: &PartyProfile) -> f64 {
    let of = |step: &StepProfile| step.compute_seconds + step.wait_seconds + step.link_seconds;
    profile.steps.iter().map(of).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_account_for_all_time_and_every_byte() {
    let (result, whole) = run().await;
    let [a, b] = result.profile.as_slice() else { panic!("{:?}", result.profile) };
    assert_eq!([a.party.as_str(), b.party.as_str()], ["A", "B"]);

    // Times: nothing is counted twice and nothing is left out.
    let phases =
        result.seconds_psi + result.seconds_setup + result.seconds_train + result.seconds_eval;
    for profile in [a, b] {
        let sum = seconds(profile);
        assert!(sum <= whole, "{sum} s of {whole} s: {profile:?}");
        assert!(sum >= 0.8 * phases, "{sum} s, phases {phases} s: {profile:?}");
        assert!(profile.product_seconds > 0.0);
    }

    // Traffic: what one side sent the other received, step by step.
    for (from, to, all) in [(a, b, result.bytes_a_to_b), (b, a, result.bytes_b_to_a)] {
        let mut bytes = 0;
        for sent in from.steps.iter().filter(|step| step.messages_sent > 0) {
            let received = step(to, &sent.step).unwrap();
            assert_eq!(
                (sent.messages_sent, sent.bytes_sent),
                (received.messages_received, received.bytes_received),
                "{}",
                sent.step
            );
            bytes += sent.bytes_sent;
        }
        assert!(bytes > 0 && bytes <= all, "{bytes} of {all}");
    }

    // The steps of training are told apart, and have predictions where there are formulae.
    for (profile, name) in [(a, "A"), (b, "B")] {
        for formula in ["forward", "error-ciphertexts", "update", "evaluate"] {
            let step = step(profile, formula).unwrap();
            assert!(step.compute_seconds > 0.0, "{name}: {step:?}");
            assert!(step.predicted_seconds.is_some_and(|p| p > 0.0), "{name}: {step:?}");
        }
        let update = step(profile, "update").unwrap();
        assert_eq!((update.messages_sent, update.messages_received), (0, 0));
        assert_eq!(step(profile, "keys").unwrap().predicted_seconds, None);
    }
}
