//! The keys of one job at one party.

use paillier::{OwnerEncryptor, PublicKey, Sanitiser, SecretKey};
use rand::CryptoRng;

/// ⌈log2⌉ of the most ciphertexts that a job may sanitise under one key (rule 2 of the design).
pub const SANITISED_BITS: u32 = 32;

/// A party's own key pair with its encryption tables, and the peer's key with the generator that
/// this party drew for it.
#[derive(Debug)]
pub struct Keys {
    /// Opens what the peer computed under this party's key.
    pub own: SecretKey,
    /// Encrypts under the own key.
    pub encryptor: OwnerEncryptor,
    /// Holds this party's model.
    pub peer: PublicKey,
    /// Masks and re-randomises what returns to the peer.
    pub sanitiser: Sanitiser,
}

impl Keys {
    /// Precomputes both tables.
    pub fn new(own: SecretKey, peer: PublicKey, rng: &mut impl CryptoRng) -> Self {
        let encryptor = OwnerEncryptor::new(&own, rng);
        let sanitiser = Sanitiser::new(&peer, SANITISED_BITS, rng);
        Self { own, encryptor, peer, sanitiser }
    }
}
