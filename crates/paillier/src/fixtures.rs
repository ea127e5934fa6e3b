//! Key pairs that everyone knows, for tests only.
//!
//! Their primes are printed below: whatever is encrypted under them is public. They exist under
//! `cfg(test)` and the feature `test-keys`, which only `dev-dependencies` may enable; no program that
//! keeps secrets is built with it. Both keys of each size were made by [`SecretKey::generate`].

use crate::ciphertext::Ciphertexts;
use crate::error::Error;
use crate::kernel::Choice;
use crate::key::{ModulusBits, PublicKey, SecretKey};
use crate::limbs;
use crate::plaintext::Plaintext;

/// Public key pair 0 or 1 of this size.
pub fn test_key(bits: ModulusBits, index: usize) -> SecretKey {
    test_key_on(Choice::Fastest, bits, index)
}

/// As [`test_key`], computing with the given kernel. Keys on different kernels do not mix.
pub fn test_key_on(choice: Choice, bits: ModulusBits, index: usize) -> SecretKey {
    let primes = match bits {
        ModulusBits::B2048 => PRIMES_2048,
        ModulusBits::B3072 => PRIMES_3072,
    };
    let [p, q] = primes[index].map(parse);
    SecretKey::assemble(bits, &p, &q, choice).expect("the fixtures are valid keys")
}

/// The primes of a fixture key, little-endian.
pub fn test_primes(bits: ModulusBits, index: usize) -> [Vec<u8>; 2] {
    let key = test_key(bits, index).to_secret_bytes();
    let (p, q) = key.split_at(key.len() / 2);
    [p.to_vec(), q.to_vec()]
}

/// (1 + m·N)·r^N mod N² with r given, little-endian and as wide as N: for known answers.
///
/// # Errors
/// [`Error::Length`] unless r has N's width; [`Error::PlaintextRange`] unless it is below N.
pub fn encrypt_with_randomness(
    key: &PublicKey,
    plaintext: Plaintext,
    r: &[u8],
) -> Result<Ciphertexts, Error> {
    let mut r = Plaintext::from_le_bytes(key, r)?.limbs().to_vec();
    r.resize(2 * r.len(), 0);
    key.encrypt_with_randomness(&[plaintext], &r)
}

/// The wire encoding of local ciphertexts, which only tests may have.
pub fn encode_for_tests(ciphertexts: &Ciphertexts) -> Vec<u8> {
    limbs::to_le_bytes(&ciphertexts.canonical())
}

/// Big-endian hexadecimal digits as limbs.
fn parse(hex: &str) -> Vec<u64> {
    let digits = hex.as_bytes().rchunks(16);
    digits
        .map(|chunk| {
            let digit =
                |acc: u64, d: &u8| (acc << 4) | u64::from((*d as char).to_digit(16).unwrap_or(0));
            chunk.iter().fold(0, digit)
        })
        .collect()
}

const PRIMES_2048: [[&str; 2]; 2] = [
    [
        "c272d62dcab459439cbabe8f8f913b63893095608b1c5687df52b2bb0e96fc2849e06d3c0f770c7598da09ba\
      1edf17d2a4b7495d1ad3f609842ca5dda29a4e021a069ba1802e36e73b4fa148c7593add81aae03a64fad897\
      71c61d6d0c6d983c706c31117fcff1136fbd80839969b6eb5078b98a394ccc4b88ec4874407aee47",
        "c8f5bff9fac9042092d7477fad277474ff9ce61b2837f6b0895c748b401c97aed00d52f6dc1708864a2de26c\
      e4641f717f4c3ff613519a0c422c4acac8da13edaa275aa26cdf0a3b1b789c2e5aa139074b7a56fe8fb4962e\
      fac895fc3fd2d6f5a2c6e74647feff59569aa097fa219a46c5d95bb7afcaa5fcd24a3a58e17d1807",
    ],
    [
        "c143f874d5d66ef91b829a96908ecdff73ce6fe7a4b0946b974782b161c32511d5aaa916c2255d8f9724fb40\
      8816adef5cadd0abc4cd14ddc297289ae2679495484fa32a4d276ebccff2d60ef405808755c6566ee49689b4\
      66b9efe8c7bb04ff9d1f95551d3fb2baa67eda30c327022ac266ece598182994cc1587ff50687a07",
        "c3ef358c0339eeb58943376a428c893a38f9f92da0b892efe62a94c6bd62854aceacfadb6db9a7f83130efd4\
      b59e4188da16b7181fc16a7e19c373279ba60f402871dcdb7473e48d5343366ef6f69830b8ef40e92cc8a509\
      c187e701eddf0b2a02c57bfc8d476ab6f7747037d47e4ef06a09a70d8cda78df85c1c0014530121b",
    ],
];

const PRIMES_3072: [[&str; 2]; 2] = [
    [
        "d03e806149929cdb157c628428cef7f70b6806cd123e46750a7b71e67adc4467d9bdf78a6f89f2a9ee07a3c7\
      304da05ae04f68f44e9fc39c25372a8d4564261316e9d35c30164273469929ef80cedc9c9d1a83ae50428277\
      0804304c8ab9e91bda9fd0ff076fab13142d2fa2c01e00a88e6a4f1fdf196d224a69220507484bb391eb7ff3\
      f592084292d7477fad277474ff9ce61b2837f6b0895c748b401c97aed00d52f6dc1708864a2de26ce4641f71\
      7f4c3ff613519a0c422c4acac8dd51c3",
        "d92e68b68767b4b0e4f44e9b61a64522e5eb4f45be4a8a44b9f2285b163c24abd5166b5fed85bd0c823e7fc2\
      acb8f6c6a6361e5e423ecc8c68ae252931301a2eb17fb3bdc7e63b71108829756c04d736d1d94959df957284\
      c26f4b0152eb363a5a024ba1696d12a5640b10ca13247f04a1000276e316ee7be41210b4a2008bd2f599a721\
      35c3bde24376c6d574eadcc778c7f5442a86f5b3e69a856f425d58087dffceeeded1b9374d6b4241839d181f\
      a1af07fd0bfebaab9ad7a5090c03fc5b",
    ],
    [
        "f257d0c3fb0a1e74a14f1039ea328ffcc36bd37a327ba4fa82e897cbdea59156729b9334f495cb326984cac0\
      0891cc97674b6134c925bae99ecd6d7df7f1d36d7ee0db35cc3751ea7c4a1122ad457cb58e0466e946b055f6\
      4d410672b8504e7a49fa821448dcf47432333d040eec82887d90c0eed219cf5b5cf725b47a61b63b87de6b18\
      0673dd698943376a428c893a38f9f92da0b892efe62a94c6bd62854aceacfadb6db9a7f83130efd4b59e4188\
      da16b7181fc16a7e19c373279bbdb363",
        "fb4318c6026564b374519784b81fcfc8914c02b66502e7166e1b429cf9c4a8e80c74abb6521a6d4930def482\
      6ce04ce68071080717c805e2f8846c4d537bfd73fff8f2fe26df4b4535c5f19812e71d64168ff2d56f4d9129\
      71d7264c69b014217b680f6fefc344ef4ab6a2c5554e2a66aab6e694a13c22893f2b7a6e94b571510e18f6e8\
      24b74e9bacd1fd281a8afd3e0f6b7dd496775626796f548b62b7b83016b99c8f64ed19e97b8d8c869822ffa6\
      3b1a581d09b585c41a87a47e4284cb7f",
    ],
];
