//! PSI, metrics and baseline against the reference figures of real data sets.
//!
//! `default_credit` is in the repository and always runs; the others run where they are found and
//! otherwise print that they were skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, their helpers included")]

mod files;
mod ideal;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Instant;

use mpc_core::baseline::{OwnedCsr, fit_and_score, float_sgd};
use mpc_core::features::Transform;
use mpc_core::matrix::{Features, Table};
use mpc_core::metrics::evaluate;
use mpc_core::psi::{Blinded, Doubled, Intersection, Next, Opening};
use mpc_core::session::Parameters;
use mpc_core::wire::Message;
use rand::seq::SliceRandom;
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::Value;

/// Both sides of an intersection, over encoded messages.
fn intersect(a: &[String], b: &[String], rng: &mut impl CryptoRng) -> [Intersection; 2] {
    let a = Opening::new(a, [3; 32], 1 << 20, rng).unwrap();
    let b = Opening::new(b, [3; 32], 1 << 20, rng).unwrap();
    let (size_a, size_b) = (a.size(), b.size());
    let mut a = Next::Chunk(a.receive_size(size_b).unwrap());
    let mut b = Next::Chunk(b.receive_size(size_a).unwrap());
    let (mut from_a, mut from_b) = (VecDeque::new(), VecDeque::new());
    loop {
        a = round(a, &mut from_a, &mut from_b);
        b = round(b, &mut from_b, &mut from_a);
        (a, b) = match (a, b) {
            (Next::Match(a), Next::Match(b)) => {
                return [a.intersect().unwrap(), b.intersect().unwrap()];
            }
            unfinished => unfinished,
        };
    }
}

/// One round of one side, unless it is done. What it reads was sent in an earlier round.
fn round<'a>(
    next: Next<'a>,
    sent: &mut VecDeque<Vec<u8>>,
    received: &mut VecDeque<Vec<u8>>,
) -> Next<'a> {
    let Next::Chunk(state) = next else { return next };
    let (points, state) = state.blind();
    sent.extend(Some(points.to_bytes()).filter(|_| !points.is_empty()));
    let points = match state.expected() {
        0 => Blinded::default(),
        n => Blinded::decode(&received.pop_front().unwrap(), n).unwrap(),
    };
    let (answer, state) = state.receive(points).unwrap();
    sent.extend(Some(answer.to_bytes()).filter(|_| !answer.is_empty()));
    let answer = match state.expected() {
        0 => Doubled::default(),
        n => Doubled::decode(&received.pop_front().unwrap(), n).unwrap(),
    };
    state.receive(answer).unwrap()
}

fn intersection_equals_expected(folder: &Path, split: &str) {
    let seed = 17;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (a, b) = (files::table(folder, split, 'a'), files::table(folder, split, 'b'));
    let start = Instant::now();
    let [at_a, at_b] = intersect(&a.ids, &b.ids, &mut rng);
    let seconds = start.elapsed().as_secs_f64();
    let points = 2 * (a.ids.len() + b.ids.len());
    println!(
        "{} {split}: {} common ids, {points} points by both sides in {seconds:.2} s, {:.0}/s",
        folder.file_name().unwrap().display(),
        at_a.rows.len(),
        points as f64 / seconds
    );
    let expected = files::expected(folder);
    assert_eq!(at_a.sha256_hex(), expected["intersection_sha256"][split], "seed {seed}");
    assert_eq!(at_a.rows.len() as u64, expected["rows"][split].as_u64().unwrap());
    assert_eq!(at_b.sha256, at_a.sha256);
    for (&row_a, &row_b) in at_a.rows.iter().zip(&at_b.rows) {
        assert_eq!(a.ids[row_a], b.ids[row_b]);
    }
}

/// B's table and its rows of the intersection, found in the clear.
fn bank(folder: &Path, split: &str) -> (Table, Vec<usize>) {
    let at_a: Vec<String> = files::table(folder, split, 'a').ids;
    let b = files::table(folder, split, 'b');
    let row_of: HashMap<&str, usize> = (0..).zip(&b.ids).map(|(i, id)| (id.as_str(), i)).collect();
    let mut common: Vec<&str> =
        at_a.iter().map(String::as_str).filter(|id| row_of.contains_key(id)).collect();
    common.sort_unstable();
    let rows = common.into_iter().map(|id| row_of[id]).collect();
    (b, rows)
}

fn labels_of(table: &Table, rows: &[usize]) -> Vec<bool> {
    let labels = table.labels.as_ref().unwrap();
    rows.iter().map(|&row| labels[row]).collect()
}

fn bank_alone_equals_reference(folder: &Path) {
    let ((train, train_rows), (test, test_rows)) = (bank(folder, "train"), bank(folder, "test"));
    let train_labels = train.labels.as_ref().unwrap();
    let start = Instant::now();
    let scores =
        fit_and_score(&train.features, train_labels, &train_rows, &test.features, &test_rows)
            .unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let got = evaluate(&scores.test, &labels_of(&test, &test_rows)).unwrap();
    let reference = &files::expected(folder)["lr"]["bank_only"];
    println!(
        "{} bank alone: KS {:.5} AUC {:.6} F1 {:.6} in {seconds:.2} s; reference {reference}",
        folder.file_name().unwrap().display(),
        got.ks,
        got.auc,
        got.f1
    );
    let close = |name: &str, got: f64, tolerance: f64| {
        let reference = reference[name].as_f64().unwrap();
        assert!((got - reference).abs() <= tolerance, "{name} {got}, reference {reference}");
    };
    // Both are converged, so they differ by the optimisers' tolerances only.
    close("ks", got.ks, 5e-4);
    close("auc", got.auc, 1e-4);
    close("f1_at_0.5", got.f1, 2e-3);
}

fn default_credit() -> std::path::PathBuf {
    files::find("default_credit").expect("default_credit is part of the repository")
}

#[test]
fn psi_of_default_credit() {
    intersection_equals_expected(&default_credit(), "train");
    intersection_equals_expected(&default_credit(), "test");
}

#[test]
fn psi_of_the_other_sets() {
    let sets = ["breast", "farm_ads"].map(files::find);
    for folder in sets.iter().flatten() {
        intersection_equals_expected(folder, "train");
        intersection_equals_expected(folder, "test");
    }
}

#[test]
fn bank_alone_on_default_credit() {
    bank_alone_equals_reference(&default_credit());
}

#[test]
fn bank_alone_on_the_other_sets() {
    let sets = ["a9a", "farm_ads", "breast", "bank_marketing"].map(files::find);
    for folder in sets.iter().flatten() {
        bank_alone_equals_reference(folder);
    }
}

/// The reference descent shuffles with another generator, so figures agree up to the noise of the
/// order of rows.
#[test]
fn float_sgd_on_default_credit() {
    let folder = default_credit();
    let ((train, rows), (test, test_rows)) = (bank(&folder, "train"), bank(&folder, "test"));
    let (Features::Typed(columns), Features::Typed(test_columns)) =
        (&train.features, &test.features)
    else {
        panic!("a CSV file gave a sparse table")
    };
    let transform = Transform::fit(columns, &rows).unwrap();
    let [x, t] = [(columns, &rows), (test_columns, &test_rows)].map(|(columns, rows)| {
        let applied = transform.apply_exact(columns, rows).unwrap();
        OwnedCsr::from_rows(transform.columns(), applied.rows)
    });

    let seed = 7;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let expected = files::expected(&folder);
    let gd = |name: &str| -> &Value { &expected["gd"][name] };
    let batch = usize::try_from(gd("batch").as_u64().unwrap()).unwrap();
    let mut order = Vec::new();
    for _ in 0..gd("epochs").as_u64().unwrap() {
        let mut epoch: Vec<usize> = (0..rows.len()).collect();
        epoch.shuffle(&mut rng);
        epoch.truncate(rows.len() / batch * batch);
        order.extend(epoch);
    }
    let step = gd("lr").as_f64().unwrap();
    let labels = labels_of(&train, &rows);
    let model = float_sgd(&x.as_csr(), &labels, order.chunks(batch), step, 0.0).unwrap();
    let got = evaluate(&model.decision(&t.as_csr()), &labels_of(&test, &test_rows)).unwrap();
    let reference = expected["minibatch_gd"]["bank_only"]["ks"].as_f64().unwrap();
    println!("default_credit float descent: KS {:.5}, reference {reference}", got.ks);
    assert!((got.ks - reference).abs() < 0.003, "KS {}, {reference}, seed {seed}", got.ks);
}

/// Name, and how far KS may stay below the converged reference: few test rows make it coarse.
const ALL_SETS: [(&str, f64); 7] = [
    ("default_credit", 0.015),
    ("a9a", 0.015),
    ("farm_ads", 0.015),
    ("default_credit_fate", 0.015),
    ("bank_marketing", 0.015),
    ("german_credit", 0.06),
    ("breast", 0.06),
];

/// The default rule sees no labels and no results; it must serve sets of every kind.
#[test]
fn the_default_rule_reaches_the_reference() {
    for (set, below) in ALL_SETS {
        let Some(folder) = files::find(set) else { continue };
        let data = ideal::Aligned::read(&folder);
        let reference = files::expected(&folder)["lr"]["joint"]["ks"].as_f64().unwrap();
        for seed in 1..=3 {
            let got = data.train(&Parameters::default(), seed);
            println!("{set}, seed {seed}: {got:?}, reference {reference}");
            assert!(got.ideal >= reference - below, "{set}, seed {seed}: {got:?}, {reference}");
            assert!((got.ideal - got.float).abs() <= below / 3.0, "{set}, seed {seed}: {got:?}");
            assert!(got.spread < 1.0 / 256.0, "{set}, seed {seed}: {got:?}");
        }
    }
}

/// Steps that overshoot: the series keeps up with the exact sigmoid. KS after the last of such steps
/// depends on the order of rows (floating point alone ranges from 0.58 to 0.64 on a9a), so one order
/// of ten may differ by more than 0.03 (docs/adr/0003 counts them).
#[test]
fn large_steps_follow_floating_point() {
    for (set, rate) in [("default_credit", 3.0), ("a9a", 10.0)] {
        let Some(folder) = files::find(set) else { continue };
        let data = ideal::Aligned::read(&folder);
        let mut far = 0;
        for seed in 41..=50 {
            let asked = Parameters { learning_rate: Some(rate), ..Parameters::default() };
            let got = data.train(&asked, seed);
            println!("{set}, rate {rate}, seed {seed}: {got:?}");
            far += u32::from((got.ideal - got.float).abs() > 0.03);
        }
        assert!(far <= 1, "{set}: {far} of 10 orders");
    }
}
