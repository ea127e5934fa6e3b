//! From leaf streams to the columns of a small-field VOLE (Roy, CRYPTO 2022, section 3).
//!
//! For one tree with leaf streams r_x over GF(2), A computes u = ⊕ r_x and v = ⊕ x·r_x with x read as
//! k bits, B computes w = ⊕ (x ⊕ α)·r_x, in which the leaf it misses has weight 0. Then
//! w = v ⊕ α·u: bit j of the elements is one column of 128, with bit j of α its bit of Δ.

use zeroize::{Zeroize, Zeroizing};

use super::prg::{LANES, Scratch, Stream, Words, join, xor_words};

/// 128 columns of 128 bits: word c holds the next 128 bits of column c.
pub(super) type Plane = [u128; 128];

/// The leaf streams of one tree, in the order of their weights.
pub(super) struct Leaves {
    /// Weight 0: missing at B.
    first: Option<Stream>,
    rest: Vec<Stream>,
}

impl Leaves {
    /// All 2^k leaves: A's side.
    pub(super) fn complete(keys: &[u128]) -> Self {
        Self { first: Some(Stream::new(keys[0])), ..Self::punctured(keys) }
    }

    /// All leaves but the first: B's side.
    pub(super) fn punctured(keys: &[u128]) -> Self {
        Self { first: None, rest: keys[1..].iter().map(|&key| Stream::new(key)).collect() }
    }

    /// Writes columns `first_column..first_column + k` of all planes, from block `first_block` of
    /// the streams, and returns ⊕ r_x, one block a plane (without meaning at B).
    pub(super) fn fill(
        &self,
        first_block: u64,
        first_column: usize,
        planes: &mut [Plane],
    ) -> Zeroizing<Vec<u128>> {
        let size = self.rest.len() + 1;
        let depth = size.ilog2() as usize;
        let mut sum = Zeroizing::new(Vec::with_capacity(planes.len()));
        let mut work = Zeroizing::new(Work::default());
        let mut block = first_block;
        for group in planes.chunks_mut(LANES) {
            let Work { blocks, subtrees, weighted, current } = &mut *work;
            weighted.fill([0; 2 * LANES]);
            for y in 0..size {
                match y.checked_sub(1) {
                    Some(rest) => self.rest[rest].read(block, blocks, current),
                    None => match &self.first {
                        Some(first) => first.read(block, blocks, current),
                        None => current.fill(0),
                    },
                }
                // Merge with every complete subtree to the left; this one is its odd sibling.
                let level = y.trailing_ones() as usize;
                for (left, weighted) in subtrees.iter().zip(weighted.iter_mut()).take(level) {
                    xor_words(weighted, current);
                    xor_words(current, left);
                }
                if let Some(slot) = subtrees[..depth].get_mut(level) {
                    *slot = *current;
                }
            }
            for (lane, plane) in group.iter_mut().enumerate() {
                for (column, weighted) in weighted[..depth].iter().enumerate() {
                    plane[first_column + column] = join(weighted[2 * lane], weighted[2 * lane + 1]);
                }
            }
            sum.extend(current.chunks_exact(2).take(group.len()).map(|w| join(w[0], w[1])));
            block += LANES as u64;
        }
        sum
    }
}

/// Largest depth of a tree.
const MAX_DEPTH: usize = 8;

/// State of the sum over the leaves of a tree, which is built bottom up from left to right.
#[derive(Zeroize)]
struct Work {
    blocks: Scratch,
    /// Per level the sum over a complete subtree that waits for its right sibling.
    subtrees: [Words; MAX_DEPTH],
    /// Per bit of the weight the sum over leaves that have it.
    weighted: [Words; MAX_DEPTH],
    current: Words,
}

impl Default for Work {
    fn default() -> Self {
        let zero = [0; 2 * LANES];
        let (subtrees, weighted) = ([zero; MAX_DEPTH], [zero; MAX_DEPTH]);
        Self { blocks: [[0; 16]; LANES], subtrees, weighted, current: zero }
    }
}
