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
    use rand::SeedableRng;
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
}
