//! How well scores separate the two classes: KS, AUC, F1 and the decile table. Computed at B, which
//! alone sees scores and labels; nothing here is sent.
//!
//! Equal scores are always kept together: a threshold never falls between them, so no figure depends
//! on the order of the rows.

use std::cmp::Ordering;

use thiserror::Error;

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

/// Figures of one set of scores.
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
    /// F1 of "score ≥ 0", that is of probability 0.5 where scores are log-odds.
    pub f1: f64,
    /// Rows by falling score in ten nearly equal groups; see [`Decile`].
    pub deciles: Vec<Decile>,
}

/// A group of rows of similar score. Groups end at the tenths of the rows, later where a tenth falls
/// among equal scores; a tenth that is swallowed whole by ties has no entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decile {
    /// 1 for the highest scores up to 10.
    pub decile: u8,
    /// Number of rows.
    pub rows: usize,
    /// Rows with a positive label.
    pub positives: usize,
    /// Lowest score of the group.
    pub min_score: f64,
    /// Share of positives in the group over the share in all rows.
    pub lift: f64,
    /// |TPR − FPR| when this group and all above it are called positive.
    pub cumulative_ks: f64,
}

/// Computes all figures.
///
/// `scores` are finite log-odds, one a row; `labels` are the rows' classes, true for positive. Both
/// classes must occur.
pub fn evaluate(scores: &[f64], labels: &[bool]) -> Result<Metrics, MetricsError> {
    let ranked = Ranked::new(scores, labels)?;
    let (ks, ks_threshold) = ranked.ks();
    Ok(Metrics {
        rows: scores.len(),
        positives: ranked.positives,
        ks,
        ks_threshold,
        auc: ranked.auc(),
        f1: ranked.f1(0.0),
        deciles: ranked.deciles(),
    })
}

/// All rows with one score.
#[derive(Clone, Copy, Debug)]
struct Tie {
    score: f64,
    /// Rows with this or a higher score, and the positives among them.
    rows_above: usize,
    positives_above: usize,
}

/// Distinct scores, highest first, with running counts: the points of the ROC curve but its origin.
struct Ranked {
    ties: Vec<Tie>,
    positives: usize,
    negatives: usize,
}

impl Ranked {
    fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricsError> {
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

        let mut order: Vec<(f64, bool)> =
            scores.iter().copied().zip(labels.iter().copied()).collect();
        // Finite values are comparable, and −0 equals 0 here, unlike with `total_cmp`.
        order.sort_unstable_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
        let mut positives_above = 0;
        let mut ties: Vec<Tie> = Vec::new();
        for (i, &(score, label)) in order.iter().enumerate() {
            positives_above += usize::from(label);
            let tie = Tie { score, rows_above: i + 1, positives_above };
            match ties.last_mut() {
                Some(last) if last.score == score => *last = tie,
                _ => ties.push(tie),
            }
        }
        Ok(Self { ties, positives, negatives })
    }

    /// |TPR − FPR| if everything down to this tie is called positive.
    fn separation(&self, tie: &Tie) -> f64 {
        let tpr = tie.positives_above as f64 / self.positives as f64;
        let fpr = (tie.rows_above - tie.positives_above) as f64 / self.negatives as f64;
        (tpr - fpr).abs()
    }

    fn ks(&self) -> (f64, f64) {
        let mut best = (0.0, self.ties[0].score);
        for tie in &self.ties {
            let separation = self.separation(tie);
            if separation > best.0 {
                best = (separation, tie.score);
            }
        }
        best
    }

    /// Mann–Whitney: pairs of a positive above a negative, in half pairs to stay exact.
    fn auc(&self) -> f64 {
        let mut half_pairs: u128 = 0;
        let (mut rows, mut positives) = (0, 0);
        for tie in &self.ties {
            let tied_positives = tie.positives_above - positives;
            let tied_negatives = tie.rows_above - rows - tied_positives;
            half_pairs += (2 * positives + tied_positives) as u128 * tied_negatives as u128;
            (rows, positives) = (tie.rows_above, tie.positives_above);
        }
        half_pairs as f64 / (2.0 * self.positives as f64 * self.negatives as f64)
    }

    /// F1 of "score ≥ threshold"; 0 when nothing is predicted positive, as no positive is found.
    fn f1(&self, threshold: f64) -> f64 {
        let (predicted, hits) = self
            .ties
            .iter()
            .take_while(|tie| tie.score >= threshold)
            .last()
            .map_or((0, 0), |tie| (tie.rows_above, tie.positives_above));
        2.0 * hits as f64 / (predicted + self.positives) as f64
    }

    fn deciles(&self) -> Vec<Decile> {
        let rows = self.positives + self.negatives;
        let base_rate = self.positives as f64 / rows as f64;
        let mut out = Vec::with_capacity(10);
        let (mut rows_done, mut positives_done) = (0, 0);
        for decile in 1..=10 {
            let target = (rows * usize::from(decile)).div_ceil(10);
            let end = self.ties.partition_point(|tie| tie.rows_above < target);
            let tie = &self.ties[end];
            if tie.rows_above == rows_done {
                continue;
            }
            let group = tie.rows_above - rows_done;
            let positives = tie.positives_above - positives_done;
            out.push(Decile {
                decile,
                rows: group,
                positives,
                min_score: tie.score,
                lift: positives as f64 / group as f64 / base_rate,
                cumulative_ks: self.separation(tie),
            });
            (rows_done, positives_done) = (tie.rows_above, tie.positives_above);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    /// Straight from the definitions: every score as a threshold, every pair of rows.
    fn brute_force(scores: &[f64], labels: &[bool]) -> (f64, f64, f64) {
        let rate = |class: bool, t: f64| {
            let of_class = labels.iter().filter(|&&y| y == class).count() as f64;
            let hit = scores.iter().zip(labels).filter(|&(&s, &y)| y == class && s >= t).count();
            hit as f64 / of_class
        };
        let ks = scores.iter().map(|&t| (rate(true, t) - rate(false, t)).abs()).fold(0.0, f64::max);
        let (mut pairs, mut above) = (0.0, 0.0);
        for (s, _) in scores.iter().zip(labels).filter(|(_, y)| **y) {
            for (r, _) in scores.iter().zip(labels).filter(|(_, y)| !**y) {
                pairs += 1.0;
                above += if s > r { 1.0 } else { f64::from(u8::from(s == r)) / 2.0 };
            }
        }
        let count = |p: bool, y: bool| {
            scores.iter().zip(labels).filter(|&(&s, &l)| (s >= 0.0) == p && l == y).count() as f64
        };
        let (tp, fp, fal) = (count(true, true), count(true, false), count(false, true));
        (ks, above / pairs, 2.0 * tp / (2.0 * tp + fp + fal))
    }

    #[test]
    fn figures_equal_brute_force_with_and_without_ties() {
        for seed in 0..200 {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let n = rng.random_range(2..60);
            let levels = [3, 10, 1_000_000][rng.random_range(0..3)];
            let scores: Vec<f64> = (0..n)
                .map(|_| f64::from(rng.random_range(-levels..=levels)) / f64::from(levels))
                .collect();
            let mut labels: Vec<bool> = (0..n).map(|_| rng.random_bool(0.3)).collect();
            (labels[0], labels[1]) = (true, false);
            let got = evaluate(&scores, &labels).unwrap();
            let (ks, auc, f1) = brute_force(&scores, &labels);
            assert!((got.ks - ks).abs() < 1e-12, "ks {} {ks}, seed {seed}", got.ks);
            assert!((got.auc - auc).abs() < 1e-12, "auc {} {auc}, seed {seed}", got.auc);
            assert!((got.f1 - f1).abs() < 1e-12, "f1 {} {f1}, seed {seed}", got.f1);
            assert_eq!(got.deciles.iter().map(|d| d.rows).sum::<usize>(), n, "seed {seed}");
            let sum = got.deciles.iter().map(|d| d.positives).sum::<usize>();
            assert_eq!(sum, got.positives, "seed {seed}");
            assert_eq!(got.deciles.last().unwrap().cumulative_ks, 0.0, "seed {seed}");
        }
    }

    #[test]
    fn known_small_cases() {
        // The example of scikit-learn's documentation of `roc_auc_score`: AUC 0.75.
        let m = evaluate(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]).unwrap();
        assert_eq!((m.auc, m.ks, m.ks_threshold), (0.75, 0.5, 0.8));
        // Perfect, reversed, and constant scores.
        let m = evaluate(&[-1.0, -2.0, 1.0, 2.0], &[false, false, true, true]).unwrap();
        assert_eq!((m.auc, m.ks, m.f1, m.ks_threshold), (1.0, 1.0, 1.0, 1.0));
        let m = evaluate(&[1.0, 2.0, -1.0, -2.0], &[false, false, true, true]).unwrap();
        assert_eq!((m.auc, m.ks, m.f1), (0.0, 1.0, 0.0));
        let m = evaluate(&[3.0; 4], &[false, true, true, true]).unwrap();
        assert_eq!((m.auc, m.ks, m.f1), (0.5, 0.0, 6.0 / 7.0));
        assert_eq!(m.deciles.len(), 1);
    }

    #[test]
    fn order_of_equal_scores_does_not_matter() {
        let scores = [1.0, 0.0, -0.0, 0.0, -1.0];
        let a = evaluate(&scores, &[false, true, true, false, false]).unwrap();
        let b = evaluate(&scores, &[false, false, true, true, false]).unwrap();
        assert_eq!(a, b);
        assert!((a.ks - 1.0 / 3.0).abs() < 1e-12, "a threshold fell between equal scores");
    }

    #[test]
    fn deciles_of_distinct_scores_are_equal_and_ranked() {
        let scores: Vec<f64> = (0..100).map(f64::from).collect();
        let labels: Vec<bool> = (0..100).map(|i| i >= 85).collect();
        let d = evaluate(&scores, &labels).unwrap().deciles;
        assert!(d.iter().all(|d| d.rows == 10));
        assert_eq!(d.iter().map(|d| d.positives).collect::<Vec<_>>()[..3], [10, 5, 0]);
        assert_eq!(d[0].min_score, 90.0);
        assert!((d[0].lift - 1.0 / 0.15).abs() < 1e-12);
        assert!((d[1].cumulative_ks - (1.0 - 5.0 / 85.0)).abs() < 1e-12);
    }

    #[test]
    fn bad_input_is_an_error() {
        let code = |s: &[f64], y: &[bool]| evaluate(s, y).unwrap_err().code();
        assert_eq!(code(&[1.0], &[true, false]), "metrics.length");
        assert_eq!(code(&[1.0, f64::NAN], &[true, false]), "metrics.not_finite");
        assert_eq!(code(&[1.0, 2.0], &[true, true]), "metrics.single_class");
        assert_eq!(code(&[1.0, 2.0], &[false, false]), "metrics.single_class");
        assert_eq!(code(&[], &[]), "metrics.single_class");
    }
}
