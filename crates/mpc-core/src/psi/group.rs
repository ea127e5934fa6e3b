//! Group operations of the intersection: hash to Ristretto, secret exponent, fingerprint.

use std::fmt;

use curve25519_dalek::{RistrettoPoint, Scalar};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::messages::{FINGERPRINT_BYTES, Fingerprint};

/// Hash functions keyed by the tag of one run. Public.
pub(super) struct Hashing {
    to_group: blake3::Hasher,
    fingerprint: blake3::Hasher,
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashing")
    }
}

impl Hashing {
    /// The hash functions of the run with this tag. The tag has a fixed length and stands before the
    /// input, so no two (tag, input) pairs hash the same bytes.
    pub(super) fn new(tag: [u8; 32]) -> Self {
        let keyed = |context| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(&tag);
            hasher
        };
        Self {
            to_group: keyed("caesar/v1 psi hash to group"),
            fingerprint: keyed("caesar/v1 psi fingerprint"),
        }
    }

    /// A group element of unknown discrete logarithm: 64 uniform bytes through the one-way map of
    /// RFC 9496, section 4.3.4.
    pub(super) fn to_group(&self, id: &str) -> RistrettoPoint {
        let mut uniform = [0u8; 64];
        self.to_group.clone().update(id.as_bytes()).finalize_xof().fill(&mut uniform);
        RistrettoPoint::from_uniform_bytes(&uniform)
    }

    /// Short name of a doubly encrypted id.
    pub(super) fn fingerprint(&self, point: &RistrettoPoint) -> Fingerprint {
        let hash = self.fingerprint.clone().update(point.compress().as_bytes()).finalize();
        *hash.as_bytes().first_chunk::<FINGERPRINT_BYTES>().expect("a hash has 32 bytes")
    }
}

/// The secret exponent of one party in one run: uniform over the non-zero scalars, used for no other
/// run (it is drawn in [`Opening::new`](super::Opening::new) and cannot be given or copied).
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Exponent(Scalar);

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exponent([redacted])")
    }
}

impl Exponent {
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            let scalar = Scalar::random(rng);
            if scalar != Scalar::ZERO {
                return Self(scalar);
            }
        }
    }

    /// `point^exponent`, in constant time. The group has prime order and the exponent is not zero, so
    /// the result is the identity only if `point` is.
    pub(super) fn raise(&self, point: &RistrettoPoint) -> RistrettoPoint {
        point * self.0
    }

    /// The secret, for tests that play a party's view.
    #[cfg(test)]
    pub(super) fn secret(&self) -> Scalar {
        self.0
    }
}
