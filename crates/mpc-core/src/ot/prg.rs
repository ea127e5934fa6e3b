//! Pseudo-random generators from AES-128 as a pseudo-random permutation: one for tree nodes, one
//! for the long streams of the leaves.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};

/// Blocks that go through AES together: a multiple of what the widest hardware units take at once
/// (8 with 128-bit registers, 30 or 64 with wider ones), small enough for the first-level cache.
pub(super) const LANES: usize = 64;

/// Expands `seed` under the plaintexts `first..first + N`.
fn expand<const N: usize>(seed: u128, first: u128) -> [u128; N] {
    let mut blocks: [Block; N] = std::array::from_fn(|i| to_block(first + i as u128));
    Aes128Enc::new(&to_block(seed)).encrypt_blocks(&mut blocks);
    blocks.map(from_block)
}

/// Both children of an inner node.
pub(super) fn children(seed: u128) -> [u128; 2] {
    expand(seed, 0)
}

/// What a leaf yields: the key of its stream, and 256 bits for the consistency of its tree.
pub(super) fn leaf(seed: u128) -> (u128, [u128; 2]) {
    let [key, c0, c1] = expand(seed, 2);
    (key, [c0, c1])
}

/// AES-128 in counter mode with random access by block number.
pub(super) struct Stream(Aes128Enc);

impl Stream {
    pub(super) fn new(key: u128) -> Self {
        Self(Aes128Enc::new(&to_block(key)))
    }

    /// Blocks `first..first + LANES` of the stream; `scratch` is overwritten.
    pub(super) fn read(&self, first: u64, scratch: &mut Scratch, out: &mut Words) {
        for (i, block) in scratch.iter_mut().enumerate() {
            *block = (u128::from(first) + i as u128).to_le_bytes();
        }
        self.0.encrypt_blocks(Block::cast_slice_from_core_mut(scratch));
        for (words, block) in out.chunks_exact_mut(2).zip(scratch.iter()) {
            [words[0], words[1]] = halves(u128::from_le_bytes(*block));
        }
    }
}

/// Blocks as AES takes them.
pub(super) type Scratch = [[u8; 16]; LANES];

/// Blocks as pairs of words, low one first: XOR of these vectorises, that of u128 does not.
pub(super) type Words = [u64; 2 * LANES];

/// Low and high half.
pub(super) const fn halves(v: u128) -> [u64; 2] {
    [v as u64, (v >> 64) as u64]
}

/// The inverse of [`halves`].
pub(super) const fn join(low: u64, high: u64) -> u128 {
    low as u128 | (high as u128) << 64
}

/// XORs word by word, as far as the shorter one reaches.
pub(super) fn xor_words(target: &mut [u64], source: &[u64]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t ^= s;
    }
}

pub(super) fn to_block(v: u128) -> Block {
    v.to_le_bytes().into()
}

pub(super) fn from_block(block: Block) -> u128 {
    u128::from_le_bytes(block.into())
}
