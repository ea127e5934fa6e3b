//! What a log may hold: `Debug` of everything that holds ids, values or shares shows sizes only. The
//! states of the transfers have a test of their own in `ot::tests::reuse`.

use std::fmt::Debug;

use super::*;
use crate::{
    baseline::OwnedCsr,
    features::prepare,
    psi::{Next, Opening},
    ring::Ring,
    shares::Shares,
    train::{feature_holder::FeatureScores, label_holder::LabelScores},
};

#[track_caller]
fn shows(value: &impl Debug, expected: &str) {
    assert_eq!(format!("{value:?}"), expected);
    // Some state may print otherwise when it is asked for many lines.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    assert_eq!(digits(&format!("{value:#?}")), digits(expected));
}

fn dense() -> Table {
    Table {
        ids: ["customer-4711", "customer-4712"].map(str::to_owned).to_vec(),
        features: features(&[vec![86_753.093_75], vec![-3.25]], false),
        labels: Some(vec![true, false]),
    }
}

#[test]
fn debug_shows_no_id_and_no_value() {
    let table = dense();
    let sparse = features(&[vec![0.0, 4095.5], vec![1.0, 0.0]], true);
    shows(&table, "Table(2 rows, Dense(1 columns))");
    shows(&Table { labels: None, ..dense() }, "Table(2 rows, Dense(1 columns))");
    shows(&sparse, "Sparse(2 columns)");
    let csr = OwnedCsr::from_features(&sparse, &[0, 1]);
    shows(&csr, "OwnedCsr(2 x 2, ..)");
    shows(&csr.as_csr(), "Csr(2 x 2, ..)");
    let prepared = prepare(&table, &[0, 1], &table, &[1]).unwrap();
    shows(&prepared.train, "Rows(2 rows, ..)");
    let text = format!("{prepared:?} {prepared:#?}");
    assert!(text.contains("Rows(2 rows, ..)") && !text.contains("values"), "{text}");
}

#[test]
fn debug_shows_no_share() {
    let ring = Ring::new(60).unwrap();
    let shares = || Shares::new(ring, vec![0x0a1b_2c3d_4e5f_6071; 2]);
    let expected = "Shares { ring: Ring { bits: 60 }, rows: 2, .. }";
    shows(&shares(), expected);
    shows(&FeatureScores::new(shares()), &format!("FeatureScores({expected})"));
    shows(&LabelScores::new(shares()), &format!("LabelScores({expected})"));
}

#[test]
fn debug_of_an_intersection_under_way_shows_no_id_and_no_exponent() {
    let (ids_a, ids_b) = (dense().ids, vec!["customer-4712".to_owned()]);
    let rng = &mut ChaCha20Rng::seed_from_u64(91);
    let a = Opening::new(&ids_a, [1; 32], 9, rng).unwrap();
    let b = Opening::new(&ids_b, [1; 32], 9, rng).unwrap();
    shows(&a, "Opening { own: Own(2 ids), max_ids: 9 }");
    let (size_a, size_b) = (a.size(), b.size());
    let (a, b) = (a.receive_size(size_b).unwrap(), b.receive_size(size_a).unwrap());
    shows(&a, "Blinding(Run(Own(2 ids), 0 of 2 own, 0 of 1))");
    let ((from_a, a), (from_b, b)) = (a.blind(), b.blind());
    shows(&a, "AwaitBlinded(Run(Own(2 ids), 0 of 2 own, 0 of 1))");
    let (_, a) = a.receive(from_b).unwrap();
    let (to_a, _) = b.receive(from_a).unwrap();
    shows(&a, "AwaitDoubled(Run(Own(2 ids), 0 of 2 own, 1 of 1))");
    let Next::Match(matching) = a.receive(to_a).unwrap() else { panic!("one chunk") };
    shows(&matching, "Matching(Run(Own(2 ids), 2 of 2 own, 1 of 1))");
}
