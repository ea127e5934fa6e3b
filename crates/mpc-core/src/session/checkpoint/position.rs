//! What both sides compare after every mini-batch, and survives a restart.

use crate::wire::{DecodeError, Message, Reader, Writer};

/// A chain over all mini-batches so far: equal at both sides exactly if both saw the same messages in
/// every one of them, in whatever attempt it was computed. Public to both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainHash(pub(crate) [u8; 32]);

impl ChainHash {
    /// Before the first mini-batch: from the digest of the set-up.
    pub(crate) fn start(setup: &[u8; 32]) -> Self {
        let mut h = blake3::Hasher::new_derive_key("caesar/v1 mini-batch chain: start");
        h.update(setup);
        Self(*h.finalize().as_bytes())
    }

    /// After mini-batch number `step` (from 1). `transcripts` are the hashes of what A and what B sent
    /// in this attempt so far.
    pub(crate) fn next(self, step: u32, transcripts: [[u8; 32]; 2]) -> Self {
        let mut h = blake3::Hasher::new_derive_key("caesar/v1 mini-batch chain");
        h.update(&self.0).update(&step.to_le_bytes());
        h.update(&transcripts[0]).update(&transcripts[1]);
        Self(*h.finalize().as_bytes())
    }
}

/// Mini-batches done, and the chain over them: the message of `batch-end`, and the second one of
/// `resume`. 36 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) step: u32,
    pub(crate) hash: ChainHash,
}

impl Position {
    pub(crate) const BYTES: usize = 36;
}

impl Message for Position {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u32(self.step);
        out.bytes(&self.hash.0);
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let step = r.u32("mini-batch")?;
        let hash = ChainHash(r.array("chain hash")?);
        r.finish()?;
        Ok(Self { step, hash })
    }
}
