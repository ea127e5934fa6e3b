//! Known answers. All but the message digests were computed by an independent program over another
//! implementation of AES; the digests pin the encoding of whole messages of one seeded run.

use zeroize::Zeroizing;

use super::harness::{binding, over_the_wire, pairs, real_inner_products, rng};
use crate::ot::check::{hash_bits_vartime, hash_columns_vartime};
use crate::ot::crh::Crh;
use crate::ot::prg::{self, LANES, Stream};
use crate::ot::vole::Leaves;
use crate::ot::{
    ExtensionReceiver, ExtensionSender, OleShape, RandomOtsReceiver, RandomOtsSender, TreeDepth,
    ggm, lift, ole,
};
use crate::wire::Message;

const SEED: u128 = 0x000102030405060708090a0b0c0d0e0f;
const ONES: u128 = u128::MAX;

/// The tag 00 01 02 … 1f.
fn counting_tag() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

/// Tweak, input, H(tweak, input).
const HASH: [(u128, u128, u128); 5] = [
    (0, 0, 0x2151119b7645fefdf393557011a23c69),
    (1, 0, 0x09218a5f99216af3364c5034c88ebac0),
    (0, 1, 0x798ee1e74b49873ececd4b2488d356af),
    (127, 0x0123456789abcdeffedcba9876543210, 0x8c4e5cc62a2d302d96abedc576609453),
    (1 << 70, ONES, 0xd78f4150576b58c52f72dafa203df71a),
];

#[test]
fn correlation_robust_hash() {
    let crh = Crh::new(&counting_tag());
    let mut run = 0;
    for (tweak, x, expected) in HASH {
        let mut xs = [x];
        crh.hash_in_place(tweak, &mut xs);
        assert_eq!(xs, [expected], "H({tweak}, {x:#x})");
        run += 1;
    }
    assert_eq!(run, 5);
    // Longer than a batch: the tweak goes on by one for each input.
    let mut many = vec![0u128; 2 * LANES + 3];
    crh.hash_in_place(0, &mut many);
    assert_eq!(many[..2], [HASH[0].2, HASH[1].2]);
    for (i, h) in many.iter().enumerate() {
        let mut one = [0];
        crh.hash_in_place(i as u128, &mut one);
        assert_eq!(*h, one[0], "input {i}");
    }
}

/// Seed, children, stream key, leaf check.
const NODES: [(u128, [u128; 2], u128, [u128; 2]); 3] = [
    (
        0,
        [0x2e2b34ca59fa4c883b2c8aefd44be966, 0xd30f8ef52bbfbb59f06f1de916187147],
        0x81a2622436eaaceb8580adeaa776f1bc,
        [0x1448c303455b61f436a3d52e7769fc4f, 0x414003745c375014e17d3a61fb12acba],
    ),
    (
        SEED,
        [0x0d77fa0aff8de9636e388c91211331e5, 0xa7e7bcdacbdd48a8c91bd6b8661877b6],
        0x961954d575e1fadc106169e912f0e190,
        [0x5d8356058b9ca98c8f965fe5a426fab7, 0x3c806bd82bdb6c96d281de38e73b34b3],
    ),
    (
        ONES,
        [0x2cc9bf3845486489cd5f7d878c25f6a1, 0x011c00995b40f238e217f08494b26020],
        0xaa489d77d4813a1a3b12059994a7c242,
        [0x6f9e14374d15f805e78ca891eca7bcdb, 0xb1e1359e5c225f84402701c2c354800b],
    ),
];

/// Key, block number, block.
const STREAMS: [(u128, u64, u128); 3] = [
    (0, 0, 0x2e2b34ca59fa4c883b2c8aefd44be966),
    (SEED, 1, 0xa7e7bcdacbdd48a8c91bd6b8661877b6),
    (ONES, u64::MAX, 0xaa87863959829b9975ff6eb4270d8413),
];

#[test]
fn generators() {
    let mut run = 0;
    for (seed, children, key, check) in NODES {
        assert_eq!(prg::children(seed), children, "seed {seed:#x}");
        assert_eq!(prg::leaf(seed), (key, check), "seed {seed:#x}");
        run += 1;
    }
    for (key, number, block) in STREAMS {
        let mut out = [0; 2 * LANES];
        Stream::new(key).read(number, &mut [[0; 16]; LANES], &mut out);
        assert_eq!(prg::join(out[0], out[1]), block, "key {key:#x}, block {number}");
        run += 1;
    }
    assert_eq!(run, 6);
}

/// What a tree of given depth and root must yield, its columns taken at stream block 5.
struct TreeVector {
    depth: usize,
    root: u128,
    last_sums: [u128; 2],
    second_key: u128,
    leaf_sum: [u128; 2],
    u: u128,
    first_column: u128,
    last_column: u128,
}

const TREES: [TreeVector; 2] = [
    TreeVector {
        depth: 4,
        root: SEED,
        last_sums: [0x9f2a551a2b02cb6c3eb80f4ea19381fa, 0xda4e70ba8dbc7660afb56e79415d5ff5],
        second_key: 0xf0845911332fb90ee0f6deb5d1444a37,
        leaf_sum: [0xefdcd6488afc960eba6682635b7e3656, 0xd6df6e8a90ba81e286d1849137ed45e7],
        u: 0x1bfabd7f061d557424e3076bae0823e9,
        first_column: 0x4c36697e02264ec0368e7f4a54a8767b,
        last_column: 0x40e3c960d0823b4bbc90276d3761828a,
    },
    TreeVector {
        depth: 8,
        root: ONES,
        last_sums: [0xc07c02059251970f6ae0c4b1bd4a7541, 0xa02e495855d430510234c5edca4fd50c],
        second_key: 0xd42911d91491f54fb0d4ff4084693cef,
        leaf_sum: [0xb3b3e4dc37f77a987c8940acc2cc1c93, 0x9cceab87c8ec93bb849dcbec60886e4a],
        u: 0x1dfa9182d5f6d21dccb2dcb9743b3233,
        first_column: 0xa842db955a826e67ae2d1f831aa3fae6,
        last_column: 0xa4172153f6ba019e42cddad6704c6a8e,
    },
];

/// The vectors fix the owner's tree; for each α the other side must rebuild the same checks and get
/// columns w = v ⊕ α·u.
#[test]
fn trees_and_their_columns() {
    let mut run = 0;
    for t in TREES {
        let mut checks = Vec::new();
        let tree = ggm::grow(t.depth, t.root, &mut checks);
        assert_eq!(tree.level_sums.last(), Some(&t.last_sums));
        assert_eq!((tree.keys[1], tree.leaf_sum), (t.second_key, t.leaf_sum));
        let mut planes = [[0u128; 128]; 1];
        let u = Leaves::complete(&tree.keys).fill(5, 8, &mut planes);
        assert_eq!(*u, [t.u]);
        assert_eq!((planes[0][8], planes[0][7 + t.depth]), (t.first_column, t.last_column));
        assert!(planes[0][..8].iter().chain(&planes[0][8 + t.depth..]).all(|&c| c == 0));

        for alpha in (0..1u16 << t.depth).map(|a| a as u8) {
            let sums: Vec<u128> = tree
                .level_sums
                .iter()
                .enumerate()
                .map(|(level, sums)| sums[usize::from(alpha >> level & 1 ^ 1)])
                .collect();
            let mut rebuilt = Vec::new();
            let keys = ggm::rebuild(alpha, &sums, &t.leaf_sum, &mut rebuilt);
            assert_eq!(rebuilt, checks, "α = {alpha}");
            for y in 1..keys.len() {
                assert_eq!(keys[y], tree.keys[y ^ usize::from(alpha)], "α = {alpha}, y = {y}");
            }
            assert_ne!(keys[0], tree.keys[usize::from(alpha)], "the missing leaf is known");
            let mut other = [[0u128; 128]; 1];
            Leaves::punctured(&keys).fill(5, 8, &mut other);
            for bit in 0..t.depth {
                let expected = planes[0][8 + bit] ^ if alpha >> bit & 1 == 1 { t.u } else { 0 };
                assert_eq!(other[0][8 + bit], expected, "α = {alpha}, bit {bit}");
            }
        }
        run += 1;
    }
    assert_eq!(run, 2);
}

/// Blocks, χ, hash.
const CHECKS: [([u128; 3], u128, u128); 4] = [
    ([1, 2, 3], 0, 3),
    ([1, 2, 3], 1, 0),
    ([1, 2, 3], 2, 3),
    (
        [ONES, 1 << 127, 0x0123456789abcdeffedcba9876543210],
        0xdeadbeef00000000123456789abcdef1,
        0xa1530306723405a25019184c00b07cdd,
    ),
];

#[test]
fn consistency_hash() {
    let mut run = 0;
    for (blocks, chi, expected) in CHECKS {
        assert_eq!(hash_bits_vartime(&blocks, chi), expected, "χ = {chi:#x}");
        // The same column at place 77 of the matrix form.
        let rows: Vec<u128> =
            blocks.iter().flat_map(|block| (0..128).map(move |r| (block >> r & 1) << 77)).collect();
        let hashed = hash_columns_vartime(&rows, chi);
        for (r, word) in hashed.iter().enumerate() {
            assert_eq!(*word, (expected >> r & 1) << 77, "χ = {chi:#x}, bit {r}");
        }
        run += 1;
    }
    assert_eq!(run, 4);
}

/// One product −200 · 123456789 in a ring of 62 bits, on pads H(2j + c, 7) with choice j mod 2.
#[test]
fn one_product() {
    let pads: Vec<[u128; 2]> = (0..9)
        .map(|j| {
            let mut pair = [7; 2];
            Crh::new(&counting_tag()).hash_in_place(2 * j, &mut pair);
            pair
        })
        .collect();
    let transfers = || {
        let choices: Vec<u8> = (0..9).map(|j| j % 2).collect();
        let chosen = pads.iter().zip(&choices).map(|(p, &c)| p[usize::from(c)]).collect();
        (
            RandomOtsReceiver::new(0, Zeroizing::new(choices), Zeroizing::new(chosen)),
            RandomOtsSender::new(0, Zeroizing::new(pads.clone())),
        )
    };
    let shape = OleShape::new(1, 1, 62).expect("valid dimensions");
    let (a, b) = transfers();
    let (choices, _) = ole::choose(&[-200], shape, a).expect("in range");
    let (corrections, _) =
        ole::respond(&[[123_456_789, -5]], shape, b, &choices).expect("in range");
    let expected = [
        "00000000000000009201",
        "00000000000000002a5801d87782c548a49cd0119008bcf190edf236880997c35c98bb619979f7e3495240b756316e6\
         a0673be3a03b11fd726b339575db623c9cc6f5c9c17e77202920f6e5aa30438a4bb97634271859dee622e1577471f5\
         7c45dfb5162e0b8d28a7ccbfed4614e50ff64f6f987ae94a79b66ff758e3a4ff3e7f7daa399a6a35cfea38a03",
    ];
    assert_eq!(
        [hex::encode(choices.to_bytes()), hex::encode(corrections.to_bytes())],
        expected.map(str::to_owned)
    );
    let (a, b) = transfers();
    let shares = real_inner_products(&[-200], &[[123_456_789, -5]], shape, a, b);
    let (a, b) =
        ([0x2ae46db52b121307, 3233649343229331018], [0x151b92451535b491, 1378036675198057886]);
    assert_eq!(shares, (vec![a], vec![b]));
    assert_eq!((a[1] + b[1]) & ((1 << 62) - 1), 1000);
}

/// The lift of 12 = 5 + 7 and of 7 = (2^21 − 3) + 10 in a ring of 21 bits, on the same pads. A's shares by
/// hand: the low 64 bits of the pad that A holds are c, minus 2^21 of them its share in the integers.
#[test]
fn two_lifted_values() {
    let pads: Vec<[u128; 2]> = (0..2)
        .map(|j| {
            let mut pair = [7; 2];
            Crh::new(&counting_tag()).hash_in_place(2 * j, &mut pair);
            pair
        })
        .collect();
    let (a, b) = ([5u64, (1 << 21) - 3], [7u64, 10]);
    // A chooses 0 and 1; its top bits are 0 and 1, so it sends zeros and needs pads 0 and 1.
    let chosen = Zeroizing::new(vec![pads[0][0], pads[1][1]]);
    let ots_a = RandomOtsReceiver::new(0, Zeroizing::new(vec![0, 1]), chosen);
    let ots_b = RandomOtsSender::new(0, Zeroizing::new(pads.clone()));
    let (bits, state) = lift::choose(Zeroizing::new(a.to_vec()), 21, ots_a).expect("in range");
    assert_eq!(hex::encode(bits.to_bytes()), "000000000000000000");
    let (wraps, of_b) = lift::respond(&b, 21, ots_b, &bits).expect("the same batch");
    let low = |pad: u128| pad as u64;
    let corrections: Vec<u8> = pads
        .iter()
        .flat_map(|[zero, one]| low(*zero).wrapping_add(1).wrapping_sub(low(*one)).to_le_bytes())
        .collect();
    assert_eq!(wraps.to_bytes(), [&[0; 8], &corrections[..]].concat());
    let of_a = state.finish(&wraps).expect("the same batch");
    assert_eq!(of_a[0], 5 - (i128::from(low(pads[0][0])) << 21));
    assert_eq!(of_a[1], (1 << 21) - 3 - (i128::from(low(pads[1][0]) + 1) << 21));
    assert_eq!([of_a[0] + of_b[0], of_a[1] + of_b[1]], [12, 7]);
}

/// BLAKE3 of the request, the reply, an extension of 500, the choice bits and the corrections.
const MESSAGES: [(TreeDepth, [&str; 5]); 2] = [
    (
        TreeDepth::Four,
        [
            "292e4ed6a440dc4264b3a778f459b59876d3cabe1b3b901105806ee990f8adb4",
            "43094d1ffb9d44b60570acca4ce8f9b5e9f0e44013ae5090df0a687f66c4782c",
            "63f86c15f67009ca7a25250b833c59141a073a29d38cfe666d5c1a8179bdd035",
            "03161d707a7995ef79f8d471bff7ed1981dc8e30ab2eec85bcfaa02f6a77b094",
            "f386a321280b47157bc7362780acd9f4e3e69e40ba7766f85a317d9b1db140c3",
        ],
    ),
    (
        TreeDepth::Eight,
        [
            "67a5a0024ae5d63dedd11955ff8b5552d5f770689ede6050b7308ecdedc9b71f",
            "0ee5e0d910f842519c6f648fa44171afb352974b1ea7d8e34b97ada574b8ee71",
            "b0753d18a633a887c9e08184e67088244e3db63bff577d8b671516493962b0d2",
            "ecba2c7a68e7651371125e776de76e4868eab80ddd19884d6ba02ff0029b4231",
            "455f2b48965bd4b670eb3bdca58ffb082baf023983ff1d3972412f0fcdbea5cd",
        ],
    ),
];

#[test]
fn messages_of_a_seeded_run() {
    let mut run = 0;
    for (depth, expected) in MESSAGES {
        let mut rng = rng(51);
        let (waiting, request) = ExtensionSender::start(&binding(9), depth, &mut rng);
        let (mut a, reply) = ExtensionReceiver::start(&binding(9), depth, &request, &mut rng);
        let mut b = waiting.finish(&over_the_wire(&reply, depth)).expect("A is honest");
        let (mut ots_a, extension) = a.extend(500).expect("the count is in range");
        let mut ots_b = b.extend(500, &extension).expect("A is honest");
        let shape = OleShape::new(3, 2, 62).expect("valid dimensions");
        let (ots_a, ots_b) = (ots_a.take(54).expect("enough"), ots_b.take(54).expect("enough"));
        let (choices, _) = ole::choose(&[1, -2, 3, -4, 5, -255], shape, ots_a).expect("in range");
        let y = pairs(&[7, -8, 9, -10, 11, 1 << 39]);
        let (corrections, _) = ole::respond(&y, shape, ots_b, &choices).expect("in range");
        let bytes = [
            request.to_bytes(),
            reply.to_bytes(),
            extension.to_bytes(),
            choices.to_bytes(),
            corrections.to_bytes(),
        ];
        for (bytes, expected) in bytes.iter().zip(expected) {
            let digest = blake3::hash(bytes).to_hex();
            assert_eq!(digest.as_str(), expected, "message {run}, {depth:?}");
            run += 1;
        }
    }
    assert_eq!(run, 10);
}
