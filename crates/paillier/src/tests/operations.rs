use num_bigint::{BigInt, BigUint};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::test_key;
use crate::fixtures::encode_for_tests;
use crate::*;

pub(super) const SIZES: [ModulusBits; 2] = [ModulusBits::B2048, ModulusBits::B3072];

pub(super) fn modulus(key: &PublicKey) -> BigUint {
    BigUint::from_bytes_le(&key.to_bytes())
}

/// Ciphertexts as numbers below N².
pub(super) fn numbers(c: &Ciphertexts) -> Vec<BigUint> {
    let n = modulus(c.key());
    let width = c.key().bits().bytes();
    encode_for_tests(c)
        .chunks(2 * width)
        .map(|c| BigUint::from_bytes_le(&c[..width]) + BigUint::from_bytes_le(&c[width..]) * &n)
        .collect()
}

/// Textbook decryption with big integers.
pub(super) fn decrypt_big(key: &SecretKey, c: &BigUint) -> BigUint {
    let n = modulus(key.public());
    let bytes = key.to_secret_bytes();
    let (p, q) = bytes.split_at(bytes.len() / 2);
    let lambda = (BigUint::from_bytes_le(p) - 1u8) * (BigUint::from_bytes_le(q) - 1u8);
    let u = c.modpow(&lambda, &(&n * &n));
    (u - 1u8) / &n * lambda.modinv(&n).expect("gcd(N, φ) = 1") % n
}

pub(super) fn big(m: &Plaintext) -> BigUint {
    BigUint::from_bytes_le(&m.to_le_bytes())
}

/// A number modulo N from a signed one.
pub(super) fn residue(x: impl Into<BigInt>, n: &BigUint) -> BigUint {
    let n = BigInt::from(n.clone());
    let x: BigInt = x.into();
    (((x % &n) + &n) % &n).to_biguint().expect("not negative")
}

pub(super) fn receive(sent: &SendableCiphertexts) -> Ciphertexts {
    Ciphertexts::decode(sent.key(), &sent.encode(), sent.len()).expect("a valid encoding")
}

fn plain(key: &PublicKey, x: &BigUint) -> Plaintext {
    let mut bytes = x.to_bytes_le();
    bytes.resize(key.bits().bytes(), 0);
    Plaintext::from_le_bytes(key, &bytes).expect("below N")
}

#[test]
fn all_encryptions_decrypt_by_the_textbook_and_by_crt() {
    let seed = 11;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let key = test_key(bits, 0);
        let n = modulus(key.public());
        let values = [BigUint::ZERO, BigUint::from(1u8), &n - 1u8, &n >> 1u8, &n / 3u8];
        let plaintexts: Vec<_> = values.iter().map(|x| plain(key.public(), x)).collect();
        let reference = key.public().encrypt_reference(&plaintexts, &mut rng).unwrap();
        let owner = OwnerEncryptor::new(&key, &mut rng).encrypt(&plaintexts, &mut rng).unwrap();
        let peer =
            Sanitiser::new(key.public(), 10, &mut rng).encrypt(&plaintexts, &mut rng).unwrap();
        for (how, c) in [("r^N", reference), ("owner", receive(&owner)), ("peer", receive(&peer))] {
            let crt = key.decrypt(&c).unwrap();
            for ((x, c), m) in values.iter().zip(numbers(&c)).zip(&crt) {
                assert_eq!(&decrypt_big(&key, &c), x, "{how} {bits:?} seed {seed}");
                assert_eq!(&big(m), x, "{how} {bits:?} seed {seed}");
            }
        }
    }
}

#[test]
fn homomorphic_operations_agree_with_big_integers() {
    let seed = 12;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let key = test_key(bits, 0);
        let (pk, n) = (key.public(), modulus(key.public()));
        let n2 = &n * &n;
        let count = 35; // more than two rows of the batch inversion's lanes
        let random = |rng: &mut ChaCha20Rng| -> Vec<Plaintext> {
            (0..count).map(|_| Plaintext::random(pk, rng)).collect()
        };
        let (ma, mb) = (random(&mut rng), random(&mut rng));
        let owner = OwnerEncryptor::new(&key, &mut rng);
        let a = receive(&owner.encrypt(&ma, &mut rng).unwrap());
        let b = receive(&owner.encrypt(&mb, &mut rng).unwrap());
        let (na, nb) = (numbers(&a), numbers(&b));
        let mut scalars: Vec<i32> = (0..count).map(|_| rng.next_u32() as i32).collect();
        scalars[..5].copy_from_slice(&[0, 1, -1, i32::MIN, i32::MAX]);
        let mut small: Vec<i128> = (0..count).map(|_| rng.random()).collect();
        small[..3].copy_from_slice(&[i128::MIN, -1, i128::MAX]);

        let sum = numbers(&a.add(&b).unwrap());
        let difference = numbers(&a.sub(&b).unwrap());
        let scaled = a.mul_small(&scalars).unwrap();
        let shifted = numbers(&a.add_signed(&small).unwrap());
        let added = numbers(&a.add_plain(&mb).unwrap());
        let opened = key.decrypt(&scaled).unwrap();
        let scaled = numbers(&scaled);
        for i in 0..count {
            let at = format!("item {i}, {bits:?}, seed {seed}");
            let inverse = nb[i].modinv(&n2).expect("a unit");
            assert_eq!(sum[i], &na[i] * &nb[i] % &n2, "add: {at}");
            assert_eq!(difference[i], &na[i] * &inverse % &n2, "sub: {at}");
            let base =
                if scalars[i] < 0 { na[i].modinv(&n2).expect("a unit") } else { na[i].clone() };
            let power = base.modpow(&BigUint::from(scalars[i].unsigned_abs()), &n2);
            assert_eq!(scaled[i], power, "mul_small by {}: {at}", scalars[i]);
            assert_eq!(
                big(&opened[i]),
                residue(BigInt::from(big(&ma[i])) * scalars[i], &n),
                "{at}"
            );
            let plain = residue(BigInt::from(small[i]), &n);
            assert_eq!(shifted[i], &na[i] * (&n * plain + 1u8) % &n2, "add_signed: {at}");
            assert_eq!(added[i], &na[i] * (&n * big(&mb[i]) + 1u8) % &n2, "add_plain: {at}");
        }
    }
}
