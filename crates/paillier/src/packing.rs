//! Many values in one plaintext: the bit budget, and packed results that wait for their mask.

use std::fmt;

use zeroize::Zeroizing;

use crate::ciphertext::Ciphertexts;
use crate::error::Error;
use crate::kernel::{self, Kernel, Residues};
use crate::key::{ModulusBits, PublicKey};

/// Bits of a plaintext that packing leaves unused: N ≥ 2^(|N| − 1), so a mask uniform in Z_N makes a
/// packed value of at most 2^(|N| − 66) wrap modulo N with probability at most 2^−65.
pub const HEADROOM_BITS: u32 = 66;

/// Ciphertexts that the vector kernel computes at a time. Part of the layout, so the same on every machine.
const TOGETHER: usize = 8;

/// How signed values v₀, v₁, … are laid out in plaintexts, as Σ v_i·2^(S·i): slots of S bits, as many as
/// the largest value allows.
///
/// A value may be wider than its slot. What is read from slot i is v_i modulo 2^S plus what the slots
/// below it carry: their values' quotient by 2^S and a borrow, at most |v|/2^S + 1 for the largest
/// |v| among them, and one more where a mask is taken off digit by digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackLayout {
    bits: ModulusBits,
    slot_bits: u32,
    slots: usize,
}

impl PackLayout {
    /// Slots of `slot_bits` bits in plaintexts of this size, for values of at most 2^`value_bits`. The
    /// packed sum is at most 2^(|N| − 66): with k slots, 2^(S·(k−1) + value_bits + 1).
    ///
    /// # Errors
    /// [`Error::SlotTooWide`] if not one slot fits, [`Error::SlotTooNarrow`] below 3 bits.
    pub fn new(bits: ModulusBits, slot_bits: u32, value_bits: u32) -> Result<Self, Error> {
        if slot_bits < 3 {
            return Err(Error::SlotTooNarrow { slot_bits, needed: 3 });
        }
        let available = bits.bits() - HEADROOM_BITS;
        let needed = slot_bits.max(value_bits.saturating_add(1));
        let Some(beside) = available.checked_sub(needed) else {
            return Err(Error::SlotTooWide { slot_bits: needed, available });
        };
        Ok(Self { bits, slot_bits, slots: 1 + (beside / slot_bits) as usize })
    }

    /// S, the bits of a slot.
    pub fn slot_bits(&self) -> u32 {
        self.slot_bits
    }

    /// Slots a ciphertext.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The same slots, but so few a ciphertext that `values` values fill a multiple of eight ciphertexts
    /// about evenly: as many are computed together whether they are there or not, and their work grows
    /// with the slots.
    #[must_use]
    pub fn spread(self, values: usize) -> Self {
        let ciphertexts = self.ciphertexts(values).next_multiple_of(TOGETHER);
        Self { slots: values.div_ceil(ciphertexts.max(1)).clamp(1, self.slots), ..self }
    }

    /// Ciphertexts that `values` values need.
    pub fn ciphertexts(&self, values: usize) -> usize {
        values.div_ceil(self.slots)
    }

    pub(crate) fn ensure_fits(&self, key: &PublicKey) -> Result<(), Error> {
        if key.bits() == self.bits { Ok(()) } else { Err(Error::KeyMismatch) }
    }
}

/// One ciphertext of packed values that has neither mask nor fresh randomness yet. It cannot be
/// encoded, only consumed by [`Sanitiser::mask_and_sanitise`](crate::Sanitiser::mask_and_sanitise).
pub struct Packed {
    key: PublicKey,
    residue: Zeroizing<Vec<u64>>,
    used: usize,
}

impl Packed {
    /// Splits accumulators into packed ciphertexts.
    pub(crate) fn finish(
        key: &PublicKey,
        layout: PackLayout,
        groups: &Residues,
        values: usize,
    ) -> Vec<Self> {
        let used = |g: usize| layout.slots().min(values - g * layout.slots());
        (0..groups.len())
            .map(|g| Self {
                key: key.clone(),
                residue: Zeroizing::new(groups.get(g).to_vec()),
                used: used(g),
            })
            .collect()
    }

    /// The public key it is under.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Slots in use, the lowest ones.
    pub fn used_slots(&self) -> usize {
        self.used
    }

    pub(crate) fn residue(&self) -> &[u64] {
        &self.residue
    }

    /// For tests of this crate and its dependants, which look behind the mask.
    #[cfg(any(test, feature = "test-keys"))]
    pub fn to_ciphertexts_for_tests(&self) -> Ciphertexts {
        let words = self.residue.clone();
        Ciphertexts::new(self.key.clone(), Residues { words, stride: self.residue.len() })
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} slots under {:?})", self.used, self.key)
    }
}

/// Packs ciphertexts of signed values, `layout.slots()` each, the first into the lowest slot.
///
/// # Errors
/// [`Error::KeyMismatch`] if the layout is for another key size.
pub fn pack(ciphertexts: &Ciphertexts, layout: PackLayout) -> Result<Vec<Packed>, Error> {
    let key = ciphertexts.key();
    layout.ensure_fits(key)?;
    let (kernel, values) = (key.kernel(), ciphertexts.len());
    let groups = layout.ciphertexts(values);
    let mut acc = Residues::ones(kernel, groups);
    pack_groups(kernel, &mut acc.words, layout, |slot, first_group, acc: &mut [u64]| {
        let plan: Vec<(u32, u32)> = (0..acc.len() / kernel.stride())
            .map(|g| (g as u32, (first_group + g) * layout.slots() + slot))
            .filter(|&(_, i)| i < values)
            .map(|(g, i)| (g, i as u32))
            .collect();
        kernel.square(acc, if slot + 1 == layout.slots() { 0 } else { layout.slot_bits as usize });
        kernel.multiply_gather(acc, &ciphertexts.residues().words, &plan);
    });
    Ok(Packed::finish(key, layout, &acc, values))
}

/// Runs `step(slot, first group, accumulators)` for every slot from the highest to the lowest, with
/// the groups spread over the threads.
fn pack_groups(
    kernel: &dyn Kernel,
    acc: &mut [u64],
    layout: PackLayout,
    step: impl Fn(usize, usize, &mut [u64]) + Sync,
) {
    use rayon::prelude::*;
    let size = kernel::chunk(kernel, acc.len() / kernel.stride());
    acc.par_chunks_mut(size * kernel.stride()).enumerate().for_each(|(i, acc)| {
        for slot in (0..layout.slots()).rev() {
            step(slot, i * size, acc);
        }
    });
}
