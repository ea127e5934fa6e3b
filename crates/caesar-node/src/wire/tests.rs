use caesar_proto::v1::Training;

use super::*;
use crate::testing::spec;

#[test]
fn canonical_parameters_round_trip() {
    let full = Training {
        epochs: Some(3),
        batch_size: Some(256),
        learning_rate: Some(0.5),
        l2: Some(0.0),
    };
    for (training, bits) in [(Training::default(), 0), (full, 2048), (full, 3072)] {
        let asked = JobSpec { training: Some(training), modulus_bits: bits, ..spec() };
        let (typed, bytes) = parameters(&asked).unwrap();
        assert_eq!(decode_parameters(&bytes).unwrap(), typed);
        let kept = spec_of_parameters(&bytes).unwrap();
        assert_eq!(kept.training, Some(training));
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
