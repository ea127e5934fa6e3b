//! Multiplications and squarings of the kernel, one residue at a time, at the sizes keys need.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paillier::kernel::{Choice, Residues, choose};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn kernel(c: &mut Criterion) {
    const BATCH: usize = 16;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (name, limbs) in [("n2-3072", 48), ("n2-2048", 32), ("p2-3072", 24), ("p2-2048", 16)] {
        let mut n: Vec<u64> = (0..limbs).map(|_| rng.next_u64()).collect();
        n[0] |= 1;
        n[limbs - 1] |= 3 << 62;
        for choice in [Choice::Fastest, Choice::Portable] {
            let kernel = choose(choice, &n);
            let mut random = || -> Residues {
                let digits = (0..2 * limbs * BATCH).map(|i| {
                    // The top limb of each digit stays below that of n.
                    let x = rng.next_u64();
                    if i % limbs == limbs - 1 { x >> 2 } else { x }
                });
                kernel.import(&digits.collect::<Vec<_>>())
            };
            let (mut a, b) = (random(), random());
            let mut group = c.benchmark_group(format!("{name} {}", kernel.name()));
            group.throughput(Throughput::Elements(BATCH as u64));
            group.bench_function("multiply", |bench| {
                bench.iter(|| kernel.multiply(&mut a.words, &b.words));
            });
            group.bench_function("square", |bench| bench.iter(|| kernel.square(&mut a.words, 1)));
            group.bench_function("square 32 times, a squaring", |bench| {
                bench.iter_custom(|iterations| {
                    let start = std::time::Instant::now();
                    (0..iterations.div_ceil(32)).for_each(|_| kernel.square(&mut a.words, 32));
                    start.elapsed()
                });
            });
            group.bench_function("export", |bench| bench.iter(|| kernel.export(&a.words)));
            // A sparse row's non-zeros: 14 operands an accumulator, in any order.
            let plan: Vec<(u32, u32)> = (0..14 * BATCH as u32)
                .map(|k| (k / 14, k.wrapping_mul(2_654_435_761) % 16))
                .collect();
            group.throughput(Throughput::Elements(plan.len() as u64));
            group.bench_function("multiply_gather, 14 a row", |bench| {
                bench.iter(|| kernel.multiply_gather(&mut a.words, &b.words, &plan));
            });
            let plan: Vec<(u32, u32)> = (0..200).map(|k| (0, k % 16)).collect();
            group.throughput(Throughput::Elements(plan.len() as u64));
            group.bench_function("multiply_gather, one row of 200", |bench| {
                bench.iter(|| kernel.multiply_gather(&mut a.words, &b.words, &plan));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = kernel
}
criterion_main!(benches);
