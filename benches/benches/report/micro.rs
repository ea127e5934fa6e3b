//! What one core does a second: every operation of homomorphic encryption, on every kernel that this
//! machine has, at both key sizes.

use std::{collections::BTreeSet, fmt::Write as _, hint::black_box, sync::Arc};

use paillier::fixtures::test_key_on;
use paillier::kernel::{Choice, Kernel, Residues, choose};
use paillier::{
    Ciphertexts, EncryptedVector, HEADROOM_BITS, ModulusBits, OwnerEncryptor, PackLayout,
    Sanitiser, SecretKey, SendableCiphertexts, SparseMatrix, UniformMask, accumulate_transpose,
    linear_combinations, pack,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use crate::{measure::per_second, yardstick::Yardstick};

/// Ciphertexts a call: a chunk of a mini-batch.
const BATCH: usize = 256;
/// Ciphertexts that an encryption pool prepares at a time.
const PREPARED: usize = 1024;
/// Columns of the sparse product: more ciphertexts than the caches hold.
const COLUMNS: usize = 10_000;
/// Non-zeros a row of the sparse product.
const ROW: usize = 20;
/// Bits of a slot in the packing benchmark: those of a job on dense columns.
const SLOT_BITS: u32 = 42;

/// One figure of the report; the names are read by other programs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Micro {
    pub(crate) op: String,
    pub(crate) bits: u32,
    pub(crate) kernel: String,
    pub(crate) ops_per_second: f64,
}

/// Measures everything. Kernels take turns at each operation, so that a machine whose speed drifts is
/// fair to them.
pub(crate) fn measure(seed: u64) -> Vec<Micro> {
    let mut out = Vec::new();
    for bits in [ModulusBits::B2048, ModulusBits::B3072] {
        let choices = [Choice::Fastest, Choice::Portable];
        let mut benches: Vec<Bench> =
            choices.into_iter().map(|choice| Bench::new(choice, bits, seed)).collect();
        // On a processor without vector instructions both are the same.
        benches.dedup_by_key(|bench| bench.kernel);
        for (op, run) in OPERATIONS {
            for bench in &mut benches {
                let ops_per_second = run(bench);
                let kernel = bench.kernel;
                eprintln!("{op} at {} bits, {kernel}: {ops_per_second:.0}/s", bits.bits());
                let (op, kernel) = (op.to_owned(), kernel.to_owned());
                out.push(Micro { op, bits: bits.bits(), kernel, ops_per_second });
            }
        }
    }
    out
}

type Operation = fn(&mut Bench) -> f64;

const OPERATIONS: [(&str, Operation); 10] = [
    ("mul", mul),
    ("square", square),
    ("encrypt", encrypt),
    ("decrypt", decrypt),
    ("add", add),
    ("mul_scalar16", mul_scalar16),
    ("nnz_indicator", nnz_indicator),
    ("nnz_fixed16", nnz_fixed16),
    ("sanitise", sanitise),
    ("pack_row", pack_row),
];

/// A key on one kernel and ciphertexts under it.
struct Bench {
    choice: Choice,
    kernel: &'static str,
    bits: ModulusBits,
    rng: ChaCha20Rng,
    key: SecretKey,
    owner: OwnerEncryptor,
    sanitiser: Sanitiser,
    values: Vec<i128>,
    batch: Ciphertexts,
    columns: EncryptedVector,
}

fn receive(sent: &SendableCiphertexts) -> Ciphertexts {
    Ciphertexts::decode(sent.key(), &sent.encode(), sent.len()).expect("just encoded")
}

impl Bench {
    fn new(choice: Choice, bits: ModulusBits, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = test_key_on(choice, bits, 0);
        let owner = OwnerEncryptor::new(&key, &mut rng);
        let sanitiser = Sanitiser::new(key.public(), 40, &mut rng);
        let values: Vec<i128> = (0..BATCH).map(|_| rng.random::<u64>().into()).collect();
        let batch = receive(&owner.encrypt_signed(&values, &mut rng));
        // Every column is met once, so it gets a copy of one of the batch's ciphertexts.
        let mut columns = EncryptedVector::zeros(key.public(), COLUMNS);
        let spread = matrix(BATCH, COLUMNS, false, |i| {
            (i..COLUMNS).step_by(BATCH).map(|j| (j as u32, 1)).collect()
        });
        accumulate_transpose(&spread, &batch, &mut columns).expect("one ciphertext a row");
        let kernel = key.public().kernel_name();
        Self { choice, kernel, bits, rng, key, owner, sanitiser, values, batch, columns }
    }

    /// Two batches of residues modulo N² in the kernel's form.
    fn residues(&mut self) -> (Arc<dyn Kernel>, [Residues; 2]) {
        let n: Vec<u64> = limbs(&self.key.public().to_bytes());
        let kernel = choose(self.choice, &n);
        let residues = [(); 2].map(|()| {
            let mut digits: Vec<u64> =
                (0..2 * BATCH * n.len()).map(|_| self.rng.random()).collect();
            for digit in digits.chunks_exact_mut(n.len()) {
                // The top limb of every digit stays below that of N.
                digit[n.len() - 1] >>= 1;
            }
            kernel.import(&digits)
        });
        (kernel, residues)
    }
}

fn limbs(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|limb| u64::from_le_bytes(*limb)).collect()
}

/// `rows` rows of the entries (column, value) that `row` gives, all columns alike.
fn matrix(
    rows: usize,
    columns: usize,
    dense: bool,
    row: impl FnMut(usize) -> Vec<(u32, i32)>,
) -> SparseMatrix {
    let rows: Vec<Vec<(u32, i32)>> = (0..rows).map(row).collect();
    let mut indptr = vec![0];
    indptr.extend(rows.iter().scan(0, |end, row| {
        *end += row.len();
        Some(*end)
    }));
    let (indices, values) = rows.into_iter().flatten().unzip();
    SparseMatrix::new(columns, indptr, indices, values, vec![dense; columns]).expect("well formed")
}

/// Products modulo N², operands in memory as callers hold them.
fn mul(bench: &mut Bench) -> f64 {
    let (kernel, [mut acc, operands]) = bench.residues();
    per_second(BATCH, || kernel.multiply(&mut acc.words, &operands.words))
}

/// Squares modulo N², one a call.
fn square(bench: &mut Bench) -> f64 {
    let (kernel, [mut acc, _]) = bench.residues();
    per_second(BATCH, || kernel.square(&mut acc.words, 1))
}

/// Encryption by the key's owner with full-length randomness, up to the bytes for the wire.
fn encrypt(bench: &mut Bench) -> f64 {
    let Bench { owner, rng, .. } = bench;
    let values: Vec<i128> = (0..PREPARED).map(|_| rng.random::<u64>().into()).collect();
    per_second(PREPARED, || drop(black_box(owner.encrypt_signed(&values, rng).encode())))
}

/// Constant-time decryption from the bytes of the wire.
fn decrypt(bench: &mut Bench) -> f64 {
    let Bench { owner, values, rng, key, .. } = bench;
    let bytes = owner.encrypt_signed(values, rng).encode();
    per_second(BATCH, || {
        let received = Ciphertexts::decode(key.public(), &bytes, BATCH).expect("just encoded");
        black_box(key.decrypt(&received).expect("the same key"));
    })
}

/// Sums of two ciphertexts.
fn add(bench: &mut Bench) -> f64 {
    let batch = &bench.batch;
    per_second(BATCH, || drop(black_box(batch.add(batch).expect("the same key"))))
}

/// Products with signed 16-bit numbers in constant time.
fn mul_scalar16(bench: &mut Bench) -> f64 {
    let Bench { batch, rng, .. } = bench;
    let scalars: Vec<i32> = (0..BATCH).map(|_| i32::from(rng.random::<i16>())).collect();
    per_second(BATCH, || drop(black_box(batch.mul_small(&scalars).expect("one a ciphertext"))))
}

/// Non-zeros of 0/1 rows times an encrypted vector, a ciphertext a row.
fn nnz_indicator(bench: &mut Bench) -> f64 {
    let Bench { columns, rng, .. } = bench;
    let x = matrix(BATCH, COLUMNS, false, |_| {
        let row: BTreeSet<u32> = (0..ROW).map(|_| rng.random_range(0..COLUMNS as u32)).collect();
        row.into_iter().map(|j| (j, 1)).collect()
    });
    per_second(x.nonzeros(), || {
        drop(black_box(linear_combinations(&x, columns, 0).expect("as many columns")));
    })
}

/// Non-zeros of rows with signed 16-bit values, tables and squarings included.
fn nnz_fixed16(bench: &mut Bench) -> f64 {
    let Bench { columns, rng, .. } = bench;
    let x = matrix(BATCH, COLUMNS, true, |_| {
        // Few columns, as dense data has: the rows of a batch share their tables.
        (0..ROW as u32).map(|j| (j, i32::from(rng.random::<i16>() | 1))).collect()
    });
    per_second(x.nonzeros(), || {
        drop(black_box(linear_combinations(&x, columns, 0).expect("as many columns")));
    })
}

/// Packed ciphertexts masked and given fresh randomness, up to the bytes for the wire.
fn sanitise(bench: &mut Bench) -> f64 {
    let Bench { bits, batch, sanitiser, rng, .. } = bench;
    let one_slot = PackLayout::new(*bits, bits.bits() - HEADROOM_BITS, 64).expect("one slot fits");
    let packed = || pack(batch, one_slot).expect("the same key");
    // Packing one slot costs a product, which is taken off.
    let packing = per_second(BATCH, || drop(black_box(packed())));
    let both = per_second(BATCH, || {
        let packed = packed();
        let masks = packed.iter().map(|_| UniformMask::random(sanitiser.key(), rng)).collect();
        let sent = sanitiser.mask_and_sanitise(packed, masks, rng).expect("within the budget");
        black_box(sent.encode());
    });
    1.0 / (1.0 / both - 1.0 / packing)
}

/// Rows shifted and added into packed ciphertexts.
fn pack_row(bench: &mut Bench) -> f64 {
    let Bench { bits, batch, .. } = bench;
    let layout = PackLayout::new(*bits, SLOT_BITS, 64).expect("slots fit");
    per_second(BATCH, || drop(black_box(pack(batch, layout).expect("the same key"))))
}

/// The part of the report for readers.
pub(crate) fn markdown(figures: &[Micro], yardstick: &[Yardstick]) -> String {
    // Products modulo N² that a kernel does a second; not a number where there is no such kernel.
    let product = |bits: u32, kernel: &str| {
        let found = |m: &&Micro| m.op == "mul" && m.bits == bits && m.kernel == kernel;
        figures.iter().find(found).map_or(f64::NAN, |m| m.ops_per_second)
    };
    let mut out = String::from(
        "Operations a second of one core, medians, and how many products modulo N² of the same kernel \
         one takes. Conversions, encoding and decoding are included.\n\n\
         | operation | bits | kernel | a second | products |\n|---|---|---|---|---|\n",
    );
    for figure in figures {
        let products = product(figure.bits, &figure.kernel) / figure.ops_per_second;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {products:.2} |",
            figure.op, figure.bits, figure.kernel, figure.ops_per_second
        );
    }
    out += "\nA product modulo N² beside crypto-bigint's Montgomery form, without conversions:\n\n\
            | bits | crypto-bigint, a second | portable kernel | vector kernel |\n|---|---|---|---|\n";
    for figure in yardstick {
        let times = |kernel| product(figure.bits, kernel) / figure.ops_per_second;
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.1} times | {:.1} times |",
            figure.bits,
            figure.ops_per_second,
            times("portable"),
            times("ifma")
        );
    }
    out
}
