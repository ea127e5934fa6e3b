//! Two processes train over mutual TLS and the bank gets its report.
#![allow(clippy::unwrap_used)]

mod common;

use caesar_client::{ClassWeight, JobState, ModelEvaluation, Report, Schedule, ScoreBin, Training};
use caesar_e2e::{Pair, PairPlan, Party};
use common::{Good, failure, node_binary, quick_job, run};

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
    assert!(report.deciles.len() >= 4, "{report:?}");
    assert_eq!(report.deciles.iter().map(|d| d.rows).sum::<u64>(), good.test.common);
    assert!(report.deciles[0].lift > 1.0, "{report:?}");
    assert!(report.max_abs_z < report.series_window, "{report:?}");

    check_evaluation(report);

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

/// What arrives is of one piece, and no bin of it is too small.
fn check_evaluation(report: &Report) {
    let evaluation = report.evaluation.as_ref().unwrap();
    let of = |model: &ModelEvaluation| (model.ks.value, model.auc.value, model.f1);
    assert_eq!(of(&evaluation.joint), (report.ks_joint, report.auc_joint, report.f1_joint));
    let alone = (report.ks_bank_only, report.auc_bank_only, report.f1_bank_only);
    assert_eq!(of(&evaluation.bank_only), alone);
    assert_eq!(evaluation.rows, report.intersection_test);
    assert_eq!(evaluation.resamples, 1000);
    let positives = evaluation.positives.unwrap();
    for model in [&evaluation.joint, &evaluation.bank_only] {
        let [rows, hits] = [|b: &ScoreBin| b.rows, |b: &ScoreBin| b.positives]
            .map(|of| model.bins.iter().map(of).sum::<u64>());
        assert_eq!((rows, hits), (evaluation.rows, positives), "{evaluation:?}");
        for bin in &model.bins {
            let other = bin.rows - bin.positives;
            assert!(bin.rows >= 10 && bin.positives.min(other) >= 5, "{bin:?}");
        }
        for estimate in [model.ks, model.auc] {
            assert!(estimate.low < estimate.high, "{estimate:?}");
            assert!((estimate.low..=estimate.high).contains(&estimate.value), "{estimate:?}");
        }
        // The best end of a bin is near the best threshold.
        let at_ks = model.at_ks.unwrap();
        assert!(at_ks.target <= model.ks.value + 1e-4, "{at_ks:?}");
        assert!(at_ks.target > model.ks.value - 0.15, "{at_ks:?}");
    }
    assert!(evaluation.ks_gain.low > 0.0, "{evaluation:?}");
    let stability = evaluation.stability.as_ref().unwrap();
    let train: u64 = stability.bins.iter().map(|bin| bin.train_rows).sum();
    assert_eq!(train, report.intersection_train);
    assert!((0.0..0.5).contains(&stability.psi), "{stability:?}");
    let shown = report.deciles.iter().map(|d| (d.decile, d.rows, d.positives));
    let groups = evaluation.joint.deciles();
    assert!(shown.eq(groups.iter().map(|d| (d.decile, d.rows, d.positives))), "{report:?}");
}

/// Options of training pass through both nodes; what B alone is asked does not reach A; and A's catalogue
/// decides whether scores are opened while it trains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_reach_both_nodes_and_validation_needs_the_consent_of_a() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 600, 400);
    let mut catalogue_a = good.catalogue(Party::A);
    let mut open = catalogue_a[0].clone();
    (open.name, open.allow_validation) = ("open".to_owned(), true);
    catalogue_a.push(open);
    let plan = PairPlan::new(node_binary(), catalogue_a, good.catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    let bank = pair.client(Party::B).await.unwrap();
    let platform = pair.client(Party::A).await.unwrap();

    let mut spec = quick_job("validated");
    spec.training = Training {
        epochs: Some(3),
        schedule: Schedule::Cosine,
        whiten: true,
        class_weight: Some(ClassWeight::Positive(2.0)),
        validation: Some(0.25),
        patience: Some(3),
        ..spec.training
    };
    let job = run(&bank, &spec).await;
    let refused = failure(&job);
    assert_eq!(refused.code, "dataset.refused", "{refused:?}");
    assert!(refused.hint.contains("allow_validation"), "{refused:?}");

    "open".clone_into(&mut spec.data.train_a);
    let job = run(&bank, &spec).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert_eq!(job.spec, spec);
    let report = bank.result(&job.id).await.unwrap();
    let epochs: Vec<u32> = report.training_curve.iter().map(|point| point.epoch).collect();
    assert_eq!(epochs, [1, 2, 3]);
    assert!(report.training_curve.iter().all(|p| p.ks > 0.2 && p.auc > 0.6), "{report:?}");
    assert!((100..200).contains(&report.validation_rows), "{}", report.validation_rows);
    assert_eq!((report.schedule.as_str(), report.stopped.as_str()), ("cosine", ""));
    assert!(report.whitened && report.weighted);

    let at_a = platform.wait(&job.id).await.unwrap().spec.training;
    let public = Training { class_weight: None, patience: None, ..spec.training };
    assert_eq!(at_a, public, "what B alone was asked");
    pair.stop().unwrap();
}
