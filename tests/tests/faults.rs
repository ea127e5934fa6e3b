//! The short version of `cargo faults`, and jobs that get in each other's way.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use caesar_client::{Client, ClientConfig, Job, JobState};
use caesar_e2e::{
    Pair, Party,
    faults::{Arena, Plan, Verdict, difference, job, nodes},
    resources::Resources,
};
use common::{JOB_LIMIT, node_binary};

/// Of plans that together strike every phase, and have every kind of fault but one: `cargo faults --
/// --list` prints them.
const SEEDS: [u64; 7] = [1, 2, 3, 4, 5, 6, 8];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_cut_and_corrupted_jobs_end_right_by_themselves() {
    let mut arena = Arena::start(node_binary()).await.unwrap();
    for seed in SEEDS {
        let plan = Plan::draw(seed);
        println!("cargo faults -- --runs 1 --seed {seed}: {plan}");
        let outcome = arena.run(&plan).await.unwrap();
        let (verdict, detail) = (outcome.verdict, &outcome.detail);
        assert_eq!(verdict, Verdict::EndedRight, "seed {seed}: {detail}");
    }
    arena.stop().unwrap();
}

/// The job's end at a node, however the client's connection fares.
async fn ended(pair: &Pair, party: Party, job: &Job) -> Job {
    let client = pair.client(party).await.unwrap();
    let ended = tokio::time::timeout(JOB_LIMIT, client.wait(&job.id)).await;
    ended.expect("the job ends").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_at_once_end_as_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::start(&nodes(node_binary(), folder.path()).unwrap()).unwrap();
    let (one, other) = (pair.client(Party::B).await.unwrap(), pair.client(Party::B).await.unwrap());
    let spec = job();
    let (first, second) = tokio::join!(one.submit(&spec), other.submit(&spec));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.id, second.id);
    let mut reports = Vec::new();
    for job in [&first, &second] {
        for party in [Party::B, Party::A] {
            let job = ended(&pair, party, job).await;
            assert_eq!(job.state, JobState::Succeeded, "{party:?}: {:?}", job.failure);
        }
        reports.push(one.result(&job.id).await.unwrap());
    }
    assert_eq!(difference(&reports[0], &reports[1]), None);

    // The comparison sees a mini-batch that was left out, though KS and AUC hardly do.
    let mut spec = spec;
    spec.training.epochs = spec.training.epochs.map(|epochs| epochs - 1);
    let shorter = one.submit(&spec).await.unwrap();
    assert_eq!(ended(&pair, Party::B, &shorter).await.state, JobState::Succeeded);
    let mut report = one.result(&shorter.id).await.unwrap();
    (report.epochs, report.iterations) = (reports[0].epochs, reports[0].iterations);
    let seen = difference(&report, &reports[0]);
    assert!(seen.as_ref().is_some_and(|what| what.contains("|z|")), "{seen:?}");
    pair.stop().unwrap();
}

fn open_files(pair: &Pair, party: Party) -> usize {
    Resources::of(pair.node(party).pid()).unwrap().open_files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_while_watching_leave_nothing_behind() {
    const WATCHERS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::start(&nodes(node_binary(), folder.path()).unwrap()).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let id = bank.submit(&job()).await.unwrap().id;
    let before = open_files(&pair, Party::B);
    let mut watches = Vec::new();
    for _ in 0..WATCHERS {
        let config = ClientConfig::from_file(pair.client_file(Party::B)).unwrap();
        let client = Client::connect(config).await.unwrap();
        let mut watch = client.watch(&id).await.unwrap();
        watch.next().await.unwrap();
        watches.push(watch);
    }
    assert!(open_files(&pair, Party::B) >= before + WATCHERS);
    drop(watches);
    let job = tokio::time::timeout(JOB_LIMIT, bank.wait(&id)).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    // Closed connections are noticed by themselves; nothing has to happen for it.
    for _ in 0..50 {
        if open_files(&pair, Party::B) <= before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = open_files(&pair, Party::B);
    assert!(after <= before, "{after} open files, {before} before");
    pair.stop().unwrap();
}
