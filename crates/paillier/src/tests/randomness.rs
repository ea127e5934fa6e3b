//! What the key holder must not be able to tell: fresh randomness, masks, sanitising.
//!
//! The tests look with the secret key: they take the randomness r out of a ciphertext
//! c = (1 + m·N)·r^N as the N-th root of c modulo N.

use std::collections::HashSet;
use std::convert::Infallible;

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use rand::rand_core::{TryCryptoRng, TryRng};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::operations::{SIZES, big, modulus, numbers, receive, residue};
use super::test_key;
use crate::fixtures::test_primes;
use crate::*;

/// The secret key's view of a modulus.
struct Holder {
    key: SecretKey,
    n: BigUint,
    p: BigUint,
    q: BigUint,
}

impl Holder {
    fn new(bits: ModulusBits) -> Self {
        let key = test_key(bits, 0);
        let [p, q] = test_primes(bits, 0).map(|p| BigUint::from_bytes_le(&p));
        Self { n: modulus(key.public()), key, p, q }
    }

    fn order(&self) -> BigUint {
        (&self.p - 1u8) * (&self.q - 1u8)
    }

    /// r of each ciphertext.
    fn randomness(&self, c: &Ciphertexts) -> Vec<BigUint> {
        let root = self.n.modinv(&self.order()).expect("gcd(N, φ) = 1");
        numbers(c).iter().map(|c| (c % &self.n).modpow(&root, &self.n)).collect()
    }

    /// Whether r is a square modulo p and modulo q.
    fn squares(&self, r: &BigUint) -> [bool; 2] {
        [&self.p, &self.q].map(|p| r.modpow(&((p - 1u8) / 2u8), p) == BigUint::from(1u8))
    }

    fn has_symbol_one(&self, r: &BigUint) -> bool {
        let [p, q] = self.squares(r);
        p == q
    }
}

/// A generator whose every bit is one.
struct Ones;

impl TryRng for Ones {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::MAX)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::MAX)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0xff);
        Ok(())
    }
}

impl TryCryptoRng for Ones {}

/// χ² of counts against a uniform distribution.
fn chi_square(counts: &[u32]) -> f64 {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|&c| (f64::from(c) - mean).powi(2) / mean).sum()
}

/// With 64 classes χ² exceeds this by chance with probability 9·10^−12.
const CHI_SQUARE_64: f64 = 170.0;

#[test]
fn chance_bound_of_chi_square_is_met_by_honest_counts() {
    assert!(chi_square(&[100; 64]) < 1e-9);
    let mut half = [200; 64];
    half[32..].fill(0);
    assert!(chi_square(&half) > CHI_SQUARE_64);
}

#[test]
fn every_encryption_is_randomised() {
    let seed = 51;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let holder = Holder::new(bits);
        let pk = holder.key.public();
        let same =
            || -> Vec<Plaintext> { (0..24).map(|_| Plaintext::from_u128(bits, 5)).collect() };
        let owner = OwnerEncryptor::new(&holder.key, &mut rng);
        let peer = Sanitiser::new(pk, 10, &mut rng);
        let batches = [
            ("owner", [0; 2].map(|_| receive(&owner.encrypt(&same(), &mut rng).unwrap()))),
            ("peer", [0; 2].map(|_| receive(&peer.encrypt(&same(), &mut rng).unwrap()))),
            ("r^N", [0; 2].map(|_| pk.encrypt_reference(&same(), &mut rng).unwrap())),
        ];
        for (how, batches) in batches {
            let r: Vec<_> = batches.iter().flat_map(|c| holder.randomness(c)).collect();
            let distinct: HashSet<_> = r.iter().collect();
            assert_eq!(distinct.len(), 48, "{how} reuses randomness, {bits:?}, seed {seed}");
            assert!(!distinct.contains(&BigUint::from(1u8)), "{how} has no randomness");
            // All four classes of residuosity occur: of 48 draws some class is missing by chance with
            // probability 4·(3/4)^48 < 5·10^−6.
            let classes: HashSet<_> = r.iter().map(|r| holder.squares(r)).collect();
            assert_eq!(classes.len(), 4, "{how} does not reach the whole group, seed {seed}");
        }
    }
}

/// Over the ends of two prepared batches, in calls that take all sorts of parts of them.
#[test]
fn prepared_randomness_is_used_once() {
    let seed = 61;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = test_key(ModulusBits::B2048, 0);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let owner = OwnerEncryptor::new(&key, &mut rng);
    let pool = one_thread.install(|| EncryptionPool::start(owner, rng)).unwrap();
    let mut seen = HashSet::new();
    for count in [1, 1000, 0, 40, 1007, 24] {
        let values: Vec<i128> = (0..count).map(|v| if v % 2 == 0 { v } else { -v }).collect();
        let c = receive(&pool.encrypt_signed(&values));
        // With the plaintext taken off, a number is r^N: equal ones were the same randomness.
        let n = modulus(key.public());
        for (c, &value) in numbers(&c).iter().zip(&values) {
            let negated = residue(BigInt::from(-value), &n);
            let unmasked = c * (BigUint::from(1u8) + &n * negated) % (&n * &n);
            assert!(seen.insert(unmasked), "randomness is used twice, seed {seed}");
        }
        for (plaintext, &value) in key.decrypt(&c).unwrap().iter().zip(&values).take(3) {
            assert_eq!(plaintext.to_signed(key.public()), Some(value), "seed {seed}");
        }
    }
    assert_eq!(seen.len(), 2072);
}

#[test]
fn a_returned_ciphertext_does_not_show_what_was_computed() {
    let seed = 52;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let holder = Holder::new(bits);
        let pk = holder.key.public();
        let owner = OwnerEncryptor::new(&holder.key, &mut rng);
        let sanitiser = Sanitiser::new(pk, 10, &mut rng);
        let sent = receive(&owner.encrypt_signed(&[1, 2, 3], &mut rng));
        let x =
            SparseMatrix::new(3, vec![0, 3], vec![0, 1, 2], vec![5, 1, -7], [true, false, true]);
        let w = EncryptedVector::from_ciphertexts(sent.clone());
        let layout = PackLayout::new(bits, 60, 58).unwrap();
        let packed = || forward_packed(x.as_ref().unwrap(), &w, layout, 4).unwrap();

        // What the key holder expects if it guesses x: the product of its own r_j^(x_j).
        let r = holder.randomness(&sent);
        let inverse = r[2].modinv(&holder.n).expect("a unit");
        let guess = [(&r[0], 5u32), (&r[1], 16), (&inverse, 7)]
            .iter()
            .fold(BigUint::from(1u8), |acc, (r, x)| acc * r.modpow(&BigUint::from(*x), &holder.n))
            % &holder.n;
        let before = holder.randomness(&packed()[0].to_ciphertexts_for_tests());
        assert_eq!(before, std::slice::from_ref(&guess), "the guess describes what was computed");

        let mut seen = HashSet::from([guess]);
        for _ in 0..8 {
            let mask = vec![UniformMask::random(pk, &mut rng)];
            let sent = sanitiser.mask_and_sanitise(packed(), mask, &mut rng).unwrap();
            let after = holder.randomness(&receive(&sent)).remove(0);
            assert!(seen.insert(after), "randomness is not fresh, {bits:?}, seed {seed}");
        }
    }
}

#[test]
fn sanitising_hides_the_jacobi_symbol() {
    // The symbol of a returned ciphertext is a fair coin whatever the symbol of its input. Of 64 coins
    // fewer than 10 or more than 54 show one side by chance with probability 4·10^−9.
    let seed = 53;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let bits = ModulusBits::B2048;
    let holder = Holder::new(bits);
    let pk = holder.key.public();
    let sanitiser = Sanitiser::new(pk, 10, &mut rng);
    let trivial = EncryptedVector::zeros(pk, 64).ciphertexts(&(0..64).collect::<Vec<_>>()).unwrap();
    let packed = pack(&trivial, PackLayout::new(bits, 1982, 1980).unwrap()).unwrap();
    let masks = packed.iter().map(|_| UniformMask::random(pk, &mut rng)).collect();
    let sent = sanitiser.mask_and_sanitise(packed, masks, &mut rng).unwrap();
    let r = holder.randomness(&receive(&sent));
    let ones = r.iter().filter(|r| holder.has_symbol_one(r)).count();
    assert!((10..=54).contains(&ones), "{ones} of 64 have symbol +1, seed {seed}");
}

#[test]
fn generators_are_the_stated_ones() {
    let seed = 54;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let holder = Holder::new(bits);
        let n2 = &holder.n * &holder.n;
        let sanitiser = Sanitiser::new(holder.key.public(), 10, &mut rng);
        let [g, h] = sanitiser.generators().map(|x| number(&x, &holder.n));
        for (name, x) in [("ĝ", &g), ("ĥ", &h)] {
            assert_eq!(
                x.modpow(&holder.order(), &n2),
                BigUint::from(1u8),
                "{name} is no N-th power"
            );
        }
        let root = holder.n.modinv(&holder.order()).expect("gcd(N, φ) = 1");
        let roots = [&g, &h].map(|x| (x % &holder.n).modpow(&root, &holder.n));
        // −y² is a non-residue modulo both primes, and of the largest order there is.
        assert_eq!(holder.squares(&roots[0]), [false, false], "ĝ, seed {seed}");
        for factor in [(&holder.p - 1u8) / 2u8, (&holder.q - 1u8) / 2u8] {
            let rest = holder.order() / 2u8 / factor;
            assert_ne!(g.modpow(&rest, &n2), BigUint::from(1u8), "ĝ lacks a prime of its order");
        }
        let [p, q] = holder.squares(&roots[1]);
        assert!(p != q, "ĥ has Jacobi symbol −1");
        let smallest = (2u32..).map(BigUint::from).find(|r| !holder.has_symbol_one(r));
        assert_eq!(Some(&roots[1]), smallest.as_ref(), "ĥ is that of the smallest prime");
        // Another party's generator, or this one's another time, is another.
        let again = Sanitiser::new(holder.key.public(), 10, &mut rng).generators();
        assert_ne!(number(&again[0], &holder.n), g, "y is drawn anew");
    }
}

fn number(digits: &[u64], n: &BigUint) -> BigUint {
    let big = |x: &[u64]| BigUint::from_bytes_le(&limbs::to_le_bytes(x));
    let (x0, x1) = digits.split_at(digits.len() / 2);
    big(x0) + big(x1) * n
}

#[test]
fn the_flood_is_as_long_as_rule_2_says() {
    // A generator of ones makes s = 2^(|N| + 40 + u) − 1 and b = 1: the result is then known exactly, and
    // an exponent or a table one bit shorter or longer gives another.
    let seed = 55;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for (bits, uses) in [(ModulusBits::B2048, 0), (ModulusBits::B2048, 32), (ModulusBits::B3072, 7)]
    {
        let holder = Holder::new(bits);
        let (pk, n) = (holder.key.public(), &holder.n);
        let n2 = n * n;
        let sanitiser = Sanitiser::new(pk, uses, &mut rng);
        let [g, h] = sanitiser.generators().map(|x| number(&x, n));
        let c = pk.encrypt_reference(&[Plaintext::from_u128(bits, 9)], &mut rng).unwrap();
        let packed = pack(&c, PackLayout::new(bits, bits.bits() - 66, 64).unwrap()).unwrap();
        let before = numbers(&packed[0].to_ciphertexts_for_tests()).remove(0);
        let m = holder.key.decrypt(&packed[0].to_ciphertexts_for_tests()).unwrap().remove(0);
        let mask = UniformMask::random(pk, &mut rng);
        let sent = sanitiser.mask_and_sanitise(packed, vec![mask], &mut Ones).unwrap();
        let after = receive(&sent);
        // The mask from what was decrypted: its own accessor is not trusted here.
        let opened = holder.key.decrypt(&after).unwrap().remove(0);
        let mask = (big(&opened) + n - big(&m)) % n;
        let s = (BigUint::from(1u8) << (bits.bits() + 40 + uses)) - 1u8;
        let expected = before * (mask * n + 1u8) % &n2 * g.modpow(&s, &n2) % &n2 * h % &n2;
        assert_eq!(numbers(&after), [expected], "{bits:?}, 2^{uses} uses, seed {seed}");
    }
}

#[test]
fn every_bit_of_the_flood_is_drawn() {
    // Each bit of 256 exponents is set 70 to 186 times: outside by chance with probability 10^−13 a bit,
    // 4·10^−10 for all.
    let seed = 56;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let bits = ModulusBits::B2048;
    let sanitiser = Sanitiser::new(test_key(bits, 0).public(), 32, &mut rng);
    let length = 2048 + 40 + 32;
    let exponents = sanitiser.exponents(256, &mut rng);
    let mut counts = vec![0u32; 64 * sanitiser.exponent_limbs()];
    for s in exponents.chunks(sanitiser.exponent_limbs()) {
        for (i, count) in counts.iter_mut().enumerate() {
            *count += (s[i / 64] >> (i % 64) & 1) as u32;
        }
    }
    for (i, &count) in counts.iter().enumerate() {
        let expected = if i < length { 70..=186 } else { 0..=0 };
        assert!(expected.contains(&count), "bit {i} is set {count} times of 256, seed {seed}");
    }
}

#[test]
fn masks_are_uniform_below_n() {
    // 64 equal parts of [0, N), and the 64 values of the six lowest bits.
    let seed = 57;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let key = test_key(bits, 1);
        let n = modulus(key.public());
        let (mut parts, mut low) = ([0u32; 64], [0u32; 64]);
        for _ in 0..6_400 {
            let mask = UniformMask::random(key.public(), &mut rng);
            // All digits together are the mask.
            let value = (0..bits.bits() / 128).rev().fold(BigUint::ZERO, |value, i| {
                (value << 128u8) + mask.digit(i as usize, 128, 128)
            });
            assert!(value < n, "out of range, seed {seed}");
            let part = (&value * 64u8).div_floor(&n);
            parts[part.iter_u64_digits().next().unwrap_or(0) as usize] += 1;
            low[(mask.digit(0, 6, 6)) as usize] += 1;
        }
        for (what, counts) in [("part of [0, N)", parts), ("low bits", low)] {
            let chi = chi_square(&counts);
            assert!(chi < CHI_SQUARE_64, "{what}: χ² = {chi}, {bits:?}, seed {seed}");
        }
    }
}

#[test]
fn digits_are_those_of_the_number() {
    let seed = 58;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = test_key(ModulusBits::B2048, 0);
    let m = Plaintext::random(key.public(), &mut rng);
    for _ in 0..2_000 {
        let (slot, low) = (rng.random_range(1..200u32), rng.random_range(0..=128u32));
        let index = rng.random_range(0..2_100 / slot as usize + 2);
        let digit = (big(&m) >> (index * slot as usize)) % (BigUint::from(1u8) << low);
        let expected = BigUint::from(m.digit(index, slot, low));
        assert_eq!(digit, expected, "slot {index} of {slot} bits, low {low}, seed {seed}");
    }
    assert_eq!(m.digit(usize::MAX, 100, 64), 0, "past the end");
}

#[test]
fn signed_plaintexts_keep_their_range() {
    let key = test_key(ModulusBits::B2048, 0);
    let pk = key.public();
    for (value, range) in
        [(0, 1), (-1, 1), (127, 8), (-128, 8), (i128::MAX, 128), (i128::MIN + 1, 128)]
    {
        let m = Plaintext::from_signed(pk, value, range).unwrap();
        assert_eq!(m.to_signed(pk), Some(value));
    }
    for (value, range) in [(1, 1), (-2, 1), (128, 8), (-129, 8), (0, 0), (0, 129)] {
        let refused = Plaintext::from_signed(pk, value, range).unwrap_err();
        assert_eq!(refused, Error::PlaintextRange, "{value} in {range} bits");
    }
    assert!(Plaintext::from_le_bytes(pk, &pk.to_bytes()).is_err(), "N itself");
    assert_eq!(format!("{:?}", Plaintext::from_u128(pk.bits(), 12345)), "Plaintext(..)");
}

#[test]
fn the_budget_of_uses_is_enforced() {
    let mut rng = ChaCha20Rng::seed_from_u64(59);
    let bits = ModulusBits::B2048;
    let sanitiser = Sanitiser::new(test_key(bits, 0).public(), 1, &mut rng);
    let one =
        |n: usize| -> Vec<Plaintext> { (0..n).map(|_| Plaintext::from_u128(bits, 1)).collect() };
    assert_eq!(sanitiser.encrypt(&one(3), &mut rng).unwrap_err(), Error::BudgetExhausted);
    assert!(sanitiser.encrypt(&one(2), &mut rng).is_ok(), "a refused call spends nothing");
    assert_eq!(sanitiser.encrypt(&one(1), &mut rng).unwrap_err(), Error::BudgetExhausted);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut rng = ChaCha20Rng::seed_from_u64(60);
            let key = test_key(ModulusBits::B2048, 0);
            let owner = OwnerEncryptor::new(&key, &mut rng);
            let sanitiser = Sanitiser::new(key.public(), 10, &mut rng);
            let fresh = owner.encrypt_signed(&[1, 2, 3, 4, 5], &mut rng);
            let packed =
                pack(&receive(&fresh), PackLayout::new(ModulusBits::B2048, 1000, 998).unwrap());
            let packed = packed.unwrap();
            let masks =
                packed.iter().map(|_| UniformMask::random(key.public(), &mut rng)).collect();
            let sent = sanitiser.mask_and_sanitise(packed, masks, &mut rng).unwrap();
            let proof = ModulusProof::prove(&key, &[0; 32], &mut rng).encode();
            [fresh.encode(), sent.encode(), proof]
        })
    };
    assert!(run(1) == run(3));
}

/// Compiles only while [`UniformMask`] is not `Clone`: otherwise both impls apply.
#[test]
fn masks_cannot_be_copied() {
    trait IsNotClone<Which> {
        fn holds() -> bool {
            true
        }
    }
    impl<T> IsNotClone<()> for T {}
    impl<T: Clone> IsNotClone<u8> for T {}
    assert!(<UniformMask as IsNotClone<_>>::holds());
    assert!(<Plaintext as IsNotClone<_>>::holds());
    assert!(<SecretKey as IsNotClone<_>>::holds());
    assert!(<EncryptionPool as IsNotClone<_>>::holds());
    assert!(<SendableCiphertexts as IsNotClone<_>>::holds());
}
