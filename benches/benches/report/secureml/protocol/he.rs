//! Shares of a matrix that one party knows times a vector that the other knows, from Paillier's scheme.
//!
//! The holder of the vector encrypts it under its own key; the other one computes the product on
//! ciphertexts, packs the outputs, masks them, gives them fresh randomness and returns them. Entries
//! are 64-bit numbers, so they are cut into short signed limbs: the fast sparse products of `paillier`
//! take short multipliers.

use paillier::{
    Ciphertexts, EncryptedVector, ModulusBits, OwnerEncryptor, PackLayout, PublicKey, Sanitiser,
    SecretKey, SparseMatrix, UniformMask, accumulate_transpose, forward_packed,
    linear_combinations,
};
use rand::CryptoRng;

use super::{AnyError, matrix::View};

/// Limbs of an entry, as four of 16 or 19 bits.
const LIMBS: usize = 4;
/// Zero bits below each packed output: a carry out of the slot below is lost in them, but for a chance
/// of 2^−40 an output.
const GUARD: u32 = 40;
/// Inputs that share tables: with eight-bit digits as many as the tables have room for.
const TABLED: usize = 1_500;
/// Fewest outputs for which tables are worth making.
const WORTH_TABLES: usize = 64;
/// Uses of a generator for fresh randomness, as a power of two.
const USES_LOG2: u32 = 40;

/// One party's key, and the peer's.
#[derive(Debug)]
pub(crate) struct HeSession {
    key: SecretKey,
    owner: OwnerEncryptor,
    sanitiser: Sanitiser,
}

impl HeSession {
    /// The set-up: tables of both keys.
    pub(crate) fn new(key: SecretKey, peer: &PublicKey, rng: &mut impl CryptoRng) -> Self {
        let owner = OwnerEncryptor::new(&key, rng);
        Self { key, owner, sanitiser: Sanitiser::new(peer, USES_LOG2, rng) }
    }

    /// A vector under this party's key, for the wire.
    pub(super) fn encrypt(&self, vector: &[u64], rng: &mut impl CryptoRng) -> Vec<u8> {
        let values: Vec<i128> = vector.iter().map(|&value| value.into()).collect();
        self.owner.encrypt_signed(&values, rng).encode()
    }

    /// This party's matrix times the vector under the peer's key: the answer, and this party's share.
    pub(super) fn multiply(
        &self,
        matrix: View<'_>,
        vector: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u64>), AnyError> {
        let key = self.sanitiser.key();
        let vector = Ciphertexts::decode(key, vector, matrix.inputs())?;
        let (limbs, limb_bits) = if matrix.outputs() >= WORTH_TABLES {
            (by_tables(matrix, vector)?, 16)
        } else {
            (by_buckets(matrix, &vector)?, 19)
        };
        let products = join_limbs(limbs, matrix.outputs(), limb_bits)?;
        let layout = layout(key.bits(), matrix.inputs())?;
        let outputs = identity(matrix.outputs())?;
        let products = EncryptedVector::from_ciphertexts(products);
        let packed = forward_packed(&outputs, &products, layout, GUARD)?;
        let masks: Vec<UniformMask> =
            packed.iter().map(|_| UniformMask::random(key, rng)).collect();
        let digit = |i: usize| {
            masks[i / layout.slots()].digit(i % layout.slots(), layout.slot_bits(), GUARD + 64)
        };
        let share = (0..matrix.outputs()).map(|i| ((digit(i) >> GUARD) as u64).wrapping_neg());
        let share = share.collect();
        let answer = self.sanitiser.mask_and_sanitise(packed, masks, rng)?;
        Ok((answer.encode(), share))
    }

    /// This party's share from the peer's answer.
    pub(super) fn open(
        &self,
        answer: &[u8],
        inputs: usize,
        outputs: usize,
    ) -> Result<Vec<u64>, AnyError> {
        let key = self.key.public();
        let layout = layout(key.bits(), inputs)?;
        let answer = Ciphertexts::decode(key, answer, layout.ciphertexts(outputs))?;
        let plain = self.key.decrypt(&answer)?;
        let digit = |i: usize| {
            plain[i / layout.slots()].digit(i % layout.slots(), layout.slot_bits(), GUARD + 64)
        };
        Ok((0..outputs).map(|i| (digit(i) >> GUARD) as u64).collect())
    }
}

/// Slots for sums of so many products of a signed 64-bit and an unsigned 64-bit number.
fn layout(bits: ModulusBits, inputs: usize) -> Result<PackLayout, AnyError> {
    let sum_bits = 128 + inputs.next_power_of_two().ilog2();
    Ok(PackLayout::new(bits, GUARD + sum_bits + 2, GUARD + sum_bits)?)
}

/// A number as limbs of `bits` bits, each at most half their base in absolute value; congruent modulo
/// 2^64.
fn limbs(value: u64, bits: u32) -> [i32; LIMBS] {
    let base = 1i128 << bits;
    let mut rest = i128::from(value as i64);
    let mut out = [0; LIMBS];
    for limb in &mut out[..LIMBS - 1] {
        let low = rest.rem_euclid(base);
        let signed = if low > base / 2 { low - base } else { low };
        *limb = signed as i32;
        rest = (rest - signed) >> bits;
    }
    out[LIMBS - 1] = rest as i32;
    out
}

/// Limbs of all outputs, [`LIMBS`] ciphertexts each, by tables of the inputs' multiples that all outputs
/// share.
fn by_tables(matrix: View<'_>, vector: Ciphertexts) -> Result<Ciphertexts, AnyError> {
    let inputs = matrix.inputs();
    let vector = EncryptedVector::from_ciphertexts(vector);
    let mut sum: Option<Ciphertexts> = None;
    for start in (0..inputs).step_by(TABLED) {
        let part: Vec<usize> = (start..inputs.min(start + TABLED)).collect();
        let mut rows = Rows::new(part.len());
        for output in 0..matrix.outputs() {
            let entries = matrix.of_output(output, start..start + part.len());
            let entries: Vec<[i32; LIMBS]> = entries.map(|value| limbs(value, 16)).collect();
            for limb in 0..LIMBS {
                rows.push((0..).zip(entries.iter().map(|entry| entry[limb])));
            }
        }
        let part = EncryptedVector::from_ciphertexts(vector.ciphertexts(&part)?);
        let products = linear_combinations(&rows.dense()?, &part, 0)?;
        sum = Some(match sum {
            None => products,
            Some(sum) => sum.add(&products)?,
        });
    }
    sum.ok_or_else(|| "a product without inputs".into())
}

/// The same by buckets of the inputs with equal digits, each output on its own.
fn by_buckets(matrix: View<'_>, vector: &Ciphertexts) -> Result<Ciphertexts, AnyError> {
    let columns = LIMBS * matrix.outputs();
    let mut rows = Rows::new(columns);
    for input in 0..matrix.inputs() {
        let entries = matrix.of_input(input).into_iter().flat_map(|value| limbs(value, 19));
        rows.push((0..).zip(entries));
    }
    let mut sums = EncryptedVector::zeros(vector.key(), columns);
    accumulate_transpose(&rows.dense()?, vector, &mut sums)?;
    Ok(sums.ciphertexts(&(0..columns).collect::<Vec<_>>())?)
}

/// Σ 2^(bits·k)·limb_k of each output: pairs first, then pairs of pairs.
fn join_limbs(limbs: Ciphertexts, outputs: usize, bits: u32) -> Result<Ciphertexts, AnyError> {
    let mut pairs = Rows::new(LIMBS * outputs);
    for pair in 0..2 * outputs as u32 {
        pairs.push([(2 * pair, 1), (2 * pair + 1, 1 << bits)].into_iter());
    }
    let limbs = EncryptedVector::from_ciphertexts(limbs);
    let pairs = linear_combinations(&pairs.dense()?, &limbs, 0)?;
    let mut rows = Rows::new(2 * outputs);
    for output in 0..outputs as u32 {
        rows.push([(2 * output, 1), (2 * output + 1, 1)].into_iter());
    }
    // The upper pair is an indicator, which is multiplied by 2^(2·bits).
    let dense = (0..2 * outputs).map(|column| column % 2 == 0).collect();
    let pairs = EncryptedVector::from_ciphertexts(pairs);
    Ok(linear_combinations(&rows.with(dense)?, &pairs, 2 * bits)?)
}

/// One indicator a row, each of its own column.
fn identity(size: usize) -> Result<SparseMatrix, AnyError> {
    let mut rows = Rows::new(size);
    for column in 0..size as u32 {
        rows.push([(column, 1)].into_iter());
    }
    rows.with(vec![false; size])
}

/// Rows of a sparse matrix that is being made.
struct Rows {
    columns: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<i32>,
}

impl Rows {
    fn new(columns: usize) -> Self {
        Self { columns, indptr: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    /// Appends a row; zeros are left out.
    fn push(&mut self, entries: impl Iterator<Item = (u32, i32)>) {
        for (column, value) in entries.filter(|&(_, value)| value != 0) {
            self.indices.push(column);
            self.values.push(value);
        }
        self.indptr.push(self.indices.len());
    }

    fn dense(self) -> Result<SparseMatrix, AnyError> {
        let dense = vec![true; self.columns];
        self.with(dense)
    }

    /// With one flag a column: dense or indicator.
    fn with(self, dense: Vec<bool>) -> Result<SparseMatrix, AnyError> {
        let Self { columns, indptr, indices, values } = self;
        Ok(SparseMatrix::new(columns, indptr, indices, values, dense)?)
    }
}
