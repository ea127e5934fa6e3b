//! Real jobs on typed tables: gaps, categories, classes, lists of features, divided data sets.

use std::{fmt::Write as _, fs, sync::Arc};

use caesar_proto::v1::{ColumnSplit, HashSplit, Job, JobResult, JobSpec, JobState, Training};

use super::{ProtocolEngine, hostile::ended};
use crate::{
    node::Node,
    testing::{Pki, spec},
};

const ROWS: usize = 600;

/// A's region decides most of the label; what both have of income has gaps. B's fold is 1 for every third
/// row.
fn write_data(pki: &Pki) {
    let (mut a, mut b) = ("id,income,region,zip\n".to_owned(), "id,y,score,fold\n".to_owned());
    for i in 0..ROWS {
        let noise = (i * 7919) % 100;
        let region = ["north", "south", ""][i / 7 % 3];
        let gold = region == "north" && noise > 15 || noise > 90;
        let income = if i % 5 == 0 { String::new() } else { format!("{}.5", noise * 13 % 97) };
        let class = if gold { "gold" } else { ["silver", "none"][i % 2] };
        let _ = writeln!(a, "id{i},{income},{region},{i}");
        let _ = writeln!(b, "id{i},{class},{},{}", (noise * 17) % 101, i % 3);
    }
    fs::write(pki.path().join("a.csv"), a).unwrap();
    fs::write(pki.path().join("b.csv"), b).unwrap();
}

struct Outcome {
    result: JobResult,
    at_a: Job,
}

async fn run(divide: impl FnOnce(&mut JobSpec)) -> Outcome {
    let pki = Pki::new();
    write_data(&pki);
    let a = Node::start(pki.config_a(), Arc::new(ProtocolEngine)).await.unwrap();
    let address = a.address().to_string();
    let b = Node::start(pki.config_b(&address), Arc::new(ProtocolEngine)).await.unwrap();
    let training = Training {
        epochs: Some(4),
        batch_size: Some(64),
        learning_rate: Some(0.5),
        positive_class: Some("gold".to_owned()),
        ..Training::default()
    };
    let mut spec = JobSpec {
        modulus_bits: 2048,
        training: Some(training),
        features_a: ["*", "!zip"].map(str::to_owned).to_vec(),
        test_a: String::new(),
        test_b: String::new(),
        ..spec()
    };
    divide(&mut spec);
    let job = b.manager().submit("r".to_owned(), spec).await.unwrap();
    let id = job.job_id.parse().unwrap();
    let job = ended(&b.manager(), id).await;
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    Outcome { result: b.manager().result(id).await.unwrap(), at_a: ended(&a.manager(), id).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_on_sets_divided_by_a_hash_learns_from_categories_and_gaps() {
    let hash = HashSplit { test: 0.4, salt: "s".to_owned() };
    let Outcome { result, at_a } = run(|spec| spec.split_hash = Some(hash.clone())).await;
    let (train, test) = (result.intersection_train, result.intersection_test);
    assert_eq!(train + test, ROWS as u64, "both sides divide alike");
    assert!((180..300).contains(&test), "{test}");
    // Income and its gaps, two regions and none; score and fold.
    assert_eq!((result.columns_a, result.columns_b), (5, 2));
    assert!(result.ks_joint > result.ks_bank_only + 0.2, "{result:?}");
    let known = at_a.spec.unwrap();
    assert_eq!(known.features_a, ["*", "!zip"]);
    assert_eq!(known.split_hash, Some(hash));
    assert_eq!(known.training.unwrap().positive_class, None, "the class is B's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_bs_divides_and_a_does_not_learn_which() {
    let column = |side: &str| ColumnSplit {
        side: side.to_owned(),
        column: "fold".to_owned(),
        test: vec!["1".to_owned()],
    };
    let Outcome { result, at_a } = run(|spec| spec.split_column = Some(column("B"))).await;
    assert_eq!((result.intersection_train, result.intersection_test), (400, 200));
    assert_eq!((result.columns_a, result.columns_b), (5, 1), "the fold is no feature");
    assert!(result.ks_joint > result.ks_bank_only + 0.2, "{result:?}");
    let told = ColumnSplit { side: "B".to_owned(), ..ColumnSplit::default() };
    assert_eq!(at_a.spec.unwrap().split_column, Some(told));
}
