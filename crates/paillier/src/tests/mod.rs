//! Tests of the whole crate, most of them against big integers.
//!
//! Compiled twice: as `tests` for the kernel that is fastest on this machine, which the kernel's own
//! tests name, and as `tests_on_portable`.

mod operations;
mod products;
mod proof;
mod randomness;
mod secrecy;
mod vectors;

use crate::fixtures::test_key_on;
use crate::kernel::Choice;
use crate::{ModulusBits, SecretKey};

/// A public key pair that computes with the kernel under test.
fn test_key(bits: ModulusBits, index: usize) -> SecretKey {
    let choice = if module_path!().ends_with("tests_on_portable") {
        Choice::Portable
    } else {
        Choice::Fastest
    };
    test_key_on(choice, bits, index)
}
