//! Commit-then-reveal, and the comparison of transcripts at the end: without keys, so quick.

use super::{super::seed, *};
use crate::session::seed::SharedSeed;

const SOON: Duration = Duration::from_millis(300);

/// Both sides' seeds from their generators' seeds, with A's messages seen by an interceptor.
fn seeds(
    job: u8,
    own: [u64; 2],
    interceptor: Interceptor,
) -> [Result<SharedSeed, SessionError>; 2] {
    let (mut link_a, mut link_b) = MemoryLink::pair(SOON);
    link_a.intercept(interceptor);
    let end = |link: &mut MemoryLink, role, seed| {
        let mut channel = Channel::new(link, role);
        seed::exchange(&mut channel, &[job; 16], &mut ChaCha20Rng::seed_from_u64(seed))
    };
    thread::scope(|s| {
        let a = s.spawn(move || end(&mut link_a, Role::FeatureHolder, own[0]));
        let b = s.spawn(move || end(&mut link_b, Role::LabelHolder, own[1]));
        [a.join().unwrap(), b.join().unwrap()]
    })
}

#[test]
fn both_sides_and_the_job_enter_the_seed() {
    let honest = |job, own| {
        let [a, b] = seeds(job, own, Box::new(|_, _| {})).map(|end| end.ok().unwrap());
        assert_eq!((a.session, a.rows), (b.session, b.rows));
        assert_ne!(a.session, a.rows);
        [a.session, a.rows]
    };
    // Every two of the first three runs have one nonce in common.
    let runs = [(1, [100, 101]), (1, [100, 102]), (1, [101, 102]), (2, [100, 101])];
    let runs = runs.map(|(job, own)| honest(job, own)).concat();
    for (i, x) in runs.iter().enumerate() {
        assert!(!runs[..i].contains(x), "two seeds are equal");
    }
}

#[test]
fn a_seed_other_than_the_committed_one_is_refused() {
    let flip: fn(&mut Vec<u8>) = |b| b[31] ^= 1;
    for nth in 0..2 {
        let [_, b] = seeds(1, [102, 103], change(Step::Seed, nth, flip));
        let error = b.err().expect("B notices");
        assert_eq!((error.code(), error.step()), ("peer.bad_message", Some(Step::Seed)), "{nth}");
        assert!(error.to_string().contains("commitment"), "{nth}: {error}");
    }
}

/// B runs the exchange against `a`, which plays A by hand.
fn against<T>(a: impl FnOnce(&mut MemoryLink) -> T) -> (T, Result<SharedSeed, SessionError>) {
    let (mut link_a, mut link_b) = MemoryLink::pair(SOON);
    thread::scope(|s| {
        let b = s.spawn(move || {
            let mut channel = Channel::new(&mut link_b, Role::LabelHolder);
            seed::exchange(&mut channel, &[1; 16], &mut ChaCha20Rng::seed_from_u64(104))
        });
        let seen = a(&mut link_a);
        (seen, b.join().unwrap())
    })
}

#[test]
fn a_peer_that_repeats_this_sides_commitment_is_refused() {
    // With equal nonces the seed would be one that the peer can make come out the same again.
    let ((), b) = against(|link| {
        for _ in 0..2 {
            let own = link.receive(Step::Seed, 32).unwrap();
            link.send(Step::Seed, own).unwrap();
        }
    });
    assert_eq!(b.err().expect("B notices").code(), "peer.bad_message");
}

#[test]
fn nothing_is_revealed_before_the_peer_has_committed() {
    let (early, b) = against(|link| {
        link.receive(Step::Seed, 32).expect("the commitment");
        link.receive(Step::Seed, 32)
    });
    assert!(early.is_err(), "the nonce came before A had committed");
    assert!(b.is_err());
}

/// One message each way, then the comparison; A's messages are seen by an interceptor.
fn finished(interceptor: Interceptor) -> [Result<(), SessionError>; 2] {
    let (mut link_a, mut link_b) = MemoryLink::pair(SOON);
    link_a.intercept(interceptor);
    let end = |link: &mut MemoryLink, role| {
        let mut observer = NoObserver;
        let mut channel = Channel::new(link, role);
        channel.send(Step::Forward, vec![1, 2, 3]).unwrap();
        channel.receive(Step::Forward, 3).unwrap();
        finish(&mut channel, &mut Work::new(&mut observer, 1, 1))
    };
    thread::scope(|s| {
        let a = s.spawn(move || end(&mut link_a, Role::FeatureHolder));
        let b = s.spawn(move || end(&mut link_b, Role::LabelHolder));
        [a.join().unwrap(), b.join().unwrap()]
    })
}

#[test]
fn transcripts_that_differ_end_the_run() {
    assert!(finished(Box::new(|_, _| {})).iter().all(Result::is_ok));
    let changes: [fn(&mut Vec<u8>); 2] = [|b| b[2] ^= 0x80, |b| b.truncate(2)];
    for how in changes {
        for end in finished(change(Step::Forward, 0, how)) {
            let error = end.expect_err("both sides notice");
            assert_eq!((error.code(), error.step()), ("peer.disagreement", Some(Step::Finish)));
        }
    }
}
