//! Encryption randomness prepared in the background.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use rand::CryptoRng;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ciphertext::SendableCiphertexts;
use crate::error::Error;
use crate::key::PublicKey;
use crate::owner::{Obfuscators, OwnerEncryptor};
use crate::plaintext::Plaintext;

/// Obfuscators a thread prepares at a time: reading the tables costs as much for 16 as for 1024.
const BATCH: usize = 1024;
/// Batches that wait to be used, 0.5 MB each and thread at 2048 bits, 0.8 MB at 3072.
const WAITING: usize = 2;

/// An [`OwnerEncryptor`] whose own threads compute the randomness of ciphertexts before it is needed,
/// in large batches; encryption is left with one product a ciphertext.
///
/// # Distribution
///
/// That of [`OwnerEncryptor`]. An obfuscator r^N is moved out of the pool when a ciphertext is made with
/// it, and wiped; the pool lives in memory only, and has neither `Clone` nor an encoding.
pub struct EncryptionPool {
    public: PublicKey,
    /// `None` only while dropped.
    ready: Mutex<Option<Ready>>,
    _threads: ThreadPool,
}

struct Ready {
    obfuscators: Obfuscators,
    batches: Receiver<Obfuscators>,
    /// Says that the producer has ended.
    ended: Receiver<()>,
}

impl EncryptionPool {
    /// Starts as many threads as the caller's own pool has. They stop when a few batches wait, and end
    /// when the encryption pool is dropped.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system starts no more threads.
    pub fn start<R: CryptoRng + Send + 'static>(
        owner: OwnerEncryptor,
        mut rng: R,
    ) -> Result<Self, Error> {
        let count = rayon::current_num_threads();
        let threads = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("prepare-{i}"))
            .build()
            .map_err(|_| Error::Threads)?;
        let public = owner.public().clone();
        let obfuscators = Obfuscators::with_capacity(&public, 0);
        let (sender, batches) = sync_channel(WAITING);
        let (ending, ended) = sync_channel(1);
        threads.spawn(move || {
            produce(&owner, BATCH * count, &sender, &mut rng);
            // Received by the pool's drop; there is room for it if nobody waits yet.
            let _ = ending.send(());
        });
        let ready = Mutex::new(Some(Ready { obfuscators, batches, ended }));
        Ok(Self { public, ready, _threads: threads })
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Encrypts signed numbers with fresh randomness each, in time independent of them; waits where
    /// the randomness is not ready yet.
    pub fn encrypt_signed(&self, values: &[i128]) -> SendableCiphertexts {
        let plaintexts: Vec<_> =
            values.iter().map(|&v| Plaintext::from_i128(&self.public, v)).collect();
        let fresh = self.take(values.len());
        fresh.encrypt(&self.public, &plaintexts).expect("plaintexts were made for this key size")
    }

    fn take(&self, count: usize) -> Obfuscators {
        // A panic elsewhere leaves whole batches.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = ready.as_mut().expect("taken by drop only");
        let mut taken = Obfuscators::with_capacity(&self.public, count);
        loop {
            let missing = count - taken.len();
            ready.obfuscators.move_to(&mut taken, missing);
            if taken.len() == count {
                return taken;
            }
            ready.obfuscators = ready.batches.recv().expect("the producer outlives the pool");
        }
    }
}

/// Sends batches until nobody takes them.
fn produce<R: CryptoRng>(
    owner: &OwnerEncryptor,
    count: usize,
    batches: &SyncSender<Obfuscators>,
    rng: &mut R,
) {
    while batches.send(owner.obfuscators(count, rng)).is_ok() {}
}

impl Drop for EncryptionPool {
    fn drop(&mut self) {
        let ready = self.ready.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ready { batches, ended, .. }) = ready.take() {
            // The producer ends when its next batch is not wanted.
            drop(batches);
            let _ = ended.recv();
        }
    }
}

impl fmt::Debug for EncryptionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionPool({:?})", self.public)
    }
}
