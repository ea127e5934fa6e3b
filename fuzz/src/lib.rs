//! What reads bytes from outside, as functions of those bytes.
//!
//! Each function of [`TARGETS`] must return whatever it is given: it panics only on a defect, that
//! is when a decoder panics, accepts what is not canonical, or lets through what it promises to
//! refuse. The fuzzers in `fuzz_targets/` and the test that replays `corpus/` both call them.
//!
//! They use the public interfaces of the crates, so that a decoder needs no door of its own for
//! fuzzing; readers of files are given files.

pub mod files;
mod messages;
mod node;
pub mod session;

/// A decoder's name, which is also that of its fuzz target and its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every decoder.
pub const TARGETS: &[Target] = &[
    ("psi_messages", messages::psi),
    ("ot_messages", messages::ot),
    ("parameters", messages::parameters),
    ("bounds", messages::bounds),
    ("ciphertexts", messages::ciphertexts),
    ("modulus_proof", messages::modulus_proof),
    ("secret_key", messages::secret_key),
    ("session", session::session),
    ("peer_messages", node::peer_messages),
    ("requests", node::requests),
    ("csv", files::csv),
    ("libsvm", files::libsvm),
    ("parquet", files::parquet),
    ("transform", messages::transform),
    ("checkpoint_file", files::checkpoint_file),
    ("node_config", files::node_config),
    ("job_spec", files::job_spec),
    ("tls_material", files::tls_material),
];

/// Runs one target by name; for `fuzz_targets/`.
///
/// # Panics
/// If there is no such target, or the target finds a defect.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target {name}")).1(data);
}

/// The first `N` bytes, which choose among variants and set what both sides know beforehand, and
/// the rest.
fn split<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    data.split_first_chunk().map(|(head, rest)| (*head, rest))
}
