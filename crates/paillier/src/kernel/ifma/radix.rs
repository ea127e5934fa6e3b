//! Between 64-bit words and 52-bit limbs.
//!
//! 16 limbs are as long as 13 words, so numbers are converted in chunks whose shifts are known when the
//! crate is compiled.

use super::lanes::{LIMB_BITS, LIMB_MASK};

const LIMBS: usize = 16;
const WORDS: usize = LIMBS * LIMB_BITS / 64;

/// Cuts a number into 52-bit limbs, as many as `out` has; those past the number are zero.
pub(super) fn to_limbs(out: &mut [u64], x: &[u64]) {
    let mut chunks = x.chunks(WORDS);
    for out in out.chunks_mut(LIMBS) {
        let chunk = chunks.next().unwrap_or(&[]);
        let mut words = [0; WORDS + 1];
        words[..chunk.len()].copy_from_slice(chunk);
        let w = &words;
        let limbs: [u64; LIMBS] = [
            limb::<0>(w),
            limb::<1>(w),
            limb::<2>(w),
            limb::<3>(w),
            limb::<4>(w),
            limb::<5>(w),
            limb::<6>(w),
            limb::<7>(w),
            limb::<8>(w),
            limb::<9>(w),
            limb::<10>(w),
            limb::<11>(w),
            limb::<12>(w),
            limb::<13>(w),
            limb::<14>(w),
            limb::<15>(w),
        ];
        out.copy_from_slice(&limbs[..out.len()]);
    }
}

/// The inverse of [`to_limbs`] for a number that `out` has room for.
pub(super) fn from_limbs(out: &mut [u64], limbs: &[u64]) {
    for (out, chunk) in out.chunks_mut(WORDS).zip(limbs.chunks(LIMBS)) {
        let mut limbs = [0; LIMBS + 2];
        limbs[..chunk.len()].copy_from_slice(chunk);
        let l = &limbs;
        let words: [u64; WORDS] = [
            word::<0>(l),
            word::<1>(l),
            word::<2>(l),
            word::<3>(l),
            word::<4>(l),
            word::<5>(l),
            word::<6>(l),
            word::<7>(l),
            word::<8>(l),
            word::<9>(l),
            word::<10>(l),
            word::<11>(l),
            word::<12>(l),
        ];
        out.copy_from_slice(&words[..out.len()]);
    }
}

/// Limb I of a chunk.
#[inline]
fn limb<const I: usize>(words: &[u64; WORDS + 1]) -> u64 {
    let (word, shift) = (LIMB_BITS * I / 64, LIMB_BITS * I % 64);
    let pair = u128::from(words[word]) | (u128::from(words[word + 1]) << 64);
    (pair >> shift) as u64 & LIMB_MASK
}

/// Word I of a chunk: the rest of one limb, the next, and perhaps some of a third.
#[inline]
fn word<const I: usize>(limbs: &[u64; LIMBS + 2]) -> u64 {
    let (first, shift) = (64 * I / LIMB_BITS, 64 * I % LIMB_BITS);
    let pair = u128::from(limbs[first]) | (u128::from(limbs[first + 1]) << LIMB_BITS);
    let third = u128::from(limbs[first + 2]) << (2 * LIMB_BITS - shift);
    (pair >> shift) as u64 | third as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn limbs_come_back(
            x in prop::collection::vec(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)], 1..49),
        ) {
            let mut limbs = vec![1; (64 * x.len()).div_ceil(LIMB_BITS) + 1];
            to_limbs(&mut limbs, &x);
            prop_assert!(limbs.iter().all(|&limb| limb <= LIMB_MASK));
            let number = num_bigint::BigUint::from_bytes_le(&crate::limbs::to_le_bytes(&x));
            let sum = limbs.iter().rev().fold(num_bigint::BigUint::ZERO, |sum, &limb| {
                (sum << LIMB_BITS) + limb
            });
            prop_assert_eq!(sum, number);
            let mut back = vec![1; x.len()];
            from_limbs(&mut back, &limbs);
            prop_assert_eq!(back, x);
        }
    }
}
