//! Conversions between the wire's messages and the node's own types, with their validation.

mod data;
mod evaluation;
mod parameters;
mod profile;

use caesar_proto::v1::{self as proto, JobSpec};
use tonic::{Code, Status, metadata::MetadataValue};

pub use data::{check_data, split, split_column_for_a};
pub use evaluation::{deciles, evaluation};
pub use parameters::{decode_parameters, label_options, parameters, spec_of_parameters};
pub use profile::{own_profile, peer_profile, predict};

use crate::{
    error::{Failure, Side, code},
    job::State,
    store::JobRecord,
};

/// Longest name or request id, in characters.
const MAX_NAME: usize = 128;
/// Highest and, negated, lowest priority.
const MAX_PRIORITY: i32 = 100;

/// A failure as the peer is told.
pub fn reason(failure: &Failure) -> proto::Reason {
    proto::Reason {
        code: failure.code.clone(),
        message: failure.message.clone(),
        side: failure.side.name().to_owned(),
        hint: failure.hint.clone(),
        step: failure.step.clone(),
    }
}

/// A failure that the peer tells, cut to a sane size. Without one, `peer` is to be asked.
pub fn failure(reason: Option<proto::Reason>, peer: Side) -> Failure {
    let Some(reason) = reason else {
        return Failure::new(
            code::PEER_PROTOCOL,
            peer,
            format!("{peer} ended the job without a reason"),
            "see its log",
        );
    };
    Failure {
        side: Side::from_name(&reason.side),
        code: reason.code,
        message: reason.message,
        hint: reason.hint,
        step: reason.step,
    }
    .sanitised()
}

/// A state as the peer is told.
pub fn outcome(state: State) -> proto::Outcome {
    match state {
        State::Queued | State::Offered | State::Running => proto::Outcome::UnderWay,
        State::Succeeded => proto::Outcome::Succeeded,
        State::Failed => proto::Outcome::Failed,
        State::Cancelled => proto::Outcome::Cancelled,
    }
}

/// A failure as the result of a call: the code in the status, our own code in the metadata
/// (`caesar-code`, `caesar-side`, `caesar-hint`).
pub fn status(failure: &Failure) -> Status {
    let grpc = match failure.code.as_str() {
        code::JOB_SPEC | code::DATASET_UNKNOWN => Code::InvalidArgument,
        code::JOB_CONFLICT => Code::AlreadyExists,
        code::JOB_UNKNOWN => Code::NotFound,
        code::JOB_NO_RESULT | code::JOB_WRONG_NODE => Code::FailedPrecondition,
        code::JOB_QUEUE_FULL => Code::ResourceExhausted,
        code::ACCESS_DENIED => Code::PermissionDenied,
        code::NODE_SHUTDOWN => Code::Unavailable,
        _ => Code::Internal,
    };
    let mut status = Status::new(grpc, failure.to_string());
    let fields = [
        ("caesar-code", failure.code.as_str()),
        ("caesar-side", failure.side.name()),
        ("caesar-hint", failure.hint.as_str()),
    ];
    for (key, text) in fields {
        // Metadata is ASCII; a hint that is not is in the message anyway.
        if let Ok(value) = MetadataValue::try_from(text) {
            status.metadata_mut().insert(key, value);
        }
    }
    status
}

/// A job as clients see it. `live` is its progress while it is under way.
pub fn job(record: JobRecord, live: Option<proto::Progress>) -> proto::Job {
    let state = match record.state {
        State::Queued => proto::JobState::Queued,
        State::Offered => proto::JobState::Offered,
        State::Running => proto::JobState::Running,
        State::Succeeded => proto::JobState::Succeeded,
        State::Failed => proto::JobState::Failed,
        State::Cancelled => proto::JobState::Cancelled,
    };
    proto::Job {
        job_id: record.id.to_string(),
        spec: Some(record.spec),
        state: state.into(),
        progress: record.progress.or(live),
        failure: record.failure.map(shown),
        submitted_unix_ms: record.submitted_ms,
        ended_unix_ms: record.ended_ms.unwrap_or(0),
        attempt: record.attempt,
        interrupted: record.interrupted.map(shown),
    }
}

fn shown(failure: Failure) -> proto::Failure {
    proto::Failure {
        code: failure.code,
        message: failure.message,
        side: failure.side.name().to_owned(),
        hint: failure.hint,
        step: failure.step,
    }
}

fn unacceptable(message: impl Into<String>, hint: &str) -> Failure {
    Failure::new(code::JOB_SPEC, Side::Client, message, hint)
}

/// 1 to 128 printable characters.
///
/// # Errors
/// `job.spec`.
pub fn check_request_id(id: &str) -> Result<(), Failure> {
    if (1..=MAX_NAME).contains(&id.chars().count()) && !id.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(unacceptable("request_id must have 1 to 128 printable characters", "choose another"))
    }
}

/// At most 128 printable characters.
fn printable(text: &str) -> bool {
    text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// The job's own name may be empty.
fn check_name(spec: &JobSpec) -> Result<(), Failure> {
    if printable(&spec.name) {
        return Ok(());
    }
    Err(unacceptable("name must have at most 128 printable characters", "shorten it"))
}

/// Everything about a submitted specification that can be checked without the peer or the data.
///
/// # Errors
/// `job.spec`, naming the field and its range.
pub fn check_spec(spec: &JobSpec) -> Result<(), Failure> {
    let [a, b] = [(&spec.train_a, &spec.test_a), (&spec.train_b, &spec.test_b)];
    check_data(spec, &[(a.0, a.1), (b.0, b.1)])?;
    if spec.split_column.as_ref().is_some_and(|split| split.column.is_empty()) {
        return Err(unacceptable("data.split needs a column", "name a column of the side's data"));
    }
    let class = spec.training.as_ref().and_then(|training| training.positive_class.as_deref());
    if class.is_some_and(|class| class.trim().is_empty() || !printable(class)) {
        return Err(unacceptable(
            "training.positive_class must be 1 to 128 printable characters",
            "write the class as the label column does, or leave it out for labels of 0 and 1",
        ));
    }
    if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&spec.priority) {
        return Err(unacceptable("priority must be -100 to 100", "leave it out for 0"));
    }
    parameters(spec).map(drop)
}

#[cfg(test)]
mod tests;
