//! The agreed parameters of a job: from a specification to canonical bytes and back.

use caesar_proto::v1::{JobSpec, Training};
use mpc_core::{session::Parameters, wire::Message as _};

use super::unacceptable;
use crate::error::{Failure, Side, code};

/// The parameters of a specification, and their canonical encoding, which both sides hash.
///
/// # Errors
/// `job.spec`, naming the field and its range.
pub fn parameters(spec: &JobSpec) -> Result<(Parameters, Vec<u8>), Failure> {
    let training = spec.training.unwrap_or_default();
    let parameters = Parameters {
        epochs: training.epochs,
        batch_size: training.batch_size,
        learning_rate: training.learning_rate,
        l2: training.l2,
        ..of_modulus(spec.modulus_bits)?
    };
    parameters
        .validate()
        .map_err(|e| unacceptable(format!("training.{e}"), "leave it out for the default"))?;
    let bytes = parameters.to_bytes();
    Ok((parameters, bytes))
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
    };
    Ok(JobSpec {
        training: Some(training),
        modulus_bits: parameters.modulus_bits.bits(),
        ..JobSpec::default()
    })
}
