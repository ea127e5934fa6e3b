//! A mini-batch of one party's rows as the integer matrix that ciphertexts are multiplied with.

use std::sync::Arc;

use paillier::SparseMatrix;

use crate::{
    features::{Prepared, Rows},
    plan::Plan,
};

/// The public multiplier of B's intercept column in one direction.
///
/// The model is s·v with a shrinking public s; the intercept is not penalised, so its column holds
/// the true weight, enters the score as 1/s and its update as s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Intercept {
    /// Without a penalty the column is an indicator.
    Indicator,
    /// Fixed point with the job's fractional bits.
    Dense(i32),
}

impl Intercept {
    /// For the forward product before batch `step`.
    pub fn forward(plan: &Plan, step: u32) -> Self {
        Self::of(plan, 1.0 / plan.scale_before(step))
    }
    /// For the update by batch `step`.
    pub fn backward(plan: &Plan, step: u32) -> Self {
        Self::of(plan, plan.scale_before(step + 1))
    }
    fn of(plan: &Plan, multiplier: f64) -> Self {
        if plan.hyper.l2 == 0.0 {
            Self::Indicator
        } else {
            let fixed = libm::rint(libm::ldexp(multiplier, plan.feature_bits as i32));
            // A multiplier that rounds to nothing would drop the intercept's update altogether.
            Self::Dense((fixed as i32).max(1))
        }
    }
}

/// One party's columns as integers: dense values in the job's fixed point, indicators 1, and B's intercept
/// last.
#[derive(Clone, Debug)]
pub struct Columns {
    dense: Arc<[bool]>,
    columns: usize,
    intercept: bool,
    feature_bits: u32,
}

impl Columns {
    /// The columns of `prepared`, with an intercept at the label holder.
    pub fn new(prepared: &Prepared, label_holder: bool, plan: &Plan) -> Self {
        let mut dense = prepared.dense.to_vec();
        if label_holder {
            dense.push(plan.hyper.l2 != 0.0);
        }
        Self {
            columns: dense.len(),
            dense: dense.into(),
            intercept: label_holder,
            feature_bits: plan.feature_bits,
        }
    }
    /// Number of columns, the intercept included.
    pub fn len(&self) -> usize {
        self.columns
    }
    /// Whether the party has no column at all.
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }
    /// Whether each column holds other values than 0 and 1.
    pub fn dense(&self) -> &Arc<[bool]> {
        &self.dense
    }
    /// The given rows as an integer matrix.
    pub fn select(&self, rows: &Rows, picked: &[u32], intercept: Intercept) -> SparseMatrix {
        let mut indptr = vec![0];
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for &i in picked {
            for (j, v) in rows.row(i as usize) {
                indices.push(j);
                values.push(self.fixed(j, v));
            }
            if self.intercept {
                indices.push(self.columns as u32 - 1);
                values.push(match intercept {
                    Intercept::Indicator => 1,
                    Intercept::Dense(v) => v,
                });
            }
            indptr.push(indices.len());
        }
        SparseMatrix::new(self.columns, indptr, indices, values, Arc::clone(&self.dense))
            .expect("prepared rows are sorted, in range and within the fixed-point bound")
    }
    fn fixed(&self, column: u32, value: f64) -> i32 {
        if self.dense[column as usize] {
            libm::rint(libm::ldexp(value, self.feature_bits as i32)) as i32
        } else {
            1
        }
    }
}
