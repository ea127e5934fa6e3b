//! Plaintext logistic regression: what one party reaches alone, and the floating-point reference of
//! the secure trainer. Local; nothing here is sent.
//!
//! - [`fit`] finds the minimum of the penalised likelihood, as a bank would on its own columns; the
//!   KS lift of a job is measured against it.
//! - [`float_sgd`] takes the trainer's own steps in floating point with the exact sigmoid.

mod newton;
mod rows;
mod sgd;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use newton::{Options, fit};
pub use rows::{Csr, OwnedCsr, Standardisation};
pub use sgd::float_sgd;

use crate::matrix::Features;

/// Input that no model can be fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BaselineError {
    /// Rows and labels are not of one number.
    #[error("{rows} rows but {labels} labels")]
    Length {
        /// Number of rows.
        rows: usize,
        /// Number of labels.
        labels: usize,
    },
    /// All labels are the same (or there are none), so the intercept has no finite optimum.
    #[error("all {rows} training rows have the same label")]
    SingleClass {
        /// Number of rows.
        rows: usize,
    },
    /// The gradient did not fall below the tolerance.
    #[error("no convergence in {iterations} iterations")]
    NoConvergence {
        /// Iterations made.
        iterations: usize,
    },
}

impl BaselineError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            BaselineError::Length { .. } => "baseline.length",
            BaselineError::SingleClass { .. } => "baseline.single_class",
            BaselineError::NoConvergence { .. } => "baseline.no_convergence",
        }
    }
}

/// A linear model of the log-odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// One weight a column.
    pub weights: Vec<f64>,
    /// Log-odds of a row of zeros.
    pub intercept: f64,
}

impl Model {
    /// Log-odds of each row. Columns the model does not know count nothing.
    pub fn decision(&self, rows: &Csr<'_>) -> Vec<f64> {
        (0..rows.rows())
            .map(|i| {
                let known = |&(j, _): &(usize, f64)| j < self.weights.len();
                rows.row(i).filter(known).map(|(j, x)| self.weights[j] * x).sum::<f64>()
                    + self.intercept
            })
            .collect()
    }
}

/// Fits the converged baseline on some rows of one table and returns the log-odds of some rows of
/// another: what the bank reaches alone.
///
/// Inputs are treated as the reference figures of the data sets do: dense columns standardised on
/// the training rows, all alike and not clipped; sparse columns as they are. `train_rows` and
/// `test_rows` select rows, e.g. those of the intersections; `train_labels` has one label a row **of
/// the table**, like [`Table::labels`](crate::matrix::Table::labels).
pub fn fit_and_score(
    train: &Features,
    train_labels: &[bool],
    train_rows: &[usize],
    test: &Features,
    test_rows: &[usize],
) -> Result<Vec<f64>, BaselineError> {
    let labels: Vec<bool> = train_rows.iter().map(|&row| train_labels[row]).collect();
    let mut x = OwnedCsr::from_features(train, train_rows);
    let mut t = OwnedCsr::from_features(test, test_rows);
    if matches!(train, Features::Dense { .. }) {
        let scaling = Standardisation::fit(&x.as_csr());
        x = scaling.apply(&x.as_csr());
        t = scaling.apply(&t.as_csr());
    }
    Ok(fit(&x.as_csr(), &labels, Options::default())?.decision(&t.as_csr()))
}

/// 1 / (1 + e^−z) without overflow.
fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}
