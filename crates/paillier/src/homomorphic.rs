//! Operations on ciphertexts that act on their plaintexts modulo N.
//!
//! Results carry no fresh randomness: they are local until they are masked and sanitised.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::ciphertext::Ciphertexts;
use crate::error::Error;
use crate::invert::invert_batch;
use crate::kernel::{self, Residues};
use crate::limbs;
use crate::plaintext::Plaintext;

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

    /// Adds an unsigned number to each item; see [`Self::add_plain`].
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many numbers as items.
    pub fn add_u128(&self, values: &[u128]) -> Result<Self, Error> {
        let bits = self.key().bits();
        let plaintexts: Vec<_> = values.iter().map(|&v| Plaintext::from_u128(bits, v)).collect();
        self.add_plain(&plaintexts)
    }

    /// Multiplies each item's plaintext by a small signed number, in time independent of the numbers:
    /// 32 squarings and 8 table products each, with the table and the sign selected by scanning. For
    /// sparse products use [`linear_combinations`](crate::linear_combinations).
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many numbers as items.
    pub fn mul_small(&self, scalars: &[i32]) -> Result<Self, Error> {
        const WINDOW: usize = 4;
        self.ensure_len(scalars.len())?;
        let kernel = self.kernel();
        let stride = kernel.stride();
        let inverses = self.negate();
        let mut out = Residues::ones(kernel, self.len());
        out.words.par_chunks_mut(stride).zip(scalars).enumerate().for_each(
            |(i, (acc, &scalar))| {
                let signs = [self.residues().get(i), inverses.residues().get(i)].concat();
                let mut base = Zeroizing::new(vec![0; stride]);
                limbs::select(&mut base, &signs, u64::from(scalar as u32 >> 31));
                let mut table = Residues::ones(kernel, 1 << WINDOW).words;
                for d in 1..1 << WINDOW {
                    let (done, next) = table.split_at_mut(d * stride);
                    next[..stride].copy_from_slice(&done[(d - 1) * stride..]);
                    kernel.multiply(&mut next[..stride], &base);
                }
                let magnitude = [u64::from(scalar.unsigned_abs())];
                for position in (0..32 / WINDOW).rev() {
                    kernel.square(acc, WINDOW);
                    let digit = limbs::bits(&magnitude, WINDOW * position, WINDOW);
                    limbs::select(&mut base, &table, digit);
                    kernel.multiply(acc, &base);
                }
            },
        );
        Ok(Self::new(self.key().clone(), out))
    }
}
