//! The order in which rows are visited: public, from the shared seed, reshuffled each epoch.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

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
