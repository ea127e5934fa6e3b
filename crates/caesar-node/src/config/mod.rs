//! The node's configuration, resolved: paths absolute to the file's folder, certificates loaded,
//! contradictions refused with the setting to change.

mod check;
mod raw;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use thiserror::Error;

pub use check::summary;

use crate::{
    checkpoint::KeySource,
    data::Schema,
    tls::{Fingerprint, Identity, Material, MaterialError},
};

/// Which party this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Role {
    /// The feature holder (platform).
    A,
    /// The label holder (bank); jobs are submitted here.
    B,
}

impl Role {
    /// The other party.
    pub fn other(self) -> Self {
        match self {
            Role::A => Role::B,
            Role::B => Role::A,
        }
    }

    /// As the side that must act.
    pub fn side(self) -> crate::error::Side {
        match self {
            Role::A => crate::error::Side::A,
            Role::B => crate::error::Side::B,
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.side().name())
    }
}

/// What a client certificate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientRole {
    /// Submit, watch and cancel jobs and read results.
    Client,
}

/// File format of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated text with a header; gzip and zstd are unpacked.
    Csv,
    /// Parquet.
    Parquet,
    /// libsvm text with a parallel file of ids; gzip and zstd are unpacked.
    Libsvm,
}

/// `[limits]`: all of them have defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Threads that one job computes on.
    pub threads: usize,
    /// Largest protocol message that is assembled, and the most that may wait undelivered, MiB. At least
    /// what one side sends in a window of training without an answer, about 20 MB, or both sides would
    /// wait for room.
    pub max_message_mib: u32,
    /// A connection on which the peer is silent (no frame, no heartbeat) for so long is given up. A
    /// job that begins waits as long for the peer.
    pub peer_timeout_seconds: u64,
    /// A job that is under way waits so long for a connection; then it fails at both sides.
    pub reconnect_timeout_seconds: u64,
    /// Longest wait for one message of a peer that is connected.
    pub step_timeout_seconds: u64,
    /// Longest time of one phase of a job (data, psi, setup, train, evaluate, finish), waiting
    /// included.
    pub phase_timeout_seconds: u64,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake_timeout_seconds: u64,
    /// Connections that may be in the handshake at the same time.
    pub max_pending_handshakes: usize,
    /// Rows of one data set.
    pub max_rows: usize,
    /// Stored values of one data set: rows × columns of a table, entries of libsvm text.
    pub max_cells: usize,
    /// Memory that the data sets of one job may take, MiB.
    pub data_memory_mib: u32,
    /// Jobs that may wait in the queue.
    pub max_queued_jobs: u32,
    /// Jobs that may be under way at the same time, each on `threads` threads.
    pub max_running_jobs: u32,
    /// B: how often a job is begun that restarts of the nodes interrupt.
    pub max_attempts: u32,
    /// Ended jobs that are remembered, with their results and request ids.
    pub keep_ended_jobs: u32,
    /// For how many days they are.
    pub keep_ended_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: 1,
            max_message_mib: 256,
            peer_timeout_seconds: 60,
            reconnect_timeout_seconds: 600,
            step_timeout_seconds: 1800,
            phase_timeout_seconds: 86_400,
            handshake_timeout_seconds: 10,
            max_pending_handshakes: 64,
            max_rows: 5_000_000,
            max_cells: crate::data::Source::DEFAULT_MAX_CELLS,
            data_memory_mib: 4096,
            max_queued_jobs: 1000,
            max_running_jobs: 1,
            max_attempts: 100,
            keep_ended_jobs: 10_000,
            keep_ended_days: 365,
        }
    }
}

impl Limits {
    /// Silence after which the peer is lost.
    pub fn peer_timeout(&self) -> Duration {
        Duration::from_secs(self.peer_timeout_seconds)
    }
    /// Longest wait for a connection of a job that is under way.
    pub fn reconnect_timeout(&self) -> Duration {
        Duration::from_secs(self.reconnect_timeout_seconds)
    }
    /// Longest time of one phase.
    pub fn phase_timeout(&self) -> Duration {
        Duration::from_secs(self.phase_timeout_seconds)
    }
    /// How long ended jobs are remembered.
    pub fn keep_ended(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_ended_days) * 86_400)
    }
    /// Longest wait for one message.
    pub fn step_timeout(&self) -> Duration {
        Duration::from_secs(self.step_timeout_seconds)
    }
    /// Deadline of a TLS handshake.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }
    /// Time between two heartbeats: several fit into the peer's time-out.
    pub fn heartbeat(&self) -> Duration {
        (self.peer_timeout() / 4).clamp(Duration::from_millis(500), Duration::from_secs(5))
    }
    /// `data_memory_mib` in bytes.
    pub fn data_memory_bytes(&self) -> usize {
        self.data_memory_mib as usize * (1 << 20)
    }
    /// `max_message_mib` in bytes.
    pub fn max_message_bytes(&self) -> usize {
        self.max_message_mib as usize * (1 << 20)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let ranges: [(&'static str, u64, u64, u64); 16] = [
            ("limits.threads", self.threads as u64, 1, 1024),
            ("limits.max_message_mib", self.max_message_mib.into(), 32, 4096),
            ("limits.peer_timeout_seconds", self.peer_timeout_seconds, 2, 3600),
            ("limits.reconnect_timeout_seconds", self.reconnect_timeout_seconds, 2, 604_800),
            ("limits.phase_timeout_seconds", self.phase_timeout_seconds, 2, 31_536_000),
            ("limits.step_timeout_seconds", self.step_timeout_seconds, 2, 86_400),
            ("limits.handshake_timeout_seconds", self.handshake_timeout_seconds, 1, 300),
            ("limits.max_pending_handshakes", self.max_pending_handshakes as u64, 1, 65_536),
            ("limits.max_rows", self.max_rows as u64, 1, 1 << 31),
            ("limits.max_cells", self.max_cells as u64, 1, 1 << 40),
            ("limits.data_memory_mib", self.data_memory_mib.into(), 16, 1 << 22),
            ("limits.max_queued_jobs", self.max_queued_jobs.into(), 1, 1_000_000),
            ("limits.max_running_jobs", self.max_running_jobs.into(), 1, 64),
            ("limits.max_attempts", self.max_attempts.into(), 1, 1_000_000),
            ("limits.keep_ended_jobs", self.keep_ended_jobs.into(), 1, 100_000_000),
            ("limits.keep_ended_days", self.keep_ended_days.into(), 1, 36_500),
        ];
        for (setting, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(ConfigError::Setting {
                    setting: setting.to_owned(),
                    problem: format!("{value} is outside {low} to {high}"),
                });
            }
        }
        Ok(())
    }
}

/// The keys of checkpoints.
#[derive(Clone, Debug, Default)]
pub struct CheckpointKeys {
    /// What is written with; absent means a file in the data folder that the node makes itself.
    pub current: Option<KeySource>,
    /// What is still read with.
    pub previous: Vec<KeySource>,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A level or a filter such as `info,caesar_node::peer=debug`.
    pub level: String,
    /// `text` or `json`, always to standard error.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// One data set of the catalogue, with resolved paths.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name that jobs use.
    pub name: String,
    /// File format.
    pub format: Format,
    /// The file with the rows.
    pub path: PathBuf,
    /// libsvm only: the file with one id a line.
    pub ids: Option<PathBuf>,
    /// libsvm only: number of columns, where it is more than the highest index of the files.
    pub columns: Option<usize>,
    /// Tables only: the column with the ids.
    pub id_column: Option<String>,
    /// B, tables only: the column with the labels.
    pub label_column: Option<String>,
    /// B, tables only: the column with the rows' weights in training.
    pub sample_weight_column: Option<String>,
    /// A, tables only: the column by which a job of the peer may divide the rows. Common ids tell the peer
    /// what stands there, so no other column is open to that.
    pub split_column: Option<String>,
    /// Tables only: kinds, missing values, scaling and encoding of columns.
    pub schema: Schema,
    /// Names of peers whose jobs may use it. A runs a job only on a data set that lists the peer.
    pub allow_peers: Vec<String>,
    /// At A: whether B may ask for scores of some of its rows after each epoch of a job.
    pub allow_validation: bool,
}

/// The one other node.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in log lines, errors and `allow_peers`.
    pub name: String,
    /// SHA-256 of its certificate; nothing else is accepted.
    pub fingerprint: Fingerprint,
    /// Where to connect; absent on the side that waits to be connected to.
    pub connect: Option<String>,
}

/// The configuration after validation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which party this node is.
    pub role: Role,
    /// The one address for peers and clients.
    pub listen: SocketAddr,
    /// Where the job store lives.
    pub data_dir: PathBuf,
    /// This node's certificate and key.
    pub material: Material,
    /// The other node.
    pub peer: Peer,
    /// Every certificate that may connect: the peer and the clients.
    pub identities: Vec<(Fingerprint, Identity)>,
    /// Local data sets.
    pub datasets: Vec<Dataset>,
    /// Bounds and time-outs.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
    /// Where the keys of checkpoints are.
    pub checkpoint_keys: CheckpointKeys,
}

/// Why a configuration is refused. The message names the setting.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML of the expected shape.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A certificate or key cannot be used.
    #[error("{setting}: {source}")]
    Material {
        /// The setting with the path.
        setting: String,
        /// Why.
        source: MaterialError,
    },
    /// A setting has a value that cannot be used.
    #[error("{setting}: {problem}")]
    Setting {
        /// The setting.
        setting: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn setting(setting: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Setting { setting: setting.into(), problem: problem.into() }
}

impl Config {
    /// Reads and resolves a file. Paths in it are relative to its own folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let file: raw::File = toml::from_str(&text).map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Self::resolve(file, path.parent().unwrap_or(Path::new("")))
    }

    fn resolve(file: raw::File, base: &Path) -> Result<Self, ConfigError> {
        let listen = file
            .listen
            .parse()
            .map_err(|_| setting("listen", "expected IP:PORT, for example 0.0.0.0:7443"))?;
        file.limits.validate()?;
        let material = Material::load(&base.join(&file.tls.certificate), &base.join(&file.tls.key))
            .map_err(|source| ConfigError::Material { setting: "tls".to_owned(), source })?;
        let peer = resolve_peer(&file.peer, base)?;
        let identities = resolve_identities(&file.clients, &peer, material.fingerprint(), base)?;
        let datasets = resolve_datasets(file.datasets, file.role, &peer.name, base)?;
        Ok(Self {
            role: file.role,
            listen,
            data_dir: base.join(file.data_dir),
            material,
            peer,
            identities,
            datasets,
            limits: file.limits,
            log: file.log,
            checkpoint_keys: resolve_keys(file.checkpoints, base)?,
        })
    }

    /// The catalogue entry with this name.
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.iter().find(|d| d.name == name)
    }
}

fn resolve_keys(keys: raw::Checkpoints, base: &Path) -> Result<CheckpointKeys, ConfigError> {
    let current = match (keys.key_file, keys.key_env) {
        (Some(_), Some(_)) => {
            return Err(setting("checkpoints", "has both `key_file` and `key_env`; give one"));
        }
        (Some(path), None) => Some(KeySource::File(base.join(path))),
        (None, name) => name.map(KeySource::Env),
    };
    let files = keys.previous_key_files.into_iter().map(|path| KeySource::File(base.join(path)));
    let previous = files.chain(keys.previous_key_envs.into_iter().map(KeySource::Env)).collect();
    Ok(CheckpointKeys { current, previous })
}

fn resolve_peer(peer: &raw::Peer, base: &Path) -> Result<Peer, ConfigError> {
    check_name("peer.name", &peer.name)?;
    if let Some(connect) = &peer.connect {
        let valid = connect.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !valid {
            return Err(setting(
                "peer.connect",
                "expected HOST:PORT, for example bank.example:7443",
            ));
        }
    }
    let pin = resolve_pin("peer", peer.certificate.as_deref(), peer.fingerprint.as_deref(), base)?;
    Ok(Peer { name: peer.name.clone(), fingerprint: pin, connect: peer.connect.clone() })
}

fn resolve_identities(
    clients: &[raw::Client],
    peer: &Peer,
    own: Fingerprint,
    base: &Path,
) -> Result<Vec<(Fingerprint, Identity)>, ConfigError> {
    if peer.fingerprint == own {
        return Err(setting("peer", "its certificate is this node's own; pin the other node's"));
    }
    let mut identities = vec![(peer.fingerprint, Identity::peer(&peer.name))];
    for client in clients {
        let name = format!("clients.{}", client.name);
        check_name(&name, &client.name)?;
        let pin =
            resolve_pin(&name, client.certificate.as_deref(), client.fingerprint.as_deref(), base)?;
        // One certificate with two roles would let a client speak as the peer.
        if let Some((_, other)) = identities.iter().find(|(known, _)| *known == pin) {
            return Err(setting(name, format!("the same certificate as {other}; one each")));
        }
        identities.push((pin, Identity::client(&client.name, client.role)));
    }
    Ok(identities)
}

fn resolve_pin(
    name: &str,
    certificate: Option<&Path>,
    fingerprint: Option<&str>,
    base: &Path,
) -> Result<Fingerprint, ConfigError> {
    match (certificate, fingerprint) {
        (Some(path), None) => Fingerprint::of_pem_file(&base.join(path)).map_err(|source| {
            ConfigError::Material { setting: format!("{name}.certificate"), source }
        }),
        (None, Some(text)) => text.parse().map_err(|_| {
            setting(
                format!("{name}.fingerprint"),
                "expected the 64 hexadecimal digits that `caesar-node keygen` prints",
            )
        }),
        (Some(_), Some(_)) => {
            Err(setting(name, "has both `certificate` and `fingerprint`; give one"))
        }
        (None, None) => Err(setting(
            name,
            "needs `certificate` (path of the pinned PEM) or `fingerprint` (its SHA-256)",
        )),
    }
}

fn resolve_datasets(
    datasets: Vec<raw::Dataset>,
    role: Role,
    peer: &str,
    base: &Path,
) -> Result<Vec<Dataset>, ConfigError> {
    let mut out: Vec<Dataset> = Vec::with_capacity(datasets.len());
    for d in datasets {
        let name = format!("datasets.{}", d.name);
        check_name(&name, &d.name)?;
        if out.iter().any(|known| known.name == d.name) {
            return Err(setting(name, "is listed twice"));
        }
        let schema =
            Schema { columns: d.schema, defaults: d.defaults, missing_values: d.missing_values };
        if let Some((key, problem)) = schema.problem() {
            return Err(setting(format!("{name}.{key}"), problem));
        }
        match d.format {
            Format::Csv | Format::Parquet if d.ids.is_some() => {
                return Err(setting(name, "`ids` is for libsvm; tables have `id_column`"));
            }
            Format::Csv | Format::Parquet if d.id_column.is_none() => {
                return Err(setting(name, "CSV and Parquet need `id_column`"));
            }
            Format::Csv | Format::Parquet if role == Role::B && d.label_column.is_none() => {
                return Err(setting(name, "role B needs `label_column`"));
            }
            Format::Csv | Format::Parquet if d.columns.is_some() => {
                return Err(setting(name, "`columns` is for libsvm; tables have names"));
            }
            Format::Libsvm if schema != Schema::default() => {
                return Err(setting(
                    name,
                    "`schema`, `defaults` and `missing_values` are for CSV and Parquet",
                ));
            }
            Format::Libsvm if d.id_column.is_some() || d.label_column.is_some() => {
                return Err(setting(name, "libsvm has no columns to name"));
            }
            _ => {}
        }
        if role == Role::A && d.label_column.is_some() {
            return Err(setting(name, "role A has no labels; remove `label_column`"));
        }
        if d.sample_weight_column.is_some() && (role == Role::A || d.format == Format::Libsvm) {
            return Err(setting(name, "`sample_weight_column` is for B's tables; remove it"));
        }
        if d.split_column.is_some() && (role == Role::B || d.format == Format::Libsvm) {
            return Err(setting(name, "`split_column` is for A's tables; remove it"));
        }
        if let Some(stranger) = d.allow_peers.iter().find(|p| *p != peer) {
            return Err(setting(
                name,
                format!("`allow_peers` lists `{stranger}`, but the peer's name is `{peer}`"),
            ));
        }
        let path = base.join(d.path);
        let ids = match d.format {
            Format::Csv | Format::Parquet => None,
            Format::Libsvm => Some(match d.ids {
                Some(ids) => base.join(ids),
                None => crate::data::ids_beside(&path),
            }),
        };
        out.push(Dataset {
            name: d.name,
            format: d.format,
            path,
            ids,
            columns: d.columns,
            id_column: d.id_column,
            label_column: d.label_column,
            sample_weight_column: d.sample_weight_column,
            split_column: d.split_column,
            schema,
            allow_peers: d.allow_peers,
            allow_validation: d.allow_validation,
        });
    }
    Ok(out)
}

/// Names appear in log lines and errors, so they are short and printable.
fn check_name(name: &str, value: &str) -> Result<(), ConfigError> {
    let fine = (1..=128).contains(&value.chars().count()) && !value.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(setting(name, "a name has 1 to 128 printable characters")) }
}

#[cfg(test)]
mod tests;
