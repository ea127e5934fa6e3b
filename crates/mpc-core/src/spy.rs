//! What tests must be able to recognise wherever it turns up: secrets that are used once. They are
//! collected on the threads that ask for it, as the bytes that a careless writer would write.

use std::cell::RefCell;

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Secret {
    /// A slot's digit of a forward mask.
    MaskDigit,
    /// A party's share of a score's mask.
    ScoreMask,
    /// A party's share of a factor of the error.
    Factor,
    /// A party's share of an error.
    ErrorShare,
    /// The key of a leaf of the transfers' trees.
    TransferSeed,
    /// A pad of a random transfer.
    TransferPad,
}

/// Secrets with their kinds, in the order in which they were made.
pub(crate) type Seen = Vec<(Secret, Vec<u8>)>;

thread_local! {
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Starts collecting on this thread.
pub(crate) fn start() {
    SEEN.with(|seen| *seen.borrow_mut() = Some(Vec::new()));
}

/// Ends it.
pub(crate) fn stop() -> Seen {
    SEEN.with(|seen| seen.borrow_mut().take().unwrap_or_default())
}

/// Shorter secrets are looked for together with their neighbours: alone they turn up by chance.
pub(crate) const LEAST: usize = 8;

/// The low `bytes` bytes of each value are secrets.
pub(crate) fn saw(kind: Secret, values: &[u128], bytes: usize) {
    SEEN.with(|seen| {
        if let Some(seen) = seen.borrow_mut().as_mut() {
            seen.extend(values.windows(LEAST.div_ceil(bytes)).map(|values| {
                let written = values.iter().flat_map(|v| v.to_le_bytes()[..bytes].to_vec());
                (kind, written.collect())
            }));
        }
    });
}

/// The same of integers of any size: their low 8 bytes, however they are written.
pub(crate) fn saw_integers(kind: Secret, values: &[i128]) {
    let low: Vec<u128> = values.iter().map(|&v| v as u128).collect();
    saw(kind, &low, 8);
}
