//! Why an intersection was not computed.

use thiserror::Error;

use super::ids::IdError;
use crate::wire::DecodeError;

/// Why an intersection was not computed. Never carries an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PsiError {
    /// The own set is empty.
    #[error("there are no ids to intersect")]
    NoIds,
    /// The own ids are not unique or one is empty.
    #[error(transparent)]
    Ids(#[from] IdError),
    /// The own set is larger than the limit.
    #[error("the set has {found} ids, the limit is {limit}")]
    TooManyIds {
        /// Own number of ids.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer's set is empty.
    #[error("the peer has no ids to intersect")]
    PeerHasNoIds,
    /// The peer's set is larger than the limit.
    #[error("the peer's set has {found} ids, the limit is {limit}")]
    PeerHasTooManyIds {
        /// The number the peer announced.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer's message is not a valid one.
    #[error("the peer's message is not valid: {0}")]
    Malformed(#[from] DecodeError),
    /// A point came twice though ids are unique.
    #[error("the peer sent the same point twice")]
    RepeatedPoint,
    /// No id is common.
    #[error("the two sets have no id in common")]
    EmptyIntersection,
}

impl PsiError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            PsiError::NoIds => "psi.no_ids",
            PsiError::Ids(IdError::Empty { .. }) => "data.empty_id",
            PsiError::Ids(IdError::Duplicate { .. }) => "data.duplicate_ids",
            PsiError::TooManyIds { .. } => "psi.too_many_ids",
            PsiError::PeerHasNoIds => "psi.peer_no_ids",
            PsiError::PeerHasTooManyIds { .. } => "psi.peer_too_many_ids",
            PsiError::Malformed(_) => "psi.malformed",
            PsiError::RepeatedPoint => "psi.repeated_point",
            PsiError::EmptyIntersection => "psi.empty_intersection",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            PsiError::NoIds => "check that the data set has rows",
            PsiError::Ids(_) => "make ids unique and non-empty, one row an id",
            PsiError::TooManyIds { .. } | PsiError::PeerHasTooManyIds { .. } => {
                "use a smaller data set, or raise the limit on ids on both sides"
            }
            PsiError::PeerHasNoIds => "the peer must check its data set",
            PsiError::Malformed(_) | PsiError::RepeatedPoint => {
                "the peer runs other software or a broken copy; compare versions"
            }
            PsiError::EmptyIntersection => {
                "compare how both sides write ids: the same column, the same text down to case, \
                 leading zeros and spaces, and hashed or plain alike"
            }
        }
    }
}
