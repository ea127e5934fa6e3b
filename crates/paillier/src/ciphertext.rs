//! Ciphertexts: what is computed locally, and what may be sent.
//!
//! The two are different types (rule 1 of the design). [`Ciphertexts`] are received ones and the
//! results of homomorphic operations on them. Their randomness is a known function of ciphertexts
//! whose randomness the key holder knows, so they have no encoding for the wire; what a party stores
//! for itself is [`Ciphertexts::to_local_bytes`]. [`SendableCiphertexts`] carry fresh randomness; only
//! the encryptors and the sanitiser make them, and only they can be encoded for the peer.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::DecodeError;
use crate::kernel::{Kernel, Residues};
use crate::key::PublicKey;
use crate::limbs;
use crate::montgomery::Scratch;

/// A batch of ciphertexts under one public key, for local computation. Cannot be sent.
#[derive(Clone)]
pub struct Ciphertexts {
    key: PublicKey,
    residues: Residues,
}

impl Ciphertexts {
    pub(crate) fn new(key: PublicKey, residues: Residues) -> Self {
        Self { key, residues }
    }

    /// Decodes `count` received ciphertexts: the base-N digits `x0 ‖ x1` of each, little-endian,
    /// [`ModulusBits::bytes`](crate::ModulusBits::bytes) wide.
    ///
    /// The caller has bounded `count` by agreed parameters. Each number must be below N² and coprime
    /// to N; the latter is checked by one greatest common divisor with the product of all x0.
    ///
    /// # Errors
    /// [`DecodeError::Length`] unless the bytes are exactly `count` ciphertexts,
    /// [`DecodeError::OutOfRange`] for a digit not below N, [`DecodeError::NotCoprime`].
    pub fn decode(key: &PublicKey, bytes: &[u8], count: usize) -> Result<Self, DecodeError> {
        let h = key.bits().limbs();
        let expected = count.saturating_mul(key.bits().ciphertext_bytes());
        if bytes.len() != expected {
            return Err(DecodeError::Length { expected, found: bytes.len() });
        }
        let canonical = limbs::from_le_bytes(bytes);
        let mut scratch = Scratch::new();
        let mut product = key.modulus().one().to_vec();
        for (index, digits) in canonical.chunks_exact(2 * h).enumerate() {
            let (x0, x1) = digits.split_at(h);
            if limbs::is_less(x0, key.modulus_limbs()) & limbs::is_less(x1, key.modulus_limbs())
                == 0
            {
                return Err(DecodeError::OutOfRange { index });
            }
            key.modulus().multiply(&mut product, x0, &mut scratch);
        }
        if key.modulus().invert(&product).is_none() {
            return Err(DecodeError::NotCoprime);
        }
        Ok(Self { key: key.clone(), residues: key.kernel().import(&canonical) })
    }

    /// Bytes for **local storage**, which [`decode`](Self::decode) reads.
    ///
    /// Ciphertexts that were computed carry no fresh randomness: whoever has the secret key could
    /// learn from them which products were computed. They must never reach the peer, and are no type
    /// that a message takes.
    pub fn to_local_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(limbs::to_le_bytes(&self.canonical()))
    }

    /// The public key they are under.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The number of ciphertexts.
    pub fn len(&self) -> usize {
        self.residues.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.residues.is_empty()
    }

    pub(crate) fn residues(&self) -> &Residues {
        &self.residues
    }

    pub(crate) fn into_residues(self) -> Residues {
        self.residues
    }

    pub(crate) fn residues_mut(&mut self) -> &mut Residues {
        &mut self.residues
    }

    pub(crate) fn kernel(&self) -> &dyn Kernel {
        self.key.kernel()
    }

    /// Base-N digits, 2h limbs each.
    pub(crate) fn canonical(&self) -> Zeroizing<Vec<u64>> {
        self.kernel().export(&self.residues.words)
    }
}

impl fmt::Debug for Ciphertexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphertexts({} under {:?})", self.len(), self.key)
    }
}

/// A batch of ciphertexts with fresh randomness, which may be sent to anyone. Made by
/// [`OwnerEncryptor`](crate::OwnerEncryptor) and [`Sanitiser`](crate::Sanitiser) only.
pub struct SendableCiphertexts {
    key: PublicKey,
    canonical: Vec<u64>,
}

impl SendableCiphertexts {
    /// For code that has just multiplied fresh randomness in.
    pub(crate) fn new(key: PublicKey, canonical: Vec<u64>) -> Self {
        Self { key, canonical }
    }

    /// The public key they are under.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The number of ciphertexts.
    pub fn len(&self) -> usize {
        self.canonical.len() / (2 * self.key.bits().limbs())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.canonical.is_empty()
    }

    /// The encoding that [`Ciphertexts::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        limbs::to_le_bytes(&self.canonical)
    }
}

impl fmt::Debug for SendableCiphertexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendableCiphertexts({} under {:?})", self.len(), self.key)
    }
}
