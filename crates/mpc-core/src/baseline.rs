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

use std::fmt;

use thiserror::Error;

pub use newton::{Options, fit};
pub use rows::{Csr, OwnedCsr};
pub use sgd::float_sgd;

use crate::{
    features::{FeatureError, Transform},
    matrix::Features,
};

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
    /// The columns cannot be used.
    #[error("{0}")]
    Features(#[from] FeatureError),
}

impl BaselineError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            BaselineError::Length { .. } => "baseline.length",
            BaselineError::SingleClass { .. } => "baseline.single_class",
            BaselineError::NoConvergence { .. } => "baseline.no_convergence",
            BaselineError::Features(_) => "baseline.features",
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

/// Log-odds of one model, one a row.
#[derive(Clone, PartialEq)]
pub struct Scores {
    /// Of the rows that it was fitted to.
    pub train: Vec<f64>,
    /// Of other rows.
    pub test: Vec<f64>,
}

impl fmt::Debug for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scores({} and {} rows, ..)", self.train.len(), self.test.len())
    }
}

/// Fits the converged baseline on some rows of one table and returns the log-odds of these and of some
/// rows of another: what the bank reaches alone.
///
/// Inputs are treated as the reference figures of the data sets do: columns of typed tables by their
/// recipes, fitted on the training rows, neither clipped nor rounded to fixed point; sparse columns as
/// they are. `train_rows` and
/// `test_rows` select rows, e.g. those of the intersections; `train_labels` has one label a row **of
/// the table**, like [`Table::labels`](crate::matrix::Table::labels).
pub fn fit_and_score(
    train: &Features,
    train_labels: &[bool],
    train_rows: &[usize],
    test: &Features,
    test_rows: &[usize],
) -> Result<Scores, BaselineError> {
    let labels: Vec<bool> = train_rows.iter().map(|&row| train_labels[row]).collect();
    let [x, t] = match (train, test) {
        (Features::Typed(columns), Features::Typed(test)) => {
            let transform = Transform::fit(columns, train_rows)?;
            let rows = [(columns, train_rows), (test, test_rows)];
            let [x, t] = rows.map(|(columns, rows)| transform.apply_exact(columns, rows));
            [x?, t?].map(|applied| OwnedCsr::from_rows(transform.columns(), applied.rows))
        }
        _ => [(train, train_rows), (test, test_rows)]
            .map(|(f, rows)| OwnedCsr::from_features(f, rows)),
    };
    let model = fit(&x.as_csr(), &labels, Options::default())?;
    Ok(Scores { train: model.decision(&x.as_csr()), test: model.decision(&t.as_csr()) })
}

/// 1 / (1 + e^−z) without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}
