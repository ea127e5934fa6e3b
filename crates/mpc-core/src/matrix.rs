//! A party's rows as they are read from its files, before alignment and scaling.

use std::fmt;

/// Rows of one party: ids, features, and the label where the party is B. `Debug` shows sizes only.
#[derive(Clone)]
pub struct Table {
    /// One text id a row, unique and non-empty.
    pub ids: Vec<String>,
    /// As many rows as ids.
    pub features: Features,
    /// One label a row at B, `None` at A.
    pub labels: Option<Vec<bool>>,
}

/// Feature values, all finite. `Debug` shows sizes only.
#[derive(Clone)]
pub enum Features {
    /// From a dense table. Scaled to mean 0 and standard deviation 1 on the training intersection.
    Dense {
        /// One name a column.
        names: Vec<String>,
        /// Row-major, `names.len()` values a row.
        values: Vec<f64>,
    },
    /// From libsvm text, compressed sparse rows. Used as they are.
    Sparse {
        /// Number of columns; every index is below it.
        columns: usize,
        /// Row i has the entries `indptr[i]..indptr[i + 1]`.
        indptr: Vec<usize>,
        /// Column of each entry, from 0, strictly increasing in a row.
        indices: Vec<u32>,
        /// Value of each entry, never zero.
        values: Vec<f64>,
    },
}

impl Features {
    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Features::Dense { names, .. } => names.len(),
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
            Features::Dense { .. } => "Dense",
            Features::Sparse { .. } => "Sparse",
        };
        write!(f, "{kind}({} columns)", self.columns())
    }
}
