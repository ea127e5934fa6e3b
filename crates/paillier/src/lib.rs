//! Additively homomorphic Paillier encryption for two-party protocols.
//!
//! Encryption by the key's owner and under a peer's key, decryption by Chinese remaindering in constant
//! time, homomorphic operations, many values packed in one ciphertext, sparse products with an
//! encrypted vector, and sanitising of what goes back to the key holder.
//!
//! The types keep apart what is safe to send from what is not: homomorphic results are
//! [`Ciphertexts`] or [`Packed`] and cannot be sent; only an encryptor or the [`Sanitiser`] makes
//! [`SendableCiphertexts`].
//!
//! All arithmetic modulo N², p² and q² goes through one batch-shaped trait, [`kernel::Kernel`].
//!
//! # Timing
//!
//! Key generation, encryption, decryption, masking and sanitising run in time independent of keys,
//! plaintexts, masks and randomness, and address no memory by them. Sparse products
//! ([`forward_packed`], [`linear_combinations`], [`accumulate_transpose`]) depend on the number, places
//! and digits of non-zeros, which are their caller's own data.

mod accumulate;
mod backward;
mod ciphertext;
mod digits;
mod error;
mod fixed_base;
#[cfg(any(test, feature = "test-keys"))]
pub mod fixtures;
mod forward;
mod homomorphic;
mod invert;
pub mod kernel;
mod key;
mod limbs;
mod montgomery;
mod owner;
mod packing;
mod plaintext;
mod pool;
mod random;
mod sanitise;
mod sparse;

pub use backward::accumulate_transpose;
pub use ciphertext::{Ciphertexts, SendableCiphertexts};
pub use error::{DecodeError, Error, KeyError};
pub use forward::{forward_packed, linear_combinations};
pub use key::{ModulusBits, ModulusProof, PROOF_ROUNDS, PublicKey, SecretKey};
pub use owner::OwnerEncryptor;
pub use packing::{HEADROOM_BITS, PackLayout, Packed, pack};
pub use plaintext::Plaintext;
pub use pool::EncryptionPool;
pub use sanitise::{STATISTICAL_BITS, Sanitiser, UniformMask};
pub use sparse::{EncryptedVector, SparseMatrix, VALUE_BITS};

#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "tests/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "the same tests with the other kernel")]
mod tests_on_portable;
