//! SS → HE: shares of the negated error become ciphertexts where the columns live (design §2.1,
//! step 3). The same for both roles.

use std::fmt;

use paillier::{Ciphertexts, Error, SendableCiphertexts};

use super::keys::Keys;
use crate::ot::IntegerShares;

/// This party's truncated shares of the negated errors of one chunk: integers whose sum with the peer's
/// is the error itself, exactly. One party's alone says nothing of it.
pub struct ErrorShares(IntegerShares);

impl fmt::Debug for ErrorShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorShares({} rows)", self.0.len())
    }
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
    pub(super) fn new(values: IntegerShares) -> Self {
        #[cfg(test)]
        crate::spy::saw_integers(crate::spy::Secret::ErrorShare, &values);
        Self(values)
    }

    #[cfg(test)]
    pub(super) fn expose(&self) -> &[i128] {
        &self.0
    }

    /// Fresh encryptions under this party's own key, with full-length randomness.
    pub fn encrypt(&self, keys: &Keys) -> SendableCiphertexts {
        keys.encryptor.encrypt_signed(&self.0)
    }

    /// Adds this party's shares to the peer's encrypted ones.
    pub fn combine(self, peer: &Ciphertexts) -> Result<NegatedErrors, Error> {
        peer.add_signed(&self.0).map(NegatedErrors)
    }
}
