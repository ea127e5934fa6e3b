//! Tests of the whole crate, most of them against big integers.

mod operations;
mod products;
mod proof;
mod randomness;
mod secrecy;
mod vectors;
