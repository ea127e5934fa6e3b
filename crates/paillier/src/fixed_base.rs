//! Powers of one base with many secret exponents.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::kernel::{self, Kernel, Powers, Residues};
use crate::limbs;

/// Bits a digit of the exponent. One more halves nothing but the table's size and the time of its scan
/// double; 6 was measured best at both key sizes.
const WINDOW: usize = 6;

/// Powers of one base, computed by the kernel's tables.
pub(crate) struct FixedBase(Box<dyn Powers>);

impl FixedBase {
    /// Tables for exponents below 2^`exponent_bits` of `base`, in the kernel's form.
    pub(crate) fn new(kernel: Arc<dyn Kernel>, base: &[u64], exponent_bits: usize) -> Self {
        Self(kernel.fixed_base(base, exponent_bits))
    }

    /// g^e for each exponent of `exponent_limbs` limbs. Neither time nor addresses depend on them.
    pub(crate) fn powers(&self, exponents: &[u64], exponent_limbs: usize) -> Residues {
        self.0.powers(exponents, exponent_limbs)
    }
}

impl fmt::Debug for FixedBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBase").finish_non_exhaustive()
    }
}

/// Tables for any kernel: for every digit position i and digit d the power g^(d·2^(6i)), so that a power
/// is one product a digit and no squaring.
pub(crate) struct ScannedTable {
    kernel: Arc<dyn Kernel>,
    /// Position-major, 2^WINDOW residues a position.
    table: Residues,
}

impl ScannedTable {
    /// Tables for exponents below 2^`exponent_bits` of `base`, in the kernel's form.
    pub(crate) fn new(kernel: Arc<dyn Kernel>, base: &[u64], exponent_bits: usize) -> Self {
        let positions = exponent_bits.div_ceil(WINDOW);
        let stride = kernel.stride();
        // g^(2^(6i)) for every position i.
        let mut bases = Zeroizing::new(base.to_vec());
        for i in 1..positions {
            bases.extend_from_within((i - 1) * stride..);
            kernel.square(&mut bases[i * stride..], WINDOW);
        }
        let table = bases
            .par_chunks(stride)
            .flat_map_iter(|base| {
                let mut entries = Residues::ones(kernel.as_ref(), 1 << WINDOW).words;
                for d in 1..1 << WINDOW {
                    let (done, next) = entries.split_at_mut(d * stride);
                    next[..stride].copy_from_slice(&done[(d - 1) * stride..]);
                    kernel.multiply(&mut next[..stride], base);
                }
                entries.to_vec()
            })
            .collect();
        Self { table: Residues { words: Zeroizing::new(table), stride }, kernel }
    }
}

impl Powers for ScannedTable {
    /// Every position costs a product, and its entry is selected by scanning.
    fn powers(&self, exponents: &[u64], exponent_limbs: usize) -> Residues {
        let (kernel, stride) = (self.kernel.as_ref(), self.table.stride);
        let count = exponents.len() / exponent_limbs;
        let mut out = Residues::ones(kernel, count);
        let size = kernel::chunk(kernel, count);
        out.words
            .par_chunks_mut(size * stride)
            .zip(exponents.par_chunks(size * exponent_limbs))
            .for_each(|(out, exponents)| {
                let mut factors = Zeroizing::new(vec![0; out.len()]);
                for (i, entries) in self.table.words.chunks(stride << WINDOW).enumerate() {
                    let each = exponents.chunks_exact(exponent_limbs);
                    for (factor, e) in factors.chunks_exact_mut(stride).zip(each) {
                        limbs::select(factor, entries, limbs::bits(e, WINDOW * i, WINDOW));
                    }
                    kernel.multiply(out, &factors);
                }
            });
        out
    }
}
