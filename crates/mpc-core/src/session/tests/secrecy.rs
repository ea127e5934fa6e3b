//! What a log may hold: `Debug` of everything that holds ids, values or shares shows sizes only. The
//! states of the transfers have a test of their own in `ot::tests::reuse`.

use std::fmt::Debug;

use super::*;
use crate::{
    baseline::OwnedCsr,
    features::prepare,
    ot::ideal::random_transfers,
    plan::PublicBounds,
    psi::{AHEAD, AwaitBlinded, Blinded, Doubled, Next, Opening},
    ring::Ring,
    shares::Shares,
    train::{
        correlations::{FeatureProducts, LabelProducts, transfers},
        masked_scores::Masked,
        series::ErrorSeries,
    },
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
        weights: Some(vec![0.125, 86.5]),
    }
}

#[test]
fn debug_shows_no_id_and_no_value() {
    let table = dense();
    let sparse = features(&[vec![0.0, 4095.5], vec![1.0, 0.0]], true);
    shows(&table, "Table(2 rows, Typed(1 columns))");
    shows(&Table { labels: None, ..dense() }, "Table(2 rows, Typed(1 columns))");
    shows(&sparse, "Sparse(2 columns)");
    let csr = OwnedCsr::from_features(&sparse, &[0, 1]);
    shows(&csr, "OwnedCsr(2 x 2, ..)");
    shows(&csr.as_csr(), "Csr(2 x 2, ..)");
    let prepared = prepare(&table, &table, [&[0, 1], &[], &[1]], false).unwrap();
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
}

/// The states that correlations and errors pass through.
#[test]
fn debug_shows_no_mask_and_no_factor() {
    let rng = &mut ChaCha20Rng::seed_from_u64(92);
    let bounds = PublicBounds {
        columns: 3,
        dense: true,
        standardised: true,
        column_bits: 8,
        row_bits: 3,
        energy_bits: 3,
    };
    let plan = Plan::new(&Parameters::default(), [400, 0, 100], bounds, bounds).unwrap();
    let count = transfers(&plan, 2).iter().sum();
    let (ots_a, ots_b) = random_transfers(0, count, rng);
    let (a, choices) = FeatureProducts::begin(&plan, 0, 2, ots_a, rng).unwrap();
    shows(&a, "FeatureProducts(2 rows)");
    let series = ErrorSeries::fit(&plan.shape, plan.shape.period);
    let targets = [true, false].map(|label| Target { label, weight: 1.0 });
    shows(&targets[0], "Target(..)");
    let (b, corrections) =
        LabelProducts::respond(&plan, 0, &series, &targets, ots_b, &choices, rng).unwrap();
    shows(&b, "LabelProducts(2 rows)");
    let (masks_a, a, bits) = a.receive(&corrections).unwrap();
    shows(&masks_a, "ScoreMasks(2 rows)");
    shows(&a, "FeatureLift(LiftReceiver(28 values))");
    let (masks_b, factors_b, wraps) = b.receive(&bits).unwrap();
    let factors_a = a.receive(&wraps).unwrap();
    shows(&factors_a, "Factors(28 values)");
    let ring = plan.score_ring(0);
    let scores = || Shares::new(ring, vec![0x0a1b_2c3d; 2]);
    let (a, from_a) = Masked::new(Role::FeatureHolder, scores(), masks_a);
    let (b, from_b) = Masked::new(Role::LabelHolder, scores(), masks_b);
    shows(&a, "Masked(2 rows)");
    shows(&a.receive(&from_b, factors_a), "ErrorShares(2 rows)");
    shows(&b.receive(&from_a, factors_b), "ErrorShares(2 rows)");
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
    let (a, b) = (rest_of_rounds(a, AHEAD), rest_of_rounds(b, AHEAD));
    let (_, a) = a.receive(from_b).unwrap();
    let (to_a, _) = b.receive(from_a).unwrap();
    shows(&a, "AwaitDoubled(Run(Own(2 ids), 0 of 2 own, 1 of 1))");
    let Next::Chunk(a) = a.receive(Doubled::default()).unwrap() else { panic!("no answer yet") };
    let a = rest_of_rounds(a.blind().1, AHEAD - 1);
    let Next::Match(matching) = a.receive(Blinded::default()).unwrap().1.receive(to_a).unwrap()
    else {
        panic!("one chunk")
    };
    shows(&matching, "Matching(Run(Own(2 ids), 2 of 2 own, 1 of 1))");
}

/// The same state so many rounds later, in which nothing is due.
fn rest_of_rounds(mut state: AwaitBlinded<'_>, rounds: usize) -> AwaitBlinded<'_> {
    for _ in 0..rounds {
        let (_, waiting) = state.receive(Blinded::default()).unwrap();
        let Next::Chunk(next) = waiting.receive(Doubled::default()).unwrap() else {
            panic!("nothing was received")
        };
        state = next.blind().1;
    }
    state
}
