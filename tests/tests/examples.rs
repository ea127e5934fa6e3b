//! The job files of `examples/` on the data sets that they are for, against scikit-learn's figures.
//!
//! `CAESAR_DATA` is a folder with the sets; without it only those in `data/` are there.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use caesar_client::{JobSpec, JobState};
use caesar_e2e::{Dataset, Format, Pair, PairPlan, Party};
use common::{csv, node_binary};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folder(set: &str) -> Option<PathBuf> {
    let folders = [env::var_os("CAESAR_DATA").map(PathBuf::from), Some(root().join("data"))];
    let mut found = folders.into_iter().flatten().map(|folder| folder.join(set));
    found.find(|folder| folder.join("expected.json").is_file())
}

/// The first of `stem.ending` and `stem.ending.gz` that is there.
fn file(stem: &Path, ending: &str) -> Option<PathBuf> {
    let names = [ending.to_owned(), format!("{ending}.gz")];
    names.iter().map(|ending| stem.with_extension(ending)).find(|path| path.is_file())
}

fn dataset(folder: &Path, party: Party, split: &str) -> Dataset {
    let letter = if party == Party::A { "a" } else { "b" };
    let stem = fs::canonicalize(folder.join(split)).unwrap().join(format!("party_{letter}"));
    if let Some(path) = file(&stem, "csv") {
        return Dataset::new(party, split, &path, csv(party, "id", "y"));
    }
    let (path, ids) = (file(&stem, "svm").unwrap(), file(&stem, "ids").unwrap());
    Dataset::new(party, split, &path, Format::Libsvm { ids, columns: None })
}

/// Prints a line of figures, and says what is wrong with them.
async fn check(set: &str, folder: &Path, node: PathBuf) -> Option<String> {
    let spec = JobSpec::from_file(root().join("examples").join(format!("{set}.toml"))).unwrap();
    let catalogue = |party| ["train", "test"].map(|s| dataset(folder, party, s)).to_vec();
    let plan = PairPlan::new(node, catalogue(Party::A), catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let id = bank.submit(&spec).await.unwrap().id;
    let job = bank.wait(&id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{set}: {:?}", job.failure);
    let report = bank.result(&id).await.unwrap();
    pair.stop().unwrap();

    let expected: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let reference = |what: &str| expected["lr"]["joint"][what].as_f64().unwrap();
    let positives = expected["positives"]["test"].as_f64().unwrap();
    let [ks, auc] = [reference("ks"), reference("auc")];
    let (ks_off, auc_off) = ((report.ks_joint - ks).abs(), (report.auc_joint - auc).abs());
    let most = f64::max(0.01, 2.0 / positives);
    println!(
        "{set}: KS {:.4} ({ks:.4}, {ks_off:.4} of {most:.4} off), AUC {:.4} ({auc:.4}, {auc_off:.4} \
         of 0.0100 off), training {:.1} s, job {:.1} s",
        report.ks_joint, report.auc_joint, report.seconds_train, report.seconds_total
    );
    let hash = expected["intersection_sha256"]["train"].as_str().unwrap();
    assert_eq!(report.intersection_sha256_train, hash, "{set}: other rows");
    (ks_off > most || auc_off > 0.01).then(|| format!("{set}: too far from scikit-learn"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes"]
async fn examples_reach_what_scikit_learn_reaches() {
    let mut wrong = Vec::new();
    let mut sets = 0;
    for set in ["default_credit", "bank_marketing", "german_credit", "a9a", "farm_ads"] {
        match folder(set) {
            Some(folder) => {
                sets += 1;
                wrong.extend(check(set, &folder, node_binary()).await);
            }
            None => println!("skipped 1 set: {set} is not in $CAESAR_DATA or data/"),
        }
    }
    assert!(sets > 0, "no data set");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
