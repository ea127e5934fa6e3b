use std::sync::Arc;

use num_bigint::BigUint;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{Choice, Residues, choose};
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

/// Every kernel this machine can run. Where one cannot, that is printed: its tests then repeat another's.
fn kernels() -> impl Strategy<Value = Choice> {
    prop_oneof![Just(Choice::Fastest), Just(Choice::Portable)]
}

#[test]
fn both_kernels_are_there() {
    let mut n = vec![u64::MAX; 32];
    n[0] = 1;
    assert_eq!(choose(Choice::Portable, &n).name(), "portable");
    let fastest = choose(Choice::Fastest, &n).name();
    assert_eq!(fastest, super::fastest());
    if fastest == "portable" {
        println!("1 kernel skipped: this processor lacks the instructions of \"ifma\"");
    } else {
        assert_eq!(fastest, "ifma");
    }
}

fn case() -> impl Strategy<Value = (Vec<u64>, Vec<Vec<u64>>, [u8; 4])> {
    prop_oneof![Just(8usize), Just(12), Just(16), Just(24), Just(32), Just(48)].prop_flat_map(|h| {
        let seeds = prop::collection::vec(prop::collection::vec(any::<u64>(), h), 4);
        (modulus(h), seeds, prop::array::uniform4(0u8..9))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn every_operation_agrees_with_big_integers((n, seeds, kinds) in case(), choice in kernels()) {
        let h = n.len();
        let kernel = choose(choice, &n);
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

        let mut digits4 = canonical(&a, &n, h);
        kernel.add_plain_canonical(&mut digits4, &words(&digits[3], h));
        prop_assert_eq!(value(&digits4, &n), &a * (&digits[3] * &n + 1u8) % &n2);
    }

    #[test]
    fn raw_forms_at_the_bounds_multiply_correctly((n, seeds, kinds) in case()) {
        // The words themselves are extreme here, not only the numbers they stand for.
        let h = n.len();
        let kernel = choose(Choice::Portable, &n);
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
    fn redundant_forms_at_their_bounds_multiply_correctly(
        (n, seeds, kinds) in case(),
        multiples in prop::array::uniform4(0u8..4),
    ) {
        // Digits up to 4n − 1 in 52-bit limbs, whatever numbers they stand for.
        let kernel = choose(Choice::Fastest, &n);
        if kernel.name() != "ifma" {
            return Ok(());
        }
        let n = big(&n);
        let n2 = &n * &n;
        let limbs = kernel.stride() / 20 * 10;
        let r_inverse = (BigUint::from(1u8) << (52 * limbs)).modinv(&n2).expect("n is odd");
        let digits: Vec<BigUint> =
            (0..4).map(|i| digit(&n, &seeds[i], kinds[i]) + &n * multiples[i]).collect();
        let form = |i: usize| -> Vec<u64> {
            let limb = |x: &BigUint, k: usize| {
                let limb: BigUint = (x >> (52 * k)) & BigUint::from((1u64 << 52) - 1);
                limb.iter_u64_digits().next().unwrap_or(0)
            };
            let mut words: Vec<u64> = (0..2 * limbs)
                .map(|k| limb(&digits[i + k / limbs], k % limbs))
                .collect();
            words.resize(kernel.stride(), 0);
            words
        };
        let number = |i: usize| &digits[i] + &digits[i + 1] * &n;
        // A form stands for a number times R.
        let exported = |form: &[u64]| value(&kernel.export(form), &n);
        let (mut a, b) = (form(0), form(2));
        prop_assert_eq!(exported(&a), number(0) * &r_inverse % &n2);
        let mut s = a.clone();
        kernel.square(&mut s, 1);
        prop_assert_eq!(exported(&s), number(0) * number(0) * &r_inverse * &r_inverse % &n2);
        kernel.multiply(&mut a, &b);
        prop_assert_eq!(exported(&a), number(0) * number(2) * &r_inverse * &r_inverse % &n2);
        // Results are below 2n, so that they can be added and multiplied again.
        for form in [&a, &s] {
            for digit in form[..2 * limbs].chunks(limbs) {
                let sum = digit.iter().rev().fold(BigUint::ZERO, |sum, &limb| (sum << 52u8) + limb);
                prop_assert!(sum < &n * 2u8);
            }
        }
    }

    #[test]
    fn powers_agree((n, seeds, _) in case(), choice in kernels()) {
        let h = n.len();
        let kernel = choose(choice, &n);
        let n = big(&n);
        let bases: Vec<BigUint> = (0..2).map(|i| digit(&n, &seeds[i], 8)).collect();
        let words: Vec<u64> = bases.iter().flat_map(|b| canonical(b, &n, h)).collect();
        let exponent = &seeds[2][..2];
        let got = kernel.export(&kernel.power(&kernel.import(&words).words, exponent).words);
        for (b, got) in bases.iter().zip(got.chunks(2 * h)) {
            prop_assert_eq!(value(got, &n), b.modpow(&big(exponent), &(&n * &n)));
        }
    }

    #[test]
    fn gathered_products_agree_with_a_fold(
        (n, seeds, _) in case(),
        choice in kernels(),
        accumulators in 1usize..20,
        operands in 1usize..20,
        pairs in prop::collection::vec((any::<u32>(), any::<u32>()), 0..90),
    ) {
        let h = n.len();
        let kernel = choose(choice, &n);
        let n = big(&n);
        let n2 = &n * &n;
        let numbers: Vec<BigUint> = (0..accumulators.max(operands))
            .map(|i| (digit(&n, &seeds[0], 8) * (&n - 1u8) + digit(&n, &seeds[1], 8) * i + 1u8) % &n2)
            .collect();
        let import = |count: usize| {
            let words: Vec<u64> =
                numbers[..count].iter().flat_map(|x| canonical(x, &n, h)).collect();
            kernel.import(&words)
        };
        let (mut acc, operand_words) = (import(accumulators), import(operands));
        // Squaring the first index makes the accumulators' queues unequal.
        let plan: Vec<(u32, u32)> = pairs
            .iter()
            .map(|&(i, j)| (i % accumulators as u32 * (i % accumulators as u32) / accumulators as u32, j % operands as u32))
            .collect();
        kernel.multiply_gather(&mut acc.words, &operand_words.words, &plan);
        let mut expected = numbers[..accumulators].to_vec();
        for &(i, j) in &plan {
            expected[i as usize] = &expected[i as usize] * &numbers[j as usize] % &n2;
        }
        for (got, expected) in kernel.export(&acc.words).chunks(2 * h).zip(&expected) {
            prop_assert_eq!(&value(got, &n), expected);
        }
    }

    #[test]
    fn kernels_agree_on_batches_of_every_size(
        (n, _, _) in case(),
        seed in any::<u64>(),
        count in 1usize..21,
    ) {
        let h = n.len();
        let modulus = big(&n);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut batch = || -> Vec<u64> {
            let digits = (0..2 * count).map(|_| {
                let kind = rng.random_range(0..9);
                let limbs: Vec<u64> = (0..h).map(|_| rng.random()).collect();
                digit(&modulus, &limbs, kind)
            });
            digits.flat_map(|digit| words(&digit, h)).collect()
        };
        let (a, b) = (batch(), batch());
        let m: Vec<u64> = b.chunks(2 * h).flat_map(|digits| digits[..h].to_vec()).collect();
        let run = |choice| {
            let kernel = choose(choice, &n);
            let (a, b) = (kernel.import(&a), kernel.import(&b));
            let mut x = a.clone();
            for _ in 0..3 {
                kernel.multiply(&mut x.words, &b.words);
                kernel.add_plain(&mut x.words, &m);
                kernel.add_plain(&mut x.words, &m);
                kernel.square(&mut x.words, 2);
                kernel.multiply(&mut x.words, &a.words);
            }
            let powers = kernel.power(&x.words, &[seed]);
            [kernel.export(&x.words).to_vec(), kernel.export(&powers.words).to_vec()]
        };
        prop_assert!(run(Choice::Fastest) == run(Choice::Portable));
    }
}

#[test]
fn fixed_base_powers_agree() {
    let seed = 61;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for h in [8, 12, 16, 24, 32, 48] {
        let mut n: Vec<u64> = (0..h).map(|_| rng.random()).collect();
        n[0] |= 1;
        n[h - 1] |= 1 << 63;
        let modulus = big(&n);
        let n2 = &modulus * &modulus;
        let base = loop {
            let x: Vec<u64> = (0..2 * h).map(|_| rng.random()).collect();
            let x = big(&x) % &n2;
            if x.modinv(&modulus).is_some() {
                break x;
            }
        };
        // 70 bits: the last position is cut off at every window.
        let count = 75;
        let mut exponents: Vec<u64> =
            (0..count).flat_map(|_| [rng.random(), rng.random_range(0..64)]).collect();
        exponents[..6].copy_from_slice(&[0, 0, 1, 0, u64::MAX, 63]);
        for choice in [Choice::Fastest, Choice::Portable] {
            let kernel = choose(choice, &n);
            let form = kernel.import(&canonical(&base, &modulus, h));
            let table = Arc::clone(&kernel).fixed_base(&form.words, 70);
            for count in [1, 7, 8, 9, 64, count] {
                let powers = table.powers(&exponents[..2 * count], 2);
                let powers = kernel.export(&powers.words);
                for (got, e) in powers.chunks(2 * h).zip(exponents.chunks(2)) {
                    let expected = base.modpow(&big(e), &n2);
                    assert_eq!(value(got, &modulus), expected, "{h} limbs, seed {seed}");
                }
            }
        }
    }
}
