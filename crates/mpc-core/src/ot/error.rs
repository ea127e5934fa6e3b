//! What can go wrong in an oblivious transfer session.

use thiserror::Error;

/// Why an oblivious transfer step was refused. Carries public numbers only.
///
/// Every error of a session's step ends that session: its secrets are wiped and later calls return
/// [`OtError::Ended`]. A peer therefore gets one guess, not a series of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OtError {
    /// The peer's seed trees contradict each other or were made for another run.
    #[error("the peer's seed trees are inconsistent")]
    Seeds,
    /// The consistency check of an extension failed: the peer did not use one choice vector.
    #[error("the consistency check of the oblivious transfer extension failed")]
    Check,
    /// Both sides disagree on how much of the session is used up.
    #[error("correlations are out of step: own position {expected}, the peer's {found}")]
    OutOfStep {
        /// Position of this side.
        expected: u64,
        /// Position in the message.
        found: u64,
    },
    /// A message or an argument belongs to other agreed dimensions.
    #[error("{what} is {found}, expected {expected}")]
    Shape {
        /// What differs.
        what: &'static str,
        /// The agreed number.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// More correlations were asked for than there are.
    #[error("{needed} correlations are needed, {available} are left")]
    Exhausted {
        /// How many were asked for.
        needed: usize,
        /// How many there are.
        available: usize,
    },
    /// An agreed parameter lies outside its range.
    #[error("{what} is outside its range")]
    Parameter {
        /// Which parameter.
        what: &'static str,
    },
    /// An operand of this party lies outside its range. Never sent to the peer.
    #[error("an operand is outside its range")]
    Operand,
    /// An earlier step of this session failed.
    #[error("this oblivious transfer session has ended")]
    Ended,
}

impl OtError {
    /// A stable code for logs, clients and tests.
    pub const fn code(self) -> &'static str {
        match self {
            OtError::Seeds => "ot-seeds",
            OtError::Check => "ot-check",
            OtError::OutOfStep { .. } => "ot-out-of-step",
            OtError::Shape { .. } => "ot-shape",
            OtError::Exhausted { .. } => "ot-exhausted",
            OtError::Parameter { .. } => "ot-parameter",
            OtError::Operand => "ot-operand",
            OtError::Ended => "ot-ended",
        }
    }
}
