//! Failures with stable codes: what a log line, the peer and the client are told.
//!
//! There are four families. A *request* was refused because of what somebody asked for or supplied;
//! the *peer* ended the job or was lost; *IO* failed at this node; or the node has a *bug*. A
//! failure never carries an identifier, a value, a key or a message body: unknown errors are
//! reduced to their family before they leave the process.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Every code that this crate issues itself. The data loader and `mpc-core` issue their own
/// (`data.*`, `bounds.*`, `protocol.*`, …), which pass through unchanged.
pub mod code {
    /// There was no connection to the peer for longer than `limits.reconnect_timeout_seconds` while a
    /// job was under way.
    pub const PEER_LOST: &str = "peer.lost";
    /// The peer could not be reached when a job was due to start.
    pub const PEER_UNREACHABLE: &str = "peer.unreachable";
    /// The peer speaks another protocol version.
    pub const PEER_VERSION: &str = "peer.version";
    /// The peer's frames have gaps, or its messages do not decode.
    pub const PEER_BAD_MESSAGE: &str = "peer.bad_message";
    /// The two nodes do not agree on what happened.
    pub const PEER_DISAGREEMENT: &str = "peer.disagreement";
    /// The peer's process is another one than before; jobs go on with a new attempt.
    pub const PEER_RESTARTED: &str = "peer.restarted";
    /// The peer does not follow the protocol of the channel.
    pub const PEER_PROTOCOL: &str = "peer.protocol";
    /// The peer is connected but did not send what a step needs in time.
    pub const PEER_TIMEOUT: &str = "peer.timeout";
    /// The job's specification is not acceptable.
    pub const JOB_SPEC: &str = "job.spec";
    /// The request id was used before, for another specification.
    pub const JOB_CONFLICT: &str = "job.request_id_reused";
    /// No job has this id.
    pub const JOB_UNKNOWN: &str = "job.unknown";
    /// The job has not succeeded, so there is no result.
    pub const JOB_NO_RESULT: &str = "job.no_result";
    /// Too many jobs wait already.
    pub const JOB_QUEUE_FULL: &str = "job.queue_full";
    /// The job was interrupted `limits.max_attempts` times.
    pub const JOB_TOO_MANY_ATTEMPTS: &str = "job.too_many_attempts";
    /// A phase took longer than `limits.phase_timeout_seconds`.
    pub const JOB_PHASE_TIMEOUT: &str = "job.phase_timeout";
    /// The call belongs to the other node.
    pub const JOB_WRONG_NODE: &str = "job.wrong_node";
    /// This node's catalogue has no such data set.
    pub const DATASET_UNKNOWN: &str = "dataset.unknown";
    /// The peer's catalogue does not offer the data set to us (it may not exist).
    pub const DATASET_REFUSED: &str = "dataset.refused";
    /// The certificate has no role for this call.
    pub const ACCESS_DENIED: &str = "access.denied";
    /// The attempt is not under way any more; the job goes on with a new one.
    pub const NODE_RESTARTED: &str = "node.restarted";
    /// The node was told to stop; its jobs go on when it runs again.
    pub const NODE_SHUTDOWN: &str = "node.shutdown";
    /// The job store could not be read or written.
    pub const IO_STORE: &str = "io.store";
    /// A checkpoint could not be written or read. `mpc-core` issues it too, and `checkpoint.*`.
    pub const IO_CHECKPOINT: &str = "io.checkpoint";
    /// A checkpoint was written with a key that the node does not have.
    pub const CHECKPOINT_KEY: &str = "checkpoint.key";
    /// A defect of this software; the log of the node has the place.
    pub const BUG_INTERNAL: &str = "bug.internal";
}

/// What kind of failure a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The request, its data or its parameters were refused.
    Request,
    /// The peer ended the job, was lost, or broke the protocol.
    Peer,
    /// Storage or network of this node failed.
    Io,
    /// A defect of this software.
    Bug,
}

impl Family {
    /// The family of a code, from its prefix. Unknown prefixes are requests that were refused.
    pub fn of(code: &str) -> Self {
        match code.split('.').next().unwrap_or_default() {
            "peer" | "protocol" => Family::Peer,
            "io" | "node" => Family::Io,
            "bug" => Family::Bug,
            _ => Family::Request,
        }
    }
}

/// Who must act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The feature holder.
    A,
    /// The label holder.
    B,
    /// Both institutions.
    #[serde(rename = "both")]
    Both,
    /// Whoever submitted the job.
    #[serde(rename = "client")]
    Client,
}

impl Side {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Side::A => "A",
            Side::B => "B",
            Side::Both => "both",
            Side::Client => "client",
        }
    }

    /// The side with this name; anything else concerns both.
    pub fn from_name(name: &str) -> Self {
        match name {
            "A" => Side::A,
            "B" => Side::B,
            "client" => Side::Client,
            _ => Side::Both,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a job or a call failed, in the form that both sides persist and the client sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code, see [`code`].
    pub code: String,
    /// What happened, in one sentence.
    pub message: String,
    /// Who must act.
    pub side: Side,
    /// What to do about it; may be empty.
    pub hint: String,
    /// Step in which it happened; empty before the protocol started.
    pub step: String,
}

/// Longest text that is accepted from a peer in any field of a failure, in characters.
const MAX_TEXT: usize = 500;

impl Failure {
    /// A failure without a step.
    pub fn new(
        code: &str,
        side: Side,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            side,
            hint: hint.into(),
            step: String::new(),
        }
    }

    /// The same failure in a step.
    #[must_use]
    pub fn in_step(mut self, step: impl Into<String>) -> Self {
        self.step = step.into();
        self
    }

    /// A defect. `place` is a fixed text of ours, never the text of an unknown error.
    pub fn bug(place: &'static str) -> Self {
        Self::new(
            code::BUG_INTERNAL,
            Side::Both,
            format!("internal error in {place}"),
            "report it with the node's log; the log has the place and no data",
        )
    }

    /// What kind of failure this is.
    pub fn family(&self) -> Family {
        Family::of(&self.code)
    }

    /// Text from outside, cut to a sane length and stripped of control characters, so that a peer
    /// cannot forge log lines or fill the store.
    #[must_use]
    pub fn sanitised(mut self) -> Self {
        for text in [&mut self.code, &mut self.message, &mut self.hint, &mut self.step] {
            if text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
                *text = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
            }
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if !self.step.is_empty() {
            write!(f, " (step {})", self.step)?;
        }
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The chain of causes of an error on one line, for logs of connection errors.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether the chain of causes says that the connection simply went away. HTTP/2 errors hide their
/// IO error behind text, so the text is looked at as well; it only chooses the words of a message.
pub(crate) fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::{self, ErrorKind as Kind};
    let cut_io = |e: &io::Error| {
        matches!(
            e.kind(),
            Kind::UnexpectedEof
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
                | Kind::NotConnected
        )
    };
    let cut_text = |text: &str| {
        ["close_notify", "onnection reset", "roken pipe"].iter().any(|words| text.contains(words))
    };
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref().is_some_and(cut_io) || cut_text(&cause.to_string()) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_peer_cannot_forge_log_lines() {
        let forged = Failure::new("x", Side::A, "a\nINFO fine", "y".repeat(10_000)).sanitised();
        assert_eq!(forged.message, "aINFO fine");
        assert_eq!(forged.hint.len(), MAX_TEXT);
    }

    #[test]
    fn a_cut_connection_is_told_from_other_errors_at_any_depth() {
        use std::io;
        let nested = |inner: io::Error| tonic::Status::from_error(Box::new(inner));
        let source = |status: &tonic::Status| is_cut(std::error::Error::source(status).unwrap());
        assert!(source(&nested(io::ErrorKind::ConnectionReset.into())));
        assert!(source(&nested(io::Error::other("peer closed connection without close_notify"))));
        assert!(!source(&nested(io::Error::other("frame with invalid size"))));
    }

    #[test]
    fn families_follow_prefixes() {
        assert_eq!(Family::of(code::PEER_LOST), Family::Peer);
        assert_eq!(Family::of(code::IO_STORE), Family::Io);
        assert_eq!(Family::of(code::BUG_INTERNAL), Family::Bug);
        assert_eq!(Family::of("data.not_numeric"), Family::Request);
    }
}
