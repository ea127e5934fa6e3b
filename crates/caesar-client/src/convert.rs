//! Between the wire and the client's own types: the only file that knows both.
//!
//! What a node says is checked here. An error is the sentence that [`Error::Answer`](crate::Error)
//! shows.

mod evaluation;

use std::time::{Duration, SystemTime};

use caesar_proto::v1;
use tonic::Status;

use crate::{
    ByColumn, ByHash, ClassWeight, DataSets, Decile, Failure, HashShare, Job, JobId, JobSpec,
    JobState, ModulusBits, PartyProfile, Progress, Report, Schedule, Side, Split, StepProfile,
    Told, Training, TrainingPoint,
};

type Checked<T> = Result<T, &'static str>;

pub(crate) fn spec_to_wire(spec: &JobSpec) -> v1::JobSpec {
    let JobSpec { name, data, training, modulus_bits, priority } = spec.clone();
    let DataSets { train_a, test_a, train_b, test_b, features_a, features_b, split } = data;
    let (split_hash, split_column) = split_to_wire(split);
    v1::JobSpec {
        name,
        train_a,
        test_a,
        train_b,
        test_b,
        training: Some(training_to_wire(training)),
        modulus_bits: modulus_bits.map_or(0, ModulusBits::get),
        priority,
        features_a,
        features_b,
        split_hash,
        split_column,
    }
}

fn training_to_wire(training: Training) -> v1::Training {
    let Training {
        epochs,
        batch_size,
        learning_rate,
        schedule,
        l2,
        max_steps,
        max_train_seconds,
        whiten,
        class_weight,
        sample_weights,
        validation,
        patience,
        positive_class,
    } = training;
    v1::Training {
        epochs,
        batch_size,
        learning_rate,
        l2,
        schedule: match schedule {
            Schedule::Constant => String::new(),
            schedule => schedule.name().to_owned(),
        },
        max_steps,
        whiten,
        class_weight: class_weight.map(|weight| match weight {
            ClassWeight::Balanced => v1::training::ClassWeight::Balanced(true),
            ClassWeight::Positive(times) => v1::training::ClassWeight::PositiveWeight(times),
        }),
        sample_weights,
        validation,
        patience,
        max_train_seconds,
        positive_class,
    }
}

fn training_from_wire(training: v1::Training) -> Checked<Training> {
    let v1::Training {
        epochs,
        batch_size,
        learning_rate,
        l2,
        schedule,
        max_steps,
        whiten,
        class_weight,
        sample_weights,
        validation,
        patience,
        max_train_seconds,
        positive_class,
    } = training;
    Ok(Training {
        epochs,
        batch_size,
        learning_rate,
        schedule: match schedule.as_str() {
            "" | "constant" => Schedule::Constant,
            "linear" => Schedule::Linear,
            "cosine" => Schedule::Cosine,
            _ => return Err("a schedule of unknown name"),
        },
        l2,
        max_steps,
        max_train_seconds,
        whiten,
        class_weight: class_weight.and_then(|weight| match weight {
            v1::training::ClassWeight::Balanced(balanced) => {
                balanced.then_some(ClassWeight::Balanced)
            }
            v1::training::ClassWeight::PositiveWeight(times) => Some(ClassWeight::Positive(times)),
        }),
        sample_weights,
        validation,
        patience,
        positive_class,
    })
}

fn split_to_wire(split: Option<Split>) -> (Option<v1::HashSplit>, Option<v1::ColumnSplit>) {
    match split {
        None => (None, None),
        Some(Split::Hash(ByHash { hash: HashShare { test, salt } })) => {
            (Some(v1::HashSplit { test, salt }), None)
        }
        Some(Split::Column(ByColumn { side, column, test })) => {
            (None, Some(v1::ColumnSplit { side, column, test }))
        }
    }
}

fn split_from_wire(
    hash: Option<v1::HashSplit>,
    column: Option<v1::ColumnSplit>,
) -> Checked<Option<Split>> {
    Ok(match (hash, column) {
        (None, None) => None,
        (Some(v1::HashSplit { test, salt }), None) => {
            Some(Split::Hash(ByHash { hash: HashShare { test, salt } }))
        }
        (None, Some(v1::ColumnSplit { side, column, test })) => {
            Some(Split::Column(ByColumn { side, column, test }))
        }
        (Some(_), Some(_)) => return Err("a division by a hash and by a column"),
    })
}

fn spec_from_wire(spec: v1::JobSpec) -> Checked<JobSpec> {
    let v1::JobSpec {
        name,
        train_a,
        test_a,
        train_b,
        test_b,
        training,
        modulus_bits,
        priority,
        ..
    } = spec;
    let split = split_from_wire(spec.split_hash, spec.split_column)?;
    let (features_a, features_b) = (spec.features_a, spec.features_b);
    let modulus_bits = match modulus_bits {
        0 => None,
        bits => Some(ModulusBits::try_from(bits).map_err(|_| "unknown modulus length")?),
    };
    Ok(JobSpec {
        name,
        data: DataSets { train_a, test_a, train_b, test_b, features_a, features_b, split },
        training: training_from_wire(training.unwrap_or_default())?,
        modulus_bits,
        priority,
    })
}

pub(crate) fn job_from_wire(job: v1::Job) -> Checked<Job> {
    let state = match job.state() {
        v1::JobState::Unspecified => return Err("a job without a known state"),
        v1::JobState::Queued => JobState::Queued,
        v1::JobState::Offered => JobState::Offered,
        v1::JobState::Running => JobState::Running,
        v1::JobState::Succeeded => JobState::Succeeded,
        v1::JobState::Failed => JobState::Failed,
        v1::JobState::Cancelled => JobState::Cancelled,
    };
    let failure = job.failure.map(failure_from_wire);
    if (state == JobState::Failed) != failure.is_some() {
        return Err("a failed job without a reason, or a reason without a failed job");
    }
    Ok(Job {
        id: job.job_id.parse().map_err(|_| "a job id of unknown form")?,
        spec: spec_from_wire(job.spec.ok_or("a job without its specification")?)?,
        state,
        progress: progress_from_wire(job.progress.unwrap_or_default()),
        failure,
        attempt: job.attempt,
        interrupted: job.interrupted.map(failure_from_wire),
        submitted: time(job.submitted_unix_ms).ok_or("a time out of range")?,
        ended: match job.ended_unix_ms {
            0 => None,
            at => Some(time(at).ok_or("a time out of range")?),
        },
    })
}

fn time(unix_ms: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms))
}

fn progress_from_wire(progress: v1::Progress) -> Progress {
    let seconds = |s: f64| Duration::try_from_secs_f64(s).ok();
    Progress {
        phase: progress.phase,
        step: progress.step,
        iteration: progress.iteration,
        iterations: progress.iterations,
        rows_per_second: progress.rows_per_second,
        bytes_sent: progress.bytes_sent,
        bytes_received: progress.bytes_received,
        eta: seconds(progress.eta_seconds),
        waiting: seconds(progress.waiting_seconds).filter(|d| !d.is_zero()),
        waiting_for: progress.waiting_for,
        not_connected: progress.not_connected,
        round_trip: seconds(progress.round_trip_seconds).filter(|d| !d.is_zero()),
    }
}

fn failure_from_wire(failure: v1::Failure) -> Failure {
    let v1::Failure { code, message, side, hint, step } = failure;
    Failure { code, message, side: Side::from_wire(&side), hint, step }
}

/// A node repeats code and hint in the message, for clients that know nothing else; here each is
/// shown once.
pub(crate) fn refusal_from_wire(status: &Status) -> (String, Option<Told>) {
    let field = |key| status.metadata().get(key)?.to_str().ok();
    let mut message = status.message();
    let Some(code) = field("caesar-code") else { return (message.to_owned(), None) };
    let hint = field("caesar-hint").unwrap_or_default();
    message = message.strip_prefix(code).and_then(|m| m.strip_prefix(": ")).unwrap_or(message);
    if !hint.is_empty() {
        message = message.strip_suffix(hint).and_then(|m| m.strip_suffix("; ")).unwrap_or(message);
    }
    let side = Side::from_wire(field("caesar-side").unwrap_or_default());
    let told = Told { code: code.to_owned(), side, hint: hint.to_owned() };
    (message.to_owned(), Some(told))
}

fn training_point_from_wire(point: &v1::TrainingPoint) -> TrainingPoint {
    TrainingPoint { epoch: point.epoch, ks: point.ks, auc: point.auc }
}

pub(crate) fn report_from_wire(result: v1::JobResult) -> Checked<Report> {
    let job_id: JobId = result.job_id.parse().map_err(|_| "a job id of unknown form")?;
    for hash in [&result.intersection_sha256_train, &result.intersection_sha256_test] {
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("an intersection hash that is not a hex SHA-256");
        }
    }
    Ok(Report {
        job_id,
        rows_a: result.rows_a,
        rows_b: result.rows_b,
        intersection_train: result.intersection_train,
        intersection_test: result.intersection_test,
        intersection_sha256_train: result.intersection_sha256_train,
        intersection_sha256_test: result.intersection_sha256_test,
        columns_a: result.columns_a,
        columns_b: result.columns_b,
        ks_bank_only: result.ks_bank_only,
        auc_bank_only: result.auc_bank_only,
        f1_bank_only: result.f1_bank_only,
        ks_joint: result.ks_joint,
        auc_joint: result.auc_joint,
        f1_joint: result.f1_joint,
        deciles: result.deciles.into_iter().map(decile_from_wire).collect(),
        max_abs_z: result.max_abs_z,
        series_window: result.series_window,
        warnings: result.warnings,
        epochs: result.epochs,
        batch_size: result.batch_size,
        learning_rate: result.learning_rate,
        l2: result.l2,
        iterations: result.iterations,
        modulus_bits: result.modulus_bits,
        seconds_psi: result.seconds_psi,
        seconds_setup: result.seconds_setup,
        seconds_train: result.seconds_train,
        seconds_eval: result.seconds_eval,
        seconds_total: result.seconds_total,
        bytes_a_to_b: result.bytes_a_to_b,
        bytes_b_to_a: result.bytes_b_to_a,
        ciphertexts_a_to_b: result.ciphertexts_a_to_b,
        ciphertexts_b_to_a: result.ciphertexts_b_to_a,
        kernel: result.kernel,
        training_curve: result.training_curve.iter().map(training_point_from_wire).collect(),
        stopped: result.stopped,
        schedule: result.schedule,
        whitened: result.whitened,
        weighted: result.weighted,
        validation_rows: result.validation_rows,
        profile: result.profile.into_iter().map(profile_from_wire).collect(),
        evaluation: result.evaluation.map(evaluation::evaluation_from_wire).transpose()?,
    })
}

fn profile_from_wire(profile: v1::PartyProfile) -> PartyProfile {
    let v1::PartyProfile { party, product_seconds, steps } = profile;
    let step = |step: v1::StepProfile| StepProfile {
        step: step.step,
        compute_seconds: step.compute_seconds,
        wait_seconds: step.wait_seconds,
        link_seconds: step.link_seconds,
        messages_sent: step.messages_sent,
        messages_received: step.messages_received,
        bytes_sent: step.bytes_sent,
        bytes_received: step.bytes_received,
        predicted_seconds: step.predicted_seconds,
    };
    let steps = steps.into_iter().map(step).collect();
    PartyProfile { party: Side::from_wire(&party), product_seconds, steps }
}

fn decile_from_wire(row: v1::DecileRow) -> Decile {
    let v1::DecileRow { decile, rows, positives, lift, ks } = row;
    Decile { decile, rows, positives, lift, ks }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use caesar_proto::v1;
    use tonic::Status;

    use super::{job_from_wire, refusal_from_wire, report_from_wire, spec_from_wire, spec_to_wire};
    use crate::{JobSpec, JobState, Side};

    fn spec() -> JobSpec {
        JobSpec::from_toml(
            "name = \"n\"\nmodulus_bits = 2048\npriority = -3\n[data]\ntrain_a = \"ta\"\ntest_a = \"sa\"\n\
             train_b = \"tb\"\ntest_b = \"sb\"\n[training]\nepochs = 3\nbatch_size = 65\n\
             learning_rate = 0.5\nl2 = 0.25\n",
        )
        .unwrap()
    }

    fn wire_job(state: v1::JobState) -> v1::Job {
        v1::Job {
            job_id: "j1".to_owned(),
            spec: Some(spec_to_wire(&spec())),
            state: state.into(),
            submitted_unix_ms: 5,
            ..v1::Job::default()
        }
    }

    #[test]
    fn a_spec_survives_the_wire_field_by_field() {
        let wire = spec_to_wire(&spec());
        assert_eq!((wire.train_a.as_str(), wire.test_a.as_str()), ("ta", "sa"));
        assert_eq!((wire.train_b.as_str(), wire.test_b.as_str()), ("tb", "sb"));
        assert_eq!((wire.modulus_bits, wire.priority), (2048, -3));
        assert_eq!(spec_from_wire(wire).unwrap(), spec());
        for rest in [
            "hash = { test = 0.25, salt = \"s\" }",
            "side = \"B\"\ncolumn = \"fold\"\ntest = [\"1\", \"2\"]",
        ] {
            let divided = JobSpec::from_toml(&format!(
                "[data]\ntrain_a = \"ta\"\ntrain_b = \"tb\"\nfeatures_a = [\"a*\"]\n\
                 features_b = [\"!b\"]\n[data.split]\n{rest}\n[training]\npositive_class = \"c\"\n"
            ))
            .unwrap();
            assert_eq!(spec_from_wire(spec_to_wire(&divided)).unwrap(), divided);
        }
        let plain = JobSpec::new(spec().data);
        assert_eq!(spec_from_wire(spec_to_wire(&plain)).unwrap(), plain);
    }

    #[test]
    fn every_state_has_its_own_counterpart() {
        use v1::JobState as Wire;
        let pairs = [
            (Wire::Queued, JobState::Queued),
            (Wire::Offered, JobState::Offered),
            (Wire::Running, JobState::Running),
            (Wire::Succeeded, JobState::Succeeded),
            (Wire::Cancelled, JobState::Cancelled),
        ];
        for (wire, state) in pairs {
            assert_eq!(job_from_wire(wire_job(wire)).unwrap().state, state);
        }
        let mut failed = wire_job(Wire::Failed);
        failed.failure = Some(v1::Failure { side: "A".to_owned(), ..Default::default() });
        let failed = job_from_wire(failed).unwrap();
        assert_eq!(failed.failure.unwrap().side, Side::A);
    }

    #[test]
    fn incomplete_answers_are_refused() {
        let mut no_spec = wire_job(v1::JobState::Queued);
        no_spec.spec = None;
        let mut no_id = wire_job(v1::JobState::Queued);
        no_id.job_id.clear();
        let mut reason_without_failure = wire_job(v1::JobState::Running);
        reason_without_failure.failure = Some(v1::Failure::default());
        for bad in [
            no_spec,
            no_id,
            reason_without_failure,
            wire_job(v1::JobState::Unspecified),
            wire_job(v1::JobState::Failed),
        ] {
            assert!(job_from_wire(bad.clone()).is_err(), "{bad:?} was accepted");
        }
        let short = v1::JobResult { job_id: "j".to_owned(), ..Default::default() };
        assert!(report_from_wire(short).is_err());
    }

    #[test]
    fn a_refusal_shows_the_nodes_code_message_and_hint_once_each() {
        let mut status = Status::not_found("job.unknown: no such job; list the jobs");
        assert_eq!(refusal_from_wire(&status), (status.message().to_owned(), None));
        for (key, value) in [
            ("caesar-code", "job.unknown"),
            ("caesar-side", "client"),
            ("caesar-hint", "list the jobs"),
        ] {
            status.metadata_mut().insert(key, value.parse().unwrap());
        }
        let (message, told) = refusal_from_wire(&status);
        let told = told.unwrap();
        assert_eq!(message, "no such job");
        assert_eq!((told.code.as_str(), told.side), ("job.unknown", Side::Client));
        assert_eq!(told.hint, "list the jobs");
    }

    #[test]
    fn estimates_that_do_not_exist_are_none() {
        for (eta, waiting, want) in [
            (-1.0, 0.0, (None, None)),
            (f64::NAN, f64::INFINITY, (None, None)),
            (1.5, 2.0, (Some(Duration::from_millis(1500)), Some(Duration::from_secs(2)))),
        ] {
            let mut job = wire_job(v1::JobState::Running);
            let progress =
                v1::Progress { eta_seconds: eta, waiting_seconds: waiting, ..Default::default() };
            job.progress = Some(progress);
            let progress = job_from_wire(job).unwrap().progress;
            assert_eq!((progress.eta, progress.waiting), want);
        }
    }
}
