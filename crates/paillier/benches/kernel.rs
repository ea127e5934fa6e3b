//! Multiplications and squarings of the kernel, one residue at a time, at the sizes keys need.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paillier::kernel::{Residues, kernel_for};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

fn kernel(c: &mut Criterion) {
    const BATCH: usize = 16;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (name, limbs) in [("n2-3072", 48), ("n2-2048", 32), ("p2-3072", 24), ("p2-2048", 16)] {
        let mut n: Vec<u64> = (0..limbs).map(|_| rng.next_u64()).collect();
        n[0] |= 1;
        n[limbs - 1] |= 3 << 62;
        let kernel = kernel_for(&n);
        let mut random = || -> Residues {
            let digits = (0..2 * limbs * BATCH).map(|i| {
                // The top limb of each digit stays below that of n.
                let x = rng.next_u64();
                if i % limbs == limbs - 1 { x >> 2 } else { x }
            });
            kernel.import(&digits.collect::<Vec<_>>())
        };
        let (mut a, b) = (random(), random());
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("multiply", |bench| {
            bench.iter(|| kernel.multiply(&mut a.words, &b.words));
        });
        group.bench_function("square", |bench| bench.iter(|| kernel.square(&mut a.words, 1)));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = kernel
}
criterion_main!(benches);
