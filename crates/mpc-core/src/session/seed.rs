//! Commit, then reveal: a seed that neither side can choose (SPEC, "Seeds").

use rand::CryptoRng;

use super::{channel::Channel, error::SessionError};
use crate::step::Step;

/// Both sides' contributions, hashed with the job.
pub(crate) struct SharedSeed {
    /// Identifies the session.
    pub(crate) session: [u8; 32],
    /// Public randomness of the run: the order of rows.
    pub(crate) rows: [u8; 32],
}

fn commitment(sender: &str, job: &[u8; 16], nonce: &[u8; 32]) -> [u8; 32] {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 seed commitment");
    h.update(sender.as_bytes()).update(job).update(nonce);
    *h.finalize().as_bytes()
}

/// Runs the exchange. A nonce has 256 uniform bits, so the hash hides it until it is revealed.
pub(crate) fn exchange(
    channel: &mut Channel<'_>,
    job: &[u8; 16],
    rng: &mut impl CryptoRng,
) -> Result<SharedSeed, SessionError> {
    let step = Step::Seed;
    let (own, peer) = (channel.role().to_string(), channel.role().peer().to_string());
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    channel.send(step, commitment(&own, job, &nonce).to_vec())?;
    let promised = channel.receive_exact(step, 32)?;
    channel.send(step, nonce.to_vec())?;
    let revealed: [u8; 32] =
        channel.receive_exact(step, 32)?.try_into().expect("receive_exact returned 32 bytes");
    if promised != commitment(&peer, job, &revealed) {
        return Err(channel.bad(step, "the revealed seed does not match its commitment"));
    }
    let derive = |purpose: &str| {
        let mut h = blake3::Hasher::new_derive_key(purpose);
        h.update(job);
        // Sorted, so that both sides hash the same bytes.
        let (first, second) = if nonce < revealed { (nonce, revealed) } else { (revealed, nonce) };
        h.update(&first).update(&second);
        *h.finalize().as_bytes()
    };
    Ok(SharedSeed { session: derive("caesar/v1 session"), rows: derive("caesar/v1 shared seed") })
}
