//! The other node is down, is somebody else, or dies.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use caesar_client::{Client, JobId, JobSpec, JobState, Side};
use caesar_e2e::{Limits, Pair, PairPlan, Party};
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

/// Waits until the job has trained at least one batch.
async fn until_training(client: &Client, id: &JobId) {
    let mut watch = client.watch(id).await.unwrap();
    let training = async {
        while let Some(job) = watch.next().await.unwrap() {
            assert!(!job.state.has_ended(), "{:?}", job.failure);
            if job.progress.iteration >= 1 {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_dies_or_freezes_while_training_ends_the_job_at_the_other_side() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 128);
    for (victim, freezes) in [(Party::A, false), (Party::B, false), (Party::A, true)] {
        let mut pair = Pair::start(&plan(&good)).unwrap();
        let bank = pair.client(Party::B).await.unwrap();
        let platform = pair.client(Party::A).await.unwrap();
        let id = bank.submit(&long_job()).await.unwrap().id;
        until_training(&bank, &id).await;

        if freezes {
            pair.node(victim).freeze().unwrap();
        } else {
            pair.node_mut(victim).kill().unwrap();
        }
        let start = Instant::now();
        let survivor = if victim == Party::A { &bank } else { &platform };
        let ended = tokio::time::timeout(PEER_TIMEOUT * 3, survivor.wait(&id)).await;
        let job = ended.expect("the job ends within its deadline").unwrap();
        let lost = failure(&job);
        assert_eq!(lost.code, "peer.lost", "{lost}");
        assert_eq!(lost.side, if victim == Party::A { Side::A } else { Side::B }, "{lost}");
        assert!(lost.message.contains(&format!("`{}`", victim.name())), "{lost}");
        assert!(!lost.step.is_empty(), "{lost}");
        assert!(!lost.hint.is_empty(), "{lost}");
        assert!(start.elapsed() < PEER_TIMEOUT * 3, "{:?}", start.elapsed());
        assert!(pair.node_mut(victim.other()).is_running());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_stop_ends_its_job_at_both_sides_and_exits_with_0() {
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
        let ended = tokio::time::timeout(PEER_TIMEOUT, other.wait(&id)).await;
        let job = ended.expect("the job ends at the other side at once").unwrap();
        let shutdown = failure(&job);
        assert_eq!(shutdown.code, "node.shutdown", "{shutdown}");
        assert!(!shutdown.step.is_empty() && !shutdown.hint.is_empty(), "{shutdown}");

        pair.restart(stopped).unwrap();
        let again = pair.client(stopped).await.unwrap().get(&id).await.unwrap();
        assert_eq!(again.failure, job.failure);
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
