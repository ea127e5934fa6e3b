//! The channel against a peer that we play ourselves, with the real certificates.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{
    Frame, GetRequest, Heartbeat, Hello, JobState, ListRequest, Offer, Outcome, PeerMessage,
    Resume, Standing, jobs_client::JobsClient, peer_client::PeerClient, peer_message::Kind,
};
use mpc_core::{binding::PROTOCOL_VERSION, step::Step};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Streaming,
    transport::{Channel, Endpoint},
};

use super::*;
use crate::{
    error::code,
    node::Node,
    testing::{Behaviour, Pki, ToyEngine, spec},
    tls::{Connector, client_config},
};

async fn node(pki: &Pki) -> Node {
    Node::start(pki.config_a(), ToyEngine::shared(Behaviour::Finish)).await.unwrap()
}

/// A connection to A's node with somebody's certificate.
async fn connect(pki: &Pki, node: &Node, name: &str) -> Result<Channel, tonic::transport::Error> {
    connect_to(pki, node, "platform", name).await
}

/// A connection to the node with this certificate, with somebody's certificate.
async fn connect_to(
    pki: &Pki,
    node: &Node,
    server: &str,
    name: &str,
) -> Result<Channel, tonic::transport::Error> {
    let config = Arc::new(client_config(&pki.material(name), pki.pin(server)).unwrap());
    let connector = Connector::new(node.address().to_string(), config, Duration::from_secs(2));
    let dial = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move { connector.connect().await }
    });
    Endpoint::from_static("http://caesar.invalid").connect_with_connector(dial).await
}

fn hello(version: u32, role: &str) -> PeerMessage {
    let hello = Hello {
        protocol_version: version,
        software: "test".to_owned(),
        role: role.to_owned(),
        instance: vec![1; 16],
        window: 1 << 30,
    };
    PeerMessage { kind: Some(Kind::Hello(hello)) }
}

/// Opens the channel as the bank and sends a first message.
async fn open(
    pki: &Pki,
    node: &Node,
    first: PeerMessage,
) -> (mpsc::Sender<PeerMessage>, Streaming<PeerMessage>) {
    let (tx, rx) = mpsc::channel(8);
    tx.send(first).await.unwrap();
    let mut client = PeerClient::new(connect(pki, node, "bank").await.unwrap());
    let inbound = client.channel(ReceiverStream::new(rx)).await.unwrap().into_inner();
    (tx, inbound)
}

/// Reads to the end of the stream and returns its status.
async fn end_of(mut inbound: Streaming<PeerMessage>, limit: Duration) -> Option<tonic::Status> {
    let read = async {
        loop {
            match inbound.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => return Some(status),
                None => return None,
            }
        }
    };
    timeout(limit, read).await.expect("the stream must end")
}

fn down(node: &Node) -> crate::error::Failure {
    match node.hub().watch().borrow().clone() {
        Status::Down { why, .. } => why,
        Status::Up(_) => panic!("the channel must be down"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_or_the_same_role_is_refused_with_words_on_both_sides() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let cases = [
        (hello(PROTOCOL_VERSION + 1, "B"), code::PEER_VERSION, "protocol version"),
        (hello(PROTOCOL_VERSION, "A"), code::PEER_PROTOCOL, "both nodes have the role A"),
        (
            PeerMessage {
                kind: Some(Kind::Hello(Hello {
                    protocol_version: PROTOCOL_VERSION,
                    role: "B".to_owned(),
                    ..Hello::default()
                })),
            },
            code::PEER_PROTOCOL,
            "greeting of peer `bank` (B) is not complete",
        ),
        (
            PeerMessage { kind: Some(Kind::Heartbeat(Heartbeat::default())) },
            code::PEER_PROTOCOL,
            "did not begin with a greeting",
        ),
    ];
    for (first, expected, words) in cases {
        let (_tx, inbound) = open(&pki, &node, first).await;
        let status = end_of(inbound, Duration::from_secs(5)).await.expect("a status with words");
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(words), "{status}");
        let why = down(&node);
        assert_eq!(why.code, expected);
        assert!(why.message.contains(words), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_peer_of_another_version_says_so() {
    let pki = Pki::new();
    pki.write_data();
    let text = pki.text_b("nowhere:1").replace("connect = \"nowhere:1\"", "");
    let b = Node::start(pki.load("b.toml", &text), ToyEngine::shared(Behaviour::Finish));
    let b = b.await.unwrap();
    let (tx, rx) = mpsc::channel(1);
    tx.send(hello(PROTOCOL_VERSION + 1, "A")).await.unwrap();
    let mut peer = PeerClient::new(connect_to(&pki, &b, "bank", "platform").await.unwrap());
    let inbound = peer.channel(ReceiverStream::new(rx)).await.unwrap().into_inner();
    end_of(inbound, Duration::from_secs(5)).await.expect("a status with words");

    let job = b.manager().submit("r".to_owned(), spec()).await.unwrap();
    let id = job.job_id.parse().unwrap();
    let mut changes = b.manager().changes();
    let failure = loop {
        if let Some(failure) = b.manager().get(id).await.unwrap().failure {
            break failure;
        }
        let changed = timeout(Duration::from_secs(10), changes.changed()).await;
        changed.expect("the job must end").unwrap();
    };
    assert_eq!((failure.code.as_str(), failure.side.as_str()), (code::PEER_VERSION, "both"));
    assert!(failure.message.contains(&(PROTOCOL_VERSION + 1).to_string()), "{failure:?}");
    assert!(failure.hint.contains("same release"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_lost_after_its_time_out_and_heartbeats_prevent_that() {
    let pki = Pki::new();
    let node = node(&pki).await;
    // The HTTP/2 connection stays healthy all the time; only our messages count.
    let (tx, inbound) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    let beats = tokio::spawn(async move {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            tx.send(PeerMessage { kind: Some(Kind::Heartbeat(Heartbeat::default())) })
                .await
                .unwrap();
        }
        tx
    });
    let started = tokio::time::Instant::now();
    end_of(inbound, Duration::from_secs(10)).await;
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_millis(4500), "lost while heartbeats came: {lasted:?}");
    assert!(lasted < Duration::from_secs(7), "noticed too late: {lasted:?}");
    let why = down(&node);
    assert_eq!(why.code, code::PEER_LOST);
    assert!(why.message.contains("silent for 2 s"), "{why}");
    drop(beats.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_checked_on_the_wire() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let mut as_client = PeerClient::new(connect(&pki, &node, "ops").await.unwrap());
    let refused = as_client.channel(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut as_peer = JobsClient::new(connect(&pki, &node, "bank").await.unwrap());
    let refused = as_peer.list(ListRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut client = JobsClient::new(connect(&pki, &node, "ops").await.unwrap());
    assert!(client.list(ListRequest {}).await.unwrap().into_inner().jobs.is_empty());
    let unknown = client.get(GetRequest { job_id: "zz".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(unknown.metadata().get("caesar-code").unwrap(), code::JOB_UNKNOWN);
    // A stranger does not even get that far.
    if let Ok(channel) = connect(&pki, &node, "stranger").await {
        JobsClient::new(channel).list(ListRequest {}).await.expect_err("must be refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer_the_authenticated() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let channel = connect(&pki, &node, "ops").await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest { service: "caesar.v1.Jobs".to_owned() };
    let answer = health.check(request).await.unwrap().into_inner();
    assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returning_peer_replaces_its_old_session() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let (_old_tx, old) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    node.hub().wait_up(Duration::from_secs(5)).await.unwrap();
    let (_tx, mut new) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    end_of(old, Duration::from_secs(1)).await;
    assert!(matches!(
        new.next().await.unwrap().unwrap().kind,
        Some(Kind::Hello(Hello { protocol_version: PROTOCOL_VERSION, .. }))
    ));
    node.hub().wait_up(Duration::from_secs(1)).await.expect("the new session is up");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_diallers_are_told_so() {
    let pki = Pki::new();
    let text =
        pki.text_a().replace("name = \"bank\"", "name = \"bank\"\nconnect = \"127.0.0.1:1\"");
    let config = pki.load("a.toml", &text);
    let node = Node::start(config, ToyEngine::shared(Behaviour::Finish)).await.unwrap();
    let mut client = PeerClient::new(connect(&pki, &node, "bank").await.unwrap());
    let refused = client.channel(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("remove it on one side"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_are_measured_and_forged_ones_are_not() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let (tx, mut inbound) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    let echo = async |echo| {
        let heartbeat = Heartbeat { stamp: 0, echo };
        tx.send(PeerMessage { kind: Some(Kind::Heartbeat(heartbeat)) }).await.unwrap();
    };
    let stamp = |kind| match kind {
        Kind::Heartbeat(heartbeat) => (heartbeat.stamp > 0).then_some(heartbeat.stamp),
        _ => None,
    };
    let sent = until(&mut inbound, stamp).await;
    echo(u64::MAX).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.hub().round_trip(), None);
    echo(sent).await;
    let heartbeat = Heartbeat { stamp: 77, echo: 0 };
    tx.send(PeerMessage { kind: Some(Kind::Heartbeat(heartbeat)) }).await.unwrap();
    let back = |kind| match kind {
        Kind::Heartbeat(heartbeat) => (heartbeat.echo == 77).then_some(()),
        _ => None,
    };
    until(&mut inbound, back).await;
    let measured = node.hub().round_trip().expect("it was measured");
    assert!(measured >= Duration::from_millis(100), "{measured:?}");
}

/// The deadline of a step does not run while the peer is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_has_its_time_while_the_peer_is_connected() {
    let pki = Pki::new();
    let node = node(&pki).await;
    let hub = node.hub();
    let limit = Duration::from_millis(500);
    let waiting = tokio::spawn(async move { hub.connected_for(limit).await });
    tokio::time::sleep(3 * limit).await;
    assert!(!waiting.is_finished(), "there was no connection");
    let (_tx, _inbound) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    node.hub().wait_up(limit).await.unwrap();
    tokio::time::sleep(limit / 4).await;
    assert!(!waiting.is_finished(), "connected for a quarter of the time");
    timeout(4 * limit, waiting).await.expect("its time is over").unwrap();
}

/// Reads until a message that `wanted` takes.
async fn until<T>(inbound: &mut Streaming<PeerMessage>, wanted: impl Fn(Kind) -> Option<T>) -> T {
    let read = async {
        loop {
            let message = inbound.next().await.expect("the stream goes on").unwrap();
            if let Some(found) = message.kind.and_then(&wanted) {
                return found;
            }
        }
    };
    timeout(Duration::from_secs(10), read).await.expect("it must come")
}

fn offer(attempt: u32) -> PeerMessage {
    let parameters = crate::wire::parameters(&spec()).unwrap().1;
    let offer = Offer {
        job: vec![9; 16],
        attempt,
        parameters,
        train_a: "a".to_owned(),
        test_a: "a".to_owned(),
        ..Offer::default()
    };
    PeerMessage { kind: Some(Kind::Offer(offer)) }
}

fn frame(attempt: u32, number: u64) -> PeerMessage {
    // The beginning of a message, as the engine is not to look at it.
    let (job, step, body) = (vec![9; 16], 8, vec![0; CHUNK_BYTES].into());
    let frame = Frame { job, attempt, step, number, body, ..Frame::default() };
    PeerMessage { kind: Some(Kind::Frame(frame)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_frames_ends_the_job_and_says_so() {
    let pki = Pki::new();
    pki.write_data();
    let node = node(&pki).await;
    let (tx, mut inbound) = open(&pki, &node, hello(PROTOCOL_VERSION, "B")).await;
    tx.send(offer(1)).await.unwrap();
    until(&mut inbound, |kind| matches!(kind, Kind::Accept(_)).then_some(())).await;
    tx.send(frame(1, 1)).await.unwrap();
    let standing = until(&mut inbound, |kind| match kind {
        Kind::Standing(standing) => Some(standing),
        _ => None,
    })
    .await;
    assert_eq!(standing.outcome(), Outcome::Failed);
    let reason = standing.reason.unwrap();
    assert_eq!((reason.code.as_str(), reason.side.as_str()), (code::PEER_BAD_MESSAGE, "B"));
    assert!(reason.message.contains("frame 1 came where 0 was due"), "{reason:?}");
}

/// What A says at the start of a connection, and in answer to offers that are old, repeated or new.
#[tokio::test(flavor = "multi_thread")]
async fn a_answers_offers_as_often_as_they_come_and_goes_on_where_it_was() {
    let pki = Pki::new();
    pki.write_data();
    let a = Node::start(pki.config_a(), ToyEngine::shared(Behaviour::Hang)).await.unwrap();
    let accepted = |attempt| {
        move |kind| match kind {
            Kind::Accept(accept) => (accept.attempt == attempt).then_some(()),
            _ => None,
        }
    };
    let (tx, mut inbound) = open(&pki, &a, hello(PROTOCOL_VERSION, "B")).await;
    tx.send(offer(3)).await.unwrap();
    until(&mut inbound, accepted(3)).await;
    tx.send(offer(3)).await.unwrap();
    until(&mut inbound, accepted(3)).await;
    tx.send(frame(3, 0)).await.unwrap();
    let id = crate::job::JobId::from_bytes([9; 16]);
    let arrived = async || a.manager().get(id).await.unwrap().progress.unwrap().bytes_received;
    while arrived().await < CHUNK_BYTES as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // The same process of B on another connection: A goes on and says how far it is.
    let (tx, mut inbound) = open(&pki, &a, hello(PROTOCOL_VERSION, "B")).await;
    let resume = until(&mut inbound, |kind| match kind {
        Kind::Resume(resume) => Some(resume),
        _ => None,
    })
    .await;
    assert_eq!((resume.attempt, resume.received), (3, 1));
    let standing = until(&mut inbound, |kind| match kind {
        Kind::Standing(standing) => Some(standing),
        _ => None,
    })
    .await;
    assert_eq!(standing.outcome(), Outcome::UnderWay);
    tx.send(PeerMessage {
        kind: Some(Kind::Resume(Resume { job: vec![9; 16], attempt: 3, received: 0, taken: 0 })),
    })
    .await
    .unwrap();
    let first = until(&mut inbound, |kind| match kind {
        Kind::Frame(frame) => Some(frame),
        _ => None,
    })
    .await;
    assert_eq!(first.number, 0);

    // A later attempt takes the place of the one under way; an older one is refused.
    tx.send(offer(5)).await.unwrap();
    until(&mut inbound, accepted(5)).await;
    let job = a.manager().get(id).await.unwrap();
    assert_eq!(job.attempt, 5);

    // Another process of B knows no attempt.
    let other = PeerMessage {
        kind: Some(Kind::Hello(Hello {
            protocol_version: PROTOCOL_VERSION,
            role: "B".to_owned(),
            instance: vec![2; 16],
            ..Hello::default()
        })),
    };
    let (tx, mut inbound) = open(&pki, &a, other).await;
    let interrupted = |attempt| {
        move |kind| match kind {
            Kind::Interrupt(interrupt) => (interrupt.attempt == attempt).then_some(()),
            Kind::Resume(resume) => panic!("{resume:?}"),
            _ => None,
        }
    };
    until(&mut inbound, interrupted(5)).await;
    tx.send(offer(4)).await.unwrap();
    until(&mut inbound, interrupted(4)).await;
    tx.send(offer(6)).await.unwrap();
    until(&mut inbound, accepted(6)).await;

    // B decides.
    let standing = Standing { job: vec![9; 16], outcome: Outcome::Succeeded.into(), reason: None };
    tx.send(PeerMessage { kind: Some(Kind::Standing(standing)) }).await.unwrap();
    let mut changes = a.manager().changes();
    while a.manager().get(id).await.unwrap().state() != JobState::Succeeded {
        timeout(Duration::from_secs(10), changes.changed()).await.expect("B's word").unwrap();
    }
}

/// A tells where its time went when its engine is done, and again while it does not have B's word.
#[tokio::test(flavor = "multi_thread")]
async fn a_tells_its_profile_on_every_connection_until_b_has_decided() {
    let pki = Pki::new();
    pki.write_data();
    let a = node(&pki).await;
    let (tx, mut inbound) = open(&pki, &a, hello(PROTOCOL_VERSION, "B")).await;
    tx.send(offer(1)).await.unwrap();
    until(&mut inbound, |kind| matches!(kind, Kind::Accept(_)).then_some(())).await;
    let resume = Resume { job: vec![9; 16], attempt: 1, received: 0, taken: 0 };
    tx.send(PeerMessage { kind: Some(Kind::Resume(resume)) }).await.unwrap();
    // What the engine of the tests expects.
    let id = crate::job::JobId::from_bytes([9; 16]);
    let body: Vec<u8> = (0..5 * CHUNK_BYTES / 2).map(|i| (i % 251) as u8).collect();
    let forward = split(id, 1, Step::Forward, 0, body.clone());
    for (frame, number) in forward.chain(split(id, 1, Step::Finish, 1, Vec::new())).zip(0..) {
        let frame = Frame { number, ..frame };
        tx.send(PeerMessage { kind: Some(Kind::Frame(frame)) }).await.unwrap();
    }
    let told = |kind| match kind {
        Kind::Profile(told) => Some(told),
        _ => None,
    };
    let first = until(&mut inbound, told).await;
    assert_eq!((first.job.as_slice(), first.attempt), ([9; 16].as_slice(), 1));
    let profile = first.profile.as_ref().unwrap();
    assert_eq!(profile.party, "A");
    let bytes = body.len() as u64;
    assert!(profile.steps.iter().any(|s| s.step == "forward" && s.bytes_received == bytes));

    let (tx, mut inbound) = open(&pki, &a, hello(PROTOCOL_VERSION, "B")).await;
    assert_eq!(until(&mut inbound, told).await, first);
    let standing = Standing { job: vec![9; 16], outcome: Outcome::Succeeded.into(), reason: None };
    tx.send(PeerMessage { kind: Some(Kind::Standing(standing)) }).await.unwrap();
    let mut changes = a.manager().changes();
    while a.manager().get(id).await.unwrap().state() != JobState::Succeeded {
        timeout(Duration::from_secs(10), changes.changed()).await.expect("B's word").unwrap();
    }
}
