//! What the error step of one chunk needs and can be had before its scores are known: masks of the scores
//! and shares of the factors of the error (design §2.1 step 2; ADR 7).
//!
//! A: choices → [`FeatureProducts`] → top bits → [`FeatureLift`] → wraps → [`Factors`].
//! B: choices → [`LabelProducts`] → corrections; top bits → [`Factors`] → wraps. The [`ScoreMasks`] are
//! ready before the factors.
//!
//! Everything here is drawn anew for every chunk, stays in memory and is consumed by use. Neither party
//! learns anything: A's bits reach B one-time padded, B's operands reach A as corrections under pads that A
//! does not have.

use std::fmt;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    error::{feature_operands, label_operands},
    series::ErrorSeries,
    target::Target,
};
use crate::{
    ot::{
        ChoiceBits, Corrections, IntegerShares, LiftReceiver, OleReceiver, OleShape, OtError,
        RandomOtsReceiver, RandomOtsSender, SharePairs, TopBits, Wraps, lift, ole, ots_needed,
    },
    plan::{Plan, TRUNCATED_BITS},
    ring::Ring,
    shares::Shares,
};

/// A's operands a harmonic: a sine and a cosine.
const TERMS: usize = 2;

/// The two pools of transfers that `rows` rows consume: for the products and for the lift.
pub fn transfers(plan: &Plan, rows: usize) -> [usize; 2] {
    let pairs = rows * plan.shape.harmonics;
    [ots_needed(pairs, TERMS), pairs * ole::OUTPUTS]
}

/// One row of products for each harmonic of each row: (F_k, G_k).
pub fn product_shape(plan: &Plan, rows: usize) -> Result<OleShape, OtError> {
    OleShape::new(rows * plan.shape.harmonics, TERMS, plan.factor_bits)
}

/// Values that are lifted for `rows` rows.
pub fn lifted_values(plan: &Plan, rows: usize) -> usize {
    rows * plan.shape.harmonics * ole::OUTPUTS
}

/// One party's masks of the scores of a chunk, uniform modulo the period of their mini-batch. Consumed by
/// use.
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::train::correlations::ScoreMasks>();
/// ```
pub struct ScoreMasks(pub(super) Shares);

/// One party's integer shares of the factors of a chunk's errors for these masks and, at B, the constants
/// of the series. Consumed by use.
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::train::correlations::Factors>();
/// ```
pub struct Factors {
    pub(super) shares: IntegerShares,
    /// One a row at B, none at A.
    pub(super) constants: Zeroizing<Vec<i128>>,
}

impl fmt::Debug for ScoreMasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScoreMasks({} rows)", self.0.len())
    }
}

impl fmt::Debug for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factors({} values)", self.shares.len())
    }
}

/// Fresh uniform masks for the scores of mini-batch `step`.
pub(super) fn draw_masks(plan: &Plan, step: u32, rows: usize, rng: &mut impl CryptoRng) -> Shares {
    let ring = plan.score_ring(step);
    let mut masks = Zeroizing::new(Vec::with_capacity(rows));
    masks.extend((0..rows).map(|_| random(ring, rng)));
    #[cfg(test)]
    crate::spy::saw(crate::spy::Secret::ScoreMask, &masks, ring.bytes());
    Shares::new(ring, std::mem::take(&mut *masks))
}

fn random(ring: Ring, rng: &mut impl CryptoRng) -> u128 {
    ring.reduce(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}

/// A has sent its choices and waits for B's corrections.
pub struct FeatureProducts {
    masks: Shares,
    products: OleReceiver,
    lift: RandomOtsReceiver,
    factor_bits: u32,
}

/// A has sent its top bits and waits for the wraps.
#[derive(Debug)]
pub struct FeatureLift(LiftReceiver);

impl fmt::Debug for FeatureProducts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureProducts({} rows)", self.masks.len())
    }
}

impl FeatureProducts {
    /// Draws A's masks and hides the bits of their sines and cosines behind `ots`, which has what
    /// [`transfers`] says.
    ///
    /// # Errors
    /// [`OtError`] if it has not.
    pub fn begin(
        plan: &Plan,
        step: u32,
        rows: usize,
        mut ots: RandomOtsReceiver,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, ChoiceBits), OtError> {
        let masks = draw_masks(plan, step, rows, rng);
        let harmonics = plan.shape.harmonics;
        let mut operands = Zeroizing::new(Vec::with_capacity(rows * TERMS * harmonics));
        for &mask in masks.expose() {
            feature_operands(mask, masks.ring().bits(), harmonics, &mut operands);
        }
        let of_products = ots.take(transfers(plan, rows)[0])?;
        let (choices, products) = ole::choose(&operands, product_shape(plan, rows)?, of_products)?;
        Ok((Self { masks, products, lift: ots, factor_bits: plan.factor_bits }, choices))
    }

    /// Completes the products and hides the top bits of A's shares.
    ///
    /// # Errors
    /// [`OtError`] if the corrections are those of another chunk.
    pub fn receive(
        self,
        corrections: &Corrections,
    ) -> Result<(ScoreMasks, FeatureLift, TopBits), OtError> {
        let shares = flatten(&self.products.finish(corrections)?);
        let (bits, lift) = lift::choose(shares, self.factor_bits, self.lift)?;
        Ok((ScoreMasks(self.masks), FeatureLift(lift), bits))
    }
}

impl FeatureLift {
    /// A's factors.
    ///
    /// # Errors
    /// [`OtError`] if the wraps are those of another chunk.
    pub fn receive(self, wraps: &Wraps) -> Result<Factors, OtError> {
        Ok(Factors::new(self.0.finish(wraps)?, Zeroizing::default()))
    }
}

/// B has answered the choices and waits for A's top bits.
pub struct LabelProducts {
    masks: Shares,
    /// Modulo 2^`factor_bits`, raised by a quarter of that.
    shares: Zeroizing<Vec<u64>>,
    constants: Zeroizing<Vec<i128>>,
    lift: RandomOtsSender,
    factor_bits: u32,
}

impl fmt::Debug for LabelProducts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelProducts({} rows)", self.masks.len())
    }
}

impl LabelProducts {
    /// Draws B's masks and answers A's choices; the operands carry the labels and weights of the chunk's
    /// rows, the step size and the series of mini-batch `step`.
    ///
    /// # Errors
    /// [`OtError`] if the choices are those of another chunk.
    pub fn respond(
        plan: &Plan,
        step: u32,
        series: &ErrorSeries,
        targets: &[Target],
        mut ots: RandomOtsSender,
        choices: &ChoiceBits,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Corrections), OtError> {
        let masks = draw_masks(plan, step, targets.len(), rng);
        let unit = libm::ldexp(plan.error_gain(step), TRUNCATED_BITS as i32);
        let terms = TERMS * plan.shape.harmonics;
        let mut operands = Zeroizing::new(Vec::with_capacity(targets.len() * terms));
        let mut constants = Zeroizing::new(Vec::with_capacity(targets.len()));
        for (&mask, target) in masks.expose().iter().zip(targets) {
            let bits = masks.ring().bits();
            constants.push(label_operands(mask, bits, series, target, unit, &mut operands));
        }
        let of_products = ots.take(transfers(plan, targets.len())[0])?;
        let shape = product_shape(plan, targets.len())?;
        let (corrections, shares) = ole::respond(&operands, shape, of_products, choices)?;
        // Raised by a quarter of the ring, every factor lies in its lower half.
        let (offset, modulus) = (1 << (plan.factor_bits - 2), (1u64 << plan.factor_bits) - 1);
        let mut shares = flatten(&shares);
        shares.iter_mut().for_each(|v| *v = (*v + offset) & modulus);
        let factor_bits = plan.factor_bits;
        Ok((Self { masks, shares, constants, lift: ots, factor_bits }, corrections))
    }

    /// Answers A's top bits: B's masks and factors.
    ///
    /// # Errors
    /// [`OtError`] if the bits are those of another chunk.
    pub fn receive(self, bits: &TopBits) -> Result<(ScoreMasks, Factors, Wraps), OtError> {
        let (wraps, mut factors) = lift::respond(&self.shares, self.factor_bits, self.lift, bits)?;
        factors.iter_mut().for_each(|v| *v -= 1 << (self.factor_bits - 2));
        Ok((ScoreMasks(self.masks), Factors::new(factors, self.constants), wraps))
    }
}

impl Factors {
    fn new(shares: IntegerShares, constants: Zeroizing<Vec<i128>>) -> Self {
        #[cfg(test)]
        crate::spy::saw_integers(crate::spy::Secret::Factor, &shares);
        Self { shares, constants }
    }
}

/// F₁, G₁, F₂, … of all rows.
fn flatten(shares: &SharePairs) -> Zeroizing<Vec<u64>> {
    Zeroizing::new(shares.as_flattened().to_vec())
}
