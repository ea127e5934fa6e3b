//! The channel between the two nodes: one bidirectional gRPC stream that carries everything.
//!
//! [`Hub`] is what the rest of the node sees: whether the peer is there, what it says about jobs, and a
//! [`Route`] for each attempt under way. `session` runs one established stream; `dial` and `service`
//! are its two ways into the world. Streams come and go under an attempt: `window` keeps what a new
//! one may have to send again.

use rand::{TryRng as _, rngs::SysRng};

mod chunk;
mod deliver;
mod dial;
mod hub;
mod link;
mod route;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod window;

pub use chunk::{Assembler, CHUNK_BYTES, FrameError, split};
pub use dial::dial_loop;
pub use hub::{Hub, Notice, Status};
pub use link::{JobLink, LinkFault};
pub use route::Route;
pub use service::PeerService;
pub use session::{Outgoing, SessionId};

/// A process, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance([u8; 16]);

impl Instance {
    fn random() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Largest encoded message on the stream: one chunk and its envelope.
pub const MAX_ENVELOPE_BYTES: usize = CHUNK_BYTES + 64 * 1024;

/// Windows of HTTP/2 flow control, sized for a long fat link: the default of 64 KiB would cap a
/// 100 ms link at 5 Mbit/s.
pub const STREAM_WINDOW: u32 = 16 << 20;
/// The same for a whole connection.
pub const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame we accept.
pub const HTTP2_FRAME: u32 = 1 << 20;
