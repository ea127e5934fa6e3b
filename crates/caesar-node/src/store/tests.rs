use super::*;
use crate::testing::spec;

fn id(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

async fn submit(store: &Store, n: u8, request: &str) -> Result<JobRecord, StoreError> {
    store.submit(id(n), request.to_owned(), spec(), u64::from(n), 100).await
}

fn failure() -> Failure {
    Failure::new("data.empty", Side::A, "no rows", "hint").in_step("load")
}

#[tokio::test]
async fn a_request_id_makes_one_job_and_one_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let first = submit(&store, 1, "r").await.unwrap();
    let again = submit(&store, 2, "r").await.unwrap();
    assert_eq!(first, again, "the same request id and specification are the same job");
    let other = JobSpec { modulus_bits: 2048, ..spec() };
    let conflict = store.submit(id(3), "r".to_owned(), other, 3, 100).await;
    assert!(matches!(conflict, Err(StoreError::Conflict)), "{conflict:?}");
    submit(&store, 4, "s").await.unwrap();
    assert_eq!(store.list(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn concurrent_submissions_of_one_request_agree() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let calls: Vec<_> = (0..16)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { submit(&store, n, "same").await.unwrap().id })
        })
        .collect();
    let mut ids = Vec::new();
    for call in calls {
        ids.push(call.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn everything_survives_reopening_and_started_jobs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let result = JobResult { ks_joint: 0.5, ..JobResult::default() };
    {
        let store = Store::open(folder.path()).unwrap();
        for n in 1..=5 {
            submit(&store, n, &format!("r{n}")).await.unwrap();
        }
        let none = Details::default;
        for n in 2..=4 {
            store.apply(id(n), Event::Offer, none(), 10).await.unwrap();
        }
        for n in 3..=4 {
            store.apply(id(n), Event::Accept, none(), 11).await.unwrap();
        }
        let done = Details { result: Some(result.clone()), decided: true, ..none() };
        store.apply(id(4), Event::Succeed, done, 12).await.unwrap();
        let failed = Details { failure: Some(failure()), ..none() };
        store.apply(id(5), Event::Fail, failed, 13).await.unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.recover(failure(), 20).await.unwrap(), 2);
    assert_eq!(store.recover(failure(), 21).await.unwrap(), 0, "a second time changes nothing");
    let job = |n| store.get(id(n));
    for (n, attempt, changed) in [(1, 1, 1), (2, 2, 20), (3, 2, 20)] {
        let waiting = job(n).await.unwrap();
        assert_eq!(waiting.state, State::Queued);
        assert_eq!((waiting.attempt, waiting.changed_ms), (attempt, changed), "job {n}");
        assert_eq!((waiting.ended_ms, waiting.failure), (None, None));
        assert_eq!(waiting.interrupted, (n > 1).then(failure), "job {n}");
    }
    let done = job(4).await.unwrap();
    assert_eq!(
        (done.state, done.result, done.ended_ms, done.decided),
        (State::Succeeded, Some(result), Some(12), true)
    );
    let failed = job(5).await.unwrap();
    assert_eq!((failed.failure, failed.decided), (Some(failure()), false));
    let queued: Vec<_> = store.queued().await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(queued, [id(1), id(2), id(3)]);
    let undecided: Vec<_> = store.undecided().await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(undecided, [id(1), id(2), id(3), id(5)]);
    let newest: Vec<_> = store.list(2).await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(newest, [id(5), id(4)]);
}

#[tokio::test]
async fn a_takes_later_attempts_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let offered = |attempt, spec| store.offered(id(1), attempt, spec, 7);
    assert_eq!(offered(2, spec()).await.unwrap(), Offered::Taken);
    // The attempt that is recorded may be lost here, so it must not begin again.
    assert_eq!(offered(2, spec()).await.unwrap(), Offered::Refused { expected: 3 });
    let changed = JobSpec { modulus_bits: 2048, ..spec() };
    assert_eq!(offered(3, changed).await.unwrap(), Offered::Refused { expected: 3 });
    assert_eq!(offered(4, spec()).await.unwrap(), Offered::Taken);
    let now = store.get(id(1)).await.unwrap();
    assert_eq!((now.state, now.attempt), (State::Offered, 4));
    store.apply(id(1), Event::Restart, Details::default(), 8).await.unwrap();
    assert_eq!(offered(5, spec()).await.unwrap(), Offered::Taken);
    let ended = store.apply(id(1), Event::Cancel, Details::default(), 9).await.unwrap();
    assert_eq!(offered(6, spec()).await.unwrap(), Offered::Ended(Box::new(ended)));
}

#[tokio::test]
async fn the_word_of_b_takes_the_place_of_what_a_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.offered(id(1), 1, spec(), 7).await.unwrap();
    let lost = Details { failure: Some(failure()), ..Details::default() };
    store.apply(id(1), Event::Fail, lost, 8).await.unwrap();
    let decided = Details { decided: true, ..Details::default() };
    let job = store.apply(id(1), Event::DecidedSucceeded, decided, 9).await.unwrap();
    assert_eq!((job.state, job.failure, job.decided), (State::Succeeded, None, true));
    assert_eq!(job.ended_ms, Some(8));
    assert!(store.undecided().await.unwrap().is_empty());
}

#[tokio::test]
async fn old_jobs_are_forgotten_and_undecided_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for n in 1..=6 {
        submit(&store, n, &format!("r{n}")).await.unwrap();
    }
    for n in 1..=5 {
        let details = Details { decided: n != 2, ..Details::default() };
        store.apply(id(n), Event::Cancel, details, 10 * u64::from(n)).await.unwrap();
    }
    assert_eq!(store.forget(20, 100).await.unwrap(), 1, "1 is too old");
    assert_eq!(store.forget(0, 2).await.unwrap(), 1, "4 and 5 are the newest");
    let left: Vec<_> = store.list(10).await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(left, [id(6), id(5), id(4), id(2)]);
    // A request id that was forgotten makes a new job.
    assert_eq!(submit(&store, 7, "r1").await.unwrap().id, id(7));
}

#[tokio::test]
async fn the_first_end_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    submit(&store, 1, "r").await.unwrap();
    store.apply(id(1), Event::Cancel, Details::default(), 5).await.unwrap();
    let failed = Details { failure: Some(failure()), ..Details::default() };
    let late = store.apply(id(1), Event::Fail, failed, 6).await;
    assert!(matches!(late, Err(StoreError::Illegal(_))), "{late:?}");
    let job = store.get(id(1)).await.unwrap();
    assert_eq!((job.state, job.failure, job.ended_ms), (State::Cancelled, None, Some(5)));
}

#[tokio::test]
async fn the_queue_is_bounded_and_first_in_first_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for n in [9, 3] {
        store.submit(id(n), format!("r{n}"), spec(), 0, 2).await.unwrap();
    }
    let third = store.submit(id(1), "r1".to_owned(), spec(), 0, 2).await;
    assert!(matches!(third, Err(StoreError::Full(2))), "{third:?}");
    assert_eq!(store.queued().await.unwrap()[0].id, id(9));
}

#[tokio::test]
async fn a_higher_priority_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for (n, priority) in [(1, 0), (2, 5), (3, -1), (4, 5)] {
        let spec = JobSpec { priority, ..spec() };
        store.submit(id(n), format!("r{n}"), spec, 0, 10).await.unwrap();
    }
    let order: Vec<_> = store.queued().await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(order, [id(2), id(4), id(1), id(3)]);
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked { .. })));
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_newer_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let connection = Connection::open(folder.path().join("jobs.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Version { found: 99, .. })));
}

#[tokio::test]
#[cfg(unix)]
async fn files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let store = Store::open(&folder).unwrap();
    submit(&store, 1, "r").await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "database, log and lock were expected, found {files}");
}
