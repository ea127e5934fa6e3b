//! 128 base oblivious transfers on Ristretto after Masny and Rindal, "Endemic Oblivious Transfer"
//! (CCS 2019), Diffie-Hellman instance.
//!
//! For transfer j the receiver with choice bit c sends two points r₀, r₁ of which one is random and
//! the other is r_c = g^k − H(j, c, r_{1−c}); both are uniform, so the bit is hidden perfectly. The
//! sender answers g^s and derives a key from s·(r_b + H(j, b, r_{1−b})) for both b. The receiver
//! knows the discrete logarithm k of one of the two points only: the other key is hidden under the
//! computational Diffie-Hellman assumption in Ristretto with H and the key derivation as random
//! oracles.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rand::CryptoRng;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

use crate::wire::{DecodeError, Reader, Writer};

/// Number of base transfers, also the length of the extension's secret Δ in bits.
pub(super) const BASE_OTS: usize = 128;

/// A group element from the peer or for it: canonical, not the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WirePoint {
    bytes: [u8; 32],
    point: RistrettoPoint,
}

impl WirePoint {
    fn new(point: RistrettoPoint) -> Self {
        Self { bytes: point.compress().to_bytes(), point }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.bytes(&self.bytes);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = "base transfer point";
        let bytes = reader.array::<32>(field)?;
        match CompressedRistretto(bytes).decompress() {
            Some(point) if point != RistrettoPoint::identity() => Ok(Self { bytes, point }),
            _ => Err(DecodeError::OutOfRange { field }),
        }
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// The receiver's two points of one transfer.
pub(super) type PointPair = [WirePoint; 2];

/// The base-transfer receiver between its two messages.
pub(super) struct Receiver {
    tag: [u8; 32],
    choices: Zeroizing<u128>,
    exponents: Zeroizing<Vec<Scalar>>,
    points: Vec<PointPair>,
}

impl Receiver {
    /// Starts 128 transfers; bit j of `choices` is the choice of transfer j.
    pub(super) fn start(
        tag: [u8; 32],
        choices: u128,
        rng: &mut impl CryptoRng,
    ) -> (Self, Vec<PointPair>) {
        let mut exponents = Zeroizing::new(Vec::with_capacity(BASE_OTS));
        let points: Vec<PointPair> = (0..BASE_OTS)
            .map(|index| {
                let choice = bit(choices, index);
                let exponent = Scalar::random(rng);
                let free = WirePoint::new(RistrettoPoint::random(rng));
                let bound = WirePoint::new(
                    RistrettoPoint::mul_base(&exponent)
                        - point_oracle(&tag, index, choice.unwrap_u8(), &free.bytes),
                );
                exponents.push(exponent);
                [select(&bound, &free, choice), select(&free, &bound, choice)]
            })
            .collect();
        let state = Self { tag, choices: Zeroizing::new(choices), exponents, points };
        let message = state.points.clone();
        (state, message)
    }

    /// The key of the chosen slot of each transfer. `replies` has one point a transfer.
    pub(super) fn finish(self, replies: &[WirePoint]) -> Zeroizing<Vec<u128>> {
        debug_assert_eq!(replies.len(), BASE_OTS, "decoding fixed the number");
        let mut keys = Zeroizing::new(Vec::with_capacity(BASE_OTS));
        for (index, reply) in replies.iter().enumerate() {
            let mut shared = reply.point * self.exponents[index];
            let slot = bit(*self.choices, index).unwrap_u8();
            keys.push(derive_key(&self.tag, index, slot, &self.points[index], reply, &shared));
            shared.zeroize();
        }
        keys
    }
}

/// The sender's side of all transfers: its points and both keys of each.
pub(super) fn send(
    tag: &[u8; 32],
    request: &[PointPair],
    rng: &mut impl CryptoRng,
) -> (Vec<WirePoint>, Zeroizing<Vec<[u128; 2]>>) {
    let mut keys = Zeroizing::new(Vec::with_capacity(request.len()));
    let replies = request
        .iter()
        .enumerate()
        .map(|(index, pair)| {
            // A fresh exponent for each transfer; the sender keeps none of them.
            let exponent = Zeroizing::new(Scalar::random(rng));
            let reply = WirePoint::new(RistrettoPoint::mul_base(&exponent));
            keys.push([0u8, 1].map(|slot| {
                let other = &pair[usize::from(1 - slot)].bytes;
                let base = pair[usize::from(slot)].point + point_oracle(tag, index, slot, other);
                let mut shared = base * *exponent;
                let key = derive_key(tag, index, slot, pair, &reply, &shared);
                shared.zeroize();
                key
            }));
            reply
        })
        .collect();
    (replies, keys)
}

fn bit(word: u128, index: usize) -> Choice {
    Choice::from(((word >> index) & 1) as u8)
}

/// `a` if the choice is 0, `b` if it is 1, without a branch.
fn select(a: &WirePoint, b: &WirePoint, choice: Choice) -> WirePoint {
    WirePoint {
        bytes: <[u8; 32]>::conditional_select(&a.bytes, &b.bytes, choice),
        point: RistrettoPoint::conditional_select(&a.point, &b.point, choice),
    }
}

/// The random oracle into the group for slot `slot` of transfer `index`.
fn point_oracle(tag: &[u8; 32], index: usize, slot: u8, other: &[u8; 32]) -> RistrettoPoint {
    let mut wide = [0u8; 64];
    blake3::Hasher::new_derive_key("caesar/v1 base transfer: point")
        .update(tag)
        .update(&[index as u8, slot])
        .update(other)
        .finalize_xof()
        .fill(&mut wide);
    RistrettoPoint::from_uniform_bytes(&wide)
}

/// The key of one slot, bound to everything both sides said in this transfer.
fn derive_key(
    tag: &[u8; 32],
    index: usize,
    slot: u8,
    request: &PointPair,
    reply: &WirePoint,
    shared: &RistrettoPoint,
) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("caesar/v1 base transfer: key");
    hasher.update(tag).update(&[index as u8, slot]);
    hasher.update(&request[0].bytes).update(&request[1].bytes).update(&reply.bytes);
    let mut encoded = shared.compress().to_bytes();
    hasher.update(&encoded);
    encoded.zeroize();
    let mut key = [0u8; 16];
    hasher.finalize_xof().fill(&mut key);
    hasher.zeroize();
    u128::from_le_bytes(key)
}
