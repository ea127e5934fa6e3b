//! Configuration files of nodes and clients, as the harness writes them.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// A party, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Party {
    /// The feature holder (the platform).
    A,
    /// The label holder (the bank).
    B,
}

impl Party {
    /// The name of its node in configurations and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "platform",
            Self::B => "bank",
        }
    }

    /// The one on the other side.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An entry of a node's catalogue.
#[derive(Clone, Debug, Serialize)]
pub struct Dataset {
    /// By which jobs name it.
    pub name: String,
    #[serde(flatten)]
    format: Format,
    /// The rows.
    path: PathBuf,
    /// Peers that may use it in jobs.
    pub allow_peers: Vec<String>,
    /// Whether the peer may see scores of some of its rows while it trains.
    pub allow_validation: bool,
}

/// What kind of file a data set is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum Format {
    /// CSV with a header.
    Csv {
        /// Column of the ids.
        id_column: String,
        /// Column of the label; at B only.
        #[serde(skip_serializing_if = "Option::is_none")]
        label_column: Option<String>,
    },
    /// libsvm text, its ids in a file of their own.
    Libsvm {
        /// One id a line.
        ids: PathBuf,
        /// Number of columns, where it is more than the highest index.
        #[serde(skip_serializing_if = "Option::is_none")]
        columns: Option<u64>,
    },
}

impl Dataset {
    /// A data set that the node's peer may use. `path` must be absolute.
    pub fn new(party: Party, name: &str, path: &Path, format: Format) -> Self {
        let allow_peers = vec![party.other().name().to_owned()];
        Self {
            name: name.to_owned(),
            format,
            path: path.to_owned(),
            allow_peers,
            allow_validation: false,
        }
    }
}

/// Limits of a node that tests choose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// Threads of its arithmetic.
    pub threads: usize,
    /// Silence after which the peer counts as lost.
    pub peer_timeout_seconds: u64,
    /// Longest time for a TLS handshake.
    pub handshake_timeout_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 1, peer_timeout_seconds: 30, handshake_timeout_seconds: 10 }
    }
}

/// A node's whole configuration.
#[derive(Debug, Serialize)]
pub(crate) struct NodeConfig<'a> {
    pub(crate) role: Party,
    pub(crate) listen: &'a str,
    pub(crate) data_dir: PathBuf,
    pub(crate) tls: Tls,
    pub(crate) peer: Peer<'a>,
    pub(crate) log: Log<'a>,
    pub(crate) limits: Limits,
    pub(crate) clients: Vec<ClientEntry<'a>>,
    pub(crate) datasets: &'a [Dataset],
}

#[derive(Debug, Serialize)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Serialize)]
pub(crate) struct Peer<'a> {
    pub(crate) name: &'a str,
    pub(crate) certificate: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Log<'a> {
    pub(crate) level: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ClientEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) certificate: PathBuf,
    pub(crate) role: &'a str,
}

/// A client's connection settings.
#[derive(Debug, Serialize)]
pub(crate) struct ClientFile {
    pub(crate) endpoint: String,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) server_certificate: PathBuf,
}
