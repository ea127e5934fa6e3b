//! From a table and its rows in the intersection to fixed-point rows: missing values, scaling, clipping,
//! categories, indicators, public bounds.

mod apply;
mod encode;
mod fit;
mod rows;
mod sparse;
#[cfg(test)]
mod tests;
mod transform;
mod whiten;

use std::sync::Arc;

use thiserror::Error;

use crate::{
    matrix::{Features, Table},
    plan::PublicBounds,
};

pub use apply::Applied;
pub use rows::Rows;
pub use transform::Transform;

/// Scaled values are clipped to ±8.
pub const CLIP: f64 = 8.0;

/// Why a party's features cannot be used. Never carries a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FeatureError {
    /// The test table has other columns than the training table, or columns of another kind.
    #[error("the test columns differ from the training columns (first at column {column})")]
    SchemaMismatch {
        /// Position of the first difference, from 1.
        column: usize,
    },
    /// One table is dense and the other sparse.
    #[error("the training table is {0}, the test table is not")]
    LayoutMismatch(&'static str),
    /// A value is missing where the column's recipe says that none may be.
    #[error("column {column} has a missing value, which its setting refuses")]
    MissingRefused {
        /// The column, from 1.
        column: usize,
    },
    /// A one-hot column has too many levels.
    #[error("column {column} has {levels} levels on the common training rows, more than {limit}")]
    TooManyLevels {
        /// The column, from 1.
        column: usize,
        /// Its levels.
        levels: usize,
        /// How many it may have.
        limit: u32,
    },
    /// The columns become more than a model can have.
    #[error("the columns become {0} columns of numbers, more than 2^24")]
    TooManyColumns(usize),
    /// Whitening would take too long.
    #[error("{columns} columns are too many to be whitened; the most is {}", whiten::MAX_WHITENED)]
    TooManyToWhiten {
        /// How many there are.
        columns: usize,
    },
    /// A value is too large for fixed point.
    #[error("column {column} has a value beyond ±4096")]
    TooLarge {
        /// The column, from 1.
        column: usize,
    },
}

/// One party's scaled rows of both intersections, aligned with the peer's by position. The values
/// are already rounded to fixed point, so plaintext and secure computation see the same numbers.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Number of columns left.
    pub columns: usize,
    /// Whether each column has other values than 0 and 1.
    pub dense: Arc<[bool]>,
    /// Training rows.
    pub train: Rows,
    /// Rows of the training table that are set aside.
    pub validation: Rows,
    /// Test rows.
    pub test: Rows,
    /// What this party publishes.
    pub bounds: PublicBounds,
    /// For the owner of the columns.
    pub warnings: Vec<String>,
    /// What made the rows of typed tables; sparse tables are used as they are.
    pub transform: Option<Transform>,
}

/// Makes rows of numbers of both tables: what depends on the data is fitted on the rows that are trained on
/// alone ([`Transform::fit`]) and applied to these, to the rows of `train` that are set aside and to those of
/// `test` alike ([`Transform::apply`]). `whiten`: standardised columns are made uncorrelated
/// ([`Transform::whiten`]).
///
/// Sparse tables are used as they are; their columns with other values than 0 and 1 are rounded to 8
/// fractional bits.
pub fn prepare(
    train: &Table,
    test: &Table,
    rows: [&[usize]; 3],
    whiten: bool,
) -> Result<Prepared, FeatureError> {
    match (&train.features, &test.features) {
        (Features::Typed(columns), Features::Typed(_)) => {
            let mut transform = Transform::fit(columns, rows[0])?;
            if whiten {
                transform = transform.whiten(columns, rows[0])?;
            }
            prepare_with(transform, train, test, rows)
        }
        (Features::Sparse { .. }, Features::Sparse { .. }) => {
            sparse::prepare([&train.features, &test.features], rows)
        }
        (Features::Typed(_), _) => Err(FeatureError::LayoutMismatch("dense")),
        (Features::Sparse { .. }, _) => Err(FeatureError::LayoutMismatch("sparse")),
    }
}

/// The same with a transform that was fitted before.
pub fn prepare_with(
    transform: Transform,
    train: &Table,
    test: &Table,
    rows: [&[usize]; 3],
) -> Result<Prepared, FeatureError> {
    let mut warnings = transform.warnings();
    let mut applied = Vec::with_capacity(3);
    for (table, rows) in [train, train, test].into_iter().zip(rows) {
        let Features::Typed(columns) = &table.features else {
            return Err(FeatureError::LayoutMismatch("dense"));
        };
        let Applied { rows, warnings: noticed } = transform.apply(columns, rows)?;
        warnings.extend(noticed);
        applied.push(rows);
    }
    let [train, validation, test] =
        <[Rows; 3]>::try_from(applied).expect("three sets of rows were applied");
    let dense: Arc<[bool]> = transform.dense().into();
    let sets = [&train, &validation, &test];
    let bounds = public_bounds(dense.len(), &dense, transform.standardised(), sets);
    let (columns, transform) = (dense.len(), Some(transform));
    Ok(Prepared { columns, dense, train, validation, test, bounds, warnings, transform })
}

/// The nearest multiple of 2^−`bits`.
fn round_fixed(v: f64, bits: u32) -> f64 {
    let one = f64::from(1 << bits);
    libm::rint(v * one) / one
}

fn public_bounds(
    columns: usize,
    dense: &[bool],
    standardised: bool,
    sets: [&Rows; 3],
) -> PublicBounds {
    let train = sets[0];
    let mut norms = vec![0.0f64; columns];
    let mut energy = 0.0;
    for (&j, &v) in train.indices.iter().zip(&train.values) {
        norms[j as usize] += v.abs();
        energy += v * v;
    }
    let row = sets
        .iter()
        .flat_map(|rows| (0..rows.len()).map(|i| rows.row(i).map(|(_, v)| v.abs()).sum::<f64>()))
        .fold(0.0, f64::max);
    PublicBounds {
        columns: columns as u32,
        dense: dense.contains(&true),
        standardised,
        column_bits: ceil_log2(norms.iter().copied().fold(0.0, f64::max)),
        row_bits: ceil_log2(row),
        energy_bits: ceil_log2(energy / train.len().max(1) as f64),
    }
}

/// ⌈log2 v⌉, 0 for v ≤ 1.
pub fn ceil_log2(v: f64) -> u8 {
    if v <= 1.0 { 0 } else { libm::ceil(libm::log2(v)) as u8 }
}
