//! Group operations of the intersection: hash to Ristretto, secret exponent, fingerprint.

use std::fmt;

use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::messages::{FINGERPRINT_BYTES, Fingerprint};

/// Elements that are raised and encoded together: they share one inversion, and one thread does them.
pub(super) const BATCH: usize = 64;

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
    pub(super) fn fingerprint(&self, doubled: &Element) -> Fingerprint {
        let hash = self.fingerprint.clone().update(doubled.encoding()).finalize();
        *hash.as_bytes().first_chunk::<FINGERPRINT_BYTES>().expect("a hash has 32 bytes")
    }
}

/// A group element beside its encoding, which is costly on its own and cheap in a batch or when the
/// element was decoded anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    point: RistrettoPoint,
    encoding: CompressedRistretto,
}

impl Element {
    /// Accepts the canonical encoding of an element that is not the identity.
    pub(super) fn decode(bytes: &[u8; 32]) -> Option<Self> {
        let encoding = CompressedRistretto(*bytes);
        let point = encoding.decompress().filter(|point| !point.is_identity())?;
        Some(Self { point, encoding })
    }

    #[cfg(test)]
    pub(super) fn of(point: RistrettoPoint) -> Self {
        Self { point, encoding: point.compress() }
    }

    pub(super) fn point(&self) -> RistrettoPoint {
        self.point
    }

    pub(super) fn encoding(&self) -> &[u8; 32] {
        self.encoding.as_bytes()
    }
}

/// The secret exponent of one party in one run: uniform over the non-zero scalars, used for no other
/// run (it is drawn in [`Opening::new`](super::Opening::new) and cannot be given or copied).
///
/// Kept as its half modulo the group order ℓ. A batch of points can be encoded with a single inversion
/// if what is wanted are their doubles, and 2·(half·P) = exponent·P. As ℓ is odd, h ↦ 2h is a bijection
/// of the non-zero scalars: the exponent of a uniform half is uniform.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Exponent {
    half: Scalar,
}

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exponent([redacted])")
    }
}

impl Exponent {
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            let half = Scalar::random(rng);
            if half != Scalar::ZERO {
                return Self { half };
            }
        }
    }

    /// `point^exponent` of each point, in order and in time that depends on their number only. The group
    /// has prime order and the exponent is not zero, so a result is the identity only if its point is.
    pub(super) fn raise(
        &self,
        points: impl Iterator<Item = RistrettoPoint>,
    ) -> impl Iterator<Item = Element> {
        let halves: Vec<_> = points.map(|point| point * self.half).collect();
        let encodings = RistrettoPoint::double_and_compress_batch(&halves);
        let doubles = halves.into_iter().map(|half| half + half);
        doubles.zip(encodings).map(|(point, encoding)| Element { point, encoding })
    }

    #[cfg(test)]
    pub(super) fn of_half(half: Scalar) -> Self {
        Self { half }
    }

    /// The secret, for tests that play a party's view.
    #[cfg(test)]
    pub(super) fn secret(&self) -> Scalar {
        self.half + self.half
    }
}
