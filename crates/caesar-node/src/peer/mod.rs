//! The channel between the two nodes: one bidirectional gRPC stream that carries everything.
//!
//! [`Hub`] is what the rest of the node sees: whether the peer is there, a place to send control
//! messages, and a [`Route`] for each job under way. `session` runs one established stream;
//! `dial` and `service` are its two ways into the world.

mod chunk;
mod dial;
mod hub;
mod inbox;
mod link;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use chunk::{Assembler, CHUNK_BYTES, FrameError, split};
pub use dial::dial_loop;
pub use hub::{Hub, Invitation, Route, Status};
pub use link::{JobLink, LinkFault};
pub use service::PeerService;
pub use session::Outgoing;

/// Largest encoded message on the stream: one chunk and its envelope.
pub const MAX_ENVELOPE_BYTES: usize = CHUNK_BYTES + 64 * 1024;

/// Windows of HTTP/2 flow control, sized for a long fat link: the default of 64 KiB would cap a
/// 100 ms link at 5 Mbit/s.
pub const STREAM_WINDOW: u32 = 16 << 20;
/// The same for a whole connection.
pub const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame we accept.
pub const HTTP2_FRAME: u32 = 1 << 20;
