//! The agreed parameters of a job: from a specification to canonical bytes and back.

use std::time::Duration;

use caesar_proto::v1::{JobSpec, Training, training::ClassWeight as Asked};
use mpc_core::{
    session::{LabelOptions, Parameters, Schedule},
    train::target::ClassWeight,
    wire::Message as _,
};

use super::unacceptable;
use crate::error::{Failure, Side, code};

/// The parameters of a specification, and their canonical encoding, which both sides hash.
///
/// # Errors
/// `job.spec`, naming the field and its range.
pub fn parameters(spec: &JobSpec) -> Result<(Parameters, Vec<u8>), Failure> {
    let training = spec.training.clone().unwrap_or_default();
    let (options, limit) = label_options(spec)?;
    let parameters = Parameters {
        epochs: training.epochs,
        batch_size: training.batch_size,
        learning_rate: training.learning_rate,
        l2: training.l2,
        schedule: schedule(&training.schedule)?,
        max_steps: training.max_steps,
        whiten: training.whiten,
        weighted: options.weighted(),
        validation: training.validation,
        may_stop: options.patience.is_some() || limit.is_some(),
        ..of_modulus(spec.modulus_bits)?
    };
    parameters
        .validate()
        .map_err(|e| unacceptable(format!("training.{e}"), "leave it out for the default"))?;
    let bytes = parameters.to_bytes();
    Ok((parameters, bytes))
}

fn schedule(name: &str) -> Result<Schedule, Failure> {
    if name.is_empty() {
        return Ok(Schedule::default());
    }
    Schedule::from_name(name).ok_or_else(|| {
        let known = Schedule::ALL.map(Schedule::name).join(", ");
        unacceptable(
            format!("training.schedule must be one of: {known}"),
            "leave it out for a constant step size",
        )
    })
}

/// What B keeps to itself, and the time for training.
///
/// # Errors
/// `job.spec`, naming the field.
pub fn label_options(spec: &JobSpec) -> Result<(LabelOptions, Option<Duration>), Failure> {
    let training = spec.training.clone().unwrap_or_default();
    let class_weight = match training.class_weight {
        None | Some(Asked::Balanced(false)) => ClassWeight::None,
        Some(Asked::Balanced(true)) => ClassWeight::Balanced,
        Some(Asked::PositiveWeight(times)) if times.is_finite() && times > 0.0 => {
            ClassWeight::Positive(times)
        }
        Some(Asked::PositiveWeight(_)) => {
            return Err(unacceptable(
                "training.class_weight must be \"balanced\" or a number above 0",
                "leave it out if both classes count alike",
            ));
        }
    };
    if training.patience == Some(0) {
        return Err(unacceptable("training.patience must be 1 or more", "leave it out"));
    }
    if training.patience.is_some() && training.validation.is_none() {
        return Err(unacceptable(
            "training.patience needs training.validation",
            "say which part of the training rows is set aside, for example validation = 0.2",
        ));
    }
    if training.max_train_seconds == Some(0) {
        return Err(unacceptable("training.max_train_seconds must be 1 or more", "leave it out"));
    }
    let limit = training.max_train_seconds.map(|s| Duration::from_secs(s.into()));
    let sample_weights = training.sample_weights;
    Ok((LabelOptions { class_weight, sample_weights, patience: training.patience }, limit))
}

/// Default parameters with a modulus of this length. The type of the length belongs to `paillier`,
/// which this crate does not depend on, so `mpc-core`'s own decoder makes and checks it.
fn of_modulus(bits: u32) -> Result<Parameters, Failure> {
    let default = Parameters::default();
    if bits == 0 {
        return Ok(default);
    }
    let mut bytes = default.to_bytes();
    bytes[..4].copy_from_slice(&bits.to_le_bytes());
    Parameters::decode(&bytes, ()).map_err(|_| {
        unacceptable("modulus_bits must be 2048 or 3072", "leave it out for the default")
    })
}

/// What B offers, validated.
///
/// # Errors
/// `peer.protocol`.
pub fn decode_parameters(bytes: &[u8]) -> Result<Parameters, Failure> {
    Parameters::decode(bytes, ()).map_err(|e| {
        Failure::new(
            code::PEER_PROTOCOL,
            Side::B,
            format!("B's offer has bad parameters: {e}"),
            "run the same release on both sides",
        )
    })
}

/// The part of a specification that parameters stand for, as A keeps it for its people.
///
/// # Errors
/// `peer.protocol`.
pub fn spec_of_parameters(bytes: &[u8]) -> Result<JobSpec, Failure> {
    let parameters = decode_parameters(bytes)?;
    let training = Training {
        epochs: parameters.epochs,
        batch_size: parameters.batch_size,
        learning_rate: parameters.learning_rate,
        l2: parameters.l2,
        schedule: match parameters.schedule {
            Schedule::Constant => String::new(),
            schedule => schedule.name().to_owned(),
        },
        max_steps: parameters.max_steps,
        whiten: parameters.whiten,
        validation: parameters.validation,
        // What B keeps to itself.
        ..Training::default()
    };
    Ok(JobSpec {
        training: Some(training),
        modulus_bits: parameters.modulus_bits.bits(),
        ..JobSpec::default()
    })
}
