//! Many values in one plaintext: the bit budget, and packed results that wait for their mask.

use std::fmt;

use zeroize::Zeroizing;

use crate::ciphertext::Ciphertexts;
use crate::error::Error;
use crate::kernel::{self, Kernel, Residues};
use crate::key::{ModulusBits, PublicKey};

/// Bits of a plaintext that packing leaves unused: N ≥ 2^(|N| − 1), so a mask uniform in Z_N makes a
/// packed value below 2^(|N| − 66) wrap modulo N with probability at most 2^−65.
pub const HEADROOM_BITS: u32 = 66;

/// How values are laid out in plaintexts: slots of S bits, as many as fit |N| − 66 bits.
///
/// A slot holds a value in −2^(S−2) ≤ v < 2^(S−2), lifted by the public offset 2^(S−2) so that it is
/// positive and below 2^(S−1): packed slots never borrow from or carry into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackLayout {
    bits: ModulusBits,
    slot_bits: u32,
    slots: usize,
}

impl PackLayout {
    /// Slots of `slot_bits` bits in plaintexts of this size.
    ///
    /// # Errors
    /// [`Error::SlotTooWide`] if not one slot fits, [`Error::SlotTooNarrow`] below 3 bits.
    pub fn new(bits: ModulusBits, slot_bits: u32) -> Result<Self, Error> {
        if slot_bits < 3 {
            return Err(Error::SlotTooNarrow { slot_bits, needed: 3 });
        }
        let available = bits.bits() - HEADROOM_BITS;
        match (available / slot_bits) as usize {
            0 => Err(Error::SlotTooWide { slot_bits, available }),
            slots => Ok(Self { bits, slot_bits, slots }),
        }
    }

    /// S, the bits of a slot.
    pub fn slot_bits(&self) -> u32 {
        self.slot_bits
    }

    /// Slots a ciphertext.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Bits of a signed value that a slot can hold: S − 1 with the sign.
    pub fn value_bits(&self) -> u32 {
        self.slot_bits - 1
    }

    /// The public offset's exponent: every slot is lifted by 2^(S−2).
    pub fn offset_log2(&self) -> u32 {
        self.slot_bits - 2
    }

    /// Ciphertexts that `values` values need.
    pub fn ciphertexts(&self, values: usize) -> usize {
        values.div_ceil(self.slots)
    }

    pub(crate) fn ensure_fits(&self, key: &PublicKey) -> Result<(), Error> {
        if key.bits() == self.bits { Ok(()) } else { Err(Error::KeyMismatch) }
    }

    /// Σ 2^(S·k + S − 2) over the first `used` slots, as limbs of a plaintext.
    pub(crate) fn offsets(&self, used: usize) -> Vec<u64> {
        let mut sum = vec![0; self.bits.limbs()];
        for k in 0..used {
            let bit = k * self.slot_bits as usize + self.offset_log2() as usize;
            sum[bit / 64] |= 1 << (bit % 64);
        }
        sum
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
    /// Splits accumulators into packed ciphertexts, adding each the offsets of its slots in use.
    pub(crate) fn finish(
        key: &PublicKey,
        layout: PackLayout,
        mut groups: Residues,
        values: usize,
    ) -> Vec<Self> {
        let used = |g: usize| layout.slots().min(values - g * layout.slots());
        let offsets: Vec<u64> = (0..groups.len()).flat_map(|g| layout.offsets(used(g))).collect();
        key.kernel().add_plain(&mut groups.words, &offsets);
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
    Ok(Packed::finish(key, layout, acc, values))
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
