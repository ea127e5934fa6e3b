//! Nothing of the harness outlives it, not even when it is killed.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::node_binary;

/// Command lines of running processes that contain `text`. That of a node has its configuration's
/// path.
fn command_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // Most entries are no processes, and a process may end meanwhile.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_harness_that_is_killed_or_told_to_stop_leaves_no_node() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["KILL", "TERM"] {
        let mut harness = Command::new(env!("CARGO_BIN_EXE_faults"))
            .args(["--runs", "1"])
            // Temporary folders of its nodes lie in ours, which tells them from others.
            .env("TMPDIR", folder.path())
            .env("CAESAR_NODE_BINARY", node_binary())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let place = format!("{}/caesar-", folder.path().display());
        let nodes = || command_lines(&place);
        let up = || nodes().iter().filter(|line| line.contains("serve")).count() == 2;
        until("both nodes run", Duration::from_secs(60), up);
        let pid = harness.id().to_string();
        let told = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(told.success());
        harness.wait().unwrap();
        until(&format!("{signal}: {:?}", nodes()), Duration::from_secs(10), || nodes().is_empty());
    }
}
