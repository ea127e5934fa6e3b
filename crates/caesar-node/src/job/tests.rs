//! Two nodes in one process, over real TLS on loopback, with an engine that computes nothing.

mod hostile;
mod profiled;
mod typed;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use caesar_proto::v1::{ColumnSplit, Job, JobSpec, JobState, Progress};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::{
    error::{Failure, Side, code},
    node::{Node, StartError},
    testing::{Behaviour, Pki, ToyEngine, spec},
};

struct Pair {
    pki: Pki,
    a: Option<Node>,
    b: Option<Node>,
}

async fn pair(a: Behaviour, b: Behaviour) -> Pair {
    let pki = Pki::new();
    pki.write_data();
    let a = Node::start(pki.config_a(), ToyEngine::shared(a)).await.unwrap();
    let address = a.address().to_string();
    let b = Node::start(pki.config_b(&address), ToyEngine::shared(b)).await.unwrap();
    Pair { pki, a: Some(a), b: Some(b) }
}

impl Pair {
    fn a(&self) -> Arc<Manager> {
        self.a.as_ref().unwrap().manager()
    }

    fn b(&self) -> Arc<Manager> {
        self.b.as_ref().unwrap().manager()
    }

    /// Stops a node and starts it again where it was.
    async fn restart(&mut self, side: Side, behaviour: Behaviour) {
        let node = if side == Side::A { &mut self.a } else { &mut self.b };
        let node = node.take().unwrap();
        let address = node.address().to_string();
        node.stop().await;
        self.start(side, &address, behaviour).await;
    }

    /// Starts a node that has been stopped. A listens where it did, B connects to A.
    async fn start(&mut self, side: Side, address: &str, behaviour: Behaviour) {
        let started = Instant::now();
        let node = loop {
            let config = if side == Side::A {
                let text = self.pki.text_a();
                self.pki.load("a.toml", &text.replace("127.0.0.1:0", address))
            } else {
                let text = fs::read_to_string(self.pki.path().join("b.toml")).unwrap();
                self.pki.load("b.toml", &text)
            };
            // The engine of the stopped node may still hold the store for a moment.
            match Node::start(config, ToyEngine::shared(behaviour)).await {
                Ok(node) => break node,
                Err(error) => assert!(started.elapsed() < Duration::from_secs(10), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if side == Side::A {
            self.a = Some(node);
        } else {
            self.b = Some(node);
        }
    }

    async fn submit(&self, spec: JobSpec) -> JobId {
        let job = self.b().submit("request".to_owned(), spec).await.unwrap();
        job.job_id.parse().unwrap()
    }
}

/// Waits until the job is in a state that `wanted` accepts.
async fn until(manager: &Manager, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
    let started = Instant::now();
    loop {
        match manager.get(id).await {
            Ok(job) if wanted(&job) => return job,
            other => assert!(started.elapsed() < Duration::from_secs(15), "still {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ended(manager: &Manager, id: JobId) -> Job {
    let ended = |job: &Job| {
        matches!(job.state(), JobState::Succeeded | JobState::Failed | JobState::Cancelled)
    };
    until(manager, id, ended).await
}

fn failure(job: &Job) -> (&str, &str, &str) {
    assert_eq!(job.state(), JobState::Failed, "{job:?}");
    let failure = job.failure.as_ref().unwrap();
    (&failure.code, &failure.side, &failure.step)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_succeeds_on_both_sides_and_its_bytes_agree() {
    let pair = pair(Behaviour::Finish, Behaviour::Finish).await;
    let id = pair.submit(spec()).await;
    let at_b = ended(&pair.b(), id).await;
    let at_a = ended(&pair.a(), id).await;
    assert_eq!((at_a.state(), at_b.state()), (JobState::Succeeded, JobState::Succeeded));
    let result = pair.b().result(id).await.unwrap();
    assert_eq!((result.job_id.as_str(), result.rows_b), (at_b.job_id.as_str(), 8));
    assert!(result.seconds_train > 0.0 && result.seconds_total >= result.seconds_train);
    let (progress_a, progress_b) = (at_a.progress.unwrap(), at_b.progress.unwrap());
    assert_eq!(progress_a.bytes_sent, progress_b.bytes_received);
    assert_eq!(progress_b.bytes_sent, progress_a.bytes_received);
    assert_eq!(
        (result.bytes_b_to_a, result.bytes_a_to_b),
        (progress_b.bytes_sent, progress_b.bytes_received)
    );
    assert!(result.bytes_a_to_b > 5 << 19, "two and a half chunks were sent");
    assert_eq!(pair.a().result(id).await.unwrap_err().code, code::JOB_NO_RESULT);
    let told: Vec<_> = result.profile.iter().map(|profile| profile.party.as_str()).collect();
    assert_eq!(told, ["A", "B"], "A's profile reaches B's result");
    let steps = result.profile.iter().map(|profile| &profile.steps);
    for (step, bytes) in steps.flat_map(|steps| steps.iter().zip([5 << 19, 0])) {
        let counts = [step.messages_sent, step.messages_received];
        assert_eq!(
            (step.step.as_str(), counts),
            (if bytes > 0 { "forward" } else { "finish" }, [1, 1])
        );
        assert_eq!([step.bytes_sent, step.bytes_received], [bytes; 2]);
        assert!(bytes == 0 || step.compute_seconds >= 0.02, "the engine slept for 20 ms: {step:?}");
    }
    // What A keeps has no name of B's data.
    let spec_a = at_a.spec.unwrap();
    assert_eq!((spec_a.train_a.as_str(), spec_a.train_b.as_str()), ("a", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_one_code_on_both_sides() {
    let cases = [
        (Behaviour::Fail, Behaviour::Hang, "toy.fail", "A"),
        (Behaviour::Hang, Behaviour::Fail, "toy.fail", "B"),
        (Behaviour::Panic, Behaviour::Hang, code::BUG_INTERNAL, "both"),
        (Behaviour::WrongStep, Behaviour::Hang, "toy.frame", "B"),
    ];
    for (a, b, expected, side) in cases {
        let pair = pair(a, b).await;
        let id = pair.submit(spec()).await;
        let (at_a, at_b) = (ended(&pair.a(), id).await, ended(&pair.b(), id).await);
        for job in [&at_a, &at_b] {
            let (code, who, _) = failure(job);
            assert_eq!((code, who), (expected, side), "{a:?}/{b:?}: {job:?}");
            assert!(!format!("{job:?}").contains("4711"), "the panic's text got out");
        }
        assert_eq!(at_a.failure, at_b.failure);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_goes_on_after_a_panic() {
    let pair = pair(Behaviour::Panic, Behaviour::Finish).await;
    for request in ["one", "two"] {
        let job = pair.b().submit(request.to_owned(), spec()).await.unwrap();
        let id = job.job_id.parse().unwrap();
        assert_eq!(failure(&ended(&pair.b(), id).await).0, code::BUG_INTERNAL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_cancels_both_and_the_next_job_runs() {
    let pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    for request in ["from-a", "from-b", "again"] {
        let job = pair.b().submit(request.to_owned(), spec()).await.unwrap();
        let id = job.job_id.parse().unwrap();
        let running = |job: &Job| job.state() == JobState::Running;
        until(&pair.a(), id, running).await;
        let waiting = until(&pair.b(), id, |job| {
            running(job) && job.progress.as_ref().is_some_and(|p| p.waiting_seconds > 0.1)
        })
        .await;
        let progress = waiting.progress.unwrap();
        assert_eq!((progress.phase.as_str(), progress.step.as_str()), ("train", "error-ole"));
        assert!(progress.eta_seconds >= 0.0 && progress.iterations == 2);
        let canceller = if request == "from-a" { pair.a() } else { pair.b() };
        canceller.cancel(id).await.unwrap();
        for manager in [pair.a(), pair.b()] {
            assert_eq!(ended(&manager, id).await.state(), JobState::Cancelled);
        }
        let again = canceller.cancel(id).await.unwrap();
        assert_eq!(again.state(), JobState::Cancelled, "cancelling twice changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_of_a_decides_and_tells_nothing() {
    let pair = pair(Behaviour::Finish, Behaviour::Finish).await;
    let mut messages = Vec::new();
    for name in ["secret", "nothing"] {
        let asked = JobSpec { test_a: name.to_owned(), ..spec() };
        let job = pair.b().submit(name.to_owned(), asked).await.unwrap();
        let id = job.job_id.parse().unwrap();
        let (at_a, at_b) = (ended(&pair.a(), id).await, ended(&pair.b(), id).await);
        assert_eq!(failure(&at_b), (code::DATASET_REFUSED, "A", ""));
        assert_eq!(at_a.failure, at_b.failure);
        messages.push(at_b.failure.unwrap().message.replace(name, "X"));
    }
    assert_eq!(messages[0], messages[1], "a closed data set must look like a missing one");
    let unknown = JobSpec { train_b: "nothing".to_owned(), ..spec() };
    let refused = pair.b().submit("r".to_owned(), unknown).await.unwrap_err();
    assert_eq!(refused.code, code::DATASET_UNKNOWN);
    let wrong_node = pair.a().submit("r".to_owned(), spec()).await.unwrap_err();
    assert_eq!(wrong_node.code, code::JOB_WRONG_NODE);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_data_of_either_side_reaches_both_before_anything_runs() {
    let cases =
        [("a.csv", "id,f\nx,1\ny,1e999\n", "A"), ("b.csv", "id,y,f\nx,1,1\ny,0,1e999\n", "B")];
    for (file, text, side) in cases {
        let pair = pair(Behaviour::Finish, Behaviour::Finish).await;
        fs::write(pair.pki.path().join(file), text).unwrap();
        let id = pair.submit(spec()).await;
        let (at_b, at_a) = (ended(&pair.b(), id).await, ended(&pair.a(), id).await);
        assert_eq!(failure(&at_b), ("data.not_numeric", side, ""));
        assert_eq!(at_a.failure, at_b.failure);
        let failure = at_b.failure.unwrap();
        assert!(failure.message.contains("line 3"), "{failure:?}");
        assert!(!failure.message.contains("1e999"), "the value got out: {failure:?}");
        assert!(!failure.message.contains(pair.pki.path().to_str().unwrap()), "{failure:?}");
    }
}

/// A division by a column of A's tells B what stands there, for every common id.
#[tokio::test(flavor = "multi_thread")]
async fn a_divides_only_by_the_column_that_its_catalogue_opens() {
    let by = |column: &str| JobSpec {
        split_column: Some(ColumnSplit {
            side: "A".to_owned(),
            column: column.to_owned(),
            test: vec!["1".to_owned()],
        }),
        test_a: String::new(),
        test_b: String::new(),
        ..spec()
    };
    let pki = Pki::new();
    pki.write_data();
    fs::write(pki.path().join("a.csv"), "id,f,fold\nid0,1,0\nid1,2,1\n").unwrap();
    let text = pki.text_a().replacen("allow_peers", "split_column = \"fold\"\nallow_peers", 1);
    let engine = || ToyEngine::shared(Behaviour::Finish);
    let a = Node::start(pki.load("a.toml", &text), engine()).await.unwrap();
    let b = Node::start(pki.config_b(&a.address().to_string()), engine()).await.unwrap();
    for (column, request) in [("f", "one"), ("fold", "two")] {
        let job = b.manager().submit(request.to_owned(), by(column)).await.unwrap();
        let job = ended(&b.manager(), job.job_id.parse().unwrap()).await;
        if column == "fold" {
            assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
        } else {
            assert_eq!(failure(&job), (code::DATASET_REFUSED, "A", ""));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_data_of_b_is_told_without_a_peer_too() {
    let pki = Pki::new();
    pki.write_data();
    fs::write(pki.path().join("b.csv"), "id,y,f\nx,1,inf\n").unwrap();
    // A port that nobody listens on.
    let config = pki.config_b("127.0.0.1:1");
    let b = Node::start(config, ToyEngine::shared(Behaviour::Finish)).await.unwrap();
    let job = b.manager().submit("r".to_owned(), spec()).await.unwrap();
    let job = ended(&b.manager(), job.job_id.parse().unwrap()).await;
    assert_eq!(failure(&job), ("data.not_numeric", "B", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_peer_the_job_fails_within_the_time_out_and_says_why() {
    let pki = Pki::new();
    pki.write_data();
    // A port that nobody listens on.
    let config = pki.config_b("127.0.0.1:1");
    let b = Node::start(config, ToyEngine::shared(Behaviour::Finish)).await.unwrap();
    let started = Instant::now();
    let job = b.manager().submit("r".to_owned(), spec()).await.unwrap();
    let job = ended(&b.manager(), job.job_id.parse().unwrap()).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(failure(&job).0, code::PEER_UNREACHABLE);
    let message = job.failure.unwrap().message;
    assert!(message.contains("platform") && message.contains("127.0.0.1:1"), "{message}");
}

/// Whether both sides compute the same attempt and wait for each other.
fn both_wait(job: &Job, attempt: u32) -> bool {
    let waits = |p: &Progress| p.step == "error-ole" && p.waiting_seconds > 0.0;
    job.attempt == attempt
        && job.state() == JobState::Running
        && job.progress.as_ref().is_some_and(waits)
}

fn has_checkpoints(pair: &Pair, side: Side, job: JobId) -> bool {
    let folder = if side == Side::A { "data-a" } else { "data-b" };
    pair.pki.path().join(folder).join("checkpoints").join(job.to_string()).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_finds_what_the_one_before_left() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let id = pair.submit(spec()).await;
    until(&pair.b(), id, |job| both_wait(job, 1)).await;
    pair.restart(Side::B, Behaviour::Finish).await;
    until(&pair.b(), id, |job| job.attempt == 2 && job.state() == JobState::Running).await;
    pair.restart(Side::A, Behaviour::Finish).await;
    let done = ended(&pair.b(), id).await;
    assert_eq!(done.state(), JobState::Succeeded, "{done:?}");
    // The toy engine reports how many attempts have written to its vault.
    let result = pair.b().result(id).await.unwrap();
    assert_eq!(result.iterations, done.attempt);
    assert_eq!(ended(&pair.a(), id).await.state(), JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_key_of_a_job_does_not_start() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let id = pair.submit(spec()).await;
    until(&pair.b(), id, |job| both_wait(job, 1)).await;
    pair.b.take().unwrap().stop().await;
    let key = pair.pki.path().join("data-b/checkpoint.key");
    fs::remove_file(&key).unwrap();
    let started = Instant::now();
    let error = loop {
        let text = fs::read_to_string(pair.pki.path().join("b.toml")).unwrap();
        let node = Node::start(pair.pki.load("b.toml", &text), ToyEngine::shared(Behaviour::Hang));
        match node.await {
            // The engine of the stopped node may still hold the store for a moment.
            Err(StartError::Store(_)) => {}
            Err(StartError::Failure(failure)) => break failure,
            other => panic!("{other:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(error.code, code::CHECKPOINT_KEY);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_do_not_disturb_a_job() {
    let pair = pair(Behaviour::Patient, Behaviour::Patient).await;
    let id = pair.submit(spec()).await;
    until(&pair.b(), id, |job| job.state() == JobState::Running).await;
    let seed = 41;
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut cuts = 0;
    while pair.b().get(id).await.unwrap().state() == JobState::Running {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
        // Either side may be the one that notices.
        let node = if rng.random() { &pair.a } else { &pair.b };
        node.as_ref().unwrap().hub().close();
        cuts += 1;
    }
    assert!(cuts > 5, "only {cuts} cuts");
    for manager in [pair.a(), pair.b()] {
        let job = ended(&manager, id).await;
        assert_eq!((job.state(), job.attempt), (JobState::Succeeded, 1), "seed {seed}: {job:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stays_away_ends_the_job_after_its_deadline_and_is_named_before() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Compute).await;
    let id = pair.submit(spec()).await;
    until(&pair.a(), id, |job| both_wait(job, 1)).await;
    let b = pair.b();
    let started = Instant::now();
    // The peer vanishes without a word about the job.
    pair.a.take().unwrap().vanish();
    let away = |job: &Job| job.progress.as_ref().is_some_and(|p| !p.not_connected.is_empty());
    until(&b, id, away).await;
    let at_b = ended(&b, id).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(6), "the deadline is 6 s, not {took:?}");
    // The engine is in the middle of a computation that takes 8 s.
    assert!(took < Duration::from_secs(9), "took {took:?}");
    assert_eq!(failure(&at_b), (code::PEER_LOST, "A", "forward"));
    let message = at_b.failure.unwrap().message;
    assert!(message.contains("peer `platform` (A)") && message.contains("6 s"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_puts_its_jobs_back_into_the_queue_on_both_sides() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let id = pair.submit(spec()).await;
    until(&pair.b(), id, |job| both_wait(job, 1)).await;
    let (a, b) = (pair.a(), pair.b());
    pair.a.take().unwrap().stop().await;
    assert_eq!(a.get(id).await.unwrap().state(), JobState::Queued);
    let waiting = until(&b, id, |job| {
        job.state() == JobState::Queued
            && job.progress.as_ref().is_some_and(|p| p.step == "connect" && p.waiting_seconds > 0.0)
    })
    .await;
    assert_eq!(waiting.attempt, 2);
    assert_eq!(waiting.interrupted.unwrap().code, code::NODE_SHUTDOWN);
    let progress = waiting.progress.unwrap();
    assert_eq!(progress.waiting_for, "platform");
    assert!(!progress.not_connected.is_empty());
    b.cancel(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_when_either_node_comes_back() {
    for stopped in [Side::A, Side::B] {
        let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
        let first = pair.submit(spec()).await;
        until(&pair.b(), first, |job| both_wait(job, 1)).await;
        let second = pair.b().submit("second".to_owned(), spec()).await.unwrap();
        let second: JobId = second.job_id.parse().unwrap();
        pair.restart(stopped, Behaviour::Hang).await;
        let other = if stopped == Side::A { pair.b() } else { pair.a() };
        until(&other, first, |job| both_wait(job, 2)).await;
        assert!(has_checkpoints(&pair, Side::A, first) && has_checkpoints(&pair, Side::B, first));
        // A hanging engine ends its job when the other side cancels it.
        pair.b().cancel(first).await.unwrap();
        for manager in [pair.a(), pair.b()] {
            assert_eq!(ended(&manager, first).await.state(), JobState::Cancelled);
        }
        let started = Instant::now();
        while has_checkpoints(&pair, Side::A, first) || has_checkpoints(&pair, Side::B, first) {
            assert!(started.elapsed() < Duration::from_secs(10), "checkpoints are left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until(&pair.b(), second, |job| both_wait(job, 1)).await;
        pair.b().cancel(second).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_interrupted_too_often_fails() {
    let pki = Pki::new();
    pki.write_data();
    let text = pki.text_a();
    let a = pki.load("a.toml", &text);
    let a = Node::start(a, ToyEngine::shared(Behaviour::Hang)).await.unwrap();
    let address = a.address().to_string();
    let text = pki.text_b(&address).replace("[limits]", "[limits]\nmax_attempts = 2");
    let b = Node::start(pki.load("b.toml", &text), ToyEngine::shared(Behaviour::Hang));
    let mut pair = Pair { pki, a: Some(a), b: Some(b.await.unwrap()) };
    let id = pair.submit(spec()).await;
    for attempt in 1..=2 {
        until(&pair.b(), id, |job| both_wait(job, attempt)).await;
        pair.restart(Side::A, Behaviour::Hang).await;
    }
    for manager in [pair.b(), pair.a()] {
        assert_eq!(failure(&ended(&manager, id).await).0, code::JOB_TOO_MANY_ATTEMPTS);
    }
}

/// What ends at A while B is away is known to B when it returns, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn ends_that_the_other_side_missed_are_caught_up_with() {
    for away in [Side::A, Side::B] {
        let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
        let id = pair.submit(spec()).await;
        until(&pair.b(), id, |job| both_wait(job, 1)).await;
        let present = if away == Side::A { pair.b() } else { pair.a() };
        let node = if away == Side::A { &mut pair.a } else { &mut pair.b };
        let address = node.as_ref().unwrap().address().to_string();
        node.take().unwrap().stop().await;
        let cancelled = present.cancel(id).await.unwrap();
        assert_eq!(cancelled.state(), JobState::Cancelled);
        pair.start(away, &address, Behaviour::Hang).await;
        for manager in [pair.a(), pair.b()] {
            assert_eq!(ended(&manager, id).await.state(), JobState::Cancelled);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_costs_an_attempt_and_not_the_job() {
    let pair = pair(Behaviour::Hang, Behaviour::DiskFull).await;
    let id = pair.submit(spec()).await;
    for manager in [pair.a(), pair.b()] {
        let again = until(&manager, id, |job| job.attempt == 2).await;
        let why = again.interrupted.unwrap();
        assert_eq!((why.code.as_str(), why.side.as_str()), (code::IO_CHECKPOINT, "B"));
    }
}

/// Somebody has put B's data folder back to an older state.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_b_has_forgotten_ends_at_a() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let id = pair.submit(spec()).await;
    until(&pair.b(), id, |job| both_wait(job, 1)).await;
    let address = pair.b.as_ref().unwrap().address().to_string();
    pair.b.take().unwrap().stop().await;
    fs::remove_dir_all(pair.pki.path().join("data-b")).unwrap();
    pair.start(Side::B, &address, Behaviour::Hang).await;
    assert_eq!(failure(&ended(&pair.a(), id).await), (code::JOB_UNKNOWN, "B", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_run_at_once_where_that_is_allowed() {
    let pki = Pki::new();
    pki.write_data();
    let two = |text: String| text.replace("[limits]", "[limits]\nmax_running_jobs = 2");
    let a = pki.load("a.toml", &two(pki.text_a()));
    let a = Node::start(a, ToyEngine::shared(Behaviour::Hang)).await.unwrap();
    let address = a.address().to_string();
    let b = pki.load("b.toml", &two(pki.text_b(&address)));
    let b = Node::start(b, ToyEngine::shared(Behaviour::Hang)).await.unwrap();
    let submit = async |request: &str, priority| {
        let job = b.manager().submit(request.to_owned(), JobSpec { priority, ..spec() }).await;
        job.unwrap().job_id.parse::<JobId>().unwrap()
    };
    let (one, two) = (submit("one", 0).await, submit("two", 0).await);
    until(&b.manager(), one, |job| both_wait(job, 1)).await;
    until(&b.manager(), two, |job| both_wait(job, 1)).await;
    let (low, high) = (submit("low", 0).await, submit("high", 1).await);
    let waiting = b.manager().get(low).await.unwrap();
    assert_eq!(waiting.state(), JobState::Queued);
    assert_eq!(waiting.progress.unwrap().step, "turn");
    b.manager().cancel(one).await.unwrap();
    until(&b.manager(), high, |job| both_wait(job, 1)).await;
    assert_eq!(b.manager().get(low).await.unwrap().state(), JobState::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_takes_too_long_ends_the_job_at_both_sides() {
    let pki = Pki::new();
    pki.write_data();
    let a = Node::start(pki.config_a(), ToyEngine::shared(Behaviour::Hang)).await.unwrap();
    let text = pki.text_b(&a.address().to_string());
    let text = text.replace("[limits]", "[limits]\nphase_timeout_seconds = 2");
    let b = Node::start(pki.load("b.toml", &text), ToyEngine::shared(Behaviour::Hang));
    let b = b.await.unwrap();
    let job = b.manager().submit("r".to_owned(), spec()).await.unwrap();
    let id = job.job_id.parse().unwrap();
    let at_b = ended(&b.manager(), id).await;
    assert_eq!(failure(&at_b), (code::JOB_PHASE_TIMEOUT, "client", "error-ole"));
    assert_eq!(ended(&a.manager(), id).await.failure, at_b.failure);
}

#[test]
fn ids_are_random_and_round_trip() {
    let (one, two) = (JobId::random().unwrap(), JobId::random().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.to_string().parse::<JobId>().unwrap(), one);
    assert!("12".parse::<JobId>().is_err());
    assert_eq!(JobId::from_slice(&[1; 15]), None);
}

#[test]
fn the_first_cause_wins() {
    let control = Control::default();
    assert!(control.cause().is_none());
    control.end(Cause::Lost(Failure::bug("x")));
    control.end(Cause::Cancelled);
    assert!(matches!(control.cause(), Some(Cause::Lost(_))));
    assert!(!control.ended_here());
}
