//! Benchmarks. `cargo bench-report` measures this machine; see `benches/report`. Finer ones of the
//! kernels are in the crates that own them (`cargo bench -p paillier`).
