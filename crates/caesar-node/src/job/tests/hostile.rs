//! The real protocol between two nodes of which one sends what no honest node would. The honest one
//! must end the job by itself, and both must say the same.

use std::{
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use caesar_proto::v1::{Job, JobResult, JobSpec, JobState, Training};
use mpc_core::{
    matrix::Table,
    session::{self, Link, LinkError, Observer, Progress, Role, Vault},
    step::Step,
};

use super::{
    Context, Engine, JobId, Live, Manager, ProtocolEngine,
    engine::{EngineLink, failure, generator, run},
};
use crate::{
    error::Failure,
    node::Node,
    peer::JobLink,
    testing::{Pki, spec},
};

/// What is done to one message before it leaves.
#[derive(Clone, Copy, Debug)]
struct Fault {
    /// The step of the message.
    step: Step,
    /// Which message of the step, from 0.
    nth: usize,
    change: fn(&mut Vec<u8>),
}

/// Runs the protocol as it is, but for the messages it sends. The fault can be set between jobs.
#[derive(Clone, Debug, Default)]
struct Hostile(Arc<Mutex<Option<Fault>>>);

struct HostileLink {
    link: EngineLink,
    fault: Option<Fault>,
    seen: usize,
}

impl Link for HostileLink {
    fn send(&mut self, step: Step, mut body: Vec<u8>) -> Result<(), LinkError> {
        if let Some(fault) = self.fault.filter(|fault| fault.step == step) {
            if self.seen == fault.nth {
                (fault.change)(&mut body);
            }
            self.seen += 1;
        }
        self.link.send(step, body)
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        self.link.receive(step, max_len)
    }
}

struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _: Progress) {}
}

impl Hostile {
    fn link(&self, link: JobLink) -> HostileLink {
        let fault = *self.0.lock().unwrap();
        HostileLink { link: EngineLink(link), fault, seen: 0 }
    }
}

impl Engine for Hostile {
    fn run_a(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        _: Arc<Live>,
    ) -> Result<(), Failure> {
        let (mut link, mut rng) = (self.link(link), generator()?);
        let vault = vault.as_mut();
        session::run_a(&run(context), &train, &test, &mut link, vault, &mut Silent, &mut rng)
            .map(drop)
            .map_err(|e| failure(&e, Role::FeatureHolder))
    }

    fn run_b(
        &self,
        context: &Context,
        train: Arc<Table>,
        test: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        _: Arc<Live>,
    ) -> Result<JobResult, Failure> {
        let (mut link, mut rng) = (self.link(link), generator()?);
        let vault = vault.as_mut();
        session::run_b(&run(context), &train, &test, &mut link, vault, &mut Silent, &mut rng)
            .map(|_| JobResult::default())
            .map_err(|e| failure(&e, Role::LabelHolder))
    }
}

/// Enough rows for one mini-batch.
pub(super) fn write_data(pki: &Pki) {
    let (mut a, mut b) = ("id,f\n".to_owned(), "id,y,g\n".to_owned());
    for i in 0..64 {
        let _ = writeln!(a, "id{i},{}", i % 7);
        let _ = writeln!(b, "id{i},{},{}", i % 2, i % 5);
    }
    fs::write(pki.path().join("a.csv"), a).unwrap();
    fs::write(pki.path().join("b.csv"), b).unwrap();
}

pub(super) async fn ended(manager: &Manager, id: JobId) -> Job {
    let started = Instant::now();
    loop {
        let job = manager.get(id).await.unwrap();
        if !matches!(job.state(), JobState::Queued | JobState::Offered | JobState::Running) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(100), "still {job:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every case ends the job at both sides with the same code, the hostile side and the step.
async fn expect_refusals(hostile_is_a: bool) {
    let pki = Pki::new();
    write_data(&pki);
    let hostile = Hostile::default();
    let (a, b): (Arc<dyn Engine>, Arc<dyn Engine>) = if hostile_is_a {
        (Arc::new(hostile.clone()), Arc::new(ProtocolEngine))
    } else {
        (Arc::new(ProtocolEngine), Arc::new(hostile.clone()))
    };
    let a = Node::start(pki.config_a(), a).await.unwrap();
    let b = Node::start(pki.config_b(&a.address().to_string()), b).await.unwrap();

    type Case = (&'static str, Step, usize, fn(&mut Vec<u8>), &'static str);
    let out_of_range: fn(&mut Vec<u8>) = |body| body.fill(0xff);
    let no_unit: fn(&mut Vec<u8>) = |body| body.fill(0);
    let longer: fn(&mut Vec<u8>) = |body| body.push(1);
    let huge: fn(&mut Vec<u8>) = |body| body.resize(3 << 20, 1);
    let shorter: fn(&mut Vec<u8>) = |body| body.truncate(body.len() - 1);
    // Each case from `forward` on costs a key pair at both sides.
    let cases: [Case; 6] = [
        ("no curve point", Step::PsiTrain, 1, out_of_range, "peer.bad_message"),
        ("cut", Step::PsiTrain, 1, shorter, "peer.bad_message"),
        ("oversized", Step::PsiTrain, 1, huge, "peer.message_too_large"),
        ("out of range", Step::Forward, 0, out_of_range, "peer.bad_message"),
        ("no unit", Step::ErrorCiphertexts, 0, no_unit, "peer.bad_message"),
        ("a byte more", Step::ErrorCiphertexts, 0, longer, "peer.message_too_large"),
    ];
    let training = Training { epochs: Some(1), batch_size: Some(64), ..Training::default() };
    for (name, step, nth, change, code) in cases {
        *hostile.0.lock().unwrap() = Some(Fault { step, nth, change });
        let spec = JobSpec { modulus_bits: 2048, training: Some(training.clone()), ..spec() };
        let job = b.manager().submit(name.to_owned(), spec).await.unwrap();
        let id = job.job_id.parse().unwrap();
        // A knows the job when B has an end for it.
        let at_b = ended(&b.manager(), id).await;
        let at_a = ended(&a.manager(), id).await;
        let failure = at_b.failure.clone().unwrap_or_else(|| panic!("{name}: {at_b:?}"));
        let side = if hostile_is_a { "A" } else { "B" };
        assert_eq!(
            (failure.code.as_str(), failure.side.as_str()),
            (code, side),
            "{name}: {failure:?}"
        );
        assert_eq!(failure.step, step.name(), "{name}: {failure:?}");
        assert!(!failure.hint.is_empty(), "{name}: {failure:?}");
        assert_eq!(at_a.failure, at_b.failure, "{name}");
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b_refuses_what_a_hostile_a_sends() {
    expect_refusals(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refuses_what_a_hostile_b_sends() {
    expect_refusals(false).await;
}
