//! HE → SS: a party's partial scores, packed, masked and opened by the peer (design §2.1, step 1).
//!
//! The sender learns nothing. The receiver decrypts digits that are uniform: R is uniform in Z_N,
//! so the sum is too, and the sender keeps minus the digit of R as its share. A score may be wider than its
//! slot, because only its residue counts; what it carries into the next slot, its quotient by the slot's
//! width, and the borrow between digits change that slot's share by units in its last place.

use paillier::{
    Ciphertexts, EncryptedVector, Error, PackLayout, SendableCiphertexts, SparseMatrix,
    UniformMask, forward_packed,
};
use rand::CryptoRng;

use super::keys::Keys;
use crate::{ring::Ring, shares::Shares};

/// This party's shares of its own partial scores, until the peer's packed scores arrive.
#[derive(Debug)]
pub struct ForwardSent {
    layout: PackLayout,
    own: Shares,
}

/// Computes X·w for one chunk of rows, masks it and keeps the shares modulo `ring`, at most the width of a
/// slot. Indicator columns are multiplied by 2^`align_bits`.
///
/// `weights` are under the peer's key. The message has as many ciphertexts as [`PackLayout::spread`] says,
/// whatever the number of columns.
pub fn send_scores(
    keys: &Keys,
    rows: &SparseMatrix,
    weights: &EncryptedVector,
    align_bits: u32,
    layout: PackLayout,
    ring: Ring,
    rng: &mut impl CryptoRng,
) -> Result<(ForwardSent, SendableCiphertexts), Error> {
    debug_assert!(ring.bits() <= layout.slot_bits());
    let layout = layout.spread(rows.rows());
    let packed = forward_packed(rows, weights, layout, align_bits)?;
    let masks: Vec<UniformMask> =
        packed.iter().map(|_| UniformMask::random(&keys.peer, rng)).collect();
    let own = (0..rows.rows())
        .map(|i| {
            let digit = masks[i / layout.slots()].digit(
                i % layout.slots(),
                layout.slot_bits(),
                ring.bits(),
            );
            ring.sub(0, digit)
        })
        .collect();
    let own = Shares::new(ring, own);
    #[cfg(test)]
    for digit in [own.expose().to_vec(), own.expose().iter().map(|&v| ring.sub(0, v)).collect()] {
        crate::spy::saw(crate::spy::Secret::MaskDigit, &digit, ring.bytes());
    }
    let message = keys.sanitiser.mask_and_sanitise(packed, masks, rng)?;
    Ok((ForwardSent { layout, own }, message))
}

impl ForwardSent {
    /// Ciphertexts that the peer sends for the same rows.
    pub fn ciphertexts(&self) -> usize {
        self.layout.ciphertexts(self.own.len())
    }

    /// Opens the peer's masked scores and adds this party's shares: a share of the joint score.
    ///
    /// Decrypted digits are used as they come. They are uniform, so there is nothing to check, and
    /// a check that can fail would be an oracle.
    pub fn receive(self, keys: &Keys, packed: &Ciphertexts) -> Result<Shares, Error> {
        let Self { layout, own } = self;
        let opened = keys.own.decrypt(packed)?;
        let digits = (0..own.len())
            .map(|i| {
                opened[i / layout.slots()].digit(
                    i % layout.slots(),
                    layout.slot_bits(),
                    own.ring().bits(),
                )
            })
            .collect();
        let peer = Shares::new(own.ring(), digits);
        Ok(own.plus(&peer))
    }
}
