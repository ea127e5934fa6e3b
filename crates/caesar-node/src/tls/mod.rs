//! Mutual TLS 1.3 with pinned certificates: who is on the other end of a connection is decided by
//! the SHA-256 of its certificate and by nothing else.

mod acceptor;
mod connector;
mod keygen;
mod material;
mod pin;
mod rate;

use std::fmt;

pub use acceptor::{AcceptLimits, Connection, PeerIdentity, accept_loop};
pub use connector::{ConnectError, Connector};
pub use keygen::{Generated, KeygenError, keygen};
pub use material::{Material, MaterialError};
pub use pin::{Fingerprint, client_config, server_config};

use crate::config::ClientRole;

/// What the holder of a pinned certificate is to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The one other node.
    Peer {
        /// Its name in the configuration.
        name: String,
    },
    /// Somebody who uses the job API.
    Client {
        /// Its name in the configuration.
        name: String,
        /// What it may do.
        role: ClientRole,
    },
}

impl Identity {
    /// The other node.
    pub fn peer(name: &str) -> Self {
        Identity::Peer { name: name.to_owned() }
    }

    /// A client with a role.
    pub fn client(name: &str, role: ClientRole) -> Self {
        Identity::Client { name: name.to_owned(), role }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Peer { name } => write!(f, "peer `{name}`"),
            Identity::Client { name, .. } => write!(f, "client `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests;
