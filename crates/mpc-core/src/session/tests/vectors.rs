//! Known answers of the wire messages, written by hand from docs/SPEC.md: every kind of message, good
//! bytes and bad ones. A good vector must decode and encode to the same bytes; a bad one must give
//! exactly the stated error.

use super::super::{
    checkpoint::{ChainHash, Position},
    course::Decision,
    evaluation::{OpenedShares, ReadyToOpen},
    resume::Held,
};
use crate::{
    ot::{
        ChoiceBits, Corrections, ExtensionMessage, OleShape, SetupReply, SetupRequest, TopBits,
        TreeDepth, Wraps,
    },
    plan::PublicBounds,
    psi::{Blinded, Doubled, SetSize},
    ring::Ring,
    session::{Parameters, parameters::Schedule},
    train::masked_scores::MaskedScores,
    wire::{DecodeError, Message},
};
use paillier::ModulusBits;

/// Vectors below; a loop that ran fewer must not pass.
const COUNT: usize = 92;

/// Encodings of the generator of Ristretto and of twice it (RFC 9496, appendix A.1).
const G: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";
const G2: &str = "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919";
/// Not encodings (RFC 9496, appendix A.2): not reduced, negative, not on the curve; and the identity.
const NOT_POINTS: [&str; 4] = [
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "0000000000000000000000000000000000000000000000000000000000000000",
];

#[derive(Default)]
struct Runner {
    run: usize,
}

impl Runner {
    fn check<M: Message>(
        &mut self,
        what: &str,
        hex: &str,
        params: M::Params<'_>,
        expected: Result<(), DecodeError>,
    ) -> Option<M> {
        self.run += 1;
        let body = hex::decode(hex.replace(' ', "")).expect("vectors are hexadecimal");
        match (M::decode(&body, params), expected) {
            (Ok(message), Ok(())) => {
                assert!(message.to_bytes() == body, "{what}: encodes to other bytes");
                Some(message)
            }
            (Err(found), Err(expected)) => {
                assert_eq!(found, expected, "{what}");
                None
            }
            (found, expected) => panic!("{what}: {:?}, expected {expected:?}", found.err()),
        }
    }

    fn good<M: Message>(&mut self, what: &str, hex: &str, params: M::Params<'_>) -> M {
        self.check(what, hex, params, Ok(())).expect("good vectors decode")
    }

    fn bad<M: Message>(&mut self, what: &str, hex: &str, params: M::Params<'_>, e: DecodeError) {
        self.check::<M>(what, hex, params, Err(e));
    }
}

fn short(field: &'static str) -> DecodeError {
    DecodeError::Short { field }
}

fn range(field: &'static str) -> DecodeError {
    DecodeError::OutOfRange { field }
}

fn length(field: &'static str, expected: usize, found: usize) -> DecodeError {
    DecodeError::Length { field, expected, found }
}

const ONE_MORE: DecodeError = DecodeError::Trailing { extra: 1 };

fn parameters(v: &mut Runner) {
    // modulus_bits, epochs, batch_size, learning_rate, l2, schedule, max_steps, flags, validation; 0 and,
    // for l2, a fixed NaN mean absent.
    let absent = "000c0000 00000000 00000000 0000000000000000 000000000000f87f 00 00000000 00 \
                  0000000000000000";
    assert_eq!(v.good::<Parameters>("defaults", absent, ()), Parameters::default());
    let all = "00080000 03000000 80000000 9a9999999999b93f 7b14ae47e17a843f 02 e8030000 06 \
               9a9999999999c93f";
    let expected = Parameters {
        modulus_bits: ModulusBits::B2048,
        epochs: Some(3),
        batch_size: Some(128),
        learning_rate: Some(0.1),
        l2: Some(0.01),
        schedule: Schedule::Cosine,
        max_steps: Some(1000),
        whiten: false,
        weighted: true,
        may_stop: true,
        validation: Some(0.2),
    };
    assert_eq!(v.good::<Parameters>("all given", all, ()), expected);
    let zero = "000c0000 00000000 00000000 0000000000000000 0000000000000000 00 00000000 01 \
                0000000000000000";
    assert_eq!(v.good::<Parameters>("l2 of 0", zero, ()).l2, Some(0.0));
    for (what, bytes, error) in [
        ("empty", "", short("modulus_bits")),
        ("cut", &all[..58], short("l2")),
        ("trailing", &format!("{all}00"), ONE_MORE),
        ("1024 bits", &all.replacen("0008", "0004", 1), range("modulus_bits")),
        ("2049 bits", &all.replacen("0008", "0108", 1), range("modulus_bits")),
        ("batch of 63", &all.replacen(" 80000000", " 3f000000", 1), range("batch_size")),
        ("1001 epochs", &all.replacen("0300", "e903", 1), range("epochs")),
        ("rate above 100", &all.replacen("b93f", "5940", 1), range("learning_rate")),
        (
            "rate is a NaN",
            &all.replacen("9a9999999999b93f", "010000000000f87f", 1),
            range("learning_rate"),
        ),
        ("rate below 0", &all.replacen("b93f", "b9bf", 1), range("learning_rate")),
        (
            "another NaN as l2",
            &absent.replacen("000000000000f87f", "010000000000f87f", 1),
            range("l2"),
        ),
        ("l2 above 10", &all.replacen("843f", "2840", 1), range("l2")),
        ("an unknown schedule", &all.replacen(" 02 ", " 03 ", 1), range("schedule")),
        ("an unknown flag", &all.replacen(" 06 ", " 0e ", 1), range("flags")),
        ("validation above one half", &all.replacen("c93f", "e23f", 1), range("validation")),
    ] {
        v.bad::<Parameters>(what, bytes, (), error);
    }
}

fn bounds(v: &mut Runner) {
    // columns, flags (1 dense, 2 standardised), log2 of the column, row and energy bounds.
    let good = "0a000000 03 0f 06 04";
    let expected = PublicBounds {
        columns: 10,
        dense: true,
        standardised: true,
        column_bits: 15,
        row_bits: 6,
        energy_bits: 4,
    };
    assert_eq!(v.good::<PublicBounds>("bounds", good, ()), expected);
    for (what, bytes, error) in [
        ("cut", "0a000000 03 0f 06", short("energy_bits")),
        ("trailing", "0a000000 03 0f 06 04 00", ONE_MORE),
        ("unknown flag", "0a000000 04 0f 06 04", range("flags")),
        ("column bound", "0a000000 03 41 06 04", range("column_bits")),
        ("row bound", "0a000000 03 0f 41 04", range("row_bits")),
        ("energy bound", "0a000000 03 0f 06 ff", range("energy_bits")),
    ] {
        v.bad::<PublicBounds>(what, bytes, (), error);
    }
}

fn alignment(v: &mut Runner) {
    v.good::<SetSize>("set size", "9c600000", ());
    v.bad::<SetSize>("cut", "9c6000", (), short("set size"));
    v.bad::<SetSize>("trailing", "9c60000000", (), ONE_MORE);

    let two = [G, G2].concat();
    v.good::<Blinded>("two points", &two, 2);
    v.bad::<Blinded>("one point less", G, 2, length("blinded ids", 64, 32));
    v.bad::<Blinded>("one point more", &two, 1, length("blinded ids", 32, 64));
    v.bad::<Blinded>("cut in a point", &two[..126], 2, length("blinded ids", 64, 63));
    for point in NOT_POINTS {
        v.bad::<Blinded>(point, &[G, point].concat(), 2, range("blinded id"));
    }

    let name = "000102030405060708090a0b0c0d0e0f";
    v.good::<Doubled>("a fingerprint", name, 1);
    v.bad::<Doubled>("one missing", name, 2, length("fingerprints", 32, 16));
    v.bad::<Doubled>("cut", &name[..30], 1, length("fingerprints", 16, 15));
}

fn transfers(v: &mut Runner) {
    let request = G.repeat(256);
    v.good::<SetupRequest>("request", &request, ());
    v.bad::<SetupRequest>("request, trailing", &format!("{request}00"), (), ONE_MORE);
    v.bad::<SetupRequest>(
        "request, cut",
        &request[..request.len() - 2],
        (),
        short("base transfer point"),
    );
    let identity = [G.repeat(255).as_str(), NOT_POINTS[3]].concat();
    v.bad::<SetupRequest>("request, identity", &identity, (), range("base transfer point"));

    // 128 points, 2·128 masked sums, 2·32 leaf sums at k = 4, the digest.
    let rest = "5a".repeat(16 * (2 * 128 + 2 * 32) + 32);
    let reply = [G.repeat(128), rest].concat();
    v.good::<SetupReply>("reply", &reply, TreeDepth::Four);
    v.bad::<SetupReply>(
        "reply, cut",
        &reply[..reply.len() - 2],
        TreeDepth::Four,
        short("seed digest"),
    );
    v.bad::<SetupReply>("reply, trailing", &format!("{reply}00"), TreeDepth::Four, ONE_MORE);

    // First block 3, 5 transfers: the blocks of 15 trees at k = 8, the hash and the digest.
    let head = "0300000000000000 0500000000000000";
    let whole = |blocks: usize| format!("{head} {}", "a5".repeat(16 * 15 * blocks + 16 + 32));
    let blocks = 2;
    v.good::<ExtensionMessage>("extension", &whole(blocks), (TreeDepth::Eight, 5));
    let other = length("number of transfers", 6, 5);
    v.bad::<ExtensionMessage>("another count", &whole(blocks), (TreeDepth::Eight, 6), other);
    v.bad::<ExtensionMessage>(
        "no transfers",
        &whole(blocks),
        (TreeDepth::Eight, 0),
        range("number of transfers"),
    );
    let cut = whole(blocks);
    v.bad::<ExtensionMessage>(
        "cut",
        &cut[..cut.len() - 2],
        (TreeDepth::Eight, 5),
        short("column digest"),
    );
    v.bad::<ExtensionMessage>("trailing", &format!("{cut}00"), (TreeDepth::Eight, 5), ONE_MORE);
}

fn products(v: &mut Runner) {
    // One pair of products: 9 choice bits; two corrections each of 20, 19, …, 12 bits, 288 together.
    let shape = OleShape::new(1, 1, 20).expect("within its ranges");
    let position = "0700000000000000";
    v.good::<ChoiceBits>("choice bits", &format!("{position} ff01"), shape);
    v.bad::<ChoiceBits>("a tenth bit", &format!("{position} ff03"), shape, range("choice bits"));
    v.bad::<ChoiceBits>("cut", &format!("{position} ff"), shape, short("choice bits"));
    v.bad::<ChoiceBits>("trailing", &format!("{position} ff0100"), shape, ONE_MORE);
    v.good::<Corrections>("corrections", &format!("{position} {}", "c3".repeat(36)), shape);
    let cut = format!("{position} {}", "c3".repeat(35));
    v.bad::<Corrections>("cut", &cut, shape, short("corrections"));
    // 306 bits, two in the last byte.
    let shape = OleShape::new(1, 1, 21).expect("within its ranges");
    let padded = format!("{position} {}04", "c3".repeat(38));
    v.bad::<Corrections>("padding", &padded, shape, range("corrections"));
}

fn lifting(v: &mut Runner) {
    // Ten values: a bit each, and eight bytes each.
    let position = "0700000000000000";
    v.good::<TopBits>("top bits", &format!("{position} ff03"), 10);
    v.bad::<TopBits>("an eleventh bit", &format!("{position} ff07"), 10, range("top bits"));
    v.bad::<TopBits>("cut", &format!("{position} ff"), 10, short("top bits"));
    v.bad::<TopBits>("trailing", &format!("{position} ff0300"), 10, ONE_MORE);
    let wraps = format!("{position} {}", "ff00000000000080".repeat(10));
    v.good::<Wraps>("wraps", &wraps, 10);
    v.bad::<Wraps>("cut", &wraps[..wraps.len() - 2], 10, short("wrap correction"));
    v.bad::<Wraps>("trailing", &format!("{wraps}00"), 10, ONE_MORE);
    // Modulo 2^20, three bytes each.
    let ring = Ring::new(20).expect("a valid width");
    v.good::<MaskedScores>("masked scores", "ffff0f 000000", (ring, 2));
    v.bad::<MaskedScores>("not reduced", "ffff0f 000010", (ring, 2), range("masked score"));
    v.bad::<MaskedScores>("cut", "ffff0f 0000", (ring, 2), short("masked score"));
    v.bad::<MaskedScores>("trailing", "ffff0f 000000 00", (ring, 2), ONE_MORE);
}

fn openings(v: &mut Runner) {
    // Modulo 2^20, three bytes each.
    let ring = Ring::new(20).expect("a valid width");
    v.good::<OpenedShares>("opened shares", "ffff0f 000000", (ring, 2));
    v.bad::<OpenedShares>("not reduced", "ffff0f 000010", (ring, 2), range("opened share"));
    v.bad::<OpenedShares>("cut", "ffff0f 0000", (ring, 2), short("opened share"));
    v.bad::<OpenedShares>("trailing", "ffff0f 000000 00", (ring, 2), ONE_MORE);
}

fn resuming(v: &mut Runner) {
    // Flag, digest, oldest and newest mini-batch, openings.
    let digest = "ab".repeat(32);
    let held = |flag: &str, digest: &str, steps: &str| format!("{flag} {digest} {steps} 03000000");
    let good = held("01", &digest, "05000000 00010000");
    let expected = Held { setup: Some([0xab; 32]), steps: [5, 256], openings: 3 };
    assert_eq!(v.good::<Held>("a set-up", &good, ()), expected);
    let none = held("00", &"00".repeat(32), "00000000 00000000");
    let expected = Held { setup: None, steps: [0, 0], openings: 3 };
    assert_eq!(v.good::<Held>("no set-up", &none, ()), expected);
    let flag = range("set-up flag");
    v.bad::<Held>("another flag", &held("02", &digest, "00000000 00000000"), (), flag);
    v.bad::<Held>("a digest of none", &held("00", &digest, "00000000 00000000"), (), flag);
    let steps = "00000000 01000000";
    v.bad::<Held>("mini-batches of none", &held("00", &"00".repeat(32), steps), (), flag);
    let steps = "05000000 04000000";
    v.bad::<Held>(
        "oldest after newest",
        &held("01", &digest, steps),
        (),
        range("newest mini-batch"),
    );
    v.bad::<Held>("cut", &good[..good.len() - 2], (), short("openings"));
    v.bad::<Held>("trailing", &format!("{good}00"), (), ONE_MORE);

    let good = format!("07000000 {}", "cd".repeat(32));
    let expected = Position { step: 7, hash: ChainHash([0xcd; 32]) };
    assert_eq!(v.good::<Position>("position", &good, ()), expected);
    v.bad::<Position>("cut", &good[..good.len() - 2], (), short("chain hash"));
    v.bad::<Position>("trailing", &format!("{good}00"), (), ONE_MORE);

    assert_eq!(v.good::<ReadyToOpen>("ready", "02010000", ()), ReadyToOpen(258));
    v.bad::<ReadyToOpen>("cut", "020100", (), short("chunk"));
    v.bad::<ReadyToOpen>("trailing", "0201000000", (), ONE_MORE);
    assert!(!v.good::<Decision>("go on", "00", ()).end);
    assert!(v.good::<Decision>("end", "01", ()).end);
    v.bad::<Decision>("neither", "02", (), range("decision"));
    v.bad::<Decision>("empty", "", (), short("decision"));
    v.bad::<Decision>("trailing", "0100", (), ONE_MORE);
}

/// The chain of a job, computed by hand: two mini-batches after a set-up.
#[test]
fn the_chain_of_mini_batches_has_known_values() {
    let hash = |context: &str, parts: &[&[u8]]| {
        let mut h = blake3::Hasher::new_derive_key(context);
        parts.iter().for_each(|part| {
            h.update(part);
        });
        *h.finalize().as_bytes()
    };
    let start = hash("caesar/v1 mini-batch chain: start", &[&[1; 32]]);
    assert_eq!(ChainHash::start(&[1; 32]), ChainHash(start));
    let context = "caesar/v1 mini-batch chain";
    let first = hash(context, &[&start, &[1, 0, 0, 0], &[2; 32], &[3; 32]]);
    let second = hash(context, &[&first, &[2, 0, 0, 0], &[4; 32], &[5; 32]]);
    let chain = ChainHash(start).next(1, [[2; 32], [3; 32]]).next(2, [[4; 32], [5; 32]]);
    assert_eq!(chain, ChainHash(second));
}

#[test]
fn messages_have_known_encodings_and_bad_bytes_are_refused() {
    let mut v = Runner::default();
    for part in [parameters, bounds, alignment, transfers, products, lifting, openings, resuming] {
        part(&mut v);
    }
    assert_eq!(v.run, COUNT);
}
