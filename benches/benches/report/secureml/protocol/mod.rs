//! Two-party logistic regression with everything shared, after Mohassel and Zhang, "SecureML: A System
//! for Scalable Privacy-Preserving Machine Learning" (S&P 2017): data, labels and weights are additively
//! shared modulo 2^64, products take Beaver triples of whole matrices, shares are truncated locally, and
//! the sigmoid is piecewise linear.
//!
//! A yardstick, not product code. Where the paper leaves a choice, the faster one is taken; what is not
//! built is free (the activation). Randomness that the two parties could draw from seeds costs nothing.

pub(crate) mod activation;
mod channel;
mod he;
pub(crate) mod matrix;
pub(crate) mod online;
mod ot;
mod parties;
mod triples;

pub(crate) use activation::Activation;
pub(crate) use channel::Channel;
pub(crate) use he::HeSession;
pub(crate) use matrix::Matrix;
pub(crate) use online::Learner;
pub(crate) use ot::OtSession;
pub(crate) use parties::{connect, run};
pub(crate) use triples::{Offline, Triples};

/// Anything that can go wrong, in either thread.
pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that adds public terms.
    First,
    /// The other one.
    Second,
}

/// Fixed-width little-endian numbers.
fn to_bytes(values: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 * values.len());
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}

/// The inverse of [`to_bytes`] for `count` numbers.
fn from_bytes(bytes: &[u8], count: usize) -> Result<Vec<u64>, AnyError> {
    if bytes.len() != 8 * count {
        return Err(format!("{} bytes instead of {count} numbers", bytes.len()).into());
    }
    Ok(bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect())
}
