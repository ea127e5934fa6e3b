//! What B alone knows of its rows in training: their labels and how much they count.

use thiserror::Error;

use crate::{plan::MAX_ROW_WEIGHT, session::MIN_BATCH};

/// A row's label and weight.
#[derive(Clone, Copy, PartialEq)]
pub struct Target {
    /// The class.
    pub label: bool,
    /// From 0 to [`MAX_ROW_WEIGHT`]; the mean over the training rows is 1.
    pub weight: f64,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(..)")
    }
}

/// How much the rows of each class count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ClassWeight {
    /// All alike.
    #[default]
    None,
    /// Both classes count the same in sum.
    Balanced,
    /// A positive row counts so many times a negative one; above 0.
    Positive(f64),
}

/// Weights that cannot be used. Never carries a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WeightError {
    /// There is nothing to learn from.
    #[error("the weights of the common training rows add up to nothing")]
    AllZero,
    /// One row would outweigh a mini-batch.
    #[error("the largest weight is more than {MAX_ROW_WEIGHT} times the mean")]
    TooUneven,
    /// A model of so few rows would tell about each of them.
    #[error("by their weights the common training rows count as fewer than {MIN_BATCH}")]
    TooFewRows,
}

impl WeightError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AllZero => "weights.all_zero",
            Self::TooUneven => "weights.too_uneven",
            Self::TooFewRows => "weights.too_few_rows",
        }
    }
}

/// Labels with weights: `sample` if the rows have any, times the class's, over their mean. They must count
/// as at least a smallest mini-batch of rows, (Σω)²/Σω²: otherwise weights would choose the few rows that a
/// model is of.
///
/// # Errors
/// [`WeightError`].
pub fn targets(
    labels: &[bool],
    sample: Option<&[f64]>,
    class: ClassWeight,
) -> Result<Vec<Target>, WeightError> {
    let own = |i: usize| sample.map_or(1.0, |weights| weights[i]);
    let sum = |class: bool| -> f64 {
        labels.iter().enumerate().filter(|(_, label)| **label == class).map(|(i, _)| own(i)).sum()
    };
    let (negative, positive) = (sum(false), sum(true));
    // An empty class has no row to multiply with it.
    let [of_negative, of_positive] = match class {
        ClassWeight::None => [1.0, 1.0],
        ClassWeight::Balanced => [0.5 / negative, 0.5 / positive],
        ClassWeight::Positive(times) => [1.0, times],
    };
    let weights: Vec<f64> = (0..labels.len())
        .map(|i| own(i) * if labels[i] { of_positive } else { of_negative })
        .map(|weight| if weight.is_nan() { 0.0 } else { weight })
        .collect();
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    if !(mean.is_finite() && mean > 0.0) {
        return Err(WeightError::AllZero);
    }
    if weights.iter().any(|weight| weight / mean > MAX_ROW_WEIGHT) {
        return Err(WeightError::TooUneven);
    }
    let squares: f64 = weights.iter().map(|weight| (weight / mean) * (weight / mean)).sum();
    if (weights.len() as f64) * (weights.len() as f64) < f64::from(MIN_BATCH) * squares {
        return Err(WeightError::TooFewRows);
    }
    let of = |(&label, weight): (&bool, f64)| Target { label, weight: weight / mean };
    Ok(labels.iter().zip(weights).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern of five rows, forty times.
    const REPEATS: usize = 40;
    const LABELS: [bool; 5] = [true, false, false, false, true];

    fn of(sample: Option<[f64; 5]>, class: ClassWeight) -> Result<Vec<Target>, WeightError> {
        let sample = sample.map(|pattern| pattern.repeat(REPEATS));
        targets(&LABELS.repeat(REPEATS), sample.as_deref(), class)
    }

    fn close(sample: Option<[f64; 5]>, class: ClassWeight, expected: [f64; 5]) {
        let found: Vec<f64> = of(sample, class).unwrap().iter().map(|t| t.weight).collect();
        let expected = expected.repeat(REPEATS);
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-12, "{found:?} {expected:?}");
    }

    /// scikit-learn's `class_weight="balanced"`: rows / (classes · rows of the class), so 5/4 and 5/6.
    #[test]
    fn weights_have_mean_one_and_balance_what_they_should() {
        close(None, ClassWeight::None, [1.0; 5]);
        let (p, n) = (5.0 / 4.0, 5.0 / 6.0);
        close(None, ClassWeight::Balanced, [p, n, n, n, p]);
        let (p, n) = (5.0 / 3.0, 5.0 / 9.0);
        close(None, ClassWeight::Positive(3.0), [p, n, n, n, p]);
        let sample = Some([1.0, 0.0, 2.0, 2.0, 5.0]);
        close(sample, ClassWeight::None, [0.5, 0.0, 1.0, 1.0, 2.5]);
        // Both classes count the same: 1 : 5 of one half, 0 : 2 : 2 of the other.
        close(sample, ClassWeight::Balanced, [5.0 / 12.0, 0.0, 1.25, 1.25, 25.0 / 12.0]);
        // A class whose rows count nothing takes no part.
        let n = 5.0 / 3.0;
        close(Some([0.0, 1.0, 1.0, 1.0, 0.0]), ClassWeight::Balanced, [0.0, n, n, n, 0.0]);
    }

    #[test]
    fn weights_that_cannot_be_used_are_refused() {
        assert_eq!(of(Some([0.0; 5]), ClassWeight::None), Err(WeightError::AllZero));
        // Of n rows one has the weight w: w over the mean is w·n / (n − 1 + w), and the rows count as
        // (n − 1 + w)² / (n − 1 + w²).
        let one = |rows: usize, weight: f64| {
            let labels: Vec<bool> = (0..rows).map(|i| i == 0).collect();
            let mut sample = vec![1.0; rows];
            sample[0] = weight;
            targets(&labels, Some(&sample), ClassWeight::None).map(drop)
        };
        assert_eq!(one(5000, 64.8), Ok(()));
        assert_eq!(one(5000, 64.9), Err(WeightError::TooUneven));
        assert_eq!((one(64, 1.0), one(64, 1.1)), (Ok(()), Err(WeightError::TooFewRows)));
        assert_eq!((one(200, 24.0), one(200, 25.0)), (Ok(()), Err(WeightError::TooFewRows)));
    }
}
