//! Rows of numbers in compressed sparse form, and their standardisation.

use std::fmt;

use crate::matrix::Features;

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
    /// Chosen rows of a party's features, in the order of `rows`. Zeros of dense tables are dropped.
    pub fn from_features(features: &Features, rows: &[usize]) -> Self {
        let mut out = Self::new(features.columns(), rows.len());
        for &row in rows {
            match features {
                Features::Dense { names, values } => {
                    let row = &values[row * names.len()..][..names.len()];
                    out.push_row((0..).zip(row.iter().copied()));
                }
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

/// Mean and standard deviation (of the population) of each column.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardisation {
    /// One mean a column.
    pub mean: Vec<f64>,
    /// One deviation a column; 1 where a column is constant.
    pub deviation: Vec<f64>,
}

impl Standardisation {
    /// Of the given rows, in two passes.
    pub fn fit(x: &Csr<'_>) -> Self {
        let n = x.rows().max(1) as f64;
        let mut mean = vec![0.0; x.columns];
        let mut present = vec![0usize; x.columns];
        for (j, v) in (0..x.rows()).flat_map(|i| x.row(i)) {
            mean[j] += v / n;
            present[j] += 1;
        }
        // Entries that are not stored are zeros, each (0 − mean)² from the mean.
        let mut square: Vec<f64> = mean
            .iter()
            .zip(&present)
            .map(|(m, &present)| (x.rows() - present) as f64 * m * m)
            .collect();
        for (j, v) in (0..x.rows()).flat_map(|i| x.row(i)) {
            square[j] += (v - mean[j]).powi(2);
        }
        let deviation = square
            .iter()
            .zip(&mean)
            .map(|(square, mean)| {
                let deviation = (square / n).sqrt();
                // A constant column leaves rounding error only.
                if deviation > 1e-10 * mean.abs() { deviation } else { 1.0 }
            })
            .collect();
        Self { mean, deviation }
    }

    /// (x − mean) / deviation; a column that is constant where this was fitted becomes 0 there.
    pub fn apply(&self, x: &Csr<'_>) -> OwnedCsr {
        let mut out = OwnedCsr::new(x.columns, x.rows());
        let zero: Vec<f64> = self.mean.iter().zip(&self.deviation).map(|(m, s)| -m / s).collect();
        for i in 0..x.rows() {
            let mut row = zero.clone();
            for (j, v) in x.row(i) {
                row[j] = (v - self.mean[j]) / self.deviation[j];
            }
            out.push_row((0..).zip(row));
        }
        out
    }
}
