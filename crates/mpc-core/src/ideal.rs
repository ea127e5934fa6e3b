//! The ideal functionality of training: a trusted party with the same fixed point, the oracle of
//! all tests of the protocol. Never part of a run.
//!
//! Weights, errors and scores are the integers that the protocol works on; each row's score is masked at
//! random so that the rounding of sines has the protocol's distribution.

use paillier::SparseMatrix;
use rand::CryptoRng;

use crate::{
    plan::{Plan, TRUNCATED_BITS},
    ring::Ring,
    train::{
        error::{PUBLIC_BITS, evaluate, feature_operands, label_operands},
        series::{ErrorSeries, sigmoid},
        target::Target,
    },
};

/// How the error is computed from a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The protocol's label-dependent Fourier series on shares.
    Series,
    /// The paper's cubic 0.5 + 0.197·z − 0.004·z³, in floating point; for comparison only.
    Cubic,
    /// The exact logistic function, in floating point; for comparison only.
    Exact,
}

/// One party's integer weights, signed representatives modulo 2^L.
pub type IntegerWeights = Vec<i128>;

/// A trusted party that holds both sides' columns.
#[derive(Debug)]
pub struct IdealTrainer<'a> {
    plan: &'a Plan,
    activation: Activation,
    /// Weights of A's columns.
    pub weights_a: IntegerWeights,
    /// Weights of B's columns, the intercept last.
    pub weights_b: IntegerWeights,
}

impl<'a> IdealTrainer<'a> {
    /// All weights zero.
    pub fn new(plan: &'a Plan, columns: [usize; 2], activation: Activation) -> Self {
        let [a, b] = columns.map(|d| vec![0; d]);
        Self { plan, activation, weights_a: a, weights_b: b }
    }

    /// One mini-batch: `forward` and `backward` hold A's and B's rows for the two directions.
    pub fn step(
        &mut self,
        step: u32,
        forward: [&SparseMatrix; 2],
        backward: [&SparseMatrix; 2],
        targets: &[Target],
        rng: &mut impl CryptoRng,
    ) {
        let (_, period) = self.plan.period_at(step);
        let series = ErrorSeries::fit(&self.plan.shape, period);
        let za = scores(self.plan, forward[0], &self.weights_a);
        let zb = scores(self.plan, forward[1], &self.weights_b);
        let ring = self.plan.ring;
        let gain = self.plan.error_gain(step);
        let negated: Vec<i128> = (0..targets.len())
            .map(|i| {
                let z = ring.add(za[i], zb[i]);
                let Target { label, weight } = targets[i];
                let float = || ring.to_signed(z) as f64 * self.plan.score_unit(step);
                match self.activation {
                    Activation::Series => {
                        let mut number =
                            || u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
                        let (masks, share) = ([number(), number()], number() as u64);
                        negated_error(self.plan, step, &series, z, masks, share, &targets[i])
                    }
                    Activation::Cubic => {
                        let z = float();
                        let e = 0.5 + 0.197 * z - 0.004 * z * z * z - f64::from(u8::from(label));
                        libm::rint(-e * weight * gain) as i128
                    }
                    Activation::Exact => {
                        let e = sigmoid(float()) - f64::from(u8::from(label));
                        libm::rint(-e * weight * gain) as i128
                    }
                }
            })
            .collect();
        update(ring, backward[0], &negated, &mut self.weights_a);
        update(ring, backward[1], &negated, &mut self.weights_b);
    }

    /// Scores of rows in units of 1, after `steps` batches.
    pub fn scores(&self, steps: u32, rows: [&SparseMatrix; 2]) -> Vec<f64> {
        let za = scores(self.plan, rows[0], &self.weights_a);
        let zb = scores(self.plan, rows[1], &self.weights_b);
        let unit = self.plan.score_unit(steps);
        let ring = self.plan.ring;
        za.iter().zip(&zb).map(|(&a, &b)| ring.to_signed(ring.add(a, b)) as f64 * unit).collect()
    }
}

/// The negated error of one row in units of the weights, from its score, both parties' masks and the low
/// bits of A's share of the sum, uniform all three.
///
/// A rounds its share of the sum down, B rounds up: with v = 2^t·k + r and α the low t bits of A's
/// share that is k + 1 if α < r and k otherwise.
pub fn negated_error(
    plan: &Plan,
    step: u32,
    series: &ErrorSeries,
    score: u128,
    masks: [u128; 2],
    share: u64,
    target: &Target,
) -> i128 {
    let ring = plan.score_ring(step);
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    feature_operands(masks[0], ring.bits(), plan.shape.harmonics, &mut xs);
    let unit = libm::ldexp(plan.error_gain(step), TRUNCATED_BITS as i32);
    let constant = label_operands(masks[1], ring.bits(), series, target, unit, &mut ys);
    let masked = ring.add(score, ring.add(ring.reduce(masks[0]), ring.reduce(masks[1])));
    let sum = constant + evaluate(masked, ring.bits(), &factors(&xs, &ys));
    let bits = TRUNCATED_BITS + PUBLIC_BITS;
    let alpha = i128::from(share % (1 << bits));
    (sum + ((1 << bits) - 1 - alpha)) >> bits
}

/// The factors themselves, from both parties' operands: what the products of the protocol share.
pub fn factors(feature: &[i16], label: &[[i64; 2]]) -> Vec<i128> {
    let products = |x: &[i16], y: &[[i64; 2]], k: usize| -> i128 {
        x.iter().zip(y).map(|(&x, y)| i128::from(x) * i128::from(y[k])).sum()
    };
    feature
        .chunks_exact(2)
        .zip(label.chunks_exact(2))
        .flat_map(|(x, y)| [0, 1].map(|k| products(x, y, k)))
        .collect()
}

/// Integer scores of rows modulo 2^L.
pub fn scores(plan: &Plan, rows: &SparseMatrix, weights: &[i128]) -> Vec<u128> {
    (0..rows.rows())
        .map(|i| {
            rows.row(i).fold(0, |z, (j, x)| {
                let w = weights[j as usize];
                let term = if rows.is_dense(j as usize) {
                    w.wrapping_mul(i128::from(x))
                } else {
                    w.wrapping_shl(2 * plan.feature_bits)
                };
                plan.ring.add(z, plan.ring.from_signed(term))
            })
        })
        .collect()
}

fn update(ring: Ring, rows: &SparseMatrix, negated: &[i128], weights: &mut [i128]) {
    for (i, &e) in negated.iter().enumerate() {
        for (j, x) in rows.row(i) {
            let w = &mut weights[j as usize];
            *w = ring.to_signed(ring.from_signed(w.wrapping_add(e.wrapping_mul(i128::from(x)))));
        }
    }
}
