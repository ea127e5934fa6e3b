//! The end of an attempt: decided once, seen by everything that works on it.

use std::{sync::OnceLock, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Verdict;
use crate::error::Failure;

/// How long an attempt whose job has succeeded at the peer may still work with what arrives.
pub const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// Why an attempt ends before its engine is done.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A client of this node cancelled the job.
    Cancelled,
    /// The peer says how the job has ended.
    Peer(Verdict),
    /// The peer was away for too long: the job fails.
    Lost(Failure),
    /// This node ends the job, for example because it takes too long.
    Local(Failure),
    /// Only the attempt ends, for example because a node stops; the job goes back to the queue.
    Interrupted(Failure),
}

/// The first cause wins; later ones change nothing.
#[derive(Debug, Default)]
pub struct Control {
    token: CancellationToken,
    cause: OnceLock<Cause>,
}

impl Control {
    /// Ends the attempt for this cause, unless it has one.
    pub fn end(&self, cause: Cause) {
        // `set` only fails when there is a cause already.
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        self.token.cancelled().await;
    }

    /// Why the attempt ends, once it does.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    /// Whether this side decided to end the attempt: then even messages that have arrived are void.
    pub fn ended_here(&self) -> bool {
        matches!(self.cause(), Some(Cause::Cancelled | Cause::Local(_) | Cause::Interrupted(_)))
    }

    /// Whether the peer has said that the job succeeded.
    pub fn succeeded_there(&self) -> bool {
        matches!(self.cause(), Some(Cause::Peer(Verdict::Succeeded)))
    }
}
