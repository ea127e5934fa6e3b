//! A party's rows as they are read from its files, before alignment and scaling.

mod codes;
mod column;
mod numbers;
#[cfg(test)]
mod tests;

use std::fmt;

pub use codes::{Codes, CodesBuilder};
pub use column::{Column, Encode, MAX_LEVELS, Missing, Recipe, Scale, Values};
pub use numbers::{Numbers, NumbersBuilder};

/// Rows of a column that are stored together, each chunk in the narrowest form that is exact.
pub const CHUNK_ROWS: usize = 4096;

/// Rows of one party: ids, features, and the label where the party is B. `Debug` shows sizes only.
#[derive(Clone)]
pub struct Table {
    /// One text id a row, unique and non-empty.
    pub ids: Vec<String>,
    /// As many rows as ids.
    pub features: Features,
    /// One label a row at B, `None` at A.
    pub labels: Option<Vec<bool>>,
    /// How much each row counts in training, where B's table has a column of weights: finite, 0 or more, not
    /// all 0.
    pub weights: Option<Vec<f64>>,
}

/// Feature values. `Debug` shows sizes only.
#[derive(Clone)]
pub enum Features {
    /// From a table with named columns; how each becomes numbers is its own [`Recipe`].
    Typed(Vec<Column>),
    /// From libsvm text, compressed sparse rows. Used as they are.
    Sparse {
        /// Number of columns; every index is below it.
        columns: usize,
        /// Row i has the entries `indptr[i]..indptr[i + 1]`.
        indptr: Vec<usize>,
        /// Column of each entry, from 0, strictly increasing in a row.
        indices: Vec<u32>,
        /// Value of each entry, finite and never zero.
        values: Vec<f64>,
    },
}

impl Features {
    /// Numeric columns with the default recipe from row-major values, `names.len()` a row.
    pub fn dense(names: Vec<String>, values: &[f64]) -> Self {
        let width = names.len();
        let numbers = |j| values.iter().skip(j).step_by(width).copied().collect();
        let column = |(j, name)| Column {
            name,
            values: Values::Numeric(numbers(j)),
            recipe: Recipe::default(),
        };
        Features::Typed(names.into_iter().enumerate().map(column).collect())
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Features::Typed(columns) => columns.len(),
            Features::Sparse { columns, .. } => *columns,
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} rows, {:?})", self.ids.len(), self.features)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Features::Typed(_) => "Typed",
            Features::Sparse { .. } => "Sparse",
        };
        write!(f, "{kind}({} columns)", self.columns())
    }
}
