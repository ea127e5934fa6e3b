//! Sparse plaintext matrices and encrypted vectors.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::ciphertext::Ciphertexts;
use crate::error::{DecodeError, Error};
use crate::kernel::Residues;
use crate::key::{ModulusBits, PublicKey};
use crate::limbs;

/// Bound on multipliers: |value| < 2^20.
pub const VALUE_BITS: u32 = 20;

/// Rows of small integers in compressed form, with every column either *dense* (fixed-point values)
/// or an *indicator* (all values 1). Secret data of its owner; redacted in `Debug`.
///
/// Products take time that depends on the number and places of non-zeros, which `SECURITY.md` states.
#[derive(Clone)]
pub struct SparseMatrix {
    columns: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<i32>,
    dense: Arc<[bool]>,
}

impl SparseMatrix {
    /// Checks and takes over a matrix: row i has the entries `indptr[i]..indptr[i + 1]`, and there is
    /// one flag a column in `dense`.
    ///
    /// # Errors
    /// [`Error::Matrix`] unless `indptr` starts at 0, never falls and ends at the number of entries;
    /// indices are below `columns` and strictly increase in a row; indicator values are exactly 1;
    /// dense values are not 0 and below 2^20 in absolute value; there are fewer than 2^31 entries and
    /// columns.
    pub fn new(
        columns: usize,
        indptr: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<i32>,
        dense: impl Into<Arc<[bool]>>,
    ) -> Result<Self, Error> {
        let dense = dense.into();
        let check = |ok: bool, what| if ok { Ok(()) } else { Err(Error::Matrix(what)) };
        check(dense.len() == columns, "one flag a column is needed")?;
        check(columns < 1 << 31 && indices.len() < 1 << 31, "too large")?;
        check(indices.len() == values.len(), "as many values as indices are needed")?;
        check(
            indptr.first() == Some(&0) && indptr.last() == Some(&indices.len()),
            "row pointers must run from 0 to the number of entries",
        )?;
        for row in indptr.windows(2) {
            check(row[0] <= row[1] && row[1] <= indices.len(), "row pointers must not fall")?;
            let row = &indices[row[0]..row[1]];
            check(row.is_sorted_by(|a, b| a < b), "column indices must increase in a row")?;
        }
        for (&j, &value) in indices.iter().zip(&values) {
            match dense.get(j as usize) {
                None => return Err(Error::Matrix("a column index is out of range")),
                Some(false) => check(value == 1, "an indicator is 1")?,
                Some(true) => check(
                    value != 0 && value.unsigned_abs() < 1 << VALUE_BITS,
                    "a dense value is not zero and below 2^20",
                )?,
            }
        }
        Ok(Self { columns, indptr, indices, values, dense })
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// The number of entries.
    pub fn nonzeros(&self) -> usize {
        self.indices.len()
    }

    /// Whether column j is dense.
    pub fn is_dense(&self, j: usize) -> bool {
        self.dense[j]
    }

    /// The entries (column, value) of row i.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (u32, i32)> + '_ {
        let entries = self.indptr[i]..self.indptr[i + 1];
        self.indices[entries.clone()].iter().copied().zip(self.values[entries].iter().copied())
    }

    /// The rows of a mini-batch, in the given order, repetitions allowed.
    ///
    /// # Errors
    /// [`Error::Matrix`] if a row does not exist.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self, Error> {
        let mut picked = Self {
            columns: self.columns,
            indptr: vec![0],
            indices: Vec::new(),
            values: Vec::new(),
            dense: Arc::clone(&self.dense),
        };
        for &i in rows {
            if i >= self.rows() {
                return Err(Error::Matrix("a row does not exist"));
            }
            let entries = self.indptr[i]..self.indptr[i + 1];
            picked.indices.extend_from_slice(&self.indices[entries.clone()]);
            picked.values.extend_from_slice(&self.values[entries]);
            picked.indptr.push(picked.indices.len());
        }
        Ok(picked)
    }
}

impl fmt::Debug for SparseMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SparseMatrix({} x {}, ..)", self.rows(), self.columns)
    }
}

/// Marks a column that has no ciphertext.
const UNTOUCHED: u32 = u32::MAX;

/// A vector under the peer's key with one ciphertext a *touched* column: the others are zero, need no
/// ciphertext, and get one when an update first touches them.
///
/// Local to the party that computes on it; cannot be encoded for the wire.
#[derive(Clone)]
pub struct EncryptedVector {
    key: PublicKey,
    /// Where the column's residue is, or [`UNTOUCHED`].
    places: Vec<u32>,
    residues: Residues,
}

impl EncryptedVector {
    /// A vector of `len` zeros.
    pub fn zeros(key: &PublicKey, len: usize) -> Self {
        Self {
            key: key.clone(),
            places: vec![UNTOUCHED; len],
            residues: Residues::with_capacity(key.kernel(), 0),
        }
    }

    /// A vector whose column j is ciphertext j.
    pub fn from_ciphertexts(ciphertexts: Ciphertexts) -> Self {
        Self {
            key: ciphertexts.key().clone(),
            places: (0..ciphertexts.len() as u32).collect(),
            residues: ciphertexts.into_residues(),
        }
    }

    /// The public key it is under.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of columns with a ciphertext.
    pub fn touched(&self) -> usize {
        self.residues.len()
    }

    /// Whether column j has a ciphertext.
    pub fn is_touched(&self, j: usize) -> bool {
        self.places[j] != UNTOUCHED
    }

    /// The ciphertexts of some columns; an untouched one is the trivial encryption of zero.
    ///
    /// # Errors
    /// [`Error::Matrix`] if a column does not exist.
    pub fn ciphertexts(&self, columns: &[usize]) -> Result<Ciphertexts, Error> {
        let kernel = self.key.kernel();
        let mut residues = Residues::with_capacity(kernel, columns.len());
        for &j in columns {
            let &place = self.places.get(j).ok_or(Error::Matrix("a column does not exist"))?;
            residues.words.extend_from_slice(match place {
                UNTOUCHED => kernel.one(),
                place => self.residues.get(place as usize),
            });
        }
        Ok(Ciphertexts::new(self.key.clone(), residues))
    }

    /// Records for **local storage**, of at most `per_record` touched columns each, from which
    /// [`restore`](Self::restore) makes the vector again: column (4 bytes) and ciphertext, little-endian,
    /// columns increasing. Untouched columns take no room.
    ///
    /// They hold ciphertexts without fresh randomness: whoever has the secret key could learn from
    /// them which products were computed. They must never reach the peer, and are no type that a
    /// message takes.
    pub fn snapshot(&self, per_record: usize) -> impl Iterator<Item = Zeroizing<Vec<u8>>> + '_ {
        let touched: Vec<(u32, u32)> = (0..)
            .zip(&self.places)
            .filter(|(_, p)| **p != UNTOUCHED)
            .map(|(j, p)| (j, *p))
            .collect();
        let per_record = per_record.max(1);
        let digits = 2 * self.key.bits().limbs();
        let records = touched.len().div_ceil(per_record);
        (0..records).map(move |record| {
            let columns = touched.iter().skip(record * per_record).take(per_record);
            let mut words = Zeroizing::new(Vec::with_capacity(per_record * self.residues.stride));
            for &(_, place) in columns.clone() {
                words.extend_from_slice(self.residues.get(place as usize));
            }
            let canonical = self.key.kernel().export(&words);
            let mut out = Zeroizing::new(Vec::with_capacity(
                columns.len() * Self::snapshot_bytes(self.key.bits()),
            ));
            for (&(j, _), residue) in columns.zip(canonical.chunks_exact(digits)) {
                out.extend_from_slice(&j.to_le_bytes());
                out.extend_from_slice(&limbs::to_le_bytes(residue));
            }
            out
        })
    }

    /// Bytes of one touched column in a [`snapshot`](Self::snapshot).
    pub const fn snapshot_bytes(bits: ModulusBits) -> usize {
        4 + bits.ciphertext_bytes()
    }

    /// Adds the columns of one record of a [`snapshot`](Self::snapshot). Starting from
    /// [`zeros`](Self::zeros), all records together give the vector again.
    ///
    /// # Errors
    /// Any [`DecodeError`]: the bytes are checked like received ones. [`DecodeError::Index`] for a column
    /// that does not exist, has a ciphertext already or does not follow the one before. The vector is
    /// unchanged then.
    pub fn restore(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        let width = Self::snapshot_bytes(self.key.bits());
        let count = record.len() / width;
        if record.len() != count * width {
            return Err(DecodeError::Length { expected: (count + 1) * width, found: record.len() });
        }
        let mut columns = Vec::with_capacity(count);
        let mut encoded = Zeroizing::new(Vec::with_capacity(record.len()));
        for column in record.chunks_exact(width) {
            let (j, ciphertext) = column.split_first_chunk::<4>().ok_or(DecodeError::Index)?;
            let j = u32::from_le_bytes(*j);
            let free = self.places.get(j as usize) == Some(&UNTOUCHED);
            if !free || columns.last().is_some_and(|&before| before >= j) {
                return Err(DecodeError::Index);
            }
            columns.push(j);
            encoded.extend_from_slice(ciphertext);
        }
        let residues = Ciphertexts::decode(&self.key, &encoded, count)?.into_residues();
        let before = self.residues.len() as u32;
        for (j, place) in columns.into_iter().zip(before..) {
            self.places[j as usize] = place;
        }
        self.residues.words.extend_from_slice(&residues.words);
        Ok(())
    }

    /// Where column j's residue is among [`words`](Self::words).
    pub(crate) fn place(&self, j: u32) -> Option<u32> {
        Some(self.places[j as usize]).filter(|&place| place != UNTOUCHED)
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.residues.words
    }

    /// Gives every column a place, in order; returns the places, the words with room for the new ones
    /// at the end, and how many places were there before.
    pub(crate) fn touch(&mut self, columns: &[u32]) -> (Vec<u32>, &mut [u64], usize) {
        let before = self.residues.len();
        let mut count = before;
        let mut placed = Vec::with_capacity(columns.len());
        for &j in columns {
            let place = &mut self.places[j as usize];
            if *place == UNTOUCHED {
                *place = count as u32;
                count += 1;
            }
            placed.push(*place);
        }
        self.residues.words.resize(count * self.residues.stride, 0);
        (placed, &mut self.residues.words, before)
    }
}

impl fmt::Debug for EncryptedVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedVector({} of {} touched)", self.touched(), self.len())
    }
}
