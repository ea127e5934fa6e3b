//! What a party does a row, a ciphertext or a non-zero, on one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paillier::fixtures::test_key_on;
use paillier::kernel::Choice;
use paillier::{
    Ciphertexts, EncryptedVector, ModulusBits, ModulusProof, OwnerEncryptor, PackLayout, Sanitiser,
    SendableCiphertexts, SparseMatrix, UniformMask, accumulate_transpose, forward_packed, pack,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const ROWS: usize = 256;

fn receive(sent: &SendableCiphertexts) -> Ciphertexts {
    Ciphertexts::decode(sent.key(), &sent.encode(), sent.len()).expect("just encoded")
}

/// All columns alike, every entry there, values of `bits` bits with sign where dense.
fn full(columns: usize, dense: bool, bits: u32, rng: &mut ChaCha20Rng) -> SparseMatrix {
    let bound = 1i32 << bits;
    let mut value = || {
        if dense { rng.random_range(1..bound) * if rng.random() { 1 } else { -1 } } else { 1 }
    };
    SparseMatrix::new(
        columns,
        (0..=ROWS).map(|i| i * columns).collect(),
        (0..ROWS).flat_map(|_| 0..columns as u32).collect(),
        (0..ROWS * columns).map(|_| value()).collect(),
        vec![dense; columns],
    )
    .expect("well formed")
}

fn operations(c: &mut Criterion) {
    for bits in [ModulusBits::B2048, ModulusBits::B3072] {
        for choice in [Choice::Fastest, Choice::Portable] {
            of_a_key(c, bits, choice);
        }
    }
}

fn of_a_key(c: &mut Criterion, bits: ModulusBits, choice: Choice) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = test_key_on(choice, bits, 0);
    let owner = OwnerEncryptor::new(&key, &mut rng);
    let sanitiser = Sanitiser::new(key.public(), 40, &mut rng);
    let values: Vec<i128> = (0..ROWS).map(|_| rng.random::<u64>().into()).collect();
    let errors = receive(&owner.encrypt_signed(&values, &mut rng));
    let layout = PackLayout::new(bits, 43, 64).expect("fits");
    let mut group = c.benchmark_group(format!("{} {}", bits.bits(), key.public().kernel_name()));

    group.throughput(Throughput::Elements(16));
    group.bench_function("encrypt (owner)", |b| {
        b.iter(|| owner.encrypt_signed(&values[..16], &mut rng));
    });
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("encrypt (owner), 256 at a time", |b| {
        b.iter(|| owner.encrypt_signed(&values, &mut rng));
    });
    group.throughput(Throughput::Elements(16));
    let sixteen = receive(&owner.encrypt_signed(&values[..16], &mut rng));
    group.bench_function("decrypt", |b| b.iter(|| key.decrypt(&sixteen)));
    group.bench_function("add a number", |b| b.iter(|| sixteen.add_signed(&values[..16])));
    let bytes = owner.encrypt_signed(&values[..16], &mut rng).encode();
    group.bench_function("decode", |b| {
        b.iter(|| Ciphertexts::decode(key.public(), &bytes, 16).expect("valid"));
    });
    group.throughput(Throughput::Elements(8));
    let eight = PackLayout::new(bits, bits.bits() - 66, 64).expect("one slot");
    let batch = receive(&owner.encrypt_signed(&values[..8], &mut rng));
    group.bench_function("mask and sanitise", |b| {
        b.iter(|| {
            let packed = pack(&batch, eight).expect("same key");
            let masks = packed.iter().map(|_| UniformMask::random(key.public(), &mut rng));
            let masks = masks.collect();
            sanitiser.mask_and_sanitise(packed, masks, &mut rng).expect("in budget")
        });
    });

    let sixty_four = receive(&owner.encrypt_signed(&values[..64], &mut rng));
    group.throughput(Throughput::Elements(64));
    group.bench_function("mask and sanitise, 64 at a time", |b| {
        b.iter(|| {
            let packed = pack(&sixty_four, eight).expect("same key");
            let masks = packed.iter().map(|_| UniformMask::random(key.public(), &mut rng));
            let masks = masks.collect();
            sanitiser.mask_and_sanitise(packed, masks, &mut rng).expect("in budget")
        });
    });

    for (name, columns, dense) in [("indicator", 16, false), ("dense", 16, true)] {
        let x = full(columns, dense, 11, &mut rng);
        let column_values = receive(&owner.encrypt_signed(&values[..columns], &mut rng));
        let mut w = EncryptedVector::from_ciphertexts(column_values);
        group.throughput(Throughput::Elements(x.nonzeros() as u64));
        group.bench_function(format!("forward, {name} entry, packing included"), |b| {
            b.iter(|| forward_packed(&x, &w, layout, 16).expect("fits"));
        });
        group.bench_function(format!("backward, {name} entry"), |b| {
            b.iter(|| accumulate_transpose(&x, &errors, &mut w).expect("fits"));
        });
    }
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("packing alone, a row", |b| b.iter(|| pack(&errors, layout)));
    group.throughput(Throughput::Elements(1));
    group.bench_function("tables (owner)", |b| b.iter(|| OwnerEncryptor::new(&key, &mut rng)));
    group.bench_function("tables (sanitiser)", |b| {
        b.iter(|| Sanitiser::new(key.public(), 40, &mut rng));
    });
    let (tag, n) = ([1; 32], key.public().to_bytes());
    let proof = ModulusProof::prove(&key, &tag, &mut rng);
    group.bench_function("modulus proof: prove", |b| {
        b.iter(|| ModulusProof::prove(&key, &tag, &mut rng));
    });
    group.bench_function("modulus proof: verify", |b| b.iter(|| proof.verify(bits, &n, &tag)));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = operations
}
criterion_main!(benches);
