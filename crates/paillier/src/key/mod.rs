//! Key pairs.

mod prime;
mod proof;
mod public;
mod secret;

pub use proof::{ModulusProof, PROOF_ROUNDS};
pub(crate) use public::random_unit;
pub use public::{ModulusBits, PublicKey};
pub use secret::SecretKey;
pub(crate) use secret::{Factors, Half};
