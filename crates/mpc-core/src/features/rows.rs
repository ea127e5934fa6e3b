//! Prepared rows of one party.

use std::fmt;

/// Rows of one party in compressed sparse form. `Debug` shows their number only.
#[derive(Clone, PartialEq)]
pub struct Rows {
    /// Row i has the entries `indptr[i]..indptr[i + 1]`.
    pub indptr: Vec<usize>,
    /// Column of each entry, increasing in a row.
    pub indices: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<f64>,
}

impl Rows {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let mut indptr = Vec::with_capacity(rows + 1);
        indptr.push(0);
        Self { indptr, indices: Vec::new(), values: Vec::new() }
    }
    pub(super) fn push(&mut self, column: u32, value: f64) {
        if value != 0.0 {
            self.indices.push(column);
            self.values.push(value);
        }
    }
    pub(super) fn end_row(&mut self) {
        self.indptr.push(self.indices.len());
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.indptr.len() - 1
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Columns and values of row `i`.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = self.indptr[i]..self.indptr[i + 1];
        self.indices[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({} rows, ..)", self.len())
    }
}
