//! From shares modulo 2^ring to shares in the integers.
//!
//! A and B hold a and b, 0 ≤ a, b < 2^ring, with a + b = v + w·2^ring for a value 0 ≤ v < 2^(ring − 1)
//! and w either 0 or 1. If w is 0 neither share reaches 2^(ring − 1); if it is 1 one of them does. So w is
//! the **or of the two top bits**, and one transfer shares it: A obtains c = r + w where r is B's. Then
//! a − c·2^ring and b + r·2^ring are integers with the sum v, exactly.
//!
//! r is uniform in [`MASK_BITS`] bits, so c is uniform too, whatever w is. c = r + w holds modulo
//! 2^[`MASK_BITS`], and in the integers unless r is all ones: a value goes wrong with probability 2^−64.
//!
//! The transfer is random and made before; A sends d = u ⊕ (top bit of a) with its random choice u.
//! B takes r from the pad that A holds if A's top bit is 0, and sends one correction for the other.
//!
//! **What each side learns.** B sees d, one-time padded by u. A sees a correction, one-time padded by a
//! pad that it does not have if its top bit is 0; if it is 1 the result is r + 1, whatever B's bit.

use std::fmt;

use zeroize::Zeroizing;

use super::bits::{BitReader, BitWriter, padding_is_zero};
use super::error::OtError;
use super::pool::{RandomOtsReceiver, RandomOtsSender};
use crate::wire::{DecodeError, Message, Reader, Writer};

/// Bits of the mask r, uniform.
pub const MASK_BITS: u32 = 64;

/// One party's shares in the integers, each below 2^(ring + [`MASK_BITS`]) in absolute value. A share on
/// its own says nothing of the value.
pub type IntegerShares = Zeroizing<Vec<i128>>;

/// A → B: the top bits of A's shares, each XORed with a random choice bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopBits {
    position: u64,
    count: usize,
    packed: Vec<u8>,
}

/// B → A: one correction a value, 8 bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wraps {
    position: u64,
    corrections: Vec<u64>,
}

impl Message for TopBits {
    type Params<'a> = usize;

    fn encode(&self, out: &mut Writer) {
        out.u64(self.position);
        out.bytes(&self.packed);
    }

    fn decode(body: &[u8], count: usize) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let position = r.u64("transfer position")?;
        let packed = r.bytes(count.div_ceil(8), "top bits")?;
        r.finish()?;
        if !padding_is_zero(packed, count) {
            return Err(DecodeError::OutOfRange { field: "top bits" });
        }
        Ok(Self { position, count, packed: packed.to_vec() })
    }
}

impl Message for Wraps {
    type Params<'a> = usize;

    fn encode(&self, out: &mut Writer) {
        out.u64(self.position);
        self.corrections.iter().for_each(|&v| out.u64(v));
    }

    fn decode(body: &[u8], count: usize) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let position = r.u64("transfer position")?;
        // The count is agreed, so this is no allocation at the peer's will.
        let mut corrections = Vec::with_capacity(count);
        for _ in 0..count {
            corrections.push(r.u64("wrap correction")?);
        }
        r.finish()?;
        Ok(Self { position, corrections })
    }
}

/// A between its top bits and B's corrections. Memory only, consumed by [`finish`](Self::finish).
pub struct LiftReceiver {
    shares: Zeroizing<Vec<u64>>,
    ring: u32,
    ots: RandomOtsReceiver,
}

impl fmt::Debug for LiftReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiftReceiver({} values)", self.shares.len())
    }
}

/// A's first step: one transfer a share, each share below 2^`ring`, ring ≤ 62.
///
/// # Errors
/// [`OtError::Shape`] if the number of transfers is another one. They are gone then.
pub fn choose(
    shares: Zeroizing<Vec<u64>>,
    ring: u32,
    ots: RandomOtsReceiver,
) -> Result<(TopBits, LiftReceiver), OtError> {
    expect("number of transfers", ots.len(), shares.len())?;
    let mut packed = BitWriter::with_capacity(shares.len());
    for (share, choice) in shares.iter().zip(ots.choices()) {
        packed.push(u128::from(top_bit(*share, ring) ^ u64::from(*choice)), 1);
    }
    let message =
        TopBits { position: ots.position(), count: shares.len(), packed: packed.finish() };
    Ok((message, LiftReceiver { shares, ring, ots }))
}

/// B's only step, for shares below 2^`ring`, ring ≤ 62. Returns the message and B's shares in the integers.
///
/// # Errors
/// [`OtError::Shape`] if the number of transfers or of bits is another one, [`OtError::OutOfStep`] if A
/// used other transfers. The transfers are gone in each case.
#[expect(clippy::needless_pass_by_value, reason = "transfers are consumed by use")]
pub fn respond(
    shares: &[u64],
    ring: u32,
    ots: RandomOtsSender,
    bits: &TopBits,
) -> Result<(Wraps, IntegerShares), OtError> {
    expect("number of transfers", ots.len(), shares.len())?;
    expect("number of top bits", bits.count, shares.len())?;
    in_step(bits.position, ots.position())?;
    let mut flips = BitReader::new(&bits.packed);
    let mut corrections = Vec::with_capacity(shares.len());
    let mut lifted = Zeroizing::new(Vec::with_capacity(shares.len()));
    for (&share, pads) in shares.iter().zip(ots.pads()) {
        let flip = flips.pull(1).wrapping_neg() & (pads[0] ^ pads[1]);
        // The pads that A holds if its top bit is 0, and if it is 1.
        let (zero, one) = ((pads[0] ^ flip) as u64, (pads[1] ^ flip) as u64);
        let mask = zero.wrapping_sub(top_bit(share, ring));
        corrections.push(mask.wrapping_add(1).wrapping_sub(one));
        lifted.push(i128::from(share) + (i128::from(mask) << ring));
    }
    Ok((Wraps { position: ots.position(), corrections }, lifted))
}

impl LiftReceiver {
    /// A's shares in the integers.
    ///
    /// # Errors
    /// [`OtError::Shape`] or [`OtError::OutOfStep`] if the message is for another batch.
    pub fn finish(self, wraps: &Wraps) -> Result<IntegerShares, OtError> {
        let Self { shares, ring, ots } = self;
        expect("number of corrections", wraps.corrections.len(), shares.len())?;
        in_step(wraps.position, ots.position())?;
        let mut lifted = Zeroizing::new(Vec::with_capacity(shares.len()));
        for ((&share, &pad), &correction) in shares.iter().zip(ots.pads()).zip(&wraps.corrections) {
            let chosen = top_bit(share, ring).wrapping_neg() & correction;
            let wraps = (pad as u64).wrapping_add(chosen);
            lifted.push(i128::from(share) - (i128::from(wraps) << ring));
        }
        Ok(lifted)
    }
}

fn top_bit(share: u64, ring: u32) -> u64 {
    share >> (ring - 1) & 1
}

fn expect(what: &'static str, found: usize, expected: usize) -> Result<(), OtError> {
    if found == expected { Ok(()) } else { Err(OtError::Shape { what, expected, found }) }
}

fn in_step(found: u64, expected: u64) -> Result<(), OtError> {
    if found == expected { Ok(()) } else { Err(OtError::OutOfStep { expected, found }) }
}
