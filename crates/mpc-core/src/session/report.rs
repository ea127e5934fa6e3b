//! What a run ends with at each side. Only B's report has figures about labels.

use paillier::ModulusBits;

use super::{
    channel::Channel,
    error::{SessionError, Split},
    setup::{Aligned, Ready},
};
use crate::{
    baseline,
    matrix::Table,
    metrics::{self, Metrics},
    plan::Hyper,
    psi::Intersection,
    step::Step,
    train::series::ErrorSeries,
};

/// What A keeps of a run.
#[derive(Clone, Debug)]
pub struct SummaryA {
    /// Alignment of the training and the test rows.
    pub intersections: [Intersection; 2],
    /// Step size, batch size, epochs, penalty.
    pub hyper: Hyper,
    /// Mini-batches done.
    pub iterations: u32,
    /// Warnings about A's own columns.
    pub warnings: Vec<String>,
    /// Ciphertexts that A sent and received.
    pub ciphertexts: [u64; 2],
}

/// What B gets.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows of A's and of B's training table.
    pub rows: [usize; 2],
    /// Alignment of the training and the test rows.
    pub intersections: [Intersection; 2],
    /// Usable columns of A and of B, without the intercept.
    pub columns: [usize; 2],
    /// What B reaches alone on the test rows: converged plaintext logistic regression.
    pub bank_only: Metrics,
    /// The joint model on the test rows.
    pub joint: Metrics,
    /// Largest |score| on the test rows.
    pub max_abs_score: f64,
    /// Half the period of the error series: scores beyond it were trained on a wrong error.
    pub series_window: f64,
    /// For people: what to look at before the figures are trusted.
    pub warnings: Vec<String>,
    /// Step size, batch size, epochs, penalty.
    pub hyper: Hyper,
    /// Mini-batches done.
    pub iterations: u32,
    /// Length of the Paillier moduli.
    pub modulus_bits: ModulusBits,
    /// Ciphertexts sent by A and by B.
    pub ciphertexts: [u64; 2],
    /// The arithmetic kernel in use at B.
    pub kernel: &'static str,
}

/// The labels of the common rows, both classes present.
pub(super) fn labels_of(
    table: &Table,
    rows: &[usize],
    split: Split,
) -> Result<Vec<bool>, SessionError> {
    let labels = table.labels.as_ref().ok_or(SessionError::NoLabel { split })?;
    let picked: Vec<bool> = rows.iter().map(|&i| labels[i]).collect();
    if picked.iter().all(|&l| l) || picked.iter().all(|&l| !l) {
        return Err(SessionError::SingleClass { split });
    }
    Ok(picked)
}

/// The converged plaintext model on B's own columns: the honest figure to measure the lift against.
pub(super) fn bank_only(
    train: &Table,
    test: &Table,
    aligned: &Aligned,
    test_labels: &[bool],
) -> Result<Metrics, SessionError> {
    let bug = |what: String| SessionError::Bug { step: Step::Bounds, what };
    let labels = train.labels.as_ref().ok_or(SessionError::NoLabel { split: Split::Train })?;
    let scores = baseline::fit_and_score(
        &train.features,
        labels,
        &aligned.train.rows,
        &test.features,
        &aligned.test.rows,
    )
    .map_err(|e| bug(format!("bank-only model: {e}")))?;
    metrics::evaluate(&scores, test_labels).map_err(|e| bug(format!("bank-only model: {e}")))
}

impl SummaryA {
    pub(super) fn new(aligned: &Aligned, ready: &Ready, channel: &Channel<'_>) -> Self {
        Self {
            intersections: [aligned.train.clone(), aligned.test.clone()],
            hyper: ready.plan.hyper,
            iterations: ready.plan.steps(),
            warnings: ready.prepared.warnings.clone(),
            ciphertexts: [channel.ciphertexts_sent, channel.ciphertexts_received],
        }
    }
}

impl Report {
    pub(super) fn new(
        tables: [&Table; 2],
        aligned: &Aligned,
        ready: &Ready,
        channel: &Channel<'_>,
        bank_only: Metrics,
        scores: &[f64],
        labels: &[bool],
    ) -> Result<Self, SessionError> {
        let plan = &ready.plan;
        let joint = metrics::evaluate(scores, labels)
            .map_err(|e| SessionError::Bug { step: Step::Evaluate, what: e.to_string() })?;
        let max_abs_score = scores.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let period = plan.period_at(plan.steps().saturating_sub(1)).1;
        let series = ErrorSeries::fit(&plan.shape, period);
        let mut warnings = ready.prepared.warnings.clone();
        warnings.extend(plan.rate_warning());
        if max_abs_score > series.warn_above() {
            warnings.push(format!(
                "scores reach ±{max_abs_score:.1}, near the limit {:.1} of the error series: the \
                 model may be off; lower learning_rate or epochs, or set l2",
                period / 2.0
            ));
        }
        Ok(Self {
            rows: [aligned.train.peer_ids, tables[0].ids.len()],
            intersections: [aligned.train.clone(), aligned.test.clone()],
            columns: plan.bounds.map(|b| b.columns as usize),
            bank_only,
            joint,
            max_abs_score,
            series_window: period / 2.0,
            warnings,
            hyper: plan.hyper,
            iterations: plan.steps(),
            modulus_bits: plan.modulus_bits,
            ciphertexts: [channel.ciphertexts_received, channel.ciphertexts_sent],
            kernel: ready.keys.peer.kernel_name(),
        })
    }
}
