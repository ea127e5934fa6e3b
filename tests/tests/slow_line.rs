//! A real data set over a long and narrow line.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use caesar_client::{DataSets, JobSpec, JobState, Training};
use caesar_e2e::{
    Dataset, Pair, PairPlan, Party,
    proxy::{Shape, Way},
    workspace_root,
};
use common::{TEST, TRAIN, csv, node_binary, quick_job};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const MEGABITS: u64 = 20;
const BYTES_A_SECOND: u64 = MEGABITS * 1_000_000 / 8;
/// Of the whole job.
const LIMIT: Duration = Duration::from_secs(3600);

/// Rows of a mini-batch that keep the line busy: many windows of the protocol, so that the round trips
/// between two mini-batches count little.
const LARGE_BATCH: u32 = 8192;

/// The defaults have small mini-batches, whose four flights take longer than their bytes: the job must
/// end. With large ones the line is the bottleneck, and how much of it is used is printed; how much it
/// should is a matter for a quiet machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; part of the nightly suite"]
async fn default_credit_trains_to_the_end_over_100_ms_and_20_megabits() {
    let catalogue = |party: Party| -> Vec<Dataset> {
        let file = match party {
            Party::A => "party_a.csv.gz",
            Party::B => "party_b.csv.gz",
        };
        let folder = workspace_root().join("data").join("default_credit");
        let set =
            |name| Dataset::new(party, name, &folder.join(name).join(file), csv(party, "id", "y"));
        [TRAIN, TEST].map(set).into()
    };
    let plan = PairPlan::new(node_binary(), catalogue(Party::A), catalogue(Party::B));
    let plan = PairPlan { proxied: true, connector: Party::B, ..plan };
    let pair = tokio::task::block_in_place(|| Pair::start(&plan)).unwrap();
    pair.proxy().unwrap().shape_both(Shape::line(ROUND_TRIP, MEGABITS));
    let defaults = Training::default();
    let large = Training { batch_size: Some(LARGE_BATCH), epochs: Some(2), ..Training::default() };
    for training in [large, defaults] {
        train(&pair, training).await;
    }
    pair.stop().unwrap();
}

async fn train(pair: &Pair, training: Training) {
    let line = pair.proxy().unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let data = DataSets::alike(TRAIN, TEST);
    let spec = JobSpec { modulus_bits: quick_job("").modulus_bits, ..JobSpec::new(data) };
    let id = bank.submit(&JobSpec { training, ..spec }).await.unwrap().id;
    let passed = || Way::BOTH.map(|way| line.traffic(way));
    // At the first and at the last look at training.
    let mut training = None;
    let watch = bank.follow(&id, |job| {
        if job.progress.phase == "train" {
            let now = (Instant::now(), passed());
            let (start, _) = training.get_or_insert((now, now));
            training = Some((*start, now));
        }
    });
    let ended = tokio::time::timeout(LIMIT, watch).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);

    let ((start, before), (end, after)) = training.expect("training was seen");
    let seconds = (end - start).as_secs_f64();
    let report = bank.result(&id).await.unwrap();
    println!(
        "mini-batches of {}: KS {:.4}, {:.1} s in all",
        report.batch_size, report.ks_joint, report.seconds_total
    );
    for (index, way) in Way::BOTH.into_iter().enumerate() {
        let traffic = after[index].since(before[index]);
        let whole = traffic.bytes as f64 / (seconds * BYTES_A_SECOND as f64);
        println!(
            "{way:?}: {} bytes in {seconds:.1} s of training, in use for {:.1} s; {:.1} % of the \
             line in all, {:.1} % while in use",
            traffic.bytes,
            traffic.busy.as_secs_f64(),
            100.0 * whole,
            100.0 * traffic.utilisation(BYTES_A_SECOND),
        );
    }
}
