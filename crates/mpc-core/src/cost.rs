//! What the steps should cost in products modulo N²: a model to hold measured times against.
//!
//! Counts come from public figures of the plan and the algorithms of `paillier`; a driver, which owns
//! the clock, times [`Yardstick`] and multiplies. A squaring counts 0.7, a product modulo p² a quarter
//! (half as many digits), a product of two digits a fifth (ADR 5). For a chunk of n rows with c packed
//! ciphertexts of either side:
//!
//! | step | products |
//! |---|---|
//! | `forward`, `evaluate` | n·S squarings to shift; factors of the cells; ⌈(\|N\| + 72)/6⌉ + 1 for each of c to sanitise; c decryptions: two powers with \|N\|/2 bits modulo p² |
//! | `error-ciphertexts` | n: a digit product to encrypt, three to decode, one to add. Its randomness is prepared by other threads and is not in it |
//! | `update` | one a cell of an indicator; buckets of dense columns |
//!
//! Not in it: conversions, exponents and masks, tables that are scanned, lanes that a vector kernel leaves
//! empty. Other steps have no formula.

use std::sync::Arc;

use paillier::{
    ModulusBits, PackLayout,
    kernel::{Kernel, Residues, kernel_for},
};
use rayon::prelude::*;

use crate::{
    plan::{Plan, PublicBounds, STANDARDISED_BITS},
    session::CHUNK_ROWS,
    step::Step,
    train::keys::SANITISED_BITS,
};

/// A squaring in products.
const SQUARING: f64 = 0.7;
/// A product modulo p².
const HALF: f64 = 0.25;
/// Bits of an exponent that one product of a power takes: from fixed tables, and without.
const TABLE_BITS: f64 = 6.0;
const WINDOW_BITS: f64 = 5.0;
/// A standardised value has a standard deviation of 2^6 units: nineteen of twenty have at most this
/// many bits with their sign, and so digits.
const DIGIT_BITS: u32 = STANDARDISED_BITS + 2;
/// The largest, clipped at 2^9, has this many.
const LONGEST_BITS: u32 = STANDARDISED_BITS + 5;

/// What an attempt does itself of a job: the rest came from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Mini-batches.
    pub mini_batches: u32,
    /// Test rows whose scores were computed.
    pub test_rows: usize,
}

/// What a side's rows hold, as far as costs depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    /// Standardised columns: every row has all of them.
    dense: u32,
    /// Mean number of indicators in a row.
    indicators: f64,
}

impl Cells {
    /// From what the side publishes. For indicators that is their mean number a row, rounded up to a
    /// power of two. `None` for a table with other columns: how many, and with what digits, is not public.
    pub fn published(bounds: &PublicBounds) -> Option<Self> {
        Self::known(bounds, libm::exp2(f64::from(bounds.energy_bits)))
    }

    /// The same where the mean number of non-zeros a row is known.
    pub fn known(bounds: &PublicBounds, nonzeros: f64) -> Option<Self> {
        let energy = libm::exp2(f64::from(bounds.energy_bits));
        match (bounds.standardised, bounds.dense) {
            // A standardised column adds 1 to the mean of squares, so these have indicators beside them.
            (true, _) if f64::from(bounds.columns) > 2.0 * energy => None,
            (true, _) => Some(Self { dense: bounds.columns, indicators: 0.0 }),
            (false, false) => Some(Self { dense: 0, indicators: nonzeros }),
            (false, true) => None,
        }
    }

    /// One more cell in every row.
    #[must_use]
    pub fn with_intercept(self) -> Self {
        Self { indicators: self.indicators + 1.0, ..self }
    }

    /// Factors of a chunk's scores: one a digit of a dense value, from tables of small multiples and
    /// their inverses.
    fn forward(self, rows: f64) -> f64 {
        let columns = f64::from(self.dense);
        let tables = |width: u32| columns * f64::from(1 << width) * (1.0 + SQUARING) / 2.0;
        let dense = (2..=8).map(|width| tables(width) + rows * columns * digits(width));
        rows * self.indicators + least(dense) + 3.0 * columns
    }

    /// A chunk's update: one a digit, into buckets that are added up, with inverses of the errors.
    fn update(self, rows: f64) -> f64 {
        let columns = f64::from(self.dense);
        let buckets = |width: u32| {
            let buckets = f64::from(LONGEST_BITS.div_ceil(width) << (width - 1));
            columns * (buckets + f64::from(LONGEST_BITS) * SQUARING)
        };
        let dense = (2..=10).map(|width| rows * columns * digits(width) + buckets(width));
        let inverses = if self.dense > 0 { 3.0 * rows } else { 0.0 };
        rows * self.indicators + least(dense) + columns + inverses
    }
}

/// Mean number of non-zero signed digits of a standardised value.
fn digits(width: u32) -> f64 {
    f64::from(DIGIT_BITS.div_ceil(width)) * (1.0 - 1.0 / f64::from(1 << width))
}

fn least(costs: impl Iterator<Item = f64>) -> f64 {
    costs.fold(f64::INFINITY, f64::min)
}

/// Products modulo N² that a side's own work in a step of the attempt should take; `None` if there is no
/// formula.
pub fn products(plan: &Plan, cells: Option<Cells>, attempt: Attempt, step: Step) -> Option<f64> {
    let batches = f64::from(attempt.mini_batches);
    let batch = plan.hyper.batch_size as usize;
    match step {
        Step::Forward => {
            let cells = cells?;
            let forward = |n| forward(plan, plan.score_layout, cells, n);
            Some(batches * chunks(batch).map(forward).sum::<f64>())
        }
        Step::Evaluate => {
            let cells = cells?;
            Some(chunks(attempt.test_rows).map(|n| forward(plan, plan.test_layout, cells, n)).sum())
        }
        Step::ErrorCiphertexts => Some(batches * batch as f64),
        Step::Update => {
            let cells = cells?;
            Some(batches * chunks(batch).map(|n| cells.update(n as f64)).sum::<f64>())
        }
        _ => None,
    }
}

/// Both directions of the scores of one chunk.
fn forward(plan: &Plan, layout: PackLayout, cells: Cells, rows: usize) -> f64 {
    let modulus = f64::from(plan.modulus_bits.bits());
    let packed = layout.spread(rows).ciphertexts(rows) as f64;
    let shifts = rows as f64 * f64::from(layout.slot_bits()) * SQUARING;
    let exponent = modulus + f64::from(paillier::STATISTICAL_BITS + SANITISED_BITS);
    let sanitise = (exponent / TABLE_BITS).ceil() + 1.0;
    let power = modulus / 2.0 * (SQUARING + 1.0 / WINDOW_BITS) + f64::from(1 << WINDOW_BITS as u32);
    let decrypt = 2.0 * HALF * power;
    shifts + cells.forward(rows as f64) + packed * (sanitise + decrypt)
}

/// Sizes of the chunks of so many rows.
fn chunks(rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).step_by(CHUNK_ROWS).map(move |start| CHUNK_ROWS.min(rows - start))
}

/// A batch of products modulo N² of the given length on the kernel that keys get here, on all threads
/// of the caller's pool: what a driver times.
#[derive(Debug)]
pub struct Yardstick {
    kernel: Arc<dyn Kernel>,
    products: Residues,
    factors: Residues,
}

impl Yardstick {
    /// Products of a batch, a few tenths of a millisecond to some milliseconds.
    pub const PRODUCTS: u32 = 512;

    /// A batch for moduli of this length. Their values do not matter: kernels take constant time.
    pub fn new(bits: ModulusBits) -> Self {
        /// Odd, with its top bit set; so is a number that repeats it.
        const LIMB: u64 = 0x9e37_79b9_7f4a_7c15;
        let limbs = bits.bytes() / 8;
        let kernel = kernel_for(&vec![LIMB; limbs]);
        // Below the modulus in every limb.
        let factor = vec![LIMB >> 1; 2 * limbs];
        let factors = kernel.import(&factor.repeat(Self::PRODUCTS as usize));
        Self { products: factors.clone(), factors, kernel }
    }

    /// Computes the batch once.
    pub fn multiply(&mut self) {
        let Self { kernel, products, factors } = self;
        let each = (Self::PRODUCTS as usize).div_ceil(rayon::current_num_threads());
        let size = each.next_multiple_of(kernel.lanes()) * kernel.stride();
        let (products, factors) = (products.words.par_chunks_mut(size), &factors.words);
        products.zip(factors.par_chunks(size)).for_each(|(a, b)| kernel.multiply(a, b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Parameters;

    fn bounds(columns: u32, standardised: bool, dense: bool) -> PublicBounds {
        PublicBounds { columns, dense, standardised, column_bits: 8, row_bits: 4, energy_bits: 4 }
    }

    fn plan(a: PublicBounds) -> Plan {
        let asked = Parameters {
            modulus_bits: ModulusBits::B2048,
            epochs: Some(2),
            batch_size: Some(1500),
            learning_rate: Some(0.4),
            ..Parameters::default()
        };
        Plan::new(&asked, [4000, 0, 100], a, bounds(3, false, false)).expect("a small job fits")
    }

    #[test]
    fn the_counts_of_indicators_are_those_of_the_table_by_hand() {
        let a = bounds(1000, false, false);
        let plan = plan(a);
        let attempt = Attempt { mini_batches: 2, test_rows: 0 };
        let cells = Cells::published(&a);
        let of = |step| products(&plan, cells, attempt, step);
        assert_eq!(of(Step::Update), Some(2.0 * 1500.0 * 16.0));
        assert_eq!(of(Step::ErrorCiphertexts), Some(2.0 * 1500.0));
        assert_eq!(of(Step::Evaluate), Some(0.0));
        assert_eq!(of(Step::OtExtension), None);
        let layout = plan.score_layout;
        // 13 or 14 and 6 or 7 if they were full.
        let packed = 16.0 + 8.0;
        let sanitise = 354.0 + 1.0;
        let decrypt = 0.5 * (1024.0 * 0.9 + 32.0);
        let rows = 1500.0 * (f64::from(layout.slot_bits()) * 0.7 + 16.0);
        let expected = rows + packed * (sanitise + decrypt);
        let found = of(Step::Forward).expect("there is a formula");
        assert!((found - 2.0 * expected).abs() < 1e-6, "{found}, not {}", 2.0 * expected);
    }

    #[test]
    fn dense_columns_cost_their_digits_and_unknown_ones_have_no_figure() {
        let dense = Cells::published(&bounds(10, true, true)).expect("all cells are known");
        // A non-zero has one digit or two in a large chunk, and tables do not count any more.
        let each = dense.forward(1e6) / 1e7;
        assert!((0.9..=2.0).contains(&each), "{each}");
        let each = (dense.update(1e6) - 3e6) / 1e7;
        assert!((0.9..=2.0).contains(&each), "{each}");
        let intercept = dense.with_intercept();
        assert_eq!(intercept.update(100.0) - dense.update(100.0), 100.0);
        assert_eq!(Cells::published(&bounds(10, false, true)), None);
        let with_indicators = bounds(33, true, true);
        assert_eq!(Cells::published(&with_indicators), None);
        let plan = plan(bounds(10, false, true));
        let attempt = Attempt { mini_batches: 1, test_rows: 100 };
        for step in [Step::Forward, Step::Update, Step::Evaluate] {
            assert_eq!(products(&plan, None, attempt, step), None);
        }
    }

    #[test]
    fn the_yardstick_multiplies_every_residue() {
        for bits in [ModulusBits::B2048, ModulusBits::B3072] {
            let mut yardstick = Yardstick::new(bits);
            yardstick.multiply();
            let Yardstick { kernel, products, factors } = yardstick;
            let mut squares = factors.clone();
            kernel.square(&mut squares.words, 1);
            assert_eq!(*kernel.export(&products.words), *kernel.export(&squares.words));
        }
    }
}
