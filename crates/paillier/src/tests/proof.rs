//! The modulus proof: completeness, and refusal of moduli that are not what it claims.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::operations::SIZES;
use super::test_key;
use crate::fixtures::test_primes;
use crate::*;

#[test]
fn proofs_verify_and_bind_key_tag_and_every_byte() {
    let seed = 41;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let key = test_key(bits, 0);
        let (tag, n) = ([7; 32], key.public().to_bytes());
        let proof = ModulusProof::prove(&key, &tag, &mut rng);
        let bytes = proof.encode();
        assert_eq!(bytes.len(), ModulusProof::encoded_len(bits));
        let decoded = ModulusProof::decode(bits, &bytes).unwrap();
        assert_eq!(decoded, proof);
        let public = decoded.verify(bits, &n, &tag).unwrap_or_else(|e| panic!("{e}, seed {seed}"));
        assert_eq!(&public, key.public());
        assert_eq!(proof.verify(bits, &n, &[8; 32]), Err(KeyError::InvalidProof), "another tag");
        let other = test_key(bits, 1).public().to_bytes();
        assert!(proof.verify(bits, &other, &tag).is_err(), "another modulus");
        // One bit in w, in the first x, in the last z; another flag.
        let w = bits.bytes();
        for at in [3, w + 3, bytes.len() - 10, bytes.len() - 1] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let bad = ModulusProof::decode(bits, &bad).unwrap();
            assert!(bad.verify(bits, &n, &tag).is_err(), "byte {at} is not checked");
        }
        let mut flag = bytes.clone();
        *flag.last_mut().unwrap() = 4;
        assert_eq!(ModulusProof::decode(bits, &flag), Err(KeyError::MalformedProof));
        assert_eq!(ModulusProof::decode(bits, &bytes[1..]), Err(KeyError::MalformedProof));
        for factor in [vec![0], test_primes(bits, 0)[0].clone()] {
            let mut bad = bytes.clone();
            bad[..w].fill(0);
            bad[..factor.len()].copy_from_slice(&factor);
            let bad = ModulusProof::decode(bits, &bad).unwrap();
            let why = "w has a factor of N: x = 0 would pass modulo it";
            assert_eq!(bad.verify(bits, &n, &tag), Err(KeyError::MalformedProof), "{why}");
        }
        let mut x = bytes.clone();
        x[w..2 * w].fill(0xff);
        let x = ModulusProof::decode(bits, &x).unwrap();
        assert_eq!(x.verify(bits, &n, &tag), Err(KeyError::MalformedProof), "x is not below N");
    }
}

#[test]
fn keys_are_validated() {
    let bits = ModulusBits::B2048;
    let [p, q] = test_primes(bits, 0);
    let key = SecretKey::from_primes(bits, &p, &q).unwrap();
    assert_eq!(key.public(), test_key(bits, 0).public());
    let again = SecretKey::from_secret_bytes(bits, &key.to_secret_bytes()).unwrap();
    assert_eq!(again.public(), key.public());
    let reject = |p: &[u8], q: &[u8]| SecretKey::from_primes(bits, p, q).map(|_| ()).unwrap_err();
    assert_eq!(reject(&p, &p), KeyError::PrimesTooClose);
    assert_eq!(reject(&p[1..], &q), KeyError::WrongLength);
    let mut composite = q.clone();
    composite[0] ^= 2;
    assert_eq!(reject(&p, &composite), KeyError::NotSafePrime);
    composite[0] ^= 3;
    assert_eq!(reject(&p, &composite), KeyError::NotSafePrime);
    let mut low = q.clone();
    low[127] &= 0x3f;
    assert_eq!(reject(&p, &low), KeyError::NotSafePrime);
    let [p, _] = test_primes(ModulusBits::B3072, 0);
    assert_eq!(reject(&p, &q), KeyError::WrongLength);
}

#[test]
fn a_generated_key_is_what_it_promises() {
    let seed = 42;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut calls = 0;
    let key = SecretKey::generate_with_progress(ModulusBits::B2048, &mut rng, &mut |_| calls += 1);
    assert!(calls >= 2, "progress is reported");
    let bytes = key.to_secret_bytes();
    for p in bytes.chunks(128) {
        assert_eq!((p[0] & 3, p[127] >> 6), (3, 3), "seed {seed}");
        let p = num_bigint::BigUint::from_bytes_le(p);
        let half = &p >> 1u8;
        for base in [2u8, 3, 5, 7, 11] {
            let one = num_bigint::BigUint::from(1u8);
            let base = num_bigint::BigUint::from(base);
            assert_eq!(base.modpow(&(&p - 1u8), &p), one, "p is not prime, seed {seed}");
            assert_eq!(base.modpow(&(&half - 1u8), &half), one, "p' is not prime, seed {seed}");
        }
    }
    assert!(SecretKey::from_secret_bytes(ModulusBits::B2048, &bytes).is_ok(), "seed {seed}");
    let debug = format!("{key:?}");
    assert!(debug.contains("2048 bits") && debug.len() < 80, "{debug}");
}
