//! Puncturable trees after Goldreich, Goldwasser and Micali, with the leaf check of SoftSpokenOT.
//!
//! The owner of a tree (A) knows all 2^k leaves. The other side (B) knows all but leaf α, the k bits
//! of its secret Δ that belong to this tree. On level l (bit l of the leaf number, lowest first) the
//! owner offers the XOR of all nodes whose bit is 0 and of those whose bit is 1; B takes, by a base
//! transfer, the one with the bit opposite to α's.
//!
//! B keeps its leaves in the order y = x ⊕ α. The missing leaf is then number 0 whatever α is, so
//! no memory address and no branch depends on α, only conditional swaps.

use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::prg;

/// Bytes a leaf contributes to the check.
pub(super) const CHECK_BYTES: usize = 32;

/// XOR over all leaves of 256 check bits each, from which B recovers those of its missing leaf.
pub(super) type LeafSum = [u128; 2];

/// A tree of which all leaves are known.
pub(super) struct Tree {
    /// Stream keys of the leaves x = 0, 1, ….
    pub(super) keys: Zeroizing<Vec<u128>>,
    /// Per level the XOR of the nodes with bit 0 and with bit 1.
    pub(super) level_sums: Zeroizing<Vec<[u128; 2]>>,
    /// See [`LeafSum`].
    pub(super) leaf_sum: LeafSum,
}

/// Grows a tree of depth `depth` from `root` and appends its leaf checks to `checks`.
pub(super) fn grow(depth: usize, root: u128, checks: &mut Vec<u8>) -> Tree {
    let mut nodes = Zeroizing::new(vec![0u128; 1 << depth]);
    let mut level_sums = Zeroizing::new(Vec::with_capacity(depth));
    nodes[0] = root;
    for level in 0..depth {
        let half = 1 << level;
        let mut sums = [0u128; 2];
        for x in 0..half {
            let pair = prg::children(nodes[x]);
            (nodes[x], nodes[x + half]) = (pair[0], pair[1]);
            sums[0] ^= pair[0];
            sums[1] ^= pair[1];
        }
        level_sums.push(sums);
    }
    let mut leaf_sum = [0u128; 2];
    for node in nodes.iter_mut() {
        let (key, check) = prg::leaf(*node);
        *node = key;
        append(checks, &check);
        xor_into(&mut leaf_sum, &check);
    }
    Tree { keys: nodes, level_sums, leaf_sum }
}

/// Rebuilds all leaves but leaf `alpha` from one sum a level, and appends the leaf checks in the order
/// of the owner to `checks`.
///
/// Returns stream keys in the order y = x ⊕ alpha; entry 0 is not a key.
pub(super) fn rebuild(
    alpha: u8,
    sums: &[u128],
    leaf_sum: &LeafSum,
    checks: &mut Vec<u8>,
) -> Zeroizing<Vec<u128>> {
    let depth = sums.len();
    let mut nodes = Zeroizing::new(vec![0u128; 1 << depth]);
    for (level, &sum) in sums.iter().enumerate() {
        let half = 1 << level;
        let swap = Choice::from((alpha >> level) & 1);
        // In y order the offered sum is always the one over nodes whose bit is 1.
        let mut sibling = sum;
        for y in 1..half {
            let [mut left, mut right] = prg::children(nodes[y]);
            u128::conditional_swap(&mut left, &mut right, swap);
            (nodes[y], nodes[y + half]) = (left, right);
            sibling ^= right;
        }
        nodes[half] = sibling;
    }

    let mut values = Zeroizing::new(vec![*leaf_sum; 1 << depth]);
    for y in 1..nodes.len() {
        let (key, check) = prg::leaf(nodes[y]);
        nodes[y] = key;
        xor_into(&mut values[0], &check);
        values[y] = check;
    }
    // From y order to x order: XOR of the index with alpha, one bit at a time.
    for level in 0..depth {
        let swap = Choice::from((alpha >> level) & 1);
        let half = 1 << level;
        for y in (0..values.len()).filter(|y| y & half == 0) {
            let (low, high) = values.split_at_mut(y + half);
            for (a, b) in low[y].iter_mut().zip(&mut high[0]) {
                u128::conditional_swap(a, b, swap);
            }
        }
    }
    for value in values.iter() {
        append(checks, value);
    }
    nodes
}

fn append(checks: &mut Vec<u8>, value: &[u128; 2]) {
    checks.extend_from_slice(&value[0].to_le_bytes());
    checks.extend_from_slice(&value[1].to_le_bytes());
}

fn xor_into(sum: &mut [u128; 2], value: &[u128; 2]) {
    sum[0] ^= value[0];
    sum[1] ^= value[1];
}
