//! Training options: weights, schedules, whitening, limits, and what happens between epochs.

use std::collections::BTreeMap;

use super::{
    crash::{Job, Plot, Vaults},
    *,
};
use crate::{session::parameters::Schedule, train::target::ClassWeight, wire::Writer};

/// Every third row of B counts twice, some do not count at all.
fn with_weights(mut data: Data) -> Data {
    for table in &mut data.b {
        let weight = |i: usize| [1.0, 1.0, 2.0, 1.0, 0.0, 3.5][i % 6];
        table.weights = Some((0..table.ids.len()).map(weight).collect());
    }
    data
}

/// Floating-point descent of the tests knows none of these options.
const NOT_COMPARED: f64 = 1.0;

#[test]
fn weighted_training_equals_the_ideal_functionality() {
    let cases = [
        ("positives count five times", ClassWeight::Positive(5.0), false),
        ("classes balanced, and samples weighted", ClassWeight::Balanced, true),
    ];
    for (seed, (what, class_weight, sample_weights)) in (40..).zip(cases) {
        let data = with_weights(made_up(seed, [260, 200], seed % 2 == 0));
        let mut run = run_of(seed, Parameters { weighted: true, ..small(2, 0.4) });
        run.options = LabelOptions { class_weight, sample_weights, patience: None };
        let found = compare(&run, &data, seed);
        assert_close(&found, NOT_COMPARED, what);
        let moved = found.by_row_weights;
        assert!(moved > 0.02, "{what}: weights move by {moved}, seed {seed}");
    }
}

#[test]
fn schedules_whitening_and_limits_equal_the_ideal_functionality() {
    let base = Parameters { l2: Some(0.1), ..small(3, 0.4) };
    let cases = [
        ("linear, penalised", Parameters { schedule: Schedule::Linear, ..base }),
        (
            "cosine, whitened, 4 steps",
            Parameters {
                schedule: Schedule::Cosine,
                l2: None,
                whiten: true,
                max_steps: Some(4),
                ..base
            },
        ),
    ];
    for (seed, (what, parameters)) in (50..).zip(cases) {
        let data = made_up(seed, [260, 200], false);
        let found = compare(&run_of(seed, parameters), &data, seed);
        assert_close(&found, NOT_COMPARED, what);
        assert_eq!(found.steps, parameters.max_steps.unwrap_or(9), "{what}");
    }
}

#[test]
fn weights_that_a_job_asks_for_must_be_there() {
    let data = made_up(60, [160, 120], true);
    let mut job = Job { run: run_of(60, small(1, 0.5)), data, seed: 60 };
    job.run.options.sample_weights = true;
    let ends = job.attempt(&mut Vaults::default(), Plot::whole(1));
    assert_eq!(ends.codes(), ["peer.lost", "data.missing_weight_column"]);
    job.data = with_weights(job.data);
    for weight in job.data.b[0].weights.iter_mut().flatten() {
        *weight = 0.0;
    }
    let ends = job.attempt(&mut Vaults::default(), Plot::whole(1));
    assert_eq!(ends.codes(), ["peer.lost", "weights.all_zero"]);
    for (i, weight) in job.data.b[0].weights.iter_mut().flatten().enumerate() {
        *weight = f64::from(u8::from(i % 3 == 0));
    }
    let ends = job.attempt(&mut Vaults::default(), Plot::whole(1));
    assert_eq!(ends.codes(), ["peer.lost", "weights.too_few_rows"]);
}

#[test]
fn b_cannot_end_a_job_early_that_does_not_allow_it() {
    let mut job = judged(65, 2);
    job.run.parameters.may_stop = false;
    let (mut link_a, mut link_b) = MemoryLink::pair(TIMEOUT);
    link_b.intercept(change(Step::Decision, 0, |body| body[0] = 1));
    let (run, data) = (&job.run, &job.data);
    let end_a = thread::scope(|s| {
        s.spawn(move || {
            let rng = &mut ChaCha20Rng::seed_from_u64(651);
            let (vault, [train, test]) = (&mut MemoryVault::default(), &data.b);
            run_b(run, train, test, &mut link_b, vault, &mut NoObserver, rng).map(drop)
        });
        let rng = &mut ChaCha20Rng::seed_from_u64(650);
        let (vault, [train, test]) = (&mut MemoryVault::default(), &data.a);
        let end = run_a(run, train, test, &mut link_a, vault, &mut NoObserver, rng);
        // B waits for what does not come.
        drop(link_a);
        end
    });
    let error = end_a.expect_err("A does not open test rows of an early model");
    assert_eq!((error.code(), error.step()), ("peer.bad_message", Some(Step::Decision)));
}

/// A job of `epochs` epochs of two mini-batches, with about 170 validation rows.
fn judged(seed: u64, epochs: u32) -> Job {
    let mut job = Job::new(seed, [420, 130], epochs);
    job.run.parameters.validation = Some(0.5);
    job.run.parameters.may_stop = true;
    job
}

/// Whether a message of A opens rows; ciphertexts of these rows travel in the same steps.
fn opens(plan: &Plan, step: Step, body: &[u8]) -> bool {
    let rows = match step {
        Step::Validation => plan.validation_rows,
        Step::Evaluate => plan.rows[1],
        _ => return false,
    };
    body.len() == rows * plan.ring.bytes()
}

/// How many rows A opened, by step, and that it sent nothing else in these steps but ciphertexts.
fn openings(plan: &Plan, sent: &[(Step, Vec<u8>)]) -> BTreeMap<&'static str, Vec<usize>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (step, body) in sent {
        if opens(plan, *step, body) {
            found.entry(step.name()).or_default().push(body.len() / plan.ring.bytes());
        } else if [Step::Validation, Step::Evaluate].contains(step) {
            assert_eq!(body.len() % plan.modulus_bits.ciphertext_bytes(), 0, "{step}");
        }
    }
    found
}

#[test]
fn a_job_opens_the_rows_it_asked_for_once_an_epoch_and_no_others() {
    for (validation, may_stop) in [(None, true), (Some(0.5), false)] {
        let mut job = judged(61, 2);
        job.run.parameters.validation = validation;
        job.run.parameters.may_stop = may_stop;
        let mut vaults = Vaults::default();
        let mut ends = job.attempt(&mut vaults, Plot::whole(1));
        let [sent_a, sent_b] = std::mem::take(&mut ends.sent);
        let report = ends.report("a whole run");
        let plan = job.sides(&vaults)[0].ready.plan.clone();
        let [common, test] = report.intersections.each_ref().map(|i| i.rows.len());
        assert_eq!(plan.rows[0] + plan.validation_rows, common);
        let mut expected = BTreeMap::from([("evaluate", vec![test])]);
        if validation.is_some() {
            expected.insert("validation", vec![plan.validation_rows; 2]);
        }
        assert_eq!(openings(&plan, &sent_a), expected);
        let decisions = |sent: &[(Step, Vec<u8>)]| {
            sent.iter().filter(|(step, _)| *step == Step::Decision).count()
        };
        assert_eq!((decisions(&sent_a), decisions(&sent_b)), (0, 2));
        assert_eq!(report.validation.len(), if validation.is_some() { 2 } else { 0 });
        assert_eq!((report.stop, report.iterations), (None, plan.steps()));
    }
}

/// An observer whose time for training is up after some epochs.
struct Clock(u32);

impl Observer for Clock {
    fn progress(&mut self, _: Progress) {}
    fn time_is_up(&mut self) -> bool {
        self.0 -= 1;
        self.0 == 0
    }
}

#[test]
fn training_ends_with_the_epoch_in_which_its_time_is_up() {
    let job = judged(62, 5);
    let (mut link_a, mut link_b) = MemoryLink::pair(TIMEOUT);
    let mut vaults = Vaults::default();
    let [vault_a, vault_b] = &mut vaults;
    let (run, data) = (&job.run, &job.data);
    let (a, b) = thread::scope(|s| {
        let a = s.spawn(move || {
            let rng = &mut ChaCha20Rng::seed_from_u64(620);
            let [train, test] = &data.a;
            run_a(run, train, test, &mut link_a, vault_a, &mut NoObserver, rng).unwrap()
        });
        let b = s.spawn(move || {
            let rng = &mut ChaCha20Rng::seed_from_u64(621);
            let [train, test] = &data.b;
            run_b(run, train, test, &mut link_b, vault_b, &mut Clock(2), rng).unwrap()
        });
        (a.join().unwrap(), b.join().unwrap())
    });
    assert_eq!((a.iterations, b.iterations), (4, 4));
    assert_eq!(b.stop, Some(StopReason::TimeLimit));
    assert_eq!(b.validation.iter().map(|p| p.epoch).collect::<Vec<_>>(), [1, 2]);
    assert!(b.validation.iter().all(|p| p.ks > 0.2 && p.auc > 0.6), "{:?}", b.validation);

    // The decision holds when the job goes on, whatever the clock says then.
    let mut ends = job.attempt(&mut vaults, Plot::whole(2));
    assert!(ends.sent[0].iter().all(|(step, _)| *step != Step::Validation));
    ends.sent = Default::default();
    let again = ends.report("after the end");
    assert_eq!((again.iterations, again.stop), (4, Some(StopReason::TimeLimit)));
    assert_eq!(again.validation, b.validation);
}

/// What A opened, by the step and the place of the message among those of one length: what comes twice
/// must be the same bytes.
#[derive(Default)]
struct Opened(BTreeMap<(u32, usize), Vec<u8>>);

#[test]
#[ignore = "a minute"]
fn a_side_that_dies_before_any_message_between_epochs_is_followed_by_a_good_attempt() {
    every_death(1);
}

#[test]
fn a_side_that_dies_between_epochs_is_followed_by_a_good_attempt() {
    every_death(6);
}

/// Kills each side before every `stride`-th message of a job with validation.
fn every_death(stride: usize) {
    let job = judged(63, 2);
    let mut whole_vaults = Vaults::default();
    let mut whole = job.attempt(&mut whole_vaults, Plot::whole(1));
    let sent = std::mem::take(&mut whole.sent);
    let reference = whole.report("uninterrupted");
    let plan = job.sides(&whole_vaults)[0].ready.plan.clone();
    for role in [Role::FeatureHolder, Role::LabelHolder] {
        let own = &sent[role.index()];
        let first = own.iter().position(|(step, _)| *step == Step::Validation).unwrap() - 2;
        for n in (first..own.len()).step_by(stride) {
            let what = format!("{role} sends {n} messages");
            let mut vaults = Vaults::default();
            let mut opened = Opened::default();
            let ends = job.attempt(&mut vaults, Plot::cut(1, role, n));
            assert_eq!(ends.codes()[role.index()], "job.cancelled", "{what}");
            opened.watch(&plan, &vaults, &ends.sent[0], &what);
            let mut ends = job.attempt(&mut vaults, Plot::whole(2));
            opened.watch(&plan, &vaults, &ends.sent[0], &what);
            ends.sent = Default::default();
            let report = ends.report(&what);
            assert_eq!(report.iterations, plan.steps(), "{what}");
            for (found, expected) in report.validation.iter().zip(&reference.validation) {
                assert_eq!(found.epoch, expected.epoch, "{what}");
                assert!((found.auc - expected.auc).abs() < 0.01, "{what}: {found:?} {expected:?}");
            }
            assert_eq!(report.validation.len(), 2, "{what}");
            assert!((report.joint.auc - reference.joint.auc).abs() < 0.01, "{what}");
        }
    }
}

impl Opened {
    /// A's records of openings only ever grow, and it sends nothing else to open rows.
    fn watch(&mut self, plan: &Plan, vaults: &Vaults, sent: &[(Step, Vec<u8>)], what: &str) {
        let records = vaults[0].records(RecordFile::Openings);
        for (i, record) in records.iter().enumerate() {
            let known = self.0.entry((0, i)).or_insert_with(|| record.to_vec());
            assert!(*known == **record, "{what}: record {i} changed");
        }
        for (step, body) in sent {
            assert!(
                !opens(plan, *step, body) || records.iter().any(|record| **record == **body),
                "{what}: {step}"
            );
        }
    }
}

#[test]
fn decisions_and_their_records_decode_or_are_refused() {
    let course = |role, records: &[&[u8]]| {
        let mut job = judged(64, 2);
        job.run.parameters.validation = None;
        let bounds = crate::plan::PublicBounds {
            columns: 3,
            dense: false,
            standardised: false,
            column_bits: 8,
            row_bits: 3,
            energy_bits: 3,
        };
        let plan = Plan::new(&job.run.parameters, [200, 0, 100], bounds, bounds).unwrap();
        let records = records.iter().map(|r| Zeroizing::new(r.to_vec())).collect();
        Course::read(&plan, role, records).map(|c| (c.is_done(&plan, 0), c.bound(&plan)))
    };
    let a = Role::FeatureHolder;
    // Three mini-batches an epoch, two epochs.
    assert_eq!(course(a, &[]), Ok((false, 0)));
    assert_eq!(course(a, &[&[0]]), Ok((false, 3)));
    assert_eq!(course(a, &[&[1]]), Ok((true, 3)));
    assert_eq!(course(a, &[&[0], &[0]]), Ok((true, 6)));
    assert_eq!(course(a, &[&[1], &[9; 40]]), Ok((true, 3)), "then test rows");
    assert!(course(a, &[&[2]]).is_err() && course(a, &[&[0, 0]]).is_err());
    let record = |stop: u8, point: u8| {
        let mut out = Writer::default();
        out.u8(stop);
        out.u8(point);
        out.u64(0);
        out.u64(0);
        out.into_bytes()
    };
    let b = |stop, point| course(Role::LabelHolder, &[&record(stop, point)]);
    assert_eq!((b(0, 0), b(1, 1), b(2, 0)), (Ok((false, 3)), Ok((true, 3)), Ok((true, 3))));
    assert!(b(3, 0).is_err() && b(0, 2).is_err());
}
