//! Two processes train over mutual TLS and the bank gets its report.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use caesar_client::{JobState, Report};
use caesar_e2e::{Pair, PairPlan, Party};
use common::{Good, node_binary, quick_job, run};
use rustix::process::{Pid, Signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_of_connecting_end_in_a_sane_report() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 400);
    for connector in [Party::A, Party::B] {
        let catalogues = (good.catalogue(Party::A), good.catalogue(Party::B));
        let mut plan = PairPlan::new(node_binary(), catalogues.0, catalogues.1);
        plan.connector = connector;
        let pair = Pair::start(&plan).unwrap();
        let bank = pair.client(Party::B).await.unwrap();
        let platform = pair.client(Party::A).await.unwrap();

        let job = run(&bank, &quick_job("train")).await;
        assert_eq!(job.state, JobState::Succeeded, "{connector:?}: {:?}", job.failure);
        assert!(job.ended.is_some());
        check(&good, &bank.result(&job.id).await.unwrap());

        // A took part, and has no scores to show.
        let at_a = platform.get(&job.id).await.unwrap();
        assert_eq!(at_a.state, JobState::Succeeded);
        let error = platform.result(&job.id).await.unwrap_err();
        assert_eq!(error.code(), "job.no_result", "{error}");

        pair.stop().unwrap();
    }
}

fn check(good: &Good, report: &Report) {
    assert_eq!((report.rows_a, report.rows_b), (good.train.rows_a, good.train.rows_b));
    assert_eq!(report.intersection_train, good.train.common);
    assert_eq!(report.intersection_test, good.test.common);
    assert_eq!(report.intersection_sha256_train, good.train.common_sha256);
    assert_eq!(report.intersection_sha256_test, good.test.common_sha256);
    assert_eq!((report.columns_a, report.columns_b), (4, 4));
    assert_eq!(report.modulus_bits, 2048);
    // 600 rows in batches of 64: 9 a pass, the rest is dropped.
    assert_eq!((report.epochs, report.batch_size, report.iterations), (4, 64, 36));
    assert_eq!((report.learning_rate, report.l2), (0.3, 0.0));

    // The label follows A's columns more than B's, so there is a lift, and a large one.
    assert!(report.ks_joint > 0.4, "{report:?}");
    assert!(report.ks_lift() > 0.1, "{report:?}");
    assert!(report.auc_joint > report.auc_bank_only, "{report:?}");
    for figure in [report.ks_bank_only, report.auc_bank_only, report.auc_joint, report.f1_joint] {
        assert!((0.0..=1.0).contains(&figure), "{report:?}");
    }
    assert_eq!(report.deciles.len(), 10);
    assert_eq!(report.deciles.iter().map(|d| d.rows).sum::<u64>(), good.test.common);
    assert!(report.deciles[0].lift > 1.0, "{report:?}");
    assert!(report.max_abs_z < report.series_window, "{report:?}");

    // Two ciphertexts of 512 bytes a row and more; and not a hundred times that.
    let rows = u64::from(report.iterations * report.batch_size);
    for bytes in [report.bytes_a_to_b, report.bytes_b_to_a] {
        assert!((512 * rows..50_000 * rows).contains(&bytes), "{report:?}");
    }
    assert!(report.ciphertexts_a_to_b >= rows && report.ciphertexts_b_to_a >= rows, "{report:?}");
    let phases = report.seconds_psi + report.seconds_setup + report.seconds_train;
    assert!(report.seconds_train > 0.0, "{report:?}");
    assert!(phases + report.seconds_eval <= report.seconds_total + 1.0, "{report:?}");
    assert!(!report.kernel.is_empty());
}

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
fn the_demo_takes_files_prints_a_table_and_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 400);
    let json = folder.path().join("out.json");
    let output = demo(&good)
        // A node that is given is not built, and not announced.
        .env_remove("CAESAR_NODE_BINARY")
        .args(["--modulus-bits", "2048", "--epochs", "2", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for part in ["bank alone", "joint", "lift", "ciphertexts", "training"] {
        assert!(stdout.contains(part), "{part:?} is missing in\n{stdout}");
    }
    for part in ["building caesar-node", "ETA"] {
        assert!(stderr.contains(part), "{part:?} is missing in\n{stderr}");
    }
    expect_nodes_gone(&stderr);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(report["intersection_sha256_train"], good.train.common_sha256.as_str());
    assert_eq!(report["rows_a"], good.train.rows_a);
    assert_eq!(report["epochs"], 2);
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
    for part in ["data.missing_label_column", "nonesuch", "who must act: B", "log of bank"] {
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
