//! The two-party protocols of CAESAR as state machines without IO.
//!
//! Roles: **A** is the feature holder (the platform), **B** the label holder (the bank). Every
//! message is an explicit type with a fixed-width encoding that is validated when it is decoded;
//! nothing here knows a socket, a clock or a thread of an async runtime. The security model and
//! every protocol with its masks and bounds are in `docs/SPEC.md`.

pub mod baseline;
pub mod binding;
pub mod cost;
pub mod division;
pub mod features;
pub mod ideal;
pub mod matrix;
pub mod metrics;
pub mod ot;
pub mod plan;
pub mod psi;
pub mod ring;
pub mod session;
pub mod shares;
#[cfg(test)]
pub(crate) mod spy;
#[cfg(test)]
pub(crate) mod statistics;
pub mod step;
pub mod train;
pub mod wire;

pub use paillier::kernel::fastest as fastest_kernel;
