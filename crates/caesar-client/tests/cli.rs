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
    let commands = ["submit", "watch", "status", "result", "cancel", "jobs", "--config"];
    expect(&output, 0, &commands, &[]);
    expect(&output, 0, &["Exit codes:", "CAESAR_CONFIG"], &[]);
    expect(&caesar(folder.path(), &["result", "--help"]), 0, &["--json"], &[]);
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
}
