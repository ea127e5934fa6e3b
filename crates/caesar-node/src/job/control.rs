//! The end of a job: decided once, seen by everything that works on it.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::error::Failure;

/// Why a job ends before its engine is done.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A client of this node cancelled it.
    Cancelled,
    /// The peer ended it and said why.
    PeerAborted(Failure),
    /// The connection to the peer was lost.
    Lost(Failure),
    /// This node ends it, for example because it stops.
    Local(Failure),
}

/// The first cause wins; later ones change nothing.
#[derive(Debug, Default)]
pub struct Control {
    token: CancellationToken,
    cause: OnceLock<Cause>,
}

impl Control {
    /// Ends the job for this cause, unless it has one.
    pub fn end(&self, cause: Cause) {
        // `set` only fails when there is a cause already.
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        self.token.cancelled().await;
    }

    /// Why the job ends, once it does.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    /// Whether this side decided to end the job: then even messages that have arrived are void.
    pub fn ended_here(&self) -> bool {
        matches!(self.cause(), Some(Cause::Cancelled | Cause::Local(_)))
    }
}
