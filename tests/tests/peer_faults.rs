//! The other node is down, is somebody else, or dies.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use caesar_client::{Client, Job, JobId, JobSpec, JobState, Side};
use caesar_e2e::{Limits, Pair, PairPlan, Party, proxy::Fault};
use common::{Good, JOB_LIMIT, failure, node_binary, quick_job, run};

/// Silence after which the peer counts as lost in these tests.
const PEER_TIMEOUT: Duration = Duration::from_secs(4);

fn plan(good: &Good) -> PairPlan {
    let catalogues = (good.catalogue(Party::A), good.catalogue(Party::B));
    let mut plan = PairPlan::new(node_binary(), catalogues.0, catalogues.1);
    plan.limits = Limits { peer_timeout_seconds: PEER_TIMEOUT.as_secs(), ..Limits::default() };
    plan
}

/// A job that trains for minutes unless something ends it.
fn long_job() -> JobSpec {
    let mut spec = quick_job("long");
    (spec.training.epochs, spec.training.learning_rate) = (Some(200), Some(0.01));
    spec
}

/// Whether the job has trained at least one batch: while files are read, iterations are hundredths of them.
fn has_trained(job: &Job) -> bool {
    job.progress.phase == "train" && job.progress.iteration >= 1
}

/// Waits until the job has trained at least one batch.
async fn until_training(client: &Client, id: &JobId) {
    let mut watch = client.watch(id).await.unwrap();
    let training = async {
        while let Some(job) = watch.next().await.unwrap() {
            assert!(!job.state.has_ended(), "{:?}", job.failure);
            if has_trained(&job) {
                return;
            }
        }
    };
    tokio::time::timeout(JOB_LIMIT, training).await.expect("the job starts training");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_down_fails_the_job_and_its_return_lets_the_next_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let mut pair = Pair::start(&plan(&good)).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    pair.node_mut(Party::A).stop(Duration::from_secs(10)).unwrap();

    let start = Instant::now();
    let job = run(&bank, &quick_job("alone")).await;
    let unreachable = failure(&job);
    assert_eq!(unreachable.code, "peer.unreachable", "{unreachable}");
    assert_eq!(unreachable.side, Side::A, "{unreachable}");
    assert!(!unreachable.hint.is_empty());
    assert!(start.elapsed() < PEER_TIMEOUT * 3, "{:?}", start.elapsed());

    pair.restart(Party::A).unwrap();
    let job = run(&bank, &quick_job("together")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    pair.stop().unwrap();
}

/// After a long break the side that connects must not sit out a pause that is longer than a job waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_right_after_a_long_break_of_the_line_runs() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let pair = Pair::start(&PairPlan { proxied: true, ..plan(&good) }).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let line = pair.proxy().unwrap();
    let long = PEER_TIMEOUT * 3;
    line.refuse_for(long);
    line.inflict(Fault::Reset);
    tokio::time::sleep(long).await;
    let job = run(&bank, &quick_job("after")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_another_certificate_is_no_peer() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    // Whichever side expects the wrong certificate: the one that connects or the one that listens.
    for mistaken in [Party::A, Party::B] {
        let mut plan = plan(&good);
        plan.mistaken = Some(mistaken);
        let pair = Pair::start(&plan).unwrap();
        let bank = pair.client(Party::B).await.unwrap();
        let job = run(&bank, &quick_job("other")).await;
        let refused = failure(&job);
        assert_eq!(refused.code, "peer.unreachable", "{mistaken:?}: {refused}");
        // The operator of the listening side finds the reason in the log.
        let log = pair.node(Party::B).log_tail(200) + &pair.node(Party::A).log_tail(200);
        assert!(log.contains("certificate"), "{mistaken:?}: {log}");
        pair.stop().unwrap();
    }
}

/// Waits until the job looks as `wanted` at this node.
async fn until(client: &Client, id: &JobId, wanted: impl Fn(&Job) -> bool) -> Job {
    let look = async {
        loop {
            let job = client.get(id).await.unwrap();
            if wanted(&job) {
                return job;
            }
            assert!(!job.state.has_ended(), "{job:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(JOB_LIMIT, look).await.expect("the job gets there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_for_a_peer_that_dies_and_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 128);
    for victim in [Party::A, Party::B] {
        let mut plan = plan(&good);
        // Only the side that connects can be started again: the other's port would change.
        plan.connector = victim;
        let mut pair = Pair::start(&plan).unwrap();
        let bank = pair.client(Party::B).await.unwrap();
        let id = bank.submit(&long_job()).await.unwrap().id;
        until_training(&bank, &id).await;
        pair.node_mut(victim).kill().unwrap();

        let survivor = pair.client(victim.other()).await.unwrap();
        let start = Instant::now();
        let waiting = until(&survivor, &id, |job| {
            !job.progress.not_connected.is_empty() && job.progress.waiting.is_some()
        })
        .await;
        assert!(start.elapsed() < PEER_TIMEOUT * 3, "{:?}", start.elapsed());
        assert_eq!((waiting.state, waiting.attempt), (JobState::Running, 1));
        assert_eq!(waiting.progress.waiting_for, victim.name());

        pair.restart(victim).unwrap();
        for party in [Party::A, Party::B] {
            let client = pair.client(party).await.unwrap();
            let again = until(&client, &id, |job| {
                job.state == JobState::Running && job.attempt == 2 && has_trained(job)
            })
            .await;
            let why = again.interrupted.expect("a second attempt has a reason");
            let expected = if party == victim { "node.restarted" } else { "peer.restarted" };
            assert_eq!(why.code, expected, "{why}");
        }
        let bank = pair.client(Party::B).await.unwrap();
        bank.cancel(&id).await.unwrap();
        let platform = pair.client(Party::A).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), platform.wait(&id)).await;
        assert_eq!(ended.unwrap().unwrap().state, JobState::Cancelled);
        pair.stop().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_is_noticed_and_its_job_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 128);
    let pair = Pair::start(&plan(&good)).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let id = bank.submit(&long_job()).await.unwrap().id;
    until_training(&bank, &id).await;
    pair.node(Party::A).freeze().unwrap();
    let start = Instant::now();
    let waiting = until(&bank, &id, |job| !job.progress.not_connected.is_empty()).await;
    assert!(start.elapsed() < PEER_TIMEOUT * 3, "{:?}", start.elapsed());
    assert!(waiting.progress.not_connected.contains("silent"), "{waiting:?}");
    assert_eq!(bank.cancel(&id).await.unwrap().state, JobState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_stop_exits_with_0_and_its_job_goes_on_at_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 128);
    for stopped in [Party::A, Party::B] {
        let mut plan = plan(&good);
        // Only the side that connects can be started again: the other's port would change.
        plan.connector = stopped;
        let mut pair = Pair::start(&plan).unwrap();
        let bank = pair.client(Party::B).await.unwrap();
        let id = bank.submit(&long_job()).await.unwrap().id;
        until_training(&bank, &id).await;

        let start = Instant::now();
        let status = pair.node_mut(stopped).stop(Duration::from_secs(10)).unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(status.code(), Some(0));
        let log = pair.node(stopped).log_tail(usize::MAX);
        assert!(log.contains("node stopped") && !log.contains("panic"), "{log}");

        let other = pair.client(stopped.other()).await.unwrap();
        let start = Instant::now();
        let queued = until(&other, &id, |job| job.state == JobState::Queued).await;
        assert!(start.elapsed() < PEER_TIMEOUT, "{:?}", start.elapsed());
        assert_eq!(queued.interrupted.expect("a reason").code, "node.shutdown");

        pair.restart(stopped).unwrap();
        until(&other, &id, |job| job.attempt == 2 && has_trained(job)).await;
        other.cancel(&id).await.unwrap();
        let again = pair.client(stopped).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), again.wait(&id)).await;
        assert_eq!(ended.unwrap().unwrap().state, JobState::Cancelled);
        pair.stop().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_the_job_at_both_sides_and_frees_them() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 128);
    let pair = Pair::start(&plan(&good)).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let platform = pair.client(Party::A).await.unwrap();
    let id = bank.submit(&long_job()).await.unwrap().id;
    until_training(&bank, &id).await;

    bank.cancel(&id).await.unwrap();
    for client in [&bank, &platform] {
        let ended = tokio::time::timeout(Duration::from_secs(20), client.wait(&id)).await;
        assert_eq!(ended.unwrap().unwrap().state, JobState::Cancelled);
    }
    assert_eq!(bank.result(&id).await.unwrap_err().code(), "job.no_result");
    let job = run(&bank, &quick_job("next")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_survives_in_the_store_and_its_submission_is_idempotent() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let mut plan = plan(&good);
    plan.connector = Party::B;
    let mut pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let first = bank.submit_as("monday", &quick_job("once")).await.unwrap();
    let again = bank.submit_as("monday", &quick_job("once")).await.unwrap();
    assert_eq!(first.id, again.id);
    let other = bank.submit_as("monday", &quick_job("twice")).await.unwrap_err();
    assert_eq!(other.code(), "job.request_id_reused", "{other}");

    let job = bank.wait(&first.id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let report = bank.result(&first.id).await.unwrap();
    pair.node_mut(Party::B).kill().unwrap();
    pair.restart(Party::B).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    assert_eq!(bank.submit_as("monday", &quick_job("once")).await.unwrap().id, first.id);
    assert_eq!(bank.result(&first.id).await.unwrap(), report);
    pair.stop().unwrap();
}
