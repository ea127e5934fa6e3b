//! SoftSpoken oblivious transfer extension (Roy, "SoftSpokenOT: Quieter OT Extension from Small-Field
//! Silent VOLE in the Minicrypt Model", CRYPTO 2022) with its consistency check.
//!
//! From 128/k punctured trees each side expands 128 columns such that, once B has applied A's
//! corrections, row r satisfies q_r = t_r ⊕ u_r·Δ. Hashing rows gives random transfers: A gets its
//! choice bit u_r and H(r, t_r), B gets H(r, q_r) and H(r, q_r ⊕ Δ).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::check;
use super::crh::Crh;
use super::error::OtError;
use super::pool::{RandomOtsReceiver, RandomOtsSender};
use super::transpose::transpose;
use super::vole::{Leaves, Plane};
use crate::wire::{DecodeError, Message, Reader, Writer};

/// Most transfers one call of `extend` makes; bounds memory (about 70 bytes a transfer at its peak)
/// and the message (2 to 4 bytes a transfer).
pub const MAX_EXTEND: usize = 1 << 22;

/// Depth k of the seed trees: traffic against computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TreeDepth {
    /// k = 4: 31 bits on the wire and 4 AES calls a transfer. For fast links.
    #[default]
    Four,
    /// k = 8: 15 bits on the wire and 32 AES calls a transfer. For slow links.
    Eight,
}

impl TreeDepth {
    /// k.
    pub const fn bits(self) -> usize {
        match self {
            TreeDepth::Four => 4,
            TreeDepth::Eight => 8,
        }
    }
    /// Number of trees, 128/k.
    pub(super) const fn trees(self) -> usize {
        128 / self.bits()
    }
    /// Blocks of correction that A sends for `blocks` blocks of transfers.
    const fn correction_blocks(self, blocks: usize) -> usize {
        (self.trees() - 1) * blocks
    }
}

/// The part of a session that one `extend` uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// First block of 128 transfers.
    pub(super) first_block: u64,
    /// Blocks used, the sacrificed last one included.
    pub(super) blocks: usize,
    /// Number of the first transfer handed out.
    pub(super) first_ot: u64,
    /// Transfers handed out.
    pub(super) count: usize,
}

/// How much of a session is used up; equal on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    block: u64,
    ot: u64,
}

impl Cursor {
    /// Reserves stream positions and hash tweaks for `count` transfers and one sacrificed block.
    fn advance(&mut self, count: usize) -> Result<Span, OtError> {
        let blocks = blocks_for(count)?;
        let span = Span { first_block: self.block, blocks, first_ot: self.ot, count };
        self.block += blocks as u64;
        self.ot += count as u64;
        Ok(span)
    }
}

/// Blocks for `count` transfers, the sacrificed one included.
fn blocks_for(count: usize) -> Result<usize, OtError> {
    match count {
        1..=MAX_EXTEND => Ok(count.div_ceil(128) + 1),
        _ => Err(OtError::Parameter { what: "number of transfers" }),
    }
}

/// The hash tweak of the first row of a block. Never repeats: no block is used twice.
fn tweak(block: u64) -> u128 {
    u128::from(block) * 128
}

/// A → B: the corrections that make all trees use one choice vector, and the proof that they do.
///
/// B learns nothing about A's choice bits from it: corrections are one-time padded by streams B
/// misses a leaf of, for the proof see the module `check`. Bits a transfer: 31 at k = 4, 15 at k = 8,
/// and 64 + 16·(128/k − 1) bytes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionMessage {
    pub(super) first_block: u64,
    pub(super) count: usize,
    /// Tree by tree, from the second tree on.
    pub(super) corrections: Vec<u128>,
    pub(super) choice_hash: u128,
    pub(super) column_digest: [u8; 32],
}

impl Message for ExtensionMessage {
    /// Depth of the trees and number of transfers.
    type Params<'a> = (TreeDepth, usize);

    fn encode(&self, out: &mut Writer) {
        out.u64(self.first_block);
        out.u64(self.count as u64);
        for c in &self.corrections {
            out.bytes(&c.to_le_bytes());
        }
        out.bytes(&self.choice_hash.to_le_bytes());
        out.bytes(&self.column_digest);
    }

    fn decode(body: &[u8], (depth, count): (TreeDepth, usize)) -> Result<Self, DecodeError> {
        let blocks = blocks_for(count)
            .map_err(|_| DecodeError::OutOfRange { field: "number of transfers" })?;
        let mut r = Reader::new(body);
        let first_block = r.u64("extension position")?;
        let found = r.u64("number of transfers")?;
        if found != count as u64 {
            return Err(DecodeError::Length {
                field: "number of transfers",
                expected: count,
                found: usize::try_from(found).unwrap_or(usize::MAX),
            });
        }
        let raw = r.bytes(16 * depth.correction_blocks(blocks), "extension corrections")?;
        let (words, _) = raw.as_chunks::<16>();
        let message = Self {
            first_block,
            count,
            corrections: words.iter().map(|w| u128::from_le_bytes(*w)).collect(),
            choice_hash: r.uint(16, "choice hash")?,
            column_digest: r.array("column digest")?,
        };
        r.finish()?;
        Ok(message)
    }
}

/// A's side of the session: knows all leaves and makes random choice bits.
///
/// Not Clone: a copy would use stream positions twice. Wiped on drop.
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::ot::ExtensionReceiver>();
/// ```
pub struct ExtensionReceiver {
    depth: TreeDepth,
    tag: [u8; 32],
    crh: Crh,
    /// Stream keys of every tree, by leaf number.
    keys: Vec<Zeroizing<Vec<u128>>>,
    cursor: Cursor,
}

/// A's columns before it answers the challenge.
pub(super) struct Columns {
    /// Row r of block b is word 128·b + r.
    pub(super) rows: Zeroizing<Vec<u128>>,
    /// Choice bits.
    pub(super) choices: Zeroizing<Vec<u128>>,
    pub(super) corrections: Vec<u128>,
}

impl ExtensionReceiver {
    pub(super) fn new(
        depth: TreeDepth,
        tag: [u8; 32],
        crh: Crh,
        keys: Vec<Zeroizing<Vec<u128>>>,
    ) -> Self {
        #[cfg(test)]
        keys.iter().for_each(|keys| crate::spy::saw(crate::spy::Secret::TransferSeed, keys, 16));
        Self { depth, tag, crh, keys, cursor: Cursor::default() }
    }

    /// Makes `count` random transfers and the message that lets B make its side of them.
    ///
    /// # Errors
    /// [`OtError::Parameter`] if `count` is 0 or above [`MAX_EXTEND`]; nothing is used up then.
    pub fn extend(
        &mut self,
        count: usize,
    ) -> Result<(RandomOtsReceiver, ExtensionMessage), OtError> {
        let span = self.cursor.advance(count)?;
        let columns = self.columns(&span);
        Ok(self.seal(&span, columns))
    }

    /// Expands the trees and computes the corrections to the choice bits of the first tree.
    pub(super) fn columns(&self, span: &Span) -> Columns {
        let mut planes = Zeroizing::new(vec![[0u128; 128]; span.blocks]);
        let mut corrections = Vec::with_capacity(self.depth.correction_blocks(span.blocks));
        let mut choices: Option<Zeroizing<Vec<u128>>> = None;
        for (tree, keys) in self.keys.iter().enumerate() {
            let leaves = Leaves::complete(keys);
            let u = leaves.fill(span.first_block, tree * self.depth.bits(), &mut planes);
            match &choices {
                None => choices = Some(u),
                Some(first) => corrections.extend(first.iter().zip(u.iter()).map(|(a, b)| a ^ b)),
            }
        }
        let choices = choices.expect("there is at least one tree");
        Columns { rows: into_rows(planes), choices, corrections }
    }

    /// Answers the challenge and hashes the rows.
    pub(super) fn seal(
        &self,
        span: &Span,
        columns: Columns,
    ) -> (RandomOtsReceiver, ExtensionMessage) {
        let Columns { mut rows, choices, corrections } = columns;
        let chi = check::challenge(&self.tag, span, &corrections);
        let hashed = check::hash_columns_vartime(&rows, chi);
        let message = ExtensionMessage {
            first_block: span.first_block,
            count: span.count,
            corrections,
            choice_hash: check::hash_bits_vartime(&choices, chi),
            column_digest: check::digest(&self.tag, chi, &hashed),
        };
        shorten(&mut rows, span.count);
        self.crh.hash_in_place(tweak(span.first_block), &mut rows);
        let bits = (0..span.count).map(|i| ((choices[i / 128] >> (i % 128)) & 1) as u8).collect();
        (RandomOtsReceiver::new(span.first_ot, Zeroizing::new(bits), rows), message)
    }
}

impl fmt::Debug for ExtensionReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionReceiver")
            .field("depth", &self.depth)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// B's side of the session: knows Δ and all leaves but one of each tree.
///
/// Not Clone, wiped on drop. The first error ends it and wipes Δ: a cheating A that passes the
/// check has guessed bits of Δ, and must not be able to try again.
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::ot::ExtensionSender>();
/// ```
pub struct ExtensionSender {
    depth: TreeDepth,
    live: Option<SenderState>,
}

pub(super) struct SenderState {
    tag: [u8; 32],
    crh: Crh,
    pub(super) delta: Zeroizing<u128>,
    /// Stream keys of every tree in the order x ⊕ α; entry 0 is no key.
    keys: Vec<Zeroizing<Vec<u128>>>,
    cursor: Cursor,
}

impl ExtensionSender {
    pub(super) fn new(
        depth: TreeDepth,
        tag: [u8; 32],
        crh: Crh,
        delta: Zeroizing<u128>,
        keys: Vec<Zeroizing<Vec<u128>>>,
    ) -> Self {
        let live = Some(SenderState { tag, crh, delta, keys, cursor: Cursor::default() });
        Self { depth, live }
    }

    /// Depth of the seed trees, which the decoder of [`ExtensionMessage`] needs.
    pub fn depth(&self) -> TreeDepth {
        self.depth
    }

    /// Makes B's side of `count` random transfers from A's message.
    ///
    /// # Errors
    /// [`OtError::Check`] if A's corrections are not those of one choice vector,
    /// [`OtError::OutOfStep`] if the message is for another position (a replay, for instance),
    /// [`OtError::Shape`] if it was made for another count or depth, [`OtError::Parameter`] for a
    /// count of 0 or above [`MAX_EXTEND`]. Each ends the session; then [`OtError::Ended`].
    pub fn extend(
        &mut self,
        count: usize,
        message: &ExtensionMessage,
    ) -> Result<RandomOtsSender, OtError> {
        let mut state = self.live.take().ok_or(OtError::Ended)?;
        let ots = state.extend(self.depth, count, message)?;
        self.live = Some(state);
        Ok(ots)
    }

    #[cfg(test)]
    pub(super) fn delta(&self) -> u128 {
        self.live.as_ref().map(|s| *s.delta).expect("the session is alive")
    }
}

impl SenderState {
    fn extend(
        &mut self,
        depth: TreeDepth,
        count: usize,
        message: &ExtensionMessage,
    ) -> Result<RandomOtsSender, OtError> {
        let span = self.cursor.advance(count)?;
        if message.first_block != span.first_block {
            return Err(OtError::OutOfStep {
                expected: span.first_block,
                found: message.first_block,
            });
        }
        let corrections = depth.correction_blocks(span.blocks);
        for (what, expected, found) in [
            ("number of transfers", count, message.count),
            ("number of corrections", corrections, message.corrections.len()),
        ] {
            if expected != found {
                return Err(OtError::Shape { what, expected, found });
            }
        }

        let mut planes = Zeroizing::new(vec![[0u128; 128]; span.blocks]);
        for (tree, keys) in self.keys.iter().enumerate() {
            let first_column = tree * depth.bits();
            Leaves::punctured(keys).fill(span.first_block, first_column, &mut planes);
            if tree == 0 {
                continue;
            }
            let part = &message.corrections[(tree - 1) * span.blocks..tree * span.blocks];
            for column in first_column..first_column + depth.bits() {
                let mask = bit_mask(*self.delta, column);
                for (plane, c) in planes.iter_mut().zip(part) {
                    plane[column] ^= c & mask;
                }
            }
        }
        let mut rows = into_rows(planes);
        self.verify(&span, &rows, message)?;

        shorten(&mut rows, count);
        let mut second = Zeroizing::new(rows.iter().map(|q| q ^ *self.delta).collect::<Vec<_>>());
        self.crh.hash_in_place(tweak(span.first_block), &mut rows);
        self.crh.hash_in_place(tweak(span.first_block), &mut second);
        let pads = rows.iter().zip(second.iter()).map(|(&a, &b)| [a, b]).collect();
        Ok(RandomOtsSender::new(span.first_ot, Zeroizing::new(pads)))
    }

    /// Checks that A's hashes satisfy the relation of the columns.
    fn verify(&self, span: &Span, rows: &[u128], m: &ExtensionMessage) -> Result<(), OtError> {
        let chi = check::challenge(&self.tag, span, &m.corrections);
        let mut hashed = check::hash_columns_vartime(rows, chi);
        for (r, word) in hashed.iter_mut().enumerate() {
            *word ^= *self.delta & bit_mask(m.choice_hash, r);
        }
        let expected = check::digest(&self.tag, chi, &hashed);
        if bool::from(expected.ct_eq(&m.column_digest)) { Ok(()) } else { Err(OtError::Check) }
    }
}

impl fmt::Debug for ExtensionSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionSender")
            .field("depth", &self.depth)
            .field("cursor", &self.live.as_ref().map(|s| s.cursor))
            .finish_non_exhaustive()
    }
}

/// All ones if bit `index` of `word` is 1, else 0.
fn bit_mask(word: u128, index: usize) -> u128 {
    ((word >> index) & 1).wrapping_neg()
}

/// Transposes every plane and flattens them.
fn into_rows(mut planes: Zeroizing<Vec<Plane>>) -> Zeroizing<Vec<u128>> {
    planes.iter_mut().for_each(transpose);
    Zeroizing::new(std::mem::take(&mut *planes).into_flattened())
}

/// Wipes and drops the rows after `count`, those of the sacrificed block among them.
fn shorten(rows: &mut Vec<u128>, count: usize) {
    zeroize::Zeroize::zeroize(&mut rows[count..]);
    rows.truncate(count);
}
