//! The lower limit of what privacy costs: the same steps in floating point on one thread, with all
//! columns in one place.

use std::fmt::Write as _;

use mpc_core::baseline::{Csr, float_sgd};
use serde::{Deserialize, Serialize};

use crate::{
    e2e::{AnyError, BATCH, cases::Case},
    measure::per_second,
};

/// One case; the names are read by other programs and stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plain {
    pub(crate) case: String,
    pub(crate) columns: u64,
    pub(crate) nnz_per_row: u64,
    pub(crate) rows_per_second: f64,
}

/// One epoch of mini-batches of 1,024 rows of each made-up case.
pub(crate) fn measure(seed: u64, cases: &[Case]) -> Result<Vec<Plain>, AnyError> {
    cases.iter().filter_map(|case| rate(case, seed).transpose()).collect()
}

fn rate(case: &Case, seed: u64) -> Result<Option<Plain>, AnyError> {
    let Some(rows) = case.rows(seed) else { return Ok(None) };
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels = Vec::new();
    for row in rows {
        labels.push(row.label);
        for (first, entries) in [0, case.columns_a()].into_iter().zip(&row.entries) {
            for &(column, value) in entries {
                indices.push(u32::try_from(first + column)?);
                values.push(value);
            }
        }
        indptr.push(indices.len());
    }
    let columns = usize::try_from(case.columns)?;
    let x = Csr { columns, indptr: &indptr, indices: &indices, values: &values };
    let order: Vec<usize> = (0..labels.len()).collect();
    let train = || float_sgd(&x, &labels, order.chunks(BATCH as usize), 1.0, 0.0);
    // Any error shows here, once.
    train()?;
    let rows_per_second = per_second(labels.len(), || drop(std::hint::black_box(train())));
    let figure = Plain {
        case: case.name.clone(),
        columns: case.columns,
        nnz_per_row: case.nnz_per_row.round() as u64,
        rows_per_second,
    };
    eprintln!("{figure:?}");
    Ok(Some(figure))
}

/// The part of the report for readers.
pub(crate) fn markdown(figures: &[Plain]) -> String {
    let mut out = String::from(
        "The same mini-batches of the same rows in 64-bit floating point, all columns in one place, on \
         one thread: no cryptography can be faster.\n\n\
         | case | columns | non-zeros a row | rows a second |\n|---|---|---|---|\n",
    );
    for f in figures {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} |",
            f.case, f.columns, f.nnz_per_row, f.rows_per_second
        );
    }
    out
}
