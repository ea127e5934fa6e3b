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

use crate::tls::{Fingerprint, Identity, Material, MaterialError};

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
    /// Comma-separated text with a header; `.gz` is unpacked.
    Csv,
    /// libsvm text with a parallel file of ids; `.gz` is unpacked.
    Libsvm,
}

/// `[limits]`: all of them have defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Threads of the pool that jobs compute on.
    pub threads: usize,
    /// Largest protocol message that is assembled, and the most that may wait undelivered, MiB.
    pub max_message_mib: u32,
    /// A peer that is silent (no frame, no heartbeat) for so long is lost.
    pub peer_timeout_seconds: u64,
    /// Longest wait for one message of a peer that is alive.
    pub step_timeout_seconds: u64,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake_timeout_seconds: u64,
    /// Connections that may be in the handshake at the same time.
    pub max_pending_handshakes: usize,
    /// Rows of one data set.
    pub max_rows: usize,
    /// Stored values of one data set: rows × columns of a table, entries of libsvm text.
    pub max_cells: usize,
    /// Jobs that may wait in the queue.
    pub max_queued_jobs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: 1,
            max_message_mib: 256,
            peer_timeout_seconds: 60,
            step_timeout_seconds: 1800,
            handshake_timeout_seconds: 10,
            max_pending_handshakes: 64,
            max_rows: 5_000_000,
            max_cells: crate::data::Source::DEFAULT_MAX_CELLS,
            max_queued_jobs: 1000,
        }
    }
}

impl Limits {
    /// Silence after which the peer is lost.
    pub fn peer_timeout(&self) -> Duration {
        Duration::from_secs(self.peer_timeout_seconds)
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
    /// `max_message_mib` in bytes.
    pub fn max_message_bytes(&self) -> usize {
        self.max_message_mib as usize * (1 << 20)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let ranges: [(&'static str, u64, u64, u64); 9] = [
            ("limits.threads", self.threads as u64, 1, 1024),
            ("limits.max_message_mib", self.max_message_mib.into(), 2, 4096),
            ("limits.peer_timeout_seconds", self.peer_timeout_seconds, 2, 3600),
            ("limits.step_timeout_seconds", self.step_timeout_seconds, 2, 86_400),
            ("limits.handshake_timeout_seconds", self.handshake_timeout_seconds, 1, 300),
            ("limits.max_pending_handshakes", self.max_pending_handshakes as u64, 1, 65_536),
            ("limits.max_rows", self.max_rows as u64, 1, 1 << 31),
            ("limits.max_cells", self.max_cells as u64, 1, 1 << 40),
            ("limits.max_queued_jobs", self.max_queued_jobs.into(), 1, 1_000_000),
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
    /// CSV only: the column with the ids.
    pub id_column: Option<String>,
    /// B, CSV only: the column with the labels.
    pub label_column: Option<String>,
    /// Names of peers whose jobs may use it. A runs a job only on a data set that lists the peer.
    pub allow_peers: Vec<String>,
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
        })
    }

    /// The catalogue entry with this name.
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.iter().find(|d| d.name == name)
    }
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
        match d.format {
            Format::Csv if d.ids.is_some() => {
                return Err(setting(name, "`ids` is for libsvm; CSV has `id_column`"));
            }
            Format::Csv if d.id_column.is_none() => {
                return Err(setting(name, "CSV needs `id_column`"));
            }
            Format::Csv if role == Role::B && d.label_column.is_none() => {
                return Err(setting(name, "role B needs `label_column`"));
            }
            Format::Csv if d.columns.is_some() => {
                return Err(setting(name, "`columns` is for libsvm; CSV has a header"));
            }
            Format::Libsvm if d.id_column.is_some() || d.label_column.is_some() => {
                return Err(setting(name, "libsvm has no columns to name"));
            }
            _ => {}
        }
        if role == Role::A && d.label_column.is_some() {
            return Err(setting(name, "role A has no labels; remove `label_column`"));
        }
        if let Some(stranger) = d.allow_peers.iter().find(|p| *p != peer) {
            return Err(setting(
                name,
                format!("`allow_peers` lists `{stranger}`, but the peer's name is `{peer}`"),
            ));
        }
        let path = base.join(d.path);
        let ids = match d.format {
            Format::Csv => None,
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
            allow_peers: d.allow_peers,
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
