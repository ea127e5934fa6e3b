//! What a run needs from the outside: an ordered, reliable link to the peer, and somebody to tell.
//!
//! The daemon implements [`Link`] over gRPC; tests use [`super::memory`]. Both block: a run owns its
//! thread and never sees an async runtime.

use thiserror::Error;

use super::vault::RecordFile;
use crate::step::Step;

/// An ordered, reliable, authenticated link to the peer, one message at a time.
pub trait Link: Send {
    /// Queues one message; blocks while the queue is full.
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError>;
    /// Waits for the peer's next message, which must belong to `step` and have at most `max_len`
    /// bytes. Implementations enforce a deadline.
    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError>;
    /// From here to the next call, this side computes for `step`: for a link that measures where the
    /// time goes. What is not announced, here or to the [`Observer`], belongs to the message that
    /// was received last, or prepares the next one. Ignored unless implemented.
    fn computing(&mut self, step: Step) {
        let _ = step;
    }
}

/// A failure's stable code and its explanation, as it is shown at both sides and to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable code, e.g. `data.not_numeric`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Who must act: `A`, `B`, `both` or `client`.
    pub side: String,
    /// What to do.
    pub hint: String,
    /// The step in which it happened, or empty.
    pub step: String,
}

/// Why a message could not be sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The connection to the peer broke.
    #[error("the link to the peer was lost: {detail}")]
    Lost {
        /// Transport-level explanation without user data.
        detail: String,
    },
    /// The peer sent nothing for too long.
    #[error("the peer sent nothing for {seconds} s in step {step}")]
    Timeout {
        /// The step that was awaited.
        step: Step,
        /// How long it was awaited.
        seconds: u64,
    },
    /// The peer ended the run and said why.
    #[error("the peer ended the job: {} ({})", .0.message, .0.code)]
    PeerAborted(Reason),
    /// The job was cancelled on this side.
    #[error("the job was cancelled")]
    Cancelled,
    /// The peer's message belongs to another step: the two sides disagree about the protocol.
    #[error("the peer sent a message of step code {found} where {expected} was due")]
    UnexpectedStep {
        /// The step that was due.
        expected: Step,
        /// The code that came.
        found: u8,
    },
    /// The peer's message is larger than any valid one of this step.
    #[error("the peer's message of step {step} is too large")]
    TooLarge {
        /// The step of the message.
        step: Step,
    },
}

/// The phase of a run, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Private set intersection.
    Psi,
    /// Bounds, keys and correlations.
    Setup,
    /// Mini-batches.
    Train,
    /// Scores of the test rows.
    Evaluate,
    /// Both sides confirm.
    Finish,
}

impl Phase {
    /// The stable name shown to users.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Psi => "psi",
            Phase::Setup => "setup",
            Phase::Train => "train",
            Phase::Evaluate => "evaluate",
            Phase::Finish => "finish",
        }
    }
}

/// Where a run stands. Public quantities only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// The protocol step.
    pub step: Step,
    /// Mini-batches finished, while training.
    pub iteration: u32,
    /// Mini-batches of the job; 0 before it is known.
    pub iterations: u32,
    /// Rows finished in this phase.
    pub rows_done: u64,
    /// Rows of this phase.
    pub rows_total: u64,
    /// Estimated fraction of the whole job's work that is done, 0 to 1.
    pub work_done: f64,
}

/// What an operator should know of how an attempt started. Public quantities only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The job goes on from a checkpoint.
    Resumed {
        /// Mini-batches that are done.
        step: u32,
        /// Mini-batches of the job.
        steps: u32,
        /// Mini-batches that this side had done and has to do again.
        rolled_back: u32,
        /// Chunks of test rows whose scores are open; they stay as they are.
        opened: u32,
    },
    /// This side had a checkpoint and dropped it, because the peer has none of the job.
    StartedOver,
    /// A file of the checkpoint is corrupt. What is good before its fault, and the checkpoint before
    /// it, are used.
    Corrupt {
        /// Which file.
        file: RecordFile,
    },
}

/// Told of every step; must return quickly.
pub trait Observer: Send {
    /// Called at the start of each step and after each mini-batch.
    fn progress(&mut self, progress: Progress);

    /// Asked after an epoch, at B, of a job that may stop early: whether the time for training is over.
    fn time_is_up(&mut self) -> bool {
        false
    }

    /// Called while an attempt starts, at most once for each file and once for where it starts. Ignored
    /// unless implemented.
    fn notice(&mut self, notice: Notice) {
        let _ = notice;
    }
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn progress(&mut self, _: Progress) {}
}
