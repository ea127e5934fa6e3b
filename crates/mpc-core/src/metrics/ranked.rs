//! Rows by falling score, and the figures that only the ranks decide.

use std::cmp::Ordering;

use super::MetricsError;

/// All rows with one score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    pub(super) score: f64,
    /// Rows with this or a higher score, and the positives among them.
    pub(super) rows_above: usize,
    pub(super) positives_above: usize,
}

/// Distinct scores, highest first, with running counts: the points of the ROC curve but its origin. Both
/// classes occur.
#[derive(Clone)]
pub struct Ranked {
    pub(super) ties: Vec<Tie>,
    /// For each row its place in `ties`.
    pub(super) tie_of: Vec<u32>,
    positives: usize,
    negatives: usize,
}

impl std::fmt::Debug for Ranked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranked({} rows, ..)", self.rows())
    }
}

impl Ranked {
    /// Sorts the rows: `scores` are finite, `labels` true for positive, one of each a row.
    ///
    /// # Errors
    /// See [`MetricsError`].
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricsError> {
        if scores.len() != labels.len() {
            return Err(MetricsError::Length { scores: scores.len(), labels: labels.len() });
        }
        if let Some(row) = scores.iter().position(|s| !s.is_finite()) {
            return Err(MetricsError::NotFinite { row });
        }
        let positives = labels.iter().filter(|&&y| y).count();
        let negatives = labels.len() - positives;
        if positives == 0 || negatives == 0 {
            return Err(MetricsError::SingleClass { rows: labels.len() });
        }
        // A job has at most 2^27 rows.
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        // Finite values are comparable, and −0 equals 0 here, unlike with `total_cmp`.
        order.sort_unstable_by(|&a, &b| {
            let (a, b) = (scores[a as usize], scores[b as usize]);
            b.partial_cmp(&a).unwrap_or(Ordering::Equal)
        });
        let mut positives_above = 0;
        let mut ties: Vec<Tie> = Vec::new();
        let mut tie_of = vec![0; labels.len()];
        for (i, row) in order.into_iter().map(|row| row as usize).enumerate() {
            positives_above += usize::from(labels[row]);
            // +0 for −0: the sign of a zero must not depend on the order of equal scores.
            let tie = Tie { score: scores[row] + 0.0, rows_above: i + 1, positives_above };
            match ties.last_mut() {
                Some(last) if last.score == tie.score => *last = tie,
                _ => ties.push(tie),
            }
            tie_of[row] = ties.len() as u32 - 1;
        }
        Ok(Self { ties, tie_of, positives, negatives })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.positives + self.negatives
    }

    /// Rows with a positive label.
    pub fn positives(&self) -> usize {
        self.positives
    }

    /// Rows with a negative label.
    pub fn negatives(&self) -> usize {
        self.negatives
    }

    /// Each distinct score with its positives and negatives, highest first.
    pub(super) fn counts(&self) -> impl Iterator<Item = (f64, usize, usize)> + '_ {
        let mut before = (0, 0);
        self.ties.iter().map(move |tie| {
            let positives = tie.positives_above - before.1;
            let negatives = tie.rows_above - before.0 - positives;
            before = (tie.rows_above, tie.positives_above);
            (tie.score, positives, negatives)
        })
    }

    /// The statistic and the highest score that attains it.
    pub(super) fn ks(&self) -> (f64, f64) {
        // Over a common denominator, so that equal separations are equal.
        let (positives, negatives) = (self.positives as i128, self.negatives as i128);
        let mut best = (0, self.ties[0].score);
        for tie in &self.ties {
            let hits = tie.positives_above as i128;
            let misses = tie.rows_above as i128 - hits;
            let separation = (hits * negatives - misses * positives).abs();
            if separation > best.0 {
                best = (separation, tie.score);
            }
        }
        (best.0 as f64 / (positives * negatives) as f64, best.1)
    }

    /// Mann–Whitney: pairs of a positive above a negative, in half pairs to stay exact.
    pub(super) fn auc(&self) -> f64 {
        let mut half_pairs: u128 = 0;
        let mut above = 0;
        for (_, positives, negatives) in self.counts() {
            half_pairs += (2 * above + positives) as u128 * negatives as u128;
            above += positives;
        }
        half_pairs as f64 / (2.0 * self.positives as f64 * self.negatives as f64)
    }

    /// Σ (R_n − R_(n−1))·P_n over the distinct scores, with recall R and precision P.
    pub(super) fn average_precision(&self) -> f64 {
        let sum: f64 = self
            .ties
            .iter()
            .zip(self.counts())
            .map(|(tie, (_, positives, _))| {
                positives as f64 * (tie.positives_above as f64 / tie.rows_above as f64)
            })
            .sum();
        sum / self.positives as f64
    }

    /// F1 of "score ≥ threshold"; 0 when nothing is predicted positive, as no positive is found.
    pub(super) fn f1(&self, threshold: f64) -> f64 {
        let (predicted, hits) = self
            .ties
            .iter()
            .take_while(|tie| tie.score >= threshold)
            .last()
            .map_or((0, 0), |tie| (tie.rows_above, tie.positives_above));
        2.0 * hits as f64 / (predicted + self.positives) as f64
    }
}
