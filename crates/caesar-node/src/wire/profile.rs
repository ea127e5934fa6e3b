//! Profiles of attempts: the node's own account, what A tells of its own, and both in a result.

use std::time::Duration;

use caesar_proto::v1::{PartyProfile, StepProfile};
use mpc_core::step::Step;

use crate::{config::Role, job::Profile};

/// This node's account of an attempt.
pub fn own_profile(role: Role, profile: &Profile, product: Duration) -> PartyProfile {
    let steps = profile.steps().map(|(step, spent)| StepProfile {
        step: step.name().to_owned(),
        compute_seconds: spent.compute.as_secs_f64(),
        wait_seconds: spent.wait.as_secs_f64(),
        link_seconds: spent.link.as_secs_f64(),
        messages_sent: spent.sent.messages,
        messages_received: spent.received.messages,
        bytes_sent: spent.sent.bytes,
        bytes_received: spent.received.bytes,
        predicted_seconds: None,
    });
    PartyProfile {
        party: role.to_string(),
        product_seconds: product.as_secs_f64(),
        steps: steps.collect(),
    }
}

/// What the peer tells of its account: the steps that this node knows, each once, with times that are
/// times. `None` if they are not.
pub fn peer_profile(role: Role, told: &PartyProfile) -> Option<PartyProfile> {
    let is_time = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
    let sound = |step: &StepProfile| {
        [step.compute_seconds, step.wait_seconds, step.link_seconds].into_iter().all(is_time)
    };
    if !is_time(told.product_seconds) || !told.steps.iter().all(sound) {
        return None;
    }
    let known = |step: &Step| told.steps.iter().find(|found| found.step == step.name()).cloned();
    let steps = Step::ALL.iter().filter_map(known);
    let steps = steps.map(|step| StepProfile { predicted_seconds: None, ..step }).collect();
    let product_seconds = told.product_seconds;
    Some(PartyProfile { party: role.to_string(), product_seconds, steps })
}

/// Adds what the steps should have taken, from their products modulo N².
pub fn predict(profile: &mut PartyProfile, costs: &[(Step, f64)]) {
    if profile.product_seconds == 0.0 {
        return;
    }
    for step in &mut profile.steps {
        let cost = costs.iter().find(|(of, _)| of.name() == step.step);
        step.predicted_seconds = cost.map(|(_, products)| products * profile.product_seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(step: &str, compute_seconds: f64) -> StepProfile {
        StepProfile {
            step: step.to_owned(),
            compute_seconds,
            predicted_seconds: Some(9.0),
            ..StepProfile::default()
        }
    }

    #[test]
    fn only_known_steps_and_times_of_a_peer_are_taken() {
        let steps = vec![
            told("update", 3.0),
            told("forward", 1.0),
            told("forward", 2.0),
            told("\u{1b}[2J", 1.0),
        ];
        let profile = PartyProfile { party: "B".to_owned(), product_seconds: 0.5, steps };
        let mut taken = peer_profile(Role::A, &profile).unwrap();
        assert_eq!((taken.party.as_str(), taken.product_seconds), ("A", 0.5));
        let found: Vec<_> =
            taken.steps.iter().map(|s| (s.step.as_str(), s.compute_seconds)).collect();
        assert_eq!(found, [("forward", 1.0), ("update", 3.0)]);
        assert!(taken.steps.iter().all(|step| step.predicted_seconds.is_none()));
        predict(&mut taken, &[(Step::Update, 4.0)]);
        let predicted: Vec<_> = taken.steps.iter().map(|step| step.predicted_seconds).collect();
        assert_eq!(predicted, [None, Some(2.0)]);
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            let steps = vec![told("forward", bad)];
            assert_eq!(peer_profile(Role::A, &PartyProfile { steps, ..profile.clone() }), None);
            let profile = PartyProfile { product_seconds: bad, ..profile.clone() };
            assert_eq!(peer_profile(Role::A, &profile), None);
        }
    }
}
