//! Inverses modulo N² of whole batches, for one inversion modulo N.

use zeroize::Zeroizing;

use crate::kernel::{Kernel, Residues, multiply_parallel};
use crate::key::PublicKey;
use crate::montgomery::Montgomery;

/// Lanes that the batch is walked in side by side.
const LANES: usize = 16;

/// The inverse of every residue (Montgomery's trick: three products a residue and one inversion).
///
/// All residues must be units, as every ciphertext is: decoding checks it and products keep it.
pub(crate) fn invert_batch(key: &PublicKey, residues: &[u64]) -> Residues {
    let kernel = key.kernel();
    let stride = kernel.stride();
    let count = residues.len() / stride;
    let row = LANES.min(count.max(1)) * stride;
    // Pad with ones to whole rows of lanes.
    let mut items = Zeroizing::new(residues.to_vec());
    while !items.len().is_multiple_of(row) {
        items.extend_from_slice(kernel.one());
    }
    // prefix[r] = product of rows 0..=r, lane by lane.
    let mut prefix = items.clone();
    for start in (row..prefix.len()).step_by(row) {
        let (done, next) = prefix.split_at_mut(start);
        multiply_parallel(kernel, &mut next[..row], &done[start - row..]);
    }
    let Some(last) = prefix.len().checked_sub(row) else {
        return Residues { words: items, stride };
    };
    let mut inverse = invert_row(kernel, key.modulus(), &prefix[last..]);
    for start in (0..items.len()).step_by(row).rev() {
        let item = Zeroizing::new(items[start..start + row].to_vec());
        items[start..start + row].copy_from_slice(&inverse);
        if start > 0 {
            multiply_parallel(kernel, &mut items[start..start + row], &prefix[start - row..start]);
            multiply_parallel(kernel, &mut inverse, &item);
        }
    }
    items.truncate(count * stride);
    Residues { words: items, stride }
}

/// As above, one residue after the other.
fn invert_row(kernel: &dyn Kernel, modulus: &Montgomery, items: &[u64]) -> Zeroizing<Vec<u64>> {
    let stride = kernel.stride();
    let mut prefix = Zeroizing::new(items.to_vec());
    for start in (stride..prefix.len()).step_by(stride) {
        let (done, next) = prefix.split_at_mut(start);
        kernel.multiply(&mut next[..stride], &done[start - stride..]);
    }
    let mut inverse = invert_one(kernel, modulus, &prefix[prefix.len() - stride..]);
    let mut out = Zeroizing::new(vec![0; items.len()]);
    for start in (0..items.len()).step_by(stride).rev() {
        let here = start..start + stride;
        out[here.clone()].copy_from_slice(&inverse);
        if start > 0 {
            kernel.multiply(&mut out[here.clone()], &prefix[start - stride..start]);
            kernel.multiply(&mut inverse, &items[here]);
        }
    }
    out
}

/// One inverse in digit form: u = x0⁻¹ mod N makes x·u = 1 + ε·N, so x⁻¹ = u·(1 − ε·N).
pub(crate) fn invert_one(
    kernel: &dyn Kernel,
    modulus: &Montgomery,
    x: &[u64],
) -> Zeroizing<Vec<u64>> {
    let h = kernel.digit_limbs();
    let mut u = modulus.invert(&kernel.export(x)[..h]).expect("ciphertexts are units modulo N");
    u.resize(2 * h, 0);
    let mut inverse = kernel.import(&u).words;
    let mut product = inverse.clone();
    kernel.multiply(&mut product, x);
    let mut digits = kernel.export(&product);
    modulus.negate(&mut digits[h..]);
    kernel.multiply(&mut inverse, &kernel.import(&digits).words);
    inverse
}
