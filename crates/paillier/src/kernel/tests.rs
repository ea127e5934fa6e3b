use num_bigint::BigUint;
use proptest::prelude::*;

use super::{Kernel, Portable, Residues};
use crate::limbs;

fn big(x: &[u64]) -> BigUint {
    BigUint::from_bytes_le(&limbs::to_le_bytes(x))
}

fn words(x: &BigUint, len: usize) -> Vec<u64> {
    let mut w = x.to_u64_digits();
    w.resize(len, 0);
    w
}

/// The number whose canonical digits are given.
fn value(digits: &[u64], n: &BigUint) -> BigUint {
    let (x0, x1) = digits.split_at(digits.len() / 2);
    big(x0) + big(x1) * n
}

fn canonical(x: &BigUint, n: &BigUint, h: usize) -> Vec<u64> {
    let mut w = words(&(x % n), h);
    w.extend(words(&(x / n), h));
    w
}

/// An odd modulus that fills its limbs: random, or made of extreme limbs.
fn modulus(h: usize) -> impl Strategy<Value = Vec<u64>> {
    let limb = prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(1), Just(1 << 63)];
    prop_oneof![
        4 => prop::collection::vec(limb, h),
        1 => Just(vec![u64::MAX; h]),
        1 => Just(vec![0; h]),
    ]
    .prop_map(move |mut n| {
        n[0] |= 1;
        n[h - 1] |= 1 << 63;
        n
    })
}

/// A digit below n: random, or next to a bound.
fn digit(n: &BigUint, seed: &[u64], kind: u8) -> BigUint {
    match kind {
        0 => BigUint::ZERO,
        1 => BigUint::from(1u8),
        2 => n - 1u8,
        3 => (BigUint::from(1u8) << (n.bits() - 1)) - 1u8,
        4 => BigUint::from(u64::MAX) << (64 * (seed.len() / 2)),
        _ => big(seed) % n,
    }
}

fn case() -> impl Strategy<Value = (Vec<u64>, Vec<Vec<u64>>, [u8; 4])> {
    prop_oneof![Just(8usize), Just(12), Just(16), Just(24), Just(32), Just(48)].prop_flat_map(|h| {
        let seeds = prop::collection::vec(prop::collection::vec(any::<u64>(), h), 4);
        (modulus(h), seeds, prop::array::uniform4(0u8..9))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_operation_agrees_with_big_integers((n, seeds, kinds) in case()) {
        let h = n.len();
        let kernel = Portable::new(&n);
        let n = big(&n);
        let n2 = &n * &n;
        let digits: Vec<BigUint> = (0..4).map(|i| digit(&n, &seeds[i], kinds[i])).collect();
        let a = &digits[0] + &digits[1] * &n;
        let b = &digits[2] + &digits[3] * &n;
        let import = |x: &BigUint| kernel.import(&canonical(x, &n, h));
        let export = |x: &Residues| value(&kernel.export(&x.words), &n);
        let (ra, rb) = (import(&a), import(&b));
        prop_assert_eq!(export(&ra), a.clone());

        let mut x = ra.clone();
        kernel.multiply(&mut x.words, &rb.words);
        prop_assert_eq!(export(&x), &a * &b % &n2);

        let mut x = ra.clone();
        kernel.square(&mut x.words, 3);
        prop_assert_eq!(export(&x), a.modpow(&BigUint::from(8u8), &n2));

        let mut x = ra.clone();
        kernel.add_plain(&mut x.words, &words(&digits[3], h));
        prop_assert_eq!(export(&x), &a * (&digits[3] * &n + 1u8) % &n2);

        let mut x = ra.clone();
        x.words.extend_from_slice(&rb.words);
        let operands = x.clone();
        kernel.multiply_gather(&mut x.words, &operands.words, &[(0, 1), (1, 1), (0, 0)]);
        let got = kernel.export(&x.words);
        prop_assert_eq!(value(&got[..2 * h], &n), &a * &a * &b % &n2);
        prop_assert_eq!(value(&got[2 * h..], &n), &b * &b % &n2);
    }

    #[test]
    fn raw_forms_at_the_bounds_multiply_correctly((n, seeds, kinds) in case()) {
        // The words themselves are extreme here, not only the numbers they stand for.
        let h = n.len();
        let kernel = Portable::new(&n);
        let n = big(&n);
        let n2 = &n * &n;
        let r_inverse = (BigUint::from(1u8) << (64 * h)).modinv(&n2).expect("n is odd");
        let digits: Vec<BigUint> = (0..4).map(|i| digit(&n, &seeds[i], kinds[i])).collect();
        let form = |i: usize| [words(&digits[i], h), words(&digits[i + 1], h)].concat();
        let (mut a, b) = (form(0), form(2));
        let product = value(&a, &n) * value(&b, &n) * &r_inverse % &n2;
        let square = value(&a, &n) * value(&a, &n) * &r_inverse % &n2;
        let mut s = a.clone();
        kernel.multiply(&mut a, &b);
        prop_assert_eq!(&a, &canonical(&product, &n, h));
        kernel.square(&mut s, 1);
        prop_assert_eq!(&s, &canonical(&square, &n, h));
    }

    #[test]
    fn powers_agree((n, seeds, _) in case()) {
        let h = n.len();
        let kernel = Portable::new(&n);
        let n = big(&n);
        let bases: Vec<BigUint> = (0..2).map(|i| digit(&n, &seeds[i], 8)).collect();
        let words: Vec<u64> = bases.iter().flat_map(|b| canonical(b, &n, h)).collect();
        let exponent = &seeds[2][..2];
        let got = kernel.export(&super::power(&kernel, &kernel.import(&words).words, exponent).words);
        for (b, got) in bases.iter().zip(got.chunks(2 * h)) {
            prop_assert_eq!(value(got, &n), b.modpow(&big(exponent), &(&n * &n)));
        }
    }
}
