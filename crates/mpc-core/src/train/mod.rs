//! The training step: both roles as typestates over chunks of rows.
//!
//! A chunk passes through [`forward`] (HE → SS), the error on shares ([`feature_holder`] and
//! [`label_holder`]) and [`error_ciphertexts`] (SS → HE). Chunks of a batch are independent of each
//! other; the model changes only when all of them are done.

pub mod batch;
pub mod error;
pub mod error_ciphertexts;
pub mod feature_holder;
pub mod forward;
pub mod keys;
pub mod label_holder;
pub mod order;
pub mod series;
