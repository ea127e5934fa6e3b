//! Starts real `caesar-node` processes: the harness of the demo, the end-to-end tests and the
//! benchmarks.
//!
//! Nodes are built by cargo, configured by files in a temporary folder with fresh certificates, and
//! talk over loopback. Every process is killed and waited for when its [`NodeProcess`] is dropped.

mod arguments;
mod binary;
mod config;
pub mod faults;
mod pair;
mod process;
pub mod proxy;
pub mod resources;
pub mod synthetic;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

pub use arguments::arguments;
pub use binary::{Profile, build_node, cargo};
pub use config::{Dataset, Format, Limits, Party};
pub use pair::{Pair, PairPlan};
pub use process::NodeProcess;

/// Why the harness could not do its work. A job that fails is not one of these.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// A file or process could not be used.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// Cargo did not build the node.
    #[error("building {package} failed: {detail}")]
    Build {
        /// The package.
        package: &'static str,
        /// Cargo's exit status; its messages went to standard error.
        detail: String,
    },
    /// A node stopped or stayed silent before it was ready.
    #[error("node {name} {what}; the end of its log:\n{log}")]
    Node {
        /// The node.
        name: String,
        /// What it did.
        what: String,
        /// The last lines of its standard error.
        log: String,
    },
    /// `caesar-node keygen` failed.
    #[error("caesar-node keygen failed: {stderr}")]
    Keygen {
        /// What it said.
        stderr: String,
    },
    /// The client could not connect.
    #[error(transparent)]
    Client(#[from] caesar_client::Error),
    /// The client's settings are not usable.
    #[error(transparent)]
    ClientConfig(#[from] caesar_client::ConfigError),
}

impl HarnessError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }
}

/// How long a node may take from its start to its port: key files, store, no cryptography.
pub const START_DEADLINE: Duration = Duration::from_secs(30);

/// The folder of the workspace.
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_owned()
}
