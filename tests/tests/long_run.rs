//! A job of more than a thousand mini-batches, and what the nodes hold meanwhile.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use caesar_client::{JobState, Training};
use caesar_e2e::{
    Limits, Pair, PairPlan, Party,
    resources::{Resources, slope},
};
use common::{Good, node_binary, quick_job};

/// Rows of the training intersection, 16 mini-batches an epoch.
const ROWS: usize = 1024;
const EPOCHS: u32 = 70;
/// Mini-batches after which everything has been needed once.
const WARM_UP: u32 = 200;
const LIMIT: Duration = Duration::from_secs(900);
/// Growth over a thousand mini-batches that is still none. A mini-batch of this job moves about 200 KiB,
/// so one that stayed would show as 200 MiB.
const MOST_KIB: f64 = 2048.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; part of the nightly suite"]
async fn memory_is_flat_over_a_thousand_mini_batches() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), ROWS, 128);
    let plan = PairPlan::new(node_binary(), good.catalogue(Party::A), good.catalogue(Party::B));
    let pair = Pair::start(&PairPlan { limits: Limits::default(), ..plan }).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let mut spec = quick_job("long");
    spec.training = Training {
        epochs: Some(EPOCHS),
        batch_size: Some(64),
        learning_rate: Some(0.02),
        l2: Some(0.0),
        ..Training::default()
    };
    let id = bank.submit(&spec).await.unwrap().id;
    let mut samples: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < LIMIT, "the job takes too long");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let job = bank.get(&id).await.unwrap();
        if job.state.has_ended() {
            assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
            break;
        }
        if job.progress.phase == "train" && job.progress.iteration > WARM_UP {
            for party in [Party::A, Party::B] {
                let resident = Resources::of(pair.node(party).pid()).unwrap().resident_kib;
                let thousands = f64::from(job.progress.iteration) / 1000.0;
                samples[party as usize].push((thousands, resident as f64));
            }
        }
    }
    assert_eq!(bank.result(&id).await.unwrap().iterations, 1120);
    for party in [Party::A, Party::B] {
        let samples = &samples[party as usize];
        let (growth, error) = slope(samples).expect("many samples");
        println!(
            "{party:?}: {} samples, {:.0} to {:.0} KiB, {growth:.0} ± {error:.0} KiB a thousand \
             mini-batches",
            samples.len(),
            samples[0].1,
            samples[samples.len() - 1].1
        );
        assert!(growth < MOST_KIB, "{party:?} grows by {growth:.0} KiB");
    }
    pair.stop().unwrap();
}
