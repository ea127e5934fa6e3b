//! The SecureML baseline computes what it should: a baseline that is wrong would be no comparison.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../benches/report/secureml/protocol/mod.rs"]
mod protocol;

use paillier::{ModulusBits, fixtures::test_key};
use protocol::{
    Activation, Channel, HeSession, Learner, Matrix, Offline, OtSession, Role, Triples,
    activation::piecewise,
    connect,
    matrix::{add, sub},
    online::FRACTION,
    run,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const SEED: u64 = 20_240_607;

fn generator(role: Role) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(SEED + role as u64)
}

fn ends() -> [Channel; 2] {
    connect(Ok).unwrap()
}

/// Both parties' triples of two mini-batches.
fn generated(
    rows: usize,
    columns: usize,
    offline: impl Fn(&Channel, Role, &mut ChaCha20Rng) -> Offline + Sync,
) -> [Vec<Triples>; 2] {
    let prepare = |role, channel: Channel| {
        let mut rng = generator(role);
        let offline = offline(&channel, role, &mut rng);
        let matrices: Vec<_> = (0..2).map(|_| Matrix::random(rows, columns, &mut rng)).collect();
        Ok((channel, offline, matrices, rng))
    };
    let work = |(channel, mut offline, matrices, mut rng): (_, Offline, _, ChaCha20Rng)| {
        offline.generate(&channel, matrices, &mut rng)
    };
    run(ends(), prepare, work).unwrap().0
}

fn assert_right(triples: &[Vec<Triples>; 2]) {
    let [first, second] = triples;
    assert_eq!((first.len(), second.len()), (2, 2));
    for (a, b) in first.iter().zip(second) {
        let u = Matrix::new(a.u.rows, a.u.columns, add(&a.u.values, &b.u.values));
        assert_eq!(add(&a.z, &b.z), u.times(&add(&a.v, &b.v)));
        let v_back = add(&a.v_back, &b.v_back);
        assert_eq!(add(&a.z_back, &b.z_back), u.transposed_times(&v_back));
    }
}

/// Seed: [`SEED`]. Fewer and more outputs than tables are worth, so that both kinds of products occur.
#[test]
fn triples_by_transfer_and_by_encryption_are_right() {
    println!("seed {SEED}");
    for (rows, columns) in [(8, 5), (2, 70), (80, 3)] {
        assert_right(&generated(rows, columns, |channel, role, rng| {
            Offline::Ot(Box::new(OtSession::start(channel, role, rng).unwrap()))
        }));
        assert_right(&generated(rows, columns, |_, role, rng| {
            let key = |role| test_key(ModulusBits::B2048, role as usize);
            let other = if role == Role::First { Role::Second } else { Role::First };
            Offline::He(Box::new(HeSession::new(key(role), key(other).public(), rng)))
        }));
    }
}

/// More inputs than share tables, so that parts are added up.
#[test]
fn long_products_are_right() {
    println!("seed {SEED}");
    assert_right(&generated(64, 1_600, |_, role, rng| {
        let [own, peer] =
            [role as usize, 1 - role as usize].map(|i| test_key(ModulusBits::B2048, i));
        Offline::He(Box::new(HeSession::new(own, peer.public(), rng)))
    }));
}

const ROWS: usize = 64;
const COLUMNS: usize = 6;
const BATCHES: usize = 40;
const STEP_SHIFT: u32 = 0;

/// The same steps with whole numbers in one place; truncation is exact.
fn in_the_clear(x: &[i64], y: &[i64]) -> Vec<i64> {
    let mut w = vec![0i64; COLUMNS];
    for _ in 0..BATCHES {
        let errors: Vec<i64> = x
            .chunks(COLUMNS)
            .zip(y)
            .map(|(x, y)| {
                let z: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
                piecewise((z >> FRACTION) as u64) as i64 - y
            })
            .collect();
        for (j, w) in w.iter_mut().enumerate() {
            let gradient: i64 = x.chunks(COLUMNS).zip(&errors).map(|(x, error)| x[j] * error).sum();
            *w -= gradient >> (FRACTION + STEP_SHIFT + ROWS.ilog2());
        }
    }
    w
}

/// Shares of numbers.
fn shared(values: &[i64], rng: &mut ChaCha20Rng) -> [Vec<u64>; 2] {
    let first: Vec<u64> = values.iter().map(|_| rng.random()).collect();
    let whole: Vec<u64> = values.iter().map(|&value| value as u64).collect();
    let second = sub(&whole, &first);
    [first, second]
}

#[test]
fn the_shared_regression_equals_one_in_fixed_point() {
    println!("seed {SEED}");
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let one = f64::from(1u32 << FRACTION);
    let x: Vec<f64> = (0..ROWS * COLUMNS).map(|_| rng.random_range(-1.0..1.0)).collect();
    let label = |x: &[f64]| i64::from(x[0] - 0.5 * x[1] + 0.3 * x[2] > 0.0) << FRACTION;
    let y: Vec<i64> = x.chunks(COLUMNS).map(label).collect();
    let x: Vec<i64> = x.iter().map(|x| (x * one).round() as i64).collect();
    let expected = in_the_clear(&x, &y);

    let dealt: Vec<[Triples; 2]> =
        (0..BATCHES).map(|_| Triples::dealt(ROWS, COLUMNS, &mut rng)).collect();
    let (first, second): (Vec<_>, Vec<_>) = dealt.into_iter().map(<(_, _)>::from).unzip();
    let [x_first, x_second] = shared(&x, &mut rng);
    let [y_first, y_second] = shared(&y, &mut rng);
    let [end_first, end_second] = ends();
    let [activation_first, activation_second] = Activation::pair();
    let inputs = [
        (end_first, activation_first, first, x_first, y_first),
        (end_second, activation_second, second, x_second, y_second),
    ];
    let prepare = |role, (channel, activation, triples, x, y): (_, _, Vec<Triples>, _, _)| {
        let w = vec![0; COLUMNS];
        let learner = Learner { role, channel, activation, w, step_shift: STEP_SHIFT };
        Ok((learner, triples, Matrix::new(ROWS, COLUMNS, x), y, generator(role)))
    };
    let work = |(mut learner, triples, x, y, mut rng): (Learner, Vec<_>, _, Vec<u64>, _)| {
        for triples in &triples {
            learner.step(&x, &y, triples, &mut rng)?;
        }
        Ok(learner.w)
    };
    let ([first, second], _) = run(inputs, prepare, work).unwrap();
    let found: Vec<i64> = add(&first, &second).into_iter().map(|w| w as i64).collect();
    // One unit of each truncation, those of earlier steps on their way through later ones: a unit a step
    // and as much again from the products.
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 2 * BATCHES as i64, "{found} is not {expected}");
    }
    // The steps have gone somewhere.
    assert!(expected[0] > 1 << FRACTION && expected[1] < 0, "{expected:?}");
}
