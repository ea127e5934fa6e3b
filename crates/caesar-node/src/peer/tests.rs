//! The channel against a peer that we play ourselves, with the real certificates.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{
    GetRequest, Heartbeat, Hello, ListRequest, PeerMessage, jobs_client::JobsClient,
    peer_client::PeerClient, peer_message::Kind,
};
use mpc_core::binding::PROTOCOL_VERSION;
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
    let hello =
        Hello { protocol_version: version, software: "test".to_owned(), role: role.to_owned() };
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
        Status::Down(why) => why,
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
            PeerMessage { kind: Some(Kind::Heartbeat(Heartbeat {})) },
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
            tx.send(PeerMessage { kind: Some(Kind::Heartbeat(Heartbeat {})) }).await.unwrap();
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
