//! SS → HE: shares of the negated error become ciphertexts where the columns live (design §2.1,
//! step 3). The same for both roles.

use paillier::{Ciphertexts, Error, SendableCiphertexts};
use rand::CryptoRng;

use super::keys::Keys;
use crate::shares::Shares;

/// This party's truncated shares of the negated errors of one chunk, as non-negative integers of
/// at most 2^L; the two parties' shares sum to the value modulo 2^L.
#[derive(Debug)]
pub struct ErrorShares {
    values: Shares,
}

/// The negated errors of one chunk under the **peer's** key, one ciphertext a row. They stay with
/// this party, which adds them into its encrypted model.
#[derive(Debug)]
pub struct NegatedErrors(pub(crate) Ciphertexts);

impl NegatedErrors {
    /// The ciphertexts, one a row.
    pub fn ciphertexts(&self) -> &Ciphertexts {
        &self.0
    }
}

impl ErrorShares {
    pub(super) fn new(values: Shares) -> Self {
        Self { values }
    }

    /// Fresh encryptions under this party's own key, with full-length randomness.
    pub fn encrypt(&self, keys: &Keys, rng: &mut impl CryptoRng) -> SendableCiphertexts {
        keys.encryptor.encrypt_u128(self.values.expose(), rng)
    }

    /// Adds this party's shares to the peer's encrypted ones.
    pub fn combine(self, peer: &Ciphertexts) -> Result<NegatedErrors, Error> {
        peer.add_u128(self.values.expose()).map(NegatedErrors)
    }
}
