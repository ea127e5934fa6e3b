//! Rows of numbers in compressed sparse form.

use std::fmt;

use crate::{
    features::Rows,
    matrix::{Features, Values},
};

/// A matrix in compressed sparse rows, borrowed.
///
/// `indptr` has one entry more than there are rows, rises, and ends at the common length of `indices`
/// and `values`; indices are below `columns`.
#[derive(Clone, Copy)]
pub struct Csr<'a> {
    /// Number of columns.
    pub columns: usize,
    /// Row i has the entries `indptr[i]..indptr[i + 1]`.
    pub indptr: &'a [usize],
    /// Column of each entry.
    pub indices: &'a [u32],
    /// Value of each entry.
    pub values: &'a [f64],
}

impl Csr<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Column and value of each entry of row `i`.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let entries = self.indptr[i]..self.indptr[i + 1];
        let columns = self.indices[entries.clone()].iter().map(|&j| j as usize);
        columns.zip(self.values[entries].iter().copied())
    }

    /// `X·w`, one value a row.
    pub(super) fn times(&self, w: &[f64], out: &mut [f64]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.row(i).map(|(j, x)| w[j] * x).sum();
        }
    }

    /// `out += Xᵀ·v`, one value a column.
    pub(super) fn add_transposed_times(&self, v: &[f64], out: &mut [f64]) {
        for (i, &v) in v.iter().enumerate() {
            for (j, x) in self.row(i) {
                out[j] += v * x;
            }
        }
    }
}

impl fmt::Debug for Csr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({} x {}, ..)", self.rows(), self.columns)
    }
}

/// A [`Csr`] that owns its entries.
#[derive(Clone, PartialEq)]
pub struct OwnedCsr {
    columns: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
}

impl OwnedCsr {
    /// Prepared rows.
    pub fn from_rows(columns: usize, rows: Rows) -> Self {
        let Rows { indptr, indices, values } = rows;
        Self { columns, indptr, indices, values }
    }

    /// Chosen rows of a party's features, in the order of `rows`, as they are: of a typed table the
    /// numbers that are not zero. What is missing and what is no number is no entry.
    pub fn from_features(features: &Features, rows: &[usize]) -> Self {
        let mut out = Self::new(features.columns(), rows.len());
        for &row in rows {
            match features {
                Features::Typed(columns) => out.push_row((0..).zip(columns).map(|(j, column)| {
                    let number = match &column.values {
                        Values::Numeric(numbers) => numbers.get(row),
                        Values::Categorical(_) => None,
                    };
                    (j, number.unwrap_or(0.0))
                })),
                Features::Sparse { indptr, indices, values, .. } => {
                    let entries = indptr[row]..indptr[row + 1];
                    let columns = indices[entries.clone()].iter().copied();
                    out.push_row(columns.zip(values[entries].iter().copied()));
                }
            }
        }
        out
    }

    /// The same matrix, borrowed.
    pub fn as_csr(&self) -> Csr<'_> {
        let Self { columns, indptr, indices, values } = self;
        Csr { columns: *columns, indptr, indices, values }
    }

    fn new(columns: usize, rows: usize) -> Self {
        let mut indptr = Vec::with_capacity(rows + 1);
        indptr.push(0);
        Self { columns, indptr, indices: Vec::new(), values: Vec::new() }
    }

    fn push_row(&mut self, entries: impl Iterator<Item = (u32, f64)>) {
        for (j, x) in entries.filter(|&(_, x)| x != 0.0) {
            self.indices.push(j);
            self.values.push(x);
        }
        self.indptr.push(self.indices.len());
    }
}

impl fmt::Debug for OwnedCsr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owned{:?}", self.as_csr())
    }
}
