//! Bad data and settings: each ends the job with its own code, at the client and at both nodes, and
//! neither node is harmed.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use caesar_client::{Client, JobSpec, JobState, Side};
use caesar_e2e::{Dataset, Format, Pair, PairPlan, Party, synthetic};
use common::{Good, SEED, TRAIN, csv, failure, node_binary, quick_job, run};

/// One wrong file or setting.
struct Case {
    /// Also the name of the data set it replaces.
    name: &'static str,
    /// Who has the wrong data set.
    party: Party,
    /// In which place of the job.
    place: Place,
    dataset: Option<Dataset>,
    code: &'static str,
    /// What the message must contain.
    says: &'static [&'static str],
}

enum Place {
    Train,
    Test,
}

/// Lays out wrong files and their catalogue entries.
struct Workshop<'a> {
    folder: &'a Path,
    good: &'a Good,
    cases: Vec<Case>,
}

impl Workshop<'_> {
    fn good_text(&self, party: Party, place: &Place) -> String {
        let files = match place {
            Place::Train => &self.good.train,
            Place::Test => &self.good.test,
        };
        fs::read_to_string(if party == Party::A { &files.a } else { &files.b }).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The good CSV after `change`.
    fn csv_case(
        &mut self,
        name: &'static str,
        party: Party,
        place: Place,
        change: impl FnOnce(&mut Vec<Vec<String>>),
        code: &'static str,
        says: &'static [&'static str],
    ) {
        let text = self.good_text(party, &place);
        let cells = |line: &str| line.split(',').map(str::to_owned).collect();
        let mut rows: Vec<Vec<String>> = text.lines().map(cells).collect();
        change(&mut rows);
        let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
        let path = self.write(&format!("{name}.csv"), &(lines.join("\n") + "\n"));
        let dataset = Some(Dataset::new(party, name, &path, csv(party, "id", "y")));
        self.cases.push(Case { name, party, place, dataset, code, says });
    }

    /// The good CSV with other names of id and label column.
    fn named_case(
        &mut self,
        name: &'static str,
        party: Party,
        id: &str,
        label: &str,
        code: &'static str,
    ) {
        let path = if party == Party::A { &self.good.train.a } else { &self.good.train.b };
        let dataset = Some(Dataset::new(party, name, path, csv(party, id, label)));
        let says = &["nonesuch"];
        self.cases.push(Case { name, party, place: Place::Train, dataset, code, says });
    }

    /// libsvm text and ids as given.
    fn libsvm_case(
        &mut self,
        name: &'static str,
        rows: &str,
        ids: &str,
        code: &'static str,
        says: &'static [&'static str],
    ) {
        let path = self.write(&format!("{name}.svm"), rows);
        let ids = self.write(&format!("{name}.ids"), ids);
        let dataset = Some(Dataset::new(Party::A, name, &path, Format::Libsvm { ids }));
        let place = Place::Train;
        self.cases.push(Case { name, party: Party::A, place, dataset, code, says });
    }
}

/// Line 1 is the header, so row k stands in line k + 1. A's columns are id, a0.., B's id, y, b0...
fn cases(folder: &Path, good: &Good) -> Vec<Case> {
    use Party::{A, B};
    let mut shop = Workshop { folder, good, cases: Vec::new() };
    shop.named_case("no-id-a", A, "nonesuch", "y", "data.missing_id_column");
    shop.named_case("no-id-b", B, "nonesuch", "y", "data.missing_id_column");
    shop.named_case("no-label", B, "id", "nonesuch", "data.missing_label_column");

    let cell = |row: usize, column: usize, value: &'static str| {
        move |rows: &mut Vec<Vec<String>>| value.clone_into(&mut rows[row][column])
    };
    let number = "data.not_numeric";
    let at = &["line 8", "a1"];
    shop.csv_case("nan", A, Place::Train, cell(7, 2, "nan"), number, at);
    shop.csv_case("infinite", A, Place::Train, cell(7, 2, "-inf"), number, at);
    shop.csv_case("text", A, Place::Train, cell(7, 2, "many"), number, at);
    shop.csv_case("blank", A, Place::Train, cell(7, 2, ""), number, at);
    shop.csv_case(
        "nan-b",
        B,
        Place::Test,
        cell(3, 2, "NaN"),
        number,
        &["nan-b.csv", "line 4", "b0"],
    );
    let binary = "data.label_not_binary";
    shop.csv_case("label-2", B, Place::Train, cell(5, 1, "2"), binary, &["line 6", "\"y\""]);

    let twice = |rows: &mut Vec<Vec<String>>| rows[9][0] = rows[4][0].clone();
    let again = &["1 ids", "line 10", "line 5"];
    shop.csv_case("twice-a", A, Place::Train, twice, "data.duplicate_ids", again);
    shop.csv_case("twice-b", B, Place::Test, twice, "data.duplicate_ids", again);
    shop.csv_case("no-id", A, Place::Test, cell(2, 0, ""), "data.empty_id", &["line 3"]);

    let only_ids = |rows: &mut Vec<Vec<String>>| rows.iter_mut().for_each(|row| row.truncate(1));
    shop.csv_case("no-columns", A, Place::Train, only_ids, "data.no_columns", &["no-columns.csv"]);
    let header = |rows: &mut Vec<Vec<String>>| rows.truncate(1);
    shop.csv_case("no-rows", B, Place::Train, header, "data.empty", &["no-rows.csv"]);

    let strangers = |rows: &mut Vec<Vec<String>>| {
        rows.iter_mut().skip(1).for_each(|row| row[0].insert(0, 'x'));
    };
    let disjoint = "psi.empty_intersection";
    shop.csv_case("strangers", A, Place::Train, strangers, disjoint, &[]);
    shop.csv_case("strangers-test", B, Place::Test, strangers, disjoint, &[]);
    let negative = |rows: &mut Vec<Vec<String>>| {
        rows.iter_mut().skip(1).for_each(|row| "0".clone_into(&mut row[1]));
    };
    shop.csv_case("one-class", B, Place::Train, negative, "train.single_class", &[]);
    shop.csv_case("one-class-test", B, Place::Test, negative, "train.single_class", &[]);

    let ids = "p\nq\nr\n";
    shop.libsvm_case("index-0", "0 1:1\n0 0:1\n0\n", ids, "data.libsvm_index_zero", &["line 2"]);
    shop.libsvm_case("unsorted", "0 1:1\n0\n0 3:1 2:1\n", ids, "data.libsvm_unsorted", &["line 3"]);
    shop.libsvm_case("no-entry", "0 1:1\n0 x\n0\n", ids, "data.libsvm_syntax", &["line 2"]);
    let lengths = &["3 ids", "2 rows"];
    shop.libsvm_case("short", "0 1:1\n0 2:1\n", ids, "data.ids_length", lengths);

    let none = Case {
        name: "unknown-a",
        party: A,
        place: Place::Train,
        dataset: None,
        code: "dataset.refused",
        says: &["unknown-a"],
    };
    shop.cases.push(none);
    let mut secret = Dataset::new(A, "not-for-b", &good.train.a, csv(A, "id", "y"));
    secret.allow_peers.clear();
    shop.cases.push(Case {
        name: "not-for-b",
        party: A,
        place: Place::Train,
        dataset: Some(secret),
        code: "dataset.refused",
        says: &["not-for-b"],
    });
    shop.cases
}

fn job_of(case: &Case) -> JobSpec {
    let mut spec = quick_job(case.name);
    let data = &mut spec.data;
    let slot = match (case.party, &case.place) {
        (Party::A, Place::Train) => &mut data.train_a,
        (Party::A, Place::Test) => &mut data.test_a,
        (Party::B, Place::Train) => &mut data.train_b,
        (Party::B, Place::Test) => &mut data.test_b,
    };
    case.name.clone_into(slot);
    spec
}

/// Runs one wrong job; returns what is wrong with how it ended.
async fn check(case: &Case, bank: &Client, platform: &Client) -> Result<(), String> {
    let start = Instant::now();
    let job = run(bank, &job_of(case)).await;
    let Some(failure) = &job.failure else { return Err(format!("the job is {}", job.state)) };
    if failure.code != case.code {
        return Err(format!("{failure}, expected {}", case.code));
    }
    let side = if case.party == Party::A { Side::A } else { Side::B };
    // Whose data an empty intersection is wrong in, nobody can say.
    if failure.side != side && failure.side != Side::Both {
        return Err(format!("{failure}: side {} must act, expected {side}", failure.side));
    }
    if let Some(part) = case.says.iter().find(|part| !failure.message.contains(**part)) {
        return Err(format!("{failure}: the message lacks {part:?}"));
    }
    if failure.hint.is_empty() {
        return Err(format!("{failure}: no hint"));
    }
    if start.elapsed() > Duration::from_secs(60) {
        return Err(format!("{failure}: took {:?}", start.elapsed()));
    }
    // A knows the job too, unless B found the mistake before it offered the job.
    let known = platform.list().await.map_err(|e| e.to_string())?;
    match known.iter().find(|other| other.id == job.id) {
        Some(other) if other.state != JobState::Failed => {
            Err(format!("A's node says that the job is {}", other.state))
        }
        Some(other) if other.failure.as_ref().map(|f| &f.code) != Some(&failure.code) => {
            Err(format!("A's node says {:?}", other.failure))
        }
        None if case.party == Party::A => Err("A's node does not know the job".to_owned()),
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_data_set_is_named_and_both_nodes_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let cases = cases(folder.path(), &good);
    let catalogue = |party| {
        let wrong = cases.iter().filter(|case| case.party == party);
        let wrong = wrong.filter_map(|case| case.dataset.clone());
        good.catalogue(party).into_iter().chain(wrong).collect()
    };
    let plan = PairPlan::new(node_binary(), catalogue(Party::A), catalogue(Party::B));
    let mut pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let platform = pair.client(Party::A).await.unwrap();

    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(problem) = check(case, &bank, &platform).await {
            wrong.push(format!("{}: {problem}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    // What B's node can see without a file it says at once.
    let mut unknown = quick_job("unknown-b");
    "nonesuch".clone_into(&mut unknown.data.test_b);
    let error = bank.submit(&unknown).await.unwrap_err();
    assert_eq!((error.code(), error.side()), ("dataset.unknown", Side::B), "{error}");
    assert!(error.to_string().contains("nonesuch"), "{error}");

    // After all of them a good job still runs on the same two processes.
    for party in [Party::A, Party::B] {
        assert!(pair.node_mut(party).is_running(), "{} died", party.name());
    }
    let job = run(&bank, &quick_job("good")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_fit_the_bounds_are_refused_with_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let plan = PairPlan::new(node_binary(), good.catalogue(Party::A), good.catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();

    let mut strong_decay = quick_job("decay");
    // Weight decay is kept as a public scalar, and that is budgeted.
    (strong_decay.training.l2, strong_decay.training.epochs) = (Some(2.0), Some(100));
    let job = run(&bank, &strong_decay).await;
    let decay = failure(&job);
    assert_eq!(decay.code, "bounds.does_not_fit", "{decay}");
    let text = format!("{} {}", decay.message, decay.hint);
    let settings = ["epochs", "learning_rate", "batch_size", "l2", "modulus_bits"];
    assert!(settings.iter().any(|setting| text.contains(setting)), "{text}");

    let mut huge_batch = quick_job("batch");
    huge_batch.training.batch_size = Some(100_000);
    let job = run_or_refused(&bank, &huge_batch).await;
    assert!(job.contains("batch_size"), "{job}");
    pair.stop().unwrap();
}

/// The text of the refusal, whether at submission or later.
async fn run_or_refused(client: &Client, spec: &JobSpec) -> String {
    match client.submit(spec).await {
        Err(error) => format!("{error} {}", error.hint()),
        Ok(_) => {
            let job = run(client, spec).await;
            let failure = failure(&job);
            format!("{failure} {}", failure.hint)
        }
    }
}

/// Not a test of the node: if this fails, the others test nothing.
#[test]
fn the_good_data_is_good_in_itself() {
    let folder = tempfile::tempdir().unwrap();
    let files = synthetic::write_dense(folder.path(), TRAIN, 300, SEED).unwrap();
    let text = fs::read_to_string(files.b).unwrap();
    let positive = text.lines().skip(1).filter(|l| l.split(',').nth(1) == Some("1")).count();
    assert!((60..240).contains(&positive), "{positive} of 315 labels are 1 (seed {SEED})");
}
