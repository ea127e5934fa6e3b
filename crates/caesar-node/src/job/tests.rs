//! Two nodes in one process, over real TLS on loopback, with an engine that computes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caesar_proto::v1::{Job, JobSpec, JobState};

use super::*;
use crate::{
    error::{Failure, code},
    node::Node,
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
        [("a.csv", "id,f\nx,1\ny,oops\n", "A"), ("b.csv", "id,y,f\nx,1,1\ny,0,oops\n", "B")];
    for (file, text, side) in cases {
        let pair = pair(Behaviour::Finish, Behaviour::Finish).await;
        std::fs::write(pair.pki.path().join(file), text).unwrap();
        let id = pair.submit(spec()).await;
        let (at_b, at_a) = (ended(&pair.b(), id).await, ended(&pair.a(), id).await);
        assert_eq!(failure(&at_b), ("data.not_numeric", side, ""));
        assert_eq!(at_a.failure, at_b.failure);
        let failure = at_b.failure.unwrap();
        assert!(failure.message.contains("line 3"), "{failure:?}");
        assert!(!failure.message.contains("oops"), "the value got out: {failure:?}");
        assert!(!failure.message.contains(pair.pki.path().to_str().unwrap()), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_data_of_b_is_told_without_a_peer_too() {
    let pki = Pki::new();
    pki.write_data();
    std::fs::write(pki.path().join("b.csv"), "id,y,f\nx,1,oops\n").unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_ends_the_job_on_both_sides() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let id = pair.submit(spec()).await;
    until(&pair.a(), id, |job| job.state() == JobState::Running).await;
    let (a, b) = (pair.a(), pair.b());
    pair.a.take().unwrap().stop().await;
    let at_b = ended(&b, id).await;
    assert_eq!(failure(&at_b).0, code::NODE_SHUTDOWN);
    assert_eq!(ended(&a, id).await.failure, at_b.failure);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_engine_does_not_delay_the_end_of_its_job() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Compute).await;
    let id = pair.submit(spec()).await;
    until(&pair.a(), id, |job| job.progress.as_ref().is_some_and(|p| p.step == "error-ole")).await;
    let b = pair.b();
    let started = Instant::now();
    // The peer vanishes without a word about the job.
    pair.a.take().unwrap().vanish();
    let at_b = ended(&b, id).await;
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    assert_eq!(failure(&at_b), (code::PEER_LOST, "A", "forward"));
    let message = at_b.failure.unwrap().message;
    assert!(message.contains("peer `platform` (A)"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_jobs_outlive_the_node_and_started_ones_end() {
    let mut pair = pair(Behaviour::Hang, Behaviour::Hang).await;
    let first = pair.submit(spec()).await;
    until(&pair.b(), first, |job| job.state() == JobState::Running).await;
    let second = pair.b().submit("second".to_owned(), spec()).await.unwrap();
    let second: JobId = second.job_id.parse().unwrap();
    let address = pair.a.as_ref().unwrap().address().to_string();
    pair.b.take().unwrap().stop().await;
    assert_eq!(failure(&ended(&pair.a(), first).await).0, code::NODE_SHUTDOWN);
    // The engine of the stopped node may still hold the store for a moment.
    let started = Instant::now();
    let b = loop {
        let config = pair.pki.config_b(&address);
        match Node::start(config, ToyEngine::shared(Behaviour::Fail)).await {
            Ok(node) => break node,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(10), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let manager = b.manager();
    assert_eq!(failure(&ended(&manager, first).await).0, code::NODE_SHUTDOWN);
    assert_eq!(failure(&ended(&manager, second).await).0, "toy.fail");
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
