//! Mini-batch gradient descent in floating point: the secure trainer's steps without its fixed point
//! and without its approximation of the sigmoid.

use super::{BaselineError, Csr, Model, sigmoid};

/// Gradient descent from zero over the given batches, each a list of row numbers.
///
/// A batch moves every weight by `step` against the mean gradient of its rows' log-loss, after
/// multiplying it by 1 − `step`·`l2`; the intercept does not decay. An empty batch does nothing.
pub fn float_sgd<'b>(
    x: &Csr<'_>,
    labels: &[bool],
    batches: impl IntoIterator<Item = &'b [usize]>,
    step: f64,
    l2: f64,
) -> Result<Model, BaselineError> {
    if x.rows() != labels.len() {
        return Err(BaselineError::Length { rows: x.rows(), labels: labels.len() });
    }
    let mut weights = vec![0.0; x.columns];
    let mut intercept = 0.0;
    let mut errors = Vec::new();
    for batch in batches {
        // All errors come before the first update: the gradient is taken at one point.
        errors.clear();
        errors.extend(batch.iter().map(|&i| {
            let z = x.row(i).map(|(j, v)| weights[j] * v).sum::<f64>() + intercept;
            sigmoid(z) - f64::from(u8::from(labels[i]))
        }));
        if l2 != 0.0 {
            weights.iter_mut().for_each(|w| *w *= 1.0 - step * l2);
        }
        let scale = step / batch.len().max(1) as f64;
        for (&i, error) in batch.iter().zip(&errors) {
            for (j, v) in x.row(i) {
                weights[j] -= scale * error * v;
            }
            intercept -= scale * error;
        }
    }
    Ok(Model { weights, intercept })
}
