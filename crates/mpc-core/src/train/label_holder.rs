//! B's part in the error of one chunk, as typestates: scores → corrections → error shares.
//!
//! B learns nothing: A's choice bits reach it masked by uniform ones.

use crate::{
    ot::{OleShape, OtError, RandomOtsSender, ole},
    plan::{Plan, TRUNCATED_BITS},
    shares::Shares,
};

use zeroize::Zeroizing;

use super::{
    error::{label_operands, truncate_up},
    error_ciphertexts::ErrorShares,
    series::ErrorSeries,
};

/// B holds its share of the joint scores.
#[derive(Debug)]
pub struct LabelScores(Shares);

impl LabelScores {
    /// From the shares of the forward step.
    pub fn new(scores: Shares) -> Self {
        Self(scores)
    }

    /// Answers A's choice bits: the coefficients carry the labels, the step size and the series.
    pub fn respond(
        self,
        plan: &Plan,
        step: u32,
        series: &ErrorSeries,
        labels: &[bool],
        ots: RandomOtsSender,
        choices: &ole::ChoiceBits,
    ) -> Result<(ErrorShares, ole::Corrections), OtError> {
        assert_eq!(self.0.len(), labels.len(), "one label a row of the chunk");
        let (period_bits, _) = plan.period_at(step);
        let unit = libm::ldexp(plan.error_gain(step), TRUNCATED_BITS as i32);
        let mut operands = Zeroizing::new(Vec::with_capacity(labels.len() * plan.terms()));
        let constants: Zeroizing<Vec<i128>> = Zeroizing::new(
            self.0
                .expose()
                .iter()
                .zip(labels)
                .map(|(&share, &label)| {
                    label_operands(share, period_bits, series, label, unit, &mut operands)
                })
                .collect(),
        );
        let shape = OleShape::new(labels.len(), plan.terms(), plan.ole_ring.bits())?;
        let (corrections, products) = ole::respond(&operands, shape, ots, choices)?;
        let ring = plan.ole_ring;
        let truncated = products
            .iter()
            .zip(constants.iter())
            .map(|(&v, &c)| truncate_up(ring.add(v, ring.from_signed(c)), ring, plan.ring))
            .collect();
        Ok((ErrorShares::new(Shares::bounded(plan.ring, truncated)), corrections))
    }
}
