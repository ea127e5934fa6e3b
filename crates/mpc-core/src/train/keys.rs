//! The keys of one job at one party.

use paillier::{EncryptionPool, Error, OwnerEncryptor, PublicKey, Sanitiser, SecretKey};
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// ⌈log2⌉ of the most ciphertexts that a job may sanitise under one key (rule 2 of the design).
pub const SANITISED_BITS: u32 = 32;

/// A party's own key pair with its encryption tables, and the peer's key with the generator that
/// this party drew for it.
#[derive(Debug)]
pub struct Keys {
    /// Opens what the peer computed under this party's key.
    pub own: SecretKey,
    /// Encrypts under the own key; prepares the randomness while this party waits for the peer.
    pub encryptor: EncryptionPool,
    /// Holds this party's model.
    pub peer: PublicKey,
    /// Masks and re-randomises what returns to the peer.
    pub sanitiser: Sanitiser,
}

impl Keys {
    /// Precomputes both tables and starts preparing encryption randomness.
    ///
    /// # Errors
    /// [`Error::Threads`].
    pub fn new(own: SecretKey, peer: PublicKey, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let sanitiser = Sanitiser::new(&peer, SANITISED_BITS, rng);
        let owner = OwnerEncryptor::new(&own, rng);
        let encryptor = EncryptionPool::start(owner, ChaCha20Rng::from_rng(rng))?;
        Ok(Self { own, encryptor, peer, sanitiser })
    }
}
