//! Jobs between two real nodes while things go wrong, and what becomes of them.
//!
//! A [`Plan`] is drawn from a seed; an [`Arena`] holds the nodes, with a fault proxy between them,
//! and runs one job a plan. The same seed strikes at the same moment, as far as moments of two
//! programs on a machine can be the same: to the byte where bytes are counted, to some tens of
//! milliseconds where progress is watched.

mod eyes;
mod plan;
mod run;
mod table;
mod verdict;

use std::path::{Path, PathBuf};

use caesar_client::{DataSets, JobSpec, ModulusBits, Training};
use tempfile::TempDir;

use crate::{Dataset, Format, HarnessError, Limits, Pair, PairPlan, Party, synthetic};

pub use plan::{Incident, Kind, Moment, Phase, Plan};
pub use run::{Outcome, Reference, Struck};
pub use table::{Summary, table};
pub use verdict::{Verdict, difference};

/// Rows of the training intersection and of a mini-batch: all of them, so that the model does not
/// depend on the order of rows, which is new in every job.
const ROWS: u32 = 256;
/// Rows of the test intersection.
const TEST_ROWS: usize = 400;
/// Mini-batches of a job.
const ITERATIONS: u32 = 16;
/// Silence after which a node gives up a connection.
const PEER_TIMEOUT_SECONDS: u64 = 5;
/// Of the data, which is the same for all runs.
const DATA_SEED: u64 = 20_260_101;

/// Two nodes with a fault proxy between them, and what an undisturbed job on their data reports.
#[derive(Debug)]
pub struct Arena {
    // Dropped in this order: the nodes before their data.
    pair: Pair,
    plan: PairPlan,
    reference: Reference,
    _data: TempDir,
}

/// The job of all runs: a small one that takes some seconds.
pub fn job() -> JobSpec {
    JobSpec {
        name: String::new(),
        data: DataSets::alike("train", "test"),
        training: Training {
            epochs: Some(ITERATIONS),
            batch_size: Some(ROWS),
            learning_rate: Some(0.5),
            l2: Some(0.0),
            ..Training::default()
        },
        priority: 0,
        modulus_bits: Some(ModulusBits::Bits2048),
    }
}

/// Writes the data of [`job`] to a folder and describes two nodes that have it, with a fault proxy
/// between them. B connects to A.
///
/// # Errors
/// If a file cannot be written.
pub fn nodes(binary: PathBuf, folder: &Path) -> Result<PairPlan, HarnessError> {
    let train = synthetic::write_dense(folder, "train", ROWS as usize, DATA_SEED)?;
    let test = synthetic::write_dense(folder, "test", TEST_ROWS, DATA_SEED + 1)?;
    let catalogue = |party: Party| -> Vec<Dataset> {
        let set = |name: &str, files: &synthetic::Files| {
            let (path, label) = match party {
                Party::A => (&files.a, None),
                Party::B => (&files.b, Some("y".to_owned())),
            };
            let format = Format::Csv { id_column: "id".to_owned(), label_column: label };
            Dataset::new(party, name, path, format)
        };
        vec![set("train", &train), set("test", &test)]
    };
    Ok(PairPlan {
        connector: Party::B,
        limits: Limits { peer_timeout_seconds: PEER_TIMEOUT_SECONDS, ..Limits::default() },
        proxied: true,
        ..PairPlan::new(binary, catalogue(Party::A), catalogue(Party::B))
    })
}

impl Arena {
    /// Starts the nodes and runs two jobs that nothing disturbs. They must agree.
    ///
    /// # Errors
    /// If they do not, or if a node does not start.
    pub async fn start(binary: PathBuf) -> Result<Self, Box<dyn std::error::Error>> {
        let data = tempfile::tempdir().map_err(HarnessError::io("cannot make a folder"))?;
        let plan = nodes(binary, data.path())?;
        let mut pair = tokio::task::block_in_place(|| Pair::start(&plan))?;
        let mut reference = run::undisturbed(&mut pair, &job()).await?;
        let again = run::undisturbed(&mut pair, &job()).await?;
        if let Some(what) = difference(&again.report, &reference.report) {
            return Err(format!("two undisturbed jobs differ: {what}").into());
        }
        reference.end_no_later_than(&again);
        Ok(Self { pair, plan, reference, _data: data })
    }

    /// What an undisturbed job reports.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The nodes.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Runs one job and does to it what the plan says. After a run that does not end right the
    /// nodes are new ones, so that it cannot spoil the next.
    ///
    /// # Errors
    /// If new nodes cannot be started.
    pub async fn run(&mut self, plan: &Plan) -> Result<Outcome, HarnessError> {
        let outcome = run::disturbed(&mut self.pair, &job(), plan, &self.reference).await;
        if outcome.verdict != Verdict::EndedRight {
            self.pair = tokio::task::block_in_place(|| Pair::start(&self.plan))?;
        }
        Ok(outcome)
    }

    /// The last lines of both nodes' logs.
    pub fn logs(&self, lines: usize) -> String {
        let tail = |party: Party| {
            format!("-- {}\n{}\n", party.name(), self.pair.node(party).log_tail(lines))
        };
        tail(Party::A) + &tail(Party::B)
    }

    /// Stops the nodes in an orderly way.
    ///
    /// # Errors
    /// If one had to be killed.
    pub fn stop(self) -> Result<(), HarnessError> {
        self.pair.stop()
    }
}
