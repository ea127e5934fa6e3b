//! A job whose nodes die at any moment goes on and ends as if nothing had happened.

use std::sync::OnceLock;

use super::{
    crash::{Ends, Job, Plot, Side, Vaults, distance, final_weights},
    *,
};
use crate::session::{
    evaluation::OpenedShares,
    resume::{Agreed, Held, agree},
};
use crate::{features::Transform, session::vault::Vault as _, wire::Message};

/// The tolerance of the issue: 2^−8.
const TOLERANCE: f64 = 1.0 / 256.0;

const ROLES: [Role; 2] = [Role::FeatureHolder, Role::LabelHolder];

/// A job and what it ends with if nothing happens.
struct Reference {
    job: Job,
    sides: [Side; 2],
    weights: [Vec<f64>; 2],
    report: Report,
    vaults: Vaults,
    /// Messages of A and of B.
    sent: [Vec<(Step, Vec<u8>)>; 2],
    /// Vaults of an attempt that ended right after the set-up.
    set_up: Vaults,
}

impl Reference {
    fn new(job: Job) -> Self {
        let mut vaults = Vaults::default();
        let mut ends = job.attempt(&mut vaults, Plot::whole(1));
        let sent = std::mem::take(&mut ends.sent);
        let report = ends.report("uninterrupted");
        let sides = job.sides(&vaults);
        let weights = final_weights(&sides, &vaults);
        let set_up = Vaults::default();
        let mut reference = Self { job, sides, weights, report, vaults, sent, set_up };
        reference.set_up =
            reference.lost(&Vaults::default(), Role::FeatureHolder, Step::Forward, 0);
        reference
    }

    /// One epoch of three mini-batches, with a snapshot after two of them, for all tests that want no
    /// other.
    fn tiny() -> &'static Self {
        static TINY: OnceLock<Reference> = OnceLock::new();
        TINY.get_or_init(|| Self::new(Job::new(31, [250, 130], 1)))
    }

    /// One mini-batch, but two chunks of test rows.
    fn wide() -> &'static Self {
        static WIDE: OnceLock<Reference> = OnceLock::new();
        WIDE.get_or_init(|| Self::new(Job::new(32, [100, 1300], 1)))
    }

    /// Lets an attempt run to its end and compares.
    #[track_caller]
    fn finish(&self, vaults: &mut Vaults, attempt: u32, what: &str) -> Ends {
        let mut ends = self.job.attempt(vaults, Plot::whole(attempt));
        let (notices, progress, sent) = (
            std::mem::take(&mut ends.notices),
            std::mem::take(&mut ends.progress),
            std::mem::take(&mut ends.sent),
        );
        let a = ends.a.as_ref().ok().cloned();
        let report = ends.report(what);
        for (found, own) in vaults.iter().zip(&self.vaults) {
            // The nonces are the job's and the keys those of all tests.
            let [found, own] = [found, own].map(|vault| vault.records(RecordFile::Setup));
            assert!(found == own, "{what}: another set-up");
        }
        let off = distance(&final_weights(&self.sides, vaults), &self.weights);
        assert!(off < TOLERANCE, "{what}: weights are {off} off");
        // Scores differ by the noise of two openings and by what the weights differ by; a metric of so
        // few rows jumps where two scores change places.
        let off = (report.max_abs_score - self.report.max_abs_score).abs();
        assert!(off < 0.05, "{what}: scores are {off} off");
        let off = (report.joint.auc - self.report.joint.auc).abs();
        assert!(off < 0.01, "{what}: the AUC is {off} off");
        assert_eq!(report.intersections[0].rows, self.report.intersections[0].rows, "{what}");
        Ends { a: a.ok_or(SessionError::Opened), b: Ok(report), notices, progress, sent }
    }

    /// Vaults after an attempt on `before` that lost `role` right before its n-th message of a step.
    fn lost(&self, before: &Vaults, role: Role, step: Step, nth: usize) -> Vaults {
        let mut vaults = before.clone();
        let plot = Plot { die_at: Some((role, step, nth)), ..Plot::whole(9) };
        let ends = self.job.attempt(&mut vaults, plot);
        assert!(ends.a.is_err() && ends.b.is_err(), "{role} dies at {step} {nth}");
        vaults
    }

    /// How an attempt on a copy of these vaults ends.
    fn codes(&self, vaults: &Vaults) -> [String; 2] {
        let ends = self.job.attempt(&mut vaults.clone(), Plot::whole(3));
        ends.codes().map(str::to_owned)
    }
}

/// Whether a vault holds nothing.
fn empty(vault: &MemoryVault) -> bool {
    vault.files().next().is_none()
}

fn resumed(notices: &[Notice]) -> Option<(u32, u32, u32)> {
    notices.iter().find_map(|notice| match *notice {
        Notice::Resumed { step, rolled_back, opened, .. } => Some((step, rolled_back, opened)),
        _ => None,
    })
}

#[test]
fn a_side_that_dies_before_any_message_of_the_set_up_is_followed_by_a_good_attempt() {
    let reference = Reference::tiny();
    let mut on_disk = 0;
    for role in ROLES {
        let sent = &reference.sent[role.index()];
        let first = sent.iter().position(|(step, _)| *step == Step::Forward).unwrap();
        for n in 0..=first {
            let what = format!("{role} sends {n} messages");
            let mut vaults = Vaults::default();
            let ends = reference.job.attempt(&mut vaults, Plot::cut(1, role, n));
            assert_eq!(ends.codes()[role.index()], "job.cancelled", "{what}");
            assert_eq!(ends.codes()[role.peer().index()], "peer.lost", "{what}");
            // With nothing on disk the next attempt is a first one, like the reference.
            if !vaults.iter().all(empty) {
                on_disk += 1;
                reference.finish(&mut vaults, 2, &what);
            }
        }
    }
    assert!(on_disk >= 3, "a set-up was on disk in {on_disk} cases");
}

#[test]
fn a_side_that_dies_before_a_later_message_is_followed_by_a_good_attempt() {
    later_deaths(4);
}

#[test]
#[ignore = "minutes"]
fn a_side_that_dies_before_any_later_message_is_followed_by_a_good_attempt() {
    later_deaths(1);
}

/// Kills each side before every `stride`-th message after the set-up.
fn later_deaths(stride: usize) {
    let reference = Reference::tiny();
    // As many messages as an attempt sends that goes on after the set-up.
    let whole = reference.finish(&mut reference.set_up.clone(), 2, "nothing happens");
    let counts = whole.sent.each_ref().map(Vec::len);
    assert!(counts[0] >= 20 && counts[1] >= 18, "{counts:?}");
    for role in ROLES {
        for n in (0..counts[role.index()]).step_by(stride) {
            let what = format!("{role} sends {n} messages after the set-up");
            let mut vaults = reference.set_up.clone();
            let ends = reference.job.attempt(&mut vaults, Plot::cut(2, role, n));
            assert_eq!(ends.codes()[role.index()], "job.cancelled", "{what}");
            assert_eq!(ends.codes()[role.peer().index()], "peer.lost", "{what}");
            reference.finish(&mut vaults, 3, &what);
        }
    }
}

#[test]
#[ignore = "minutes"]
fn a_side_that_dies_before_any_message_of_a_first_attempt_is_followed_by_a_good_one() {
    let reference = Reference::tiny();
    for role in ROLES {
        for n in 0..reference.sent[role.index()].len() {
            let mut vaults = Vaults::default();
            reference.job.attempt(&mut vaults, Plot::cut(1, role, n));
            reference.finish(&mut vaults, 2, &format!("{role} sends {n} messages"));
        }
    }
}

#[test]
fn attempts_that_die_one_after_the_other_are_followed_by_a_good_one() {
    let reference = Reference::tiny();
    let (a, b) = (Role::FeatureHolder, Role::LabelHolder);
    let first = reference.lost(&reference.set_up, a, Step::MaskedScores, 1);
    let second = reference.lost(&first, b, Step::Resume, 1);
    let third = reference.lost(&second, b, Step::Forward, 1);
    let mut fourth = reference.lost(&third, a, Step::Evaluate, 1);
    reference.finish(&mut fourth, 6, "four attempts died");
}

#[test]
fn what_is_done_is_not_done_again() {
    let reference = Reference::tiny();
    // A has confirmed two mini-batches when it dies; B may know of the second one only.
    let mut vaults = reference.lost(&reference.set_up, Role::FeatureHolder, Step::MaskedScores, 2);
    let ends = reference.finish(&mut vaults, 3, "A died in the third mini-batch");
    for (notices, progress) in ends.notices.iter().zip(&ends.progress) {
        assert_eq!(resumed(notices), Some((2, 0, 0)));
        let train: Vec<&Progress> = progress.iter().filter(|p| p.phase == Phase::Train).collect();
        assert_eq!((train[0].iteration, train[0].iterations, train[0].rows_done), (2, 3, 128));
        assert!(progress.iter().all(|p| p.phase != Phase::Psi || p.step == Step::Resume));
        let done: Vec<f64> = progress.iter().map(|p| p.work_done).collect();
        assert!(done.is_sorted() && done.last() == Some(&1.0), "{done:?}");
    }
    for sent in &ends.sent {
        let of = |step| sent.iter().filter(|(s, _)| *s == step).count();
        assert_eq!((of(Step::Seed), of(Step::PsiTrain), of(Step::Keys)), (0, 0, 0));
        assert_eq!((of(Step::BaseOt), of(Step::Forward), of(Step::BatchEnd)), (1, 1, 1));
    }
    // Nor is anything, once all is done.
    let ends = reference.finish(&mut vaults, 4, "all was done");
    for sent in &ends.sent {
        let training = [Step::BaseOt, Step::Forward, Step::BatchEnd];
        assert!(sent.iter().all(|(step, _)| !training.contains(step)));
    }
}

/// What A sent in chunks of test rows, in all attempts; the chunks have different lengths.
#[derive(Default)]
struct Opened(std::collections::BTreeMap<usize, Vec<u8>>);

impl Opened {
    fn watch(&mut self, reference: &Reference, ends: &Ends, what: &str) {
        let plan = &reference.sides[0].ready.plan;
        let rows = plan.rows[1];
        let lengths = [CHUNK_ROWS, rows - CHUNK_ROWS].map(|rows| rows * plan.ring.bytes());
        for (step, body) in &ends.sent[0] {
            if *step == Step::Evaluate && lengths.contains(&body.len()) {
                let first = self.0.entry(body.len()).or_insert_with(|| body.clone());
                assert!(first == body, "{what}: a chunk is opened twice, with other noise");
            }
        }
    }
}

/// The scores that both sides' openings on disk give.
fn stored_scores(reference: &Reference, vaults: &Vaults) -> Vec<f64> {
    let plan = &reference.sides[0].ready.plan;
    let [a, b] = vaults.each_ref().map(|vault| {
        let chunks = vault.records(RecordFile::Openings).iter();
        let mut left = plan.rows[1];
        chunks
            .flat_map(|record| {
                let rows = left.min(CHUNK_ROWS);
                left -= rows;
                let shares = OpenedShares::decode(record, (plan.ring, rows)).unwrap();
                shares.to_bytes().chunks(plan.ring.bytes()).map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .map(|share| {
                let mut wide = [0; 16];
                wide[..share.len()].copy_from_slice(&share);
                u128::from_le_bytes(wide)
            })
            .collect::<Vec<u128>>()
    });
    assert_eq!((a.len(), b.len()), (plan.rows[1], plan.rows[1]));
    let unit = plan.score_unit(plan.steps());
    let ring = plan.ring;
    a.iter().zip(&b).map(|(&a, &b)| ring.to_signed(ring.add(a, b)) as f64 * unit).collect()
}

#[test]
fn a_chunk_of_test_rows_is_opened_once_whenever_a_side_dies() {
    let reference = Reference::wide();
    let trained = reference.lost(&reference.set_up, Role::FeatureHolder, Step::Evaluate, 0);
    let whole = reference.finish(&mut trained.clone(), 2, "nothing happens");
    let labels: Vec<bool> = {
        let rows = &reference.report.intersections[1].rows;
        let labels = reference.job.data.b[1].labels.as_ref().unwrap();
        rows.iter().map(|&row| labels[row]).collect()
    };
    let mut opened_chunks = [0; 3];
    for role in ROLES {
        for n in 0..whole.sent[role.index()].len() {
            let what = format!("{role} sends {n} messages in evaluation");
            let (mut vaults, mut opened) = (trained.clone(), Opened::default());
            let ends = reference.job.attempt(&mut vaults, Plot::cut(2, role, n));
            opened.watch(reference, &ends, &what);
            let first = vaults.clone();
            let known = first[0].records(RecordFile::Openings).len();
            opened_chunks[known] += 1;

            let ends = reference.finish(&mut vaults, 3, &what);
            opened.watch(reference, &ends, &what);
            assert_eq!(opened.0.len(), 2, "{what}");
            for side in 0..2 {
                let [before, after] =
                    [&first, &vaults].map(|v| &v[side].records(RecordFile::Openings)[..known]);
                assert!(before == after, "{what}: what A opened stays as it is on both sides");
            }
            let scores = stored_scores(reference, &vaults);
            let joint = metrics::evaluate(&scores, &labels).unwrap();
            let report = ends.b.unwrap();
            let top = scores.iter().fold(0.0f64, |m, s| m.max(s.abs()));
            assert!(report.max_abs_score.to_bits() == top.to_bits(), "{what}: other scores");
            assert_eq!((report.joint.ks, report.joint.auc), (joint.ks, joint.auc), "{what}");
        }
    }
    assert!(opened_chunks.iter().all(|&n| n > 0), "cuts with 0, 1 and 2 chunks: {opened_chunks:?}");
}

#[test]
fn a_lost_vault_starts_the_job_over_unless_scores_are_open() {
    let reference = Reference::tiny();
    let trained = reference.lost(&reference.set_up, Role::FeatureHolder, Step::MaskedScores, 2);
    for role in ROLES {
        let mut vaults = trained.clone();
        vaults[role.index()] = MemoryVault::default();
        let ends = reference.finish(&mut vaults, 3, &format!("{role} lost its vault"));
        assert_eq!(ends.notices[role.index()], []);
        assert_eq!(ends.notices[role.peer().index()], [Notice::StartedOver]);

        let mut vaults = reference.vaults.clone();
        vaults[role.index()] = MemoryVault::default();
        let codes = reference.codes(&vaults);
        assert_eq!(codes, ["checkpoint.opened"; 2], "{role} lost its vault after the opening");
    }
}

#[test]
fn corrupt_files_bring_the_checkpoint_before_and_a_notice() {
    let reference = Reference::tiny();
    // Snapshot 2 with log 2, of which one mini-batch; snapshot 0 with log 0 before it.
    let trained = reference.lost(&reference.set_up, Role::LabelHolder, Step::Evaluate, 0);
    use RecordFile::{Log, Openings, Setup, Snapshot};
    assert_eq!(
        trained[0].files().collect::<Vec<_>>(),
        [Setup, Snapshot(0), Snapshot(2), Log(0), Log(2)]
    );
    // Files with the first corrupt record, what is left, and what is taken back at the other side.
    type Case = (&'static [(RecordFile, usize)], u32);
    let cases: [Case; 7] = [
        (&[(Log(2), 0)], 2),
        (&[(Snapshot(2), 1)], 2),
        (&[(Snapshot(2), 0), (Log(0), 1)], 1),
        (&[(Snapshot(0), 0)], 3),
        (&[(Log(0), 1)], 3),
        (&[(Snapshot(2), 1), (Snapshot(0), 0)], 0),
        (&[(Log(2), 0), (Log(0), 0)], 2),
    ];
    for (corrupt, left) in cases {
        for role in ROLES {
            let what = format!("{corrupt:?} at {role}");
            let mut vaults = trained.clone();
            for &(file, record) in corrupt {
                vaults[role.index()].corrupt(file, record);
            }
            let ends = reference.finish(&mut vaults, 3, &what);
            let own = &ends.notices[role.index()];
            for &(file, _) in corrupt {
                assert!(own.contains(&Notice::Corrupt { file }), "{what}: {own:?}");
            }
            let other = &ends.notices[role.peer().index()];
            assert_eq!(resumed(own).map(|r| r.0), Some(left), "{what}");
            assert_eq!(resumed(other), Some((left, 3 - left, 0)), "{what}");
        }
    }
    // Without its key a side can do nothing; without its openings A does not know what is open.
    let both = |file, role: Role| {
        let mut vaults = reference.vaults.clone();
        vaults[role.index()].corrupt(file, 0);
        reference.codes(&vaults)
    };
    for role in ROLES {
        let codes = both(Setup, role);
        assert_eq!(codes[role.index()], "checkpoint.corrupt", "{role}");
    }
    assert_eq!(both(Openings, Role::FeatureHolder)[0], "checkpoint.corrupt");
    assert_eq!(both(Openings, Role::LabelHolder), ["checkpoint.corrupt"; 2]);
    // B's shares alone, not answered by A, are computed again.
    let mut vaults = reference.lost(&trained, Role::LabelHolder, Step::Evaluate, 1);
    assert_eq!(vaults.each_ref().map(|v| v.records(Openings).len()), [0, 1]);
    vaults[1].corrupt(Openings, 0);
    reference.finish(&mut vaults, 3, "B's share of no opening");
}

/// What makes numbers of a table is stored with the set-up, and a later attempt takes it from there.
#[test]
fn a_job_goes_on_with_the_transform_that_it_stored() {
    let reference = Reference::new(Job::dense(33, [250, 130], 1));
    let lost = reference.lost(&reference.set_up, Role::FeatureHolder, Step::Evaluate, 0);
    for (role, tables) in ROLES.into_iter().zip([&reference.job.data.a, &reference.job.data.b]) {
        let file = RecordFile::Transform;
        assert_eq!(lost[role.index()].records(file).len(), 1, "{role}");
        let mut corrupt = lost.clone();
        corrupt[role.index()].corrupt(file, 0);
        assert_eq!(reference.codes(&corrupt)[role.index()], "checkpoint.corrupt", "{role}");
        // One that finds every column constant stands for another plan.
        let Features::Typed(columns) = &tables[0].features else { panic!("the job is dense") };
        let other = Transform::fit(columns, &[0]).unwrap().to_bytes();
        let mut changed = lost.clone();
        changed[role.index()].write(file, &mut std::iter::once(Zeroizing::new(other))).unwrap();
        let codes = reference.codes(&changed);
        assert_eq!(codes[role.index()], "checkpoint.inputs_changed", "{role}");
    }
    reference.finish(&mut lost.clone(), 3, "a dense job goes on");
}

#[test]
fn a_power_cut_costs_no_more_than_what_both_sides_can_do_again() {
    let reference = Reference::tiny();
    // Two mini-batches are in a snapshot; the third is in the log only.
    let lost = reference.lost(&reference.set_up, Role::FeatureHolder, Step::Evaluate, 0);
    let early = reference.lost(&reference.set_up, Role::FeatureHolder, Step::MaskedScores, 1);
    for which in [&[0usize][..], &[1], &[0, 1]] {
        let (mut synced, mut unsynced) = (lost.clone(), early.clone());
        for &side in which {
            synced[side].cut_power();
            unsynced[side].cut_power();
        }
        let ends = reference.finish(&mut synced, 3, "a power cut after training");
        assert_eq!(resumed(&ends.notices[0]), Some((3, 0, 0)), "all of it is durable by then");
        let ends = reference.finish(&mut unsynced, 3, "a power cut after one mini-batch");
        assert_eq!(resumed(&ends.notices[0]).map(|r| r.0), Some(0), "{which:?}");
    }
}

/// The same files, of which nothing is durable.
fn unsynced(vault: &MemoryVault) -> MemoryVault {
    let mut copy = vault.clone();
    for file in vault.files().filter(|file| matches!(file, RecordFile::Log(_))) {
        copy.remove(file).unwrap();
        vault.records(file).iter().for_each(|record| copy.append(file, record).unwrap());
    }
    copy
}

#[test]
fn a_model_of_which_scores_are_open_survives_a_power_cut() {
    let reference = Reference::tiny();
    // Both die when all is logged and nothing synced; another attempt opens, and dies in a power cut.
    let trained = reference.lost(&reference.set_up, Role::FeatureHolder, Step::Evaluate, 0);
    let trained = trained.each_ref().map(unsynced);
    let mut opened = reference.lost(&trained, Role::FeatureHolder, Step::Finish, 0);
    opened.iter_mut().for_each(MemoryVault::cut_power);
    let ends = reference.finish(&mut opened, 4, "a power cut after the opening");
    assert_eq!(resumed(&ends.notices[0]), Some((3, 0, 1)));
}

#[test]
fn an_opening_that_cannot_be_stored_is_not_sent() {
    let reference = Reference::wide();
    let trained = reference.lost(&reference.set_up, Role::FeatureHolder, Step::Evaluate, 0);
    for role in ROLES {
        let mut room = 0;
        loop {
            let what = format!("{role} has room for {room} changes in evaluation");
            let (mut vaults, mut opened) = (trained.clone(), Opened::default());
            vaults[role.index()].limit(Some(room));
            let ends = reference.job.attempt(&mut vaults, Plot::whole(2));
            opened.watch(reference, &ends, &what);
            if ends.codes()[role.index()].is_empty() {
                break;
            }
            vaults[role.index()].limit(None);
            let ends = reference.finish(&mut vaults, 3, &what);
            opened.watch(reference, &ends, &what);
            room += 1;
        }
        assert!(room >= 2, "{role} writes {room} times in evaluation");
    }
}

#[test]
fn a_full_disk_ends_the_attempt_with_its_code_and_loses_nothing() {
    let reference = Reference::tiny();
    for role in ROLES {
        for (base, least) in [(&Vaults::default(), 2), (&reference.set_up, 5)] {
            let mut room = 0;
            loop {
                let what = format!("{role} has room for {room} changes");
                let mut vaults = base.clone();
                vaults[role.index()].limit(Some(room));
                let ends = reference.job.attempt(&mut vaults, Plot::whole(2));
                let end = [ends.a.err(), ends.b.err()];
                let Some(error) = &end[role.index()] else { break };
                assert_eq!(error.code(), "io.checkpoint", "{what}");
                assert_eq!(error.side(role), role.to_string(), "{what}");
                assert!(!error.to_string().contains("memory"), "the place is not for the peer");
                assert!(error.hint().contains("disk"), "{what}: {}", error.hint());
                assert!(end[role.peer().index()].is_some(), "{what}");
                vaults[role.index()].limit(None);
                reference.finish(&mut vaults, 3, &what);
                room += 1;
                // The rest of a first attempt is the second base.
                if base.iter().all(empty) && room == 2 {
                    break;
                }
            }
            assert!(room >= least, "{role}: {room}");
        }
    }
}

#[test]
fn a_job_goes_on_with_what_it_started_with_only() {
    let reference = Reference::tiny();
    type Spoil = fn(&mut Job);
    fn sparse(table: &mut Table) -> &mut Vec<u32> {
        match &mut table.features {
            Features::Sparse { indices, .. } => indices,
            Features::Typed(_) => panic!("the job is sparse"),
        }
    }
    let cases: [(Spoil, &str, Role, &str); 7] = [
        (|j| j.data.a[0].ids[5].push('x'), "data.changed", Role::FeatureHolder, "A"),
        (|j| j.data.a[1].ids[7].push('x'), "data.changed", Role::FeatureHolder, "A"),
        (
            |j| {
                let indices = sparse(&mut j.data.b[0]);
                indices[0] = if indices[0] == 0 { 1 } else { 0 };
            },
            "data.changed",
            Role::LabelHolder,
            "B",
        ),
        (
            |j| {
                let label = &mut j.data.b[0].labels.as_mut().unwrap()[3];
                *label = !*label;
            },
            "data.changed",
            Role::LabelHolder,
            "B",
        ),
        (
            |j| j.run.parameters.learning_rate = Some(0.9),
            "checkpoint.inputs_changed",
            Role::FeatureHolder,
            "both",
        ),
        (|j| j.run.certificate_b[0] ^= 1, "checkpoint.inputs_changed", Role::FeatureHolder, "both"),
        (|j| j.run.certificate_a[31] ^= 1, "checkpoint.inputs_changed", Role::LabelHolder, "both"),
    ];
    for (spoil, code, role, side) in cases {
        let mut job = Job::new(31, [250, 130], 1);
        spoil(&mut job);
        let mut vaults = reference.set_up.clone();
        let ends = job.attempt(&mut vaults, Plot::whole(2));
        let error = [ends.a.err(), ends.b.err()][role.index()].take().expect("the side refuses");
        assert_eq!((error.code(), error.side(role).as_str()), (code, side));
        assert_eq!(error.step(), Some(Step::Resume));
        // And with the old inputs all is well again.
        reference.finish(&mut vaults, 3, code);
    }
}

#[test]
fn a_mini_batch_that_differs_is_not_logged_and_ends_the_attempt() {
    let reference = Reference::tiny();
    let mut vaults = reference.set_up.clone();
    // A flipped bit of a masked score in the second of three mini-batches is a valid message.
    let plot = Plot { flip: Some((Step::MaskedScores, 1)), ..Plot::whole(2) };
    let ends = reference.job.attempt(&mut vaults, plot);
    let ends = [ends.a.expect_err("A notices"), ends.b.expect_err("B notices")];
    let found: Vec<_> = ends.iter().filter(|e| e.code() == "peer.disagreement").collect();
    assert!(!found.is_empty(), "{ends:?}");
    assert!(found.iter().all(|e| e.step() == Some(Step::BatchEnd)), "{found:?}");
    for vault in &vaults {
        assert_eq!(vault.records(RecordFile::Log(0)).len(), 1, "only the first one is logged");
    }
    reference.finish(&mut vaults, 3, "after a disagreement");
}

#[test]
fn checkpoints_of_different_jobs_do_not_go_on_together() {
    let reference = Reference::tiny();
    let mut other = Job::new(31, [250, 130], 1);
    other.seed = 33;
    let mut vaults = Vaults::default();
    let plot = Plot { die_at: Some((Role::FeatureHolder, Step::Forward, 0)), ..Plot::whole(1) };
    other.attempt(&mut vaults, plot);
    let [a, _] = reference.set_up.clone();
    let codes = reference.codes(&[a, vaults[1].clone()]);
    assert!(codes.contains(&"peer.disagreement".to_owned()), "{codes:?}");
}

#[test]
fn the_attempt_enters_the_transfers_of_an_attempt_that_goes_on() {
    let reference = Reference::tiny();
    let messages = |attempt| {
        // The same draws: all that may differ is the attempt's number.
        let plot = Plot { draws: 7, ..Plot::whole(attempt) };
        let ends = reference.job.attempt(&mut reference.set_up.clone(), plot);
        let of = |side: usize, step| {
            ends.sent[side].iter().find(|(s, _)| *s == step).map(|(_, body)| body.clone()).unwrap()
        };
        [of(1, Step::BaseOt), of(0, Step::BaseOt), of(0, Step::OtExtension)]
    };
    let [first, same, other] = [messages(2), messages(2), messages(3)];
    assert!(first == same, "the draws are the same");
    for (i, (first, other)) in first.iter().zip(&other).enumerate() {
        assert!(first != other, "message {i} of two attempts is the same");
    }
}

#[test]
fn both_sides_conclude_the_same_from_what_they_hold() {
    let held = |setup: u8, steps, openings| Held {
        setup: (setup > 0).then_some([setup; 32]),
        steps,
        openings,
    };
    let go_on = |step, openings| Ok(Agreed::GoOn { step, openings });
    let nothing = held(0, [0, 0], 0);
    let cases = [
        (nothing, nothing, Ok(Agreed::Start)),
        (nothing, held(1, [0, 7], 0), Ok(Agreed::Start)),
        (held(1, [0, 7], 0), nothing, Ok(Agreed::Start)),
        // B had its share on disk, but A has opened nothing.
        (held(1, [0, 9], 0), held(0, [0, 0], 1), Ok(Agreed::Start)),
        (held(1, [0, 9], 1), nothing, Err("checkpoint.opened")),
        // A does not know any more whether it answered.
        (nothing, held(1, [0, 9], 1), Err("checkpoint.opened")),
        (held(0, [0, 0], 1), held(1, [0, 9], 1), Err("checkpoint.opened")),
        (held(1, [0, 7], 0), held(2, [0, 7], 0), Err("peer.disagreement")),
        (held(1, [0, 7], 0), held(1, [0, 7], 0), go_on(7, 0)),
        (held(1, [0, 7], 0), held(1, [6, 8], 0), go_on(7, 0)),
        (held(1, [2, 7], 0), held(1, [5, 5], 0), go_on(5, 0)),
        (held(1, [2, 4], 0), held(1, [5, 9], 0), go_on(0, 0)),
        (held(1, [5, 9], 0), held(1, [0, 0], 0), go_on(0, 0)),
        (held(1, [5, 9], 1), held(1, [5, 9], 2), go_on(9, 1)),
        (held(1, [5, 9], 2), held(1, [5, 9], 2), go_on(9, 2)),
        (held(1, [5, 9], 0), held(1, [5, 8], 1), go_on(8, 0)),
        (held(1, [5, 9], 1), held(1, [5, 8], 1), Err("checkpoint.opened")),
        (held(1, [5, 9], 2), held(1, [5, 9], 1), Err("checkpoint.corrupt")),
    ];
    for (a, b, expected) in cases {
        let found = agree(&a, &b, |_| Ok(9));
        let found = found.as_ref().map_err(SessionError::code);
        assert_eq!(found.copied(), expected, "{a:?} {b:?}");
    }
}
