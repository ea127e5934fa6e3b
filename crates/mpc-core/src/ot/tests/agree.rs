//! Behaviour that the real protocols share with the ideal functionalities.

use rand::RngExt;

use super::harness::{Pairs, functionalities, pairs, rng};
use crate::ot::ole::{RING_BITS, X_MAX, Y_BITS};
use crate::ot::{OleShape, ots_needed};
use crate::statistics::{LIMIT, chi_square_of_byte};

const Y_MAX: i64 = (1 << Y_BITS) - 1;

#[test]
fn base_receiver_gets_the_chosen_key_and_keys_differ() {
    let seed = 11;
    for mut f in functionalities(seed) {
        for choices in [0, u128::MAX, rng(seed).random()] {
            let (keys, chosen) = f.base_transfers(choices);
            assert_eq!((keys.len(), chosen.len()), (128, 128));
            for (j, (pair, key)) in keys.iter().zip(&chosen).enumerate() {
                let c = (choices >> j & 1) as usize;
                assert_eq!(*key, pair[c], "{}, transfer {j}, seed {seed}", f.name());
                assert_ne!(*key, pair[1 - c], "{}, transfer {j}, seed {seed}", f.name());
            }
            let mut all: Vec<u128> = keys.into_iter().flatten().collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 256, "{}: a key repeats, seed {seed}", f.name());
        }
    }
}

#[test]
fn transfers_agree_at_every_kind_of_length() {
    let seed = 12;
    for mut f in functionalities(seed) {
        let mut position = 0;
        // Below, at and above a block of 128 and a batch of 64 blocks with its sacrificed one.
        for count in [1, 127, 128, 129, 63 * 128, 63 * 128 + 1, 20_000] {
            let (a, b) = f.random_transfers(count);
            assert_eq!((a.len(), b.len()), (count, count));
            assert_eq!((a.position(), b.position()), (position, position));
            position += count as u64;
            for (i, (pads, (pad, &c))) in
                b.pads().iter().zip(a.pads().iter().zip(a.choices())).enumerate()
            {
                assert_eq!(pads[usize::from(c)], *pad, "{}, {i} of {count}", f.name());
                assert_ne!(pads[usize::from(1 - c)], *pad, "{}, {i} of {count}", f.name());
            }
        }
    }
}

/// Choice bits are balanced: |z| < 7 standard deviations, false alarm below 3·10⁻¹² a functionality.
#[test]
fn choice_bits_are_balanced() {
    let (seed, count) = (13, 100_000);
    for mut f in functionalities(seed) {
        let (a, _) = f.random_transfers(count);
        let ones: u32 = a.choices().iter().map(|&c| u32::from(c)).sum();
        let z = (f64::from(ones) - count as f64 / 2.0) / (count as f64 / 4.0).sqrt();
        assert!(z.abs() < 7.0, "{}: {ones} ones of {count}, seed {seed}", f.name());
    }
}

fn check_shares(x: &[i16], y: &[[i64; 2]], shape: OleShape, shares: &Pairs, at: &str) {
    let mask = (1u64 << shape.ring_bits()) - 1;
    assert_eq!((shares.0.len(), shares.1.len()), (shape.rows(), shape.rows()));
    for (r, (a, b)) in shares.0.iter().zip(&shares.1).enumerate() {
        let row = r * shape.terms()..(r + 1) * shape.terms();
        for k in 0..2 {
            let sum: i128 = row.clone().map(|i| i128::from(x[i]) * i128::from(y[i][k])).sum();
            assert!(a[k] <= mask && b[k] <= mask, "{at}: a share of row {r} exceeds the ring");
            assert_eq!(a[k].wrapping_add(b[k]) & mask, sum as u64 & mask, "{at}, row {r}");
        }
    }
}

#[test]
fn shares_add_up_to_the_inner_product_in_every_ring() {
    let seed = 14;
    let mut rng = rng(seed);
    for mut f in functionalities(seed) {
        for ring in [*RING_BITS.start(), 20, 33, 61, *RING_BITS.end()] {
            for (rows, terms) in [(1, 1), (5, 14), (3, 64)] {
                let shape = OleShape::new(rows, terms, ring).expect("valid dimensions");
                let x: Vec<i16> =
                    (0..rows * terms).map(|_| rng.random_range(-X_MAX..=X_MAX)).collect();
                let y: Vec<i64> =
                    (0..rows * terms).map(|_| rng.random_range(-Y_MAX..=Y_MAX)).collect();
                let y = pairs(&y);
                let shares = f.inner_products(&x, &y, shape);
                let at = format!("{}, ring {ring}, {rows} × {terms}, seed {seed}", f.name());
                check_shares(&x, &y, shape, &shares, &at);
            }
        }
    }
}

#[test]
fn shares_add_up_at_the_extremes() {
    let xs = [-X_MAX, -X_MAX + 1, -128, -1, 0, 1, 127, 128, X_MAX - 1, X_MAX];
    let ys = [-Y_MAX, -Y_MAX + 1, -1, 0, 1, Y_MAX - 1, Y_MAX];
    let (x, y): (Vec<i16>, Vec<i64>) =
        xs.iter().flat_map(|&x| ys.iter().map(move |&y| (x, y))).unzip();
    let y: Vec<[i64; 2]> = y.iter().map(|&y| [y, -y]).collect();
    for mut f in functionalities(15) {
        for (terms, ring) in [(1, 20), (1, 62), (ys.len(), 62), (x.len(), 62)] {
            let shape = OleShape::new(x.len() / terms, terms, ring).expect("valid dimensions");
            let shares = f.inner_products(&x, &y, shape);
            check_shares(&x, &y, shape, &shares, &format!("{}, ring {ring}", f.name()));
        }
    }
}

/// Shares of a constant row are uniform modulo 2^ring: chi-square with 255 degrees of freedom on the
/// top and the bottom byte of both parties' shares and of the differences of their two, for x = 0 and
/// x = X_MAX.
///
/// The bound is exceeded by a uniform source with probability 4·10⁻¹¹ a statistic; 48
/// statistics from a fixed seed, so another seed would raise a false alarm once in 5·10⁸ runs.
#[test]
fn shares_are_uniform_over_the_ring() {
    let (seed, ring, rows) = (16, 62, 20_000);
    let shape = OleShape::new(rows, 1, ring).expect("valid dimensions");
    for mut f in functionalities(seed) {
        for operand in [0, X_MAX] {
            let y = vec![[Y_MAX; 2]; rows];
            let (a, b) = f.inner_products(&vec![operand; rows], &y, shape);
            let first = |shares: &[[u64; 2]]| shares.iter().map(|s| s[0]).collect::<Vec<_>>();
            let apart = |shares: &[[u64; 2]]| {
                shares.iter().map(|s| s[0].wrapping_sub(s[1])).collect::<Vec<_>>()
            };
            for (party, shares) in
                [("A", first(&a)), ("A", apart(&a)), ("B", first(&b)), ("B", apart(&b))]
            {
                for (end, shift) in [("top", ring - 8), ("bottom", 0)] {
                    let chi2 = chi_square_of_byte(shares.iter().map(|&s| s.into()), shift);
                    assert!(
                        chi2 < LIMIT,
                        "{}: {end} byte of {party}'s shares, x = {operand}: {chi2:.0}, seed {seed}",
                        f.name()
                    );
                }
            }
        }
    }
}

/// Every combination of top bits, with and without a wrap, and the ends of the range.
#[test]
fn lifted_shares_add_up_in_the_integers() {
    let seed = 17;
    let mut rng = rng(seed);
    for mut f in functionalities(seed) {
        for ring in [16, 21, 46, 62] {
            let half = 1u64 << (ring - 1);
            let mut values = vec![0, 1, half / 2, half - 2, half - 1];
            values.extend((0..200).map(|_| rng.random_range(0..half)));
            let mut a: Vec<u64> = values.iter().map(|_| rng.random_range(0..2 * half)).collect();
            a[..3].copy_from_slice(&[0, half, 2 * half - 1]);
            let b: Vec<u64> =
                values.iter().zip(&a).map(|(v, a)| v.wrapping_sub(*a) & (2 * half - 1)).collect();
            let (x, y) = f.lift(&a, &b, ring);
            assert_eq!((x.len(), y.len()), (values.len(), values.len()));
            for (i, &v) in values.iter().enumerate() {
                let at = format!("{}, ring {ring}, value {i}, seed {seed}", f.name());
                assert_eq!(x[i] + y[i], i128::from(v), "{at}");
                assert!(x[i].unsigned_abs() >> (ring + 64) == 0, "{at}");
            }
        }
    }
}

/// What A gets beside its share is uniform, whether the value wrapped or not: chi-square with 255
/// degrees of freedom on the top and the bottom byte. The bound is exceeded by a uniform source
/// with probability 4·10⁻¹¹ a statistic, of which there are 12.
#[test]
fn lifted_shares_hide_the_wrap() {
    let (seed, ring, count) = (18, 21, 20_000);
    for mut f in functionalities(seed) {
        // A value of 3 from two shares without a wrap and with one.
        for (a, b) in [(1, 2), ((1 << 21) - 1, 4)] {
            let (x, _) = f.lift(&vec![a; count], &vec![b; count], ring);
            for shift in [ring, ring + 56] {
                let chi2 = chi_square_of_byte(x.iter().map(|&v| v as u128), shift);
                assert!(chi2 < LIMIT, "{}: {chi2:.0} at bit {shift}, seed {seed}", f.name());
            }
        }
    }
}

#[test]
fn needed_transfers_are_nine_a_product() {
    assert_eq!(ots_needed(1, 14), 126);
    assert_eq!(OleShape::new(256, 14, 62).expect("valid dimensions").ots_needed(), 32_256);
}
