//! Generated gRPC code of `proto/caesar/v1`, nothing else. The `.proto` files are the documentation.
#![allow(clippy::all)]

/// Version 1 of the wire.
pub mod v1 {
    tonic::include_proto!("caesar.v1");
    /// The encoded file descriptors, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
