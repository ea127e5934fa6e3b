//! Operations on ciphertexts that act on their plaintexts modulo N.
//!
//! Results carry no fresh randomness: they are local until they are masked and sanitised.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::ciphertext::Ciphertexts;
use crate::error::Error;
use crate::invert::invert_batch;
use crate::kernel::{self, Kernel, Residues};
use crate::limbs;
use crate::plaintext::Plaintext;

/// Items that [`Ciphertexts::mul_small`] takes at a time: their tables fit a processor's second cache.
const MUL_TOGETHER: usize = 16;

impl Ciphertexts {
    fn ensure_compatible(&self, other: &Self) -> Result<(), Error> {
        self.key().ensure_same(other.key())?;
        self.ensure_len(other.len())
    }

    fn ensure_len(&self, found: usize) -> Result<(), Error> {
        let expected = self.len();
        if expected == found { Ok(()) } else { Err(Error::Length { expected, found }) }
    }

    /// Plaintext sums, item by item: one product each.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] or [`Error::Length`].
    pub fn add(&self, other: &Self) -> Result<Self, Error> {
        self.ensure_compatible(other)?;
        let mut sum = self.clone();
        let words = &mut sum.residues_mut().words;
        kernel::multiply_parallel(self.kernel(), words, &other.residues().words);
        Ok(sum)
    }

    /// Plaintext differences, item by item: four products each and one inversion a call.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] or [`Error::Length`].
    pub fn sub(&self, other: &Self) -> Result<Self, Error> {
        self.ensure_compatible(other)?;
        self.add(&other.negate())
    }

    /// Plaintexts negated modulo N: three products each and one inversion a call.
    #[must_use]
    pub fn negate(&self) -> Self {
        let inverses = invert_batch(self.key(), &self.residues().words);
        Self::new(self.key().clone(), inverses)
    }

    /// Adds a plaintext to each item.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many plaintexts as items, all of this key's width.
    pub fn add_plain(&self, plaintexts: &[Plaintext]) -> Result<Self, Error> {
        self.ensure_len(plaintexts.len())?;
        let mut m = Zeroizing::new(Vec::new());
        for plaintext in plaintexts {
            self.key().check_width(plaintext)?;
            m.extend_from_slice(plaintext.limbs());
        }
        let mut sum = self.clone();
        let kernel = self.kernel();
        let size = kernel::chunk(kernel, self.len());
        sum.residues_mut()
            .words
            .par_chunks_mut(size * kernel.stride())
            .zip(m.par_chunks(size * kernel.digit_limbs()))
            .for_each(|(acc, m)| kernel.add_plain(acc, m));
        Ok(sum)
    }

    /// Adds a signed number to each item; see [`Self::add_plain`].
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many numbers as items.
    pub fn add_signed(&self, values: &[i128]) -> Result<Self, Error> {
        let plaintexts: Vec<_> =
            values.iter().map(|&v| Plaintext::from_i128(self.key(), v)).collect();
        self.add_plain(&plaintexts)
    }

    /// Multiplies each item's plaintext by a small signed number, in time independent of the numbers:
    /// 32 squarings and 8 table products each, with the table and the sign selected by scanning. For
    /// sparse products use [`linear_combinations`](crate::linear_combinations).
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many numbers as items.
    pub fn mul_small(&self, scalars: &[i32]) -> Result<Self, Error> {
        self.ensure_len(scalars.len())?;
        let kernel = self.kernel();
        let inverses = self.negate();
        let mut out = Residues::ones(kernel, self.len());
        let count = kernel::chunk(kernel, self.len()).min(MUL_TOGETHER);
        let size = count * kernel.stride();
        out.words
            .par_chunks_mut(size)
            .zip(
                self.residues()
                    .words
                    .par_chunks(size)
                    .zip(inverses.residues().words.par_chunks(size)),
            )
            .zip(scalars.par_chunks(count))
            .for_each(|((acc, bases), scalars)| powers_small(kernel, acc, bases, scalars));
        Ok(Self::new(self.key().clone(), out))
    }
}

/// `acc[i] = acc[i]·bases[i]^scalars[i]`, given the bases' inverses too and all `acc` being 1.
fn powers_small(
    kernel: &dyn Kernel,
    acc: &mut [u64],
    (bases, inverses): (&[u64], &[u64]),
    scalars: &[i32],
) {
    const WINDOW: usize = 4;
    const ENTRIES: usize = 1 << WINDOW;
    let stride = kernel.stride();
    let mut factors = Zeroizing::new(vec![0; bases.len()]);
    let signed = factors.chunks_exact_mut(stride).zip(scalars);
    let pairs = bases.chunks_exact(stride).zip(inverses.chunks_exact(stride));
    let mut signs = Zeroizing::new(Vec::with_capacity(2 * stride));
    for ((factor, &scalar), (base, inverse)) in signed.zip(pairs) {
        signs.clear();
        signs.extend_from_slice(base);
        signs.extend_from_slice(inverse);
        limbs::select(factor, &signs, u64::from(scalar as u32 >> 31));
    }
    // A table an item: its powers one after the other.
    let mut tables = Residues::ones(kernel, ENTRIES * scalars.len()).words;
    let mut power = Residues::ones(kernel, scalars.len()).words;
    for d in 1..ENTRIES {
        kernel.multiply(&mut power, &factors);
        for (table, power) in tables.chunks_exact_mut(ENTRIES * stride).zip(power.chunks(stride)) {
            table[d * stride..(d + 1) * stride].copy_from_slice(power);
        }
    }
    for position in (0..32 / WINDOW).rev() {
        kernel.square(acc, WINDOW);
        let items = factors.chunks_exact_mut(stride).zip(tables.chunks_exact(ENTRIES * stride));
        for ((factor, table), scalar) in items.zip(scalars) {
            let magnitude = [u64::from(scalar.unsigned_abs())];
            limbs::select(factor, table, limbs::bits(&magnitude, WINDOW * position, WINDOW));
        }
        kernel.multiply(acc, &factors);
    }
}
