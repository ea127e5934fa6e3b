//! The configuration file as it is written: TOML, unknown fields refused.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::data::ColumnSettings;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) role: super::Role,
    pub(super) listen: String,
    pub(super) data_dir: PathBuf,
    pub(super) tls: Tls,
    pub(super) peer: Peer,
    #[serde(default)]
    pub(super) clients: Vec<Client>,
    #[serde(default)]
    pub(super) datasets: Vec<Dataset>,
    #[serde(default)]
    pub(super) limits: super::Limits,
    #[serde(default)]
    pub(super) log: super::Log,
    #[serde(default)]
    pub(super) checkpoints: Checkpoints,
}

/// `[checkpoints]`: the key that they are encrypted with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Checkpoints {
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_env: Option<String>,
    pub(super) previous_key_files: Vec<PathBuf>,
    pub(super) previous_key_envs: Vec<String>,
}

/// `[tls]`: this node's own certificate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// `[peer]`: the one other node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) certificate: Option<PathBuf>,
    pub(super) fingerprint: Option<String>,
    pub(super) connect: Option<String>,
}

/// `[[clients]]`: one certificate that may call the job API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) certificate: Option<PathBuf>,
    pub(super) fingerprint: Option<String>,
    /// Only `client` exists so far; written out so that a later role is a visible choice.
    pub(super) role: super::ClientRole,
}

/// `[[datasets]]`: one entry of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) name: String,
    pub(super) format: super::Format,
    pub(super) path: PathBuf,
    pub(super) ids: Option<PathBuf>,
    pub(super) columns: Option<usize>,
    pub(super) id_column: Option<String>,
    pub(super) label_column: Option<String>,
    pub(super) sample_weight_column: Option<String>,
    pub(super) split_column: Option<String>,
    #[serde(default)]
    pub(super) schema: BTreeMap<String, ColumnSettings>,
    #[serde(default)]
    pub(super) defaults: ColumnSettings,
    pub(super) missing_values: Option<Vec<String>>,
    #[serde(default)]
    pub(super) allow_peers: Vec<String>,
    #[serde(default)]
    pub(super) allow_validation: bool,
}
