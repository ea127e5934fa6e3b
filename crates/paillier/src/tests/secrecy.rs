//! What a log may hold: `Debug` of everything that is or has a secret shows sizes and public keys only.

use std::fmt::Debug;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::operations::{SIZES, receive};
use crate::fixtures::{test_key, test_primes};
use crate::kernel::{self, Choice};
use crate::*;

#[track_caller]
fn shows(value: &impl Debug, expected: &str) {
    assert_eq!(format!("{value:?}"), expected);
    let pretty: String = format!("{value:#?}").split_whitespace().collect();
    let compact: String = expected.split_whitespace().collect();
    assert_eq!(pretty.replace(",..}", "..}"), compact.replace(",..}", "..}"));
}

#[test]
fn debug_shows_no_secret() {
    let rng = &mut ChaCha20Rng::seed_from_u64(70);
    for bits in SIZES {
        let key = test_key(bits, 0);
        let pk = key.public();
        // The key's name is a hash of N; nothing else that varies is shown.
        let name = format!("{pk:?}");
        assert!(name.len() < 50, "{name}");
        shows(&key, &format!("SecretKey({name}, ..)"));
        shows(&UniformMask::random(pk, rng), "UniformMask(..)");
        shows(&Plaintext::random(pk, rng), "Plaintext(..)");
        shows(&Sanitiser::new(pk, 10, rng), &format!("Sanitiser {{ key: {name}, .. }}"));
        let owner = OwnerEncryptor::new(&key, rng);
        shows(&owner, &format!("OwnerEncryptor({name})"));
        let sent = owner.encrypt_signed(&[1, 2, 3], rng);
        shows(&sent, &format!("SendableCiphertexts(3 under {name})"));
        let received = receive(&sent);
        shows(&received, &format!("Ciphertexts(3 under {name})"));
        let packed = pack(&received, PackLayout::new(bits, 60, 58).unwrap()).unwrap();
        shows(&packed[0], &format!("Packed(3 slots under {name})"));
        shows(received.residues(), "Residues { len: 3, .. }");
        shows(&EncryptedVector::from_ciphertexts(received), "EncryptedVector(3 of 3 touched)");
        let x = SparseMatrix::new(2, vec![0, 1], vec![1], vec![-4711], [true, true]).unwrap();
        shows(&x, "SparseMatrix(1 x 2, ..)");
    }
}

/// A kernel modulo p² holds numbers that p follows from.
#[test]
fn debug_of_a_kernel_shows_no_prime() {
    for bits in SIZES {
        let prime = limbs::from_le_bytes(&test_primes(bits, 0)[0]);
        for choice in [Choice::Fastest, Choice::Portable] {
            let kernel = kernel::choose(choice, &prime);
            let text = format!("{kernel:?} {kernel:#?}");
            let longest = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
            assert!(longest < Some(8) && !text.contains('['), "{text}");
        }
    }
}
