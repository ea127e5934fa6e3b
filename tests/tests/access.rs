//! Who gets in: nobody without a certificate that the node's configuration lists.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use caesar_client::{Client, ClientConfig};
use caesar_e2e::{Pair, PairPlan, Party};
use common::{Good, node_binary};
use rustls::{
    ClientConfig as TlsConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Longest wait for a node to close a connection it does not want: at once, and not only at the
/// end of the 10 seconds that a handshake may take.
const LIMIT: Duration = Duration::from_secs(5);

fn dial(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    tcp
}

fn read_pem(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(format!("{name}.cert.pem"))).unwrap()
}

/// A TLS client that trusts the node and shows `identity`'s certificate, or none.
fn tls(
    folder: &Path,
    node: Party,
    identity: Option<&str>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<TlsConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(read_pem(folder, node.name())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = TlsConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key.pem"))).unwrap();
            builder.with_client_auth_cert(vec![read_pem(folder, name)], key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Whether the node answers an HTTP/2 preface on this TLS connection.
fn is_served(config: TlsConfig, address: SocketAddr) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
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

        for request in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..],
        ] {
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
