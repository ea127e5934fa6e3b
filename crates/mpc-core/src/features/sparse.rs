//! Sparse tables: used as they are, in fixed point.

use std::sync::Arc;

use super::{FeatureError, Prepared, Rows, public_bounds, round_fixed};
use crate::{
    matrix::Features,
    plan::{FEATURE_BITS, MAX_FIXED},
};

pub(super) fn prepare(
    [train, test]: [&Features; 2],
    rows: [&[usize]; 3],
) -> Result<Prepared, FeatureError> {
    let columns = train.columns();
    let mut dense = vec![false; columns];
    let mut pick = |features: &Features, rows: &[usize]| {
        let mut out = Rows::with_capacity(rows.len());
        let Features::Sparse { indptr, indices, values, .. } = features else { return Ok(out) };
        for &i in rows {
            for e in indptr[i]..indptr[i + 1] {
                let (j, v) = (indices[e], values[e]);
                // A column that training has never seen has weight zero.
                let Some(dense) = dense.get_mut(j as usize) else { continue };
                if round_fixed(v, FEATURE_BITS).abs() * f64::from(1 << FEATURE_BITS) >= MAX_FIXED {
                    return Err(FeatureError::TooLarge { column: j as usize + 1 });
                }
                *dense |= v != 1.0;
                out.push(j, v);
            }
            out.end_row();
        }
        Ok(out)
    };
    let sets = [pick(train, rows[0])?, pick(train, rows[1])?, pick(test, rows[2])?];
    let dense: Arc<[bool]> = dense.into();
    let [train, validation, test] = sets.map(|rows| round_dense(rows, &dense));
    let bounds = public_bounds(columns, &dense, false, [&train, &validation, &test]);
    let (warnings, transform) = (Vec::new(), None);
    Ok(Prepared { columns, dense, train, validation, test, bounds, warnings, transform })
}

/// Rounds the values of dense columns to fixed point. What is nearest to zero is no entry any more.
fn round_dense(rows: Rows, dense: &[bool]) -> Rows {
    if !dense.contains(&true) {
        return rows;
    }
    let mut out = Rows::with_capacity(rows.len());
    for i in 0..rows.len() {
        for (j, v) in rows.row(i) {
            out.push(j, if dense[j as usize] { round_fixed(v, FEATURE_BITS) } else { v });
        }
        out.end_row();
    }
    out
}
