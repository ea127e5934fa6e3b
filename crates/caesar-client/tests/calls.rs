//! Every call against a node in this process, and every way a connection can be wrong.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use caesar_client::{Client, ConnectionFault, Error, JobId, JobState, Refusal, Side};
use common::{FakeNode, Scripted, config, identity, spec};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

async fn connected() -> (FakeNode, Client) {
    let (server, client) = (identity(), identity());
    let node = FakeNode::start(&server, &server, &client).await;
    let client = Client::connect(config(node.address, &client, &server)).await.unwrap();
    (node, client)
}

#[tokio::test]
async fn a_job_goes_there_and_its_updates_and_report_come_back() {
    let (_node, client) = connected().await;
    let job = client.submit(&spec("mine")).await.unwrap();
    assert_eq!((job.spec, job.state), (spec("mine"), JobState::Queued));

    let mut watch = client.watch(&job.id).await.unwrap();
    let mut states = Vec::new();
    while let Some(job) = watch.next().await.unwrap() {
        states.push(job.state);
    }
    assert_eq!(states, [JobState::Running, JobState::Succeeded]);

    let report = client.result(&job.id).await.unwrap();
    assert_eq!((report.rows_a, report.ks_joint), (7, 0.5));
    assert_eq!(client.list().await.unwrap().len(), 2);
    assert_eq!(client.cancel(&job.id).await.unwrap().state, JobState::Cancelled);
}

#[tokio::test]
async fn a_failed_job_is_an_answer_and_not_an_error() {
    let (_node, client) = connected().await;
    let job = client.wait(&id("bad")).await.unwrap();
    let failure = job.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.side), ("peer.lost", Side::A));
    assert_eq!(failure.step, "forward");
}

#[tokio::test]
async fn refusals_keep_their_kind() {
    let (_node, client) = connected().await;
    for (job, code) in [
        ("nobody", "node.not_found"),
        ("secret", "node.permission_denied"),
        ("broken", "node.internal"),
        ("newer", "node.answer"),
    ] {
        assert_eq!(client.get(&id(job)).await.unwrap_err().code(), code, "{job}");
    }
    assert_eq!(client.result(&id("running")).await.unwrap_err().code(), "node.not_ready");
    let error = client.submit_as("used", &spec("other")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { refusal: Refusal::Conflict, .. }), "{error:?}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_an_error_at_the_deadline() {
    let (_node, client) = connected().await;
    let start = Instant::now();
    assert_eq!(client.get(&id("slow")).await.unwrap_err().code(), "connection.deadline");
    let mut watch = client.watch(&id("stuck")).await.unwrap();
    assert!(watch.next().await.unwrap().is_some());
    assert_eq!(watch.next().await.unwrap_err().code(), "connection.deadline");
    assert!(watch.next().await.unwrap().is_none(), "an error ends the stream");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn another_server_certificate_is_refused() {
    let (server, client, impostor) = (identity(), identity(), identity());
    let node = FakeNode::start(&impostor, &impostor, &client).await;
    let error = Client::connect(config(node.address, &client, &server)).await.unwrap_err();
    let Error::Connection {
        fault: ConnectionFault::OtherServerCertificate { found, pinned }, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_ne!(found, pinned);
    assert_eq!((error.code(), error.side()), ("connection.other_certificate", Side::Client));
}

/// The pinned certificate is public: showing it must not be enough.
#[tokio::test]
async fn the_pinned_certificate_without_its_key_is_refused() {
    let (server, client, impostor) = (identity(), identity(), identity());
    let node = FakeNode::start(&server, &impostor, &client).await;
    let error = Client::connect(config(node.address, &client, &server)).await.unwrap_err();
    assert_eq!(error.code(), "connection.handshake", "{error}");
}

#[tokio::test]
async fn a_client_the_node_does_not_list_is_told_so() {
    let (server, listed, unlisted) = (identity(), identity(), identity());
    let node = FakeNode::start(&server, &server, &listed).await;
    let error = match Client::connect(config(node.address, &unlisted, &server)).await {
        Ok(client) => client.list().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.code(), "connection.certificate_refused", "{error}");
    assert_eq!(error.side(), Side::B);
}

#[tokio::test]
async fn a_certificate_with_the_key_of_another_is_a_mistake_of_the_client() {
    let (server, client, other) = (identity(), identity(), identity());
    let (certificate, key) = (client.cert.pem(), other.signing_key.serialize_pem());
    let pinned = server.cert.pem();
    let config = caesar_client::ClientConfig::from_pem(
        "127.0.0.1:9",
        certificate.as_bytes(),
        key.as_bytes(),
        pinned.as_bytes(),
    );
    let error = Client::connect(config.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "config.pem", "{error}");
}

#[tokio::test]
async fn nobody_plain_text_and_silence_are_told_apart_and_end() {
    let (server, client) = (identity(), identity());

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = Client::connect(config(address, &client, &server)).await.unwrap_err();
    assert_eq!(error.code(), "connection.unreachable");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let talk = tokio::spawn(async move {
        let (mut tcp, _) = plain.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tcp
    });
    let error = Client::connect(config(address, &client, &server)).await.unwrap_err();
    assert_eq!(error.code(), "connection.handshake", "{error}");
    drop(talk.await.unwrap());

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let start = Instant::now();
    let error = Client::connect(config(address, &client, &server)).await.unwrap_err();
    assert_eq!(error.code(), "connection.unreachable");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_node_that_goes_away_ends_the_stream_and_following_survives_its_return() {
    let (server, identity) = (identity(), identity());
    let node = FakeNode::start(&server, &server, &identity).await;
    let address = node.address;
    let client = Client::connect(config(address, &identity, &server)).await.unwrap();
    let mut watch = client.watch(&id("stuck")).await.unwrap();
    assert!(watch.next().await.unwrap().is_some());

    let mut seen = Vec::new();
    let stuck = id("stuck");
    let follow = client.follow(&stuck, |job| seen.push(job.state));
    let restart = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(node);
        let error = watch.next().await.unwrap_err();
        assert_eq!((error.code(), error.side()), ("connection.lost", Side::B), "{error}");
        let script = Scripted { restarted: true };
        FakeNode::start_at(address, &server, &server, &identity, script).await
    };
    let (job, node) = tokio::join!(follow, restart);
    assert_eq!(job.unwrap().state, JobState::Succeeded);
    assert_eq!(seen.first(), Some(&JobState::Running));
    drop(node);

    let start = Instant::now();
    let error = client.wait(&stuck).await.unwrap_err();
    assert_eq!(error.code(), "connection.unreachable", "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
