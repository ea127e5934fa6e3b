//! What the label holder tells of the two models on the test rows.
//!
//! Everything with counts is a sum over [`ScoreBin`]s, none of which is about fewer rows than the node
//! allows; [`ModelEvaluation::points`] and [`ModelEvaluation::deciles`] make the curves and tables.

use serde::{Deserialize, Serialize};

/// Both models on the same test rows. Serialises under the field names, which are stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Test rows.
    pub rows: u64,
    /// Those with label 1; absent, as all bins are, if a class has too few rows.
    pub positives: Option<u64>,
    /// The model of both parties.
    pub joint: ModelEvaluation,
    /// The bank's converged model on its own columns.
    pub bank_only: ModelEvaluation,
    /// KS of the joint model less that of the bank alone, on the same rows.
    pub ks_gain: Estimate,
    /// The same of the area under the curve.
    pub auc_gain: Estimate,
    /// The bank's own model on training and test rows; the joint model's training scores are not opened.
    pub stability: Option<Stability>,
    /// Stratified resamples that the intervals are of.
    pub resamples: u32,
    /// Share of them that an interval covers.
    pub confidence: f64,
    /// Fewest rows of a bin.
    pub min_bin_rows: u32,
    /// Fewest rows of each class in a bin.
    pub min_bin_class_rows: u32,
}

impl Evaluation {
    /// Share of positives, if it is told.
    pub fn base_rate(&self) -> Option<f64> {
        self.positives.map(|positives| positives as f64 / self.rows as f64)
    }
}

/// A figure with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// On the test rows.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelEvaluation {
    /// Kolmogorov-Smirnov statistic.
    pub ks: Estimate,
    /// Area under the ROC curve.
    pub auc: Estimate,
    /// Area under the precision-recall curve, by steps.
    pub average_precision: f64,
    /// F1 at probability 0.5.
    pub f1: f64,
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// Mean negative log-likelihood, in nats.
    pub log_loss: f64,
    /// Expected calibration error over the tenths of the rows.
    pub calibration_error: Option<f64>,
    /// The end of a bin with the largest |TPR − FPR|.
    pub at_ks: Option<OperatingPoint>,
    /// The end of a bin with the largest F1.
    pub at_best_f1: Option<OperatingPoint>,
    /// The largest recall for each precision that the end of a bin attains.
    pub recall_at_precision: Vec<OperatingPoint>,
    /// The largest precision for each recall that the end of a bin attains.
    pub precision_at_recall: Vec<OperatingPoint>,
    /// Highest scores first.
    pub bins: Vec<ScoreBin>,
}

/// What calling every score of at least `threshold` positive is like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// The precision or recall asked for, or the figure that is largest here.
    pub target: f64,
    /// Log-odds; absent if everything is called positive.
    pub threshold: Option<f64>,
    /// Share of positives among those called positive.
    pub precision: f64,
    /// Share of the positives that are called positive.
    pub recall: f64,
    /// Share of all rows that are called positive.
    pub share: f64,
}

/// Test rows of neighbouring scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreBin {
    /// The tenth of all rows in which the bin's group begins, 1 for the highest scores; a number is
    /// missing where tenths were merged.
    pub decile: u32,
    /// Number of rows.
    pub rows: u64,
    /// Rows with label 1.
    pub positives: u64,
    /// Lowest score, log-odds rounded down; absent for the last bin.
    pub low: Option<f64>,
    /// Rounded mean of the log-odds.
    pub mean_score: f64,
    /// Rounded mean of the probabilities.
    pub mean_probability: f64,
}

impl ScoreBin {
    /// Share of rows with label 1.
    pub fn rate(&self) -> f64 {
        self.positives as f64 / self.rows as f64
    }
}

/// A point of the KS, ROC, precision-recall and gains curves: what calling everything down to the end of a
/// bin positive is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Lowest score called positive, log-odds; absent for the last point.
    pub threshold: Option<f64>,
    /// Share of all rows called positive.
    pub share: f64,
    /// Share of the positives: recall.
    pub tpr: f64,
    /// Share of the negatives.
    pub fpr: f64,
    /// Share of positives among those called positive.
    pub precision: f64,
    /// Precision over the share of positives in all rows.
    pub lift: f64,
}

impl CurvePoint {
    /// |TPR − FPR|.
    pub fn separation(&self) -> f64 {
        (self.tpr - self.fpr).abs()
    }
}

impl ModelEvaluation {
    /// One point a bin, from the highest threshold down; the last calls everything positive.
    pub fn points(&self) -> Vec<CurvePoint> {
        points(&self.bins)
    }

    /// The bins of each tenth put together.
    pub fn deciles(&self) -> Vec<ScoreBin> {
        self.bins.chunk_by(|a, b| a.decile == b.decile).filter_map(merged).collect()
    }
}

/// The curve of some neighbouring bins, from the first.
pub(crate) fn points(bins: &[ScoreBin]) -> Vec<CurvePoint> {
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    let positives: u64 = bins.iter().map(|bin| bin.positives).sum();
    let (mut called, mut hits) = (0, 0);
    let point = |bin: &ScoreBin| {
        called += bin.rows;
        hits += bin.positives;
        let share = called as f64 / rows as f64;
        let tpr = hits as f64 / positives as f64;
        CurvePoint {
            threshold: bin.low,
            share,
            tpr,
            fpr: (called - hits) as f64 / (rows - positives) as f64,
            precision: hits as f64 / called as f64,
            lift: tpr / share,
        }
    };
    bins.iter().map(point).collect()
}

/// One bin of neighbouring ones, if there are any.
pub(crate) fn merged(bins: &[ScoreBin]) -> Option<ScoreBin> {
    let (first, last) = (bins.first()?, bins.last()?);
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    let mean = |of: fn(&ScoreBin) -> f64| {
        bins.iter().map(|bin| bin.rows as f64 * of(bin)).sum::<f64>() / rows as f64
    };
    Some(ScoreBin {
        decile: first.decile,
        rows,
        positives: bins.iter().map(|bin| bin.positives).sum(),
        low: last.low,
        mean_score: mean(|bin| bin.mean_score),
        mean_probability: mean(|bin| bin.mean_probability),
    })
}

/// Whether the scores of training and test rows are distributed alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Population stability index.
    pub psi: f64,
    /// Highest scores first.
    pub bins: Vec<StabilityBin>,
}

/// One range of scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StabilityBin {
    /// Lowest score, log-odds rounded down; absent for the last bin.
    pub low: Option<f64>,
    /// Training rows in it.
    pub train_rows: u64,
    /// Test rows in it.
    pub test_rows: u64,
}

#[cfg(test)]
mod tests {
    use super::{ScoreBin, merged, points};

    fn bin(decile: u32, rows: u64, positives: u64, low: Option<f64>) -> ScoreBin {
        ScoreBin { decile, rows, positives, low, mean_score: 1.0, mean_probability: 0.5 }
    }

    #[test]
    fn curves_are_sums_from_the_top() {
        let bins = [bin(1, 20, 15, Some(2.0)), bin(1, 30, 5, Some(0.5)), bin(4, 50, 5, None)];
        let points = points(&bins);
        let shares: Vec<f64> = points.iter().map(|p| p.share).collect();
        assert_eq!(shares, [0.2, 0.5, 1.0]);
        let second = points[1];
        assert_eq!((second.threshold, second.tpr, second.fpr), (Some(0.5), 0.8, 0.4));
        assert_eq!((second.precision, second.separation()), (0.4, 0.4));
        // A rate of 40 % among half the rows where all have 25 %.
        assert!((second.lift - 1.6).abs() < 1e-12);
        assert_eq!((points[2].tpr, points[2].fpr, points[2].lift), (1.0, 1.0, 1.0));
    }

    #[test]
    fn means_of_a_group_are_of_its_rows() {
        let mut bins = [bin(2, 10, 5, Some(1.0)), bin(2, 30, 6, Some(0.0))];
        bins[1].mean_probability = 0.1;
        let group = merged(&bins).unwrap();
        assert_eq!((group.decile, group.rows, group.positives), (2, 40, 11));
        assert_eq!(group.low, Some(0.0));
        assert!((group.mean_probability - 0.2).abs() < 1e-12);
        assert_eq!(merged(&[]), None);
    }
}
