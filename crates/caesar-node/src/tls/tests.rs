use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring,
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::Pki;

/// An accept loop of `platform` that accepts `bank` as the peer and `ops` as a client.
struct Listening {
    address: SocketAddr,
    connections: mpsc::Receiver<io::Result<Connection>>,
    stop: CancellationToken,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(pki: &Pki, max_pending: usize) -> Listening {
    let pins = vec![
        (pki.pin("bank"), Identity::peer("bank")),
        (pki.pin("ops"), Identity::client("ops", ClientRole::Client)),
    ];
    let config = Arc::new(server_config(&pki.material("platform"), pins.clone()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (out, connections) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let limits = AcceptLimits { handshake_timeout: Duration::from_millis(700), max_pending };
    tokio::spawn(accept_loop(listener, config, Arc::new(pins), limits, out, stop.clone()));
    Listening { address, connections, stop }
}

/// Connects, writes a byte and reads: in TLS 1.3 a client hears of its rejection only then.
async fn attempt(address: SocketAddr, config: ClientConfig) -> io::Result<usize> {
    let socket = TcpStream::connect(address).await?;
    let name = "caesar.invalid".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    stream.write_all(b"x").await?;
    let mut byte = [0];
    match timeout(Duration::from_millis(1500), stream.read(&mut byte)).await {
        // Nobody rejected us and nobody answered: connected.
        Err(_) => Ok(0),
        Ok(read) => match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        },
    }
}

async fn nobody_came(listening: &mut Listening) {
    let came = timeout(Duration::from_millis(300), listening.connections.recv()).await;
    assert!(came.is_err(), "a connection was accepted that must not be");
}

#[tokio::test]
async fn pinned_certificates_connect_with_their_identity() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    for (name, expected) in [("bank", "peer `bank`"), ("ops", "client `ops`")] {
        let config = client_config(&pki.material(name), pki.pin("platform")).unwrap();
        let address = listening.address;
        let client = tokio::spawn(async move { attempt(address, config).await });
        let accepted = timeout(Duration::from_secs(5), listening.connections.recv()).await;
        let connection = accepted.unwrap().unwrap().unwrap();
        let identity = tonic::transport::server::Connected::connect_info(&connection);
        assert_eq!(identity.to_string(), expected);
        assert_eq!(client.await.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn an_unpinned_client_certificate_is_refused() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    let config = client_config(&pki.material("stranger"), pki.pin("platform")).unwrap();
    attempt(listening.address, config).await.expect_err("the stranger must be refused");
    nobody_came(&mut listening).await;
}

#[tokio::test]
async fn an_unpinned_server_certificate_is_refused() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    let config = client_config(&pki.material("bank"), pki.pin("stranger")).unwrap();
    let error = attempt(listening.address, config).await.expect_err("must not trust it");
    assert!(error.to_string().contains("certificate"), "{error}");
    nobody_came(&mut listening).await;
}

/// The verifiers themselves, without the accept loop's own look at the certificate behind them.
#[tokio::test]
async fn the_handshake_itself_needs_a_pinned_certificate() {
    let pki = Pki::new();
    let with = |name| client_config(&pki.material(name), pki.pin("platform")).unwrap();
    let cases = [
        ("bank", with("bank"), true),
        ("stranger", with("stranger"), false),
        ("none", base(&pki, &TLS13), false),
    ];
    for (name, client, accepted) in cases {
        let pins = vec![(pki.pin("bank"), Identity::peer("bank"))];
        let server = Arc::new(server_config(&pki.material("platform"), pins).unwrap());
        let (near, far) = tokio::io::duplex(16 * 1024);
        let domain = "caesar.invalid".try_into().unwrap();
        let (served, _client) = tokio::join!(
            tokio_rustls::TlsAcceptor::from(server).accept(far),
            TlsConnector::from(Arc::new(client)).connect(domain, near),
        );
        assert_eq!(served.is_ok(), accepted, "{name}");
    }
}

/// Our own pins for the server side of a hand-made client.
fn base(pki: &Pki, version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    // Taken from a configuration whose server pin is right, then changed by the caller.
    let pinned = client_config(&pki.material("bank"), pki.pin("platform")).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    config.alpn_protocols = pinned.alpn_protocols;
    config
}

/// Trusts everybody, so that a failure is the server's refusal.
#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Presents a chosen certificate with a chosen key.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

fn presents(certificate: &Material, key: &Material) -> Arc<Presents> {
    let key = ring::sign::any_supported_type(&key.key()).unwrap();
    Arc::new(Presents(Arc::new(CertifiedKey::new(certificate.chain(), key))))
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    attempt(listening.address, base(&pki, &TLS13)).await.expect_err("a certificate is mandatory");
    nobody_came(&mut listening).await;
}

/// A certificate is public; only its key proves anything.
#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_refused() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    let mut config = base(&pki, &TLS13);
    config.client_auth_cert_resolver = presents(&pki.material("bank"), &pki.material("stranger"));
    attempt(listening.address, config).await.expect_err("the signature is another key's");
    nobody_came(&mut listening).await;
}

#[tokio::test]
async fn tls_1_2_is_refused_even_with_a_pinned_certificate() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    for (version, accepted) in [(&TLS13, true), (&TLS12, false)] {
        let mut config = base(&pki, version);
        config.client_auth_cert_resolver = presents(&pki.material("bank"), &pki.material("bank"));
        let result = attempt(listening.address, config).await;
        assert_eq!(result.is_ok(), accepted, "{version:?}: {result:?}");
        if accepted {
            listening.connections.recv().await.unwrap().unwrap();
        }
    }
    nobody_came(&mut listening).await;
}

#[tokio::test]
async fn plain_text_is_closed_and_does_not_disturb_others() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 8).await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 64]]
    {
        let mut socket = TcpStream::connect(listening.address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(2), socket.read_to_end(&mut rest)).await;
        // A TLS alert may come back, then the end; a reset is an end as well.
        assert!(closed.is_ok(), "not closed after {garbage:?}");
        assert!(rest.len() <= 7, "something other than an alert was sent");
    }
    nobody_came(&mut listening).await;
    let config = client_config(&pki.material("bank"), pki.pin("platform")).unwrap();
    let address = listening.address;
    tokio::spawn(async move { attempt(address, config).await });
    timeout(Duration::from_secs(5), listening.connections.recv()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn half_open_handshakes_are_few_and_short() {
    let pki = Pki::new();
    let mut listening = listen(&pki, 2).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(listening.address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The third is closed at once.
    let mut third = TcpStream::connect(listening.address).await.unwrap();
    let mut byte = [0];
    let started = Instant::now();
    let read = timeout(Duration::from_millis(500), third.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(started.elapsed() < Duration::from_millis(400));
    // The silent ones are closed at their deadline, and then there is room again.
    for socket in &mut silent {
        let read = timeout(Duration::from_secs(2), socket.read(&mut byte)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let config = client_config(&pki.material("bank"), pki.pin("platform")).unwrap();
    let address = listening.address;
    tokio::spawn(async move { attempt(address, config).await });
    timeout(Duration::from_secs(5), listening.connections.recv()).await.unwrap().unwrap().unwrap();
}

#[test]
fn keygen_overwrites_nothing_and_refuses_paths_as_names() {
    let folder = tempfile::tempdir().unwrap();
    let made = keygen(folder.path(), "bank", &["bank.example".to_owned()]).unwrap();
    assert_eq!(made.fingerprint, Fingerprint::of_pem_file(&made.certificate).unwrap());
    let before = std::fs::read(&made.key).unwrap();
    assert!(matches!(keygen(folder.path(), "bank", &[]), Err(KeygenError::Write { .. })));
    assert_eq!(std::fs::read(&made.key).unwrap(), before);
    for name in ["", "../bank", "a/b", ".bank", "bänk"] {
        assert!(matches!(keygen(folder.path(), name, &[]), Err(KeygenError::Name)), "{name}");
    }
}

#[test]
fn debug_output_has_no_key() {
    let pki = Pki::new();
    let text = format!("{:?}", pki.material("bank"));
    assert!(text.contains("redacted") && !text.to_lowercase().contains("private"), "{text}");
}
