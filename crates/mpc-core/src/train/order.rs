//! The order in which rows are visited: public, from the shared seed, reshuffled each epoch.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::plan::Plan;

/// Row numbers of every mini-batch of one epoch; the incomplete last batch is dropped.
///
/// Fisher–Yates with ChaCha20 keyed by the seed and the epoch, so that both sides and the ideal
/// functionality agree without a message.
pub fn epoch_batches(seed: &[u8; 32], epoch: u32, rows: usize, batch: usize) -> Vec<Vec<u32>> {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 row order");
    h.update(seed);
    h.update(&epoch.to_le_bytes());
    let mut rng = ChaCha20Rng::from_seed(*h.finalize().as_bytes());
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for i in (1..rows).rev() {
        order.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    order.chunks_exact(batch).map(<[u32]>::to_vec).collect()
}

/// The mini-batches of a job by number, one epoch at a time.
#[derive(Debug)]
pub struct Batches {
    seed: [u8; 32],
    rows: usize,
    size: usize,
    /// The epoch that was asked for last.
    epoch: Option<(u32, Vec<Vec<u32>>)>,
}

impl Batches {
    /// Those of this seed and plan.
    pub fn new(seed: &[u8; 32], plan: &Plan) -> Self {
        let size = plan.hyper.batch_size as usize;
        Self { seed: *seed, rows: plan.rows[0], size, epoch: None }
    }

    /// Row numbers of mini-batch `step`, counted from 0 through all epochs.
    pub fn get(&mut self, step: u32) -> &[u32] {
        let an_epoch = (self.rows / self.size) as u32;
        let wanted = step / an_epoch;
        if self.epoch.as_ref().is_none_or(|(epoch, _)| *epoch != wanted) {
            self.epoch = Some((wanted, epoch_batches(&self.seed, wanted, self.rows, self.size)));
        }
        let batches = self.epoch.as_ref().map_or(&[][..], |(_, batches)| batches);
        &batches[(step % an_epoch) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::epoch_batches;

    #[test]
    fn an_epoch_visits_each_row_at_most_once_and_drops_the_rest() {
        let batches = epoch_batches(&[7; 32], 3, 1000, 64);
        assert_eq!(batches.len(), 15);
        let mut seen: Vec<u32> = batches.concat();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 15 * 64);
        assert_ne!(batches, epoch_batches(&[7; 32], 4, 1000, 64), "epochs differ");
        assert_eq!(batches, epoch_batches(&[7; 32], 3, 1000, 64), "both sides agree");
    }
}
