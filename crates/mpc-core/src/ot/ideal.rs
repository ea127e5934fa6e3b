//! Ideal functionalities: what a trusted third party would hand out. Exists in tests only.

use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

use super::bits::low_bits;
use super::ole::OleShape;
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

/// Uniform additive shares (A's, B's) of each row's inner product.
pub(crate) fn inner_products(
    x: &[i16],
    y: &[i64],
    shape: OleShape,
    rng: &mut impl CryptoRng,
) -> (Vec<u128>, Vec<u128>) {
    let mask = low_bits(shape.ring_bits() as usize);
    x.chunks_exact(shape.terms())
        .zip(y.chunks_exact(shape.terms()))
        .map(|(x, y)| {
            let sum: i128 = x.iter().zip(y).map(|(&x, &y)| i128::from(x) * i128::from(y)).sum();
            let a = rng.random::<u128>() & mask;
            (a, (sum as u128).wrapping_sub(a) & mask)
        })
        .unzip()
}
