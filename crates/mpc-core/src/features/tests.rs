use super::*;
use crate::{
    matrix::{Codes, Column, Encode, Missing, Numbers, Recipe, Scale, Values},
    plan::STANDARDISED_BITS,
    wire::Message as _,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

fn sparse(values: &[f64]) -> Table {
    Table {
        ids: (0..values.len()).map(|i| i.to_string()).collect(),
        features: Features::Sparse {
            columns: 2,
            indptr: (0..=values.len()).collect(),
            indices: vec![1; values.len()],
            values: values.to_vec(),
        },
        labels: None,
        weights: None,
    }
}

/// The matrix of a batch takes no zeros and nothing from 2^20 on.
#[test]
fn values_at_both_ends_of_fixed_point_are_dropped_rounded_or_refused() {
    let smallest = 1.0 / 256.0;
    let values = [1e-9, -0.001, smallest * 0.51, -smallest * 1.4, 4095.99, 1.0];
    let table = sparse(&values);
    let rows: Vec<usize> = (0..values.len()).collect();
    let prepared = prepare(&table, &table, [&rows, &[], &rows], false).unwrap();
    for found in [&prepared.train, &prepared.test] {
        assert_eq!(found.values, [smallest, -smallest, 4095.98828125, 1.0]);
        assert_eq!(found.indptr, [0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(found.indices, [1; 4]);
    }
    for value in [4095.999, -4096.0, 1e300] {
        let wide = sparse(&[1.0, value]);
        for (train, test) in [(&wide, &table), (&table, &wide)] {
            let refused = prepare(train, test, [&[0, 1], &[], &[0, 1]], false).unwrap_err();
            assert_eq!(refused, FeatureError::TooLarge { column: 2 }, "{value}");
        }
    }
}

#[test]
fn a_column_of_ones_is_an_indicator_and_stays_exact() {
    let ones = sparse(&[1.0; 3]);
    let prepared = prepare(&ones, &ones, [&[0, 2], &[], &[1]], false).unwrap();
    assert_eq!(*prepared.dense, [false, false]);
    assert_eq!((prepared.train.values, prepared.test.values), (vec![1.0; 2], vec![1.0]));
    let mixed = prepare(&ones, &sparse(&[0.5]), [&[0, 2], &[], &[0]], false).unwrap();
    assert_eq!(*mixed.dense, [false, true]);
}

/// What tables of numbers became before columns had kinds and recipes, on which the reference figures
/// rest: (v − mean) / deviation of the training rows, clipped to ±8, rounded to 6 fractional bits.
fn standardised(
    width: usize,
    train: &[f64],
    train_rows: &[usize],
    values: &[f64],
    rows: &[usize],
) -> Rows {
    let n = train_rows.len() as f64;
    let mut kept = Vec::new();
    for j in 0..width {
        let column = || train_rows.iter().map(|&i| train[i * width + j]);
        let mean = column().sum::<f64>() / n;
        let variance = column().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        if variance.is_finite() && variance > mean * mean * 1e-24 && variance > 0.0 {
            kept.push((j, mean, libm::sqrt(variance)));
        }
    }
    let mut out = Rows::with_capacity(rows.len());
    for &i in rows {
        for (new, &(j, mean, deviation)) in kept.iter().enumerate() {
            let z = ((values[i * width + j] - mean) / deviation).clamp(-CLIP, CLIP);
            out.push(new as u32, round_fixed(z, STANDARDISED_BITS));
        }
        out.end_row();
    }
    out
}

#[test]
fn numbers_without_gaps_become_the_very_rows_that_they_always_were() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (rows, width) = (9_000, 6);
    let mut draw = || -> Vec<f64> {
        let mut values = Vec::new();
        for _ in 0..rows {
            let heavy = libm::exp(rng.random::<f64>() * 12.0);
            values.extend([
                f64::from(rng.random_range(18..80)),
                f64::from(rng.random_range(-9_999_999..9_999_999)) / 100.0,
                rng.random::<f64>() * 1e-9,
                42.25,
                f64::from(u8::from(rng.random_bool(0.1))),
                heavy,
            ]);
        }
        values
    };
    let (train, test) = (draw(), draw());
    let names: Vec<String> = (0..width).map(|j| format!("c{j}")).collect();
    let table = |values: &[f64]| Table {
        ids: Vec::new(),
        features: Features::dense(names.clone(), values),
        labels: None,
        weights: None,
    };
    let picked: Vec<usize> = (0..rows).filter(|_| rng.random_bool(0.5)).collect();
    let all: Vec<usize> = (0..rows).rev().collect();
    let found = prepare(&table(&train), &table(&test), [&picked, &[], &all], false).unwrap();
    // Bit by bit: Rows compares numbers, and none of them is a negative zero.
    assert!(found.train == standardised(width, &train, &picked, &train, &picked));
    assert!(found.test == standardised(width, &train, &picked, &test, &all));
    assert_eq!((found.columns, found.bounds.standardised), (5, true));
    assert_eq!(found.warnings, ["column `c3` is constant on the common rows and was dropped"]);
}

const GAP: f64 = f64::NAN;

fn numeric(name: &str, values: &[f64], recipe: Recipe) -> Column {
    let values = Values::Numeric(values.iter().copied().collect::<Numbers>());
    Column { name: name.to_owned(), values, recipe }
}

/// `-` stands for a missing category.
fn categorical(name: &str, values: &str, recipe: Recipe) -> Column {
    let cells = values.split(' ').map(|cell| Some(cell).filter(|&cell| cell != "-"));
    let values = Values::Categorical(cells.collect::<Codes>());
    Column { name: name.to_owned(), values, recipe }
}

fn recipe() -> Recipe {
    Recipe::default()
}

/// Fits on all rows of `train`; the cells of `test`, one list a row.
#[track_caller]
fn cells(train: Column, test: Column, count: usize) -> (Vec<Vec<(u32, f64)>>, Transform) {
    let rows: Vec<usize> = (0..count).collect();
    let transform = Transform::fit(&[train], &rows).unwrap();
    let len = match &test.values {
        Values::Numeric(numbers) => numbers.len(),
        Values::Categorical(codes) => codes.len(),
    };
    let applied = transform.apply(&[test], &(0..len).collect::<Vec<_>>()).unwrap();
    ((0..len).map(|i| applied.rows.row(i).collect()).collect(), transform)
}

#[test]
fn a_missing_number_is_the_mean_and_an_indicator_that_training_rows_need() {
    let train = numeric("x", &[1.0, GAP, 3.0, GAP], recipe());
    let test = numeric("x", &[GAP, 3.0, 4.0], recipe());
    let (found, transform) = cells(train.clone(), test.clone(), 4);
    // Mean 2, deviation 1 of the values that are there.
    assert_eq!(found, [vec![(1, 1.0)], vec![(0, 1.0)], vec![(0, 2.0)]]);
    assert_eq!(transform.dense(), [true, false]);
    // None of the training rows misses it: no column could be learnt, the mean remains.
    let full = numeric("x", &[1.0, 3.0, 1.0, 3.0], recipe());
    let (found, transform) = cells(full, test, 4);
    assert_eq!(found, [vec![], vec![(0, 1.0)], vec![(0, 2.0)]]);
    assert_eq!(transform.columns(), 1);
    // What is missing outside the training rows counts nothing.
    let transform = Transform::fit(&[train], &[0, 2]).unwrap();
    assert_eq!(transform.columns(), 1);
}

#[test]
fn a_missing_number_is_filled_as_the_recipe_says() {
    // Mean 4, median 2.
    let values = [1.0, 2.0, 9.0, GAP];
    let with = |missing| Recipe { missing, ..recipe() };
    let filled = |missing| {
        let column = numeric("x", &values, with(missing));
        let (found, transform) = cells(column.clone(), column, 4);
        assert_eq!(transform.columns(), 1, "{missing:?}");
        found[3].clone()
    };
    let deviation = libm::sqrt((9.0 + 4.0 + 25.0) / 3.0);
    let z = |v: f64| round_fixed((v - 4.0) / deviation, STANDARDISED_BITS);
    assert_eq!(filled(Missing::Mean), []);
    assert_eq!(filled(Missing::Median), [(0, z(2.0))]);
    assert_eq!(filled(Missing::Zero), [(0, z(0.0))]);
    let refused = numeric("x", &values, with(Missing::Refuse));
    let error = Transform::fit(std::slice::from_ref(&refused), &[0, 3]).unwrap_err();
    assert_eq!(error, FeatureError::MissingRefused { column: 1 });
    // In the test rows too.
    let transform = Transform::fit(std::slice::from_ref(&refused), &[0, 1, 2]).unwrap();
    assert_eq!(transform.apply(&[refused], &[3]).unwrap_err(), error);
}

#[test]
fn clip_comes_before_log_and_log_before_scale() {
    let shape = Recipe { clip: Some([-10.0, 10.0]), log: true, ..recipe() };
    let column = |scale| numeric("x", &[-1e6, 0.0, 1e6, 3.0], Recipe { scale, ..shape });
    let (found, transform) = cells(column(Scale::None), column(Scale::None), 4);
    let log = |v: f64| (0, round_fixed(libm::log1p(v), 8));
    assert_eq!(found, [vec![(0, -log(10.0).1)], vec![], vec![log(10.0)], vec![log(3.0)]]);
    assert!(!transform.standardised());
    let (found, _) = cells(column(Scale::MinMax), column(Scale::MinMax), 4);
    assert_eq!(found[..3], [vec![], vec![(0, 0.5)], vec![(0, 1.0)]]);
}

#[test]
fn scales_are_of_the_training_rows_and_stay_in_fixed_point() {
    let with = |scale| Recipe { scale, ..recipe() };
    let train = |scale| numeric("x", &[10.0, 20.0], with(scale));
    let test = |scale| numeric("x", &[15.0, 5.0, 1e9], with(scale));
    let min_max = cells(train(Scale::MinMax), test(Scale::MinMax), 2);
    assert_eq!(min_max.0, [vec![(0, 0.5)], vec![(0, -0.5)], vec![(0, CLIP)]]);
    let standard = cells(train(Scale::Standardise), test(Scale::Standardise), 2);
    assert_eq!(standard.0, [vec![], vec![(0, -2.0)], vec![(0, CLIP)]]);
    let transform = Transform::fit(&[train(Scale::None)], &[0, 1]).unwrap();
    let refused = transform.apply(&[test(Scale::None)], &[2]).unwrap_err();
    assert_eq!(refused, FeatureError::TooLarge { column: 1 });
    // In plaintext nothing has to fit.
    let exact = transform.apply_exact(&[test(Scale::None)], &[2]).unwrap();
    assert_eq!(exact.rows.values, [1e9]);
}

#[test]
fn zeros_and_ones_that_are_not_scaled_are_an_indicator() {
    let with = Recipe { scale: Scale::None, missing: Missing::Mean, ..recipe() };
    let train = numeric("x", &[0.0, 1.0, 1.0, GAP], with);
    let (found, transform) = cells(train.clone(), train.clone(), 4);
    // The mean of what is there is nearer to 1.
    assert_eq!(found, [vec![], vec![(0, 1.0)], vec![(0, 1.0)], vec![(0, 1.0)]]);
    assert_eq!(transform.dense(), [false]);
    let other = numeric("x", &[1.0, 0.5, 2.0, 0.0], with);
    let applied = transform.apply(&[other], &[0, 1, 2, 3]).unwrap();
    assert_eq!(applied.rows.indptr, [0, 1, 1, 1, 1]);
    assert!(applied.warnings[0].contains("2 of 4 rows"), "{:?}", applied.warnings);
    // Two columns of one table meet at one scale: 6 bits as soon as one is standardised.
    let fine = numeric("y", &[0.3, 0.7, 0.3, 0.7], Recipe { missing: Missing::Zero, ..with });
    let scaled = numeric("z", &[1.0, 3.0, 1.0, 3.0], recipe());
    let alone = Transform::fit(std::slice::from_ref(&fine), &[0, 1]).unwrap();
    let value = |t: &Transform, columns: &[Column]| t.apply(columns, &[0]).unwrap().rows.values[0];
    assert_eq!(value(&alone, std::slice::from_ref(&fine)), round_fixed(0.3, 8));
    let columns = [fine, scaled];
    let both = Transform::fit(&columns, &[0, 1]).unwrap();
    assert_eq!(value(&both, &columns), round_fixed(0.3, 6));
}

#[test]
fn categories_are_indicators_of_the_levels_that_training_rows_have() {
    let train = categorical("c", "b a - b unseen", recipe());
    let test = categorical("c", "new a b - other", recipe());
    // The fifth row is not in the intersection.
    let (found, transform) = cells(train, test.clone(), 4);
    // Levels in order, the missing one after them.
    assert_eq!(found, [vec![], vec![(0, 1.0)], vec![(1, 1.0)], vec![(2, 1.0)], vec![]]);
    assert_eq!(transform.dense(), [false; 3]);
    let warnings = transform.apply(&[test], &[0, 1, 4]).unwrap().warnings;
    assert_eq!(
        warnings,
        ["column `c`: 2 of 3 rows have a value that training has not seen; it counts as none"]
    );
}

#[test]
fn a_missing_category_is_a_level_nothing_or_refused() {
    let with = |missing| Recipe { missing, ..recipe() };
    let column = |missing| categorical("c", "a b -", with(missing));
    let (found, transform) = cells(column(Missing::Zero), column(Missing::Zero), 3);
    assert_eq!((found[2].clone(), transform.columns()), (vec![], 2));
    let refused = Transform::fit(&[column(Missing::Refuse)], &[0, 1, 2]).unwrap_err();
    assert_eq!(refused, FeatureError::MissingRefused { column: 1 });
    let transform = Transform::fit(&[column(Missing::Refuse)], &[0, 1]).unwrap();
    assert_eq!(transform.apply(&[column(Missing::Refuse)], &[2]).unwrap_err(), refused);
}

#[test]
fn hashed_categories_need_not_have_been_seen() {
    let with = Recipe { encode: Encode::Hash(8), ..recipe() };
    let train = categorical("c", "a b - c", with);
    let test = categorical("c", "z a - y", with);
    let (found, transform) = cells(train, test.clone(), 4);
    assert_eq!(transform.columns(), 9);
    let other = cells(categorical("c", "q z - a", with), test, 4).0;
    assert_eq!(found, other, "the hash is public and does not depend on training");
    assert!(found.iter().all(|row| row.len() == 1));
    assert_eq!(found[2], [(8, 1.0)]);
    assert!(found[0][0].0 < 8);
}

#[test]
fn too_many_levels_are_refused_at_the_exact_number() {
    let levels: Vec<String> = (0..5).map(|i| i.to_string()).collect();
    let column =
        |max_levels| categorical("c", &levels.join(" "), Recipe { max_levels, ..recipe() });
    assert!(Transform::fit(&[column(5)], &[0, 1, 2, 3, 4]).is_ok());
    let refused = Transform::fit(&[column(4)], &[0, 1, 2, 3, 4]).unwrap_err();
    assert_eq!(refused, FeatureError::TooManyLevels { column: 1, levels: 5, limit: 4 });
    // Levels of other rows do not count.
    assert!(Transform::fit(&[column(4)], &[0, 1, 2, 3]).is_ok());
}

#[test]
fn what_has_one_value_or_none_becomes_no_column_and_is_told() {
    let columns = [
        numeric("none", &[GAP, GAP, GAP], recipe()),
        numeric("constant", &[7.0, 7.0, 7.0], recipe()),
        numeric("gaps", &[7.0, GAP, 7.0], recipe()),
        categorical("nothing", "- - -", recipe()),
        categorical("same", "a a a", recipe()),
        categorical("two", "a - a", recipe()),
    ];
    let transform = Transform::fit(&columns, &[0, 1, 2]).unwrap();
    let warnings = transform.warnings();
    // `gaps` keeps its indicator, `two` is a level and the missing one.
    assert_eq!(transform.columns(), 3);
    let applied = transform.apply(&columns, &[0, 1, 2]).unwrap();
    assert_eq!(applied.rows.indptr, [0, 1, 3, 4]);
    assert_eq!(applied.warnings, Vec::<String>::new());
    let on = "on the common rows";
    assert_eq!(
        warnings,
        [
            format!("column `none` has no value {on} and was dropped"),
            format!("column `constant` is constant {on} and was dropped"),
            format!(
                "column `gaps` is constant {on} where it is there; what is left of it is whether it is missing"
            ),
            format!("column `nothing` has no value {on} and was dropped"),
            format!("column `same` is constant {on} and was dropped"),
        ]
    );
}

#[test]
fn other_columns_than_those_of_training_are_refused_at_the_first_difference() {
    let a = || numeric("a", &[1.0, 2.0], recipe());
    let b = |name| numeric(name, &[1.0, 2.0], recipe());
    let transform = Transform::fit(&[a(), b("b")], &[0, 1]).unwrap();
    let text = categorical("b", "1 2", recipe());
    for (columns, first) in [
        (vec![a()], 2),
        (vec![a(), b("c")], 2),
        (vec![b("b"), a()], 1),
        (vec![a(), b("b"), b("c")], 3),
        (vec![a(), text], 2),
    ] {
        let refused = transform.apply(&columns, &[0]).unwrap_err();
        assert_eq!(refused, FeatureError::SchemaMismatch { column: first });
    }
}

/// A table with every kind of column.
fn every_kind() -> Vec<Column> {
    let with = |missing, scale, clip, log| Recipe { missing, scale, clip, log, ..recipe() };
    let hash = Recipe { encode: Encode::Hash(3), ..recipe() };
    vec![
        numeric("mean", &[1.0, GAP, 5.0], recipe()),
        numeric("raw", &[1.5, 2.0, 5.0], with(Missing::Refuse, Scale::None, None, true)),
        numeric("bit", &[1.0, 0.0, GAP], with(Missing::Zero, Scale::None, None, false)),
        numeric(
            "range",
            &[1.0, 9.0, 5.0],
            with(Missing::Median, Scale::MinMax, Some([2.0, 8.0]), false),
        ),
        numeric("constant", &[4.0, 4.0, 4.0], recipe()),
        categorical("level", "b - a", recipe()),
        categorical("zero", "b - a", Recipe { missing: Missing::Zero, ..recipe() }),
        categorical("full", "b a a", Recipe { missing: Missing::Refuse, ..recipe() }),
        categorical("hash", "b - a", hash),
    ]
}

#[test]
fn a_transform_survives_its_encoding_and_works_as_before() {
    let columns = every_kind();
    let transform = Transform::fit(&columns, &[0, 1, 2]).unwrap();
    let bytes = transform.to_bytes();
    let again = Transform::decode(&bytes, ()).unwrap();
    assert!(again == transform);
    let rows = |t: &Transform| t.apply(&columns, &[2, 0, 1]).unwrap().rows;
    assert!(rows(&again) == rows(&transform));
}

#[test]
fn damaged_transforms_are_refused_or_another_valid_one_and_never_a_panic() {
    let columns = every_kind();
    let transform = Transform::fit(&columns, &[0, 1, 2]).unwrap();
    let bytes = transform.to_bytes();
    for len in 0..bytes.len() {
        assert!(Transform::decode(&bytes[..len], ()).is_err(), "cut off at {len}");
    }
    assert!(Transform::decode(&[bytes.clone(), vec![0]].concat(), ()).is_err());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(other) = Transform::decode(&damaged, ()) {
                assert_eq!(other.to_bytes(), damaged, "byte {at}, bit {bit}: not canonical");
                // Whatever it says, it gives rows that the protocol can take, or is refused.
                let _ = other.apply(&columns, &[0, 1, 2]);
                assert_eq!(other.dense().len(), other.columns());
            }
        }
    }
    // Figures that no fit gives.
    let one = |scale, fill| Transform {
        inputs: vec![transform::Input {
            name: "x".into(),
            fitted: transform::Fitted::Numeric(transform::Numeric {
                clip: None,
                log: false,
                fill,
                scale,
                indicator: false,
            }),
        }],
        whitening: None,
    };
    use transform::Scaling::{Indicator, Linear};
    let linear = |centre, width| Linear { centre, width, standardised: true };
    for (scale, fill) in [
        (linear(0.0, 0.0), None),
        (linear(0.0, -1.0), None),
        (linear(f64::NAN, 1.0), None),
        (linear(0.0, f64::INFINITY), None),
        (linear(0.0, 1.0), Some(f64::NAN)),
        (Indicator, Some(0.5)),
    ] {
        let refused = Transform::decode(&one(scale, fill).to_bytes(), ());
        assert!(refused.is_err(), "{scale:?} {fill:?}");
    }
}

#[test]
fn a_transform_prints_sizes_only() {
    let transform = Transform::fit(&every_kind(), &[0, 1, 2]).unwrap();
    assert_eq!(format!("{transform:?}"), "Transform(9 columns to 16)");
}
