//! What leaves the label holder of an evaluation: its node's clients see this, and nobody else.
//!
//! - Counts are of bins that are large enough ([`super::bins`]), of unions of them, or of all rows.
//! - Thresholds are lower ends of bins, rounded down to a step of a two-hundredth or less of the range of
//!   the middle nine tenths of the scores: no row's score is told. The last bin has none.
//! - Figures of all rows are rounded to four decimals. An exact KS or F1 is a fraction whose denominators
//!   are known, so it would give the counts at a threshold inside a bin.
//! - With fewer than [`MIN_BIN_CLASS`] rows of a class there are no counts, curves or tables.

use rand_chacha::ChaCha20Rng;

use super::{
    Metrics, Ranked,
    bins::{Bin, MIN_BIN_CLASS, partition},
    bootstrap::{self, Interval},
    curve::{self, Point},
    stability::{Stability, stability},
};

/// Precisions and recalls for which the other is told.
const TARGETS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Steps of a threshold in the range of the middle nine tenths of the scores, at least.
const STEPS: f64 = 200.0;

/// Both models on the same test rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Test rows.
    pub rows: usize,
    /// Those with a positive label; none if a class has too few rows.
    pub positives: Option<usize>,
    /// The model of both parties.
    pub joint: ModelEvaluation,
    /// The label holder's converged model on its own columns.
    pub bank_only: ModelEvaluation,
    /// KS of the joint model less that of the bank alone, on the same rows.
    pub ks_gain: Figure,
    /// The same of AUC.
    pub auc_gain: Figure,
    /// The bank's own model on training rows (expected) and test rows (actual). The joint model's
    /// training scores are not opened to anyone.
    pub stability: Option<Stability>,
    /// Resamples that the intervals are of.
    pub resamples: usize,
}

/// A figure and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Of the test rows.
    pub value: f64,
    /// Of the resamples.
    pub interval: Interval,
}

/// One model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEvaluation {
    /// As [`Metrics::ks`].
    pub ks: Figure,
    /// As [`Metrics::auc`].
    pub auc: Figure,
    /// As [`Metrics::average_precision`].
    pub average_precision: f64,
    /// As [`Metrics::f1`].
    pub f1: f64,
    /// As [`Metrics::brier`].
    pub brier: f64,
    /// As [`Metrics::log_loss`].
    pub log_loss: f64,
    /// See [`curve::calibration_error`].
    pub calibration_error: Option<f64>,
    /// The end of a bin with the largest |TPR − FPR|.
    pub at_ks: Option<OperatingPoint>,
    /// The end of a bin with the largest F1.
    pub at_best_f1: Option<OperatingPoint>,
    /// Largest recall for each precision that the end of a bin attains.
    pub recall_at_precision: Vec<OperatingPoint>,
    /// Largest precision for each recall that the end of a bin attains.
    pub precision_at_recall: Vec<OperatingPoint>,
    /// Highest scores first.
    pub bins: Vec<ReleasedBin>,
}

/// A [`Bin`] with rounded scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReleasedBin {
    /// As [`Bin::decile`].
    pub decile: u8,
    /// Number of rows.
    pub rows: usize,
    /// Rows with a positive label.
    pub positives: usize,
    /// Rounded lowest score; none of the last bin.
    pub low: Option<f64>,
    /// Rounded mean score.
    pub mean_score: f64,
    /// Rounded mean probability.
    pub mean_probability: f64,
}

/// A tenth of the rows by falling score, or several where they were merged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decile {
    /// The first tenth in it: 1 for the highest scores up to 10.
    pub decile: u8,
    /// Number of rows.
    pub rows: usize,
    /// Rows with a positive label.
    pub positives: usize,
    /// Share of positives in the group over the share in all rows.
    pub lift: f64,
    /// |TPR − FPR| when this group and all above it are called positive.
    pub cumulative_ks: f64,
}

/// What working at the end of a bin is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// What was asked for: a precision, a recall, or the figure itself that is largest here.
    pub target: f64,
    /// "Score ≥ this" is called positive; none if that is everything.
    pub threshold: Option<f64>,
    /// Share of positives among those called positive.
    pub precision: f64,
    /// Share of the positives that are called positive.
    pub recall: f64,
    /// Share of all rows that are called positive.
    pub share: f64,
}

impl Evaluation {
    /// Everything from the scores of both models on the same rows with these `labels`, and from the bank's
    /// scores of the training rows.
    pub fn new(
        joint: &Ranked,
        bank: &Ranked,
        bank_train: &[f64],
        labels: &[bool],
        rng: &mut ChaCha20Rng,
    ) -> Self {
        let resamples = bootstrap::resamples(labels.len());
        let intervals = bootstrap::intervals([joint, bank], labels, resamples, rng);
        let [metrics_joint, metrics_bank] = [joint, bank].map(Metrics::of);
        let (bins_joint, bins_bank) = (partition(joint), partition(bank));
        let enough = joint.positives().min(joint.negatives()) >= MIN_BIN_CLASS;
        let model = |i: usize, ranked, metrics: &Metrics, bins: &[Bin]| {
            ModelEvaluation::new(ranked, metrics, bins, intervals.ks[i], intervals.auc[i])
        };
        let steps = Rounding::of(bank);
        let stability = stability(bank_train, &bins_bank).map(|mut found| {
            found.psi = figure(found.psi);
            found.bins.iter_mut().for_each(|bin| bin.low = bin.low.map(|low| steps.down(low)));
            found
        });
        Self {
            rows: joint.rows(),
            positives: enough.then_some(joint.positives()),
            joint: model(0, joint, &metrics_joint, &bins_joint),
            bank_only: model(1, bank, &metrics_bank, &bins_bank),
            ks_gain: Figure::new(metrics_joint.ks - metrics_bank.ks, intervals.ks_gain),
            auc_gain: Figure::new(metrics_joint.auc - metrics_bank.auc, intervals.auc_gain),
            stability,
            resamples,
        }
    }
}

impl ModelEvaluation {
    fn new(
        ranked: &Ranked,
        metrics: &Metrics,
        bins: &[Bin],
        ks_interval: Interval,
        auc_interval: Interval,
    ) -> Self {
        let steps = Rounding::of(ranked);
        let points = curve::points(bins);
        let last = points.len().saturating_sub(1);
        let end = points.last().map(|point| point.threshold);
        // The lowest of all scores is one row's.
        let threshold = |score: f64| (Some(score) != end).then(|| steps.down(score));
        let operating = |target: f64, point: &Point| OperatingPoint {
            target,
            threshold: threshold(point.threshold),
            precision: point.precision,
            recall: point.tpr,
            share: point.share,
        };
        let largest = |of: fn(&Point) -> f64| {
            curve::largest(&points, of).map(|point| operating(of(point), point))
        };
        let at = |find: fn(&[Point], f64) -> Option<&Point>| {
            let found = |&target: &f64| Some(operating(target, find(&points, target)?));
            TARGETS.iter().filter_map(found).collect()
        };
        let released = |(i, bin): (usize, &Bin)| ReleasedBin {
            decile: bin.decile,
            rows: bin.rows,
            positives: bin.positives,
            low: (i != last).then(|| steps.down(bin.low)),
            mean_score: steps.nearest(bin.mean_score),
            mean_probability: figure(bin.mean_probability),
        };
        Self {
            ks: Figure::new(metrics.ks, ks_interval),
            auc: Figure::new(metrics.auc, auc_interval),
            average_precision: figure(metrics.average_precision),
            f1: figure(metrics.f1),
            brier: figure(metrics.brier),
            log_loss: figure(metrics.log_loss),
            calibration_error: curve::calibration_error(bins).map(figure),
            at_ks: largest(Point::separation),
            at_best_f1: largest(Point::f1),
            recall_at_precision: at(curve::recall_at_precision),
            precision_at_recall: at(curve::precision_at_recall),
            bins: bins.iter().enumerate().map(released).collect(),
        }
    }
}

impl ModelEvaluation {
    /// The bins by tenths of the rows.
    pub fn deciles(&self) -> Vec<Decile> {
        let sum = |bins: &[ReleasedBin]| -> (usize, usize) {
            (bins.iter().map(|b| b.rows).sum(), bins.iter().map(|b| b.positives).sum())
        };
        let all = sum(&self.bins);
        let mut above = (0, 0);
        let row = |group: &[ReleasedBin]| {
            let (rows, positives) = sum(group);
            above = (above.0 + rows, above.1 + positives);
            let tpr = above.1 as f64 / all.1 as f64;
            let fpr = (above.0 - above.1) as f64 / (all.0 - all.1) as f64;
            Decile {
                decile: group[0].decile,
                rows,
                positives,
                lift: positives as f64 / rows as f64 / (all.1 as f64 / all.0 as f64),
                cumulative_ks: (tpr - fpr).abs(),
            }
        };
        self.bins.chunk_by(|a, b| a.decile == b.decile).map(row).collect()
    }
}

impl Figure {
    fn new(value: f64, Interval { low, high }: Interval) -> Self {
        Self { value: figure(value), interval: Interval { low: figure(low), high: figure(high) } }
    }
}

/// A figure as it is told: to four decimals.
pub fn figure(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The largest |score| as it is told: rounded up to a hundredth.
pub fn released_bound(max_abs_score: f64) -> f64 {
    (max_abs_score * 100.0).ceil() / 100.0
}

/// Scores are told in multiples of 1, 2 or 5 times a power of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rounding {
    digit: f64,
    exponent: i32,
}

impl Rounding {
    fn of(ranked: &Ranked) -> Self {
        let score = |q: usize| {
            let target = (ranked.rows() * q).div_ceil(20);
            ranked.ties[ranked.ties.partition_point(|tie| tie.rows_above < target)].score
        };
        Self::below((score(1) - score(19)) / STEPS)
    }

    /// The largest such step up to `most`. Scores that are all but equal have a step of a hundredth.
    fn below(most: f64) -> Self {
        if !(most.is_finite() && most > 1e-12) {
            return Self { digit: 1.0, exponent: -2 };
        }
        let exponent = most.log10().floor() as i32;
        let mantissa = most / 10f64.powi(exponent);
        let digit = [5.0, 2.0].into_iter().find(|&digit| digit <= mantissa).unwrap_or(1.0);
        Self { digit, exponent }
    }

    fn down(self, score: f64) -> f64 {
        self.times((score / self.step()).floor())
    }

    fn nearest(self, score: f64) -> f64 {
        self.times((score / self.step()).round())
    }

    fn step(self) -> f64 {
        self.times(1.0)
    }

    /// A division where it can be one: 3 / 10 is written as 0.3, 3 · 0.1 is not.
    fn times(self, steps: f64) -> f64 {
        let digits = steps * self.digit;
        match self.exponent {
            e if e < 0 => digits / 10f64.powi(-e),
            e => digits * 10f64.powi(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_scores_never_rounded_up() {
        for (most, step) in
            [(0.017, 0.01), (0.021, 0.02), (0.05, 0.05), (3.0, 2.0), (700.0, 500.0), (0.0, 0.01)]
        {
            assert_eq!(Rounding::below(most).step(), step, "{most}");
        }
        let steps = Rounding::below(0.011);
        assert_eq!([0.309, -0.301, 0.0, -5.0].map(|s| steps.down(s)), [0.3, -0.31, 0.0, -5.0]);
        assert_eq!(steps.nearest(0.309), 0.31);
        assert_eq!(released_bound(2.3401), 2.35);
    }
}
