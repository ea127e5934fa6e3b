//! Dense matrices modulo 2^64, and parts of them as operands of products.

use std::ops::Range;

use rand::{CryptoRng, RngExt};

/// Rows of numbers modulo 2^64, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<u64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, values: Vec<u64>) -> Self {
        debug_assert_eq!(values.len(), rows * columns, "rows of equal length");
        Self { rows, columns, values }
    }

    pub(crate) fn random(rows: usize, columns: usize, rng: &mut impl CryptoRng) -> Self {
        Self::new(rows, columns, (0..rows * columns).map(|_| rng.random()).collect())
    }

    /// X·w, one number a row.
    pub(crate) fn times(&self, w: &[u64]) -> Vec<u64> {
        let dot = |row: &[u64]| {
            row.iter().zip(w).fold(0u64, |sum, (x, w)| sum.wrapping_add(x.wrapping_mul(*w)))
        };
        self.values.chunks_exact(self.columns).map(dot).collect()
    }

    /// Xᵀ·e, one number a column.
    pub(crate) fn transposed_times(&self, e: &[u64]) -> Vec<u64> {
        let mut sums = vec![0u64; self.columns];
        for (row, e) in self.values.chunks_exact(self.columns).zip(e) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(x.wrapping_mul(*e));
            }
        }
        sums
    }
}

/// Item by item.
pub(crate) fn add(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect()
}

/// Item by item.
pub(crate) fn sub(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b)).collect()
}

/// A matrix as the operand of a product with a vector: one input an item of the vector, one output an
/// item of the product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    matrix: &'a Matrix,
    transposed: bool,
}

impl<'a> View<'a> {
    /// Inputs are columns, outputs are rows.
    pub(crate) fn of(matrix: &'a Matrix) -> Self {
        Self { matrix, transposed: false }
    }

    /// Inputs are rows, outputs are columns.
    pub(crate) fn transposed(matrix: &'a Matrix) -> Self {
        Self { matrix, transposed: true }
    }

    pub(crate) fn inputs(&self) -> usize {
        if self.transposed { self.matrix.rows } else { self.matrix.columns }
    }

    pub(crate) fn outputs(&self) -> usize {
        if self.transposed { self.matrix.columns } else { self.matrix.rows }
    }

    /// What this input adds to each output, as a factor.
    pub(crate) fn of_input(&self, input: usize) -> Vec<u64> {
        if self.transposed {
            let columns = self.matrix.columns;
            return self.matrix.values[input * columns..(input + 1) * columns].to_vec();
        }
        (0..self.matrix.rows).map(|row| self.at(input, row)).collect()
    }

    /// The factors of some inputs for one output.
    pub(crate) fn of_output(
        &self,
        output: usize,
        inputs: Range<usize>,
    ) -> impl Iterator<Item = u64> + '_ {
        inputs.map(move |input| self.at(input, output))
    }

    fn at(&self, input: usize, output: usize) -> u64 {
        let (row, column) = if self.transposed { (input, output) } else { (output, input) };
        self.matrix.values[row * self.matrix.columns + column]
    }

    /// The product in the clear.
    pub(crate) fn times(&self, vector: &[u64]) -> Vec<u64> {
        if self.transposed {
            self.matrix.transposed_times(vector)
        } else {
            self.matrix.times(vector)
        }
    }
}
