//! Packed forward and bucketed backward products against exact integers.

use num_bigint::BigInt;
use num_traits::Signed;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::operations::{SIZES, big, modulus, receive, residue};
use super::test_key;
use crate::*;

/// A random batch and the same numbers as a plain table.
fn batch(
    rows: usize,
    dense: &[bool],
    density: f64,
    magnitude: i32,
    rng: &mut ChaCha20Rng,
) -> (SparseMatrix, Vec<Vec<i32>>) {
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut table = vec![vec![0; dense.len()]; rows];
    for row in &mut table {
        for (j, cell) in row.iter_mut().enumerate() {
            if rng.random_bool(density) {
                let value = rng.random_range(-magnitude..=magnitude);
                *cell = if dense[j] { value } else { 1 };
                if *cell != 0 {
                    indices.push(j as u32);
                    values.push(*cell);
                }
            }
        }
        indptr.push(indices.len());
    }
    (SparseMatrix::new(dense.len(), indptr, indices, values, dense).unwrap(), table)
}

/// Signed slot values of packed ciphertexts, narrower than their slots.
fn unpack(key: &SecretKey, packed: &[Packed], layout: PackLayout) -> Vec<BigInt> {
    let mut values = Vec::new();
    for packed in packed {
        let (m, n) = (packed_sum(key, packed), BigInt::from(1) << layout.slot_bits());
        let mut m = m;
        for _ in 0..packed.used_slots() {
            let half: BigInt = &n >> 1;
            let slot = ((&m + &half) % &n + &n) % &n - &half;
            m = (m - &slot) / &n;
            values.push(slot);
        }
        assert_eq!(m, BigInt::ZERO, "bits above the slots in use");
    }
    values
}

/// The signed plaintext of a packed ciphertext.
fn packed_sum(key: &SecretKey, packed: &Packed) -> BigInt {
    let m = BigInt::from(big(&key.decrypt(&packed.to_ciphertexts_for_tests()).unwrap()[0]));
    let n = BigInt::from(modulus(key.public()));
    if &m * 2 > n { m - n } else { m }
}

fn encrypted(key: &SecretKey, w: &[i64], rng: &mut ChaCha20Rng) -> EncryptedVector {
    let plaintexts: Vec<_> =
        w.iter().map(|&x| Plaintext::from_signed(key.public(), x.into(), 64).unwrap()).collect();
    let owner = OwnerEncryptor::new(key, rng);
    EncryptedVector::from_ciphertexts(receive(&owner.encrypt(&plaintexts, rng).unwrap()))
}

fn expected_row(row: &[i32], dense: &[bool], w: &[i64], align: u32) -> BigInt {
    let term = |j: usize| {
        let x = if dense[j] { BigInt::from(row[j]) } else { BigInt::from(row[j]) << align };
        x * w[j]
    };
    (0..row.len()).map(term).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn forward_and_backward_agree_with_integers(
        seed in any::<u64>(),
        big_key in any::<bool>(),
        rows in 0usize..40,
        magnitude in prop_oneof![Just(1), Just(3), Just(4096), Just((1 << 20) - 1)],
        align in prop_oneof![Just(0u32), Just(1), Just(16), Just(21)],
        extra in 0u32..40,
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let bits = if big_key { ModulusBits::B3072 } else { ModulusBits::B2048 };
        let key = test_key(bits, 1);
        let dense: Vec<bool> = (0..9).map(|_| rng.random_bool(0.5)).collect();
        let density = rng.random_range(0.1..1.0);
        let (matrix, table) = batch(rows, &dense, density, magnitude, &mut rng);
        let w: Vec<i64> = (0..9).map(|_| rng.random::<i64>() >> rng.random_range(0..62)).collect();
        let mut vector = encrypted(&key, &w, &mut rng);
        let layout = PackLayout::new(bits, 64 + 21 + 6 + extra, 89).unwrap();

        let packed = forward_packed(&matrix, &vector, layout, align).unwrap();
        prop_assert_eq!(packed.len(), layout.ciphertexts(rows));
        let z = unpack(&key, &packed, layout);
        let single = key.decrypt(&linear_combinations(&matrix, &vector, align).unwrap()).unwrap();
        let n = modulus(key.public());
        for (i, row) in table.iter().enumerate() {
            let expected = expected_row(row, &dense, &w, align);
            prop_assert_eq!(&z[i], &expected, "row {}", i);
            prop_assert_eq!(big(&single[i]), residue(expected, &n), "row {}", i);
        }

        // Two updates, so that columns are grown once and then added to.
        let mut updated = EncryptedVector::zeros(key.public(), 9);
        let mut sums = vec![BigInt::ZERO; 9];
        for vector in [&mut updated, &mut vector] {
            let e: Vec<i64> = (0..rows).map(|_| rng.random()).collect();
            let errors = encrypted(&key, &e, &mut rng);
            let errors = errors.ciphertexts(&(0..rows).collect::<Vec<_>>()).unwrap();
            accumulate_transpose(&matrix, &errors, vector).unwrap();
            for (row, e) in table.iter().zip(&e) {
                for (sum, &x) in sums.iter_mut().zip(row) {
                    *sum += BigInt::from(*e) * x;
                }
            }
            let columns: Vec<usize> = (0..9).collect();
            let opened = key.decrypt(&vector.ciphertexts(&columns).unwrap()).unwrap();
            for (j, sum) in sums.iter().enumerate() {
                prop_assert_eq!(big(&opened[j]), residue(sum.clone(), &n), "column {}", j);
            }
            sums = w.iter().map(|&x| BigInt::from(x)).collect();
        }
        let touched = (0..9).filter(|&j| table.iter().any(|row| row[j] != 0)).count();
        prop_assert_eq!(updated.touched(), touched, "a column that no row meets has no ciphertext");
    }
}

#[test]
fn slots_hold_their_worst_case() {
    let seed = 31;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    for bits in SIZES {
        let key = test_key(bits, 0);
        let layout = PackLayout::new(bits, 40, 39).unwrap();
        let bound = 1i64 << 39;
        // Extremes next to each other: a borrow or a carry would show in the neighbour.
        let values: Vec<i64> =
            (0..2 * layout.slots() + 3).map(|i| [-bound, bound - 1, 0, -1][i % 4]).collect();
        let vector = encrypted(&key, &values, &mut rng);
        let all: Vec<usize> = (0..values.len()).collect();
        let packed = pack(&vector.ciphertexts(&all).unwrap(), layout).unwrap();
        let opened = unpack(&key, &packed, layout);
        assert_eq!(
            opened,
            values.iter().map(|&v| BigInt::from(v)).collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert!(opened.iter().all(|v| v.abs() <= BigInt::from(bound)));
    }
}

#[test]
fn masked_slots_are_shares() {
    // What the protocol does: receiver's digit − mask's digit is the value modulo the slot, up to what
    // the slots below carry.
    let seed = 32;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = test_key(ModulusBits::B2048, 0);
    let layout = PackLayout::new(ModulusBits::B2048, 57, 60).unwrap();
    let sanitiser = Sanitiser::new(key.public(), 8, &mut rng);
    let values: Vec<i64> = (0..50).map(|_| rng.random::<i64>() >> 4).collect();
    let all: Vec<usize> = (0..values.len()).collect();
    let vector = encrypted(&key, &values, &mut rng);
    let packed = pack(&vector.ciphertexts(&all).unwrap(), layout).unwrap();
    let masks: Vec<_> =
        packed.iter().map(|_| UniformMask::random(key.public(), &mut rng)).collect();
    let (s, low) = (layout.slot_bits(), 57);
    let digit = |masks: &[UniformMask], i: usize| {
        masks[i / layout.slots()].digit(i % layout.slots(), s, low)
    };
    let mine: Vec<u128> = all.iter().map(|&i| digit(&masks, i)).collect();
    let sent = sanitiser.mask_and_sanitise(packed, masks, &mut rng).unwrap();
    let opened = key.decrypt(&receive(&sent)).unwrap();
    let mut carried = false;
    for (i, &value) in values.iter().enumerate() {
        let theirs = opened[i / layout.slots()].digit(i % layout.slots(), s, low);
        let sum = theirs.wrapping_sub(mine[i]).wrapping_sub(i128::from(value) as u128);
        let off = ((sum << (128 - low)) as i128) >> (128 - low);
        // |v| ≤ 2^60: a quotient of 8 by the slot, a borrow, and one of the mask.
        assert!(off.abs() <= 10, "slot {i}, seed {seed}: off by {off}");
        carried |= off.abs() > 1;
    }
    assert!(carried, "values wider than their slots carry, seed {seed}");
}

#[test]
fn layouts_and_matrices_are_checked() {
    let slots = |slot, value| PackLayout::new(ModulusBits::B2048, slot, value).map(|l| l.slots());
    assert_eq!(slots(1982, 1981), Ok(1));
    assert_eq!(slots(991, 990), Ok(2));
    assert_eq!(slots(991, 991), Ok(1));
    assert_eq!(slots(20, 19), Ok(99));
    assert_eq!(slots(20, 39), Ok(98));
    // 75 slots: 14 ciphertexts become 16 of 64 slots; few values get one ciphertext each.
    let layout = PackLayout::new(ModulusBits::B2048, 26, 40).unwrap();
    let spread = |values| {
        let spread = layout.spread(values);
        (spread.slots(), spread.ciphertexts(values))
    };
    assert_eq!(layout.slots(), 75);
    assert_eq!(spread(1024), (64, 16));
    assert_eq!(spread(600), (75, 8));
    assert_eq!(spread(601), (38, 16));
    assert_eq!(spread(128), (16, 8));
    assert_eq!((spread(3), spread(1), spread(0)), ((1, 3), (1, 1), (1, 0)));
    let wide = |slot_bits| Err(Error::SlotTooWide { slot_bits, available: 1982 });
    assert_eq!(slots(1983, 1), wide(1983));
    assert_eq!(slots(3, 1982), wide(1983));
    assert!(slots(2, 1).is_err());

    let new = |indptr: &[usize], indices: &[u32], values: &[i32]| {
        SparseMatrix::new(
            3,
            indptr.to_vec(),
            indices.to_vec(),
            values.to_vec(),
            [true, false, true],
        )
    };
    assert!(new(&[0, 2, 2, 3], &[0, 1, 2], &[-5, 1, (1 << 20) - 1]).is_ok());
    for (why, case) in [
        ("indicator is not 1", new(&[0, 1], &[1], &[2])),
        ("zero", new(&[0, 1], &[0], &[0])),
        ("2^20", new(&[0, 1], &[0], &[1 << 20])),
        ("minimum", new(&[0, 1], &[0], &[i32::MIN])),
        ("column", new(&[0, 1], &[3], &[1])),
        ("repeated", new(&[0, 2], &[1, 1], &[1, 1])),
        ("unsorted", new(&[0, 2], &[2, 1], &[1, 1])),
        ("falling", new(&[0, 2, 1, 2], &[0, 1], &[1, 1])),
        ("beyond", new(&[0, 3, 2], &[0, 1], &[1, 1])),
        ("start", new(&[1, 2], &[0, 1], &[1, 1])),
        ("end", new(&[0, 1], &[0, 1], &[1, 1])),
        ("empty", new(&[], &[], &[])),
        ("values", new(&[0, 2], &[0, 1], &[1])),
    ] {
        assert!(matches!(case, Err(Error::Matrix(_))), "accepted: {why}");
    }
    let flags = SparseMatrix::new(3, vec![0], vec![], vec![], [true]);
    assert!(matches!(flags, Err(Error::Matrix(_))));
}

#[test]
fn products_refuse_what_does_not_fit() {
    let mut rng = ChaCha20Rng::seed_from_u64(33);
    let key = test_key(ModulusBits::B2048, 0);
    let other = test_key(ModulusBits::B2048, 1);
    let w = encrypted(&key, &[1, 2], &mut rng);
    let one = SparseMatrix::new(1, vec![0, 1], vec![0], vec![1], [false]).unwrap();
    let two = SparseMatrix::new(2, vec![0, 1], vec![0], vec![1], [false, true]).unwrap();
    let layout = PackLayout::new(ModulusBits::B2048, 20, 18).unwrap();
    let big_layout = PackLayout::new(ModulusBits::B3072, 20, 18).unwrap();
    assert!(forward_packed(&one, &w, layout, 0).is_err());
    assert_eq!(forward_packed(&two, &w, big_layout, 0).unwrap_err(), Error::KeyMismatch);
    assert_eq!(
        forward_packed(&two, &w, layout, 21).unwrap_err(),
        Error::SlotTooNarrow { slot_bits: 20, needed: 21 }
    );
    let errors = w.ciphertexts(&[0]).unwrap();
    let mut foreign = EncryptedVector::zeros(other.public(), 2);
    assert_eq!(accumulate_transpose(&two, &errors, &mut foreign), Err(Error::KeyMismatch));
    let mut short = EncryptedVector::zeros(key.public(), 1);
    assert!(accumulate_transpose(&two, &errors, &mut short).is_err());
    let mut w = w;
    let errors = w.ciphertexts(&[0, 1]).unwrap();
    assert!(accumulate_transpose(&two, &errors, &mut w).is_err());
}

#[test]
fn a_vector_survives_its_snapshot() {
    let seed = 34;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = test_key(ModulusBits::B2048, 0);
    let errors = encrypted(&key, &[7, -9], &mut rng).ciphertexts(&[0, 1]).unwrap();
    let x = SparseMatrix::new(
        5,
        vec![0, 2, 3],
        vec![1, 4, 1],
        vec![1, -3, 1],
        [false, false, false, false, true],
    );
    let mut w = EncryptedVector::zeros(key.public(), 5);
    accumulate_transpose(&x.unwrap(), &errors, &mut w).unwrap();
    let records = |w: &EncryptedVector, n| w.snapshot(n).map(|r| r.to_vec()).collect::<Vec<_>>();
    let restore = |len, records: &[Vec<u8>]| {
        let mut w = EncryptedVector::zeros(key.public(), len);
        records.iter().try_for_each(|r| w.restore(r)).map(|()| w)
    };
    let open = |w: &EncryptedVector| -> Vec<Option<i128>> {
        let opened = key.decrypt(&w.ciphertexts(&[0, 1, 2, 3, 4]).unwrap()).unwrap();
        opened.iter().map(|m| m.to_signed(key.public())).collect()
    };
    // All columns in one record, and one column in each.
    for (per_record, count) in [(9, 1), (1, 2)] {
        let records = records(&w, per_record);
        assert_eq!(records.len(), count);
        let restored = restore(5, &records).unwrap();
        assert_eq!(open(&restored), [0, -2, 0, 0, -21].map(Some), "seed {seed}");
        assert_eq!(
            (restored.touched(), restored.is_touched(0), restored.is_touched(4)),
            (2, false, true)
        );
        let again = restored.snapshot(per_record).map(|r| r.to_vec());
        assert!(again.eq(records), "the bytes are canonical");
    }
    let [record] = records(&w, 2).try_into().unwrap();
    assert_eq!(record.len(), 2 * EncryptedVector::snapshot_bytes(ModulusBits::B2048));
    let refused = |len, records: &[Vec<u8>]| restore(len, records).map(drop).unwrap_err();
    assert_eq!(refused(4, std::slice::from_ref(&record)), DecodeError::Index, "index past the end");
    assert_eq!(refused(5, &[record.clone(), record.clone()]), DecodeError::Index, "twice");
    let short = &record[..record.len() - 1];
    assert!(matches!(refused(5, &[short.to_vec()]), DecodeError::Length { .. }));
    let mut bad = record.clone();
    bad[0] = 4; // both on column 4
    assert_eq!(refused(5, &[bad]), DecodeError::Index);
    let mut bad = record.clone();
    bad[4..260].fill(0xff);
    assert_eq!(refused(5, &[bad]), DecodeError::OutOfRange { index: 0 });
    let mut bad = record;
    bad[4..260].fill(0);
    assert_eq!(refused(5, &[bad]), DecodeError::NotCoprime);
    assert!(restore(5, &[]).is_ok_and(|w| w.touched() == 0));
}

#[test]
fn computed_ciphertexts_and_keys_survive_their_storage() {
    let seed = 35;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = test_key(ModulusBits::B2048, 0);
    let sums = encrypted(&key, &[7, -9], &mut rng).ciphertexts(&[1, 0]).unwrap();
    let sums = sums.add_signed(&[1, 2]).unwrap();
    let public =
        PublicKey::from_stored_bytes(ModulusBits::B2048, &key.public().to_bytes()).unwrap();
    assert_eq!(&public, key.public());
    let bytes = sums.to_local_bytes();
    let opened = key.decrypt(&Ciphertexts::decode(key.public(), &bytes, 2).unwrap()).unwrap();
    let opened: Vec<_> = opened.iter().map(|m| m.to_signed(key.public())).collect();
    assert!(Ciphertexts::decode(&public, &bytes, 2).unwrap().to_local_bytes() == bytes);
    assert_eq!(opened, [-8, 9].map(Some), "seed {seed}");

    let bytes = key.public().to_bytes();
    let refused =
        |bytes: &[u8]| PublicKey::from_stored_bytes(ModulusBits::B2048, bytes).unwrap_err();
    assert_eq!(refused(&bytes[..255]), KeyError::WrongLength);
    let (mut even, mut small) = (bytes.clone(), bytes);
    even[0] ^= 1;
    assert_eq!(refused(&even), KeyError::SmallFactor);
    small[255] &= 0x7f;
    assert_eq!(refused(&small), KeyError::WrongLength);
}
