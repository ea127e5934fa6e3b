//! Private set intersection of two parties' ids: Diffie-Hellman PSI with mutual output.
//!
//! Follows Meadows (S&P 1986) and Huberman, Franklin and Hogg (EC 1999), on Ristretto
//! (RFC 9496), semi-honest. Both parties run the same states; "own" is the party that runs them and
//! "peer" the other one. With `H` a hash into the group that is keyed by the run's tag and `a`, `b`
//! the parties' secret exponents:
//!
//! 1. Each sends its set's size ([`SetSize`]).
//! 2. Each sends `H(id)^own` for its ids in an order drawn at random ([`Blinded`]).
//! 3. Each raises what it received to its own exponent and returns a 16-byte fingerprint of every
//!    result, **in the order received** ([`Doubled`]).
//! 4. `H(id)^(ab)` is the same on both sides exactly for a common id, so each finds which of its own
//!    ids are common, and sorts them by code point: both end with the same order.
//!
//! Steps 2 and 3 go chunk by chunk ([`CHUNK`] ids at most), so that a message stays small, and in rounds.
//! In round r a party sends chunk r of its ids, then the answer to chunk r − [`AHEAD`] of the peer's; it
//! reads what the peer sent in round r − [`AHEAD`]. So neither side waits for the other unless one falls
//! behind by that many chunks, or the way is longer than their computation takes, and at most
//! 2·[`AHEAD`] + 1 rounds are under way in one direction. Empty chunks are not sent.
//!
//! **What each side learns:** the common ids and both sets' sizes. A non-common id of the peer is seen
//! as `H(id)^peer` and its power only, which decisional Diffie-Hellman makes unrecognisable without the
//! peer's exponent; a dictionary of ids does not help. Exponents are drawn anew for every run and the
//! tag is part of every hash, so points of two runs cannot be linked. The random order hides at which
//! rows of the peer's file the common ids stand.
//!
//! **Fingerprints** are 128 bits of BLAKE3 over the tag and the point. A false match has probability at
//! most `|own| · |peer| · 2^-128`, below 2^-64 for the largest sets accepted ([`MAX_IDS`]).

mod error;
mod group;
mod ids;
mod messages;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use rand::CryptoRng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use error::PsiError;
pub use ids::{IdError, SHOWN_ROWS, validate_ids};
pub use messages::{Blinded, Doubled, SetSize};

use group::{BATCH, Element, Exponent, Hashing};
use messages::Fingerprint;

/// Ids a message carries at most.
pub const CHUNK: usize = 4096;

/// Rounds that a party's sending is ahead of its reading.
pub const AHEAD: usize = 4;

/// Ids a set may have at most, whatever the caller's own limit is.
pub const MAX_IDS: usize = 1 << 31;

/// Own side before anything was sent: the run's secrets are drawn.
#[derive(Debug)]
pub struct Opening<'a> {
    own: Own<'a>,
    max_ids: usize,
}

/// What stays with a party through the whole run.
struct Own<'a> {
    ids: &'a [String],
    hashing: Hashing,
    exponent: Exponent,
    /// Sending position to row. Secret: it would tell the peer which rows are common.
    order: Order,
}

impl fmt::Debug for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({} ids)", self.ids.len())
    }
}

/// A random permutation of the own rows.
struct Order(Zeroizing<Vec<u32>>);

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order([redacted])")
    }
}

impl Order {
    /// Uniform over all permutations of `len` rows.
    fn random(len: usize, rng: &mut impl CryptoRng) -> Self {
        let rows = u32::try_from(len).expect("a set has at most MAX_IDS ids");
        let mut order = Zeroizing::new((0..rows).collect::<Vec<_>>());
        order.shuffle(rng);
        Self(order)
    }
}

impl<'a> Opening<'a> {
    /// Prepares a run over `ids`, which must be unique and not empty.
    ///
    /// `tag` is [`Binding::tag`](crate::binding::Binding::tag) of this run's purpose, equal on both
    /// sides and different for every run. Neither set may have more than `max_ids` ids (nor more than
    /// [`MAX_IDS`]). A fresh exponent and a fresh order are drawn from `rng`.
    pub fn new(
        ids: &'a [String],
        tag: [u8; 32],
        max_ids: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, PsiError> {
        let max_ids = max_ids.min(MAX_IDS);
        if ids.is_empty() {
            return Err(PsiError::NoIds);
        }
        if ids.len() > max_ids {
            return Err(PsiError::TooManyIds { found: ids.len(), limit: max_ids });
        }
        validate_ids(ids)?;
        let exponent = Exponent::random(rng);
        let order = Order::random(ids.len(), rng);
        Ok(Self { own: Own { ids, hashing: Hashing::new(tag), exponent, order }, max_ids })
    }

    /// The message that opens the run.
    pub fn size(&self) -> SetSize {
        SetSize(u32::try_from(self.own.ids.len()).expect("a set has at most MAX_IDS ids"))
    }

    /// Takes the peer's size and refuses an empty or too large set.
    pub fn receive_size(self, peer: SetSize) -> Result<Blinding<'a>, PsiError> {
        let peer_ids = peer.0 as usize;
        if peer_ids == 0 {
            return Err(PsiError::PeerHasNoIds);
        }
        if peer_ids > self.max_ids {
            return Err(PsiError::PeerHasTooManyIds { found: peer_ids, limit: self.max_ids });
        }
        let own_doubled = Vec::with_capacity(self.own.ids.len());
        // The peer's size is only its word: no memory before its points.
        Ok(Blinding(Run {
            own: self.own,
            peer_ids,
            round: 0,
            own_doubled,
            peer_doubled: Vec::new(),
        }))
    }
}

/// The state behind [`Blinding`], [`AwaitBlinded`] and [`AwaitDoubled`].
struct Run<'a> {
    own: Own<'a>,
    peer_ids: usize,
    round: usize,
    /// Of own ids, in the order sent.
    own_doubled: Vec<Fingerprint>,
    /// Of the peer's ids, in the order received.
    peer_doubled: Vec<Fingerprint>,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, peer_ids, own_doubled, peer_doubled, round: _ } = self;
        let (sent, received, ids) = (own_doubled.len(), peer_doubled.len(), own.ids.len());
        write!(f, "Run({own:?}, {sent} of {ids} own, {received} of {peer_ids})")
    }
}

impl Run<'_> {
    /// Rows of the ids to blind in this round, in sending order.
    fn own_rows(&self) -> &[u32] {
        let order = &self.own.order.0;
        &order[chunk(self.round, 0, order.len())]
    }
    fn peer_points(&self) -> usize {
        chunk(self.round, AHEAD, self.peer_ids).len()
    }
    fn own_answers(&self) -> usize {
        chunk(self.round, 2 * AHEAD, self.own.ids.len()).len()
    }
}

/// Positions, in a set of this size, of chunk `round − behind`; empty before the first and after the last.
fn chunk(round: usize, behind: usize, ids: usize) -> Range<usize> {
    match round.checked_sub(behind) {
        None => 0..0,
        Some(number) => (number * CHUNK).min(ids)..((number + 1) * CHUNK).min(ids),
    }
}

/// Ready to blind the next chunk of own ids.
#[derive(Debug)]
pub struct Blinding<'a>(Run<'a>);

impl<'a> Blinding<'a> {
    /// The peer's number of ids.
    pub fn peer_ids(&self) -> usize {
        self.0.peer_ids
    }

    /// Ids finished and ids in total, own and the peer's together.
    pub fn progress(&self) -> (usize, usize) {
        let run = &self.0;
        (run.own_doubled.len() + run.peer_doubled.len(), run.own.ids.len() + run.peer_ids)
    }

    /// The next chunk: `H(id)^own` in sending order. Empty, and not to be sent, when all own ids
    /// have been.
    pub fn blind(self) -> (Blinded, AwaitBlinded<'a>) {
        let Own { ids, hashing, exponent, .. } = &self.0.own;
        let points = self
            .0
            .own_rows()
            .par_chunks(BATCH)
            .flat_map_iter(|rows| {
                exponent.raise(rows.iter().map(|&row| hashing.to_group(&ids[row as usize])))
            })
            .collect();
        (Blinded(points), AwaitBlinded(self.0))
    }
}

/// Own chunk is on its way; one of the peer's is due.
#[derive(Debug)]
pub struct AwaitBlinded<'a>(Run<'a>);

impl<'a> AwaitBlinded<'a> {
    /// How many points the peer's chunk has; with 0, none is due and [`Blinded::default`] stands in.
    pub fn expected(&self) -> usize {
        self.0.peer_points()
    }

    /// Raises the peer's points and returns their fingerprints in the order received. An empty
    /// answer is not to be sent.
    pub fn receive(mut self, peer: Blinded) -> Result<(Doubled, AwaitDoubled<'a>), PsiError> {
        let Blinded(elements) = peer;
        check_count("blinded ids", self.expected(), elements.len())?;
        let Own { exponent, hashing, .. } = &self.0.own;
        let fingerprints: Vec<_> = elements
            .par_chunks(BATCH)
            .flat_map_iter(|batch| exponent.raise(batch.iter().map(Element::point)))
            .map(|doubled| hashing.fingerprint(&doubled))
            .collect();
        self.0.peer_doubled.extend_from_slice(&fingerprints);
        Ok((Doubled(fingerprints), AwaitDoubled(self.0)))
    }
}

/// The answer to the peer's chunk is on its way; an answer to an own chunk is due.
#[derive(Debug)]
pub struct AwaitDoubled<'a>(Run<'a>);

impl<'a> AwaitDoubled<'a> {
    /// How many fingerprints the answer has; with 0, none is due and [`Doubled::default`] stands in.
    pub fn expected(&self) -> usize {
        self.0.own_answers()
    }

    /// Stores the fingerprints of the own chunk and ends the round.
    pub fn receive(mut self, own: Doubled) -> Result<Next<'a>, PsiError> {
        check_count("fingerprints", self.expected(), own.0.len())?;
        self.0.own_doubled.extend(own.0);
        self.0.round += 1;
        let Run { own, peer_ids, own_doubled, peer_doubled, .. } = &self.0;
        Ok(match own_doubled.len() == own.ids.len() && peer_doubled.len() == *peer_ids {
            true => Next::Match(Matching(self.0)),
            false => Next::Chunk(Blinding(self.0)),
        })
    }
}

fn check_count(field: &'static str, expected: usize, found: usize) -> Result<(), PsiError> {
    match expected == found {
        true => Ok(()),
        false => Err(crate::wire::DecodeError::Length { field, expected, found }.into()),
    }
}

/// What follows a round.
#[derive(Debug)]
pub enum Next<'a> {
    /// Another round.
    Chunk(Blinding<'a>),
    /// All ids of both sides have been exchanged.
    Match(Matching<'a>),
}

/// Both sets are doubly encrypted; nothing more is sent.
#[derive(Debug)]
pub struct Matching<'a>(Run<'a>);

impl Matching<'_> {
    /// Finds the common ids. Fails if there are none, or if a value came twice, which a peer with
    /// unique ids never sends.
    pub fn intersect(self) -> Result<Intersection, PsiError> {
        let Run { own, own_doubled, mut peer_doubled, .. } = self.0;
        peer_doubled.par_sort_unstable();
        let mut own_sorted = own_doubled.clone();
        own_sorted.par_sort_unstable();
        if has_repeats(&peer_doubled) || has_repeats(&own_sorted) {
            return Err(PsiError::RepeatedPoint);
        }

        let mut rows: Vec<usize> = own_doubled
            .iter()
            .zip(own.order.0.iter())
            .filter(|(fingerprint, _)| peer_doubled.binary_search(fingerprint).is_ok())
            .map(|(_, &row)| row as usize)
            .collect();
        if rows.is_empty() {
            return Err(PsiError::EmptyIntersection);
        }
        // The order of UTF-8 bytes is the order of code points.
        rows.sort_unstable_by_key(|&row| own.ids[row].as_bytes());
        let sha256 = ids_sha256(rows.iter().map(|&row| own.ids[row].as_str()));
        Ok(Intersection { rows, peer_ids: peer_doubled.len(), sha256 })
    }
}

fn has_repeats(sorted: &[Fingerprint]) -> bool {
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// SHA-256 of the ids in the given order, each followed by a newline.
pub fn ids_sha256<'a>(ids: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().into()
}

/// The common ids, as one side sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intersection {
    /// Own row of each common id, common ids sorted by code point: entry k belongs to the same id on
    /// both sides. Never empty.
    pub rows: Vec<usize>,
    /// The peer's number of ids.
    pub peer_ids: usize,
    /// [`ids_sha256`] of the sorted common ids; equal on both sides.
    pub sha256: [u8; 32],
}

impl Intersection {
    /// [`sha256`](Self::sha256) in lower-case hexadecimal.
    pub fn sha256_hex(&self) -> String {
        use fmt::Write;
        self.sha256.iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        })
    }
}
