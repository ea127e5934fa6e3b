//! The gRPC server: which services there are and who may call them.

mod auth;
mod jobs;
mod server;

pub use server::{ServerParts, serve};
