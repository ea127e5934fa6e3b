//! Two processes train over mutual TLS and the bank gets its report.
#![allow(clippy::unwrap_used)]

mod common;

use caesar_client::{JobState, Report};
use caesar_e2e::{Pair, PairPlan, Party};
use common::{Good, node_binary, quick_job, run};

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

        // A took part, may be a moment later, and has no scores to show.
        let at_a = platform.wait(&job.id).await.unwrap();
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
