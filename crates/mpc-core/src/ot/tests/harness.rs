//! One interface for the real protocols and the ideal functionalities.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::binding::Binding;
use crate::ot::base::{self, BASE_OTS};
use crate::ot::{
    ChoiceBits, Corrections, ExtensionMessage, ExtensionReceiver, ExtensionSender, OleShape,
    RandomOtsReceiver, RandomOtsSender, SetupReply, SetupRequest, TreeDepth, ideal, lift, ole,
};
use crate::wire::Message;

pub(super) const DEPTHS: [TreeDepth; 2] = [TreeDepth::Four, TreeDepth::Eight];

pub(super) fn binding(session: u8) -> Binding {
    Binding {
        session: [session; 32],
        attempt: 1,
        parameters: [2; 32],
        certificate_a: [3; 32],
        certificate_b: [4; 32],
    }
}

pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A's and B's shares of two inner products a row.
pub(super) type Pairs = (Vec<[u64; 2]>, Vec<[u64; 2]>);

/// Operands for two products that have nothing in common but their range.
pub(super) fn pairs(y: &[i64]) -> Vec<[i64; 2]> {
    y.iter().map(|&y| [y, -(y / 3) - 1]).collect()
}

/// What the layers above see; every test of behaviour runs against all implementations.
pub(super) trait Functionality {
    fn name(&self) -> String;
    /// Both keys of each transfer, and the chosen ones.
    fn base_transfers(&mut self, choices: u128) -> (Vec<[u128; 2]>, Vec<u128>);
    fn random_transfers(&mut self, count: usize) -> (RandomOtsReceiver, RandomOtsSender);
    /// Shares of A and of B.
    fn inner_products(&mut self, x: &[i16], y: &[[i64; 2]], shape: OleShape) -> Pairs;
    /// The same values as shares in the integers.
    fn lift(&mut self, a: &[u64], b: &[u64], ring: u32) -> (Vec<i128>, Vec<i128>);
}

/// All implementations, from one seed.
pub(super) fn functionalities(seed: u64) -> Vec<Box<dyn Functionality>> {
    let ideal = Ideal { issued: 0, rng: rng(seed) };
    let mut all: Vec<Box<dyn Functionality>> = vec![Box::new(ideal)];
    all.extend(DEPTHS.map(|depth| Box::new(Real::new(depth, seed)) as Box<dyn Functionality>));
    all
}

struct Ideal {
    issued: u64,
    rng: ChaCha20Rng,
}

impl Functionality for Ideal {
    fn name(&self) -> String {
        "ideal".into()
    }
    fn base_transfers(&mut self, choices: u128) -> (Vec<[u128; 2]>, Vec<u128>) {
        ideal::base_transfers(choices, &mut self.rng)
    }
    fn random_transfers(&mut self, count: usize) -> (RandomOtsReceiver, RandomOtsSender) {
        let first = self.issued;
        self.issued += count as u64;
        ideal::random_transfers(first, count, &mut self.rng)
    }
    fn inner_products(&mut self, x: &[i16], y: &[[i64; 2]], shape: OleShape) -> Pairs {
        ideal::inner_products(x, y, shape, &mut self.rng)
    }
    fn lift(&mut self, a: &[u64], b: &[u64], ring: u32) -> (Vec<i128>, Vec<i128>) {
        ideal::lift(a, b, ring, &mut self.rng)
    }
}

/// Both parties of the real protocols; every message crosses as bytes.
pub(super) struct Real {
    pub(super) depth: TreeDepth,
    pub(super) a: ExtensionReceiver,
    pub(super) b: ExtensionSender,
    rng: ChaCha20Rng,
}

impl Real {
    pub(super) fn new(depth: TreeDepth, seed: u64) -> Self {
        let mut rng = rng(seed);
        let binding = binding(1);
        let (waiting, request) = ExtensionSender::start(&binding, depth, &mut rng);
        let request = over_the_wire(&request, ());
        let (a, reply) = ExtensionReceiver::start(&binding, depth, &request, &mut rng);
        let b = waiting.finish(&over_the_wire(&reply, depth)).expect("A is honest");
        Self { depth, a, b, rng }
    }
}

impl Functionality for Real {
    fn name(&self) -> String {
        format!("real, k = {}", self.depth.bits())
    }
    fn base_transfers(&mut self, choices: u128) -> (Vec<[u128; 2]>, Vec<u128>) {
        let tag = binding(1).tag("ot/test");
        let (receiver, request) = base::Receiver::start(tag, choices, &mut self.rng);
        assert_eq!(request.len(), BASE_OTS);
        let (reply, keys) = base::send(&tag, &request, &mut self.rng);
        (keys.to_vec(), receiver.finish(&reply).to_vec())
    }
    fn random_transfers(&mut self, count: usize) -> (RandomOtsReceiver, RandomOtsSender) {
        let (a, message) = self.a.extend(count).expect("the count is in range");
        let message = over_the_wire(&message, (self.depth, count));
        (a, self.b.extend(count, &message).expect("A is honest"))
    }
    fn inner_products(&mut self, x: &[i16], y: &[[i64; 2]], shape: OleShape) -> Pairs {
        let (a, b) = self.random_transfers(shape.ots_needed());
        real_inner_products(x, y, shape, a, b)
    }
    fn lift(&mut self, a: &[u64], b: &[u64], ring: u32) -> (Vec<i128>, Vec<i128>) {
        let (ots_a, ots_b) = self.random_transfers(a.len());
        let (bits, state) =
            lift::choose(Zeroizing::new(a.to_vec()), ring, ots_a).expect("one transfer a share");
        let bits = over_the_wire(&bits, a.len());
        let (wraps, b) = lift::respond(b, ring, ots_b, &bits).expect("the same batch");
        let a = state.finish(&over_the_wire(&wraps, a.len())).expect("the same batch");
        (a.to_vec(), b.to_vec())
    }
}

/// The OLE protocol on given transfers.
pub(super) fn real_inner_products(
    x: &[i16],
    y: &[[i64; 2]],
    shape: OleShape,
    a: RandomOtsReceiver,
    b: RandomOtsSender,
) -> Pairs {
    let (choices, state) = ole::choose(x, shape, a).expect("A's operands are in range");
    let choices: ChoiceBits = over_the_wire(&choices, shape);
    let (corrections, shares_b) = ole::respond(y, shape, b, &choices).expect("B's are too");
    let corrections: Corrections = over_the_wire(&corrections, shape);
    let shares_a = state.finish(&corrections).expect("the batch is the same");
    (shares_a.to_vec(), shares_b.to_vec())
}

/// Encodes and decodes, which must give the same message.
pub(super) fn over_the_wire<M>(message: &M, params: M::Params<'_>) -> M
where
    M: Message + PartialEq + std::fmt::Debug,
{
    let decoded = M::decode(&message.to_bytes(), params).expect("an honest message decodes");
    assert_eq!(&decoded, message);
    decoded
}

/// A set-up whose messages a test may change; B's outcome.
pub(super) fn set_up_with(
    depth: TreeDepth,
    seed: u64,
    change_request: impl FnOnce(&mut Vec<u8>),
    change_reply: impl FnOnce(&mut Vec<u8>),
) -> Result<ExtensionSender, String> {
    let mut rng = rng(seed);
    let binding = binding(1);
    let (waiting, request) = ExtensionSender::start(&binding, depth, &mut rng);
    let mut bytes = request.to_bytes();
    change_request(&mut bytes);
    let request = SetupRequest::decode(&bytes, ()).map_err(|e| e.to_string())?;
    let (_, reply) = ExtensionReceiver::start(&binding, depth, &request, &mut rng);
    let mut bytes = reply.to_bytes();
    change_reply(&mut bytes);
    let reply = SetupReply::decode(&bytes, depth).map_err(|e| e.to_string())?;
    waiting.finish(&reply).map_err(|e| e.code().to_owned())
}

/// The bytes of one honest extension and a session of B that expects it.
pub(super) fn one_extension(depth: TreeDepth, seed: u64, count: usize) -> (Real, ExtensionMessage) {
    let mut real = Real::new(depth, seed);
    let (_, message) = real.a.extend(count).expect("the count is in range");
    (real, message)
}
