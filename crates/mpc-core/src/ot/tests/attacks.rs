//! What a party or the network can do to the messages, and what comes of it.

use rand::RngExt;
use zeroize::Zeroizing;

use super::harness::{
    DEPTHS, Functionality, Real, binding, one_extension, real_inner_products, rng, set_up_with,
};
use crate::ot::check::hash_bits_vartime;
use crate::ot::extension::Span;
use crate::ot::setup::{Seeds, Tags};
use crate::ot::{
    ChoiceBits, Corrections, ExtensionMessage, ExtensionReceiver, ExtensionSender, MAX_EXTEND,
    OleShape, OtError, SetupReply, SetupRequest, TopBits, TreeDepth, Wraps, lift, ole,
};
use crate::wire::{DecodeError, Message};

/// Positions spread over a message: both ends, and a stride coprime to every field length.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(479).chain([len - 33, len - 1])
}

#[test]
fn a_flipped_bit_anywhere_in_the_setup_is_an_error() {
    for depth in DEPTHS {
        assert!(set_up_with(depth, 21, |_| {}, |_| {}).is_ok());
        for at in positions(128 * 64) {
            let outcome = set_up_with(depth, 21, |m| m[at] ^= 1 << (at % 8), |_| {});
            assert!(outcome.is_err(), "request byte {at}, {depth:?}");
        }
        for at in positions(128 * 64 + 32 * 128 / depth.bits() + 32) {
            let outcome = set_up_with(depth, 21, |_| {}, |m| m[at] ^= 1 << (at % 8));
            assert!(outcome.is_err(), "reply byte {at}, {depth:?}");
        }
    }
}

#[test]
fn points_outside_the_group_and_the_identity_are_refused() {
    let out_of_range = DecodeError::OutOfRange { field: "base transfer point" }.to_string();
    // The identity, a field element that is not canonical, a negative one, all ones.
    let mut bad = [[0u8; 32], [0xed; 32], [0; 32], [0xff; 32]];
    bad[1][1..31].fill(0xff);
    bad[1][31] = 0x7f;
    bad[2][0] = 1;
    for bytes in bad {
        let put = |m: &mut Vec<u8>| m[64..96].copy_from_slice(&bytes);
        assert_eq!(
            set_up_with(TreeDepth::Four, 22, put, |_| {}).err().as_ref(),
            Some(&out_of_range)
        );
        assert_eq!(
            set_up_with(TreeDepth::Four, 22, |_| {}, put).err().as_ref(),
            Some(&out_of_range)
        );
    }
}

/// No message but the honest one's length is accepted.
fn refuses<P: Copy>(bytes: &[u8], params: P, decode: fn(&[u8], P) -> bool) {
    assert!(decode(bytes, params), "the honest message decodes");
    assert!(!decode(&bytes[..bytes.len() - 1], params), "one byte short");
    assert!(!decode(&[], params), "empty");
    let mut long = bytes.to_vec();
    long.push(0);
    assert!(!decode(&long, params), "one byte long");
}

#[test]
fn every_message_refuses_other_lengths() {
    for depth in DEPTHS {
        let mut rng = rng(23);
        let (waiting, request) = ExtensionSender::start(&binding(1), depth, &mut rng);
        let (mut a, reply) = ExtensionReceiver::start(&binding(1), depth, &request, &mut rng);
        refuses(&request.to_bytes(), (), |b, p| SetupRequest::decode(b, p).is_ok());
        refuses(&reply.to_bytes(), depth, |b, p| SetupReply::decode(b, p).is_ok());
        let shape = OleShape::new(3, 5, 61).expect("valid dimensions");
        let (ots, message) = a.extend(shape.ots_needed()).expect("the count is in range");
        refuses(&message.to_bytes(), (depth, ots.len()), |b, p| {
            ExtensionMessage::decode(b, p).is_ok()
        });
        let mut b = waiting.finish(&reply).expect("A is honest");
        let ots_b = b.extend(ots.len(), &message).expect("A is honest");
        let (choices, _) = ole::choose(&[1; 15], shape, ots).expect("operands are in range");
        let (corrections, _) =
            ole::respond(&[[1; 2]; 15], shape, ots_b, &choices).expect("same batch");
        refuses(&corrections.to_bytes(), shape, |b, p| Corrections::decode(b, p).is_ok());
        refuses(&choices.to_bytes(), shape, |b, p| ChoiceBits::decode(b, p).is_ok());
    }
}

/// Pins the sizes that docs and callers rely on, and that the other depth's message is refused.
#[test]
fn messages_have_the_documented_sizes() {
    for (depth, reply_len) in DEPTHS.into_iter().zip([9_248, 8_736]) {
        let mut rng = rng(24);
        let (_, request) = ExtensionSender::start(&binding(1), depth, &mut rng);
        assert_eq!(request.to_bytes().len(), 8_192);
        let (_, reply) = ExtensionReceiver::start(&binding(1), depth, &request, &mut rng);
        assert_eq!(reply.to_bytes().len(), reply_len);
        let count = 32_256;
        let (_, message) = one_extension(depth, 24, count);
        let columns = 128 / depth.bits() - 1;
        assert_eq!(message.to_bytes().len(), 64 + columns * (count / 8 + 16));
        for other in DEPTHS.into_iter().filter(|&d| d != depth) {
            assert!(SetupReply::decode(&reply.to_bytes(), other).is_err());
            assert!(ExtensionMessage::decode(&message.to_bytes(), (other, count)).is_err());
        }
    }
}

#[test]
fn a_setup_of_another_run_is_refused() {
    let mut rng = rng(25);
    let depth = TreeDepth::Four;
    let (waiting, request) = ExtensionSender::start(&binding(1), depth, &mut rng);
    let (_, reply) = ExtensionReceiver::start(&binding(2), depth, &request, &mut rng);
    assert_eq!(waiting.finish(&reply).err(), Some(OtError::Seeds));
}

/// A malicious A makes one level sum of one tree wrong and binds itself to it. B must notice exactly
/// when it opened that slot: it opens slot c of level j if bit j of Δ is 1 − c.
#[test]
fn a_wrong_level_sum_is_seen_by_whoever_opens_it() {
    let seed = 26;
    for depth in DEPTHS {
        for (j, slot) in [(0, 0), (0, 1), (5, 0), (5, 1), (127, 0), (127, 1)] {
            let mut rng = rng(seed);
            let (waiting, request) = ExtensionSender::start(&binding(1), depth, &mut rng);
            let opened = waiting.delta() >> j & 1 != slot as u128;
            let tags = Tags::new(&binding(1), depth);
            let mut seeds = Seeds::grow(tags, depth, &request, &mut rng);
            seeds.masked_sums[j][slot] ^= 1 << 99;
            let (_, reply) = seeds.seal(&request);
            let outcome = waiting.finish(&reply).err();
            let expected = opened.then_some(OtError::Seeds);
            assert_eq!(outcome, expected, "level {j}, slot {slot}, {depth:?}, seed {seed}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_an_extension_ends_the_session() {
    for depth in DEPTHS {
        let count = 300;
        let len = one_extension(depth, 27, count).1.to_bytes().len();
        for at in
            (0..16).step_by(3).chain((16..len - 48).step_by(97)).chain((len - 48..len).step_by(7))
        {
            let (mut real, message) = one_extension(depth, 27, count);
            let mut bytes = message.to_bytes();
            bytes[at] ^= 1 << (at % 8);
            let Ok(changed) = ExtensionMessage::decode(&bytes, (depth, count)) else { continue };
            let error = real.b.extend(count, &changed).err();
            assert!(
                matches!(error, Some(OtError::Check | OtError::OutOfStep { .. })),
                "byte {at}, {depth:?}: {error:?}"
            );
            assert_eq!(real.b.extend(count, &message).err(), Some(OtError::Ended));
        }
    }
}

/// The attack that the check is there for: a malicious A corrects one tree to another choice vector
/// and answers the challenge honestly otherwise. B's relation in that tree is then off by α·e, so it
/// must refuse unless the tree's α is 0, in which case nothing is off.
#[test]
fn inconsistent_choices_in_any_tree_are_caught() {
    let seed = 28;
    for depth in DEPTHS {
        let trees = 128 / depth.bits();
        let (mut refused, mut harmless) = (0, 0);
        for tree in 1..trees {
            let mut real = Real::new(depth, seed + tree as u64);
            let count = 200;
            let span = Span { first_block: 0, blocks: 3, first_ot: 0, count };
            let mut columns = real.a.columns(&span);
            // Another choice in transfer 130 of this tree only.
            columns.corrections[(tree - 1) * span.blocks + 1] ^= 1 << 2;
            let (_, message) = real.a.seal(&span, columns);
            let alpha = real.b.delta() >> (tree * depth.bits()) & ((1 << depth.bits()) - 1);
            let outcome = real.b.extend(count, &message).err();
            if alpha == 0 {
                assert_eq!(outcome, None, "tree {tree}, {depth:?}, seed {seed}");
                harmless += 1;
            } else {
                assert_eq!(outcome, Some(OtError::Check), "tree {tree}, {depth:?}, seed {seed}");
                refused += 1;
            }
        }
        assert_eq!(refused + harmless, trees - 1);
        assert!(refused > (trees - 1) / 2, "{refused} of {trees}");
    }
}

/// What A reveals about its choices is padded: the last block is handed out to nobody, and for every
/// challenge the hash is that block plus a function of the others.
#[test]
fn the_choice_hash_is_padded_by_a_sacrificed_block() {
    let mut real = Real::new(TreeDepth::Four, 37);
    let span = Span { first_block: 0, blocks: 3, first_ot: 0, count: 256 };
    let choices = real.a.columns(&span).choices.to_vec();
    let (ots, _) = real.a.extend(256).expect("the count is in range");
    assert_eq!((ots.len(), choices.len()), (256, 3));
    for (i, &c) in ots.choices().iter().enumerate() {
        assert_eq!(u128::from(c), choices[i / 128] >> (i % 128) & 1);
    }
    for chi in [0, 1, u128::MAX, rng(37).random()] {
        let without = hash_bits_vartime(&[choices[0], choices[1], 0], chi);
        assert_eq!(hash_bits_vartime(&choices, chi), without ^ choices[2], "χ = {chi:#x}");
    }
    let (_, next) = real.a.extend(1).expect("the count is in range");
    assert_eq!(next.first_block, 3);
}

/// A also adapts its hash of the choices to the wrong tree: then all other trees give it away.
#[test]
fn adapting_the_choice_hash_does_not_help() {
    let mut rng = rng(29);
    for depth in DEPTHS {
        let (mut real, mut message) = one_extension(depth, 29, 200);
        message.choice_hash ^= rng.random::<u128>() | 1;
        assert_eq!(real.b.extend(200, &message).err(), Some(OtError::Check));
    }
}

#[test]
fn replayed_and_reordered_extensions_are_refused() {
    let (mut real, first) = one_extension(TreeDepth::Four, 30, 100);
    let (_, second) = real.a.extend(100).expect("the count is in range");
    assert!(real.b.extend(100, &first).is_ok());
    let replay = OtError::OutOfStep { expected: 2, found: 0 };
    assert_eq!(real.b.extend(100, &first).err(), Some(replay));
    assert_eq!(real.b.extend(100, &second).err(), Some(OtError::Ended));

    let (mut real, _) = one_extension(TreeDepth::Four, 30, 100);
    let early = OtError::OutOfStep { expected: 0, found: 2 };
    assert_eq!(real.b.extend(100, &second).err(), Some(early));
}

#[test]
fn counts_out_of_range_or_in_disagreement_are_refused() {
    let range = OtError::Parameter { what: "number of transfers" };
    for count in [0, MAX_EXTEND + 1, usize::MAX] {
        let (mut real, message) = one_extension(TreeDepth::Eight, 31, 5);
        assert_eq!(real.a.extend(count).err(), Some(range));
        assert_eq!(real.b.extend(count, &message).err(), Some(range));
        assert!(ExtensionMessage::decode(&[], (TreeDepth::Eight, count)).is_err());
    }
    let (mut real, message) = one_extension(TreeDepth::Eight, 31, 5);
    let shape = OtError::Shape { what: "number of transfers", expected: 6, found: 5 };
    assert_eq!(real.b.extend(6, &message).err(), Some(shape));
    // A refused count uses nothing up.
    let (_, next) = real.a.extend(5).expect("the count is in range");
    assert_eq!(next.first_block, 2);
}

#[test]
fn operands_and_dimensions_out_of_range_are_refused() {
    for (rows, terms, ring) in
        [(0, 1, 62), (1, 0, 62), (1, 1, 15), (1, 1, 63), (MAX_EXTEND, 1, 62), (usize::MAX, 2, 62)]
    {
        assert!(OleShape::new(rows, terms, ring).is_err(), "{rows} × {terms}, ring {ring}");
    }
    let shape = OleShape::new(1, 2, 62).expect("valid dimensions");
    let mut real = Real::new(TreeDepth::Four, 32);
    for x in [[0, 256], [-256, 0], [i16::MIN, 0]] {
        let (a, _) = real.random_transfers(18);
        assert_eq!(ole::choose(&x, shape, a).err(), Some(OtError::Operand));
    }
    for y in [[[0, 0], [1 << 40, 0]], [[0, -(1 << 40)], [0, 0]], [[i64::MIN, 0], [0, 0]]] {
        let (a, b) = real.random_transfers(18);
        let (choices, _) = ole::choose(&[1, 2], shape, a).expect("operands are in range");
        assert_eq!(ole::respond(&y, shape, b, &choices).err(), Some(OtError::Operand));
    }
    let (a, b) = real.random_transfers(17);
    let transfers = OtError::Shape { what: "number of transfers", expected: 18, found: 17 };
    assert_eq!(ole::choose(&[1, 2], shape, a).err(), Some(transfers));
    let (a, _) = real.random_transfers(18);
    let (choices, _) = ole::choose(&[1, 2], shape, a).expect("operands are in range");
    assert_eq!(ole::respond(&[[1, 2]; 2], shape, b, &choices).err(), Some(transfers));
    let (a, _) = real.random_transfers(18);
    assert_eq!(ole::choose(&[1], shape, a).err().map(OtError::code), Some("ot-shape"));
}

#[test]
fn messages_of_another_batch_are_refused() {
    let mut real = Real::new(TreeDepth::Four, 33);
    let shape = OleShape::new(1, 2, 62).expect("valid dimensions");
    let other = OleShape::new(2, 1, 62).expect("valid dimensions");
    let (a1, b1) = real.random_transfers(18);
    let (a2, b2) = real.random_transfers(18);
    let (choices1, state1) = ole::choose(&[1, 2], shape, a1).expect("operands are in range");
    let (choices2, state2) = ole::choose(&[1, 2], other, a2).expect("operands are in range");
    // Other transfers, then another shape.
    let step = OtError::OutOfStep { expected: 18, found: 0 };
    assert_eq!(ole::respond(&[[3, 4]; 2], shape, b2, &choices1).err(), Some(step));
    let (corrections1, _) = ole::respond(&[[3, 4]; 2], shape, b1, &choices1).expect("same batch");
    assert_eq!(state2.finish(&corrections1).err().map(OtError::code), Some("ot-shape"));
    assert!(state1.finish(&corrections1).is_ok());
    let (_, b3) = real.random_transfers(18);
    assert_eq!(
        ole::respond(&[[3, 4]; 2], shape, b3, &choices2).err().map(OtError::code),
        Some("ot-shape")
    );
}

/// By design a changed OLE message is not seen by its receiver, it changes the sum: bit i of x by
/// ±2^i·y for a choice bit, 2^j for bit j of a used correction. Positions and padding are checked.
#[test]
fn changed_ole_messages_change_the_sum_as_documented() {
    let shape = OleShape::new(1, 1, 62).expect("valid dimensions");
    let (x, y) = (0b1_0101_i16, 1_000_003_i64);
    let run = |flip_choice: Option<usize>, flip_correction: Option<usize>| {
        let mut real = Real::new(TreeDepth::Four, 34);
        let (a, b) = real.random_transfers(9);
        let (choices, state) = ole::choose(&[x], shape, a).expect("operands are in range");
        let mut bytes = choices.to_bytes();
        flip_choice.into_iter().for_each(|i| bytes[8 + i / 8] ^= 1 << (i % 8));
        let choices = ChoiceBits::decode(&bytes, shape).expect("the length is right");
        let (corrections, b) = ole::respond(&[[y, 1 - y]], shape, b, &choices).expect("same batch");
        let mut bytes = corrections.to_bytes();
        flip_correction.into_iter().for_each(|j| bytes[8 + j / 8] ^= 1 << (j % 8));
        let corrections = Corrections::decode(&bytes, shape).expect("the length is right");
        let a = state.finish(&corrections).expect("same batch");
        [0, 1].map(|k| a[0][k].wrapping_add(b[0][k]) & ((1 << 62) - 1))
    };
    let sum = [y, 1 - y].map(|y| (i64::from(x) * y) as u64 & ((1 << 62) - 1));
    assert_eq!(run(None, None), sum);
    for i in 0..9 {
        assert_ne!(run(Some(i), None), sum, "choice bit {i}");
    }
    // Bit 0 of x is 1 and uses the first 62 bits of either product, bit 1 is 0 and ignores the next 61.
    for j in 0..124 {
        let (of, j) = (j / 62, j % 62);
        let found = run(None, Some(62 * of + j));
        assert_eq!(found[1 - of], sum[1 - of], "correction bit {j} of the other product");
        let off = found[of].wrapping_sub(sum[of]) & ((1 << 62) - 1);
        assert!(off == 1 << j || off == (1u64 << 62) - (1 << j), "correction bit {j}: {off:#x}");
    }
    assert_eq!(run(None, Some(124)), sum);

    let mut real = Real::new(TreeDepth::Four, 34);
    let (a, b) = real.random_transfers(9);
    let (choices, _) = ole::choose(&[x], shape, a).expect("operands are in range");
    let mut bytes = choices.to_bytes();
    bytes[9] |= 0x80;
    assert_eq!(
        ChoiceBits::decode(&bytes, shape),
        Err(DecodeError::OutOfRange { field: "choice bits" })
    );
    let (corrections, _) = ole::respond(&[[y, 1 - y]], shape, b, &choices).expect("same batch");
    let mut bytes = corrections.to_bytes();
    *bytes.last_mut().expect("not empty") |= 0x80;
    assert_eq!(
        Corrections::decode(&bytes, shape),
        Err(DecodeError::OutOfRange { field: "corrections" })
    );
}

/// Sessions of different runs share nothing: the same seed and another binding give other pads.
#[test]
fn pads_depend_on_the_binding() {
    let pads = |session| {
        let mut rng = rng(35);
        let depth = TreeDepth::Four;
        let (_, request) = ExtensionSender::start(&binding(session), depth, &mut rng);
        let (mut a, _) = ExtensionReceiver::start(&binding(session), depth, &request, &mut rng);
        a.extend(10).expect("the count is in range").0.pads().to_vec()
    };
    assert_eq!(pads(1), pads(1));
    assert!(pads(1).iter().zip(pads(2)).all(|(a, b)| *a != b));
}

/// The ideal transfers drive the real OLE as well: it needs nothing but their relation.
#[test]
fn ole_runs_on_ideal_transfers() {
    let shape = OleShape::new(1, 3, 40).expect("valid dimensions");
    let (a, b) = crate::ot::ideal::random_transfers(7, 27, &mut rng(36));
    let y = [[100, 1], [10, 0], [-1, 0]];
    let (a, b) = real_inner_products(&[3, -4, 5], &y, shape, a, b);
    assert_eq!([0, 1].map(|k| a[0][k].wrapping_add(b[0][k]) & ((1 << 40) - 1)), [255, 3]);
}

/// Messages of the lift are checked as those of the products are, and a changed one changes a value by a
/// multiple of the ring.
#[test]
fn lift_messages_are_checked() {
    let (ring, count) = (21, 9);
    let mut real = Real::new(TreeDepth::Four, 37);
    let shares = |v: u64| Zeroizing::new(vec![v; count]);
    let (a, b) = real.random_transfers(count);
    let (bits, state) = lift::choose(shares(5), ring, a).expect("one transfer a share");
    let (wraps, own) = lift::respond(&shares(7), ring, b, &bits).expect("the same batch");
    refuses(&bits.to_bytes(), count, |b, p| TopBits::decode(b, p).is_ok());
    refuses(&wraps.to_bytes(), count, |b, p| Wraps::decode(b, p).is_ok());
    let mut padded = bits.to_bytes();
    *padded.last_mut().expect("not empty") |= 0x80;
    assert_eq!(TopBits::decode(&padded, count), Err(DecodeError::OutOfRange { field: "top bits" }));
    let peer = state.finish(&wraps).expect("the same batch");
    assert!(peer.iter().zip(own.iter()).all(|(a, b)| a + b == 12));

    // Other transfers, and other numbers of them.
    let (a, b) = real.random_transfers(count);
    assert_eq!(
        lift::respond(&shares(7), ring, b, &bits).err(),
        Some(OtError::OutOfStep { expected: 9, found: 0 })
    );
    let (next, state) = lift::choose(shares(5), ring, a).expect("one transfer a share");
    assert_eq!(state.finish(&wraps).err(), Some(OtError::OutOfStep { expected: 9, found: 0 }));
    let (a, b) = real.random_transfers(count - 1);
    assert_eq!(lift::choose(shares(5), ring, a).err().map(OtError::code), Some("ot-shape"));
    assert_eq!(
        lift::respond(&shares(7), ring, b, &next).err().map(OtError::code),
        Some("ot-shape")
    );
}
