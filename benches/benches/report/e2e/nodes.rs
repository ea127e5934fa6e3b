//! Jobs between two real nodes, with or without a line between them.

use std::path::PathBuf;

use caesar_client::{DataSets, JobSpec, JobState, ModulusBits, Report, Training};
use caesar_e2e::{
    Limits, Pair, PairPlan, Party, Profile, build_node,
    proxy::{Shape, Traffic, Way},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{AnyError, cases::Case};
use crate::link::Link;

/// Jobs that a median is taken of.
const REPEATS: usize = 3;

/// Starts pairs of nodes and runs jobs on them.
pub(crate) struct Nodes {
    runtime: Runtime,
    binary: PathBuf,
    seed: u64,
}

/// A job that has ended.
pub(crate) struct Run {
    pub(crate) report: Report,
    /// Payload of both nodes while they trained.
    pub(crate) payload: u64,
    /// Share of the line that was used while it was in use in training, of the direction where it is
    /// more.
    pub(crate) link_used: Option<f64>,
}

impl Run {
    /// Rows that were trained on, all epochs together.
    pub(crate) fn rows(&self) -> u64 {
        u64::from(self.report.iterations) * u64::from(self.report.batch_size)
    }

    pub(crate) fn rows_per_second(&self) -> f64 {
        self.rows() as f64 / self.report.seconds_train
    }
}

/// Two nodes with the data of one case.
pub(crate) struct Session<'a> {
    nodes: &'a Nodes,
    pair: Pair,
    // Removed when the nodes have ended.
    _files: TempDir,
}

impl Nodes {
    /// Builds the node.
    pub(crate) fn new(seed: u64) -> Result<Self, AnyError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, binary: build_node(Profile::Release)?, seed })
    }

    /// Two nodes, with a proxy between them where the line has a shape.
    pub(crate) fn start(&self, case: &Case, link: &Link) -> Result<Session<'_>, AnyError> {
        let files = tempfile::tempdir()?;
        let [a, b] = case.catalogues(files.path(), self.seed)?;
        let plan = PairPlan::new(self.binary.clone(), a, b);
        let proxied = link.shape().is_some();
        let pair = Pair::start(&PairPlan { proxied, limits: Limits::default(), ..plan })?;
        let session = Session { nodes: self, pair, _files: files };
        session.set_link(link);
        Ok(session)
    }
}

impl Session<'_> {
    /// Another shape of the line; only between links that have one.
    pub(crate) fn set_link(&self, link: &Link) {
        if let Some(proxy) = self.pair.proxy() {
            proxy.shape_both(link.shape().unwrap_or(Shape::OPEN));
        }
    }

    /// The job of the median time of training.
    pub(crate) fn median(
        &self,
        bits: ModulusBits,
        training: &Training,
        link: &Link,
    ) -> Result<Run, AnyError> {
        let mut runs = Vec::new();
        for _ in 0..REPEATS {
            runs.push(self.run(bits, training, link)?);
        }
        runs.sort_by(|a, b| a.report.seconds_train.total_cmp(&b.report.seconds_train));
        Ok(runs.swap_remove(REPEATS / 2))
    }

    /// One job.
    pub(crate) fn run(
        &self,
        bits: ModulusBits,
        training: &Training,
        link: &Link,
    ) -> Result<Run, AnyError> {
        self.nodes.runtime.block_on(self.job(bits, training, link))
    }

    pub(crate) fn stop(self) -> Result<(), AnyError> {
        Ok(self.pair.stop()?)
    }

    async fn job(
        &self,
        bits: ModulusBits,
        training: &Training,
        link: &Link,
    ) -> Result<Run, AnyError> {
        let bank = self.pair.client(Party::B).await?;
        let data = DataSets::alike("train", "test");
        let spec =
            JobSpec { modulus_bits: Some(bits), training: training.clone(), ..JobSpec::new(data) };
        let id = bank.submit(&spec).await?.id;
        let traffic = || self.pair.proxy().map(|proxy| Way::BOTH.map(|way| proxy.traffic(way)));
        // The last look before training and the first one after it: a fraction of a second of set-up
        // and of evaluation may be counted too.
        let (mut before, mut after) = (None, None);
        let job = bank
            .follow(&id, |job| {
                let now = (job.progress.bytes_sent + job.progress.bytes_received, traffic());
                match job.progress.phase.as_str() {
                    "queued" | "data" | "psi" | "setup" => before = Some(now),
                    "train" => {}
                    _ => {
                        after.get_or_insert(now);
                    }
                }
            })
            .await?;
        if job.state != JobState::Succeeded {
            return Err(format!("a job is {}: {:?}", job.state, job.failure).into());
        }
        let report = bank.result(&id).await?;
        let whole = (report.bytes_a_to_b + report.bytes_b_to_a, None);
        let (sent_before, lanes_before) = before.unwrap_or_default();
        let (sent_after, lanes_after) = after.unwrap_or(whole);
        let link_used = match (link.bytes_per_second(), lanes_before, lanes_after) {
            (Some(rate), Some(before), Some(after)) => Some(used(before, after, rate)),
            _ => None,
        };
        Ok(Run { report, payload: sent_after - sent_before, link_used })
    }
}

fn used(before: [Traffic; 2], after: [Traffic; 2], bytes_per_second: u64) -> f64 {
    let ways = after.into_iter().zip(before);
    ways.map(|(after, before)| after.since(before).utilisation(bytes_per_second))
        .fold(0.0, f64::max)
}
