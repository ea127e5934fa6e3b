//! The one partition of the test rows of which everything that leaves the label holder is made.
//!
//! Rows by falling score are cut at their tenths and each tenth at its tenths, equal scores together. A
//! bin that has fewer than [`MIN_BIN_ROWS`] rows or fewer than [`MIN_BIN_CLASS`] of a class is merged with
//! the next, the last with the one before; tenths first, so that bins never straddle what is left of
//! them. If all rows together are too few for one bin there is none.
//!
//! Every curve and table of a model is a union of the same bins. So no difference of two tables, or of
//! two points of a curve, is about fewer rows than a bin has.

use super::{Ranked, ranked::Tie};
use crate::baseline::sigmoid;

/// Fewest rows of a bin.
pub const MIN_BIN_ROWS: usize = 10;
/// Fewest rows of each class in a bin: a group whose rows are all of one class tells each row's label.
pub const MIN_BIN_CLASS: usize = 5;
/// Groups that rows are cut into, and each group again.
const PARTS: usize = 10;
/// Most bins of a model.
pub const MAX_BINS: usize = PARTS * PARTS;

/// Rows of neighbouring scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The tenth of all rows in which the bin's group begins: 1 for the highest scores up to 10. Bins of
    /// one group have the same, and a number is missing where tenths were merged.
    pub decile: u8,
    /// Number of rows.
    pub rows: usize,
    /// Rows with a positive label.
    pub positives: usize,
    /// Lowest score.
    pub low: f64,
    /// Mean score.
    pub mean_score: f64,
    /// Mean probability.
    pub mean_probability: f64,
}

impl Bin {
    /// Rows with a negative label.
    pub fn negatives(&self) -> usize {
        self.rows - self.positives
    }

    /// Whether the bin may leave the label holder.
    pub fn is_large_enough(&self) -> bool {
        self.rows >= MIN_BIN_ROWS && self.positives.min(self.negatives()) >= MIN_BIN_CLASS
    }
}

/// The bins of a model, highest scores first: at most [`MAX_BINS`], each large enough; none if there are
/// too few rows.
pub fn partition(ranked: &Ranked) -> Vec<Bin> {
    let mut out = Vec::new();
    let mut start = 0;
    for tenth in cut(ranked, 0, ranked.ties.len()) {
        let decile = 1 + before(ranked, start).rows_above * PARTS / ranked.rows();
        let first = start;
        for end in cut(ranked, first, tenth) {
            out.push(bin(ranked, start, end, decile as u8));
            start = end;
        }
    }
    out
}

/// Ends of nearly equal parts of `ties[start..end]`, each large enough, the last of them `end`; none if
/// the whole is not.
fn cut(ranked: &Ranked, start: usize, end: usize) -> Vec<usize> {
    let rows_before = before(ranked, start).rows_above;
    let rows = before(ranked, end).rows_above - rows_before;
    let mut ends = Vec::new();
    let mut from = start;
    for part in 1..=PARTS {
        let target = rows_before + (rows * part).div_ceil(PARTS);
        // The tie in which the part ends belongs to it as a whole.
        let to = (1 + ranked.ties.partition_point(|tie| tie.rows_above < target)).min(end);
        if large_enough(ranked, from, to) {
            ends.push(to);
            from = to;
        }
    }
    if from < end {
        // What is left is too few rows: they go to the last part.
        ends.pop();
        if large_enough(ranked, ends.last().copied().unwrap_or(start), end) {
            ends.push(end);
        }
    }
    ends
}

fn large_enough(ranked: &Ranked, start: usize, end: usize) -> bool {
    let (first, last) = (before(ranked, start), before(ranked, end));
    let rows = last.rows_above - first.rows_above;
    let positives = last.positives_above - first.positives_above;
    rows >= MIN_BIN_ROWS && positives >= MIN_BIN_CLASS && rows - positives >= MIN_BIN_CLASS
}

/// The counts above a place in the list of ties.
fn before(ranked: &Ranked, place: usize) -> Tie {
    const NONE: Tie = Tie { score: f64::INFINITY, rows_above: 0, positives_above: 0 };
    place.checked_sub(1).map_or(NONE, |last| ranked.ties[last])
}

fn bin(ranked: &Ranked, start: usize, end: usize, decile: u8) -> Bin {
    let (first, last) = (before(ranked, start), before(ranked, end));
    let rows = last.rows_above - first.rows_above;
    let mut above = first.rows_above;
    let (mut scores, mut probabilities) = (0.0, 0.0);
    for tie in &ranked.ties[start..end] {
        let tied = (tie.rows_above - above) as f64;
        scores += tied * tie.score;
        probabilities += tied * sigmoid(tie.score);
        above = tie.rows_above;
    }
    Bin {
        decile,
        rows,
        positives: last.positives_above - first.positives_above,
        low: last.score,
        mean_score: scores / rows as f64,
        mean_probability: probabilities / rows as f64,
    }
}

/// Bins of one group put together.
pub fn deciles(bins: &[Bin]) -> Vec<Bin> {
    bins.chunk_by(|a, b| a.decile == b.decile).map(merged).collect()
}

/// One bin of neighbouring ones, which are at least one.
fn merged(bins: &[Bin]) -> Bin {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let mean = |of: fn(&Bin) -> f64| {
        bins.iter().map(|bin| bin.rows as f64 * of(bin)).sum::<f64>() / rows as f64
    };
    Bin {
        rows,
        positives: bins.iter().map(|bin| bin.positives).sum(),
        low: bins[bins.len() - 1].low,
        mean_score: mean(|bin| bin.mean_score),
        mean_probability: mean(|bin| bin.mean_probability),
        ..bins[0]
    }
}
