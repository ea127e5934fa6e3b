//! What a run ends with at each side. Only B's report has figures about labels.

use paillier::ModulusBits;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{
    channel::Channel,
    course::{Course, StopReason, ValidationPoint},
    error::{Role, SessionError, Split},
    row_sets::RowSets,
    setup::{Aligned, Ready},
};
use crate::{
    baseline::{self, BaselineError, Scores},
    cost::{self, Attempt, Cells},
    matrix::Table,
    metrics::{Evaluation, Metrics, Ranked, bins::MIN_BIN_CLASS},
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
    /// Ciphertexts that A sent and received in this attempt.
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
    /// What may be told of both: the rest of this is for B.
    pub evaluation: Evaluation,
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
    /// Common training rows that were set aside.
    pub validation_rows: usize,
    /// How the model did on them after each epoch.
    pub validation: Vec<ValidationPoint>,
    /// Why training ended before all epochs, if it did.
    pub stop: Option<StopReason>,
    /// Length of the Paillier moduli.
    pub modulus_bits: ModulusBits,
    /// Ciphertexts sent by A and by B in the attempt that ended the job.
    pub ciphertexts: [u64; 2],
    /// The arithmetic kernel in use at B.
    pub kernel: &'static str,
    /// Products modulo N² that the steps of A and of B should have taken in this attempt, where there
    /// is a formula: of A from what A publishes.
    pub costs: [Vec<(Step, f64)>; 2],
}

/// The test rows of a run with the scores of both models.
#[derive(Clone, Copy)]
pub(super) struct Scored<'a> {
    pub(super) joint: &'a [f64],
    pub(super) bank_only: &'a Scores,
    pub(super) labels: &'a [bool],
    /// Mini-batches of the joint model.
    pub(super) steps: u32,
}

/// The labels of the common rows, both classes present in each set that has rows.
pub(super) struct Labels {
    pub(super) train: Vec<bool>,
    pub(super) validation: Vec<bool>,
    pub(super) test: Vec<bool>,
}

impl Labels {
    pub(super) fn of([train, test]: [&Table; 2], sets: &RowSets) -> Result<Self, SessionError> {
        let validation = match sets.validation.as_slice() {
            [] => Vec::new(),
            rows => labels_of(train, rows, Split::Train).map_err(|error| match error {
                SessionError::SingleClass { .. } => SessionError::ValidationSingleClass,
                other => other,
            })?,
        };
        Ok(Self {
            train: labels_of(train, &sets.train, Split::Train)?,
            validation,
            test: labels_of(test, &sets.test, Split::Test)?,
        })
    }
}

fn labels_of(table: &Table, rows: &[usize], split: Split) -> Result<Vec<bool>, SessionError> {
    let labels = table.labels.as_ref().ok_or(SessionError::NoLabel { split })?;
    let picked: Vec<bool> = rows.iter().map(|&i| labels[i]).collect();
    if picked.iter().all(|&l| l) || picked.iter().all(|&l| !l) {
        return Err(SessionError::SingleClass { split });
    }
    Ok(picked)
}

/// Scores of the converged plaintext model on B's own columns: the honest figure to measure the lift
/// against.
pub(super) fn bank_only(
    [train, test]: [&Table; 2],
    aligned: &Aligned,
) -> Result<Scores, SessionError> {
    let labels = train.labels.as_ref().ok_or(SessionError::NoLabel { split: Split::Train })?;
    baseline::fit_and_score(
        &train.features,
        labels,
        &aligned.train.rows,
        &test.features,
        &aligned.test.rows,
    )
    .map_err(|e| match e {
        BaselineError::Features(cause) => SessionError::Features { side: Role::LabelHolder, cause },
        other => {
            SessionError::Bug { step: Step::Bounds, what: format!("bank-only model: {other}") }
        }
    })
}

impl SummaryA {
    pub(super) fn new(aligned: &Aligned, ready: &Ready, channel: &Channel<'_>, steps: u32) -> Self {
        Self {
            intersections: [aligned.train.clone(), aligned.test.clone()],
            hyper: ready.plan.hyper,
            iterations: steps,
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
        scored: Scored<'_>,
        rng: &mut impl Rng,
    ) -> Result<Self, SessionError> {
        let Scored { joint: scores, bank_only, labels, steps } = scored;
        let plan = &ready.plan;
        let ranked = |scores: &[f64]| {
            Ranked::new(scores, labels)
                .map_err(|e| SessionError::Bug { step: Step::Evaluate, what: e.to_string() })
        };
        let (joint, bank) = (ranked(scores)?, ranked(&bank_only.test)?);
        let resampling = &mut ChaCha20Rng::from_rng(rng);
        let evaluation = Evaluation::new(&joint, &bank, &bank_only.train, labels, resampling);
        let max_abs_score = scores.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let period = plan.period_at(steps.saturating_sub(1)).1;
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
        if evaluation.positives.is_none() {
            warnings.push(format!(
                "a class has fewer than {MIN_BIN_CLASS} test rows: curves and tables are left out, and \
                 all figures are of few rows"
            ));
        }
        Ok(Self {
            rows: [aligned.train.peer_ids, tables[0].ids.len()],
            intersections: [aligned.train.clone(), aligned.test.clone()],
            columns: plan.bounds.map(|b| b.columns as usize),
            bank_only: Metrics::of(&bank),
            joint: Metrics::of(&joint),
            evaluation,
            max_abs_score,
            series_window: period / 2.0,
            warnings,
            hyper: plan.hyper,
            iterations: steps,
            validation_rows: plan.validation_rows,
            validation: Vec::new(),
            stop: None,
            modulus_bits: plan.modulus_bits,
            ciphertexts: [channel.ciphertexts_received, channel.ciphertexts_sent],
            kernel: ready.keys.peer.kernel_name(),
            costs: [Vec::new(), Vec::new()],
        })
    }

    /// The same with what happened between epochs.
    pub(super) fn with_course(self, course: &Course) -> Self {
        Self { validation: course.curve().to_vec(), stop: course.stop(), ..self }
    }

    /// The same with what both sides' steps should cost. B knows its own non-zeros, and A's as far as A
    /// publishes them.
    pub(super) fn with_costs(self, ready: &Ready, attempt: Attempt) -> Self {
        let Ready { plan, prepared, .. } = ready;
        let own = prepared.train.indices.len() as f64 / prepared.train.len().max(1) as f64;
        let a = Cells::published(&plan.bounds[0]);
        // Every row has the intercept as well.
        let b = Cells::known(&plan.bounds[1], own).map(Cells::with_intercept);
        let costs = [a, b].map(|cells| {
            let cost = |&step: &Step| Some((step, cost::products(plan, cells, attempt, step)?));
            Step::ALL.iter().filter_map(cost).collect()
        });
        Self { costs, ..self }
    }
}
