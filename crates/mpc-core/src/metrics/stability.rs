//! Population stability: whether scores of other rows are distributed as those of the first.

use std::cmp::Ordering;

use super::bins::{Bin, MIN_BIN_ROWS, deciles};

/// Population stability index of two lists of scores, and the bins that it was computed of.
#[derive(Clone, Debug, PartialEq)]
pub struct Stability {
    /// Σ (a − e)·ln(a/e) over the bins, with the shares e of the expected and a of the actual rows.
    pub psi: f64,
    /// Highest scores first, each with at least [`MIN_BIN_ROWS`] rows of either list.
    pub bins: Vec<StabilityBin>,
}

/// One range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StabilityBin {
    /// Lowest score; none of the last bin, where everything below counts too.
    pub low: Option<f64>,
    /// Rows of the expected list in it.
    pub expected: usize,
    /// Rows of the actual list in it.
    pub actual: usize,
}

/// Compares training scores, which are expected, with the test scores that `bins` are of: on the tenths
/// of the test scores, merged as far as a bin has too few training rows. None if nothing is left.
pub fn stability(expected: &[f64], bins: &[Bin]) -> Option<Stability> {
    let mut sorted = expected.to_vec();
    sorted.sort_unstable_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let groups = deciles(bins);
    let mut out: Vec<StabilityBin> = Vec::new();
    let (mut done, mut actual) = (0, 0);
    for (i, group) in groups.iter().enumerate() {
        // The range of the last group has no lower end: training scores may lie below all test scores.
        let end = if i + 1 == groups.len() {
            sorted.len()
        } else {
            sorted.partition_point(|&score| score >= group.low)
        };
        actual += group.rows;
        if end - done >= MIN_BIN_ROWS {
            out.push(StabilityBin { low: Some(group.low), expected: end - done, actual });
            (done, actual) = (end, 0);
        }
    }
    let last = out.last_mut()?;
    last.low = None;
    last.expected += sorted.len() - done;
    last.actual += actual;
    let psi = index(&out, expected.len());
    Some(Stability { psi, bins: out })
}

/// The index of bins of which none is empty.
fn index(bins: &[StabilityBin], expected: usize) -> f64 {
    let actual: usize = bins.iter().map(|bin| bin.actual).sum();
    let term = |bin: &StabilityBin| {
        let e = bin.expected as f64 / expected as f64;
        let a = bin.actual as f64 / actual as f64;
        (a - e) * (a / e).ln()
    };
    bins.iter().map(term).sum()
}
