//! The call into the protocol. Everything that `mpc-core` knows of this node is in this file.

use std::{fmt, sync::Arc};

use caesar_proto::v1::{DecileRow, JobResult};
use mpc_core::{
    matrix::Table,
    metrics::Metrics,
    session::{self, LinkError, Observer, Parameters, Progress, Role, Run, SessionError},
    step::Step,
};
use rand::{SeedableRng as _, rngs::SysRng};
use rand_chacha::ChaCha20Rng;

use super::{Cause, Control, JobId, Live, Report};
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
}

/// What computes a job. Blocks; called on the job's own thread inside the job pool.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The feature holder's side.
    ///
    /// # Errors
    /// What both sides and the client are told.
    fn run_a(
        &self,
        context: &Context,
        train: Table,
        test: Table,
        link: JobLink,
        live: Arc<Live>,
    ) -> Result<(), Failure>;

    /// The label holder's side. The node fills in times and bytes.
    ///
    /// # Errors
    /// What both sides and the client are told.
    fn run_b(
        &self,
        context: &Context,
        train: Table,
        test: Table,
        link: JobLink,
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
        train: Table,
        test: Table,
        link: JobLink,
        live: Arc<Live>,
    ) -> Result<(), Failure> {
        let (mut link, mut observer) = (EngineLink(link), EngineObserver(live));
        session::run_a(&run(context), &train, &test, &mut link, &mut observer, &mut generator()?)
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
        train: Table,
        test: Table,
        link: JobLink,
        live: Arc<Live>,
    ) -> Result<JobResult, Failure> {
        let (mut link, mut observer) = (EngineLink(link), EngineObserver(live));
        session::run_b(&run(context), &train, &test, &mut link, &mut observer, &mut generator()?)
            .map(|report| result(&report))
            .map_err(|e| failure(&e, Role::LabelHolder))
    }
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
    }
}

pub(super) fn failure(error: &SessionError, own: Role) -> Failure {
    if let SessionError::Bug { what, .. } = error {
        // The place is ours to know, not the peer's.
        tracing::error!("internal error of the protocol: {what}");
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

fn result(report: &session::Report) -> JobResult {
    let [train, test] = &report.intersections;
    JobResult {
        rows_a: report.rows[0] as u64,
        rows_b: report.rows[1] as u64,
        intersection_train: train.rows.len() as u64,
        intersection_test: test.rows.len() as u64,
        intersection_sha256_train: train.sha256_hex(),
        intersection_sha256_test: test.sha256_hex(),
        columns_a: report.columns[0] as u64,
        columns_b: report.columns[1] as u64,
        ks_bank_only: report.bank_only.ks,
        auc_bank_only: report.bank_only.auc,
        f1_bank_only: report.bank_only.f1,
        ks_joint: report.joint.ks,
        auc_joint: report.joint.auc,
        f1_joint: report.joint.f1,
        deciles: deciles(&report.joint),
        max_abs_z: report.max_abs_score,
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
        // Identity, times and bytes are the node's.
        ..JobResult::default()
    }
}

fn deciles(metrics: &Metrics) -> Vec<DecileRow> {
    metrics
        .deciles
        .iter()
        .map(|d| DecileRow {
            decile: d.decile.into(),
            rows: d.rows as u64,
            positives: d.positives as u64,
            lift: d.lift,
            ks: d.cumulative_ks,
        })
        .collect()
}

/// The node's link under `mpc-core`'s name.
pub(super) struct EngineLink(pub(super) JobLink);

impl session::Link for EngineLink {
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError> {
        self.0.send(step, body).map_err(|fault| link_error(&fault, self.0.control()))
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        self.0.receive(step, max_len).map_err(|fault| link_error(&fault, self.0.control()))
    }
}

fn link_error(fault: &LinkFault, control: &Control) -> LinkError {
    match fault {
        LinkFault::Ended => match control.cause() {
            Some(Cause::PeerAborted(failure)) => {
                let reason = wire::reason(failure);
                LinkError::PeerAborted(session::Reason {
                    code: reason.code,
                    message: reason.message,
                    side: reason.side,
                    hint: reason.hint,
                    step: reason.step,
                })
            }
            Some(Cause::Lost(failure)) => LinkError::Lost { detail: failure.message.clone() },
            Some(Cause::Cancelled | Cause::Local(_)) | None => LinkError::Cancelled,
        },
        LinkFault::Lost => LinkError::Lost { detail: "the connection ended".to_owned() },
        LinkFault::Timeout { step, limit } => {
            LinkError::Timeout { step: *step, seconds: limit.as_secs() }
        }
        LinkFault::Frame(FrameError::Step { expected, found }) => {
            LinkError::UnexpectedStep { expected: *expected, found: *found }
        }
        LinkFault::Frame(FrameError::TooLarge { step, .. }) => LinkError::TooLarge { step: *step },
        LinkFault::Frame(error) => LinkError::Lost { detail: error.to_string() },
    }
}

/// The job's progress under `mpc-core`'s name.
struct EngineObserver(Arc<Live>);

impl Observer for EngineObserver {
    fn progress(&mut self, progress: Progress) {
        self.0.report(Report {
            phase: progress.phase.name(),
            step: progress.step,
            iteration: progress.iteration,
            iterations: progress.iterations,
            rows_done: progress.rows_done,
            work_done: progress.work_done,
        });
    }
}
