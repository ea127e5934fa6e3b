use caesar_proto::v1::{Training, training::ClassWeight};
use mpc_core::metrics::{Evaluation, Ranked};
use prost::Message as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::testing::spec;

#[test]
fn canonical_parameters_round_trip() {
    let full = Training {
        epochs: Some(3),
        batch_size: Some(256),
        learning_rate: Some(0.5),
        l2: Some(0.0),
        schedule: "linear".to_owned(),
        max_steps: Some(77),
        whiten: true,
        validation: Some(0.25),
        ..Training::default()
    };
    let options = Training {
        class_weight: Some(ClassWeight::PositiveWeight(3.0)),
        sample_weights: true,
        patience: Some(2),
        max_train_seconds: Some(60),
        positive_class: Some("gold".to_owned()),
        ..full.clone()
    };
    for (training, bits) in
        [(Training::default(), 0), (full.clone(), 2048), (full.clone(), 3072), (options, 0)]
    {
        let asked = JobSpec { training: Some(training.clone()), modulus_bits: bits, ..spec() };
        let (typed, bytes) = parameters(&asked).unwrap();
        assert_eq!(decode_parameters(&bytes).unwrap(), typed);
        let kept = spec_of_parameters(&bytes).unwrap();
        let public = Training {
            class_weight: None,
            sample_weights: false,
            patience: None,
            max_train_seconds: None,
            positive_class: None,
            ..training
        };
        assert_eq!(kept.training, Some(public), "what B alone is asked is not A's business");
        assert_eq!(kept.modulus_bits, if bits == 0 { 3072 } else { bits });
        assert!(kept.train_b.is_empty(), "B's names are not A's business");
    }
}

#[test]
fn bad_specifications_name_the_field() {
    let training = |t| JobSpec { training: Some(t), ..spec() };
    let cases = [
        (JobSpec { modulus_bits: 1024, ..spec() }, "modulus_bits"),
        (JobSpec { train_a: String::new(), ..spec() }, "train_a"),
        (JobSpec { test_b: "x".repeat(129), ..spec() }, "test_b"),
        (JobSpec { name: "a\nb".to_owned(), ..spec() }, "name"),
        (training(Training { batch_size: Some(63), ..Training::default() }), "batch_size"),
        (training(Training { epochs: Some(0), ..Training::default() }), "epochs"),
        (
            training(Training { learning_rate: Some(f64::NAN), ..Training::default() }),
            "learning_rate",
        ),
        (training(Training { l2: Some(-1.0), ..Training::default() }), "l2"),
        (training(Training { schedule: "steep".to_owned(), ..Training::default() }), "schedule"),
        (training(Training { max_steps: Some(0), ..Training::default() }), "max_steps"),
        (training(Training { validation: Some(0.6), ..Training::default() }), "validation"),
        (training(Training { patience: Some(2), ..Training::default() }), "training.validation"),
        (
            training(Training { max_train_seconds: Some(0), ..Training::default() }),
            "max_train_seconds",
        ),
        (
            training(Training {
                class_weight: Some(ClassWeight::PositiveWeight(-1.0)),
                ..Training::default()
            }),
            "class_weight",
        ),
    ];
    for (wrong, field) in cases {
        let failure = check_spec(&wrong).expect_err(field);
        assert_eq!(failure.code, code::JOB_SPEC);
        assert!(failure.message.contains(field), "{failure}");
        assert_eq!(status(&failure).code(), Code::InvalidArgument);
    }
    check_spec(&spec()).unwrap();
    for id in ["", "a\tb", &"x".repeat(129)] {
        check_request_id(id).expect_err(id);
    }
    check_request_id(&"é".repeat(128)).unwrap();
}

#[test]
fn bad_lists_and_divisions_name_the_field() {
    let divided = || JobSpec { test_a: String::new(), test_b: String::new(), ..spec() };
    let hash = |test, salt: &str| JobSpec {
        split_hash: Some(proto::HashSplit { test, salt: salt.to_owned() }),
        ..divided()
    };
    let column = |side: &str, column: &str, test: &[&str]| JobSpec {
        split_column: Some(proto::ColumnSplit {
            side: side.to_owned(),
            column: column.to_owned(),
            test: test.iter().map(|&t| t.to_owned()).collect(),
        }),
        ..divided()
    };
    for good in [hash(0.25, ""), column("A", "fold", &["2024"]), column("B", "fold", &["1", "2"])] {
        check_spec(&good).unwrap();
    }
    let class = |class: &str| JobSpec {
        training: Some(Training { positive_class: Some(class.to_owned()), ..Training::default() }),
        ..spec()
    };
    check_spec(&class("gold")).unwrap();
    let both = JobSpec { split_column: column("A", "fold", &["1"]).split_column, ..hash(0.5, "") };
    let cases = [
        (divided(), "test_a"),
        (JobSpec { test_b: "b".to_owned(), ..hash(0.25, "") }, "must be empty"),
        (JobSpec { split_hash: hash(0.25, "").split_hash, ..spec() }, "must be empty"),
        (hash(0.0, ""), "split.hash.test"),
        (hash(1.0, ""), "split.hash.test"),
        (hash(f64::NAN, ""), "split.hash.test"),
        (hash(0.5, "a\0b"), "split.hash.salt"),
        (column("C", "fold", &["1"]), "side"),
        (column("A", "", &[]), "data.split"),
        (column("B", "", &[]), "data.split"),
        (column("A", "fold", &[]), "data.split"),
        (column("A", "fold", &["a\nb"]), "data.split"),
        (both, "both a hash and a column"),
        (JobSpec { features_a: vec![String::new()], ..spec() }, "features_a"),
        (JobSpec { features_b: vec!["x".repeat(129)], ..spec() }, "features_b"),
        (JobSpec { features_b: vec!["x".to_owned(); 1001], ..spec() }, "features_b"),
        (class(" "), "positive_class"),
        (class("a\tb"), "positive_class"),
    ];
    for (wrong, field) in cases {
        let failure = check_spec(&wrong).expect_err(field);
        assert_eq!(failure.code, code::JOB_SPEC);
        assert!(failure.message.contains(field), "{failure}");
    }
}

#[test]
fn a_is_told_of_a_column_of_bs_only_that_it_is_bs() {
    use crate::{config::Role, data::Split};
    let with = |side: &str| JobSpec {
        split_column: Some(proto::ColumnSplit {
            side: side.to_owned(),
            column: "fold".to_owned(),
            test: vec!["2024".to_owned()],
        }),
        test_a: String::new(),
        test_b: String::new(),
        ..spec()
    };
    let told = split_column_for_a(&with("B")).unwrap();
    assert_eq!((told.side.as_str(), told.column.as_str(), told.test.len()), ("B", "", 0));
    assert_eq!(split_column_for_a(&with("A")), with("A").split_column);
    let at_a = JobSpec { split_column: Some(told), ..with("B") };
    check_data(&at_a, &[("a", "")]).unwrap();
    assert_eq!(split(&at_a, Role::A).unwrap(), Split::Both);
    let column = Split::Column { column: "fold".to_owned(), test: vec!["2024".to_owned()] };
    assert_eq!(split(&with("B"), Role::B).unwrap(), column);
    assert_eq!(split(&with("A"), Role::A).unwrap(), column);
    assert_eq!(split(&with("A"), Role::B).unwrap(), Split::Both);
    split(&spec(), Role::A).unwrap_err();
}

#[test]
fn garbage_instead_of_parameters_is_the_peers_fault() {
    let good = parameters(&spec()).unwrap().1;
    let mut long = good.clone();
    long.push(0);
    for bytes in [&[][..], &good[1..], &long, &[0xff; 28]] {
        assert_eq!(decode_parameters(bytes).unwrap_err().code, code::PEER_PROTOCOL);
    }
}

#[test]
fn reasons_round_trip_and_a_missing_one_is_named() {
    let told = Failure::new("data.empty", Side::Both, "m", "h").in_step("load");
    assert_eq!(failure(Some(reason(&told)), Side::A), told);
    let missing = failure(None, Side::A);
    assert_eq!((missing.code.as_str(), missing.side), (code::PEER_PROTOCOL, Side::A));
}

#[test]
fn a_status_carries_our_code_and_survives_hints_that_are_not_ascii() {
    let status = status(&Failure::new(code::JOB_UNKNOWN, Side::Client, "no", "prüfen"));
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.metadata().get("caesar-code").unwrap(), "job.unknown");
    assert_eq!(status.metadata().get("caesar-side").unwrap(), "client");
    assert!(status.message().contains("prüfen"));
}

#[test]
fn an_evaluation_is_told_field_by_field_and_stays_small() {
    // Scores in a fixed order; the bank's rank the rows less well.
    let place = |i: u32, by: u32| f64::from(i * by % 4001) / 1000.0 - 2.0;
    let joint: Vec<f64> = (0..4000).map(|i| place(i, 7)).collect();
    let bank: Vec<f64> = (0..4000).map(|i| place(i, 7) / 4.0 + place(i, 13)).collect();
    let labels: Vec<bool> = (0..4000).map(|i| place(i, 7) > place(i, 29)).collect();
    let [a, b] = [&joint, &bank].map(|scores| Ranked::new(scores, &labels).unwrap());
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let of = Evaluation::new(&a, &b, &bank, &labels, &mut rng);
    let told = evaluation(&of);

    assert_eq!((told.rows, told.positives), (4000, of.positives.map(|p| p as u64)));
    assert_eq!((told.resamples, told.confidence), (1000, 0.95));
    assert_eq!((told.min_bin_rows, told.min_bin_class_rows), (10, 5));
    let same = |told: Option<proto::Estimate>, of: mpc_core::metrics::evaluation::Figure| {
        let want = (of.value, of.interval.low, of.interval.high);
        assert_eq!(told.map(|t| (t.value, t.low, t.high)), Some(want));
    };
    same(told.ks_gain, of.ks_gain);
    same(told.auc_gain, of.auc_gain);
    let (psi, stability) = (of.stability.as_ref().unwrap(), told.stability.as_ref().unwrap());
    assert_eq!((stability.psi, stability.bins.len()), (psi.psi, psi.bins.len()));
    let last = stability.bins.last().unwrap();
    assert_eq!(last.train_rows, psi.bins.last().unwrap().expected as u64);
    assert_eq!(last.test_rows, psi.bins.last().unwrap().actual as u64);
    for (told, of) in [(&told.joint, &of.joint), (&told.bank_only, &of.bank_only)] {
        let told = told.as_ref().unwrap();
        same(told.ks, of.ks);
        same(told.auc, of.auc);
        assert_eq!((told.average_precision, told.f1), (of.average_precision, of.f1));
        assert_eq!((told.brier, told.log_loss), (of.brier, of.log_loss));
        assert_eq!(told.calibration_error, of.calibration_error);
        assert_eq!(told.at_ks.unwrap().target, of.at_ks.unwrap().target);
        assert_eq!(told.at_best_f1.unwrap().target, of.at_best_f1.unwrap().target);
        let (at, want) = (told.recall_at_precision[0], of.recall_at_precision[0]);
        assert_eq!((at.target, at.threshold, at.share), (0.1, want.threshold, want.share));
        assert_eq!((at.precision, at.recall), (want.precision, want.recall));
        assert_eq!(told.precision_at_recall.len(), of.precision_at_recall.len());
        for (bin, want) in told.bins.iter().zip(&of.bins) {
            let counts = (bin.decile, bin.rows, bin.positives);
            assert_eq!(counts, (want.decile.into(), want.rows as u64, want.positives as u64));
            assert_eq!((bin.low, bin.mean_score), (want.low, want.mean_score));
            assert_eq!(bin.mean_probability, want.mean_probability);
        }
        assert!(told.bins.len() > 50 && told.encoded_len() < 6000, "{}", told.encoded_len());
        let rows: u64 = deciles(of).iter().map(|d| d.rows).sum();
        assert_eq!(rows, 4000);
    }
}
