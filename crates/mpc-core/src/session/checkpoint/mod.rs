//! What a run writes into its [`Vault`](super::Vault), and how it finds its way back (docs/SPEC.md,
//! "Checkpoints").
//!
//! Nothing in here ever holds a mask, a correlation or the state of a generator: their types have no
//! encoding, and an attempt that goes on draws all of them anew.

pub(crate) mod history;
pub(crate) mod model;
pub(crate) mod position;
pub(crate) mod setup;
pub(crate) mod store;

pub(crate) use history::History;
pub(crate) use model::Model;
pub(crate) use position::{ChainHash, Position};
pub(crate) use setup::StoredSetup;
pub(crate) use store::{Openings, Store};

/// Most bytes of a record, so that memory is bounded whatever a file's size is. One ciphertext a row of
/// a chunk fits.
const RECORD_BYTES: usize = 1 << 20;
