//! Everything that can go wrong, one enum for each kind of caller.

use thiserror::Error;

/// Why an operation on keys, plaintexts or ciphertexts was refused. Never carries a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Operands belong to different public keys.
    #[error("operands belong to different public keys")]
    KeyMismatch,
    /// Two batches that go together have different lengths.
    #[error("a batch has {found} items, expected {expected}")]
    Length {
        /// What the other operand or parameter says.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A number lies outside its declared range.
    #[error("a plaintext is out of its range")]
    PlaintextRange,
    /// No slot of this size fits the modulus.
    #[error("slots of {slot_bits} bits do not fit a plaintext of {available} bits")]
    SlotTooWide {
        /// What was asked for.
        slot_bits: u32,
        /// The bits of a plaintext that packing may use.
        available: u32,
    },
    /// The slots are too narrow for what the product needs.
    #[error("slots of {slot_bits} bits are narrower than the {needed} bits needed")]
    SlotTooNarrow {
        /// What was asked for.
        slot_bits: u32,
        /// What the alignment and the multipliers need.
        needed: u32,
    },
    /// A sanitiser was used more often than its statistical budget allows.
    #[error("the sanitiser's budget of uses is exhausted")]
    BudgetExhausted,
    /// The system starts no more threads.
    #[error("threads that prepare ciphertexts cannot be started")]
    Threads,
    /// A sparse matrix is not well formed.
    #[error("the sparse matrix is malformed: {0}")]
    Matrix(&'static str),
}

/// Why bytes are not the ciphertexts that were expected. Never carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The encoding has another length than the agreed count needs.
    #[error("encoding has {found} bytes, expected {expected}")]
    Length {
        /// Bytes of the expected number of ciphertexts.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A digit is not below the modulus.
    #[error("ciphertext {index} is out of range")]
    OutOfRange {
        /// Position in the batch.
        index: usize,
    },
    /// Some ciphertext of the batch is not invertible modulo N.
    #[error("a ciphertext is not coprime to the modulus")]
    NotCoprime,
    /// A stored index is not below the vector's length, or not in order.
    #[error("a stored index is out of order or out of range")]
    Index,
}

/// Why a key or its proof was refused. Never carries a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The modulus or a prime has the wrong number of bits or bytes.
    #[error("the modulus or a prime has the wrong length")]
    WrongLength,
    /// A prime is not a safe prime congruent to 3 modulo 4.
    #[error("a secret factor is not a safe prime")]
    NotSafePrime,
    /// The primes are too close to each other.
    #[error("the secret primes are too close to each other")]
    PrimesTooClose,
    /// The modulus is even or has a small factor.
    #[error("the modulus has a small factor")]
    SmallFactor,
    /// The modulus is a prime.
    #[error("the modulus is not composite")]
    NotComposite,
    /// The proof has the wrong length or a number in it is out of range.
    #[error("the modulus proof is malformed")]
    MalformedProof,
    /// A round of the proof does not verify.
    #[error("the modulus proof does not verify")]
    InvalidProof,
}
