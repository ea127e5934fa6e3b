//! The same product with the best library in plain Rust, so that a reader can tell a fast kernel from a
//! slow comparison: crypto-bigint's constant-time Montgomery form modulo N², as a program without a
//! kernel of its own would use it.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U4096, U6144, Uint};
use paillier::ModulusBits;
use paillier::fixtures::test_primes;
use serde::{Deserialize, Serialize};

use crate::measure::per_second;

/// Products that a timing is taken of.
const BATCH: usize = 16;

/// One figure of the report; the names are read by other programs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Yardstick {
    pub(crate) op: String,
    pub(crate) bits: u32,
    pub(crate) library: String,
    pub(crate) ops_per_second: f64,
}

/// Products modulo N² at both key sizes.
pub(crate) fn measure() -> Vec<Yardstick> {
    [ModulusBits::B2048, ModulusBits::B3072]
        .into_iter()
        .map(|bits| {
            let ops_per_second = match bits {
                ModulusBits::B2048 => multiply::<{ U4096::LIMBS }>(bits),
                ModulusBits::B3072 => multiply::<{ U6144::LIMBS }>(bits),
            };
            eprintln!("mul at {} bits, crypto-bigint: {ops_per_second:.0}/s", bits.bits());
            Yardstick {
                op: "mul".to_owned(),
                bits: bits.bits(),
                library: "crypto-bigint".to_owned(),
                ops_per_second,
            }
        })
        .collect()
}

fn multiply<const LIMBS: usize>(bits: ModulusBits) -> f64 {
    let [p, q] = test_primes(bits, 0).map(|prime| {
        let mut bytes = vec![0; 8 * LIMBS];
        bytes[..prime.len()].copy_from_slice(&prime);
        Uint::<LIMBS>::from_le_slice(&bytes)
    });
    let n = p.wrapping_mul(&q);
    let square = Odd::new(n.wrapping_mul(&n)).expect("a product of odd primes is odd");
    let params = FixedMontyParams::new(square);
    let mut acc = [FixedMontyForm::new(&p, &params); BATCH];
    let factor = FixedMontyForm::new(&q, &params);
    per_second(BATCH, || acc.iter_mut().for_each(|x| *x *= &factor))
}
