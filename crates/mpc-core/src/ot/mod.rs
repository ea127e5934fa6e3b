//! Correlated randomness: oblivious transfer and oblivious linear evaluation.
//!
//! A is the receiver (its choice bits become the bits of its sines and cosines), B the sender (its
//! operands carry the label). The layers, each with an ideal functionality used by the same tests:
//!
//! 1. Set-up: 128 base transfers on Ristretto (Masny and Rindal) and seed trees, one message each way.
//!    B: [`ExtensionSender::start`] → [`SetupRequest`] → A: [`ExtensionReceiver::start`] →
//!    [`SetupReply`] → B: [`AwaitingSeeds::finish`].
//! 2. Extension: SoftSpokenOT (Roy) with its consistency check, one message from A a batch.
//!    A: [`ExtensionReceiver::extend`] → [`ExtensionMessage`] → B: [`ExtensionSender::extend`].
//! 3. OLE: Gilboa products from the random transfers, one message each way.
//!    A: [`ole::choose`] → [`ChoiceBits`] → B: [`ole::respond`] → [`Corrections`] → A:
//!    [`OleReceiver::finish`].
//! 4. Lift: from shares modulo a power of two to shares in the integers, one message each way.
//!    A: [`lift::choose`] → [`TopBits`] → B: [`lift::respond`] → [`Wraps`] → A:
//!    [`LiftReceiver::finish`].
//!
//! **Assumptions.** Computational Diffie-Hellman in Ristretto with BLAKE3 as random oracle (set-up
//! and the challenge), AES-128 as pseudo-random permutation (trees and streams), fixed-key AES-128
//! as ideal permutation (hash of the extension). Set-up and extension resist malicious parties as
//! analysed by Roy; OLE and lift are semi-honest, like the system it serves.
//!
//! **Randomness is used once.** Stream positions and hash tweaks come from a counter that only moves
//! forward and is checked against the peer's; transfers are numbered and moved out of their pool by
//! use. Nothing here can be cloned or serialised: after a restart there is a new attempt number, a
//! new set-up and empty pools.

mod base;
mod bits;
mod check;
mod crh;
mod error;
mod extension;
mod ggm;
#[cfg(test)]
pub(crate) mod ideal;
pub mod lift;
pub mod ole;
mod pool;
mod prg;
mod setup;
#[cfg(test)]
mod tests;
mod transpose;
mod vole;

pub use error::OtError;
pub use extension::{ExtensionMessage, ExtensionReceiver, ExtensionSender, MAX_EXTEND, TreeDepth};
pub use lift::{IntegerShares, LiftReceiver, TopBits, Wraps};
pub use ole::{ChoiceBits, Corrections, OleReceiver, OleShape, SharePairs, ots_needed};
pub use pool::{RandomOtsReceiver, RandomOtsSender};
pub use setup::{AwaitingSeeds, SetupReply, SetupRequest};
