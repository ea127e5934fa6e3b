//! End-to-end benchmarks, on the harness of `caesar-e2e`. Micro-benchmarks of the kernels are in
//! the crates that own them (`cargo bench -p paillier`).
