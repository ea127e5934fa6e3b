//! The intersection as it goes over a link: which messages, in which order, and what is reported.

use super::*;
use crate::{
    psi::{AHEAD, CHUNK, Intersection},
    session::align,
};

/// What one side sent, and what it was told of its progress.
struct Side {
    sizes: Vec<usize>,
    progress: Vec<(usize, usize)>,
    intersection: Intersection,
}

fn table(ids: std::ops::Range<usize>) -> Table {
    let rows = vec![vec![1.0]; ids.len()];
    let ids = ids.map(|i| format!("id-{i}")).collect();
    Table { ids, features: features(&rows, false), labels: None, weights: None }
}

fn align_both(a: &Table, b: &Table) -> [Side; 2] {
    let (link_a, link_b) = MemoryLink::pair(TIMEOUT);
    let side = |role, table, mut link: MemoryLink, seed| {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        link.intercept(Box::new(move |_, body| seen.lock().unwrap().push(body.len())));
        let mut channel = Channel::new(&mut link, role);
        let mut progress = Vec::new();
        let intersection = align::intersect(
            &mut channel,
            &run_of(1, small(1, 0.5)).binding([5; 32]),
            Split::Train,
            table,
            &mut ChaCha20Rng::seed_from_u64(seed),
            |done, total| progress.push((done, total)),
        )
        .unwrap();
        let sizes = sizes.lock().unwrap().clone();
        Side { sizes, progress, intersection }
    };
    thread::scope(|s| {
        let b = s.spawn(|| side(Role::LabelHolder, b, link_b, 2));
        [side(Role::FeatureHolder, a, link_a, 1), b.join().unwrap()]
    })
}

/// Catches empty messages, answers that are sent at another moment than the other side reads them, and
/// progress that stands still, goes back or never gets to its end.
#[test]
fn sets_of_different_sizes_are_aligned_chunk_by_chunk() {
    let (only_a, in_b) = (CHUNK + 3, 2);
    let [a, b] = align_both(&table(0..only_a), &table(only_a - 1..only_a + 1));
    assert_eq!(a.sizes, [4, 32 * CHUNK, 32 * 3, 16 * in_b]);
    assert_eq!(b.sizes, [4, 32 * in_b, 16 * CHUNK, 16 * 3]);
    assert_eq!((a.intersection.rows, a.intersection.peer_ids), (vec![only_a - 1], in_b));
    assert_eq!((b.intersection.rows, b.intersection.peer_ids), (vec![0], only_a));

    let total = only_a + in_b;
    // Answers come 2·AHEAD rounds after their chunk: to the second chunk of A in its last round.
    for (progress, rounds) in [(a.progress, 2 * AHEAD + 2), (b.progress, 2 * AHEAD + 1)] {
        assert_eq!(progress.first(), Some(&(0, total)));
        assert!(progress.is_sorted() && progress.iter().all(|p| p.1 == total), "{progress:?}");
        assert_eq!(progress.len(), rounds);
        assert!(progress.last() >= Some(&(CHUNK, total)), "{progress:?}");
    }
}
