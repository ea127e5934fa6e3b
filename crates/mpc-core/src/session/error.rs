//! Why a run ended early: what happened, on whose side, and what to do.

use std::fmt;

use thiserror::Error;

use super::{
    link::{LinkError, Reason},
    vault::VaultError,
};
use crate::{
    features::FeatureError, plan::AdmissionError, psi::PsiError, step::Step,
    train::target::WeightError,
};

/// The two roles of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A, the platform.
    FeatureHolder,
    /// B, the bank.
    LabelHolder,
}

impl Role {
    /// Index in arrays with one entry a role, A's first.
    pub(crate) const fn index(self) -> usize {
        match self {
            Role::FeatureHolder => 0,
            Role::LabelHolder => 1,
        }
    }

    /// The other role.
    pub const fn peer(self) -> Self {
        match self {
            Role::FeatureHolder => Role::LabelHolder,
            Role::LabelHolder => Role::FeatureHolder,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::FeatureHolder => "A",
            Role::LabelHolder => "B",
        })
    }
}

/// Which intersection an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The training rows.
    Train,
    /// The test rows.
    Test,
}

impl Split {
    /// The step of this intersection.
    pub const fn psi_step(self) -> Step {
        match self {
            Split::Train => Step::PsiTrain,
            Split::Test => Step::PsiTest,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Train => "training",
            Split::Test => "test",
        })
    }
}

/// Why a run ended early. Carries counts and names of settings, never ids, values or keys.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The link failed, or the peer ended the run.
    #[error("{cause}")]
    Link {
        /// The step in which it happened.
        step: Step,
        /// What the link says.
        cause: LinkError,
    },
    /// The peer's message does not decode or fails a check.
    #[error("{peer} sent a bad message in step {step}: {cause}")]
    BadMessage {
        /// The step of the message.
        step: Step,
        /// Who sent it.
        peer: Role,
        /// What is wrong with it.
        cause: String,
    },
    /// The intersection was not computed.
    #[error("{split} rows: {cause}")]
    Psi {
        /// Which intersection.
        split: Split,
        /// Why.
        cause: PsiError,
    },
    /// This side's columns cannot be used.
    #[error("{side}'s columns: {cause}")]
    Features {
        /// Whose columns.
        side: Role,
        /// Why.
        cause: FeatureError,
    },
    /// Only one class among the labels of the common rows.
    #[error("all common {split} rows have the same label")]
    SingleClass {
        /// Which intersection.
        split: Split,
    },
    /// Only one class among the rows that are set aside, so they cannot tell when to stop.
    #[error("all common rows set aside for validation have the same label")]
    ValidationSingleClass,
    /// B's weights cannot be used.
    #[error("B's training table: {0}")]
    Weights(#[from] WeightError),
    /// B is to weight its rows by a column that its table does not have.
    #[error("B's training table has no weights")]
    NoWeights,
    /// B's table has no label.
    #[error("B's {split} table has no label")]
    NoLabel {
        /// Which table.
        split: Split,
    },
    /// The parameters do not fit the data.
    #[error("{0}")]
    Admission(#[from] AdmissionError),
    /// The two sides computed different plans or saw different transcripts.
    #[error("the two sides disagree about the {what}")]
    Disagreement {
        /// What they disagree about.
        what: &'static str,
        /// Where it showed.
        step: Step,
    },
    /// A checkpoint cannot be written or read, or is corrupt and there is no earlier one. The vault's
    /// words, which name places on this machine, are the [source](std::error::Error::source) and not in
    /// the message, which the peer sees too.
    #[error("{side}'s checkpoint {}", checkpoint_fault(.cause))]
    Checkpoint {
        /// Whose node.
        side: Role,
        /// What its vault says.
        #[source]
        cause: VaultError,
    },
    /// A table is not the one with which the job was set up.
    #[error("{side}'s {split} table is not the one that the job started with")]
    TableChanged {
        /// Whose table.
        side: Role,
        /// Which table.
        split: Split,
    },
    /// Something else that a job is bound to is not what it was when the job was set up.
    #[error("the {what} changed since the job started, seen at {side}")]
    InputsChanged {
        /// Who saw it.
        side: Role,
        /// What changed.
        what: &'static str,
    },
    /// Training would have to go back, but scores of its model are open already (design, rule 8).
    #[error("the checkpoints do not reach the model of which scores have been opened")]
    Opened,
    /// An invariant of this program broke.
    #[error("internal error in step {step}: {what}")]
    Bug {
        /// Where.
        step: Step,
        /// Which invariant.
        what: String,
    },
}

/// A checkpoint's fault without the places that the vault names.
fn checkpoint_fault(cause: &VaultError) -> String {
    match cause {
        VaultError::Io { action, .. } => format!("cannot be {action}"),
        VaultError::Corrupt { file } => {
            format!("is corrupt ({file:?}), and there is no earlier one that can be used")
        }
    }
}

impl SessionError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            SessionError::Link { cause, .. } => match cause {
                LinkError::Lost { .. } => "peer.lost",
                LinkError::Timeout { .. } => "peer.timeout",
                LinkError::PeerAborted(reason) => &reason.code,
                LinkError::Cancelled => "job.cancelled",
                LinkError::UnexpectedStep { .. } => "peer.unexpected_step",
                LinkError::TooLarge { .. } => "peer.message_too_large",
            },
            SessionError::BadMessage { .. } => "peer.bad_message",
            SessionError::Psi { cause, .. } => cause.code(),
            SessionError::Features { cause, .. } => match cause {
                FeatureError::SchemaMismatch { .. } => "data.schema_mismatch",
                FeatureError::LayoutMismatch(_) => "data.layout_mismatch",
                FeatureError::MissingRefused { .. } => "data.missing_value",
                FeatureError::TooManyLevels { .. } => "data.too_many_levels",
                FeatureError::TooManyColumns(_) => "data.too_many_columns",
                FeatureError::TooLarge { .. } => "data.value_too_large",
                FeatureError::TooManyToWhiten { .. } => "data.too_many_to_whiten",
            },
            SessionError::SingleClass { .. } | SessionError::ValidationSingleClass => {
                "train.single_class"
            }
            SessionError::Weights(cause) => cause.code(),
            SessionError::NoWeights => "data.missing_weight_column",
            SessionError::NoLabel { .. } => "data.missing_label_column",
            SessionError::Admission(cause) => match cause {
                AdmissionError::TooFewRows { .. } => "bounds.too_few_rows",
                AdmissionError::TooFewTestRows { .. } => "bounds.too_few_test_rows",
                AdmissionError::TooFewValidationRows { .. } => "bounds.too_few_validation_rows",
                AdmissionError::TooFewSteps { .. } => "bounds.too_few_steps",
                AdmissionError::NoColumns => "data.no_columns",
                AdmissionError::DoesNotFit { .. } => "bounds.does_not_fit",
            },
            SessionError::Disagreement { .. } => "peer.disagreement",
            SessionError::Checkpoint { cause, .. } => match cause {
                VaultError::Io { .. } => "io.checkpoint",
                VaultError::Corrupt { .. } => "checkpoint.corrupt",
            },
            SessionError::TableChanged { .. } => "data.changed",
            SessionError::InputsChanged { .. } => "checkpoint.inputs_changed",
            SessionError::Opened => "checkpoint.opened",
            SessionError::Bug { .. } => "bug.internal",
        }
    }

    /// Who must act: `A`, `B`, `both` or `client`. `own` is the role of the side that asks.
    pub fn side(&self, own: Role) -> String {
        match self {
            SessionError::Link { cause, .. } => match cause {
                LinkError::PeerAborted(reason) => reason.side.clone(),
                LinkError::Cancelled => "client".into(),
                _ => own.peer().to_string(),
            },
            SessionError::BadMessage { peer, .. } => peer.to_string(),
            SessionError::Features { side, .. }
            | SessionError::Checkpoint { side, .. }
            | SessionError::TableChanged { side, .. } => side.to_string(),
            SessionError::Psi { cause, .. } => match cause {
                PsiError::NoIds | PsiError::Ids(_) | PsiError::TooManyIds { .. } => own.to_string(),
                PsiError::EmptyIntersection => "both".into(),
                _ => own.peer().to_string(),
            },
            SessionError::SingleClass { .. }
            | SessionError::ValidationSingleClass
            | SessionError::Weights(_)
            | SessionError::NoWeights
            | SessionError::NoLabel { .. } => Role::LabelHolder.to_string(),
            SessionError::Disagreement { .. } | SessionError::InputsChanged { .. } => "both".into(),
            SessionError::Admission(_) | SessionError::Opened => "client".into(),
            SessionError::Bug { .. } => own.to_string(),
        }
    }

    /// The step in which it happened, where there is one.
    pub fn step(&self) -> Option<Step> {
        match self {
            SessionError::Link { step, .. }
            | SessionError::BadMessage { step, .. }
            | SessionError::Disagreement { step, .. }
            | SessionError::Bug { step, .. } => Some(*step),
            SessionError::Psi { split, .. } => Some(split.psi_step()),
            SessionError::Admission(_) => Some(Step::Bounds),
            SessionError::TableChanged { .. }
            | SessionError::InputsChanged { .. }
            | SessionError::Opened => Some(Step::Resume),
            SessionError::Features { .. }
            | SessionError::Checkpoint { .. }
            | SessionError::SingleClass { .. }
            | SessionError::ValidationSingleClass
            | SessionError::Weights(_)
            | SessionError::NoWeights
            | SessionError::NoLabel { .. } => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            SessionError::Link { cause, .. } => match cause {
                LinkError::Lost { .. } | LinkError::Timeout { .. } => {
                    "check that the peer's node is running and reachable, then submit the job again"
                        .into()
                }
                LinkError::PeerAborted(reason) => reason.hint.clone(),
                LinkError::Cancelled => String::new(),
                LinkError::UnexpectedStep { .. } | LinkError::TooLarge { .. } => {
                    "check that both nodes run the same version of the software".into()
                }
            },
            SessionError::BadMessage { .. } | SessionError::Disagreement { .. } => {
                "check that both nodes run the same version; if they do, treat the peer as faulty"
                    .into()
            }
            SessionError::Psi { cause, .. } => cause.hint().into(),
            SessionError::Features { cause, .. } => match cause {
                FeatureError::TooLarge { .. } => {
                    "scale the column before it is given to the node".into()
                }
                FeatureError::TooManyToWhiten { .. } => "drop whiten, or columns".into(),
                FeatureError::MissingRefused { .. } => {
                    "fill the column or set another `missing`; `caesar-node schema` numbers the columns"
                        .into()
                }
                FeatureError::TooManyLevels { .. } => {
                    "set `encode = { hash = N }`, `type = \"ignore\"` or a higher `max_levels` for it; \
                     `caesar-node schema` numbers the columns"
                        .into()
                }
                FeatureError::TooManyColumns(_) => {
                    "set a lower `max_levels` or `hash`, or leave out columns".into()
                }
                FeatureError::SchemaMismatch { .. } | FeatureError::LayoutMismatch(_) => "give training and test files the same columns in the same order and format"
                    .into(),
            },
            SessionError::SingleClass { .. } => {
                "use data with both labels among the common rows".into()
            }
            SessionError::ValidationSingleClass => {
                "raise validation, or use data with both labels among the common rows".into()
            }
            SessionError::Weights(cause) => match cause {
                WeightError::AllZero => "give some common rows a weight above 0".into(),
                WeightError::TooUneven => {
                    "cap the largest weights, or choose a smaller class_weight".into()
                }
                WeightError::TooFewRows => {
                    "let more common rows count, or make their weights more alike".into()
                }
            },
            SessionError::NoWeights => {
                "set sample_weight_column for B's training data set, or drop sample_weights".into()
            }
            SessionError::NoLabel { .. } => "set label_column for B's data sets".into(),
            SessionError::Admission(cause) => match cause {
                AdmissionError::TooFewRows { .. } => {
                    "use more rows, or a smaller batch_size (at least 64)".into()
                }
                AdmissionError::TooFewTestRows { .. } => "use more test rows".into(),
                AdmissionError::TooFewValidationRows { .. } => {
                    "raise validation, or use more rows".into()
                }
                AdmissionError::TooFewSteps { .. } => {
                    "raise max_steps, leave it out, or choose a larger batch_size".into()
                }
                AdmissionError::NoColumns => {
                    "give at least one side a column that is not constant".into()
                }
                AdmissionError::DoesNotFit { setting, .. } => (*setting).into(),
            },
            SessionError::Checkpoint { cause, .. } => match cause {
                VaultError::Io { .. } => {
                    "check the disk space, the permissions and the key of the node's store: nothing is \
                     lost, and the job goes on from its last checkpoint"
                        .into()
                }
                VaultError::Corrupt { .. } => {
                    "check the node's disk and the key of its store, then submit a new job".into()
                }
            },
            SessionError::TableChanged { .. } => {
                "restore the file that the job started with, or submit a new job".into()
            }
            SessionError::InputsChanged { .. } => {
                "restore what the job started with on both nodes, or submit a new job".into()
            }
            SessionError::Opened => "submit a new job".into(),
            SessionError::Bug { .. } => "report this with the node's log".into(),
        }
    }

    /// The whole explanation in one value, to be sent to the peer and the client.
    pub fn reason(&self, own: Role) -> Reason {
        if let SessionError::Link { cause: LinkError::PeerAborted(reason), .. } = self {
            return reason.clone();
        }
        Reason {
            code: self.code().to_owned(),
            message: self.to_string(),
            side: self.side(own),
            hint: self.hint(),
            step: self.step().map(Step::name).unwrap_or_default().to_owned(),
        }
    }
}
