//! Key pairs.

mod prime;
mod proof;
mod public;
mod secret;

pub use proof::{ModulusProof, PROOF_ROUNDS};
pub use public::{ModulusBits, PublicKey};
pub(crate) use public::{non_residue, random_unit};
pub use secret::SecretKey;
pub(crate) use secret::{Factors, Half, Recombination};
