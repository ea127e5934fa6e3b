//! The error step of one chunk (design §2.1 step 2; ADR 7), the same for both roles:
//! scores and [`ScoreMasks`] → [`MaskedScores`], with [`Factors`] → [`ErrorShares`].
//!
//! The parties tell each other their shares of Δ = z + λ. Each learns Δ, which is uniform whatever z is,
//! because the other's mask is.

use std::fmt;

use super::{
    correlations::{Factors, ScoreMasks},
    error::{PUBLIC_BITS, evaluate, truncate_down, truncate_up},
    error_ciphertexts::ErrorShares,
};
use crate::{
    plan::TRUNCATED_BITS,
    ring::Ring,
    session::Role,
    shares::Shares,
    wire::{DecodeError, Message, Reader, Writer},
};

use zeroize::Zeroizing;

/// One party's share of the masked scores of a chunk. Both directions, ⌈period bits / 8⌉ bytes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedScores {
    ring: Ring,
    values: Vec<u128>,
}

impl Message for MaskedScores {
    type Params<'a> = (Ring, usize);

    fn encode(&self, out: &mut Writer) {
        out.elements(self.ring, &self.values);
    }

    fn decode(body: &[u8], (ring, rows): (Ring, usize)) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let mut values = Vec::new();
        r.elements(ring, rows, "masked score", &mut values)?;
        r.finish()?;
        Ok(Self { ring, values })
    }
}

/// This party's share of the masked scores is on its way; the peer's is due.
pub struct Masked {
    role: Role,
    own: MaskedScores,
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masked({} rows)", self.own.values.len())
    }
}

impl Masked {
    /// Masks this party's shares of the scores, which are modulo the same period as the masks.
    #[expect(clippy::needless_pass_by_value, reason = "masks are consumed by use")]
    pub fn new(role: Role, scores: Shares, masks: ScoreMasks) -> (Self, MaskedScores) {
        let masked = scores.plus(&masks.0);
        let own = MaskedScores { ring: masked.ring(), values: masked.expose().to_vec() };
        (Self { role, own: own.clone() }, own)
    }

    /// The ring and the number of rows of the peer's message.
    pub fn expected(&self) -> (Ring, usize) {
        (self.own.ring, self.own.values.len())
    }

    /// Evaluates the series at the masked scores, with the factors of the same masks. B adds its
    /// constants; A's share of the result is rounded down, B's up.
    #[expect(clippy::needless_pass_by_value, reason = "factors are consumed by use")]
    pub fn receive(self, peer: &MaskedScores, factors: Factors) -> ErrorShares {
        let ring = self.own.ring;
        let rows = self.own.values.len();
        let per_row = factors.shares.len() / rows.max(1);
        let mut errors = Zeroizing::new(Vec::with_capacity(rows));
        let masked =
            self.own.values.iter().zip(&peer.values).map(|(&own, &peer)| ring.add(own, peer));
        for (i, (masked, shares)) in masked.zip(factors.shares.chunks_exact(per_row)).enumerate() {
            let sum = evaluate(masked, ring.bits(), shares);
            errors.push(match self.role {
                Role::FeatureHolder => truncate_down(sum, TRUNCATED_BITS + PUBLIC_BITS),
                Role::LabelHolder => {
                    truncate_up(sum + factors.constants[i], TRUNCATED_BITS + PUBLIC_BITS)
                }
            });
        }
        ErrorShares::new(errors)
    }
}

#[cfg(test)]
mod tests {
    use paillier::ModulusBits;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::{
        ideal::factors,
        ot::ideal::random_transfers,
        plan::{Plan, PublicBounds},
        session::Parameters,
        statistics::{LIMIT, chi_square_of_byte},
        train::{
            correlations::{FeatureProducts, LabelProducts, draw_masks, transfers},
            error::{feature_operands, label_operands},
            series::ErrorSeries,
            target::Target,
        },
    };

    fn plan(dense: bool, l2: Option<f64>) -> Plan {
        let asked = Parameters { l2, learning_rate: Some(0.3), ..Parameters::default() };
        let bounds = PublicBounds {
            columns: 5,
            dense,
            standardised: dense,
            column_bits: 8,
            row_bits: 3,
            energy_bits: 3,
        };
        Plan::new(&asked, [400, 0, 400], bounds, bounds).expect("a small job fits")
    }

    /// Both sides' shares add up to what the masks and the label give in the clear, in the integers, to
    /// one unit of rounding; at the first and the last mini-batch of jobs with and without a penalty.
    #[test]
    fn shares_of_the_error_add_up_in_the_integers() {
        let seed = 71;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        for (dense, l2) in [(false, None), (true, None), (true, Some(0.02))] {
            let plan = plan(dense, l2);
            for step in [0, plan.steps() - 1] {
                let rows = 60;
                let weight = if step == 0 { 1.0 } else { 2.5 };
                let targets: Vec<Target> =
                    (0..rows).map(|_| Target { label: rng.random(), weight }).collect();
                let ring = plan.score_ring(step);
                let mut draw = || (0..rows).map(|_| ring.reduce(rng.random())).collect::<Vec<_>>();
                let scores = [draw(), draw()];
                let count = transfers(&plan, rows).iter().sum();
                let (ots_a, ots_b) = random_transfers(0, count, &mut rng);
                let series = ErrorSeries::fit(&plan.shape, plan.period_at(step).1);
                let (a, choices) =
                    FeatureProducts::begin(&plan, step, rows, ots_a, &mut rng).unwrap();
                let (b, corrections) = LabelProducts::respond(
                    &plan, step, &series, &targets, ots_b, &choices, &mut rng,
                )
                .unwrap();
                let (masks_a, a, bits) = a.receive(&corrections).unwrap();
                let (masks_b, factors_b, wraps) = b.receive(&bits).unwrap();
                let factors_a = a.receive(&wraps).unwrap();
                let masks = [&masks_a, &masks_b].map(|m| m.0.expose().to_vec());
                let shares = |party: usize| Shares::new(ring, scores[party].clone());
                let (a, from_a) = Masked::new(Role::FeatureHolder, shares(0), masks_a);
                let (b, from_b) = Masked::new(Role::LabelHolder, shares(1), masks_b);
                let a = a.receive(&from_b, factors_a);
                let b = b.receive(&from_a, factors_b);
                for i in 0..rows {
                    let (mut xs, mut ys) = (Vec::new(), Vec::new());
                    feature_operands(masks[0][i], ring.bits(), plan.shape.harmonics, &mut xs);
                    let unit = libm::ldexp(plan.error_gain(step), TRUNCATED_BITS as i32);
                    let constant = label_operands(
                        masks[1][i],
                        ring.bits(),
                        &series,
                        &targets[i],
                        unit,
                        &mut ys,
                    );
                    let masked = [scores[0][i], scores[1][i], masks[0][i], masks[1][i]]
                        .into_iter()
                        .fold(0, |sum, v| ring.add(sum, v));
                    let exact = constant + evaluate(masked, ring.bits(), &factors(&xs, &ys));
                    let sum = a.expose()[i] + b.expose()[i];
                    let off = sum - (exact >> (TRUNCATED_BITS + PUBLIC_BITS));
                    assert!((0..=1).contains(&off), "row {i} is off by {off}, seed {seed}");
                }
            }
        }
    }

    /// What a side tells of a score is uniform modulo the period, whatever the score is: chi-square with
    /// 255 degrees of freedom on the top and the bottom byte. The bound is exceeded by a uniform source
    /// with probability 4·10⁻¹¹ a statistic, of which there are 8.
    #[test]
    fn masked_scores_are_uniform() {
        let (seed, rows) = (72, 20_000);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        for dense in [false, true] {
            let plan = plan(dense, None);
            let ring = plan.score_ring(0);
            for score in [0, ring.reduce(u128::MAX)] {
                let masks = ScoreMasks(draw_masks(&plan, 0, rows, &mut rng));
                let scores = Shares::new(ring, vec![score; rows]);
                let (_, message) = Masked::new(Role::LabelHolder, scores, masks);
                for shift in [0, ring.bits() - 8] {
                    let chi2 = chi_square_of_byte(message.values.iter().copied(), shift);
                    assert!(chi2 < LIMIT, "{chi2:.0} at bit {shift}, seed {seed}");
                }
            }
        }
    }

    #[test]
    fn rows_a_packed_ciphertext_are_as_documented() {
        let slots = |dense: bool, batch| {
            let asked = Parameters {
                batch_size: Some(batch),
                modulus_bits: ModulusBits::B2048,
                ..Parameters::default()
            };
            let bounds = plan(dense, None).bounds[0];
            let plan = Plan::new(&asked, [10_000, 0, 400], bounds, bounds).unwrap();
            (plan.score_layout.slot_bits(), plan.score_layout.slots())
        };
        assert_eq!([slots(false, 1024), slots(true, 1024)], [(26, 75), (41, 48)]);
    }
}
