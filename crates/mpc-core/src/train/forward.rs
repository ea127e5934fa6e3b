//! HE → SS: a party's partial scores, packed, masked and opened by the peer (design §2.1, step 1).
//!
//! The sender learns nothing. The receiver decrypts digits that are uniform: R is uniform in Z_N,
//! so the sum is too, and the sender keeps minus the digit of R as its share. Ignoring the borrow
//! between digits costs at most one unit in the last place of the share.

use paillier::{
    Ciphertexts, EncryptedVector, Error, SendableCiphertexts, SparseMatrix, UniformMask,
    forward_packed,
};
use rand::CryptoRng;

use super::keys::Keys;
use crate::{plan::Plan, session::Role, shares::Shares};

/// Index of a role in the arrays of a [`Plan`].
fn index(role: Role) -> usize {
    match role {
        Role::FeatureHolder => 0,
        Role::LabelHolder => 1,
    }
}

/// This party's shares of its own partial scores, until the peer's packed scores arrive.
#[derive(Debug)]
pub struct ForwardSent {
    role: Role,
    own: Shares,
}

/// Computes X·w for one chunk of rows, masks it and keeps the shares modulo 2^L.
///
/// `weights` are under the peer's key. The message has ⌈rows / slots⌉ ciphertexts, whatever the
/// number of columns.
pub fn send_scores(
    plan: &Plan,
    role: Role,
    keys: &Keys,
    rows: &SparseMatrix,
    weights: &EncryptedVector,
    rng: &mut impl CryptoRng,
) -> Result<(ForwardSent, SendableCiphertexts), Error> {
    let layout = plan.layouts[index(role)];
    let packed = forward_packed(rows, weights, layout, 2 * plan.feature_bits)?;
    let masks: Vec<UniformMask> =
        packed.iter().map(|_| UniformMask::random(&keys.peer, rng)).collect();
    // The public offset 2^(S−2) of each slot is a multiple of 2^L, so the shares do not see it.
    let ring = plan.ring;
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
    let message = keys.sanitiser.mask_and_sanitise(packed, masks, rng)?;
    Ok((ForwardSent { role, own: Shares::new(ring, own) }, message))
}

/// Ciphertexts that the peer of `role` sends for `rows` rows.
pub fn peer_score_ciphertexts(plan: &Plan, role: Role, rows: usize) -> usize {
    rows.div_ceil(plan.layouts[index(role.peer())].slots())
}

impl ForwardSent {
    /// Opens the peer's masked scores and adds this party's shares: a share of the joint score.
    ///
    /// Decrypted digits are used as they come. They are uniform, so there is nothing to check, and
    /// a check that can fail would be an oracle.
    pub fn receive(self, plan: &Plan, keys: &Keys, packed: &Ciphertexts) -> Result<Shares, Error> {
        let layout = plan.layouts[index(self.role.peer())];
        let opened = keys.own.decrypt(packed)?;
        let digits = (0..self.own.len())
            .map(|i| {
                opened[i / layout.slots()].digit(
                    i % layout.slots(),
                    layout.slot_bits(),
                    plan.ring.bits(),
                )
            })
            .collect();
        Ok(self.own.plus(&Shares::new(plan.ring, digits)))
    }
}
