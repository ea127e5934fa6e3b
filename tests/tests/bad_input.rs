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
use common::{Good, JOB_LIMIT, SEED, TRAIN, csv, failure, node_binary, quick_job, run};

/// Longest time until A hears of a job that ended at B at once.
const HEARD: Duration = Duration::from_secs(10);

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
        party: Party,
        rows: &str,
        ids: &str,
        code: &'static str,
        says: &'static [&'static str],
    ) {
        let path = self.write(&format!("{name}.svm"), rows);
        let ids = self.write(&format!("{name}.ids"), ids);
        let dataset = Some(Dataset::new(party, name, &path, Format::Libsvm { ids, columns: None }));
        let place = Place::Train;
        self.cases.push(Case { name, party, place, dataset, code, says });
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
    shop.csv_case("infinite", A, Place::Train, cell(7, 2, "-inf"), number, at);
    let infinite_b = &["infinite-b.csv", "line 4", "b0"];
    shop.csv_case("infinite-b", B, Place::Test, cell(3, 2, "1e999"), number, infinite_b);
    let differs = "data.type_differs";
    let drift = &["drift.csv", "line 8", "a1", "train_a.csv"];
    shop.csv_case("drift", A, Place::Test, cell(7, 2, "42424242 EUR"), differs, drift);
    let binary = "data.label_not_binary";
    shop.csv_case("label-2", B, Place::Train, cell(5, 1, "42424242"), binary, &["line 6", "\"y\""]);

    let twice = |rows: &mut Vec<Vec<String>>| rows[9][0] = rows[4][0].clone();
    let again = &["1 id occurs again", "line 10", "line 5"];
    shop.csv_case("twice-a", A, Place::Train, twice, "data.duplicate_ids", again);
    shop.csv_case("twice-b", B, Place::Test, twice, "data.duplicate_ids", again);
    shop.csv_case("no-id", A, Place::Test, cell(2, 0, ""), "data.empty_id", &["line 3"]);

    let only_ids = |rows: &mut Vec<Vec<String>>| rows.iter_mut().for_each(|row| row.truncate(1));
    shop.csv_case("no-columns", A, Place::Train, only_ids, "data.no_columns", &["no-columns.csv"]);
    let fewer = |rows: &mut Vec<Vec<String>>| rows.iter_mut().for_each(|row| row.truncate(4));
    let missing = "data.columns_differ";
    shop.csv_case("fewer", A, Place::Test, fewer, missing, &["fewer.csv", "\"a3\"", "train_a.csv"]);
    shop.csv_case("fewer-b", B, Place::Train, fewer, missing, &["fewer-b.csv", "\"b2\""]);
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
    shop.libsvm_case("index-0", A, "0 1:1\n0 0:1\n0\n", ids, "data.libsvm_index_zero", &["line 2"]);
    shop.libsvm_case(
        "unsorted",
        A,
        "0 1:1\n0\n0 3:1 2:1\n",
        ids,
        "data.libsvm_unsorted",
        &["line 3"],
    );
    shop.libsvm_case("no-entry", A, "0 1:1\n0 x\n0\n", ids, "data.libsvm_syntax", &["line 2"]);
    let lengths = &["3 ids", "2 rows"];
    shop.libsvm_case("short", A, "0 1:1\n0 2:1\n", ids, "data.ids_length", lengths);
    shop.libsvm_case("number", A, "0 1:1\n0 2:42424242x\n0\n", ids, number, &["line 2", "\"2\""]);
    shop.libsvm_case("all-zero", A, "0\n0\n0\n", ids, "data.no_columns", &["all-zero.svm"]);
    shop.libsvm_case("svm-label", B, "1 1:1\n42424242 1:1\n-1\n", ids, binary, &["line 2"]);
    shop.libsvm_case("svm-index-b", B, "1 0:1\n", "p\n", "data.libsvm_index_zero", &["line 1"]);
    let twice = "p\nq\np\n";
    shop.libsvm_case(
        "svm-twice",
        A,
        "0 1:1\n0\n0\n",
        twice,
        "data.duplicate_ids",
        &["svm-twice.ids"],
    );
    let blank = "p\n\nr\n";
    shop.libsvm_case("svm-no-id", A, "0 1:1\n0\n0\n", blank, "data.empty_id", &["line 2"]);
    let kinds = &["svm-mixed.svm", "test_a.csv"];
    shop.libsvm_case("svm-mixed", A, "0 1:1\n0\n0\n", ids, "data.formats_differ", kinds);

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
async fn check(
    case: &Case,
    secrets: &[String],
    bank: &Client,
    platform: &Client,
) -> Result<(), String> {
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
    let text = format!("{failure} {}", failure.hint);
    if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
        return Err(format!("{failure}: shows {secret:?}"));
    }
    // A's operator is told the same, though A may hear of the job when it has ended at B already.
    let heard = async {
        while platform.get(&job.id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::time::timeout(HEARD, heard).await;
    heard.map_err(|_| "A does not hear of the job")?;
    let at_a = tokio::time::timeout(JOB_LIMIT, platform.wait(&job.id)).await;
    let at_a = at_a.map_err(|_| "the job does not end at A")?.map_err(|e| e.to_string())?;
    if at_a.state != JobState::Failed || at_a.failure != job.failure {
        return Err(format!("A's node says {} {:?}", at_a.state, at_a.failure));
    }
    Ok(())
}

/// Ids and cells that no error and no log may show.
fn secrets(good: &Good) -> Vec<String> {
    let files = [&good.train.a, &good.train.b, &good.test.a, &good.test.b];
    let texts = files.map(|file| fs::read_to_string(file).unwrap());
    let ids = texts.iter().flat_map(|text| text.lines().skip(1)).map(|l| l.split(',').next());
    ids.flatten().map(str::to_owned).chain(["42424242".to_owned()]).collect()
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

    // The nodes have found each other: a job that fails at B at once waits for A only shortly.
    let job = run(&bank, &quick_job("before")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);

    let secrets = secrets(&good);
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(problem) = check(case, &secrets, &bank, &platform).await {
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
    for party in [Party::A, Party::B] {
        let log = pair.node(party).log_tail(usize::MAX);
        assert!(log.contains("data.not_numeric"), "{log}");
        let shown = secrets.iter().find(|secret| log.contains(secret.as_str()));
        assert_eq!(shown, None, "{log}");
    }
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_fit_are_refused_at_both_sides_with_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 256, 128);
    let few = synthetic::write_dense(folder.path(), "few", 40, SEED + 2).unwrap();
    let catalogue = |party: Party| {
        let file = if party == Party::A { &few.a } else { &few.b };
        let few = Dataset::new(party, "few", file, csv(party, "id", "y"));
        good.catalogue(party).into_iter().chain([few]).collect()
    };
    let plan = PairPlan::new(node_binary(), catalogue(Party::A), catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let platform = pair.client(Party::A).await.unwrap();

    type Change = fn(&mut JobSpec);
    let cases: [(&str, Change, &str, &[&str]); 4] = [
        // Weight decay is kept as a public scalar, and that is budgeted.
        (
            "decay",
            |s| (s.training.l2, s.training.epochs) = (Some(2.0), Some(100)),
            "bounds.does_not_fit",
            &["l2"],
        ),
        (
            "batch",
            |s| s.training.batch_size = Some(60_000),
            "bounds.too_few_rows",
            &["256", "60000", "batch_size"],
        ),
        ("rows", |s| s.data.train_a = "few".to_owned(), "psi.empty_intersection", &["training"]),
        (
            "test-rows",
            |s| (s.data.test_a, s.data.test_b) = ("few".to_owned(), "few".to_owned()),
            "bounds.too_few_test_rows",
            &["40", "50"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, change, code, says) in cases {
        let mut spec = quick_job(name);
        change(&mut spec);
        let job = run(&bank, &spec).await;
        let refused = failure(&job);
        let text = format!("{} {}", refused.message, refused.hint);
        let at_a = platform.wait(&job.id).await.unwrap();
        if refused.code != code
            || refused.hint.is_empty()
            || at_a.failure != job.failure
            || says.iter().any(|part| !text.contains(part))
        {
            wrong.push(format!("{name}: {refused:?}, at A {:?}", at_a.failure));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What needs no data to be seen is refused at once.
    let mut huge = quick_job("huge");
    huge.training.learning_rate = Some(1e12);
    let error = bank.submit(&huge).await.unwrap_err();
    assert_eq!((error.code(), error.side()), ("job.spec", Side::Client), "{error}");
    assert!(error.to_string().contains("training.learning_rate"), "{error}");
    pair.stop().unwrap();
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
