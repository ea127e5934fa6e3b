//! What a run is bound to, and the domain-separation tags derived from it (rule 6 of the design).

/// Version of the protocol; peers of another version are refused before anything else happens.
pub const PROTOCOL_VERSION: u32 = 1;

/// Everything that identifies one attempt at one job between two given peers.
///
/// Public. Two runs that differ in any field derive unrelated tags, so no message, proof or
/// correlation of one can be used in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Random, jointly chosen identifier of the job.
    pub session: [u8; 32],
    /// Counts restarts; a new attempt never shares randomness with an old one.
    pub attempt: u32,
    /// BLAKE3 of the agreed job parameters.
    pub parameters: [u8; 32],
    /// SHA-256 of A's TLS certificate.
    pub certificate_a: [u8; 32],
    /// SHA-256 of B's TLS certificate.
    pub certificate_b: [u8; 32],
}

impl Binding {
    /// A 32-byte tag for one purpose, e.g. `"psi/train"`.
    pub fn tag(&self, purpose: &str) -> [u8; 32] {
        let mut h = blake3::Hasher::new_derive_key("caesar/v1 domain separation tag");
        h.update(&PROTOCOL_VERSION.to_le_bytes());
        h.update(&self.session);
        h.update(&self.attempt.to_le_bytes());
        h.update(&self.parameters);
        h.update(&self.certificate_a);
        h.update(&self.certificate_b);
        h.update(purpose.as_bytes());
        *h.finalize().as_bytes()
    }
}
