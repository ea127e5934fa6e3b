//! The `caesar` command as a process: what it prints and how it exits.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    path::Path,
    process::{Command, Output},
};

use common::{FakeNode, identity, write_config};

fn caesar(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_caesar"))
        .args(args)
        .current_dir(folder)
        .env_remove("CAESAR_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn expect(output: &Output, code: i32, stdout: &[&str], stderr: &[&str]) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    for part in stdout {
        assert!(out.contains(part), "{part:?} is missing in stdout:\n{out}");
    }
    for part in stderr {
        assert!(err.contains(part), "{part:?} is missing in stderr:\n{err}");
    }
}

const JOB: &str = "[data]\ntrain_a = \"a\"\ntest_a = \"b\"\ntrain_b = \"c\"\ntest_b = \"d\"\n";

#[test]
fn help_names_every_command_and_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = caesar(folder.path(), &["--help"]);
    let commands = ["submit", "watch", "status", "result", "report", "cancel", "jobs", "--config"];
    expect(&output, 0, &commands, &[]);
    expect(&output, 0, &["Exit codes:", "CAESAR_CONFIG"], &[]);
    expect(
        &caesar(folder.path(), &["result", "--help"]),
        0,
        &["--json", "--full", "--profile"],
        &[],
    );
    expect(&caesar(folder.path(), &["submit", "--help"]), 0, &["--wait", "--request-id"], &[]);
    expect(&caesar(folder.path(), &["--version"]), 0, &["caesar "], &[]);
}

#[test]
fn mistakes_of_usage_and_files_exit_with_2_before_any_connection() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("job.toml"), JOB).unwrap();
    std::fs::write(here.join("typo.toml"), format!("{JOB}[training]\nepoch = 1\n")).unwrap();
    std::fs::write(here.join("range.toml"), format!("{JOB}[training]\nl2 = -1.0\n")).unwrap();

    expect(&caesar(here, &[]), 2, &[], &["Usage"]);
    expect(&caesar(here, &["frobnicate"]), 2, &[], &["frobnicate"]);
    expect(&caesar(here, &["watch", "two words"]), 2, &[], &["job id"]);
    let toml = ["config.toml", "typo.toml", "epoch", "who must act: you", "what to do"];
    expect(&caesar(here, &["submit", "typo.toml"]), 2, &[], &toml);
    let range = ["config.job", "range.toml", "training.l2"];
    expect(&caesar(here, &["submit", "range.toml"]), 2, &[], &range);
    let missing = ["config.unreadable", "gone.toml"];
    expect(&caesar(here, &["submit", "gone.toml"]), 2, &[], &missing);
    expect(&caesar(here, &["jobs"]), 2, &[], &["config.unreadable", "client.toml"]);
}

#[test]
fn a_node_that_is_not_there_exits_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_config(folder.path(), free, &identity(), &identity());
    let output = caesar(folder.path(), &["jobs"]);
    expect(&output, 3, &[], &["connection.unreachable", &free.to_string(), "what to do"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_against_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (server, client) = (identity(), identity());
    let node = FakeNode::start(&server, &server, &client).await;
    write_config(here, node.address, &client, &server);
    std::fs::write(here.join("job.toml"), JOB).unwrap();
    let run = |args: &[&str]| tokio::task::block_in_place(|| caesar(here, args));

    let output = run(&["submit", "job.toml"]);
    expect(&output, 0, &[], &[]);
    assert_eq!(text(&output.stdout), "good\n", "only the id, for scripts");
    expect(&run(&["submit", "job.toml", "--wait"]), 0, &["good", "joint", "0.5000"], &["running"]);
    expect(&run(&["submit", "job.toml", "--request-id", "used"]), 2, &[], &["node.conflict"]);
    let failure = ["peer.lost", "step: forward", "A, the feature holder", "start A's node again"];
    expect(&run(&["watch", "bad"]), 1, &[], &failure);
    expect(&run(&["watch", "good"]), 0, &[], &["succeeded"]);
    expect(&run(&["status", "bad"]), 0, &["failed", "peer.lost"], &[]);
    expect(&run(&["status", "nobody"]), 2, &[], &["node.not_found"]);
    expect(&run(&["result", "running"]), 1, &[], &["node.not_ready"]);
    expect(&run(&["result", "bad"]), 1, &[], &["peer.lost"]);
    expect(&run(&["cancel", "good"]), 0, &["cancelled"], &[]);
    expect(&run(&["jobs"]), 0, &["good", "bad", "succeeded", "failed"], &[]);

    let plain = run(&["result", "good"]);
    assert!(!text(&plain.stdout).contains("error-ole"), "only on demand");
    let profile = ["0.5000", "compute s", "error-ole", "1.50", "3.25", "took 2.00 µs"];
    expect(&run(&["result", "good", "--profile"]), 0, &profile, &[]);

    // Intervals and tenths always, the rest on demand.
    expect(&plain, 0, &["95 % interval", "0.4500 to 0.5500", "+0.2500", "87.5 %", "0.75"], &[]);
    assert!(!text(&plain.stdout).contains("0.1375"), "only on demand");
    let full = ["0.1375", "0.4125", "0.0375", "largest KS", "70.0 %", "0.0625", "1,000"];
    expect(&run(&["result", "good", "--full"]), 0, &full, &[]);

    let page = here.join("report.html");
    let output = run(&["report", "good", "-o", "report.html"]);
    expect(&output, 0, &[], &[]);
    assert!(output.stdout.is_empty());
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("0.450 to 0.550"), "{page}");
    let output = run(&["report", "good", "--output", "-"]);
    expect(&output, 0, &["<!DOCTYPE html>", "chart-roc"], &[]);
    expect(&run(&["report", "bad", "-o", "none.html"]), 1, &[], &["peer.lost"]);
    expect(&run(&["report", "running", "-o", "none.html"]), 1, &[], &["node.not_ready"]);
    assert!(!here.join("none.html").exists(), "a page without a result");
    let output = run(&["report", "good", "-o", "no/such/folder.html"]);
    expect(&output, 2, &[], &["config.unwritable", "no/such/folder.html"]);

    let output = run(&["result", "good", "--json"]);
    expect(&output, 0, &[], &[]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Other programs read these names.
    for key in [
        "rows_a",
        "rows_b",
        "intersection_train",
        "intersection_test",
        "intersection_sha256_train",
        "intersection_sha256_test",
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
        assert!(json.get(key).is_some(), "{key} is missing");
    }
    let evaluation = &json["evaluation"];
    assert_eq!(evaluation["positives"], 40);
    assert_eq!(
        evaluation["ks_gain"],
        serde_json::json!({ "value": 0.25, "low": 0.2, "high": 0.3 })
    );
    for key in ["rows", "auc_gain", "stability", "resamples", "confidence", "min_bin_rows"] {
        assert!(evaluation.get(key).is_some(), "{key} is missing");
    }
    for key in [
        "ks",
        "auc",
        "average_precision",
        "f1",
        "brier",
        "log_loss",
        "calibration_error",
        "at_ks",
        "at_best_f1",
        "recall_at_precision",
        "precision_at_recall",
        "bins",
    ] {
        assert!(evaluation["joint"].get(key).is_some(), "{key} is missing");
        assert!(evaluation["bank_only"].get(key).is_some(), "{key} is missing");
    }
    let first = serde_json::json!({
        "decile": 1, "rows": 50, "positives": 35, "low": 0.75, "mean_score": 1.0,
        "mean_probability": 0.375,
    });
    assert_eq!(evaluation["joint"]["bins"][0], first);
    // What was printed can be read again.
    let again: caesar_client::Report = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
    let step = serde_json::json!({
        "step": "error-ole", "compute_seconds": 1.5, "wait_seconds": 3.25, "link_seconds": 0.5,
        "messages_sent": 1, "messages_received": 2, "bytes_sent": 3, "bytes_received": 4,
        "predicted_seconds": null,
    });
    let profile = serde_json::json!([
        { "party": "A", "product_seconds": 2e-6, "steps": [step] },
        { "party": "B", "product_seconds": 0.0, "steps": [] },
    ]);
    assert_eq!(json["profile"], profile);
}
