mod bootstrap;
mod figures;
mod release;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Scores and labels, with many ties or none, of a seeded number of rows and share of positives; both
/// classes occur.
fn random_rows(rows: std::ops::Range<usize>, seed: u64) -> (Vec<f64>, Vec<bool>) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let n = rng.random_range(rows);
    let levels = [3, 10, 200, 1_000_000][rng.random_range(0..4)];
    let rate = [0.02, 0.3, 0.9][rng.random_range(0..3)];
    let slope = rng.random_range(-1.0..4.0);
    let scores: Vec<f64> = (0..n)
        .map(|_| 3.0 * f64::from(rng.random_range(-levels..=levels)) / f64::from(levels))
        .collect();
    let mut labels: Vec<bool> = scores
        .iter()
        .map(|z| rng.random_bool((rate * (slope * z).exp()).clamp(0.0, 1.0)))
        .collect();
    (labels[0], labels[1]) = (true, false);
    (scores, labels)
}
