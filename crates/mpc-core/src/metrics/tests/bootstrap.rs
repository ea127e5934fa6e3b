//! Intervals against resamples that are written out, and against theory.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{
    super::{
        bootstrap::{Interval, Intervals, intervals},
        *,
    },
    random_rows,
};

/// The same draws, with every resample as a list of rows.
fn written_out(models: [&[f64]; 2], labels: &[bool], resamples: usize, seed: u64) -> Intervals {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let class = |label| (0..labels.len()).filter(|&i| labels[i] == label).collect::<Vec<_>>();
    let mut ks = [vec![], vec![], vec![]];
    let mut auc = [vec![], vec![], vec![]];
    for _ in 0..resamples {
        let mut rows = Vec::new();
        for class in [class(false), class(true)] {
            rows.extend((0..class.len()).map(|_| class[rng.random_range(0..class.len())]));
        }
        let labels: Vec<bool> = rows.iter().map(|&i| labels[i]).collect();
        let [a, b] = models.map(|scores| {
            evaluate(&rows.iter().map(|&i| scores[i]).collect::<Vec<_>>(), &labels).unwrap()
        });
        for (i, (k, u)) in
            [(a.ks, a.auc), (b.ks, b.auc), (a.ks - b.ks, a.auc - b.auc)].into_iter().enumerate()
        {
            ks[i].push(k);
            auc[i].push(u);
        }
    }
    // 41 resamples: the 2.5 and 97.5 per cent are the second and the last but one.
    let central = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        Interval { low: values[1], high: values[resamples - 2] }
    };
    let [ka, kb, kd] = ks.each_mut().map(central);
    let [ua, ub, ud] = auc.each_mut().map(central);
    Intervals { ks: [ka, kb], auc: [ua, ub], ks_gain: kd, auc_gain: ud, resamples }
}

#[test]
fn intervals_are_those_of_resampled_rows_of_both_models_together() {
    for seed in 0..20 {
        let (a, labels) = random_rows(20..120, seed);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let b: Vec<f64> =
            a.iter().map(|z| z.round() + f64::from(rng.random_range(-1..2))).collect();
        let ranked = [&a, &b].map(|scores| Ranked::new(scores, &labels).unwrap());
        let models = [&ranked[0], &ranked[1]];
        let got = intervals(models, &labels, 41, &mut ChaCha20Rng::seed_from_u64(seed + 1000));
        let want = written_out([&a, &b], &labels, 41, seed + 1000);
        for (got, want) in [
            (got.ks[0], want.ks[0]),
            (got.ks[1], want.ks[1]),
            (got.auc[0], want.auc[0]),
            (got.auc[1], want.auc[1]),
            (got.ks_gain, want.ks_gain),
            (got.auc_gain, want.auc_gain),
        ] {
            let off = (got.low - want.low).abs().max((got.high - want.high).abs());
            assert!(off < 1e-12, "{got:?} instead of {want:?}, seed {seed}");
        }
    }
}

/// AUC of n uniform scores that do not depend on m labels of each class has variance (2m + 1)/(12 m²).
#[test]
fn the_width_of_an_interval_is_that_of_theory() {
    let (seed, m) = (3, 1000);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let scores: Vec<f64> = (0..2 * m).map(|_| rng.random_range(-1.0..1.0)).collect();
    let labels: Vec<bool> = (0..2 * m).map(|i| i % 2 == 0).collect();
    let ranked = Ranked::new(&scores, &labels).unwrap();
    let found = intervals([&ranked, &ranked], &labels, 1000, &mut rng);
    let deviation = (f64::from(2 * m + 1) / 12.0).sqrt() / f64::from(m);
    let width = found.auc[0].high - found.auc[0].low;
    // A 2.5 % point of 1,000 resamples has a deviation of a fifteenth of the width's half.
    assert!((width / (2.0 * 1.96 * deviation) - 1.0).abs() < 0.2, "{width}, seed {seed}");
    // The same model twice is never better than itself.
    assert_eq!(found.ks_gain, Interval { low: 0.0, high: 0.0 });
    assert_eq!(found.auc_gain, Interval { low: 0.0, high: 0.0 });
}
