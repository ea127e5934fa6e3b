//! From a table and its rows in the intersection to fixed-point rows: scaling, clipping,
//! indicators, public bounds.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{
    matrix::{Features, Table},
    plan::{FEATURE_BITS, MAX_FIXED, PublicBounds},
};

/// Standardised values are clipped to ±8.
pub const CLIP: f64 = 8.0;

/// Why a party's features cannot be used. Never carries a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FeatureError {
    /// The test table has other columns than the training table.
    #[error("the test columns differ from the training columns (first at column {column})")]
    SchemaMismatch {
        /// Position of the first difference, from 1.
        column: usize,
    },
    /// One table is dense and the other sparse.
    #[error("the training table is {0}, the test table is not")]
    LayoutMismatch(&'static str),
    /// A value is too large for fixed point.
    #[error("column {column} has a value beyond ±4096")]
    TooLarge {
        /// The column, from 1.
        column: usize,
    },
}

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
    fn with_capacity(rows: usize) -> Self {
        let mut indptr = Vec::with_capacity(rows + 1);
        indptr.push(0);
        Self { indptr, indices: Vec::new(), values: Vec::new() }
    }
    fn push(&mut self, column: u32, value: f64) {
        if value != 0.0 {
            self.indices.push(column);
            self.values.push(value);
        }
    }
    fn end_row(&mut self) {
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
    /// Test rows.
    pub test: Rows,
    /// What this party publishes.
    pub bounds: PublicBounds,
    /// For the owner of the columns.
    pub warnings: Vec<String>,
}

/// Scales `train` on its rows in the intersection and `test` with the same figures.
///
/// `auto`: dense tables are standardised (0/1 columns too) and clipped to ±8, constant columns are
/// dropped; sparse tables are used as they are. Columns with other values than 0 and 1 are rounded
/// to 8 fractional bits.
pub fn prepare(
    train: &Table,
    train_rows: &[usize],
    test: &Table,
    test_rows: &[usize],
) -> Result<Prepared, FeatureError> {
    match (&train.features, &test.features) {
        (
            Features::Dense { names, values },
            Features::Dense { names: test_names, values: test_values },
        ) => {
            if let Some(column) = first_difference(names, test_names) {
                return Err(FeatureError::SchemaMismatch { column });
            }
            Ok(standardise(names, values, train_rows, test_values, test_rows))
        }
        (Features::Sparse { columns, .. }, Features::Sparse { .. }) => {
            take_sparse(*columns, &train.features, train_rows, &test.features, test_rows)
        }
        (Features::Dense { .. }, _) => Err(FeatureError::LayoutMismatch("dense")),
        (Features::Sparse { .. }, _) => Err(FeatureError::LayoutMismatch("sparse")),
    }
}

fn first_difference(a: &[String], b: &[String]) -> Option<usize> {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    (same < a.len().max(b.len())).then_some(same + 1)
}

fn standardise(
    names: &[String],
    train: &[f64],
    train_rows: &[usize],
    test: &[f64],
    test_rows: &[usize],
) -> Prepared {
    let d = names.len();
    let n = train_rows.len() as f64;
    let mut warnings = Vec::new();
    let mut kept = Vec::new();
    for j in 0..d {
        let column = || train_rows.iter().map(|&i| train[i * d + j]);
        let mean = column().sum::<f64>() / n;
        let variance = column().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        // A constant column leaves only rounding noise, relative to its own size.
        if variance.is_finite() && variance > mean * mean * 1e-24 && variance > 0.0 {
            kept.push((j, mean, libm::sqrt(variance)));
        } else {
            warnings.push(format!(
                "column `{}` is constant on the common rows and was dropped",
                names[j]
            ));
        }
    }
    let scale = |values: &[f64], rows: &[usize]| {
        let mut out = Rows::with_capacity(rows.len());
        for &i in rows {
            for (new, &(j, mean, deviation)) in kept.iter().enumerate() {
                let z = ((values[i * d + j] - mean) / deviation).clamp(-CLIP, CLIP);
                out.push(new as u32, round_fixed(z));
            }
            out.end_row();
        }
        out
    };
    let (train, test) = (scale(train, train_rows), scale(test, test_rows));
    let dense: Arc<[bool]> = vec![true; kept.len()].into();
    let bounds = public_bounds(kept.len(), &dense, true, &train, &test);
    Prepared { columns: kept.len(), dense, train, test, bounds, warnings }
}

fn take_sparse(
    columns: usize,
    train: &Features,
    train_rows: &[usize],
    test: &Features,
    test_rows: &[usize],
) -> Result<Prepared, FeatureError> {
    let mut dense = vec![false; columns];
    let mut pick = |features: &Features, rows: &[usize]| {
        let mut out = Rows::with_capacity(rows.len());
        let Features::Sparse { indptr, indices, values, .. } = features else { return Ok(out) };
        for &i in rows {
            for e in indptr[i]..indptr[i + 1] {
                let (j, v) = (indices[e], values[e]);
                // A column that training has never seen has weight zero.
                let Some(dense) = dense.get_mut(j as usize) else { continue };
                if round_fixed(v).abs() * f64::from(1 << FEATURE_BITS) >= MAX_FIXED {
                    return Err(FeatureError::TooLarge { column: j as usize + 1 });
                }
                *dense |= v != 1.0;
                out.push(j, v);
            }
            out.end_row();
        }
        Ok(out)
    };
    let (train, test) = (pick(train, train_rows)?, pick(test, test_rows)?);
    let dense: Arc<[bool]> = dense.into();
    let (train, test) = (round_dense(train, &dense), round_dense(test, &dense));
    let bounds = public_bounds(columns, &dense, false, &train, &test);
    Ok(Prepared { columns, dense, train, test, bounds, warnings: Vec::new() })
}

/// Rounds the values of dense columns to fixed point. What is nearest to zero is no entry any more.
fn round_dense(rows: Rows, dense: &[bool]) -> Rows {
    if !dense.contains(&true) {
        return rows;
    }
    let mut out = Rows::with_capacity(rows.len());
    for i in 0..rows.len() {
        for (j, v) in rows.row(i) {
            out.push(j, if dense[j as usize] { round_fixed(v) } else { v });
        }
        out.end_row();
    }
    out
}

/// The nearest multiple of 2^−8.
fn round_fixed(v: f64) -> f64 {
    let one = f64::from(1 << FEATURE_BITS);
    libm::rint(v * one) / one
}

fn public_bounds(
    columns: usize,
    dense: &[bool],
    standardised: bool,
    train: &Rows,
    test: &Rows,
) -> PublicBounds {
    let mut norms = vec![0.0f64; columns];
    let mut energy = 0.0;
    for (&j, &v) in train.indices.iter().zip(&train.values) {
        norms[j as usize] += v.abs();
        energy += v * v;
    }
    let row = [train, test]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(values: &[f64]) -> Table {
        Table {
            ids: (0..values.len()).map(|i| i.to_string()).collect(),
            features: Features::Sparse {
                columns: 2,
                indptr: (0..=values.len()).collect(),
                indices: vec![1; values.len()],
                values: values.to_vec(),
            },
            labels: None,
        }
    }

    /// The matrix of a batch takes no zeros and nothing from 2^20 on.
    #[test]
    fn values_at_both_ends_of_fixed_point_are_dropped_rounded_or_refused() {
        let smallest = 1.0 / 256.0;
        let values = [1e-9, -0.001, smallest * 0.51, -smallest * 1.4, 4095.99, 1.0];
        let table = sparse(&values);
        let rows: Vec<usize> = (0..values.len()).collect();
        let prepared = prepare(&table, &rows, &table, &rows).unwrap();
        for found in [&prepared.train, &prepared.test] {
            assert_eq!(found.values, [smallest, -smallest, 4095.98828125, 1.0]);
            assert_eq!(found.indptr, [0, 0, 0, 1, 2, 3, 4]);
            assert_eq!(found.indices, [1; 4]);
        }
        for value in [4095.999, -4096.0, 1e300] {
            let wide = sparse(&[1.0, value]);
            for (train, test) in [(&wide, &table), (&table, &wide)] {
                let refused = prepare(train, &[0, 1], test, &[0, 1]).unwrap_err();
                assert_eq!(refused, FeatureError::TooLarge { column: 2 }, "{value}");
            }
        }
    }

    #[test]
    fn a_column_of_ones_is_an_indicator_and_stays_exact() {
        let ones = sparse(&[1.0; 3]);
        let prepared = prepare(&ones, &[0, 2], &ones, &[1]).unwrap();
        assert_eq!(*prepared.dense, [false, false]);
        assert_eq!((prepared.train.values, prepared.test.values), (vec![1.0; 2], vec![1.0]));
        let mixed = prepare(&ones, &[0, 2], &sparse(&[0.5]), &[0]).unwrap();
        assert_eq!(*mixed.dense, [false, true]);
    }
}
