//! `cargo demo` as a program: what it prints, how it exits, and that it leaves no node behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Good, node_binary};
use rustix::process::{Pid, Signal};

/// `demo` with the good data of a folder.
fn demo(good: &Good) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.arg("--party-a").arg(&good.train.a).arg("--party-b").arg(&good.train.b);
    demo.arg("--test-a").arg(&good.test.a).arg("--test-b").arg(&good.test.b);
    demo
}

/// The two addresses that the demo's nodes had; nobody may listen there any more.
fn expect_nodes_gone(stderr: &str) {
    let addresses: Vec<SocketAddr> = stderr
        .lines()
        .filter_map(|line| line.split_once(" listens on "))
        .map(|(_, address)| address.parse().unwrap())
        .collect();
    assert_eq!(addresses.len(), 2, "{stderr}");
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "a node is left on {address}");
    }
}

#[test]
fn the_demo_takes_files_prints_a_table_and_writes_json_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 400);
    let (json, page) = (folder.path().join("out.json"), folder.path().join("out.html"));
    let output = demo(&good)
        .env("CAESAR_NODE_BINARY", node_binary())
        .args(["--modulus-bits", "2048", "--epochs", "2", "--json"])
        .arg(&json)
        .arg("--report")
        .arg(&page)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for part in ["bank alone", "joint", "lift", "ciphertexts", "training"] {
        assert!(stdout.contains(part), "{part:?} is missing in\n{stdout}");
    }
    assert!(stderr.contains("ETA"), "{stderr}");
    expect_nodes_gone(&stderr);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report["intersection_sha256_train"], good.train.common_sha256.as_str());
    assert_eq!(report["rows_a"], good.train.rows_a);
    assert_eq!(report["epochs"], 2);
    let page = fs::read_to_string(page).unwrap();
    let ks = report["evaluation"]["joint"]["ks"]["value"].as_f64().unwrap();
    for part in ["<h1>demo</h1>", "chart-ks", "forward", &format!("{ks:.3}")] {
        assert!(page.contains(part), "{part:?} is missing in the page");
    }
    // Other programs read these names.
    let text = ["intersection_sha256_train", "intersection_sha256_test"];
    assert!(text.iter().all(|key| report[key].is_string()), "{report}");
    for key in [
        "rows_a",
        "rows_b",
        "intersection_train",
        "intersection_test",
        "ks_bank_only",
        "auc_bank_only",
        "ks_joint",
        "auc_joint",
        "f1_joint",
        "seconds_psi",
        "seconds_train",
        "seconds_eval",
        "iterations",
        "bytes_a_to_b",
        "bytes_b_to_a",
        "modulus_bits",
    ] {
        assert!(report[key].is_number(), "{key} in {report}");
    }
}

#[test]
fn a_demo_that_cannot_work_says_why_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 100, 100);
    let run = |args: &[&str]| {
        let output = demo(&good).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, stderr) = run(&["--label", "nonesuch"]);
    assert_eq!(code, Some(1), "{stderr}");
    for part in ["data.missing_label_column", "nonesuch", "who must act: B"] {
        assert!(stderr.contains(part), "{part:?} is missing in\n{stderr}");
    }
    expect_nodes_gone(&stderr);
    let (code, stderr) = run(&["--modulus-bits", "1024"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("2048 or 3072"), "{stderr}");
    let (code, stderr) = run(&["--json", "no/such/folder/out.json"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("no/such/folder"), "{stderr}");
}

#[test]
fn ctrl_c_stops_the_demo_and_both_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 400);
    let mut child = demo(&good)
        .args(["--modulus-bits", "2048", "--epochs", "200", "--learning-rate", "0.01"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut stderr = String::new();
    // Not before the job runs.
    for line in lines.by_ref() {
        stderr += &(line.clone() + "\n");
        if line.starts_with("running") {
            break;
        }
    }
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let start = Instant::now();
    stderr.extend(lines.map(|line| line + "\n"));
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    expect_nodes_gone(&stderr);
}

/// One of the demo's four files, wrong: option, new name, change of the text, code, what is said.
type Case<'a> = (&'a str, &'a str, fn(&str) -> String, &'a str, &'a [&'a str]);

/// The text with one line changed; lines count from 1.
fn line(text: &str, number: usize, change: impl Fn(&str) -> String) -> String {
    let lines = text.lines().zip(1..).map(|(l, n)| if n == number { change(l) } else { l.into() });
    lines.collect::<Vec<String>>().join("\n") + "\n"
}

/// A column's cell replaced in a line.
fn cell(row: &str, column: usize, value: &str) -> String {
    let mut cells: Vec<&str> = row.split(',').collect();
    cells[column] = value;
    cells.join(",")
}

/// The text without its column of this position.
fn without(text: &str, column: usize) -> String {
    let cut = |row: &str| {
        let cells = row.split(',').enumerate().filter(|(j, _)| *j != column);
        cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",")
    };
    text.lines().map(|row| cut(row) + "\n").collect()
}

#[test]
fn every_wrong_file_is_one_message_with_its_place_and_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 128, 128);
    let cases: [Case<'_>; 13] = [
        ("--party-a", "noid.csv", |t| t.replacen("id,", "key,", 1), "data.missing_id_column", &[]),
        (
            "--test-b",
            "spaces.csv",
            |t| t.replacen("id,y", "id, y", 1),
            "data.missing_label_column",
            &["spaces.csv, line 1"],
        ),
        (
            "--party-b",
            "label.csv",
            |t| line(t, 5, |l| cell(l, 1, "42424242")),
            "data.label_not_binary",
            &["label.csv, column \"y\", line 5"],
        ),
        (
            "--party-a",
            "overflow.csv",
            |t| line(t, 8, |l| cell(l, 2, "1e999")),
            "data.not_numeric",
            &["overflow.csv, column \"a1\", line 8"],
        ),
        (
            "--test-a",
            "text.csv",
            |t| line(t, 9, |l| cell(l, 1, "42424242 EUR")),
            "data.type_differs",
            &["text.csv, column \"a0\", line 9"],
        ),
        (
            "--test-b",
            "infinite.csv",
            |t| line(t, 2, |l| cell(l, 4, "inf")),
            "data.not_numeric",
            &["infinite.csv, column \"b2\", line 2"],
        ),
        (
            "--party-a",
            "twice.csv",
            |t| t.to_owned() + t.lines().nth(3).unwrap(),
            "data.duplicate_ids",
            &["twice.csv", "that of line 4"],
        ),
        (
            "--party-b",
            "blank.csv",
            |t| line(t, 6, |l| cell(l, 0, "")),
            "data.empty_id",
            &["line 6"],
        ),
        (
            "--test-a",
            "less.csv",
            |t| without(t, 3),
            "data.columns_differ",
            &["less.csv, column \"a2\" is missing"],
        ),
        (
            "--party-a",
            "ids-only.csv",
            |t| t.lines().map(|l| l.split(',').next().unwrap().to_owned() + "\n").collect(),
            "data.no_columns",
            &["ids-only.csv"],
        ),
        (
            "--party-a",
            "zero.svm",
            |_| "0 1:1\n0 0:1\n".to_owned(),
            "data.libsvm_index_zero",
            &["zero.svm, line 2"],
        ),
        (
            "--party-b",
            "unsorted.svm",
            |_| "1 1:1\n-1 3:1 2:1\n".to_owned(),
            "data.libsvm_unsorted",
            &["unsorted.svm, line 2"],
        ),
        (
            "--party-a",
            "short.svm",
            |_| "0 1:1\n".to_owned(),
            "data.ids_length",
            &["short.ids has 2 ids", "short.svm has 1 rows"],
        ),
    ];
    for (option, name, change, code, says) in cases {
        let original = match option {
            "--party-a" => &good.train.a,
            "--party-b" => &good.train.b,
            "--test-a" => &good.test.a,
            _ => &good.test.b,
        };
        let text = change(&fs::read_to_string(original).unwrap());
        fs::write(folder.path().join(name), text).unwrap();
        if let Some(stem) = name.strip_suffix(".svm") {
            fs::write(folder.path().join(format!("{stem}.ids")), "p\nq\n").unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        // Relative names, as people type them.
        command.current_dir(folder.path()).env("CAESAR_NODE_BINARY", node_binary());
        for (other, file) in [
            ("--party-a", &good.train.a),
            ("--party-b", &good.train.b),
            ("--test-a", &good.test.a),
            ("--test-b", &good.test.b),
        ] {
            let file = if other == option { Path::new(name) } else { file };
            command.arg(other).arg(file.file_name().unwrap());
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}: a report of a failed job");
        let error = stderr.split_once("error: ").unwrap_or_else(|| panic!("{name}: {stderr}")).1;
        let side = if option.ends_with('a') { "who must act: A" } else { "who must act: B" };
        for part in [&[code, side, "what to do: "], says].concat() {
            assert!(error.contains(part), "{name}: {part:?} is missing in\n{stderr}");
        }
        // The message stands once, with no log around it and no content of the file in it.
        assert_eq!(stderr.matches(code).count(), 1, "{name}: {stderr}");
        assert!(!stderr.contains("42424242"), "{name}: {stderr}");
        expect_nodes_gone(&stderr);
    }
}

#[test]
fn files_are_taken_as_other_programs_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 128, 128);
    let at = |name: &str| folder.path().join(name);
    // A: a spreadsheet's export, columns in another order, read through a link.
    let text = fs::read_to_string(&good.test.a).unwrap();
    let turned = text.lines().map(|row| {
        let cells: Vec<String> = row.split(',').rev().map(|c| format!("\"{c}\"")).collect();
        cells.join(",") + "\r\n"
    });
    fs::write(at("stored-by-hash"), format!("\u{feff}{}\r\n", turned.collect::<String>())).unwrap();
    std::os::unix::fs::symlink(at("stored-by-hash"), at("link.csv")).unwrap();
    // B: libsvm text, its test rows with a column of their own.
    for (files, name) in [(&good.train, "b"), (&good.test, "bt")] {
        let text = fs::read_to_string(&files.b).unwrap();
        let (mut rows, mut ids) = (String::new(), String::new());
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let last = if name == "bt" { 9 } else { 5 };
            let (y, c) = (cells[1], &cells[2..]);
            // The smallest values vanish in fixed point.
            rows += &format!("{y} 1:{} 2:{} 4:{} {last}:{} 10:0.0001\n", c[0], c[1], c[2], c[3]);
            ids += &format!("{}\n", cells[0]);
        }
        fs::write(at(&format!("{name}.svm")), rows).unwrap();
        fs::write(at(&format!("{name}.ids")), ids).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .current_dir(folder.path())
        .env("CAESAR_NODE_BINARY", node_binary())
        .args(["--party-a", "train_a.csv", "--party-b", "./b.svm"])
        .args(["--test-a", "link.csv", "--test-b", "bt.svm"])
        .args(["--modulus-bits", "2048", "--epochs", "1", "--json", "out.json"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(at("out.json")).unwrap()).unwrap();
    assert_eq!((&report["columns_a"], &report["columns_b"]), (&4.into(), &10.into()));
    assert_eq!(report["intersection_test"], good.test.common);
    assert_eq!(report["intersection_sha256_test"], good.test.common_sha256.as_str());
}
