//! Transposed sparse plaintext matrix times encrypted errors: the backward product.

use rayon::prelude::*;

use crate::accumulate::{Accumulators, place_first};
use crate::ciphertext::Ciphertexts;
use crate::digits::{best_width, signed_digits};
use crate::error::Error;
use crate::forward::SQUARING;
use crate::invert::invert_batch;
use crate::kernel::{self, Kernel};
use crate::sparse::{EncryptedVector, SparseMatrix};

/// Bytes of buckets that one thread may hold.
const BUCKET_BYTES: usize = 16 << 20;

/// w_j += Σ_i x_ij·e_i for every column j that the batch meets, with one error ciphertext a row.
///
/// An indicator's entry costs one product. Dense columns are summed in buckets (Pippenger, 1976): for
/// each digit position of the signed base-2^c digits, e_i goes into the bucket of its digit, and the
/// buckets are added up with their weights by running sums. Negative digits take e_i⁻¹, from one batch
/// inversion a call. Columns without a ciphertext get one.
///
/// # Errors
/// [`Error::KeyMismatch`] if errors and vector are under different keys, [`Error::Length`] unless there
/// is one error a row and the vector has as many columns as the matrix.
pub fn accumulate_transpose(
    batch: &SparseMatrix,
    errors: &Ciphertexts,
    w: &mut EncryptedVector,
) -> Result<(), Error> {
    errors.key().ensure_same(w.key())?;
    if errors.len() != batch.rows() {
        return Err(Error::Length { expected: batch.rows(), found: errors.len() });
    }
    if batch.columns() != w.len() {
        return Err(Error::Length { expected: w.len(), found: batch.columns() });
    }
    let (mut indicators, mut dense) = (Vec::new(), Vec::new());
    for i in 0..batch.rows() {
        for (j, value) in batch.row(i) {
            if batch.is_dense(j as usize) {
                dense.push((j, i as u32, value));
            } else {
                indicators.push((j, i as u32));
            }
        }
    }
    let key = errors.key().clone();
    multiply_columns(key.kernel(), w, &indicators, &errors.residues().words);
    let updates = dense_updates(errors, dense);
    let pairs: Vec<_> = updates.columns.iter().zip(0..).map(|(&j, i)| (j, i)).collect();
    multiply_columns(key.kernel(), w, &pairs, &updates.words);
    Ok(())
}

/// Multiplies operand i into column j for all pairs (j, i), columns spread over the threads.
fn multiply_columns(
    kernel: &dyn Kernel,
    w: &mut EncryptedVector,
    pairs: &[(u32, u32)],
    operands: &[u64],
) {
    let columns: Vec<u32> = pairs.iter().map(|&(j, _)| j).collect();
    let (places, words, before) = w.touch(&columns);
    let mut placed: Vec<_> = places.into_iter().zip(pairs).map(|(p, &(_, i))| (p, i)).collect();
    placed.sort_unstable();
    let stride = kernel.stride();
    // Small chunks, because columns are met unequally often.
    let size = kernel::chunk(kernel, words.len() / stride).div_ceil(8);
    words.par_chunks_mut(size * stride).enumerate().for_each(|(chunk, words)| {
        let first = chunk * size;
        let from = placed.partition_point(|&(place, _)| (place as usize) < first);
        let to = placed.partition_point(|&(place, _)| (place as usize) < first + size);
        let pairs: Vec<_> =
            placed[from..to].iter().map(|&(place, i)| (place - first as u32, i)).collect();
        let mut occupied: Vec<bool> =
            (first..first + words.len() / stride).map(|place| place < before).collect();
        let plan = place_first(stride, words, &mut occupied, operands, &pairs);
        kernel.multiply_gather(words, operands, &plan);
    });
}

/// One ciphertext a dense column.
struct Updates {
    columns: Vec<u32>,
    words: Vec<u64>,
}

fn dense_updates(errors: &Ciphertexts, mut entries: Vec<(u32, u32, i32)>) -> Updates {
    let kernel = errors.kernel();
    entries.sort_unstable();
    let columns: Vec<&[(u32, u32, i32)]> = entries.chunk_by(|a, b| a.0 == b.0).collect();
    let values: Vec<i32> = entries.iter().map(|e| e.2).collect();
    let longest = values.iter().map(|v| v.unsigned_abs().ilog2() + 2).max().unwrap_or(0);
    let width = best_width(&values, 10, |width, digits| {
        let positions = f64::from(longest.div_ceil(width));
        // Each bucket is met twice by the running sums; its first factor is a copy.
        let buckets = positions * f64::from(1u32 << (width - 1));
        digits as f64 + columns.len() as f64 * (buckets + f64::from(longest) * SQUARING)
    });
    let all = || values.iter().flat_map(|&v| signed_digits(v, width));
    let positions = all().map(|(position, _)| position as usize + 1).max().unwrap_or(0);
    let inverses = all()
        .any(|(_, digit)| digit < 0)
        .then(|| invert_batch(errors.key(), &errors.residues().words));
    let buckets = Buckets {
        kernel,
        width,
        positions,
        errors: &errors.residues().words,
        inverses: inverses.as_ref().map_or(&[], |inverses| inverses.words.as_slice()),
    };
    let column_bytes = 8 * kernel.stride() * (positions << (width - 1)).max(1);
    let size =
        kernel::chunk(kernel, columns.len()).min(8).min((BUCKET_BYTES / column_bytes).max(1));
    let words = columns.par_chunks(size).flat_map_iter(|columns| buckets.sum(columns)).collect();
    Updates { columns: columns.iter().map(|entries| entries[0].0).collect(), words }
}

/// The bucket method for one digit width.
struct Buckets<'a> {
    kernel: &'a dyn Kernel,
    width: u32,
    positions: usize,
    errors: &'a [u64],
    /// Empty if no digit is negative.
    inverses: &'a [u64],
}

impl Buckets<'_> {
    /// Σ x·e of a few columns, one residue each, computed side by side.
    fn sum(&self, columns: &[&[(u32, u32, i32)]]) -> Vec<u64> {
        let weights = 1usize << (self.width - 1);
        let lanes = columns.len() * self.positions;
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        for (column, entries) in columns.iter().enumerate() {
            for &(_, i, value) in *entries {
                for (position, digit) in signed_digits(value, self.width) {
                    let lane = column * self.positions + position as usize;
                    let bucket = lane * weights + digit.unsigned_abs() as usize - 1;
                    let pairs = if digit < 0 { &mut negative } else { &mut positive };
                    pairs.push((bucket as u32, i));
                }
            }
        }
        let mut buckets = Accumulators::new(self.kernel, lanes * weights);
        buckets.multiply(self.errors, &positive);
        buckets.multiply(self.inverses, &negative);
        // running = buckets of weight ≥ m; added to the total once for every m.
        let mut running = Accumulators::new(self.kernel, lanes);
        let mut total = Accumulators::new(self.kernel, lanes);
        for m in (0..weights).rev() {
            let met: Vec<_> = (0..lanes)
                .map(|lane| (lane as u32, (lane * weights + m) as u32))
                .filter(|&(_, bucket)| buckets.is_occupied(bucket as usize))
                .collect();
            running.multiply(buckets.words(), &met);
            let started: Vec<_> = (0..lanes as u32)
                .filter(|&lane| running.is_occupied(lane as usize))
                .map(|lane| (lane, lane))
                .collect();
            total.multiply(running.words(), &started);
        }
        // Positions are put together from the highest on.
        let mut acc = Accumulators::new(self.kernel, columns.len());
        for position in (0..self.positions).rev() {
            acc.square(self.width as usize);
            let pairs: Vec<_> = (0..columns.len())
                .map(|column| (column as u32, (column * self.positions + position) as u32))
                .filter(|&(_, lane)| total.is_occupied(lane as usize))
                .collect();
            acc.multiply(total.words(), &pairs);
        }
        acc.finish().to_vec()
    }
}
