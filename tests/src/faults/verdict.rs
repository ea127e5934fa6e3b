//! How a run ended, against runs that nothing disturbed.

use caesar_client::{Job, JobState, Report};
use serde::Serialize;

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both nodes say that it succeeded, and the report is that of an undisturbed job.
    EndedRight,
    /// The nodes disagree about the end, or the report is another one.
    EndedWrong,
    /// Nothing moved any more.
    Hung,
    /// It ended without a result, or a node did not come back: somebody has to do something.
    NeededHand,
}

/// Most that two reports of the same job may differ in, when one was resumed.
///
/// The harness trains on whole-set batches, so row order, which is fresh in every job, has no
/// influence: apart from rounding the model is a function of the data. What is left:
///
/// - A score is opened with noise of ±2^−10, and a weight of a resumed run lies within 2^−8 of an
///   uninterrupted one's, one unit of noise and weight apiece in either run. The made-up rows have
///   Σ|x| ≤ 15 over 8 standardised columns and the intercept, so a score moves by at most
///   2·2^−10 + 15·2^−8 ≈ 0.06.
/// - `max_abs_z` moves as the scores do. One mini-batch of 16 left out or done twice moves it by
///   several times that; KS and AUC would hardly show it, as they do not see the scale of scores.
/// - KS is a step function of the order of scores. Typical rows have Σ|x| ≈ 7 with signs that mix,
///   and scores have a density below 0.4 a unit: rows that can pass the threshold are a few in a
///   hundred of each class, and AUC averages over all thresholds.
const SCORE_TOLERANCE: f64 = 0.06;
const KS_TOLERANCE: f64 = 0.02;
const AUC_TOLERANCE: f64 = 0.005;

/// What differs from `reference`, in words, or nothing. Times, bytes and ids are not compared.
pub fn difference(report: &Report, reference: &Report) -> Option<String> {
    let exact = |r: &Report| {
        (
            (r.intersection_sha256_train.clone(), r.intersection_sha256_test.clone()),
            (r.rows_a, r.rows_b, r.intersection_train, r.intersection_test),
            (r.columns_a, r.columns_b, r.epochs, r.batch_size, r.iterations, r.modulus_bits),
            (r.learning_rate.to_bits(), r.l2.to_bits()),
            (r.ks_bank_only.to_bits(), r.auc_bank_only.to_bits()),
        )
    };
    if exact(report) != exact(reference) {
        return Some("rows, columns, settings or the bank's own figures differ".to_owned());
    }
    let figures = [
        ("KS", report.ks_joint, reference.ks_joint, KS_TOLERANCE),
        ("AUC", report.auc_joint, reference.auc_joint, AUC_TOLERANCE),
        ("largest |z|", report.max_abs_z, reference.max_abs_z, SCORE_TOLERANCE),
    ];
    figures.into_iter().find_map(|(name, got, want, tolerance)| {
        // Not `>`: a figure that is no number must not pass.
        let same = (got - want).abs() <= tolerance;
        (!same).then(|| format!("{name} is {got:.5}, undisturbed {want:.5}"))
    })
}

/// The verdict on a job that has ended, with the reason if it is not right.
pub(super) fn of_ended(
    at_a: Option<&Job>,
    at_b: Option<&Job>,
    report: Option<&Report>,
    reference: &Report,
) -> (Verdict, String) {
    let state = |job: Option<&Job>| job.map(|job| job.state);
    match (state(at_a), state(at_b), report) {
        (Some(JobState::Succeeded), Some(JobState::Succeeded), Some(report)) => {
            match difference(report, reference) {
                None => (Verdict::EndedRight, String::new()),
                Some(what) => (Verdict::EndedWrong, what),
            }
        }
        (Some(a), Some(b), _) if a != b => (Verdict::EndedWrong, format!("{a} at A, {b} at B")),
        (_, state, _) => {
            let failure = at_b.or(at_a).and_then(|job| job.failure.as_ref());
            let why = failure.map_or_else(String::new, |f| format!(": {f} in step {}", f.step));
            let state = state.map_or("unknown", JobState::name);
            (Verdict::NeededHand, format!("{state}{why}"))
        }
    }
}
