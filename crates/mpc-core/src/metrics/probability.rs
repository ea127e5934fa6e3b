//! Figures of the probabilities that scores stand for: how far they are from the labels.

use super::Ranked;
use crate::baseline::sigmoid;

/// Mean over the rows of a loss that depends on the score and the label.
fn mean(ranked: &Ranked, loss: impl Fn(f64, bool) -> f64) -> f64 {
    let sum: f64 = ranked
        .counts()
        .map(|(score, positives, negatives)| {
            // Not one product: 0 times a loss that overflows is no number.
            let part = |rows: usize, label| match rows {
                0 => 0.0,
                rows => rows as f64 * loss(score, label),
            };
            part(positives, true) + part(negatives, false)
        })
        .sum();
    sum / ranked.rows() as f64
}

/// Brier score: (σ(z) − y)².
pub(super) fn brier(ranked: &Ranked) -> f64 {
    mean(ranked, |z, label| if label { sigmoid(-z) } else { sigmoid(z) }.powi(2))
}

/// −ln of the probability of the label: ln(1 + e^−z) of a positive, ln(1 + e^z) of a negative. Not of a
/// probability that was rounded to 0.
pub(super) fn log_loss(ranked: &Ranked) -> f64 {
    mean(ranked, |z, label| {
        let against = if label { -z } else { z };
        against.max(0.0) + (-against.abs()).exp().ln_1p()
    })
}
