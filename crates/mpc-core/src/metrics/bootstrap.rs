//! Confidence intervals: figures of rows drawn again with replacement.
//!
//! Classes are drawn apart (stratified), so every resample has the positives and negatives of the test
//! rows. Both models are evaluated on the same resamples: the interval of their difference is of paired
//! rows. Rows are sorted once; a resample is a count for each distinct score.

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

use super::Ranked;

/// Resamples unless the rows are very many.
pub const RESAMPLES: usize = 1000;
/// Fewest resamples.
const MIN_RESAMPLES: usize = 100;
/// Rows drawn in all; above [`RESAMPLES`] times fewer rows there are fewer resamples.
const MAX_DRAWS: usize = 1 << 28;
/// Share of the resamples that an interval covers.
pub const CONFIDENCE: f64 = 0.95;

/// The central [`CONFIDENCE`] of the resamples' figures (percentile method).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Intervals of two models on the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// KS of the first and of the second model.
    pub ks: [Interval; 2],
    /// AUC of each.
    pub auc: [Interval; 2],
    /// KS of the first less that of the second.
    pub ks_gain: Interval,
    /// AUC of the first less that of the second.
    pub auc_gain: Interval,
    /// Resamples that they are of.
    pub resamples: usize,
}

/// As many resamples as this number of rows allows in a few seconds: [`RESAMPLES`] up to 268,000 rows.
pub fn resamples(rows: usize) -> usize {
    (MAX_DRAWS / rows.max(1)).clamp(MIN_RESAMPLES, RESAMPLES)
}

/// Draws `resamples` times. Both models rank the same rows; `labels` are theirs.
pub fn intervals(
    models: [&Ranked; 2],
    labels: &[bool],
    resamples: usize,
    rng: &mut ChaCha20Rng,
) -> Intervals {
    let class = |label| -> Vec<u32> {
        (0u32..).zip(labels).filter(|&(_, &y)| y == label).map(|(row, _)| row).collect()
    };
    let classes = [class(false), class(true)];
    let mut counts = models.map(|model| vec![[0u32; 2]; model.ties.len()]);
    let mut ks = [const { Vec::new() }; 2];
    let mut auc = [const { Vec::new() }; 2];
    for _ in 0..resamples {
        for (label, rows) in classes.iter().enumerate() {
            for _ in 0..rows.len() {
                let row = rows[rng.random_range(0..rows.len())] as usize;
                for (counts, model) in counts.iter_mut().zip(models) {
                    counts[model.tie_of[row] as usize][label] += 1;
                }
            }
        }
        for (i, counts) in counts.iter_mut().enumerate() {
            let figures = figures(counts, classes[1].len(), classes[0].len());
            ks[i].push(figures.0);
            auc[i].push(figures.1);
            counts.fill([0; 2]);
        }
    }
    let gain = |of: &[Vec<f64>; 2]| of[0].iter().zip(&of[1]).map(|(a, b)| a - b).collect();
    let gains = [gain(&ks), gain(&auc)];
    let [ks_gain, auc_gain] = gains.map(central);
    Intervals { ks: ks.map(central), auc: auc.map(central), ks_gain, auc_gain, resamples }
}

/// KS and AUC of negatives and positives by falling score.
fn figures(counts: &[[u32; 2]], positives: usize, negatives: usize) -> (f64, f64) {
    let (mut above, mut ks) = ([0u64; 2], 0f64);
    let mut half_pairs: u128 = 0;
    for tied in counts {
        let [negative, positive] = tied.map(u64::from);
        half_pairs += u128::from(2 * above[1] + positive) * u128::from(negative);
        above = [above[0] + negative, above[1] + positive];
        let tpr = above[1] as f64 / positives as f64;
        let fpr = above[0] as f64 / negatives as f64;
        ks = ks.max((tpr - fpr).abs());
    }
    (ks, half_pairs as f64 / (2.0 * positives as f64 * negatives as f64))
}

/// Between the order statistics at both tails, interpolated.
fn central(mut values: Vec<f64>) -> Interval {
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) }
}

/// Linear between the neighbouring order statistics; `sorted` is not empty.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = sorted[place as usize];
    let above = sorted[(place as usize + 1).min(sorted.len() - 1)];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated_as_numpy_does() {
        // numpy.quantile([1, 2, 4, 8, 16], [0, 0.025, 0.5, 0.975, 1]) = 1, 1.1, 4, 15.2, 16
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        let got = [0.0, 0.025, 0.5, 0.975, 1.0].map(|q| quantile(&values, q));
        for (got, want) in got.into_iter().zip([1.0, 1.1, 4.0, 15.2, 16.0]) {
            assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
        }
    }

    #[test]
    fn very_many_rows_are_drawn_less_often() {
        assert_eq!(
            [1, 7_550, 268_000, 1 << 20, 1 << 27].map(resamples),
            [1000, 1000, 1000, 256, 100]
        );
    }
}
