//! Uniform numbers from a cryptographic generator.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::limbs;

/// Fills `out` with a number uniform below 2^`bits`; the limbs above are zero.
pub(crate) fn fill_bits<R: CryptoRng + ?Sized>(out: &mut [u64], bits: usize, rng: &mut R) {
    for (i, limb) in out.iter_mut().enumerate() {
        *limb = match bits.saturating_sub(64 * i) {
            0 => 0,
            left @ 1..64 => rng.next_u64() >> (64 - left),
            _ => rng.next_u64(),
        };
    }
}

/// A number exactly uniform below `bound`, by rejection; `bound` has its top limb non-zero.
///
/// The number of attempts is independent of the result.
pub(crate) fn below<R: CryptoRng + ?Sized>(bound: &[u64], rng: &mut R) -> Zeroizing<Vec<u64>> {
    let bits = 64 * bound.len() - bound[bound.len() - 1].leading_zeros() as usize;
    let mut out = Zeroizing::new(vec![0; bound.len()]);
    loop {
        fill_bits(&mut out, bits, rng);
        if limbs::is_less(&out, bound) == 1 {
            return out;
        }
    }
}
