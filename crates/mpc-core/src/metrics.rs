//! How well scores separate the two classes and how far they can be believed, computed at B, which alone
//! sees scores and labels.
//!
//! [`evaluate`] has the exact figures of one model, for B itself. What B's node tells its clients is an
//! [`Evaluation`]: figures rounded, and tables of nothing but bins that are large enough ([`bins`]).
//!
//! Equal scores are always kept together: a threshold never falls between them, so no figure depends
//! on the order of the rows.

pub mod bins;
pub mod bootstrap;
pub mod curve;
pub mod evaluation;
mod probability;
mod ranked;
pub mod stability;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use evaluation::{Evaluation, ModelEvaluation};
pub use ranked::Ranked;

/// Scores that cannot be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MetricsError {
    /// Scores and labels are not of one length.
    #[error("{scores} scores but {labels} labels")]
    Length {
        /// Number of scores.
        scores: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A score is NaN or infinite.
    #[error("the score of row {row} is not finite")]
    NotFinite {
        /// The row, from 0.
        row: usize,
    },
    /// All labels are the same (or there are none): no threshold separates anything.
    #[error("all {rows} rows have the same label")]
    SingleClass {
        /// Number of rows.
        rows: usize,
    },
}

impl MetricsError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            MetricsError::Length { .. } => "metrics.length",
            MetricsError::NotFinite { .. } => "metrics.not_finite",
            MetricsError::SingleClass { .. } => "metrics.single_class",
        }
    }
}

/// Exact figures of one set of scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Number of rows.
    pub rows: usize,
    /// Rows with a positive label.
    pub positives: usize,
    /// Kolmogorov–Smirnov statistic: the maximum over all thresholds of |TPR − FPR|.
    pub ks: f64,
    /// A score t at which "score ≥ t" attains [`ks`](Self::ks); the highest such score.
    pub ks_threshold: f64,
    /// Area under the ROC curve: the probability that a positive scores above a negative, ties half.
    pub auc: f64,
    /// Mean over the positives of the precision among all rows that score as high or higher: the area
    /// under the precision–recall curve, by steps.
    pub average_precision: f64,
    /// F1 of "score ≥ 0", that is of probability 0.5 where scores are log-odds.
    pub f1: f64,
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// Mean negative log-likelihood of the labels under the probabilities, in nats.
    pub log_loss: f64,
}

/// Computes all figures.
///
/// `scores` are finite log-odds, one a row; `labels` are the rows' classes, true for positive. Both
/// classes must occur.
///
/// # Errors
/// See [`MetricsError`].
pub fn evaluate(scores: &[f64], labels: &[bool]) -> Result<Metrics, MetricsError> {
    Ok(Metrics::of(&Ranked::new(scores, labels)?))
}

impl Metrics {
    /// The figures of rows that are ranked already.
    pub fn of(ranked: &Ranked) -> Self {
        let (ks, ks_threshold) = ranked.ks();
        Self {
            rows: ranked.rows(),
            positives: ranked.positives(),
            ks,
            ks_threshold,
            auc: ranked.auc(),
            average_precision: ranked.average_precision(),
            f1: ranked.f1(0.0),
            brier: probability::brier(ranked),
            log_loss: probability::log_loss(ranked),
        }
    }
}
