//! Figures and curves against their definitions and against scikit-learn.

use super::{
    super::{
        bins::{Bin, partition},
        curve::{self, Point},
        stability::stability,
        *,
    },
    random_rows,
};

/// Straight from the definitions: every score as a threshold, every pair of rows.
fn brute_force(scores: &[f64], labels: &[bool]) -> Metrics {
    let rows = || scores.iter().copied().zip(labels.iter().copied());
    let n = scores.len() as f64;
    let positives = labels.iter().filter(|&&y| y).count();
    let rate = |class: bool, t: f64| {
        let of_class = labels.iter().filter(|&&y| y == class).count() as f64;
        rows().filter(|&(s, y)| y == class && s >= t).count() as f64 / of_class
    };
    let separations = scores.iter().map(|&t| ((rate(true, t) - rate(false, t)).abs(), t));
    let ks = separations.clone().map(|(ks, _)| ks).fold(0.0, f64::max);
    let at_ks = separations.filter(|&(s, _)| s > ks - 1e-12).map(|(_, t)| t);
    let (mut pairs, mut above) = (0.0, 0.0);
    let mut precisions = 0.0;
    for (s, _) in rows().filter(|&(_, y)| y) {
        for (r, _) in rows().filter(|&(_, y)| !y) {
            pairs += 1.0;
            above += if s > r { 1.0 } else { f64::from(u8::from(s == r)) / 2.0 };
        }
        let called = rows().filter(|&(r, _)| r >= s).count();
        let hits = rows().filter(|&(r, y)| y && r >= s).count();
        precisions += hits as f64 / called as f64;
    }
    let count =
        |p: bool, y: bool| rows().filter(|&(s, l)| (s >= 0.0) == p && l == y).count() as f64;
    let (tp, fp, fal) = (count(true, true), count(true, false), count(false, true));
    let probability = |s: f64| 1.0 / (1.0 + (-s).exp());
    let of_label = |s: f64, y: bool| if y { probability(s) } else { 1.0 - probability(s) };
    Metrics {
        rows: scores.len(),
        positives,
        ks,
        ks_threshold: at_ks.fold(f64::NEG_INFINITY, f64::max),
        auc: above / pairs,
        average_precision: precisions / positives as f64,
        f1: 2.0 * tp / (2.0 * tp + fp + fal),
        brier: rows().map(|(s, y)| (1.0 - of_label(s, y)).powi(2)).sum::<f64>() / n,
        log_loss: rows().map(|(s, y)| -of_label(s, y).ln()).sum::<f64>() / n,
    }
}

#[test]
fn figures_equal_brute_force_with_and_without_ties() {
    for seed in 0..300 {
        let (scores, labels) = random_rows(2..60, seed);
        let got = evaluate(&scores, &labels).unwrap();
        let want = brute_force(&scores, &labels);
        assert_eq!((got.rows, got.positives), (want.rows, want.positives), "seed {seed}");
        for (name, got, want) in [
            ("ks", got.ks, want.ks),
            ("ks_threshold", got.ks_threshold, want.ks_threshold),
            ("auc", got.auc, want.auc),
            ("average_precision", got.average_precision, want.average_precision),
            ("f1", got.f1, want.f1),
            ("brier", got.brier, want.brier),
            ("log_loss", got.log_loss, want.log_loss),
        ] {
            assert!((got - want).abs() < 1e-12, "{name} {got} instead of {want}, seed {seed}");
        }
    }
}

/// The rows of the snippet below.
fn known_rows() -> (Vec<f64>, Vec<bool>) {
    let scores = (0..40).map(|i| f64::from(i * 17 % 23 - 11) / 4.0).collect::<Vec<_>>();
    let labels = (0..40).zip(&scores).map(|(i, &z)| (i * i + 3 * i) % 7 < 3 && z > -2.5);
    let labels = labels.collect();
    (scores, labels)
}

/// One bin a distinct score, however few rows it has: all points of the curves.
fn every_score(scores: &[f64], labels: &[bool]) -> Vec<Bin> {
    let ranked = Ranked::new(scores, labels).unwrap();
    let bin = |(low, positives, negatives): (f64, usize, usize)| Bin {
        decile: 1,
        rows: positives + negatives,
        positives,
        low,
        mean_score: low,
        mean_probability: 1.0 / (1.0 + (-low).exp()),
    };
    ranked.counts().map(bin).collect()
}

// scikit-learn 1.7:
//
//     import numpy as np
//     from sklearn.metrics import *
//     i = np.arange(40)
//     z = ((i * 17) % 23 - 11) / 4
//     y = ((i * i + 3 * i) % 7 < 3).astype(int) & (z > -2.5)
//     p = 1 / (1 + np.exp(-z))
//     fpr, tpr, _ = roc_curve(y, z)
//     precision, recall, _ = precision_recall_curve(y, z)
//     np.abs(tpr - fpr).max(), roc_auc_score(y, z), average_precision_score(y, z)
//     f1_score(y, z >= 0), brier_score_loss(y, p), log_loss(y, p)
//     recall[precision >= 0.5].max(), precision[recall >= 0.5].max()
#[test]
fn figures_equal_scikit_learn() {
    let (scores, labels) = known_rows();
    let m = evaluate(&scores, &labels).unwrap();
    assert_eq!((m.rows, m.positives), (40, 11));
    for (got, want) in [
        (m.ks, 0.1724137931034483),
        (m.auc, 0.5721003134796239),
        (m.average_precision, 0.3394111514924912),
        (m.f1, 0.4375),
        (m.brier, 0.3247438720508246),
        (m.log_loss, 0.9239700826580431),
    ] {
        assert!((got - want).abs() < 1e-14, "{got} instead of {want}");
    }
    let points = curve::points(&every_score(&scores, &labels));
    let recall = curve::recall_at_precision(&points, 0.5).unwrap().tpr;
    let precision = curve::precision_at_recall(&points, 0.5).unwrap().precision;
    assert!((recall - 1.0 / 11.0).abs() < 1e-14 && (precision - 1.0 / 3.0).abs() < 1e-14);
    // No threshold is as precise as this, and none recalls more than all.
    assert_eq!(curve::recall_at_precision(&points, 0.99), None);
    assert_eq!(curve::precision_at_recall(&points, 1.01), None);
}

#[test]
fn known_small_cases() {
    // The example of scikit-learn's documentation: roc_auc_score 0.75, average precision 0.83.
    let m = evaluate(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]).unwrap();
    assert_eq!((m.auc, m.ks, m.ks_threshold), (0.75, 0.5, 0.8));
    assert!((m.average_precision - 5.0 / 6.0).abs() < 1e-15);
    // Perfect, reversed, and constant scores.
    let m = evaluate(&[-1.0, -2.0, 1.0, 2.0], &[false, false, true, true]).unwrap();
    assert_eq!((m.auc, m.ks, m.f1, m.ks_threshold), (1.0, 1.0, 1.0, 1.0));
    assert_eq!(m.average_precision, 1.0);
    let m = evaluate(&[1.0, 2.0, -1.0, -2.0], &[false, false, true, true]).unwrap();
    assert_eq!((m.auc, m.ks, m.f1), (0.0, 1.0, 0.0));
    let m = evaluate(&[3.0; 4], &[false, true, true, true]).unwrap();
    assert_eq!((m.auc, m.ks, m.f1, m.average_precision), (0.5, 0.0, 6.0 / 7.0, 0.75));
    // Scores of 0 are probabilities of a half.
    let m = evaluate(&[0.0; 4], &[false, true, true, true]).unwrap();
    assert_eq!((m.brier, m.log_loss), (0.25, 2f64.ln()));
}

#[test]
fn a_certain_and_wrong_score_has_a_finite_loss() {
    let m = evaluate(&[1e6, -1e6], &[false, true]).unwrap();
    assert_eq!((m.brier, m.log_loss), (1.0, 1e6));
    let m = evaluate(&[1e300, -1e300], &[true, false]).unwrap();
    assert_eq!((m.brier, m.log_loss), (0.0, 0.0));
}

#[test]
fn order_of_equal_scores_does_not_matter() {
    let scores = [1.0, 0.0, -0.0, 0.0, -1.0];
    let a = evaluate(&scores, &[false, true, true, false, false]).unwrap();
    let b = evaluate(&scores, &[false, false, true, true, false]).unwrap();
    assert_eq!(a, b);
    assert!((a.ks - 1.0 / 3.0).abs() < 1e-12, "a threshold fell between equal scores");
}

#[test]
fn bad_input_is_an_error() {
    let code = |s: &[f64], y: &[bool]| evaluate(s, y).unwrap_err().code();
    assert_eq!(code(&[1.0], &[true, false]), "metrics.length");
    assert_eq!(code(&[1.0, f64::NAN], &[true, false]), "metrics.not_finite");
    assert_eq!(code(&[1.0, 2.0], &[true, true]), "metrics.single_class");
    assert_eq!(code(&[1.0, 2.0], &[false, false]), "metrics.single_class");
    assert_eq!(code(&[], &[]), "metrics.single_class");
}

#[test]
fn points_of_a_curve_equal_brute_force() {
    for seed in 0..100 {
        let (scores, labels) = random_rows(50..800, seed);
        let rows = || scores.iter().copied().zip(labels.iter().copied());
        let bins = partition(&Ranked::new(&scores, &labels).unwrap());
        let points = curve::points(&bins);
        for point in &points {
            let Point { threshold, tpr, fpr, precision, share } = *point;
            let count = |y: bool| rows().filter(|r| r.1 == y).count() as f64;
            let called = |y: bool| rows().filter(|r| r.1 == y && r.0 >= threshold).count() as f64;
            let (hits, misses) = (called(true), called(false));
            let want = Point {
                threshold,
                tpr: hits / count(true),
                fpr: misses / count(false),
                precision: hits / (hits + misses),
                share: (hits + misses) / scores.len() as f64,
            };
            assert_eq!(*point, want, "seed {seed}");
            assert_eq!(point.separation(), (tpr - fpr).abs());
            assert!((point.lift() - precision * scores.len() as f64 / count(true)).abs() < 1e-9);
            let f1 = 2.0 * hits / (hits + misses + count(true));
            assert!((point.f1() - f1).abs() < 1e-12, "seed {seed}");
            assert!(share > 0.0);
        }
        for target in [0.1, 0.5, 0.9] {
            let best = points.iter().filter(|p| p.precision >= target).map(|p| p.tpr);
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            let got = curve::recall_at_precision(&points, target);
            assert_eq!(got.map_or(f64::NEG_INFINITY, |p| p.tpr), best, "seed {seed}");
            let best = points.iter().filter(|p| p.tpr >= target).map(|p| p.precision);
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            let got = curve::precision_at_recall(&points, target);
            assert_eq!(got.map_or(f64::NEG_INFINITY, |p| p.precision), best, "seed {seed}");
        }
        let best = points.iter().map(Point::separation).fold(f64::NEG_INFINITY, f64::max);
        let got = curve::largest(&points, Point::separation);
        assert_eq!(got.map_or(f64::NEG_INFINITY, Point::separation), best, "seed {seed}");
    }
}

#[test]
fn calibration_error_is_of_groups_and_by_hand() {
    let bin = |decile, rows, positives, mean_probability| Bin {
        decile,
        rows,
        positives,
        low: 0.0,
        mean_score: 0.0,
        mean_probability,
    };
    // Group 1: 40 rows, 26 positive, predicted (0.8·30 + 0.5·10)/40 = 0.725: off by 0.075.
    // Group 4: 60 rows, 6 positive, predicted 0.2: off by 0.1.
    let bins = [bin(1, 30, 20, 0.8), bin(1, 10, 6, 0.5), bin(4, 60, 6, 0.2)];
    let error = curve::calibration_error(&bins).unwrap();
    assert!((error - (0.4 * 0.075 + 0.6 * 0.1)).abs() < 1e-12, "{error}");
    assert_eq!(curve::calibration_error(&[]), None);
}

#[test]
fn stability_by_hand_and_of_equal_lists() {
    let bin = |decile, rows, low| Bin {
        decile,
        rows,
        positives: 5,
        low,
        mean_score: low,
        mean_probability: 0.5,
    };
    // Expected 20 / 50 / 30 of 100, actual 40 / 40 / 20 of 100: the sum of
    // 0.2·ln 2, −0.1·ln 0.8 and −0.1·ln(2/3).
    let expected: Vec<f64> =
        [(20, 2.0), (50, 0.5), (30, -9.0)].iter().flat_map(|&(n, z)| vec![z; n]).collect();
    let bins = [bin(1, 40, 1.0), bin(2, 25, 0.3), bin(2, 15, 0.0), bin(3, 20, -1.0)];
    let found = stability(&expected, &bins).unwrap();
    let want = 0.2 * 2f64.ln() - 0.1 * 0.8f64.ln() - 0.1 * (2.0f64 / 3.0).ln();
    assert!((found.psi - want).abs() < 1e-12, "{found:?}");
    let counts: Vec<_> = found.bins.iter().map(|b| (b.low, b.expected, b.actual)).collect();
    assert_eq!(counts, [(Some(1.0), 20, 40), (Some(0.0), 50, 40), (None, 30, 20)]);
    assert_eq!(stability(&expected, &[]), None);
    // Training rows that are too few for the last groups are not lost.
    let expected = [vec![2.0; 15], vec![0.5; 12], vec![-5.0; 3]].concat();
    let merged = stability(&expected, &bins).unwrap();
    let counts: Vec<_> = merged.bins.iter().map(|b| (b.low, b.expected, b.actual)).collect();
    assert_eq!(counts, [(Some(1.0), 15, 40), (None, 15, 60)]);
    assert_eq!(stability(&[0.0; 9], &bins), None);

    let (scores, labels) = random_rows(900..901, 7);
    let bins = partition(&Ranked::new(&scores, &labels).unwrap());
    let same = stability(&scores, &bins).unwrap();
    assert_eq!(same.psi, 0.0);
    assert!(same.bins.iter().all(|b| b.expected == b.actual), "{same:?}");
}
