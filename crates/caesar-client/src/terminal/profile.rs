//! Where a job's time went.

use indicatif::HumanBytes;

use super::{
    tables::{count, table},
    text::clean,
};
use crate::{PartyProfile, Report, Side, StepProfile};

/// One line for each step and party, and what the figures are.
pub fn profile_table(report: &Report) -> String {
    let mut lines = table(
        &[
            "step",
            "party",
            "compute s",
            "predicted",
            "wait s",
            "link s",
            "messages",
            "sent",
            "received",
        ],
        2,
    );
    for step in steps(report) {
        for profile in &report.profile {
            let of_party = profile.steps.iter().find(|other| other.step == step);
            if let Some(spent) = of_party {
                lines.add_row(line(clean(step), profile.party, spent));
            }
        }
    }
    for profile in &report.profile {
        lines.add_row(line("all".to_owned(), profile.party, &total(profile)));
    }
    let mut text = lines.to_string();
    for PartyProfile { party, product_seconds, .. } in &report.profile {
        if *product_seconds > 0.0 {
            let product = product_seconds * 1e6;
            text.push_str(&format!("\n{party}: one product modulo N² took {product:.2} µs"));
        }
    }
    text.push_str(
        "\nOf the last attempt. compute: the protocol's thread and its disk; wait: for a message; \
         link: in sending;\nmessages: sent and received; predicted: compute by counts of products.",
    );
    if !report.profile.iter().any(|profile| profile.party == Side::A) {
        text.push_str("\nA's node did not say where its time went.");
    }
    text
}

/// The steps of both parties in the order of a run: what only one has comes behind its predecessor.
fn steps(report: &Report) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for profile in &report.profile {
        let mut next = 0;
        for step in &profile.steps {
            let known = all.iter().position(|known| *known == step.step);
            let place = known.unwrap_or(next);
            if known.is_none() {
                all.insert(place, &step.step);
            }
            next = place + 1;
        }
    }
    all
}

fn total(profile: &PartyProfile) -> StepProfile {
    let seconds = |of: fn(&StepProfile) -> f64| profile.steps.iter().map(of).sum();
    let number = |of: fn(&StepProfile) -> u64| profile.steps.iter().map(of).sum();
    StepProfile {
        step: String::new(),
        compute_seconds: seconds(|step| step.compute_seconds),
        wait_seconds: seconds(|step| step.wait_seconds),
        link_seconds: seconds(|step| step.link_seconds),
        messages_sent: number(|step| step.messages_sent),
        messages_received: number(|step| step.messages_received),
        bytes_sent: number(|step| step.bytes_sent),
        bytes_received: number(|step| step.bytes_received),
        // Some steps have no formula, so a sum would be compared with too much.
        predicted_seconds: None,
    }
}

fn line(step: String, party: Side, spent: &StepProfile) -> [String; 9] {
    let seconds = |seconds: f64| format!("{seconds:.2}");
    [
        step,
        party.to_string(),
        seconds(spent.compute_seconds),
        spent.predicted_seconds.map_or_else(String::new, seconds),
        seconds(spent.wait_seconds),
        seconds(spent.link_seconds),
        format!("{}, {}", count(spent.messages_sent), count(spent.messages_received)),
        HumanBytes(spent.bytes_sent).to_string(),
        HumanBytes(spent.bytes_received).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use caesar_proto::v1;

    use super::profile_table;
    use crate::convert::report_from_wire;

    fn party(party: &str, steps: &[(&str, f64, Option<f64>)]) -> v1::PartyProfile {
        let steps = steps.iter().map(|&(step, seconds, predicted_seconds)| v1::StepProfile {
            step: step.to_owned(),
            compute_seconds: seconds,
            wait_seconds: 0.25,
            link_seconds: 0.125,
            messages_sent: 3,
            messages_received: 4,
            bytes_sent: 2048,
            bytes_received: 0,
            predicted_seconds,
        });
        v1::PartyProfile {
            party: party.to_owned(),
            product_seconds: 1.5e-6,
            steps: steps.collect(),
        }
    }

    fn shown(profile: Vec<v1::PartyProfile>) -> String {
        let wire = v1::JobResult {
            job_id: "j".to_owned(),
            intersection_sha256_train: "0".repeat(64),
            intersection_sha256_test: "0".repeat(64),
            profile,
            ..Default::default()
        };
        profile_table(&report_from_wire(wire).unwrap())
    }

    fn rows(text: &str) -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).filter(|line| !line.contains('─') && !line.contains('═')).collect()
    }

    #[test]
    fn a_step_has_a_line_for_each_party_and_the_sums_come_last() {
        let a = party("A", &[("forward", 2.0, Some(1.75)), ("update", 0.5, None)]);
        let b = party("B", &[("bounds", 1.0, None), ("forward", 3.0, None)]);
        let text = shown(vec![a, b]);
        let expected = [
            "step party compute s predicted wait s link s messages sent received",
            "bounds B 1.00 0.25 0.12 3, 4 2.00 KiB 0 B",
            "forward A 2.00 1.75 0.25 0.12 3, 4 2.00 KiB 0 B",
            "forward B 3.00 0.25 0.12 3, 4 2.00 KiB 0 B",
            "update A 0.50 0.25 0.12 3, 4 2.00 KiB 0 B",
            "all A 2.50 0.50 0.25 6, 8 4.00 KiB 0 B",
            "all B 4.00 0.50 0.25 6, 8 4.00 KiB 0 B",
            "A: one product modulo N² took 1.50 µs",
        ];
        assert_eq!(rows(&text)[..expected.len()], expected, "{text}");
        assert!(!text.contains("did not say"));
    }

    #[test]
    fn a_missing_profile_is_said_and_a_step_cannot_steer_the_terminal() {
        let text = shown(vec![party("B", &[("a\u{1b}[2J", 1.0, None)])]);
        assert!(text.contains("A's node did not say"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
