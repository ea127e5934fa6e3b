use std::collections::{HashMap, HashSet, VecDeque};

use curve25519_dalek::{RistrettoPoint, Scalar};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::wire::{DecodeError, Message};

const TAG: [u8; 32] = [7; 32];

/// Everything one party sent, in order.
#[derive(Default)]
struct Sent {
    points: Vec<[u8; 32]>,
    fingerprints: Vec<Fingerprint>,
    /// Bodies as they go over the link, taken from the front by the peer.
    link: VecDeque<Vec<u8>>,
    /// The most messages that were on the link.
    most_on_link: usize,
}

impl Sent {
    fn put(&mut self, body: Vec<u8>) {
        if !body.is_empty() {
            self.link.push_back(body);
        }
        self.most_on_link = self.most_on_link.max(self.link.len());
    }

    fn count(&self) -> usize {
        self.points.len() + self.fingerprints.len()
    }

    fn take<M: for<'a> Message<Params<'a> = usize> + Default>(&mut self, expected: usize) -> M {
        match expected {
            0 => M::default(),
            n => M::decode(&self.link.pop_front().unwrap(), n).unwrap(),
        }
    }
}

/// One party of a run, stepping through bytes.
struct Party {
    result: Result<Intersection, PsiError>,
    sent: Sent,
    exponent: Scalar,
}

/// Opens both sides and exchanges sizes.
fn open<'a>(
    a: &'a [String],
    b: &'a [String],
    tag: [u8; 32],
    seeds: (u64, u64),
) -> [(Next<'a>, Scalar); 2] {
    let open =
        |ids, seed| Opening::new(ids, tag, MAX_IDS, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
    let (a, b) = (open(a, seeds.0), open(b, seeds.1));
    let exponents = [a.own.exponent.secret(), b.own.exponent.secret()];
    let size = |o: &Opening<'_>| SetSize::decode(&o.size().to_bytes(), ()).unwrap();
    let (size_a, size_b) = (size(&a), size(&b));
    let states = [a.receive_size(size_b).unwrap(), b.receive_size(size_a).unwrap()];
    let [a, b] = states.map(Next::Chunk);
    [(a, exponents[0]), (b, exponents[1])]
}

/// Messages of the peer that a party needs to end its round.
fn needed(run: &Run<'_>) -> usize {
    usize::from(run.peer_points() > 0) + usize::from(run.own_answers() > 0)
}

/// All rounds of a party that it can do without the peer doing anything more.
fn advance<'a>(mut next: Next<'a>, own: &mut Sent, peer: &mut Sent) -> Next<'a> {
    loop {
        next = match next {
            Next::Chunk(state) if needed(&state.0) <= peer.link.len() => round(state, own, peer),
            waiting_or_done => return waiting_or_done,
        };
    }
}

/// One round of one party.
fn round<'a>(blinding: Blinding<'a>, own: &mut Sent, peer: &mut Sent) -> Next<'a> {
    let (blinded, state) = blinding.blind();
    let body = blinded.to_bytes();
    own.points.extend_from_slice(body.as_chunks().0);
    own.put(body);
    let points = peer.take(state.expected());
    let (doubled, state) = state.receive(points).unwrap();
    let body = doubled.to_bytes();
    own.fingerprints.extend_from_slice(body.as_chunks().0);
    own.put(body);
    let answer = peer.take(state.expected());
    state.receive(answer).unwrap()
}

/// Runs both parties over encoded messages and records what they send. Each goes as far as it can before
/// the other goes on, so that a party never waits less, or more messages are on the link.
fn run(a: &[String], b: &[String], tag: [u8; 32], seeds: (u64, u64)) -> (Party, Party) {
    let [(mut a, exponent_a), (mut b, exponent_b)] = open(a, b, tag, seeds);
    let (mut sent_a, mut sent_b) = (Sent::default(), Sent::default());
    loop {
        let before = (sent_a.count(), sent_b.count());
        a = advance(a, &mut sent_a, &mut sent_b);
        b = advance(b, &mut sent_b, &mut sent_a);
        (a, b) = match (a, b) {
            (Next::Match(a), Next::Match(b)) => {
                assert!(sent_a.link.is_empty() && sent_b.link.is_empty(), "unread messages");
                let party = |result, sent, exponent| Party { result, sent, exponent };
                let at_a = party(a.intersect(), sent_a, exponent_a);
                return (at_a, party(b.intersect(), sent_b, exponent_b));
            }
            unfinished => unfinished,
        };
        assert_ne!(before, (sent_a.count(), sent_b.count()), "both wait");
    }
}

fn ids(range: Range<usize>) -> Vec<String> {
    range.map(|i| format!("id-{i}")).collect()
}

/// Two sets of random ids of which some are common, each in its own order.
fn random_sets(common: usize, only_a: usize, only_b: usize, seed: u64) -> [Vec<String>; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut seen = HashSet::new();
    let mut draw = |n: usize| -> Vec<String> {
        let mut out = Vec::new();
        while out.len() < n {
            // Mixed lengths and scripts, so that sorting by code point is not trivial.
            let id = match rng.random_range(0..3) {
                0 => format!("{}", rng.random_range(0..u32::MAX)),
                1 => format!("é{:x}", rng.random_range(0..u64::MAX)),
                _ => format!("\u{1F600}{}", rng.random_range(0..u32::MAX)),
            };
            if seen.insert(id.clone()) {
                out.push(id);
            }
        }
        out
    };
    let (both, mut a, mut b) = (draw(common), draw(only_a), draw(only_b));
    a.extend(both.iter().cloned());
    b.extend(both);
    a.shuffle(&mut rng);
    b.shuffle(&mut rng);
    [a, b]
}

#[test]
fn both_sides_get_exactly_the_common_ids_in_one_order() {
    let cases = [
        (1, 0, 0),
        (5, 3, 0),
        (40, 17, 60),
        (1, CHUNK, 0),
        (CHUNK, 0, 0),
        (100, CHUNK - 99, 2 * CHUNK),
        // Longer than the window, and on one side only.
        (2, (3 * AHEAD + 1) * CHUNK - 1, 0),
    ];
    for (seed, (common, only_a, only_b)) in (0..).zip(cases) {
        let [a, b] = random_sets(common, only_a, only_b, seed);
        let (at_a, at_b) = run(&a, &b, TAG, (seed + 100, seed + 200));
        // 2·AHEAD rounds: of A its chunks and the one answer, of B answers only.
        if only_a > 3 * AHEAD * CHUNK {
            assert_eq!(at_a.sent.most_on_link, 2 * AHEAD + 1);
            assert_eq!(at_b.sent.most_on_link, 2 * AHEAD);
        }
        let (at_a, at_b) = (at_a.result.unwrap(), at_b.result.unwrap());

        let in_b: HashSet<&String> = b.iter().collect();
        let mut expected: Vec<&String> = a.iter().filter(|id| in_b.contains(id)).collect();
        expected.sort_by(|x, y| x.chars().cmp(y.chars()));
        let named = |rows: &[usize], of: &[String]| -> Vec<String> {
            rows.iter().map(|&row| of[row].clone()).collect()
        };
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(named(&at_a.rows, &a), expected, "A, seed {seed}");
        assert_eq!(named(&at_b.rows, &b), expected, "B, seed {seed}");
        assert_eq!((at_a.peer_ids, at_b.peer_ids), (b.len(), a.len()), "seed {seed}");
        assert_eq!(at_a.sha256, at_b.sha256, "seed {seed}");
        assert_eq!(at_a.sha256, ids_sha256(expected.iter().map(String::as_str)), "seed {seed}");
    }
}

#[test]
fn digest_is_sha256_of_lines() {
    // sha256sum of "a\nb\n".
    let sha256 = ids_sha256(["a", "b"]);
    let result = Intersection { rows: vec![0, 1], peer_ids: 2, sha256 };
    assert_eq!(
        result.sha256_hex(),
        "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
    );
}

/// All values of a transcript, as byte strings.
fn values(sent: &Sent) -> HashSet<Vec<u8>> {
    let points = sent.points.iter().map(|p| p.to_vec());
    points.chain(sent.fingerprints.iter().map(|f| f.to_vec())).collect()
}

/// Catches a fixed or reused exponent: then the same id would be the same point in two runs, and
/// non-common ids could be followed from the training run to the test run.
#[test]
fn no_value_of_a_run_occurs_in_another_run() {
    let (a, b) = (ids(0..50), ids(25..75));
    let (a1, b1) = run(&a, &b, TAG, (1, 2));
    let (a2, b2) = run(&a, &b, TAG, (3, 4));
    for (first, second) in [(&a1, &a2), (&b1, &b2), (&a1, &b2), (&b1, &a2)] {
        let (first, second) = (values(&first.sent), values(&second.sent));
        assert_eq!(first.intersection(&second).count(), 0, "a value was sent in two runs");
    }
    let exponents = HashSet::from([a1, a2, b1, b2].map(|party| party.exponent.to_bytes()));
    assert_eq!(exponents.len(), 4, "an exponent was used twice");
}

/// Catches a tag that does not enter the hashes: even with the very same secrets (a generator that
/// was rolled back) nothing of one session may occur in another.
#[test]
fn every_value_depends_on_the_tag() {
    let (a, b) = (ids(0..50), ids(25..75));
    let (a1, b1) = run(&a, &b, TAG, (1, 2));
    let mut other = TAG;
    other[31] ^= 1;
    let (a2, b2) = run(&a, &b, other, (1, 2));
    assert_eq!(a1.exponent, a2.exponent, "the test must repeat the secrets");
    for (first, second) in [(&a1, &a2), (&b1, &b2)] {
        let (first, second) = (values(&first.sent), values(&second.sent));
        assert_eq!(first.intersection(&second).count(), 0, "a value does not depend on the tag");
    }
    // Fingerprints on their own: the same point under two tags.
    let point = element(5);
    assert_ne!(Hashing::new(TAG).fingerprint(&point), Hashing::new(other).fingerprint(&point));
}

/// What a party sees of the other's ids must not let it test whether an id of its choice is among
/// them, unless the id is its own: catches a hash that is sent unblinded, or blinded with an exponent
/// that the receiver knows.
#[test]
fn a_view_tests_no_id_that_the_viewer_does_not_hold() {
    let (a, b) = (ids(0..60), ids(40..100));
    let (at_a, at_b) = run(&a, &b, TAG, (11, 12));
    let hashing = Hashing::new(TAG);
    // All that A can derive for an id of a dictionary that holds all of B's: the hash and powers it
    // has exponents for, each as a point and as a fingerprint. B's view is the same with roles swapped.
    for (viewer, other, dictionary) in [(&at_a, &at_b, &b), (&at_b, &at_a, &a)] {
        let own = viewer.exponent;
        let seen = values(&other.sent);
        let exponents = [Scalar::ONE, own, own.invert(), own * own, Scalar::from(2u64), -own];
        for (id, exponent) in dictionary.iter().flat_map(|id| exponents.map(|e| (id, e))) {
            let point = hashing.to_group(id) * exponent;
            assert!(!seen.contains(point.compress().as_bytes().as_slice()), "{id} as a point");
            let answer = hashing.fingerprint(&Element::of(point));
            assert!(!seen.contains(answer.as_slice()), "{id} in an answer");
        }
        // The one test that works: an own id, through the answers. It must find the common ids only.
        let answers: HashSet<Fingerprint> = other.sent.fingerprints.iter().copied().collect();
        let doubled = viewer.sent.fingerprints.iter().filter(|f| answers.contains(*f)).count();
        assert_eq!(doubled, 20, "matches in a view");
    }
    for (party, own_ids) in [(at_a, &a), (at_b, &b)] {
        for row in party.result.unwrap().rows {
            let number: usize = own_ids[row].trim_start_matches("id-").parse().unwrap();
            assert!((40..60).contains(&number), "a non-common id is in the result");
        }
    }
}

/// Catches points sent in file order: the receiver would see at which rows the common ids stand.
#[test]
fn points_are_sent_in_a_random_order() {
    let a = ids(0..1000);
    let mut orders = Vec::new();
    for seed in 0..3 {
        let (at_a, _) = run(&a, &ids(0..1), TAG, (seed, 99));
        let hashing = Hashing::new(TAG);
        let row_of: HashMap<[u8; 32], usize> = (0..a.len())
            .map(|row| ((hashing.to_group(&a[row]) * at_a.exponent).compress().to_bytes(), row))
            .collect();
        let order: Vec<usize> = at_a.sent.points.iter().map(|point| row_of[point]).collect();
        // A random permutation has one fixed point on average; more than 12 has probability 1e-10.
        let fixed = order.iter().enumerate().filter(|&(k, &row)| k == row).count();
        assert!(fixed <= 12, "{fixed} of 1000 ids are sent at their own row, seed {seed}");
        // Ascents of a random permutation: mean 499.5, deviation 9.1; 70 away is 7.6 deviations.
        let ascents = order.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!(ascents.abs_diff(500) < 70, "{ascents} ascents, seed {seed}");
        orders.push(order);
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2], "the order is the same in two runs");
}

/// Chi-squared over all 24 orders of 4 rows: 23 degrees of freedom, above 71 with probability 8e-7.
#[test]
fn order_is_uniform() {
    let seed = 5;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut seen: HashMap<Vec<u32>, f64> = HashMap::new();
    let draws = 24_000;
    for _ in 0..draws {
        *seen.entry(Order::random(4, &mut rng).0.to_vec()).or_default() += 1.0;
    }
    let expected = f64::from(draws) / 24.0;
    let chi2: f64 = seen.values().map(|count| (count - expected).powi(2) / expected).sum();
    assert!(seen.len() == 24 && chi2 < 71.0, "chi2 {chi2}, seed {seed}");
}

/// Catches answers that are sorted or shuffled (no match could be found, or it would be a wrong one)
/// and fingerprints that say more than the doubly encrypted point.
#[test]
fn answers_keep_the_order_received() {
    let (at_a, at_b) = run(&ids(0..30), &ids(10..50), TAG, (21, 22));
    let hashing = Hashing::new(TAG);
    for (asker, answerer) in [(&at_a, &at_b), (&at_b, &at_a)] {
        for (point, fingerprint) in asker.sent.points.iter().zip(&answerer.sent.fingerprints) {
            let point = curve25519_dalek::ristretto::CompressedRistretto(*point);
            let doubled = point.decompress().unwrap() * answerer.exponent;
            assert_eq!(hashing.fingerprint(&Element::of(doubled)), *fingerprint);
        }
    }
}

#[test]
fn an_empty_intersection_is_an_error_with_a_hint() {
    let (at_a, at_b) = run(&ids(0..10), &ids(10..15), TAG, (1, 2));
    for error in [at_a.result.unwrap_err(), at_b.result.unwrap_err()] {
        assert_eq!(error.code(), "psi.empty_intersection");
        assert!(error.hint().contains("leading zeros"));
    }
}

#[test]
fn own_sets_are_checked_before_anything_is_sent() {
    let open = |ids: &[String], max| {
        Opening::new(ids, TAG, max, &mut ChaCha20Rng::seed_from_u64(1)).unwrap_err().code()
    };
    assert_eq!(open(&[], 10), "psi.no_ids");
    assert_eq!(open(&ids(0..11), 10), "psi.too_many_ids");
    assert_eq!(open(&["a".into(), String::new()], 10), "data.empty_id");
    assert_eq!(open(&["a".into(), "a".into()], 10), "data.duplicate_ids");
}

#[test]
fn announced_sizes_are_limited() {
    let own = ids(0..3);
    let receive = |size| {
        Opening::new(&own, TAG, 10, &mut ChaCha20Rng::seed_from_u64(1))
            .unwrap()
            .receive_size(SetSize(size))
            .map(|state| state.peer_ids())
            .map_err(|error| error.code())
    };
    assert_eq!(receive(0), Err("psi.peer_no_ids"));
    assert_eq!(receive(11), Err("psi.peer_too_many_ids"));
    assert_eq!(receive(u32::MAX), Err("psi.peer_too_many_ids"));
    assert_eq!(receive(10), Ok(10));
}

/// 2^255 − 19, the field's prime, little-endian: its residue 0 in a second, non-canonical encoding.
fn field_prime() -> [u8; 32] {
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xed, 0x7f);
    bytes
}

#[test]
fn malformed_messages_are_refused() {
    let good = RistrettoPoint::mul_base(&Scalar::from(9u64)).compress().to_bytes();
    let mut negative = good;
    negative[0] |= 1;
    let out_of_range = Err(DecodeError::OutOfRange { field: "blinded id" });
    let vectors: [(&str, [u8; 32]); 5] = [
        ("identity", [0; 32]),
        ("the identity, not reduced", field_prime()),
        ("negative", negative),
        ("top bit set", std::array::from_fn(|i| if i == 31 { good[31] | 0x80 } else { good[i] })),
        ("all ones", [0xff; 32]),
    ];
    let mut refused = 0;
    for (name, bad) in vectors {
        for body in [[bad, good], [good, bad]] {
            assert_eq!(Blinded::decode(body.as_flattened(), 2), out_of_range, "{name}");
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
    assert!(Blinded::decode(&good, 1).is_ok());

    let length = |expected, found| DecodeError::Length { field: "blinded ids", expected, found };
    assert_eq!(Blinded::decode(&good[..31], 1), Err(length(32, 31)));
    assert_eq!(Blinded::decode(&[good, good].concat(), 1), Err(length(32, 64)));
    assert_eq!(Blinded::decode(&good, 0), Err(length(0, 32)));
    assert_eq!(Blinded::decode(&good, usize::MAX).unwrap_err(), length(usize::MAX, 32));
    assert!(Doubled::decode(&[0; 32], 2).is_ok());
    assert!(Doubled::decode(&[0; 33], 2).is_err());
    assert!(Doubled::decode(&[0; 16], 2).is_err());
    assert!(SetSize::decode(&[0; 3], ()).is_err());
    assert!(SetSize::decode(&[0; 5], ()).is_err());
}

fn element(k: u64) -> Element {
    Element::of(RistrettoPoint::mul_base(&Scalar::from(k)))
}

/// The state after so many rounds in which nothing is due.
fn idle(mut next: Next<'_>, rounds: usize) -> Blinding<'_> {
    for _ in 0..rounds {
        let Next::Chunk(state) = next else { panic!("nothing was received") };
        let (_, state) = state.blind().1.receive(Blinded::default()).unwrap();
        next = state.receive(Doubled::default()).unwrap();
    }
    match next {
        Next::Chunk(state) => state,
        Next::Match(_) => panic!("nothing was received"),
    }
}

#[test]
fn counts_and_repeats_are_checked_by_the_states() {
    let own = ids(0..2);
    let start = || {
        let opening = Opening::new(&own, TAG, 10, &mut ChaCha20Rng::seed_from_u64(3)).unwrap();
        let state = Next::Chunk(opening.receive_size(SetSize(2)).unwrap());
        idle(state, AHEAD).blind().1
    };
    for wrong in [vec![], vec![element(1)], vec![element(1); 3]] {
        assert_eq!(start().receive(Blinded(wrong)).unwrap_err().code(), "psi.malformed");
    }
    let answered = |points: [u64; 2]| {
        let (_, wait) = start().receive(Blinded(points.map(element).to_vec())).unwrap();
        let next = wait.receive(Doubled::default()).unwrap();
        idle(next, AHEAD - 1).blind().1.receive(Blinded::default()).unwrap().1
    };
    for wrong in [vec![], vec![[1; 16]], vec![[1; 16]; 3]] {
        assert_eq!(answered([1, 2]).receive(Doubled(wrong)).unwrap_err().code(), "psi.malformed");
    }

    let finish = |points: [u64; 2], answers: [u8; 2]| {
        let answers = Doubled(answers.map(|a| [a; 16]).to_vec());
        match answered(points).receive(answers).unwrap() {
            Next::Match(matching) => matching.intersect().unwrap_err().code(),
            Next::Chunk(_) => panic!("all ids were exchanged"),
        }
    };
    assert_eq!(finish([1, 1], [1, 2]), "psi.repeated_point");
    assert_eq!(finish([1, 2], [1, 1]), "psi.repeated_point");
    assert_eq!(finish([1, 2], [1, 2]), "psi.empty_intersection");
}

/// Catches a party that waits for an answer, or for the peer's chunk, before it goes on.
#[test]
fn a_party_is_ahead_of_the_other_by_the_window() {
    let own = ids(0..1);
    let [(a, _), _] = open(&own, &own, TAG, (1, 2));
    let (mut sent, mut none) = (Sent::default(), Sent::default());
    let Next::Chunk(state) = advance(a, &mut sent, &mut none) else { panic!("ended alone") };
    assert_eq!((state.0.round, state.0.peer_points(), sent.link.len()), (AHEAD, 1, 1));
}

/// Catches ids that are left out or sent twice at the end of a chunk, and an order of messages that the
/// other side does not expect.
#[test]
fn chunks_cut_every_set_once() {
    for ids in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK, 7 * CHUNK + 5, MAX_IDS] {
        let count = ids.div_ceil(CHUNK);
        let rounds = (0..count + 3).filter(|r| count < 100 || *r < 3 || *r + 3 > count);
        for round in rounds {
            let found = chunk(round, 0, ids);
            assert_eq!(found, (round * CHUNK).min(ids)..(round * CHUNK + CHUNK).min(ids));
            assert_eq!(found.is_empty(), round >= count, "{ids} ids, round {round}");
            for behind in [AHEAD, 2 * AHEAD] {
                assert_eq!(chunk(round + behind, behind, ids), found, "{ids} ids, round {round}");
                assert!(chunk(behind - 1, behind, ids).is_empty());
            }
        }
    }
}

/// Catches memory that follows what the peer announces and not what it sends.
#[test]
fn an_announced_size_takes_no_memory() {
    let own = ids(0..1);
    let opening = Opening::new(&own, TAG, MAX_IDS, &mut ChaCha20Rng::seed_from_u64(6)).unwrap();
    let state = opening.receive_size(SetSize(MAX_IDS as u32)).unwrap();
    assert_eq!(idle(Next::Chunk(state), AHEAD).0.peer_doubled.capacity(), 0);
}

/// The batch computes doubles of halves: they must be the powers and their encodings, whatever the size
/// of the batch.
#[test]
fn a_batch_is_raised_like_each_of_its_points() {
    let (hashing, rng) = (Hashing::new(TAG), &mut ChaCha20Rng::seed_from_u64(7));
    for count in [0, 1, 2, BATCH, BATCH + 1] {
        let exponent = Exponent::random(rng);
        let points: Vec<_> = (0..count).map(|i| hashing.to_group(&i.to_string())).collect();
        let raised: Vec<_> = exponent.raise(points.iter().copied()).collect();
        let expected: Vec<_> = points.iter().map(|p| Element::of(p * exponent.secret())).collect();
        assert_eq!(raised, expected, "{count} points");
    }
}

/// The exponent is twice its half modulo the group order: that of 1/2 is 1, and that of −1/2 is −1.
#[test]
fn the_exponent_is_twice_its_half() {
    let half = Scalar::from(2u64).invert();
    let point = element(11).point();
    for (half, expected) in [(half, point), (-half, -point), (Scalar::ONE, point + point)] {
        let raised = Exponent::of_half(half).raise(std::iter::once(point)).next();
        assert_eq!(raised, Some(Element::of(expected)));
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let own = ids(0..100);
    let opening = Opening::new(&own, TAG, 200, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
    let text = format!("{:?} {:?}", opening.own.exponent, opening.own.order);
    assert_eq!(text, "Exponent([redacted]) Order([redacted])");
    assert_eq!(format!("{opening:?}"), "Opening { own: Own(100 ids), max_ids: 200 }");
    let state = format!("{:?}", opening.receive_size(SetSize(9)).unwrap());
    assert!(!state.contains("id-"), "an id is in {state}");
}
