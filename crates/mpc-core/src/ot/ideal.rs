//! Ideal functionalities: what a trusted third party would hand out. Exists in tests only.

use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

use super::ole::{OUTPUTS, OleShape};
use super::pool::{RandomOtsReceiver, RandomOtsSender};

/// Both keys of 128 transfers for the sender, and those that bit j of `choices` selects.
pub(crate) fn base_transfers(
    choices: u128,
    rng: &mut impl CryptoRng,
) -> (Vec<[u128; 2]>, Vec<u128>) {
    let keys: Vec<[u128; 2]> = (0..128).map(|_| rng.random()).collect();
    let chosen = keys.iter().enumerate().map(|(j, k)| k[(choices >> j & 1) as usize]).collect();
    (keys, chosen)
}

/// Random transfers numbered from `first`.
pub(crate) fn random_transfers(
    first: u64,
    count: usize,
    rng: &mut impl CryptoRng,
) -> (RandomOtsReceiver, RandomOtsSender) {
    let pads: Vec<[u128; 2]> = (0..count).map(|_| rng.random()).collect();
    let choices: Vec<u8> = (0..count).map(|_| u8::from(rng.random::<bool>())).collect();
    let chosen = pads.iter().zip(&choices).map(|(p, &c)| p[usize::from(c)]).collect();
    (
        RandomOtsReceiver::new(first, Zeroizing::new(choices), Zeroizing::new(chosen)),
        RandomOtsSender::new(first, Zeroizing::new(pads)),
    )
}

/// Uniform additive shares (A's, B's) of each row's inner products.
pub(crate) fn inner_products(
    x: &[i16],
    y: &[[i64; OUTPUTS]],
    shape: OleShape,
    rng: &mut impl CryptoRng,
) -> (Vec<[u64; OUTPUTS]>, Vec<[u64; OUTPUTS]>) {
    let mask = (1u64 << shape.ring_bits()) - 1;
    x.chunks_exact(shape.terms())
        .zip(y.chunks_exact(shape.terms()))
        .map(|(x, y)| {
            let sum = |k: usize| -> i128 {
                x.iter().zip(y).map(|(&x, y)| i128::from(x) * i128::from(y[k])).sum()
            };
            let a = [0, 1].map(|_| rng.random::<u64>() & mask);
            (a, [0, 1].map(|k| (sum(k) as u64).wrapping_sub(a[k]) & mask))
        })
        .unzip()
}

/// Shares in the integers of the values that (A's, B's) shares below 2^`ring` have: A's mask is uniform.
pub(crate) fn lift(
    a: &[u64],
    b: &[u64],
    ring: u32,
    rng: &mut impl CryptoRng,
) -> (Vec<i128>, Vec<i128>) {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| {
            let value = i128::from((a + b) & ((1 << ring) - 1));
            let mask = i128::from(rng.random::<u64>()) << ring;
            let own = i128::from(b) + mask;
            (value - own, own)
        })
        .unzip()
}
