//! Tweakable correlation-robust hash from a fixed-key block cipher.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};

use super::prg::{LANES, from_block, to_block};

/// TMMO^π of Guo, Katz, Wang and Yu, "Efficient and Secure Multiparty Computation from Fixed-Key
/// Block Ciphers" (S&P 2020): H(i, x) = π(π(x) ⊕ i) ⊕ π(x).
///
/// Tweakable circular correlation robust when π = AES-128 under a public key is an ideal
/// permutation and no tweak is used for two different inputs. The key is derived from the run's
/// tag, so that precomputation against one run is worthless against another.
pub(super) struct Crh {
    pi: Aes128Enc,
}

impl Crh {
    pub(super) fn new(tag: &[u8; 32]) -> Self {
        let (key, _) = tag.split_first_chunk::<16>().expect("a tag has 32 bytes");
        Self { pi: Aes128Enc::new(&(*key).into()) }
    }

    /// Replaces `xs[j]` by H(first_tweak + j, xs[j]).
    pub(super) fn hash_in_place(&self, first_tweak: u128, xs: &mut [u128]) {
        let mut tweak = first_tweak;
        for chunk in xs.chunks_mut(LANES) {
            let mut inner = [Block::default(); LANES];
            for (block, &x) in inner.iter_mut().zip(chunk.iter()) {
                *block = to_block(x);
            }
            self.pi.encrypt_blocks(&mut inner);
            let inner = inner.map(from_block);
            let mut outer: [Block; LANES] =
                std::array::from_fn(|j| to_block(inner[j] ^ (tweak + j as u128)));
            self.pi.encrypt_blocks(&mut outer);
            for ((x, block), mid) in chunk.iter_mut().zip(outer).zip(inner) {
                *x = from_block(block) ^ mid;
            }
            tweak += LANES as u128;
        }
    }
}
