use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::{CHUNK_ROWS, Codes, CodesBuilder, Numbers, NumbersBuilder};

/// Whatever form a chunk takes, it gives back the very number, and where it was missing.
#[test]
fn numbers_come_back_exactly() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    /// What is drawn, and the bytes of a number in a chunk of them.
    type Case = (&'static str, fn(&mut ChaCha20Rng) -> f64, usize);
    let kinds: [Case; 9] = [
        ("bytes", |r| f64::from(r.random_range(0..255u8)), 1),
        ("a byte's largest", |_| 255.0, 2),
        ("small integers", |r| f64::from(r.random::<i16>().max(-32_767)), 2),
        ("two places", |r| f64::from(r.random_range(-30_000..30_000)) / 100.0, 2),
        ("a short's smallest", |_| -32_768.0, 4),
        ("six places", |r| f64::from(r.random_range(-1_000_000_000..1_000_000_000)) / 1e6, 4),
        ("powers of two", |r| libm::ldexp(1.0 + f64::from(r.random::<u8>()) / 256.0, -60), 4),
        ("large integers", |r| f64::from(r.random::<u32>()) * 4_194_305.0, 8),
        ("any", |r| r.random::<f64>() - 0.5, 8),
    ];
    for (name, draw, width) in kinds {
        let rows = CHUNK_ROWS + 7;
        let wanted: Vec<Option<f64>> =
            (0..rows).map(|_| (!rng.random_bool(0.1)).then(|| draw(&mut rng))).collect();
        let mut builder = NumbersBuilder::default();
        let made: usize = wanted.iter().map(|&value| builder.push(value)).sum();
        let (numbers, last) = builder.finish();
        assert!(numbers.iter().eq(wanted.iter().copied()), "{name}");
        let overhead = 64;
        assert!((width * CHUNK_ROWS..=width * CHUNK_ROWS + overhead).contains(&made), "{name}");
        assert!((width * 7..=width * 7 + overhead).contains(&last), "{name}: {last}");
    }
}

#[test]
fn zero_has_no_sign_and_nan_is_missing() {
    let numbers: Numbers = [-0.0, f64::NAN, 0.1].into_iter().collect();
    let bits: Vec<Option<u64>> = numbers.iter().map(|v| v.map(f64::to_bits)).collect();
    assert_eq!(bits, [Some(0), None, Some(0.1f64.to_bits())]);
    assert_eq!(Numbers::default().iter().count(), 0);
}

#[test]
fn categories_come_back_with_any_number_of_levels() {
    for levels in [1, 255, 256, 65_535, 65_536] {
        let text: Vec<String> = (0..levels).map(|i| format!("level {i}")).collect();
        let wanted = || text.iter().map(|t| Some(t.as_str())).chain([None, Some("level 0")]);
        let codes: Codes = wanted().collect();
        assert_eq!((codes.len(), codes.levels().len()), (levels + 2, levels));
        assert!(wanted().enumerate().all(|(row, text)| codes.get(row) == text));
    }
}

/// The memory bound counts what a dictionary takes.
#[test]
fn a_new_level_costs_and_a_known_one_does_not() {
    let mut builder = CodesBuilder::default();
    assert!(builder.push(Some("abc")) >= 6);
    assert_eq!((builder.push(Some("abc")), builder.push(None)), (0, 0));
}
