//! Sentences and units.

use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration};

use crate::{Error, Failure, Progress, Side};

/// Text from a node with control characters replaced, so that it cannot steer the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An error of the SDK in three lines: code and what happened, which side, what to do.
pub fn describe_error(error: &Error) -> String {
    describe(error.code(), &error.to_string(), error.side(), error.hint(), "")
}

/// The same of a job's failure, with the protocol step if it had begun.
pub fn describe_failure(failure: &Failure) -> String {
    let Failure { code, message, side, hint, step } = failure;
    describe(code, message, *side, hint, step)
}

fn describe(code: &str, message: &str, side: Side, hint: &str, step: &str) -> String {
    // A TOML error has a picture of the line in it: its line breaks are ours and stay.
    let message = message.trim_end().split('\n').map(clean).collect::<Vec<_>>().join("\n  ");
    let mut text = format!("error: {}: {message}", clean(code));
    if !step.is_empty() {
        text.push_str(&format!("\n  step: {}", clean(step)));
    }
    let who = match side {
        Side::A => "A, the feature holder (platform)",
        Side::B => "B, the label holder (bank)",
        Side::Both => "both institutions",
        Side::Client => "you, the client",
    };
    text.push_str(&format!("\n  who must act: {who}"));
    if !hint.is_empty() {
        text.push_str(&format!("\n  what to do: {}", clean(hint)));
    }
    text
}

/// One line: phase and step, iteration, speed, traffic, estimate, and whom the node waits for.
pub fn describe_progress(progress: &Progress) -> String {
    let mut parts = vec![place(progress)];
    if progress.iterations > 0 {
        // While files are read the node counts hundredths of them.
        parts.push(match progress.step.as_str() {
            "load" => format!("{} % of the files read", progress.iteration),
            _ => format!("iteration {} of {}", progress.iteration, progress.iterations),
        });
    }
    parts.extend(measures(progress));
    parts.join(", ")
}

/// Phase and step, once.
pub(super) fn place(progress: &Progress) -> String {
    let (phase, step) = (clean(&progress.phase), clean(&progress.step));
    match (phase.is_empty(), step.is_empty() || step == phase) {
        (true, true) => "starting".to_owned(),
        (true, false) => step,
        (false, true) => phase,
        (false, false) => format!("{phase} ({step})"),
    }
}

/// Everything that is a number, where there is one.
pub(super) fn measures(progress: &Progress) -> Vec<String> {
    let mut parts = Vec::new();
    if progress.rows_per_second > 0.0 {
        parts.push(format!("{:.0} rows/s", progress.rows_per_second));
    }
    if progress.bytes_sent > 0 || progress.bytes_received > 0 {
        let (sent, received) = (progress.bytes_sent, progress.bytes_received);
        parts.push(format!("sent {}, received {}", HumanBytes(sent), HumanBytes(received)));
    }
    if let Some(round_trip) = progress.round_trip {
        parts.push(format!("round trip {:.1} ms", round_trip.as_secs_f64() * 1000.0));
    }
    if let Some(eta) = progress.eta {
        parts.push(format!("ETA {}", HumanDuration(whole_seconds(eta))));
    }
    if let Some(waiting) = progress.waiting.filter(|d| d.as_secs() >= 1) {
        let peer = match progress.waiting_for.as_str() {
            "" => "peer".to_owned(),
            name => clean(name),
        };
        let (step, seconds) = (clean(&progress.step), waiting.as_secs());
        parts.push(format!("waiting for {peer} in {step} for {seconds} s"));
    }
    if !progress.not_connected.is_empty() {
        parts.push(format!("not connected: {}", clean(&progress.not_connected)));
    }
    parts
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs_f64().round().min(u32::MAX.into()) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{clean, describe_failure, describe_progress};
    use crate::{Failure, Progress, Side};

    #[test]
    fn escape_sequences_from_a_node_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\u{9b}"), "a [2Jb  c ");
    }

    #[test]
    fn reading_is_shown_as_a_share_of_the_files() {
        let at = |step: &str| Progress {
            phase: "data".to_owned(),
            step: step.to_owned(),
            iteration: 43,
            iterations: 100,
            rows_per_second: 12_345.0,
            ..Progress::default()
        };
        let text = describe_progress(&at("load"));
        assert_eq!(text, "data (load), 43 % of the files read, 12345 rows/s");
        assert!(describe_progress(&at("forward")).contains("iteration 43 of 100"));
    }

    #[test]
    fn a_failure_shows_code_message_step_side_and_hint() {
        let failure = Failure {
            code: "peer.lost".to_owned(),
            message: "A stopped answering".to_owned(),
            side: Side::A,
            hint: "start it again".to_owned(),
            step: "forward".to_owned(),
        };
        assert_eq!(
            describe_failure(&failure),
            "error: peer.lost: A stopped answering\n  step: forward\n  \
             who must act: A, the feature holder (platform)\n  what to do: start it again"
        );
    }

    #[test]
    fn progress_shows_only_what_there_is() {
        assert_eq!(describe_progress(&Progress::default()), "starting");
        let progress = Progress {
            phase: "train".to_owned(),
            step: "forward".to_owned(),
            iteration: 3,
            iterations: 9,
            rows_per_second: 1234.4,
            bytes_sent: 2048,
            bytes_received: 1024,
            eta: Some(Duration::from_secs(75)),
            waiting: Some(Duration::from_secs(4)),
            waiting_for: "platform".to_owned(),
            not_connected: "it was silent for 60 s".to_owned(),
            round_trip: Some(Duration::from_micros(10_350)),
        };
        assert_eq!(
            describe_progress(&progress),
            "train (forward), iteration 3 of 9, 1234 rows/s, sent 2.00 KiB, received 1.00 KiB, \
             round trip 10.3 ms, ETA 75 seconds, waiting for platform in forward for 4 s, \
             not connected: it was silent for 60 s"
        );
    }
}
