//! Sparse plaintext matrix times encrypted vector, packed: the forward product.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::accumulate::Accumulators;
use crate::ciphertext::Ciphertexts;
use crate::digits::{best_width, signed_digits};
use crate::error::Error;
use crate::invert::invert_batch;
use crate::kernel::{self, Kernel, Residues};
use crate::packing::{PackLayout, Packed};
use crate::sparse::{EncryptedVector, SparseMatrix};

/// A squaring's cost in products.
pub(crate) const SQUARING: f64 = 0.7;
/// Bytes that shared tables may take.
const TABLE_BYTES: usize = 256 << 20;

/// X·w packed: slot i of the result holds
///
/// Σ over indicator columns of w_j·2^`align_bits` + Σ over dense columns of w_j·x_ij
///
/// for the i-th row of its group, the first row in the lowest slot. `align_bits` is the number of
/// fractional bits that dense values have and indicators lack.
///
/// Packing needs S squarings a row anyway (shift the accumulator, add the row below). They are shared:
/// indicator columns are multiplied in when `align_bits` squarings are left, and digit k of a dense
/// value's signed base-2^w digits when w·k are left (Straus, 1964), from tables of each dense column's
/// small multiples that all rows of the batch share. So an entry of an indicator column costs one
/// product, one of a dense column one a non-zero digit; there is no squaring and no inversion an entry
/// (one inversion a call serves all negative digits).
///
/// # Errors
/// [`Error::KeyMismatch`] if the layout is for another key size, [`Error::Length`] unless the vector has
/// as many columns as the matrix, [`Error::SlotTooNarrow`] if S is below `align_bits` or the longest
/// multiplier.
pub fn forward_packed(
    batch: &SparseMatrix,
    w: &EncryptedVector,
    layout: PackLayout,
    align_bits: u32,
) -> Result<Vec<Packed>, Error> {
    layout.ensure_fits(w.key())?;
    let products = RowProducts::new(batch, w, align_bits)?;
    if products.longest() > layout.slot_bits() {
        let (slot_bits, needed) = (layout.slot_bits(), products.longest());
        return Err(Error::SlotTooNarrow { slot_bits, needed });
    }
    let groups = products.compute(layout.slots(), layout.slot_bits());
    Ok(Packed::finish(w.key(), layout, &groups, batch.rows()))
}

/// X·w with one ciphertext a row, scaled as in [`forward_packed`] but without packing.
///
/// # Errors
/// [`Error::Length`] unless the vector has as many columns as the matrix.
pub fn linear_combinations(
    batch: &SparseMatrix,
    w: &EncryptedVector,
    align_bits: u32,
) -> Result<Ciphertexts, Error> {
    let products = RowProducts::new(batch, w, align_bits)?;
    let residues = products.compute(1, products.longest());
    Ok(Ciphertexts::new(w.key().clone(), residues))
}

/// Everything that rows share.
struct RowProducts<'a> {
    batch: &'a SparseMatrix,
    w: &'a EncryptedVector,
    align_bits: u32,
    tables: Tables,
    /// Squarings left when factors are multiplied in, falling; the last is 0.
    events: Vec<u32>,
}

impl<'a> RowProducts<'a> {
    fn new(
        batch: &'a SparseMatrix,
        w: &'a EncryptedVector,
        align_bits: u32,
    ) -> Result<Self, Error> {
        if batch.columns() != w.len() {
            return Err(Error::Length { expected: w.len(), found: batch.columns() });
        }
        let tables = Tables::new(batch, w);
        let mut events: Vec<u32> = (0..tables.positions).map(|k| k * tables.width).collect();
        events.extend([0, align_bits]);
        events.sort_unstable_by(|a, b| b.cmp(a));
        events.dedup();
        Ok(Self { batch, w, align_bits, tables, events })
    }

    /// Squarings that a row needs at least.
    fn longest(&self) -> u32 {
        self.events[0]
    }

    /// Rows in groups of `slots`, `slot_bits` squarings a row.
    fn compute(&self, slots: usize, slot_bits: u32) -> Residues {
        let kernel = self.w.key().kernel();
        let groups = self.batch.rows().div_ceil(slots);
        let size = kernel::chunk(kernel, groups);
        let starts: Vec<usize> = (0..groups).step_by(size).collect();
        let chunks: Vec<_> = starts
            .into_par_iter()
            .map(|start| {
                let groups = start..groups.min(start + size);
                self.compute_groups(kernel, groups, slots, slot_bits)
            })
            .collect();
        let mut out = Residues::with_capacity(kernel, groups);
        chunks.iter().for_each(|chunk| out.words.extend_from_slice(chunk));
        out
    }

    fn compute_groups(
        &self,
        kernel: &dyn Kernel,
        groups: std::ops::Range<usize>,
        slots: usize,
        slot_bits: u32,
    ) -> Zeroizing<Vec<u64>> {
        let mut acc = Accumulators::new(kernel, groups.len());
        let mut indicators = Vec::new();
        let mut digits = vec![Vec::new(); self.tables.positions as usize];
        for slot in (0..slots).rev() {
            indicators.clear();
            digits.iter_mut().for_each(Vec::clear);
            for (lane, group) in groups.clone().enumerate() {
                let row = group * slots + slot;
                if row < self.batch.rows() {
                    self.factors(row, lane as u32, &mut indicators, &mut digits);
                }
            }
            let mut left = slot_bits;
            for &event in &self.events {
                acc.square((left - event) as usize);
                left = event;
                if event == self.align_bits {
                    acc.multiply(self.w.words(), &indicators);
                }
                if event % self.tables.width == 0
                    && let Some(pairs) = digits.get((event / self.tables.width) as usize)
                {
                    acc.multiply(&self.tables.words, pairs);
                }
            }
        }
        acc.finish()
    }

    /// The factors of one row: of indicator columns, and by digit position of dense ones.
    fn factors(
        &self,
        row: usize,
        lane: u32,
        indicators: &mut Vec<(u32, u32)>,
        digits: &mut [Vec<(u32, u32)>],
    ) {
        for (j, value) in self.batch.row(row) {
            if let Some(column) = self.tables.column(j) {
                for (position, digit) in signed_digits(value, self.tables.width) {
                    digits[position as usize].push((lane, self.tables.entry(column, digit)));
                }
            } else if let Some(place) = self.w.place(j) {
                indicators.push((lane, place));
            }
        }
    }
}

/// Multiples ±1, …, ±2^(width−1) of the dense columns that the batch meets.
struct Tables {
    /// Dense columns with a ciphertext, rising.
    columns: Vec<u32>,
    width: u32,
    /// Digit positions in use.
    positions: u32,
    /// `[sign][multiple − 1][column]`.
    words: Zeroizing<Vec<u64>>,
}

impl Tables {
    fn new(batch: &SparseMatrix, w: &EncryptedVector) -> Self {
        let kernel = w.key().kernel();
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (j, value) in (0..batch.rows()).flat_map(|i| batch.row(i)) {
            if batch.is_dense(j as usize) && w.place(j).is_some() {
                columns.push(j);
                values.push(value);
            }
        }
        columns.sort_unstable();
        columns.dedup();
        let entry_bytes = 8 * kernel.stride() * columns.len();
        let affordable = (TABLE_BYTES / entry_bytes.max(1)).max(4).ilog2();
        let width = best_width(&values, affordable.min(8), |width, digits| {
            let multiples = (columns.len() << width) as f64;
            multiples * (1.0 + SQUARING) / 2.0 + digits as f64
        });
        let all = || values.iter().flat_map(|&v| signed_digits(v, width));
        let positions = all().map(|(position, _)| position + 1).max().unwrap_or(0);
        let negative = all().any(|(_, digit)| digit < 0);
        let mut bases = Zeroizing::new(Vec::new());
        for &j in &columns {
            let place = w.place(j).expect("columns without a ciphertext were left out") as usize;
            let stride = kernel.stride();
            bases.extend_from_slice(&w.words()[place * stride..(place + 1) * stride]);
        }
        let mut words = multiples(kernel, &bases, width);
        if negative {
            let inverses = invert_batch(w.key(), &bases);
            words.extend_from_slice(&multiples(kernel, &inverses.words, width));
        }
        Self { columns, width, positions, words }
    }

    /// Where column j is among the table's, if it is dense and has a ciphertext.
    fn column(&self, j: u32) -> Option<usize> {
        self.columns.binary_search(&j).ok()
    }

    /// Index of the entry for a digit of a column.
    fn entry(&self, column: usize, digit: i64) -> u32 {
        let half = 1usize << (self.width - 1);
        let sign = if digit < 0 { half } else { 0 };
        let multiple = digit.unsigned_abs() as usize - 1;
        ((sign + multiple) * self.columns.len() + column) as u32
    }
}

/// Powers 1, …, 2^(width−1) of all bases, even ones by squaring.
fn multiples(kernel: &dyn Kernel, bases: &[u64], width: u32) -> Zeroizing<Vec<u64>> {
    let lanes = bases.len();
    let mut words = Zeroizing::new(Vec::with_capacity(lanes << (width - 1)));
    words.extend_from_slice(bases);
    if lanes == 0 {
        return words;
    }
    for m in 2..=1usize << (width - 1) {
        let from = if m % 2 == 0 { m / 2 } else { m - 1 };
        words.extend_from_within((from - 1) * lanes..from * lanes);
        let new = &mut words[(m - 1) * lanes..];
        if m % 2 == 0 {
            kernel::square_parallel(kernel, new);
        } else {
            kernel::multiply_parallel(kernel, new, bases);
        }
    }
    words
}
