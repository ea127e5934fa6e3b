//! What the end-to-end tests share.
// Each test program uses a part.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod tls;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use caesar_client::{Client, DataSets, Failure, Job, JobSpec, JobState, ModulusBits, Training};
use caesar_e2e::{Dataset, Format, Party, Profile, build_node, synthetic};

/// The node, built once a test program; cargo makes further builds a matter of a second.
pub fn node_binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build_node(Profile::own()).unwrap()).clone()
}

/// Longest time for any job of these tests, far above what they take.
pub const JOB_LIMIT: Duration = Duration::from_secs(120);

/// Catalogue names of the good data sets.
pub const TRAIN: &str = "train";
pub const TEST: &str = "test";

/// Of the good data.
pub const SEED: u64 = 20_240_607;

/// The good data of both parties.
pub struct Good {
    pub train: synthetic::Files,
    pub test: synthetic::Files,
}

impl Good {
    pub fn write(folder: &Path, train: usize, test: usize) -> Self {
        Self {
            train: synthetic::write_dense(folder, TRAIN, train, SEED).unwrap(),
            test: synthetic::write_dense(folder, TEST, test, SEED + 1).unwrap(),
        }
    }

    pub fn catalogue(&self, party: Party) -> Vec<Dataset> {
        let file = |files: &synthetic::Files| match party {
            Party::A => files.a.clone(),
            Party::B => files.b.clone(),
        };
        vec![
            Dataset::new(party, TRAIN, &file(&self.train), csv(party, "id", "y")),
            Dataset::new(party, TEST, &file(&self.test), csv(party, "id", "y")),
        ]
    }
}

/// CSV with these columns; the label only at B.
pub fn csv(party: Party, id: &str, label: &str) -> Format {
    Format::Csv {
        id_column: id.to_owned(),
        label_column: (party == Party::B).then(|| label.to_owned()),
    }
}

/// A quick job on the good data.
pub fn quick_job(name: &str) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        data: DataSets::alike(TRAIN, TEST),
        training: Training {
            epochs: Some(4),
            batch_size: Some(64),
            learning_rate: Some(0.3),
            l2: Some(0.0),
            ..Training::default()
        },
        modulus_bits: Some(ModulusBits::Bits2048),
        priority: 0,
    }
}

/// Submits a job and waits for its end.
pub async fn run(client: &Client, spec: &JobSpec) -> Job {
    let job = client.submit(spec).await.unwrap();
    let ended = tokio::time::timeout(JOB_LIMIT, client.wait(&job.id)).await;
    ended.unwrap_or_else(|_| panic!("job {:?} did not end in {JOB_LIMIT:?}", spec.name)).unwrap()
}

/// The failure of a job that must have failed.
#[track_caller]
pub fn failure(job: &Job) -> &Failure {
    match (&job.failure, job.state) {
        (Some(failure), JobState::Failed) => failure,
        _ => panic!("job {:?} is {} and not failed", job.spec.name, job.state),
    }
}
