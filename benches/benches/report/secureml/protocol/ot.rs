//! Shares of a matrix that one party knows times a vector that the other knows, from correlated
//! transfers with vectors as messages.
//!
//! The holder of the vector has one transfer for each bit of each item: its choice bit is the bit, the
//! messages differ by the item's column of the matrix. As bit i counts 2^i, the message of a transfer
//! has 64 − i bits an output. The bits are the random choices of the extension: no message corrects
//! them, since the vector of a triple is random anyhow.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use mpc_core::{
    binding::Binding,
    ot::{
        ExtensionMessage, ExtensionReceiver, ExtensionSender, SetupReply, SetupRequest, TreeDepth,
    },
    wire::Message,
};
use rand::CryptoRng;

use super::{AnyError, Channel, Role, from_bytes, matrix::View, to_bytes};

/// Bits of an item.
const BITS: usize = 64;
/// Trees of the extension. Its bytes are few beside those of the messages, so the faster one.
const DEPTH: TreeDepth = TreeDepth::Four;
/// Public key of the permutation that expands pads.
const EXPANSION_KEY: [u8; 16] = *b"secureml expands";

/// Both directions of one party.
#[derive(Debug)]
pub(crate) struct OtSession {
    sender: ExtensionSender,
    receiver: ExtensionReceiver,
    expansion: Expansion,
}

/// The random bits of the vector holder, as the vector they are, and what it received.
pub(super) struct Chosen {
    pub(super) vector: Vec<u64>,
    pads: Vec<u128>,
}

/// Both pads of each transfer of the matrix holder.
pub(super) struct Offered(Vec<[u128; 2]>);

impl OtSession {
    /// Base transfers and seed trees of both directions.
    pub(crate) fn start(
        channel: &Channel,
        role: Role,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, AnyError> {
        let of = |sender: Role| Binding {
            session: [sender as u8; 32],
            attempt: 1,
            parameters: [0; 32],
            certificate_a: [0; 32],
            certificate_b: [1; 32],
        };
        let other = if role == Role::First { Role::Second } else { Role::First };
        let (waiting, request) = ExtensionSender::start(&of(role), DEPTH, rng);
        channel.send(request.to_bytes())?;
        let request = SetupRequest::decode(&channel.receive()?, ())?;
        let (receiver, reply) = ExtensionReceiver::start(&of(other), DEPTH, &request, rng);
        channel.send(reply.to_bytes())?;
        let sender = waiting.finish(&SetupReply::decode(&channel.receive()?, DEPTH)?)?;
        Ok(Self { sender, receiver, expansion: Expansion::new() })
    }

    /// Transfers for a vector of `own` items of this party and one of `other` items of its peer.
    pub(super) fn extend(
        &mut self,
        channel: &Channel,
        own: usize,
        other: usize,
    ) -> Result<(Chosen, Offered), AnyError> {
        let (chosen, message) = self.receiver.extend(BITS * own)?;
        channel.send(message.to_bytes())?;
        let count = BITS * other;
        let message = ExtensionMessage::decode(&channel.receive()?, (DEPTH, count))?;
        let offered = self.sender.extend(count, &message)?.into_pads().to_vec();
        let (choices, pads) = chosen.into_parts();
        let item = |bits: &[u8]| bits.iter().rev().fold(0, |item, bit| 2 * item + u64::from(*bit));
        let vector = choices.chunks_exact(BITS).map(item).collect();
        Ok((Chosen { vector, pads: pads.to_vec() }, Offered(offered)))
    }

    /// Shares of this party's matrix times the peer's vector, and of the peer's matrix, of the same shape,
    /// times this party's.
    pub(super) fn products(
        &mut self,
        channel: &Channel,
        matrix: View<'_>,
        chosen: &Chosen,
        offered: &Offered,
    ) -> Result<[Vec<u64>; 2], AnyError> {
        let outputs = matrix.outputs();
        let mut as_sender = vec![0; outputs];
        let mut as_receiver = vec![0; outputs];
        let pads = chosen.pads.chunks_exact(BITS);
        let items = pads.zip(&chosen.vector).zip(offered.0.chunks_exact(BITS));
        for (input, ((pads, &item), offered)) in items.enumerate() {
            let column = matrix.of_input(input);
            channel.send(self.expansion.offer(&column, offered, &mut as_sender))?;
            let message = channel.receive()?;
            self.expansion.take(item, pads, &message, &mut as_receiver)?;
        }
        Ok([as_sender, as_receiver])
    }
}

/// Outputs that are worked on together: what the first cache holds.
const TILE: usize = 512;

/// Words of a message for `outputs` outputs. Bit 0 takes a word an output; bits i and 64 − i, of 64 − i
/// and of i bits, share one; bit 32 takes half a word.
fn message_words(outputs: usize) -> usize {
    let tile = |outputs: usize| 32 * outputs + outputs.div_ceil(2);
    outputs / TILE * tile(TILE) + tile(outputs % TILE)
}

/// Pads as long as a message: π(pad ⊕ k) ⊕ (pad ⊕ k) for k = 0, 1, ... with π a fixed-key cipher, a
/// pseudo-random generator if that is an ideal permutation.
#[derive(Debug)]
struct Expansion {
    permutation: Aes128Enc,
}

impl Expansion {
    fn new() -> Self {
        Self { permutation: Aes128Enc::new(&EXPANSION_KEY.into()) }
    }

    /// Numbers of at least 64 − `bit` random bits for `count` outputs from `first` on.
    fn expand(
        &self,
        pad: u128,
        bit: usize,
        first: usize,
        count: usize,
        scratch: &mut [Block; TILE / 2],
        out: &mut [u64; TILE],
    ) {
        let narrow = bit >= BITS / 2;
        let scratch = &mut scratch[..count.div_ceil(if narrow { 4 } else { 2 })];
        // Two outputs a block at most.
        let (low, high) = (pad as u64 ^ ((first as u64 / 2) << 32), (pad >> 64) as u64);
        for (block, k) in scratch.iter_mut().zip(0u64..) {
            *block = (u128::from(low ^ k) | (u128::from(high) << 64)).to_le_bytes().into();
        }
        self.permutation.encrypt_blocks(scratch);
        let words = scratch.iter().zip(0u64..).map(|(block, k)| {
            let word = u128::from_le_bytes((*block).into());
            [word as u64 ^ low ^ k, (word >> 64) as u64 ^ high]
        });
        if narrow {
            for (out, [low, high]) in out.as_chunks_mut().0.iter_mut().zip(words) {
                *out = [low & 0xffff_ffff, low >> 32, high & 0xffff_ffff, high >> 32];
            }
        } else {
            for (out, words) in out.as_chunks_mut().0.iter_mut().zip(words) {
                *out = words;
            }
        }
    }

    /// The message for one item, whose column of the matrix is given. The share loses the first pads.
    fn offer(&self, column: &[u64], pads: &[[u128; 2]], share: &mut [u64]) -> Vec<u8> {
        let mut scratch = [Block::default(); TILE / 2];
        let [mut first, mut second, mut shared] = [[0; TILE]; 3];
        let mut message = Vec::with_capacity(message_words(column.len()));
        let tiles = column.chunks(TILE).zip(share.chunks_mut(TILE));
        for (tile, (column, share)) in tiles.enumerate() {
            let n = column.len();
            // Differences of the messages of one bit, its surplus bits not cleared.
            let mut differences = |bit: usize, out: &mut [u64]| {
                let pads = pads[bit];
                self.expand(pads[0], bit, tile * TILE, n, &mut scratch, &mut first);
                self.expand(pads[1], bit, tile * TILE, n, &mut scratch, &mut second);
                for (share, first) in share.iter_mut().zip(&first) {
                    *share = share.wrapping_sub(first << bit);
                }
                let pads = first.iter().zip(&second);
                for ((out, value), (first, second)) in out.iter_mut().zip(column).zip(pads) {
                    *out = first.wrapping_add(*value).wrapping_sub(*second);
                }
            };
            let shared = &mut shared[..n];
            let whole = message.len();
            message.resize(whole + n, 0);
            differences(0, &mut message[whole..]);
            for bit in 1..BITS / 2 {
                let start = message.len();
                message.resize(start + n, 0);
                differences(bit, &mut message[start..]);
                differences(BITS - bit, shared);
                for (word, shared) in message[start..].iter_mut().zip(shared.iter()) {
                    *word = (*word & (u64::MAX >> bit)) | (shared << (BITS - bit));
                }
            }
            differences(BITS / 2, shared);
            let (low, high) = shared.split_at(n.div_ceil(2));
            let high = high.iter().chain([&0]);
            message.extend(low.iter().zip(high).map(|(a, b)| (a & 0xffff_ffff) | (b << 32)));
        }
        to_bytes(&message)
    }

    /// Adds what one item of the vector selects to the share.
    fn take(
        &self,
        item: u64,
        pads: &[u128],
        message: &[u8],
        share: &mut [u64],
    ) -> Result<(), AnyError> {
        let mut message = &from_bytes(message, message_words(share.len()))?[..];
        let mut scratch = [Block::default(); TILE / 2];
        let mut pad = [0; TILE];
        for (tile, share) in share.chunks_mut(TILE).enumerate() {
            let n = share.len();
            // Adds the pads of one bit, and the differences if the bit is 1.
            let mut add = |bit: usize, difference: &dyn Fn(&mut [u64])| {
                self.expand(pads[bit], bit, tile * TILE, n, &mut scratch, &mut pad);
                if (item >> bit) & 1 == 1 {
                    difference(&mut pad[..n]);
                }
                for (share, pad) in share.iter_mut().zip(pad.iter()) {
                    *share = share.wrapping_add(pad << bit);
                }
            };
            let (words, rest) = message.split_at(n);
            add(0, &|pad| add_shifted(pad, words, 0));
            message = rest;
            for bit in 1..BITS / 2 {
                let (words, rest) = message.split_at(n);
                // Surplus bits of the lower number vanish when it is multiplied by 2^bit.
                add(bit, &|pad| add_shifted(pad, words, 0));
                add(BITS - bit, &|pad| add_shifted(pad, words, BITS - bit));
                message = rest;
            }
            let (words, rest) = message.split_at(n.div_ceil(2));
            add(BITS / 2, &|pad| {
                let (low, high) = pad.split_at_mut(n.div_ceil(2));
                add_shifted(low, words, 0);
                add_shifted(high, words, BITS / 2);
            });
            message = rest;
        }
        Ok(())
    }
}

/// Adds numbers that lie `shift` bits up in words.
fn add_shifted(to: &mut [u64], words: &[u64], shift: usize) {
    for (to, word) in to.iter_mut().zip(words) {
        *to = to.wrapping_add(word >> shift);
    }
}
