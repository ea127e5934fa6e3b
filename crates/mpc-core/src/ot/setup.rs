//! Set-up of a session: base transfers and seed trees, one message each way.
//!
//! B starts (it is the base receiver with the bits of a fresh Δ), A answers with the base points,
//! the masked level sums of its trees and the check of their leaves.
//!
//! B learns all leaves but one of each tree, A learns nothing about Δ. A malicious A can make one
//! tree wrong in a way that only shows for some values of that tree's bits of Δ: it then learns
//! whether B aborted, which the security of the extension accounts for.

use std::fmt;

use rand::{CryptoRng, RngExt};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::base::{self, BASE_OTS, PointPair, WirePoint};
use super::crh::Crh;
use super::error::OtError;
use super::extension::{ExtensionReceiver, ExtensionSender, TreeDepth};
use super::ggm;
use crate::binding::Binding;
use crate::wire::{DecodeError, Message, Reader, Writer};

/// B → A: two points for each of 128 base transfers, 8,192 bytes. Hides Δ perfectly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupRequest {
    points: Vec<PointPair>,
}

/// A → B: base points, masked level sums, and the check of all leaves; 9,248 bytes at k = 4 and
/// 8,736 at k = 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupReply {
    points: Vec<WirePoint>,
    /// For each level of each tree both sums, each under the key of its slot.
    masked_sums: Vec<[u128; 2]>,
    leaf_sums: Vec<ggm::LeafSum>,
    digest: [u8; 32],
}

impl Message for SetupRequest {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        for point in self.points.iter().flatten() {
            point.encode(out);
        }
    }

    /// Refuses points that are not canonical and the identity.
    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let points = (0..BASE_OTS)
            .map(|_| Ok([WirePoint::decode(&mut r)?, WirePoint::decode(&mut r)?]))
            .collect::<Result<_, DecodeError>>()?;
        r.finish()?;
        Ok(Self { points })
    }
}

impl Message for SetupReply {
    /// Depth of the trees.
    type Params<'a> = TreeDepth;

    fn encode(&self, out: &mut Writer) {
        for point in &self.points {
            point.encode(out);
        }
        for word in self.masked_sums.iter().chain(&self.leaf_sums).flatten() {
            out.bytes(&word.to_le_bytes());
        }
        out.bytes(&self.digest);
    }

    /// Refuses points that are not canonical and the identity.
    fn decode(body: &[u8], depth: TreeDepth) -> Result<Self, DecodeError> {
        fn pair(r: &mut Reader<'_>, field: &'static str) -> Result<[u128; 2], DecodeError> {
            Ok([r.uint(16, field)?, r.uint(16, field)?])
        }
        let mut r = Reader::new(body);
        let points = (0..BASE_OTS).map(|_| WirePoint::decode(&mut r)).collect::<Result<_, _>>()?;
        let masked_sums =
            (0..BASE_OTS).map(|_| pair(&mut r, "level sum")).collect::<Result<_, _>>()?;
        let leaf_sums =
            (0..depth.trees()).map(|_| pair(&mut r, "leaf sum")).collect::<Result<_, _>>()?;
        let digest = r.array("seed digest")?;
        r.finish()?;
        Ok(Self { points, masked_sums, leaf_sums, digest })
    }
}

/// The tags of one session.
pub(super) struct Tags {
    base: [u8; 32],
    seeds: [u8; 32],
    extension: [u8; 32],
    hash: [u8; 32],
}

impl Tags {
    pub(super) fn new(binding: &Binding, depth: TreeDepth) -> Self {
        let tag = |part: &str| binding.tag(&format!("ot/{part}/k={}", depth.bits()));
        Self {
            base: tag("base"),
            seeds: tag("seeds"),
            extension: tag("extension"),
            hash: tag("hash"),
        }
    }

    /// Starts the digest of a set-up over both messages.
    fn transcript(
        &self,
        request: &[PointPair],
        points: &[WirePoint],
        masked_sums: &[[u128; 2]],
        leaf_sums: &[ggm::LeafSum],
    ) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_derive_key("caesar/v1 transfer extension: seeds");
        hasher.update(&self.seeds);
        for point in request.iter().flatten().chain(points) {
            hasher.update(point.bytes());
        }
        for word in masked_sums.iter().chain(leaf_sums).flatten() {
            hasher.update(&word.to_le_bytes());
        }
        hasher
    }
}

/// B after [`ExtensionSender::start`], waiting for A's [`SetupReply`].
pub struct AwaitingSeeds {
    depth: TreeDepth,
    tags: Tags,
    delta: Zeroizing<u128>,
    request: Vec<PointPair>,
    base: base::Receiver,
}

impl ExtensionSender {
    /// B starts a session with a fresh Δ. One session a binding: a restart has another attempt
    /// number and with it other tags.
    pub fn start(
        binding: &Binding,
        depth: TreeDepth,
        rng: &mut impl CryptoRng,
    ) -> (AwaitingSeeds, SetupRequest) {
        let tags = Tags::new(binding, depth);
        let delta = Zeroizing::new(rng.random::<u128>());
        let (base, points) = base::Receiver::start(tags.base, !*delta, rng);
        (
            AwaitingSeeds { depth, tags, delta, request: points.clone(), base },
            SetupRequest { points },
        )
    }
}

impl AwaitingSeeds {
    #[cfg(test)]
    pub(super) fn delta(&self) -> u128 {
        *self.delta
    }

    /// Rebuilds the trees from A's reply.
    ///
    /// # Errors
    /// [`OtError::Seeds`] if the leaves do not match A's check, or either message was changed on
    /// its way, or A's run has another binding; [`OtError::Shape`] if the reply has another depth.
    pub fn finish(self, reply: &SetupReply) -> Result<ExtensionSender, OtError> {
        let Self { depth, tags, delta, request, base } = self;
        let trees = depth.trees();
        if reply.leaf_sums.len() != trees {
            let found = reply.leaf_sums.len();
            return Err(OtError::Shape { what: "number of trees", expected: trees, found });
        }
        let keys = base.finish(&reply.points);
        let mut sums = Zeroizing::new(Vec::with_capacity(BASE_OTS));
        for (index, (pair, key)) in reply.masked_sums.iter().zip(keys.iter()).enumerate() {
            let chosen = !*delta >> index & 1;
            // Select by mask: the chosen slot is secret.
            let masked = pair[0] ^ (chosen.wrapping_neg() & (pair[0] ^ pair[1]));
            sums.push(masked ^ key);
        }
        let mut checks = check_buffer(depth);
        let keys = sums
            .chunks_exact(depth.bits())
            .zip(&reply.leaf_sums)
            .enumerate()
            .map(|(tree, (sums, leaf_sum))| {
                let alpha = (*delta >> (tree * depth.bits())) as u8;
                ggm::rebuild(alpha, sums, leaf_sum, &mut checks)
            })
            .collect();
        let mut transcript =
            tags.transcript(&request, &reply.points, &reply.masked_sums, &reply.leaf_sums);
        transcript.update(&checks);
        let digest = transcript.finalize();
        transcript.zeroize();
        if !bool::from(digest.as_bytes().ct_eq(&reply.digest)) {
            return Err(OtError::Seeds);
        }
        let crh = Crh::new(&tags.hash);
        Ok(ExtensionSender::new(depth, tags.extension, crh, delta, keys))
    }
}

impl fmt::Debug for AwaitingSeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingSeeds").field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl ExtensionReceiver {
    /// A answers B's request: grows its trees and offers their level sums.
    pub fn start(
        binding: &Binding,
        depth: TreeDepth,
        request: &SetupRequest,
        rng: &mut impl CryptoRng,
    ) -> (ExtensionReceiver, SetupReply) {
        let seeds = Seeds::grow(Tags::new(binding, depth), depth, request, rng);
        seeds.seal(request)
    }
}

/// A's trees and what it says about them, before the digest binds it all.
pub(super) struct Seeds {
    tags: Tags,
    depth: TreeDepth,
    points: Vec<WirePoint>,
    pub(super) masked_sums: Vec<[u128; 2]>,
    leaf_sums: Vec<ggm::LeafSum>,
    keys: Vec<Zeroizing<Vec<u128>>>,
    checks: Zeroizing<Vec<u8>>,
}

impl Seeds {
    pub(super) fn grow(
        tags: Tags,
        depth: TreeDepth,
        request: &SetupRequest,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let (points, base_keys) = base::send(&tags.base, &request.points, rng);
        let mut checks = check_buffer(depth);
        let mut masked_sums = Vec::with_capacity(BASE_OTS);
        let mut leaf_sums = Vec::with_capacity(depth.trees());
        let mut keys = Vec::with_capacity(depth.trees());
        for base_keys in base_keys.chunks_exact(depth.bits()) {
            let root = Zeroizing::new(rng.random::<u128>());
            let tree = ggm::grow(depth.bits(), *root, &mut checks);
            for (sums, keys) in tree.level_sums.iter().zip(base_keys) {
                masked_sums.push([sums[0] ^ keys[0], sums[1] ^ keys[1]]);
            }
            leaf_sums.push(tree.leaf_sum);
            keys.push(tree.keys);
        }
        Self { tags, depth, points, masked_sums, leaf_sums, keys, checks }
    }

    pub(super) fn seal(self, request: &SetupRequest) -> (ExtensionReceiver, SetupReply) {
        let Self { tags, depth, points, masked_sums, leaf_sums, keys, checks } = self;
        let mut transcript = tags.transcript(&request.points, &points, &masked_sums, &leaf_sums);
        transcript.update(&checks);
        let digest = *transcript.finalize().as_bytes();
        transcript.zeroize();
        let session = ExtensionReceiver::new(depth, tags.extension, Crh::new(&tags.hash), keys);
        (session, SetupReply { points, masked_sums, leaf_sums, digest })
    }
}

/// Room for the checks of all leaves: a buffer that never moves leaves no unwiped copy.
fn check_buffer(depth: TreeDepth) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity((depth.trees() << depth.bits()) * ggm::CHECK_BYTES))
}
