//! What leaves: no bin is too small, alone or as a difference of others, and no row's score shows.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{
    super::{
        bins::{MAX_BINS, MIN_BIN_CLASS, MIN_BIN_ROWS, deciles, partition},
        evaluation::ReleasedBin,
        *,
    },
    random_rows,
};

#[test]
fn bins_are_large_enough_and_cover_all_rows_once() {
    let (mut with, mut without) = (0, 0);
    for seed in 0..600 {
        let most = if seed % 3 == 0 { 40 } else { 1500 };
        let (scores, labels) = random_rows(6..most, seed);
        let ranked = Ranked::new(&scores, &labels).unwrap();
        let bins = partition(&ranked);
        let enough = scores.len() >= MIN_BIN_ROWS
            && ranked.positives().min(ranked.negatives()) >= MIN_BIN_CLASS;
        assert_eq!(!bins.is_empty(), enough, "seed {seed}");
        with += usize::from(enough);
        without += usize::from(!enough);
        assert!(bins.len() <= MAX_BINS, "seed {seed}");
        // Written out: the constants are part of what is promised.
        for bin in bins.iter().chain(&deciles(&bins)) {
            let other = bin.rows - bin.positives;
            assert!(bin.rows >= 10 && bin.positives >= 5 && other >= 5, "{bin:?}, seed {seed}");
        }
        let mut high = f64::INFINITY;
        for bin in &bins {
            let inside = |s: f64| s >= bin.low && s < high;
            let rows: Vec<_> = scores.iter().zip(&labels).filter(|(s, _)| inside(**s)).collect();
            assert_eq!(bin.rows, rows.len(), "equal scores were divided, seed {seed}");
            assert_eq!(bin.positives, rows.iter().filter(|(_, y)| **y).count(), "seed {seed}");
            let mean = |f: fn(f64) -> f64| {
                rows.iter().map(|(s, _)| f(**s)).sum::<f64>() / rows.len() as f64
            };
            assert!((bin.mean_score - mean(|s| s)).abs() < 1e-9, "seed {seed}");
            let probability = mean(|s| 1.0 / (1.0 + (-s).exp()));
            assert!((bin.mean_probability - probability).abs() < 1e-9, "seed {seed}");
            high = bin.low;
        }
        if enough {
            assert_eq!(bins.iter().map(|b| b.rows).sum::<usize>(), scores.len(), "seed {seed}");
            let groups: Vec<u8> = deciles(&bins).iter().map(|b| b.decile).collect();
            assert!(groups.is_sorted_by(|a, b| a < b), "{groups:?}, seed {seed}");
            assert!(groups[0] == 1 && groups[groups.len() - 1] <= 10, "{groups:?}, seed {seed}");
        }
    }
    assert!(with > 100 && without > 50, "{with} with bins, {without} without");
}

#[test]
fn many_distinct_scores_have_a_hundred_equal_bins_in_ten_equal_groups() {
    let scores: Vec<f64> = (0..5000).map(f64::from).collect();
    let labels: Vec<bool> = (0..5000).map(|i| i % 3 == 0).collect();
    let bins = partition(&Ranked::new(&scores, &labels).unwrap());
    assert_eq!(bins.len(), 100);
    assert!(bins.iter().all(|bin| bin.rows == 50));
    assert!(bins.iter().enumerate().all(|(i, bin)| usize::from(bin.decile) == 1 + i / 10));
    assert_eq!((bins[0].low, bins[99].low), (4950.0, 0.0));
    let groups = deciles(&bins);
    assert!(groups.len() == 10 && groups.iter().all(|group| group.rows == 500));
    assert_eq!(groups[3].mean_score, 3249.5);
}

#[test]
fn tenths_of_one_class_are_merged_and_named_by_the_first() {
    // Of 100 rows the highest 27 are positive, then one in two.
    let scores: Vec<f64> = (0..100).map(|i| -f64::from(i)).collect();
    let labels: Vec<bool> = (0..100).map(|i| i < 27 || i % 2 == 0).collect();
    let groups = deciles(&partition(&Ranked::new(&scores, &labels).unwrap()));
    let shape: Vec<_> = groups.iter().map(|g| (g.decile, g.rows, g.positives)).collect();
    let tail: Vec<_> = (5..=10).map(|k| (k, 10, 5)).collect();
    assert_eq!(shape[1..], tail, "{shape:?}");
    assert_eq!(shape[0], (1, 40, 33));
}

fn evaluation(seed: u64) -> (Evaluation, [Vec<f64>; 3], Vec<bool>) {
    let (joint, labels) = random_rows(50..700, seed);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let bank: Vec<f64> = joint.iter().map(|z| z / 3.0 + rng.random_range(-1.0..1.0)).collect();
    let rows = rng.random_range(64..900);
    let train: Vec<f64> = (0..rows).map(|_| rng.random_range(-2.5..1.8)).collect();
    let [a, b] = [&joint, &bank].map(|scores| Ranked::new(scores, &labels).unwrap());
    let evaluation = Evaluation::new(&a, &b, &train, &labels, &mut rng);
    (evaluation, [joint, bank, train], labels)
}

/// Rows and positives from the top at which a released list of bins can be cut.
fn cuts(bins: &[ReleasedBin]) -> BTreeSet<(usize, usize)> {
    let mut at = (0, 0);
    bins.iter()
        .map(|bin| {
            at = (at.0 + bin.rows, at.1 + bin.positives);
            at
        })
        .collect()
}

/// A client may subtract any two numbers that it is told. Every count of test rows of a model is a cut of
/// the same list, so any difference is of whole bins.
#[test]
fn no_difference_of_two_counts_is_smaller_than_a_bin() {
    for seed in 0..200 {
        let (told, scores, labels) = evaluation(seed);
        let positives = labels.iter().filter(|&&y| y).count();
        let Some(said) = told.positives else {
            assert!(positives.min(labels.len() - positives) < 5, "seed {seed}");
            for model in [&told.joint, &told.bank_only] {
                assert!(model.bins.is_empty() && model.at_ks.is_none(), "seed {seed}");
                assert!(model.at_best_f1.is_none() && model.calibration_error.is_none());
                assert!(model.recall_at_precision.is_empty());
                assert!(model.precision_at_recall.is_empty());
            }
            assert!(told.stability.is_none());
            continue;
        };
        assert_eq!(said, positives);
        for (model, exact) in [(&told.joint, &scores[0]), (&told.bank_only, &scores[1])] {
            for bin in &model.bins {
                let other = bin.rows - bin.positives;
                assert!(bin.rows >= 10 && bin.positives.min(other) >= 5, "{bin:?}, seed {seed}");
            }
            let cuts = cuts(&model.bins);
            assert_eq!(cuts.last(), Some(&(labels.len(), positives)), "seed {seed}");
            let points = [&model.recall_at_precision, &model.precision_at_recall];
            let points = points.into_iter().flatten();
            for point in points.chain(&model.at_ks).chain(&model.at_best_f1) {
                let rows = (point.share * labels.len() as f64).round() as usize;
                let hits = (point.recall * positives as f64).round() as usize;
                assert!(cuts.contains(&(rows, hits)), "{point:?}, seed {seed}");
                assert!((point.precision - hits as f64 / rows as f64).abs() < 1e-12);
            }
            // The threshold of a bin is at most its lowest score, and not the lowest of all.
            let mut ranked = exact.clone();
            ranked.sort_by(|a, b| b.total_cmp(a));
            let mut end = 0;
            for bin in &model.bins {
                end += bin.rows;
                assert_eq!(bin.low.is_none(), end == ranked.len(), "seed {seed}");
                if let Some(low) = bin.low {
                    assert!(low <= ranked[end - 1], "{low} above a score of its bin, seed {seed}");
                }
            }
        }
        if let Some(stability) = &told.stability {
            let rows: BTreeSet<usize> = cuts(&told.bank_only.bins).iter().map(|c| c.0).collect();
            let mut test = 0;
            for bin in &stability.bins {
                test += bin.actual;
                assert!(rows.contains(&test), "seed {seed}");
                assert!(bin.expected >= 10 && bin.actual >= 10, "{bin:?}, seed {seed}");
            }
            assert_eq!(test, labels.len(), "seed {seed}");
            let train: usize = stability.bins.iter().map(|bin| bin.expected).sum();
            assert_eq!(train, scores[2].len(), "seed {seed}");
        }
    }
}

#[test]
fn tenths_tell_lift_and_ks_of_what_is_in_them_and_above() {
    // 200 rows by falling score: of each 20 the first so many are positive, 60 in all.
    let positives = [15, 10, 7, 5, 5, 5, 5, 0, 0, 8];
    let scores: Vec<f64> = (0..200).map(|i| -f64::from(i)).collect();
    let labels: Vec<bool> = (0..200).map(|i| i % 20 < positives[i / 20]).collect();
    let ranked = Ranked::new(&scores, &labels).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let told = Evaluation::new(&ranked, &ranked, &scores, &labels, &mut rng);
    let deciles = told.joint.deciles();
    let shape: Vec<_> = deciles.iter().map(|d| (d.decile, d.rows, d.positives)).collect();
    let last = [(6, 20, 5), (7, 20, 5), (8, 60, 8)];
    assert_eq!(shape[..2], [(1, 20, 15), (2, 20, 10)]);
    assert_eq!(shape[5..], last, "{shape:?}");
    let ks = |d: usize| deciles[d].cumulative_ks;
    assert!((deciles[0].lift - 0.75 / 0.3).abs() < 1e-12);
    assert!((deciles[7].lift - 8.0 / 60.0 / 0.3).abs() < 1e-12);
    // 25 of 60 positives and 15 of 140 negatives are in the first two.
    assert!((ks(1) - (25.0 / 60.0 - 15.0 / 140.0)).abs() < 1e-12);
    assert_eq!(ks(7), 0.0);
}

/// With real scores no number that is told is one of them, and figures have four decimals.
#[test]
fn no_score_and_no_exact_figure_is_told() {
    for seed in 0..50 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let joint: Vec<f64> = (0..400).map(|_| rng.random_range(-3.0..3.0)).collect();
        let labels: Vec<bool> =
            joint.iter().map(|z| rng.random_bool(1.0 / (1.0 + (-z).exp()))).collect();
        let bank: Vec<f64> = joint.iter().map(|z| z + rng.random_range(-1.0..1.0)).collect();
        let [a, b] = [&joint, &bank].map(|scores| Ranked::new(scores, &labels).unwrap());
        let told = Evaluation::new(&a, &b, &bank, &labels, &mut rng);
        let scores: BTreeSet<u64> = joint.iter().chain(&bank).map(|s| s.to_bits()).collect();
        for model in [&told.joint, &told.bank_only] {
            let points = [&model.recall_at_precision, &model.precision_at_recall];
            let points = points.into_iter().flatten().chain(&model.at_ks).chain(&model.at_best_f1);
            let thresholds = points.filter_map(|point| point.threshold);
            let of_bins =
                model.bins.iter().flat_map(|bin| bin.low.into_iter().chain([bin.mean_score]));
            for told in thresholds.chain(of_bins) {
                assert!(!scores.contains(&told.to_bits()), "{told} is a row's score, seed {seed}");
                // 2.7 / 200 and below: a step of a hundredth.
                assert!((told * 100.0 - (told * 100.0).round()).abs() < 1e-6, "{told}");
            }
            let figures =
                [model.ks.value, model.auc.value, model.ks.interval.low, model.ks.interval.high];
            let others = [model.f1, model.brier, model.log_loss, model.average_precision];
            for told in figures.into_iter().chain(others) {
                assert!((told * 1e4 - (told * 1e4).round()).abs() < 1e-6, "{told}, seed {seed}");
            }
            let exact = if std::ptr::eq(model, &told.joint) { &joint } else { &bank };
            let exact = evaluate(exact, &labels).unwrap();
            assert!((model.ks.value - exact.ks).abs() <= 5.1e-5, "seed {seed}");
            assert!((model.auc.value - exact.auc).abs() <= 5.1e-5, "seed {seed}");
        }
        let stability = told.stability.unwrap();
        let mut lows = stability.bins.iter().filter_map(|bin| bin.low);
        assert!(lows.all(|low| !scores.contains(&low.to_bits())), "seed {seed}");
    }
}
