//! Oblivious linear evaluation for inner products, after Gilboa, "Two Party RSA Key Generation"
//! (CRYPTO 1999), with triangular corrections.
//!
//! A knows x, B knows y and y'; for each row they get additive shares of Σ_k x_k·y_k and of
//! Σ_k x_k·y'_k modulo 2^ring. x is taken in two's complement of [`X_BITS`] bits, so that
//! x·y = Σ_i x_i·(±2^i·y) with the minus sign for the last bit. For each bit B's share is a random s_i
//! and A obliviously obtains a_i = s_i + x_i·(±y). Both are needed modulo 2^(ring − i) only, because
//! they are multiplied by 2^i: hence the corrections shrink with i. One transfer serves both products:
//! half of its pad each.
//!
//! The random transfers are made before x and y are known. A sends d_i = u_i ⊕ x_i with its random
//! choice bit u_i; B takes pad d_i as s_i and sends s_i ± y minus the other pad.
//!
//! **What each side learns.** B sees d_i, one-time padded by u_i. A sees corrections one-time padded by
//! the pads it does not have, pseudo-random under the assumptions of the extension. Each share alone
//! is uniform modulo 2^ring. Neither message is authenticated against its own sender: a wrong d_i
//! means another x, a wrong correction a wrong sum, as in every semi-honest protocol; integrity
//! against others comes from the channel.

use std::fmt;

use zeroize::Zeroizing;

use super::bits::{BitReader, BitWriter, padding_is_zero};
use super::error::OtError;
use super::extension::MAX_EXTEND;
use super::pool::{RandomOtsReceiver, RandomOtsSender};
use crate::wire::{DecodeError, Message, Reader, Writer};

/// Bits of one of A's operands, the sign included: −255 ≤ x ≤ 255.
pub const X_BITS: usize = 9;
/// Largest absolute value of A's operands.
pub const X_MAX: i16 = (1 << (X_BITS - 1)) - 1;
/// B's operands satisfy |y| < 2^Y_BITS.
pub const Y_BITS: u32 = 40;
/// Rings that shares may live in, as log2 of their order. Half a pad covers the largest.
pub const RING_BITS: std::ops::RangeInclusive<u32> = 16..=62;
/// Inner products that a row has, with one x.
pub const OUTPUTS: usize = 2;

/// Public dimensions of one batch of pairs of inner products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OleShape {
    rows: usize,
    terms: usize,
    ring: usize,
}

impl OleShape {
    /// `rows` pairs of inner products of `terms` products each, shared modulo 2^`ring_bits`.
    ///
    /// # Errors
    /// [`OtError::Parameter`] if a dimension is 0, more than [`MAX_EXTEND`] transfers would be
    /// needed, or `ring_bits` is outside [`RING_BITS`].
    pub fn new(rows: usize, terms: usize, ring_bits: u32) -> Result<Self, OtError> {
        let fits = rows
            .checked_mul(terms)
            .and_then(|n| n.checked_mul(X_BITS))
            .is_some_and(|n| (1..=MAX_EXTEND).contains(&n));
        if !fits {
            return Err(OtError::Parameter { what: "number of products" });
        }
        if !RING_BITS.contains(&ring_bits) {
            return Err(OtError::Parameter { what: "ring size" });
        }
        Ok(Self { rows, terms, ring: ring_bits as usize })
    }

    /// Pairs of inner products.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Products a row.
    pub fn terms(&self) -> usize {
        self.terms
    }
    /// log2 of the order of the ring of the shares.
    pub fn ring_bits(&self) -> u32 {
        self.ring as u32
    }
    /// Random transfers that one run consumes.
    pub fn ots_needed(&self) -> usize {
        ots_needed(self.rows, self.terms)
    }
    /// Operands on each side, row-major.
    fn products(&self) -> usize {
        self.rows * self.terms
    }
    fn correction_bits(&self) -> usize {
        OUTPUTS * self.products() * (X_BITS * self.ring - X_BITS * (X_BITS - 1) / 2)
    }

    fn expect(&self, what: &'static str, found: usize, expected: usize) -> Result<(), OtError> {
        if found == expected { Ok(()) } else { Err(OtError::Shape { what, expected, found }) }
    }
}

/// Random transfers that `rows` pairs of inner products of `terms` products consume.
pub fn ots_needed(rows: usize, terms: usize) -> usize {
    rows * terms * X_BITS
}

/// A → B: the bits of x, each XORed with a random choice bit. One bit a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceBits {
    shape: OleShape,
    /// Number of the first transfer that is used.
    position: u64,
    packed: Vec<u8>,
}

/// B → A: two corrections a transfer, ring − i bits each for bit i, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrections {
    shape: OleShape,
    position: u64,
    packed: Vec<u8>,
}

impl Message for ChoiceBits {
    type Params<'a> = OleShape;

    fn encode(&self, out: &mut Writer) {
        encode(self.position, &self.packed, out);
    }

    fn decode(body: &[u8], shape: OleShape) -> Result<Self, DecodeError> {
        let (position, packed) = decode(body, shape.ots_needed(), "choice bits")?;
        Ok(Self { shape, position, packed })
    }
}

impl Message for Corrections {
    type Params<'a> = OleShape;

    fn encode(&self, out: &mut Writer) {
        encode(self.position, &self.packed, out);
    }

    fn decode(body: &[u8], shape: OleShape) -> Result<Self, DecodeError> {
        let (position, packed) = decode(body, shape.correction_bits(), "corrections")?;
        Ok(Self { shape, position, packed })
    }
}

fn encode(position: u64, packed: &[u8], out: &mut Writer) {
    out.u64(position);
    out.bytes(packed);
}

fn decode(body: &[u8], bits: usize, field: &'static str) -> Result<(u64, Vec<u8>), DecodeError> {
    let mut r = Reader::new(body);
    let position = r.u64("transfer position")?;
    let packed = r.bytes(bits.div_ceil(8), field)?;
    r.finish()?;
    if !padding_is_zero(packed, bits) {
        return Err(DecodeError::OutOfRange { field });
    }
    Ok((position, packed.to_vec()))
}

/// A between its choice bits and B's corrections. Memory only, consumed by [`finish`](Self::finish).
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::ot::OleReceiver>();
/// ```
pub struct OleReceiver {
    shape: OleShape,
    ots: RandomOtsReceiver,
    /// Bits of x, one byte each.
    bits: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for OleReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OleReceiver").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// A's first step. `x` is row-major, rows × terms, each within ±[`X_MAX`].
///
/// Consumes exactly [`OleShape::ots_needed`] transfers.
///
/// # Errors
/// [`OtError::Shape`] if the number of operands or transfers is another one, [`OtError::Operand`] if
/// an operand is out of range. The transfers are gone in either case.
pub fn choose(
    x: &[i16],
    shape: OleShape,
    ots: RandomOtsReceiver,
) -> Result<(ChoiceBits, OleReceiver), OtError> {
    shape.expect("number of operands", x.len(), shape.products())?;
    shape.expect("number of transfers", ots.len(), shape.ots_needed())?;
    if x.iter().any(|v| !(-X_MAX..=X_MAX).contains(v)) {
        return Err(OtError::Operand);
    }
    let mut bits = Zeroizing::new(Vec::with_capacity(ots.len()));
    bits.extend(x.iter().flat_map(|v| (0..X_BITS).map(move |i| ((v >> i) & 1) as u8)));
    let mut packed = BitWriter::with_capacity(ots.len());
    for (bit, choice) in bits.iter().zip(ots.choices()) {
        packed.push(u128::from(bit ^ choice), 1);
    }
    let message = ChoiceBits { shape, position: ots.position(), packed: packed.finish() };
    Ok((message, OleReceiver { shape, ots, bits }))
}

/// B's only step. Each entry of `y` has B's factors in both products; row-major, rows × terms, each with
/// |y| < 2^[`Y_BITS`].
///
/// Returns the message and B's shares, a pair a row, each uniform modulo 2^ring.
///
/// # Errors
/// [`OtError::Shape`] if the number of operands or transfers is another one or the message has
/// another shape, [`OtError::OutOfStep`] if A used other transfers, [`OtError::Operand`] if an operand
/// is out of range. The transfers are gone in each case.
#[expect(clippy::needless_pass_by_value, reason = "transfers are consumed by use")]
pub fn respond(
    y: &[[i64; OUTPUTS]],
    shape: OleShape,
    ots: RandomOtsSender,
    choices: &ChoiceBits,
) -> Result<(Corrections, SharePairs), OtError> {
    shape.expect("number of operands", y.len(), shape.products())?;
    shape.expect("number of transfers", ots.len(), shape.ots_needed())?;
    shape.expect_same(choices.shape, choices.position, ots.position())?;
    if y.as_flattened().iter().any(|v| v.unsigned_abs() >> Y_BITS != 0) {
        return Err(OtError::Operand);
    }
    let mut flips = BitReader::new(&choices.packed);
    let mut packed = BitWriter::with_capacity(shape.correction_bits());
    let mut shares = Zeroizing::new(Vec::with_capacity(shape.rows));
    let row_ots = ots.pads().chunks_exact(shape.terms * X_BITS);
    for (row, row_ots) in y.chunks_exact(shape.terms).zip(row_ots) {
        let mut share = [0u64; OUTPUTS];
        for (y, term_ots) in row.iter().zip(row_ots.chunks_exact(X_BITS)) {
            for (i, pads) in term_ots.iter().enumerate() {
                let width = shape.ring - i;
                let flip = flips.pull(1).wrapping_neg() & (pads[0] ^ pads[1]);
                let (own, other) = (halves(pads[0] ^ flip), halves(pads[1] ^ flip));
                for k in 0..OUTPUTS {
                    let y = y[k] as u64;
                    let signed = if i == X_BITS - 1 { y.wrapping_neg() } else { y };
                    let correction = own[k].wrapping_add(signed).wrapping_sub(other[k]);
                    packed.push((correction & low(width)).into(), width);
                    share[k] = share[k].wrapping_sub(own[k] << i);
                }
            }
        }
        shares.push(share.map(|v| v & low(shape.ring)));
    }
    let message = Corrections { shape, position: ots.position(), packed: packed.finish() };
    Ok((message, shares))
}

/// One party's shares of both inner products of each row.
pub type SharePairs = Zeroizing<Vec<[u64; OUTPUTS]>>;

impl OleReceiver {
    /// A's shares, a pair a row, each uniform modulo 2^ring.
    ///
    /// # Errors
    /// [`OtError::Shape`] or [`OtError::OutOfStep`] if the message is for another batch.
    pub fn finish(self, corrections: &Corrections) -> Result<SharePairs, OtError> {
        let Self { shape, ots, bits } = self;
        shape.expect_same(corrections.shape, corrections.position, ots.position())?;
        let mut packed = BitReader::new(&corrections.packed);
        let mut shares = Zeroizing::new(Vec::with_capacity(shape.rows));
        let per_row = shape.terms * X_BITS;
        for (row_pads, row_bits) in ots.pads().chunks_exact(per_row).zip(bits.chunks_exact(per_row))
        {
            let mut share = [0u64; OUTPUTS];
            for (j, (pad, bit)) in row_pads.iter().zip(row_bits).enumerate() {
                let i = j % X_BITS;
                for (share, pad) in share.iter_mut().zip(halves(*pad)) {
                    // Fits: a correction has at most 62 bits.
                    let correction = packed.pull(shape.ring - i) as u64;
                    let chosen = u64::from(*bit).wrapping_neg() & correction;
                    *share = share.wrapping_add(pad.wrapping_add(chosen) << i);
                }
            }
            shares.push(share.map(|v| v & low(shape.ring)));
        }
        Ok(shares)
    }
}

impl OleShape {
    fn expect_same(&self, shape: OleShape, found: u64, expected: u64) -> Result<(), OtError> {
        self.expect("number of rows", shape.rows, self.rows)?;
        self.expect("number of terms", shape.terms, self.terms)?;
        self.expect("ring size", shape.ring, self.ring)?;
        if found == expected { Ok(()) } else { Err(OtError::OutOfStep { expected, found }) }
    }
}

/// Two independent pads of 64 bits. Their low bits are uniform modulo any smaller power of two.
fn halves(pad: u128) -> [u64; OUTPUTS] {
    [pad as u64, (pad >> 64) as u64]
}

/// A mask of the `width` ≤ 63 low bits.
const fn low(width: usize) -> u64 {
    (1 << width) - 1
}
