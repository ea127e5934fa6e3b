//! Thresholds at the ends of bins: the points of the KS, ROC, precision–recall and gains curves, and the
//! points of them at which one would work.

use super::bins::{Bin, deciles};

/// What calling everything from the first bin to the end of one of them positive does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// "Score ≥ this" is called positive.
    pub threshold: f64,
    /// Share of the positives that are called positive: recall, and the ordinate of ROC and of gains.
    pub tpr: f64,
    /// Share of the negatives that are called positive.
    pub fpr: f64,
    /// Share of positives among those called positive.
    pub precision: f64,
    /// Share of all rows that are called positive.
    pub share: f64,
}

impl Point {
    /// |TPR − FPR|.
    pub fn separation(&self) -> f64 {
        (self.tpr - self.fpr).abs()
    }

    /// Harmonic mean of precision and recall; 0 where both are.
    pub fn f1(&self) -> f64 {
        let sum = self.precision + self.tpr;
        if sum > 0.0 { 2.0 * self.precision * self.tpr / sum } else { 0.0 }
    }

    /// Precision over the share of positives in all rows.
    pub fn lift(&self) -> f64 {
        // Of the rows a share, of the positives a share: their ratio.
        self.tpr / self.share
    }
}

/// One point a bin, from the highest threshold down; the last calls everything positive. The origin is
/// not among them.
pub fn points(bins: &[Bin]) -> Vec<Point> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let positives: usize = bins.iter().map(|bin| bin.positives).sum();
    let (mut called, mut hits) = (0, 0);
    bins.iter()
        .map(|bin| {
            called += bin.rows;
            hits += bin.positives;
            Point {
                threshold: bin.low,
                tpr: hits as f64 / positives as f64,
                fpr: (called - hits) as f64 / (rows - positives) as f64,
                precision: hits as f64 / called as f64,
                share: called as f64 / rows as f64,
            }
        })
        .collect()
}

/// The highest threshold at which `figure` is largest.
pub fn largest(points: &[Point], figure: impl Fn(&Point) -> f64) -> Option<&Point> {
    points.iter().reduce(|best, point| if figure(point) > figure(best) { point } else { best })
}

/// The point of largest recall whose precision is at least `target`: of several the highest threshold.
pub fn recall_at_precision(points: &[Point], target: f64) -> Option<&Point> {
    largest_where(points, |p| p.precision >= target, |p| p.tpr)
}

/// The point of largest precision whose recall is at least `target`: of several the highest threshold.
pub fn precision_at_recall(points: &[Point], target: f64) -> Option<&Point> {
    largest_where(points, |p| p.tpr >= target, |p| p.precision)
}

fn largest_where(
    points: &[Point],
    condition: impl Fn(&Point) -> bool,
    figure: impl Fn(&Point) -> f64,
) -> Option<&Point> {
    let allowed = points.iter().filter(|point| condition(point));
    allowed.reduce(|best, point| if figure(point) > figure(best) { point } else { best })
}

/// Expected calibration error: the mean over the rows of |mean probability − share of positives| of
/// their group of scores (the tenths, as far as they were not merged). None without bins.
pub fn calibration_error(bins: &[Bin]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let error = |bin: &Bin| {
        (bin.mean_probability * bin.rows as f64 - bin.positives as f64).abs() / rows as f64
    };
    (rows > 0).then(|| deciles(bins).iter().map(error).sum())
}
