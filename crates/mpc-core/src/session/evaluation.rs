//! Opens scores to B, and to B only (design §2.4): of validation rows after an epoch, of test rows at the
//! end.

use std::collections::VecDeque;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    channel::Channel,
    checkpoint::Model,
    error::{Role, SessionError},
    setup::Ready,
    training::{CHUNK_ROWS, exchange_scores},
    vault::RecordFile,
};
use crate::{
    features::Rows,
    plan::Plan,
    ring::Ring,
    shares::Shares,
    step::Step,
    train::batch::Intercept,
    wire::{DecodeError, Message, Reader, Writer},
};

/// A's noise on an opened score is uniform on ±2^−10, in units of the score.
pub const NOISE: f64 = 1.0 / 1024.0;

/// Shares of the scores of one chunk of test rows: A's noised ones, opened to B, and B's own as it
/// keeps them on disk.
pub(super) struct OpenedShares {
    ring: Ring,
    values: Zeroizing<Vec<u128>>,
}

impl Message for OpenedShares {
    type Params<'a> = (Ring, usize);

    fn encode(&self, out: &mut Writer) {
        out.elements(self.ring, &self.values);
    }

    fn decode(body: &[u8], (ring, rows): (Ring, usize)) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let mut values = Zeroizing::new(Vec::new());
        r.elements(ring, rows, "opened share", &mut values)?;
        r.finish()?;
        Ok(Self { ring, values })
    }
}

/// B → A: B's record of this number, with its shares of a chunk, is on disk, so A may open its own. 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadyToOpen(pub(super) u32);

impl Message for ReadyToOpen {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let chunk = r.u32("chunk")?;
        r.finish()?;
        Ok(Self(chunk))
    }
}

/// Rows whose scores are opened together.
pub(crate) struct Opening<'a> {
    /// The step of its messages.
    pub(crate) step: Step,
    /// The rows, all of them.
    pub(crate) rows: &'a Rows,
    /// Records of openings that come before its own.
    pub(crate) first_record: u32,
}

/// Opens the scores of rows at the model as it is. B gets the scores, A an empty list.
///
/// A chunk is opened at most once in the life of a job, whatever happens to the two nodes: B's shares
/// are on disk before A draws its noise, A's noised shares before they are sent, and an attempt that
/// finds them there, in `stored`, sends the same bytes again.
pub(crate) fn open_scores(
    channel: &mut Channel<'_>,
    ready: &Ready,
    model: &mut Model<'_>,
    opening: &Opening<'_>,
    stored: &mut VecDeque<Zeroizing<Vec<u8>>>,
    mut progress: impl FnMut(usize),
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, SessionError> {
    let Opening { step, rows, first_record } = *opening;
    let plan = &ready.plan;
    let unit = plan.score_unit(model.step());
    let numbers: Vec<u32> = (0..rows.len() as u32).collect();
    // What was opened must never outlive the model that it was opened from.
    model.sync()?;
    let mut scores = Vec::new();
    for (chunk, record) in numbers.chunks(CHUNK_ROWS).zip(first_record..) {
        progress((record - first_record) as usize * CHUNK_ROWS);
        let shape = (plan.ring, chunk.len());
        let own = match stored.pop_front() {
            Some(record) => OpenedShares::decode(&record, shape)
                .map_err(|_| model.store.corrupt(RecordFile::Openings))?,
            None => open_chunk(channel, ready, model, opening, record, chunk, rng)?,
        };
        match channel.role() {
            Role::FeatureHolder => channel.send_message(step, &own)?,
            Role::LabelHolder => {
                let max = plan.ring.bytes() * chunk.len();
                let peer = channel.receive_message::<OpenedShares>(step, max, shape)?;
                scores.extend(
                    own.values
                        .iter()
                        .zip(peer.values.iter())
                        .map(|(&b, &a)| plan.ring.to_signed(plan.ring.add(a, b)) as f64 * unit),
                );
            }
        }
    }
    progress(rows.len());
    Ok(scores)
}

/// Computes both sides' shares of a chunk that was not opened before. What is returned is on disk: at A
/// the noised shares that it may send, at B its own.
fn open_chunk(
    channel: &mut Channel<'_>,
    ready: &Ready,
    model: &mut Model<'_>,
    opening: &Opening<'_>,
    number: u32,
    chunk: &[u32],
    rng: &mut impl CryptoRng,
) -> Result<OpenedShares, SessionError> {
    let Ready { plan, columns, .. } = ready;
    let (step, steps) = (opening.step, model.step());
    let matrix = columns.select(opening.rows, chunk, Intercept::forward(plan, steps));
    let layout = (plan.test_layout, plan.ring);
    let shares = exchange_scores(channel, ready, &matrix, model.weights(), layout, step, rng)?;
    match channel.role() {
        Role::FeatureHolder => {
            let confirmed = channel.receive_message::<ReadyToOpen>(step, 4, ())?;
            if confirmed != ReadyToOpen(number) {
                return Err(channel.bad(step, "another chunk of rows is due"));
            }
            let opened = noised(plan, steps, &shares, rng);
            model.store.open(&opened.to_bytes())?;
            Ok(opened)
        }
        Role::LabelHolder => {
            let values = Zeroizing::new(shares.expose().to_vec());
            let own = OpenedShares { ring: plan.ring, values };
            model.store.open(&Zeroizing::new(own.to_bytes()))?;
            channel.send_message(step, &ReadyToOpen(number))?;
            Ok(own)
        }
    }
}

/// Adds an integer uniform on −m ..= m to each share, m = ⌊2^−10 / unit of the score⌋, at least 1.
fn noised(plan: &Plan, steps: u32, shares: &Shares, rng: &mut impl CryptoRng) -> OpenedShares {
    let bound = noise_bound(plan, steps);
    let ring = plan.ring;
    let values = shares
        .expose()
        .iter()
        .map(|&v| ring.add(v, ring.from_signed(uniform(bound, rng))))
        .collect();
    OpenedShares { ring, values: Zeroizing::new(values) }
}

fn noise_bound(plan: &Plan, steps: u32) -> i128 {
    ((NOISE / plan.score_unit(steps)) as i128).max(1)
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
            ..Parameters::default()
        };
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
            let steps = plan.steps();
            let bound = noise_bound(&plan, steps);
            let unit = plan.score_unit(steps);
            assert!(bound as f64 * unit <= NOISE && (bound + 1) as f64 * unit > NOISE);
            assert!(bound > 100, "{bound}");
            let shares: Vec<u128> = (0..16_000).map(|_| ring.reduce(rng.random())).collect();
            let opened = noised(&plan, steps, &Shares::new(ring, shares.clone()), &mut rng);
            // Classes by size, and by the four lowest bits.
            let (mut high, mut low) = ([0; 16], [0; 16]);
            let width = 2 * bound + 1;
            for (&before, &after) in shares.iter().zip(opened.values.iter()) {
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
