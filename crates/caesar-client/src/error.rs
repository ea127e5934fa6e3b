//! Every way in which a call can end badly, each with a stable code.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::Side;

/// Why a call to the SDK failed.
///
/// [`code`](Error::code), [`side`](Error::side) and [`hint`](Error::hint) say which error it is,
/// who must act and how; `Display` says what happened. A job that fails is not an `Error`: its
/// [`Failure`](crate::Failure) is part of the [`Job`](crate::Job).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or setting of the client is unusable. Nothing was sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node could not be reached, or the connection broke.
    #[error("connection to {endpoint}: {fault}")]
    Connection {
        /// Where the client tried to connect.
        endpoint: String,
        /// What went wrong there.
        fault: ConnectionFault,
    },
    /// The node did not answer in time.
    #[error("{endpoint} did not answer `{call}` within {} s", .limit.as_secs_f64())]
    Deadline {
        /// The node.
        endpoint: String,
        /// The call that was waiting.
        call: &'static str,
        /// How long it waited.
        limit: Duration,
    },
    /// The node answered no.
    #[error("the node refused `{call}`: {message}")]
    Refused {
        /// The call that was refused.
        call: &'static str,
        /// The kind of refusal.
        refusal: Refusal,
        /// The node's own words.
        message: String,
        /// The node's own code, side and hint, where it gave them.
        told: Option<Box<Told>>,
    },
    /// The node's answer does not follow the protocol; versions may differ.
    #[error("the node's answer to `{call}` is not valid: {detail}")]
    Answer {
        /// The call that was answered.
        call: &'static str,
        /// What is wrong with the answer.
        detail: String,
    },
}

/// A file or setting of the client that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", .file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A TOML text has an error or an unknown key.
    #[error("{}{detail}", .file.as_ref().map(|f| format!("{}: ", f.display())).unwrap_or_default())]
    Toml {
        /// The file, if it was one.
        file: Option<PathBuf>,
        /// Line, column and cause.
        detail: String,
    },
    /// A PEM text does not hold what it should.
    #[error("{what} is not usable: {detail}")]
    Pem {
        /// Which of the three PEM texts, and its file if it was one.
        what: String,
        /// Cause. Never the key.
        detail: String,
    },
    /// The endpoint is not `host:port`.
    #[error("endpoint {text:?} is not HOST:PORT")]
    Endpoint {
        /// What was given.
        text: String,
    },
    /// A setting of a job is out of range.
    #[error("{}{key} {requirement}", .file.as_ref().map(|f| format!("{}: ", f.display())).unwrap_or_default())]
    Job {
        /// The file, if it was one.
        file: Option<PathBuf>,
        /// The setting.
        key: &'static str,
        /// What it must be.
        requirement: &'static str,
    },
    /// A job id has a form that no node hands out.
    #[error("a job id has 1 to 128 printable characters without spaces")]
    JobId,
}

impl ConfigError {
    pub(crate) fn job(key: &'static str, requirement: &'static str) -> Self {
        Self::Job { file: None, key, requirement }
    }

    /// The same error, found in `path`.
    pub(crate) fn in_file(mut self, path: &std::path::Path) -> Self {
        if let Self::Toml { file, .. } | Self::Job { file, .. } = &mut self {
            *file = Some(path.to_owned());
        }
        self
    }
}

/// What went wrong between client and node, below the calls.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// No TCP connection.
    #[error("nobody accepts connections ({detail})")]
    Unreachable {
        /// The operating system's reason.
        detail: String,
    },
    /// The node showed another certificate than the pinned one.
    #[error("the node's certificate has SHA-256 {found}, the pinned one is {pinned}")]
    OtherServerCertificate {
        /// Of the certificate that was shown.
        found: String,
        /// Of the certificate that was expected.
        pinned: String,
    },
    /// The node does not list the client's certificate.
    #[error("the node refused this client's certificate ({detail})")]
    ClientCertificateRefused {
        /// The TLS alert.
        detail: String,
    },
    /// The TLS handshake failed otherwise.
    #[error("TLS handshake failed ({detail})")]
    Handshake {
        /// Cause.
        detail: String,
    },
    /// An established connection broke.
    #[error("the connection was lost ({detail})")]
    Lost {
        /// Cause.
        detail: String,
    },
}

/// Kinds of refusal by a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such job.
    NotFound,
    /// The request id was used with another job.
    Conflict,
    /// The job has no result (yet).
    NotReady,
    /// The certificate has no right to this call.
    PermissionDenied,
    /// The request is not valid.
    Invalid,
    /// The node has no room for another job now.
    Busy,
    /// The node failed.
    Internal,
}

/// What a node says about a refusal besides its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Stable code, such as `job.unknown`.
    pub code: String,
    /// Who must act.
    pub side: Side,
    /// What to do; may be empty.
    pub hint: String,
}

impl Error {
    /// The stable code, `family.name`: the node's own where it gave one.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { told: Some(told), .. } => &told.code,
            Self::Config(ConfigError::Unreadable { .. }) => "config.unreadable",
            Self::Config(ConfigError::Unwritable { .. }) => "config.unwritable",
            Self::Config(ConfigError::Toml { .. }) => "config.toml",
            Self::Config(ConfigError::Pem { .. }) => "config.pem",
            Self::Config(ConfigError::Endpoint { .. }) => "config.endpoint",
            Self::Config(ConfigError::Job { .. }) => "config.job",
            Self::Config(ConfigError::JobId) => "config.job_id",
            Self::Connection { fault, .. } => match fault {
                ConnectionFault::Unreachable { .. } => "connection.unreachable",
                ConnectionFault::OtherServerCertificate { .. } => "connection.other_certificate",
                ConnectionFault::ClientCertificateRefused { .. } => {
                    "connection.certificate_refused"
                }
                ConnectionFault::Handshake { .. } => "connection.handshake",
                ConnectionFault::Lost { .. } => "connection.lost",
            },
            Self::Deadline { .. } => "connection.deadline",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::NotFound => "node.not_found",
                Refusal::Conflict => "node.conflict",
                Refusal::NotReady => "node.not_ready",
                Refusal::PermissionDenied => "node.permission_denied",
                Refusal::Invalid => "node.invalid",
                Refusal::Busy => "node.busy",
                Refusal::Internal => "node.internal",
            },
            Self::Answer { .. } => "node.answer",
        }
    }

    /// Who must act. A client talks to the node of its own institution, here called B's.
    pub fn side(&self) -> Side {
        match self {
            Self::Config(_) => Side::Client,
            Self::Connection { fault, .. } => match fault {
                ConnectionFault::OtherServerCertificate { .. } => Side::Client,
                _ => Side::B,
            },
            Self::Deadline { .. } | Self::Answer { .. } => Side::B,
            Self::Refused { told: Some(told), .. } => told.side,
            Self::Refused { refusal, .. } => match refusal {
                Refusal::PermissionDenied | Refusal::Internal => Side::B,
                _ => Side::Client,
            },
        }
    }

    /// What to do.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused { told: Some(told), .. } if !told.hint.is_empty() => &told.hint,
            Self::Config(_) => "correct the file or setting and try again",
            Self::Connection { fault, .. } => match fault {
                ConnectionFault::Unreachable { .. } => {
                    "check that the node runs and that `endpoint` is its listening address"
                }
                ConnectionFault::OtherServerCertificate { .. } => {
                    "if the node's certificate was renewed, get the new one from its operator by a \
                     trusted way and set it as `server_certificate`; otherwise somebody is in \
                     between: do not connect"
                }
                ConnectionFault::ClientCertificateRefused { .. } => {
                    "ask the node's operator to list this certificate under [[clients]] with the \
                     role `client`, and restart the node"
                }
                ConnectionFault::Handshake { .. } => {
                    "check that `endpoint` is a caesar-node of this version"
                }
                ConnectionFault::Lost { .. } => {
                    "the job goes on at the node: connect again and watch it; if the node stopped, \
                     see its log"
                }
            },
            Self::Deadline { .. } => "check the node's load and log, then try again",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::NotFound => "list the node's jobs and take an id from there",
                Refusal::Conflict => "submit with a new request id",
                Refusal::NotReady => "wait until the job has succeeded",
                Refusal::PermissionDenied => {
                    "ask the node's operator to give this certificate the role `client`"
                }
                Refusal::Invalid => "correct the job and submit it again",
                Refusal::Busy => "wait for a running job to end and try again",
                Refusal::Internal => "see the node's log",
            },
            Self::Answer { .. } => "use a client and a node of the same version",
        }
    }
}
