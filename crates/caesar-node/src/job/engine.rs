//! The call into the protocol. Everything that `mpc-core` knows of this node is in this file.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use caesar_proto::v1::{JobResult, TrainingPoint};
use mpc_core::{
    cost::Yardstick,
    matrix::Table,
    metrics::{
        Evaluation,
        evaluation::{figure, released_bound},
    },
    session::{
        self, LabelOptions, LinkError, Notice, Observer, Parameters, Progress, Role, Run,
        SessionError, ValidationPoint, Vault,
    },
    step::Step,
};
use rand::{SeedableRng as _, rngs::SysRng};
use rand_chacha::ChaCha20Rng;

use super::{Cause, JobId, Live, Report};
use crate::{
    error::{Failure, Side},
    peer::{FrameError, JobLink, LinkFault},
    tls::Fingerprint,
    wire,
};

/// What identifies an attempt at a job, and what both sides agreed to.
#[derive(Clone, Debug)]
pub struct Context {
    /// The job.
    pub job: JobId,
    /// Counts attempts from 1.
    pub attempt: u32,
    /// A's certificate.
    pub certificate_a: Fingerprint,
    /// B's certificate.
    pub certificate_b: Fingerprint,
    /// The agreed parameters.
    pub parameters: Parameters,
    /// What B alone was asked; the default at A.
    pub options: LabelOptions,
    /// The time for training, at B.
    pub train_limit: Option<Duration>,
}

/// What computes a job. The vault is the job's own and holds what former attempts left. Blocks; called on
/// the job's own thread inside the job pool.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The feature holder's side.
    ///
    /// # Errors
    /// What both sides and the client are told.
    fn run_a(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<(), Failure>;

    /// The label holder's side. The node fills in times and bytes.
    ///
    /// # Errors
    /// What both sides and the client are told.
    fn run_b(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<JobResult, Failure>;
}

/// The protocol of `mpc-core`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProtocolEngine;

impl Engine for ProtocolEngine {
    fn run_a(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<(), Failure> {
        live.measured(product_time(&context.parameters));
        let (mut link, mut observer) =
            (EngineLink(link), EngineObserver { job: context.job, live, train_limit: None });
        session::run_a(
            &run(context),
            &train,
            &test,
            &mut link,
            vault.as_mut(),
            &mut observer,
            &mut generator()?,
        )
        .map(|summary| {
            for warning in &summary.warnings {
                tracing::warn!(job = %context.job, "{warning}");
            }
        })
        .map_err(|e| failure(&e, Role::FeatureHolder))
    }

    fn run_b(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<JobResult, Failure> {
        live.measured(product_time(&context.parameters));
        let train_limit = context.train_limit;
        let mut observer = EngineObserver { job: context.job, live: live.clone(), train_limit };
        let mut link = EngineLink(link);
        session::run_b(
            &run(context),
            &train,
            &test,
            &mut link,
            vault.as_mut(),
            &mut observer,
            &mut generator()?,
        )
        .map(|report| {
            live.expect(report.costs.clone());
            result(&report, &context.parameters)
        })
        .map_err(|e| failure(&e, Role::LabelHolder))
    }
}

/// How long one product modulo N² takes here: of a few batches the fastest, which nothing disturbed.
fn product_time(parameters: &Parameters) -> Duration {
    let mut yardstick = Yardstick::new(parameters.modulus_bits);
    let batches = (0..3).map(|_| {
        let start = Instant::now();
        yardstick.multiply();
        start.elapsed()
    });
    batches.min().unwrap_or_default() / Yardstick::PRODUCTS
}

/// A fresh generator for one attempt; its state is never written anywhere.
pub(super) fn generator() -> Result<ChaCha20Rng, Failure> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|_| Failure::bug("random numbers"))
}

pub(super) fn run(context: &Context) -> Run {
    Run {
        job: *context.job.as_bytes(),
        attempt: context.attempt,
        certificate_a: context.certificate_a.bytes(),
        certificate_b: context.certificate_b.bytes(),
        parameters: context.parameters,
        options: context.options,
    }
}

pub(super) fn failure(error: &SessionError, own: Role) -> Failure {
    if let SessionError::Bug { what, .. } = error {
        // The place is ours to know, not the peer's.
        tracing::error!("internal error of the protocol: {what}");
    }
    if let Some(place) = std::error::Error::source(error) {
        // Where on this machine: for the log only.
        tracing::error!("{error}: {place}");
    }
    let reason = error.reason(own);
    Failure {
        code: reason.code,
        message: reason.message,
        side: Side::from_name(&reason.side),
        hint: reason.hint,
        step: reason.step,
    }
}

/// What the node's clients may see of the report: its own exact figures stay here.
fn result(report: &session::Report, parameters: &Parameters) -> JobResult {
    let [train, test] = &report.intersections;
    let Evaluation { joint, bank_only, .. } = &report.evaluation;
    JobResult {
        rows_a: report.rows[0] as u64,
        rows_b: report.rows[1] as u64,
        intersection_train: train.rows.len() as u64,
        intersection_test: test.rows.len() as u64,
        intersection_sha256_train: train.sha256_hex(),
        intersection_sha256_test: test.sha256_hex(),
        columns_a: report.columns[0] as u64,
        columns_b: report.columns[1] as u64,
        ks_bank_only: bank_only.ks.value,
        auc_bank_only: bank_only.auc.value,
        f1_bank_only: bank_only.f1,
        ks_joint: joint.ks.value,
        auc_joint: joint.auc.value,
        f1_joint: joint.f1,
        deciles: wire::deciles(joint),
        max_abs_z: released_bound(report.max_abs_score),
        series_window: report.series_window,
        warnings: report.warnings.clone(),
        epochs: report.hyper.epochs,
        batch_size: report.hyper.batch_size,
        learning_rate: report.hyper.learning_rate,
        l2: report.hyper.l2,
        iterations: report.iterations,
        modulus_bits: report.modulus_bits.bits(),
        ciphertexts_a_to_b: report.ciphertexts[0],
        ciphertexts_b_to_a: report.ciphertexts[1],
        kernel: report.kernel.to_owned(),
        training_curve: report.validation.iter().map(training_point).collect(),
        stopped: report.stop.map_or(String::new(), |reason| reason.name().to_owned()),
        schedule: report.hyper.schedule.name().to_owned(),
        whitened: parameters.whiten,
        weighted: parameters.weighted,
        validation_rows: report.validation_rows as u64,
        evaluation: Some(wire::evaluation(&report.evaluation)),
        // Identity, times and bytes are the node's.
        ..JobResult::default()
    }
}

fn training_point(point: &ValidationPoint) -> TrainingPoint {
    TrainingPoint { epoch: point.epoch, ks: figure(point.ks), auc: figure(point.auc) }
}

/// The node's link under `mpc-core`'s name.
pub(super) struct EngineLink(pub(super) JobLink);

impl session::Link for EngineLink {
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError> {
        self.0.send(step, body).map_err(|fault| self.error(&fault))
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        self.0.receive(step, max_len).map_err(|fault| self.error(&fault))
    }

    fn computing(&mut self, step: Step) {
        self.0.computing(step);
    }
}

impl EngineLink {
    fn error(&self, fault: &LinkFault) -> LinkError {
        let control = self.0.control();
        match fault {
            LinkFault::Ended => match control.cause() {
                // The engine's words for an end that is not its own are never shown.
                Some(Cause::Lost(failure)) => LinkError::Lost { detail: failure.message.clone() },
                _ => LinkError::Cancelled,
            },
            LinkFault::Timeout { step, limit } => {
                LinkError::Timeout { step: *step, seconds: limit.as_secs() }
            }
            LinkFault::Frame(FrameError::Step { expected, found }) => {
                LinkError::UnexpectedStep { expected: *expected, found: *found }
            }
            LinkFault::Frame(FrameError::TooLarge { step, .. }) => {
                LinkError::TooLarge { step: *step }
            }
            LinkFault::Frame(error @ (FrameError::Sequence { .. } | FrameError::Chunk { .. })) => {
                // The engine has no word for it.
                control.end(Cause::Local(self.0.bad_message(&error.to_string())));
                LinkError::Cancelled
            }
        }
    }
}

/// The job's progress under `mpc-core`'s name.
struct EngineObserver {
    job: JobId,
    live: Arc<Live>,
    train_limit: Option<Duration>,
}

impl Observer for EngineObserver {
    fn progress(&mut self, progress: Progress) {
        self.live.report(Report {
            phase: progress.phase.name(),
            step: progress.step,
            iteration: progress.iteration,
            iterations: progress.iterations,
            rows_done: progress.rows_done,
            work_done: progress.work_done,
        });
    }

    fn time_is_up(&mut self) -> bool {
        // Asked between epochs, in the training phase.
        self.train_limit.is_some_and(|limit| self.live.in_phase() >= limit)
    }

    fn notice(&mut self, notice: Notice) {
        let job = self.job;
        match notice {
            Notice::Resumed { step, steps, rolled_back, opened } => tracing::info!(
                %job, step, steps, rolled_back, opened, "the job goes on from its checkpoint"
            ),
            Notice::StartedOver => tracing::warn!(
                %job, "the job starts over: the peer has no checkpoint of it"
            ),
            Notice::Corrupt { file } => tracing::warn!(
                %job, ?file, "a checkpoint file is corrupt; what is good before its fault is used"
            ),
        }
    }
}
