//! What a node says about jobs, in the client's own types.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ConfigError, Evaluation, JobSpec};

/// The name a node gave a job. Printable ASCII without spaces, 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(String);

impl JobId {
    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobId {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl FromStr for JobId {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if (1..=128).contains(&text.len()) && printable {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::JobId)
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a job stands. The last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// At B's node: waiting for its turn, its data or the peer. At A's: for B's next attempt.
    Queued,
    /// Offered to A's node, not yet accepted.
    Offered,
    /// Both nodes work on it.
    Running,
    /// The report can be fetched.
    Succeeded,
    /// It ended with a [`Failure`].
    Failed,
    /// A client of either node ended it.
    Cancelled,
}

impl JobState {
    /// Whether the state is final.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Offered => "offered",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The feature holder (the platform).
    A,
    /// The label holder (the bank).
    B,
    /// Both institutions.
    #[serde(rename = "both")]
    Both,
    /// Whoever submitted the job.
    #[serde(rename = "client")]
    Client,
}

impl Side {
    /// The name on the wire; anything unknown concerns both, so that a failure is always shown.
    pub(crate) fn from_wire(name: &str) -> Self {
        match name {
            "A" => Self::A,
            "B" => Self::B,
            "client" => Self::Client,
            _ => Self::Both,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
            Self::Both => "both",
            Self::Client => "client",
        })
    }
}

/// A job and its progress, as one node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The node's name for it.
    pub id: JobId,
    /// What was submitted.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// What it is doing now, or did last.
    pub progress: Progress,
    /// Why it failed; present exactly when the state is [`JobState::Failed`].
    pub failure: Option<Failure>,
    /// Counts attempts from 1: restarts of the nodes begin new ones. While the job is queued: the
    /// next one.
    pub attempt: u32,
    /// Why the last attempt ended before the job did, if one did.
    pub interrupted: Option<Failure>,
    /// When the node stored it.
    pub submitted: SystemTime,
    /// When it reached a final state.
    pub ended: Option<SystemTime>,
}

/// What a job is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Phase for people: queued, data, psi, setup, train, evaluate, finish.
    pub phase: String,
    /// Stable name of the protocol step.
    pub step: String,
    /// Mini-batch k of K while training; hundredths of the files in step `load`; 0 of 0 otherwise.
    pub iteration: u32,
    /// K.
    pub iterations: u32,
    /// Training rows a second.
    pub rows_per_second: f64,
    /// Payload bytes this node has sent to its peer for the job.
    pub bytes_sent: u64,
    /// Payload bytes it has received.
    pub bytes_received: u64,
    /// Time to the end of the job, once there is an estimate.
    pub eta: Option<Duration>,
    /// How long the node has waited for its peer in this step; `None` while it computes.
    pub waiting: Option<Duration>,
    /// The peer's name at the node, while it waits.
    pub waiting_for: String,
    /// Why the peer is not connected; empty while it is.
    pub not_connected: String,
    /// Shortest round trip between the nodes on their current connection.
    pub round_trip: Option<Duration>,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[error("{message} [{code}]")]
pub struct Failure {
    /// Stable code, such as `data.not_numeric` or `peer.lost`.
    pub code: String,
    /// What happened, in one sentence.
    pub message: String,
    /// Who must act.
    pub side: Side,
    /// What to do about it.
    pub hint: String,
    /// Protocol step in which it happened; empty before the protocol started.
    pub step: String,
}

/// The outcome of a job that succeeded. Only B's node has it. Serialises under the field names,
/// which are stable, and can be read again from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The job.
    pub job_id: JobId,
    /// Rows of A's training file, with those B lacks.
    pub rows_a: u64,
    /// Rows of B's training file, with those A lacks.
    pub rows_b: u64,
    /// Training rows in both files.
    pub intersection_train: u64,
    /// Test rows in both files.
    pub intersection_test: u64,
    /// Hex SHA-256 of the sorted common training ids, each followed by a newline.
    pub intersection_sha256_train: String,
    /// The same of the test ids.
    pub intersection_sha256_test: String,
    /// Feature columns at A.
    pub columns_a: u64,
    /// Feature columns at B.
    pub columns_b: u64,
    /// Kolmogorov-Smirnov statistic on the test rows of a model on B's columns alone.
    pub ks_bank_only: f64,
    /// Area under its ROC curve.
    pub auc_bank_only: f64,
    /// Its F1 at probability 0.5.
    pub f1_bank_only: f64,
    /// Kolmogorov-Smirnov statistic on the test rows of the joint model.
    pub ks_joint: f64,
    /// Area under its ROC curve.
    pub auc_joint: f64,
    /// Its F1 at probability 0.5.
    pub f1_joint: f64,
    /// Test rows by tenths of the joint score, highest first.
    pub deciles: Vec<Decile>,
    /// Largest |z| on the test rows.
    pub max_abs_z: f64,
    /// Largest |z| for which the error series is accurate.
    pub series_window: f64,
    /// What the reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows a mini-batch.
    pub batch_size: u32,
    /// Step size.
    pub learning_rate: f64,
    /// L2 penalty.
    pub l2: f64,
    /// Mini-batches in all.
    pub iterations: u32,
    /// Length of the Paillier modulus.
    pub modulus_bits: u32,
    /// Wall clock at B of the private set intersections.
    pub seconds_psi: f64,
    /// Of key generation, oblivious transfer and other set-up.
    pub seconds_setup: f64,
    /// Of training.
    pub seconds_train: f64,
    /// Of evaluation.
    pub seconds_eval: f64,
    /// Of the whole job.
    pub seconds_total: f64,
    /// gRPC payload from A to B in the whole job.
    pub bytes_a_to_b: u64,
    /// gRPC payload from B to A.
    pub bytes_b_to_a: u64,
    /// Ciphertexts A sent.
    pub ciphertexts_a_to_b: u64,
    /// Ciphertexts B sent.
    pub ciphertexts_b_to_a: u64,
    /// The arithmetic kernel, such as `portable`.
    pub kernel: String,
    /// How the model did on the validation rows after each epoch; empty without validation.
    #[serde(default)]
    pub training_curve: Vec<TrainingPoint>,
    /// Why training ended before all its epochs: `no-progress` or `time-limit`; empty if it did not.
    #[serde(default)]
    pub stopped: String,
    /// How the step size fell.
    #[serde(default)]
    pub schedule: String,
    /// Whether each side made its own standardised columns uncorrelated.
    #[serde(default)]
    pub whitened: bool,
    /// Whether rows were weighted by class or by sample.
    #[serde(default)]
    pub weighted: bool,
    /// Common training rows that were set aside.
    #[serde(default)]
    pub validation_rows: u64,
    /// Where the time of the job's last attempt went, at A and at B. A's is missing if A's node was
    /// gone at the very end.
    #[serde(default)]
    pub profile: Vec<PartyProfile>,
    /// Both models on the test rows in full; absent from jobs of older nodes.
    #[serde(default)]
    pub evaluation: Option<Evaluation>,
}

impl Report {
    /// What A's columns add to the bank's own model.
    pub fn ks_lift(&self) -> f64 {
        self.ks_joint - self.ks_bank_only
    }

    /// The same for the area under the curve.
    pub fn auc_lift(&self) -> f64 {
        self.auc_joint - self.auc_bank_only
    }
}

/// Figures of the validation rows after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPoint {
    /// Epochs done.
    pub epoch: u32,
    /// Kolmogorov–Smirnov statistic.
    pub ks: f64,
    /// Area under the ROC curve.
    pub auc: f64,
}

/// One tenth of the test rows, or several where a tenth was too small to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// The first tenth in it; 1 holds the highest scores.
    pub decile: u32,
    /// Rows in it.
    pub rows: u64,
    /// Rows with label 1.
    pub positives: u64,
    /// Positive rate over the positive rate of all test rows.
    pub lift: f64,
    /// KS at its end.
    pub ks: f64,
}

/// Where one party's time went in the attempt that ended the job. The times of all steps add up to the
/// time that the party's engine ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartyProfile {
    /// Whose it is.
    pub party: Side,
    /// Seconds of one product modulo N² on the party's kernel and threads, timed before the attempt; 0 if
    /// they were not.
    pub product_seconds: f64,
    /// The steps that took place, in the order of a run.
    pub steps: Vec<StepProfile>,
}

/// What one step took at one party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepProfile {
    /// Stable name of the protocol step.
    pub step: String,
    /// The protocol's thread worked: arithmetic, waiting for the node's own threads, and its disk.
    pub compute_seconds: f64,
    /// It waited for a message: the peer had not sent it yet, or it was under way.
    pub wait_seconds: f64,
    /// It was in sending: nearly all of it while the peer's window had no room.
    pub link_seconds: f64,
    /// Messages of the protocol it sent.
    pub messages_sent: u64,
    /// Messages it received.
    pub messages_received: u64,
    /// Bytes of the bodies of the messages it sent.
    pub bytes_sent: u64,
    /// Bytes of those it received.
    pub bytes_received: u64,
    /// What the cost model expects of `compute_seconds`, where it has a formula: counts of products
    /// modulo N² times `product_seconds`.
    pub predicted_seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::{JobId, JobState, Side};

    #[test]
    fn job_ids_that_could_break_a_terminal_or_a_path_of_text_are_refused() {
        for bad in ["", "a b", "a\u{1b}[2J", "naïve", &"x".repeat(129)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!("0f-1".parse::<JobId>().unwrap().as_str(), "0f-1");
    }

    #[test]
    fn exactly_three_states_are_final() {
        use JobState::{Cancelled, Failed, Offered, Queued, Running, Succeeded};
        let all = [Queued, Offered, Running, Succeeded, Failed, Cancelled];
        let ended: Vec<_> = all.into_iter().filter(|s| s.has_ended()).collect();
        assert_eq!(ended, [Succeeded, Failed, Cancelled]);
    }

    #[test]
    fn an_unknown_side_still_names_somebody() {
        assert_eq!(Side::from_wire("A"), Side::A);
        assert_eq!(Side::from_wire("B"), Side::B);
        assert_eq!(Side::from_wire("client"), Side::Client);
        assert_eq!(Side::from_wire("newer"), Side::Both);
    }
}
