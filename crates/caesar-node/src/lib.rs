//! `caesar-node`: the daemon of one institution.
//!
//! It holds the institution's data, talks to exactly one other node over mutual TLS with pinned
//! certificates, and runs the protocols of `mpc-core` for the jobs that clients submit. Reading
//! order: [`config`], [`tls`], [`peer`], [`job`], [`store`], [`checkpoint`], [`api`], and [`node`],
//! which puts them together.

pub mod api;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod error;
pub mod job;
pub mod log;
pub mod node;
pub mod peer;
pub mod store;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod testing;
