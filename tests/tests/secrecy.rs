//! Nodes that log everything they can write down no id, no value, and nothing as long as a key, a mask
//! or a message.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use caesar_client::JobState;
use caesar_e2e::{Dataset, Pair, PairPlan, Party};
use common::{TEST, TRAIN, csv, failure, node_binary, quick_job, run};

/// In every id.
const ID: &str = "zqxid-";
/// At the end of every value, which differ in what stands before it.
const VALUE: &str = "31415.926535";
/// Different values of a column.
const LEVELS: usize = 16;
/// With a cell that is no number.
const BAD: &str = "bad";

fn value(row: usize, column: usize) -> String {
    format!("{}{VALUE}", 1 + (7 * row + 5 * column + row * column / 3) % LEVELS)
}

/// What no file of a node may contain, with a name for it.
fn needles() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![(VALUE.to_owned(), VALUE.into())];
    let bytes = ID.as_bytes();
    let list = |open: &str, format: fn(&u8) -> String| {
        open.to_owned() + &bytes.iter().map(format).collect::<Vec<_>>().join(", ")
    };
    for text in [
        ID.to_owned(),
        list("", u8::to_string),
        bytes.iter().map(|b| format!("{b:02x}")).collect(),
        bytes.iter().map(|b| format!("{b:02X}")).collect(),
    ] {
        all.push((text.clone(), text.into_bytes()));
    }
    for level in 1..=LEVELS {
        let text = format!("{level}{VALUE}");
        let number: f64 = text.parse().unwrap();
        all.push((format!("the bytes of {text}"), number.to_le_bytes().into()));
        all.push((format!("the bytes of {text}, reversed"), number.to_be_bytes().into()));
    }
    all
}

/// The name of the first needle in `bytes`.
fn found<'a>(bytes: &[u8], needles: &'a [(String, Vec<u8>)]) -> Option<&'a str> {
    let mut starts = [false; 256];
    needles.iter().for_each(|(_, needle)| starts[usize::from(needle[0])] = true);
    let places = (0..bytes.len()).filter(|&i| starts[usize::from(bytes[i])]);
    places
        .flat_map(|i| needles.iter().map(move |needle| (i, needle)))
        .find(|(i, (_, needle))| bytes[*i..].starts_with(needle))
        .map(|(_, (name, _))| name.as_str())
}

/// Whether a line has more hexadecimal digits in a row than a fingerprint, or a list of eight numbers.
fn is_bulky(line: &str) -> bool {
    let longest = line.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
    let mut numbers = 0;
    longest > Some(64)
        || line.split([',', ' ', '[', ']']).filter(|part| !part.is_empty()).any(|part| {
            numbers = if part.parse::<i128>().is_ok() { numbers + 1 } else { 0 };
            numbers >= 8
        })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// One table of a party; every fifth row is unknown to the peer.
fn write(folder: &Path, party: Party, name: &str, rows: usize) -> Dataset {
    let (head, skipped) = match party {
        Party::A => ("id,x0,x1", 3),
        Party::B => ("id,y,x0,x1", 4),
    };
    let mut text = format!("{head}\n");
    for row in (0..rows).filter(|row| row % 5 != skipped) {
        write!(text, "{ID}{name}-{row:04}").unwrap();
        if party == Party::B {
            write!(text, ",{}", row * 7 % 3 % 2).unwrap();
        }
        let unit = if name == BAD && row == 7 { " EUR" } else { "" };
        writeln!(text, ",{},{}{unit}", value(row, 0), value(row, 1)).unwrap();
    }
    let path = folder.join(format!("{name}_{}.csv", party.name()));
    fs::write(&path, text).unwrap();
    Dataset::new(party, name, &path, csv(party, "id", "y"))
}

#[test]
fn the_search_finds_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Party::A, TRAIN, 20);
    let needles = needles();
    let text = fs::read(&files(folder.path())[0]).unwrap();
    assert!(found(&text, &needles).is_some());
    let cell: f64 = value(3, 1).parse().unwrap();
    let shown = [
        format!("{:?}", [cell]),
        format!("{:?}", format!("{ID}7").as_bytes()),
        format!("{ID}7").bytes().map(|b| format!("{b:02x}")).collect(),
    ];
    for text in shown {
        assert!(found(text.as_bytes(), &needles).is_some(), "{text}");
    }
    let stored = [&[9, 9], &cell.to_le_bytes()[..], &[9]].concat();
    assert!(found(&stored, &needles).is_some());
    assert!(is_bulky(&format!("mask {:?}", [u64::MAX; 32])) && is_bulky(&"0f".repeat(33)));
    let usual = format!("job=7b1e6d2c-0000-4000-8000-0123456789ab pin {} 1 of 20", "ab".repeat(32));
    assert!(!is_bulky(&usual) && found(usual.as_bytes(), &needles).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_a_node_holds_an_id_a_value_or_a_mask() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = |party| {
        [(TRAIN, 150), (TEST, 120), (BAD, 150)]
            .map(|(name, rows)| write(folder.path(), party, name, rows))
            .to_vec()
    };
    let mut plan = PairPlan::new(node_binary(), catalogue(Party::A), catalogue(Party::B));
    plan.log_level = "trace";
    let pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    pair.client(Party::A).await.unwrap().list().await.unwrap();

    let job = run(&bank, &quick_job("the good one")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    for (name, at_a) in [("bad at A", true), ("bad at B", false)] {
        let mut spec = quick_job(name);
        let data = &mut spec.data;
        BAD.clone_into(if at_a { &mut data.test_a } else { &mut data.test_b });
        let job = run(&bank, &spec).await;
        assert_eq!(failure(&job).code, "data.type_differs", "{name}");
    }

    // While the nodes run: the store's journal is there too.
    let needles = needles();
    let written = files(pair.folder());
    for path in &written {
        let found = found(&fs::read(path).unwrap(), &needles);
        assert_eq!(found, None, "in {}", path.display());
    }
    for party in [Party::A, Party::B] {
        let store = pair.folder().join(party.name());
        let stored: Vec<u8> = written
            .iter()
            .filter(|path| path.starts_with(&store))
            .flat_map(|path| fs::read(path).unwrap())
            .collect();
        let job = "the good one".as_bytes();
        assert!(stored.windows(job.len()).any(|w| w == job), "{} keeps no job", party.name());

        let log = fs::read_to_string(pair.folder().join(party.name()).with_extension("log"));
        let log = log.unwrap();
        assert!(log.contains(" TRACE "), "the log does not hold everything");
        let own =
            |line: &&str| ["caesar_node", "mpc_core", "paillier"].iter().any(|c| line.contains(c));
        let bulky = log.lines().filter(own).find(|line| is_bulky(line));
        assert_eq!(bulky, None, "{} logs too much", party.name());
    }
    pair.stop().unwrap();
}
