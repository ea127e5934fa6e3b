//! Opens the test scores to B, and to B only (design §2.4).

use paillier::EncryptedVector;
use rand::CryptoRng;

use super::{
    channel::Channel,
    error::{Role, SessionError},
    setup::Ready,
    training::{CHUNK_ROWS, ForwardOpened, exchange_scores},
    work::Work,
};
use crate::{
    plan::Plan,
    ring::Ring,
    shares::Shares,
    step::Step,
    train::batch::Intercept,
    wire::{DecodeError, Message, Reader, Writer},
};

/// A's noise on an opened score is uniform on ±2^−10, in units of the score.
pub const NOISE: f64 = 1.0 / 1024.0;

/// A's noised shares of the test scores, opened to B.
pub(super) struct OpenedShares {
    ring: Ring,
    values: Vec<u128>,
}

impl Message for OpenedShares {
    type Params<'a> = (Ring, usize);

    fn encode(&self, out: &mut Writer) {
        for &v in &self.values {
            out.uint(v, self.ring.bytes());
        }
    }

    fn decode(body: &[u8], (ring, rows): (Ring, usize)) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let values = (0..rows)
            .map(|_| {
                let v = r.uint(ring.bytes(), "opened share")?;
                if ring.reduce(v) == v {
                    Ok(v)
                } else {
                    Err(DecodeError::OutOfRange { field: "opened share" })
                }
            })
            .collect::<Result<_, _>>()?;
        r.finish()?;
        Ok(Self { ring, values })
    }
}

/// Runs over all test rows. B gets the scores, A an empty list.
pub(crate) fn score_test_rows(
    channel: &mut Channel<'_>,
    ready: &Ready,
    weights: &EncryptedVector,
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, SessionError> {
    let Ready { plan, prepared, columns, .. } = ready;
    let step = Step::Evaluate;
    let steps = plan.steps();
    let rows: Vec<u32> = (0..plan.rows[1] as u32).collect();
    let mut scores = Vec::new();
    for (k, chunk) in rows.chunks(CHUNK_ROWS).enumerate() {
        work.evaluate(step, k * CHUNK_ROWS, rows.len());
        let matrix = columns.select(&prepared.test, chunk, Intercept::forward(plan, steps));
        let ForwardOpened(shares) = exchange_scores(channel, ready, &matrix, weights, step, rng)?;
        match channel.role() {
            Role::FeatureHolder => channel.send_message(step, &noised(plan, &shares, rng))?,
            Role::LabelHolder => {
                let max = plan.ring.bytes() * chunk.len();
                let peer =
                    channel.receive_message::<OpenedShares>(step, max, (plan.ring, chunk.len()))?;
                let unit = plan.score_unit(steps);
                scores.extend(
                    shares
                        .expose()
                        .iter()
                        .zip(&peer.values)
                        .map(|(&b, &a)| plan.ring.to_signed(plan.ring.add(a, b)) as f64 * unit),
                );
            }
        }
    }
    work.evaluate(step, rows.len(), rows.len());
    Ok(scores)
}

/// Adds an integer uniform on −m ..= m to each share, m = ⌊2^−10 / unit of the score⌋, at least 1.
fn noised(plan: &Plan, shares: &Shares, rng: &mut impl CryptoRng) -> OpenedShares {
    let bound = noise_bound(plan);
    let ring = plan.ring;
    let values = shares
        .expose()
        .iter()
        .map(|&v| ring.add(v, ring.from_signed(uniform(bound, rng))))
        .collect();
    OpenedShares { ring, values }
}

fn noise_bound(plan: &Plan) -> i128 {
    ((NOISE / plan.score_unit(plan.steps())) as i128).max(1)
}

/// Uniform on −bound ..= bound: rejection from the next power of two, so there is no modulo bias.
fn uniform(bound: i128, rng: &mut impl CryptoRng) -> i128 {
    let width = 2 * bound as u128 + 1;
    let mask = u128::MAX >> (width - 1).leading_zeros();
    loop {
        let v = (u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())) & mask;
        if v < width {
            return v as i128 - bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::PublicBounds, session::Parameters};
    use paillier::ModulusBits;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn noise_covers_its_range_evenly() {
        let seed = 11;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (bound, draws) = (6, 13_000);
        let mut counts = [0f64; 13];
        for _ in 0..draws {
            counts[(uniform(bound, &mut rng) + bound) as usize] += 1.0;
        }
        let expected = f64::from(draws) / 13.0;
        let chi: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
        // 12 degrees of freedom: P(chi > 39.1) = 1e-4.
        assert!(chi < 39.1, "seed {seed}: chi square {chi}, counts {counts:?}");
    }

    /// The plan of a job on indicators, with few units in the noise, or on dense columns, with many.
    fn plan(dense: bool) -> Plan {
        let asked = Parameters {
            modulus_bits: ModulusBits::B2048,
            epochs: Some(2),
            batch_size: Some(64),
            learning_rate: Some(0.4),
            l2: None,
        };
        let bounds = PublicBounds {
            columns: 5,
            dense,
            standardised: dense,
            column_bits: 8,
            row_bits: 3,
            energy_bits: 3,
        };
        Plan::new(&asked, [400, 400], bounds, bounds).expect("a small job fits")
    }

    /// χ² of counts against how many of −bound ..= bound fall into each of 16 classes. Exceeds 65 by
    /// chance with probability 4·10^−8.
    fn chi_square(counts: [u32; 16], bound: i128, class_size: impl Fn(i128) -> i128) -> f64 {
        let draws = f64::from(counts.iter().sum::<u32>());
        let share = |c: i128| class_size(c) as f64 / (2 * bound + 1) as f64;
        counts
            .iter()
            .zip(0..)
            .map(|(&n, c)| (f64::from(n) - draws * share(c)).powi(2) / (draws * share(c)))
            .sum()
    }

    #[test]
    fn opened_shares_carry_uniform_noise_of_the_stated_bound() {
        let seed = 12;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        for dense in [false, true] {
            let plan = plan(dense);
            let ring = plan.ring;
            let bound = noise_bound(&plan);
            let unit = plan.score_unit(plan.steps());
            assert!(bound as f64 * unit <= NOISE && (bound + 1) as f64 * unit > NOISE);
            assert!(bound > 100, "{bound}");
            let shares: Vec<u128> = (0..16_000).map(|_| ring.reduce(rng.random())).collect();
            let opened = noised(&plan, &Shares::new(ring, shares.clone()), &mut rng);
            // Classes by size, and by the four lowest bits.
            let (mut high, mut low) = ([0; 16], [0; 16]);
            let width = 2 * bound + 1;
            for (&before, &after) in shares.iter().zip(&opened.values) {
                let noise = ring.to_signed(ring.sub(after, before));
                assert!((-bound..=bound).contains(&noise), "{noise}, seed {seed}");
                high[((noise + bound) * 16 / width) as usize] += 1;
                low[noise.rem_euclid(16) as usize] += 1;
            }
            let below = |c: i128| (c * width + 15) / 16;
            let high = chi_square(high, bound, |c| below(c + 1) - below(c));
            let low = chi_square(low, bound, |r| {
                (bound - r).div_euclid(16) - (-bound - 1 - r).div_euclid(16)
            });
            assert!(high < 65.0 && low < 65.0, "χ² = {high}, {low}, dense {dense}, seed {seed}");
        }
    }
}
