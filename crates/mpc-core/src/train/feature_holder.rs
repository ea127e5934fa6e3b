//! A's part in the error of one chunk, as typestates: scores → choices → error shares.
//!
//! A learns nothing: choice bits are masked by random ones, corrections by pads it cannot complete.

use crate::{
    ot::{OleShape, OtError, RandomOtsReceiver, ole},
    plan::Plan,
    shares::Shares,
};

use zeroize::Zeroizing;

use super::{
    error::{feature_operands, truncate_down},
    error_ciphertexts::ErrorShares,
};

/// A holds its share of the joint scores.
#[derive(Debug)]
pub struct FeatureScores(Shares);

/// A has sent its choice bits and waits for B's corrections.
#[derive(Debug)]
pub struct FeatureChosen(ole::OleReceiver);

impl FeatureScores {
    /// From the shares of the forward step.
    pub fn new(scores: Shares) -> Self {
        Self(scores)
    }

    /// Computes sines and cosines of the shares and masks their bits with fresh correlations.
    pub fn choose(
        self,
        plan: &Plan,
        step: u32,
        ots: RandomOtsReceiver,
    ) -> Result<(FeatureChosen, ole::ChoiceBits), OtError> {
        let (period_bits, _) = plan.period_at(step);
        let mut operands = Zeroizing::new(Vec::with_capacity(self.0.len() * plan.terms()));
        for &share in self.0.expose() {
            feature_operands(share, period_bits, plan.shape.harmonics, &mut operands);
        }
        let shape = OleShape::new(self.0.len(), plan.terms(), plan.ole_ring.bits())?;
        let (choices, receiver) = ole::choose(&operands, shape, ots)?;
        Ok((FeatureChosen(receiver), choices))
    }
}

impl FeatureChosen {
    /// Completes the products and truncates A's share of the negated error.
    pub fn finish(
        self,
        plan: &Plan,
        corrections: &ole::Corrections,
    ) -> Result<ErrorShares, OtError> {
        let products = self.0.finish(corrections)?;
        let truncated =
            products.iter().map(|&v| truncate_down(v, plan.ole_ring, plan.ring)).collect();
        Ok(ErrorShares::new(Shares::bounded(plan.ring, truncated)))
    }
}
