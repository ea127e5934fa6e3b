//! Who gets in: nobody without a certificate that the node's configuration lists.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use caesar_client::{Client, ClientConfig};
use caesar_e2e::{Pair, PairPlan, Party};
use common::{
    Good, node_binary,
    tls::{PREFACE, tls},
};
use rustls::{ClientConfig as TlsConfig, ClientConnection, StreamOwned};

/// Longest wait for a node to close a connection it does not want: at once, and not only at the
/// end of the 10 seconds that a handshake may take.
const LIMIT: Duration = Duration::from_secs(5);

fn dial(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    tcp
}

/// Whether the node answers an HTTP/2 preface on this TLS connection.
fn is_served(config: TlsConfig, address: SocketAddr) -> bool {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, dial(address));
    let mut answer = [0; 9];
    stream.write_all(PREFACE).is_ok() && stream.read_exact(&mut answer).is_ok()
}

/// Whether the node answers anything but a TLS alert before it closes the connection.
fn answers_plaintext(address: SocketAddr, request: &[u8]) -> bool {
    const ALERT: u8 = 21;
    let mut tcp = dial(address);
    tcp.write_all(request).unwrap();
    let mut answer = Vec::new();
    match tcp.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("the connection was not closed: {e}"),
    }
    answer.first().is_some_and(|kind| *kind != ALERT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_listed_certificates_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 100, 100);
    let plan = PairPlan::new(node_binary(), good.catalogue(Party::A), good.catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    let tls13 = &[&rustls::version::TLS13][..];

    for party in [Party::A, Party::B] {
        let address = pair.node(party).address();
        let tls = |identity| tls(pair.folder(), party, identity, tls13).unwrap();
        // The check itself works, or the next ones would prove nothing.
        assert!(is_served(tls(Some("client")), address), "{party:?}");
        assert!(!is_served(tls(None), address), "{party:?} serves without a certificate");
        assert!(!is_served(tls(Some("stranger")), address), "{party:?} serves a stranger");

        for request in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], PREFACE] {
            assert!(!answers_plaintext(address, request), "{party:?} answers plain text");
        }

        let config = ClientConfig::from_file(pair.stranger_file(party).unwrap()).unwrap();
        let error = match Client::connect(config).await {
            Ok(client) => client.list().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), "connection.certificate_refused", "{error}");

        // The peer's certificate is for the peer service; the job API is not for it.
        let config = with_identity_of(&pair, party, party.other().name());
        let error = Client::connect(config).await.unwrap().list().await.unwrap_err();
        assert_eq!(error.code(), "access.denied", "{error}");

        let client = pair.client(party).await.unwrap();
        assert!(client.list().await.unwrap().is_empty(), "{party:?} serves on");
    }
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_certificate_is_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::write(folder.path(), 100, 100);
    let plan = PairPlan::new(node_binary(), good.catalogue(Party::A), good.catalogue(Party::B));
    let pair = Pair::start(&plan).unwrap();
    // A's address with B's certificate pinned: two real nodes, mixed up.
    let pem = |name: &str| std::fs::read(pair.folder().join(name)).unwrap();
    let endpoint = pair.node(Party::A).address().to_string();
    let config = ClientConfig::from_pem(
        &endpoint,
        &pem("client.cert.pem"),
        &pem("client.key.pem"),
        &pem("bank.cert.pem"),
    );
    let error = Client::connect(config.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "connection.other_certificate", "{error}");
    pair.stop().unwrap();
}

fn with_identity_of(pair: &Pair, node: Party, identity: &str) -> ClientConfig {
    let pem = |name: String| std::fs::read(pair.folder().join(name)).unwrap();
    ClientConfig::from_pem(
        &pair.node(node).address().to_string(),
        &pem(format!("{identity}.cert.pem")),
        &pem(format!("{identity}.key.pem")),
        &pem(format!("{}.cert.pem", node.name())),
    )
    .unwrap()
}
