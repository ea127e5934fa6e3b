//! Batches of residues modulo n², and the one narrow trait that all their arithmetic goes through.
//!
//! A kernel owns a modulus n of h limbs and works modulo n². Its callers (fixed-base tables,
//! exponentiation, packing, sparse products) hold residues as flat words in *the kernel's own form*
//! and hand over whole batches, so a kernel that computes eight residues side by side can replace
//! the portable one without a change to any of them.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use zeroize::Zeroizing;

use portable::Portable;

/// Arithmetic modulo n² on batches of residues.
///
/// A batch is a slice of [`stride`](Kernel::stride) contiguous words a residue, in a form only the
/// kernel knows; a word is meaningless to the caller, but residues may be copied, split off and
/// selected among as blocks of `stride` words. The canonical form is the two base-n digits
/// `x0 ‖ x1` of x = x0 + x1·n, h limbs each, little-endian. Every operation takes time that depends on
/// the number of residues only, never on their values.
pub trait Kernel: Send + Sync + fmt::Debug {
    /// A name for logs and benchmark reports.
    fn name(&self) -> &'static str;

    /// Words a residue.
    fn stride(&self) -> usize;

    /// Residues computed side by side: batches of a multiple of it waste nothing.
    fn lanes(&self) -> usize {
        1
    }

    /// Limbs h of n, that is of one canonical digit.
    fn digit_limbs(&self) -> usize;

    /// The residue 1 in the kernel's form.
    fn one(&self) -> &[u64];

    /// Converts canonical residues (2h limbs each, both digits below n) to the kernel's form.
    fn import(&self, canonical: &[u64]) -> Residues;

    /// Converts residues to their canonical digits, 2h limbs each.
    fn export(&self, residues: &[u64]) -> Zeroizing<Vec<u64>>;

    /// `acc[i] = acc[i] · operands[i]` for every i.
    fn multiply(&self, acc: &mut [u64], operands: &[u64]);

    /// `acc[i] = acc[i] · operands[j]` for every pair (i, j) of the plan.
    ///
    /// Pairs may come in any order and an i may occur many times; pairs with different i are
    /// independent of each other.
    fn multiply_gather(&self, acc: &mut [u64], operands: &[u64], plan: &[(u32, u32)]);

    /// Squares every residue `times` times.
    fn square(&self, acc: &mut [u64], times: usize);

    /// `acc[i] = acc[i] · (1 + m[i]·n)`, which adds `m[i]` to a Paillier plaintext. `m` holds h limbs a
    /// residue, each number below n.
    fn add_plain(&self, acc: &mut [u64], m: &[u64]);

    /// The same on canonical residues.
    fn add_plain_canonical(&self, canonical: &mut [u64], m: &[u64]);

    /// `base^exponent` of every base, with the exponent secret: every bit of its limbs costs the same,
    /// and table entries are selected by scanning.
    fn power(&self, bases: &[u64], exponent: &[u64]) -> Residues;

    /// Tables for powers of one base, below 2^`exponent_bits`, in a layout that suits the kernel.
    fn fixed_base(self: Arc<Self>, base: &[u64], exponent_bits: usize) -> Box<dyn Powers>;
}

/// Powers of one base with secret exponents.
pub trait Powers: Send + Sync {
    /// The power for each exponent of `exponent_limbs` limbs. Neither time nor addresses depend on the
    /// exponents.
    fn powers(&self, exponents: &[u64], exponent_limbs: usize) -> Residues;
}

/// Residues in a kernel's form, wiped on drop: they can be powers of secrets.
#[derive(Clone)]
pub struct Residues {
    /// `stride` words a residue.
    pub words: Zeroizing<Vec<u64>>,
    /// Words a residue.
    pub stride: usize,
}

impl Residues {
    /// `count` residues, all 1.
    pub fn ones(kernel: &dyn Kernel, count: usize) -> Self {
        Self { words: Zeroizing::new(kernel.one().repeat(count)), stride: kernel.stride() }
    }

    /// No residue, with room for `count`.
    pub fn with_capacity(kernel: &dyn Kernel, count: usize) -> Self {
        let stride = kernel.stride();
        Self { words: Zeroizing::new(Vec::with_capacity(count * stride)), stride }
    }

    /// The number of residues.
    pub fn len(&self) -> usize {
        self.words.len() / self.stride
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words of residue i.
    pub fn get(&self, i: usize) -> &[u64] {
        &self.words[i * self.stride..(i + 1) * self.stride]
    }
}

impl fmt::Debug for Residues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Residues").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Which kernel a key is to use. Programs take the fastest; tests and benchmarks take both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What the processor runs fastest.
    Fastest,
    /// The one that runs on any processor.
    Portable,
}

/// The kernel for n² that is fastest here. `n` is odd and fills its limbs, 8 to 48 and a multiple of 4
/// of them; it is public or a secret prime, and the kernel wipes what it derives from it.
pub fn kernel_for(n: &[u64]) -> Arc<dyn Kernel> {
    choose(Choice::Fastest, n)
}

/// The name of the kernel that keys get on this processor, for logs.
pub fn fastest() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if ifma::is_available() {
        return ifma::NAME;
    }
    portable::NAME
}

/// As [`kernel_for`], with the kernel that is asked for.
pub fn choose(choice: Choice, n: &[u64]) -> Arc<dyn Kernel> {
    #[cfg(target_arch = "x86_64")]
    if choice == Choice::Fastest
        && let Some(kernel) = ifma::kernel_for(n)
    {
        return kernel;
    }
    let (Choice::Fastest | Choice::Portable) = choice;
    Arc::new(Portable::new(n))
}

/// Residues a thread takes at a time, so that `count` of them are spread evenly and fill the lanes.
pub(crate) fn chunk(kernel: &dyn Kernel, count: usize) -> usize {
    count.div_ceil(rayon::current_num_threads()).max(1).next_multiple_of(kernel.lanes())
}

/// Lane-wise products on all threads.
pub(crate) fn multiply_parallel(kernel: &dyn Kernel, acc: &mut [u64], operands: &[u64]) {
    let size = kernel.stride() * chunk(kernel, acc.len() / kernel.stride());
    acc.par_chunks_mut(size)
        .zip(operands.par_chunks(size))
        .for_each(|(acc, operands)| kernel.multiply(acc, operands));
}

/// Lane-wise squares on all threads.
pub(crate) fn square_parallel(kernel: &dyn Kernel, acc: &mut [u64]) {
    let size = kernel.stride() * chunk(kernel, acc.len() / kernel.stride());
    acc.par_chunks_mut(size).for_each(|acc| kernel.square(acc, 1));
}

#[cfg(test)]
mod tests;
