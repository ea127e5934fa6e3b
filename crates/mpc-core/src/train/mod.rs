//! The training step: both roles as typestates over chunks of rows.
//!
//! A chunk passes through [`forward`] (HE → SS), the error on shares ([`masked_scores`]) and
//! [`error_ciphertexts`] (SS → HE). What does not depend on scores is prepared before
//! ([`correlations`]). Chunks of a batch are independent of each other; the model changes only when all
//! of them are done.

pub mod batch;
pub mod correlations;
pub mod error;
pub mod error_ciphertexts;
pub mod forward;
pub mod keys;
pub mod masked_scores;
pub mod order;
pub mod series;
pub mod target;
