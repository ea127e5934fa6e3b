use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

/// Random rows, some columns missing in some rows, and labels from a random linear model.
fn random_problem(rows: usize, columns: usize, seed: u64) -> (OwnedCsr, Vec<bool>) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let truth: Vec<f64> = (0..columns).map(|_| rng.random_range(-1.5..1.5)).collect();
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels = Vec::new();
    for _ in 0..rows {
        let mut z = -0.5;
        for (j, w) in truth.iter().enumerate() {
            if rng.random_bool(0.6) {
                let x: f64 = rng.random_range(-2.0..3.0);
                indices.push(u32::try_from(j).unwrap());
                values.push(x);
                z += w * x;
            }
        }
        indptr.push(indices.len());
        labels.push(rng.random_bool(sigmoid(z)));
    }
    let features = Features::Sparse { columns, indptr, indices, values };
    (OwnedCsr::from_features(&features, &(0..rows).collect::<Vec<_>>()), labels)
}

/// The penalised objective, straight from its definition.
fn objective(x: &Csr<'_>, labels: &[bool], model: &Model, c: f64) -> f64 {
    let loss = model.decision(x).into_iter().zip(labels).map(|(z, &y)| {
        let p = if y { sigmoid(z) } else { sigmoid(-z) };
        -p.ln()
    });
    0.5 * model.weights.iter().map(|w| w * w).sum::<f64>() + c * loss.sum::<f64>()
}

#[test]
fn fit_is_a_minimum_in_every_direction() {
    for (seed, c) in [(1, 1.0), (2, 0.05), (3, 30.0)] {
        let (x, labels) = random_problem(300, 8, seed);
        let x = x.as_csr();
        let model = fit(&x, &labels, Options { c, ..Options::default() }).unwrap();
        let best = objective(&x, &labels, &model, c);
        for j in 0..=8 {
            for delta in [-1e-3, 1e-3] {
                let mut moved = model.clone();
                *moved.weights.get_mut(j).unwrap_or(&mut moved.intercept) += delta;
                let there = objective(&x, &labels, &moved, c);
                assert!(there > best, "parameter {j} moved by {delta} is better, seed {seed}");
            }
        }
    }
}

/// One row a class at x = ±1: by symmetry the intercept is 0 and w solves w = 2C·σ(−w).
#[test]
fn fit_solves_a_problem_known_in_closed_form() {
    let x = Csr { columns: 1, indptr: &[0, 1, 2], indices: &[0, 0], values: &[1.0, -1.0] };
    let model = fit(&x, &[true, false], Options::default()).unwrap();
    let w = model.weights[0];
    assert!((w - 2.0 * sigmoid(-w)).abs() < 1e-7 && w > 0.5, "w = {w}");
    assert!(model.intercept.abs() < 1e-7);
}

/// The penalty must not pull the intercept: without features it is exactly the log-odds.
#[test]
fn intercept_is_not_penalised() {
    let x = Csr { columns: 2, indptr: &[0; 101], indices: &[], values: &[] };
    let labels: Vec<bool> = (0..100).map(|i| i < 3).collect();
    let model = fit(&x, &labels, Options { c: 1e-3, ..Options::default() }).unwrap();
    assert!((model.intercept - (3.0f64 / 97.0).ln()).abs() < 1e-3, "{}", model.intercept);
    assert_eq!(model.weights, [0.0, 0.0]);
}

/// Separable, badly scaled data: far from the start, and with saturated rows.
#[test]
fn fit_converges_on_hard_problems() {
    let wide: Vec<f64> = (0..40).map(|i| (f64::from(i) - 19.5) * 1e4).collect();
    let indptr: Vec<usize> = (0..=40).collect();
    let x = Csr { columns: 1, indptr: &indptr, indices: &[0; 40], values: &wide };
    let labels: Vec<bool> = (0..40).map(|i| i >= 20).collect();
    let model = fit(&x, &labels, Options::default()).unwrap();
    assert!(model.decision(&x).iter().zip(&labels).all(|(z, y)| (*z > 0.0) == *y));
}

#[test]
fn bad_input_is_an_error() {
    let (x, mut labels) = random_problem(20, 3, 9);
    let code = |labels: &[bool]| fit(&x.as_csr(), labels, Options::default()).unwrap_err().code();
    assert_eq!(code(&labels[..19]), "baseline.length");
    labels.fill(true);
    assert_eq!(code(&labels), "baseline.single_class");
    labels.fill(false);
    assert_eq!(code(&labels), "baseline.single_class");
    let error = float_sgd(&x.as_csr(), &labels[..19], [], 0.1, 0.0).unwrap_err();
    assert_eq!(error.code(), "baseline.length");
}

#[test]
fn float_sgd_takes_the_steps_of_the_definition() {
    // Two rows, x = (2) and (−1), labels 1 and 0; batches {0, 1} and {1}; step 0.5, λ = 0.1.
    let x = Csr { columns: 1, indptr: &[0, 1, 2], indices: &[0, 0], values: &[2.0, -1.0] };
    let batches: [&[usize]; 2] = [&[0, 1], &[1]];
    let model = float_sgd(&x, &[true, false], batches, 0.5, 0.1).unwrap();
    // First: errors −½ and ½, mean gradient (−1 − ½)/2 = −¾ for w and 0 for the intercept.
    let (w, b) = (0.375, 0.0);
    // Second: error σ(b − w).
    let error = sigmoid(b - w);
    let (w, b) = (w * (1.0 - 0.05) + 0.5 * error, b - 0.5 * error);
    assert!((model.weights[0] - w).abs() < 1e-15 && (model.intercept - b).abs() < 1e-15);
}

/// Full-batch steps with the matching decay end at the minimum that `fit` finds: λ = 1/(C·n).
#[test]
fn float_sgd_approaches_the_fit() {
    let (x, labels) = random_problem(200, 4, 4);
    let all: Vec<usize> = (0..200).collect();
    let batches = std::iter::repeat_n(all.as_slice(), 4000);
    let descended = float_sgd(&x.as_csr(), &labels, batches, 0.3, 1.0 / 200.0).unwrap();
    let fitted = fit(&x.as_csr(), &labels, Options::default()).unwrap();
    for (a, b) in descended.weights.iter().zip(&fitted.weights) {
        assert!((a - b).abs() < 1e-6, "{descended:?} {fitted:?}");
    }
    assert!((descended.intercept - fitted.intercept).abs() < 1e-6);
}

#[test]
fn rows_are_taken_in_the_order_asked_for() {
    let dense = Features::dense(vec!["a".into(), "b".into()], &[1.0, 0.0, 0.0, 2.0]);
    let sparse = Features::Sparse {
        columns: 2,
        indptr: vec![0, 1, 2],
        indices: vec![0, 1],
        values: vec![1.0, 2.0],
    };
    let taken = OwnedCsr::from_features(&dense, &[1, 0, 1]);
    assert_eq!(taken, OwnedCsr::from_features(&sparse, &[1, 0, 1]));
    let rows: Vec<Vec<_>> = (0..3).map(|i| taken.as_csr().row(i).collect()).collect();
    assert_eq!(rows, [vec![(1, 2.0)], vec![(0, 1.0)], vec![(1, 2.0)]]);
}

/// A test file may have columns that no training row had.
#[test]
fn columns_unknown_to_the_model_count_nothing() {
    let model = Model { weights: vec![2.0], intercept: 1.0 };
    let x = Csr { columns: 3, indptr: &[0, 2], indices: &[0, 2], values: &[3.0, 9.0] };
    assert_eq!(model.decision(&x), [7.0]);
}
