//! TLS 1.3 to one node whose certificate is pinned, and an honest account of why it failed.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{ConfigError, ConnectionFault, ServerPin};

/// Accepts exactly the certificate with this SHA-256, and only from a peer that proves with the
/// handshake signature that it has the key. Names and dates play no part: the pin is the identity.
#[derive(Debug)]
struct PinnedServer {
    pin: ServerPin,
    provider: Arc<CryptoProvider>,
}

/// What the verifier says when another certificate is shown.
#[derive(Debug)]
struct PinMismatch {
    found: ServerPin,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} is not the pinned one", self.found)
    }
}

impl std::error::Error for PinMismatch {}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = ServerPin::of(end_entity);
        if found == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            let mismatch = OtherError(Arc::new(PinMismatch { found }));
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(mismatch)))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // TLS 1.2 is not configured, so rustls never asks.
        Err(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Opens connections to one node and remembers why the last one failed: by the time a call fails,
/// the layers above have turned the cause into text.
#[derive(Clone)]
pub(crate) struct Connector {
    endpoint: Arc<str>,
    pin: ServerPin,
    tls: TlsConnector,
    limit: Duration,
    last_fault: Arc<Mutex<Option<ConnectionFault>>>,
}

impl Connector {
    pub(crate) fn new(
        endpoint: &str,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        pin: ServerPin,
        limit: Duration,
    ) -> Result<Self, ConfigError> {
        let unusable = |e: rustls::Error| ConfigError::Pem {
            what: "the client certificate with its key".to_owned(),
            detail: e.to_string(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(PinnedServer { pin, provider: provider.clone() });
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.enable_sni = false;
        // Each connection shows and checks both certificates anew.
        config.resumption = Resumption::disabled();
        Ok(Self {
            endpoint: endpoint.into(),
            pin,
            tls: TlsConnector::from(Arc::new(config)),
            limit,
            last_fault: Arc::default(),
        })
    }

    /// Why the last connection failed or broke, if it did.
    pub(crate) fn last_fault(&self) -> Option<ConnectionFault> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, fault: Option<ConnectionFault>) {
        *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Connects, with both handshakes done within the limit.
    pub(crate) async fn open(&self) -> io::Result<TokioIo<Observed>> {
        self.note(None);
        let opened = tokio::time::timeout(self.limit, self.handshakes()).await;
        let result = opened.unwrap_or_else(|_| {
            let detail = format!("no answer within {} s", self.limit.as_secs_f64());
            Err((ConnectionFault::Unreachable { detail }, io::ErrorKind::TimedOut.into()))
        });
        match result {
            Ok(stream) => {
                let observer = self.clone();
                Ok(TokioIo::new(Observed { stream, observer, heard: false }))
            }
            Err((fault, error)) => {
                self.note(Some(fault));
                Err(error)
            }
        }
    }

    async fn handshakes(&self) -> Result<TlsStream<TcpStream>, (ConnectionFault, io::Error)> {
        let unreachable = |e: io::Error| {
            let fault = ConnectionFault::Unreachable { detail: e.to_string() };
            (fault, e)
        };
        let tcp = TcpStream::connect(&*self.endpoint).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        // Only fills a field that rustls requires: no SNI is sent and the pin is the identity.
        let name = ServerName::try_from("caesar-node").expect("a valid DNS name");
        let tls = self.tls.connect(name, tcp).await;
        tls.map_err(|e| (self.handshake_fault(&e), e))
    }

    fn handshake_fault(&self, error: &io::Error) -> ConnectionFault {
        match tls_cause(error) {
            Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
                match other.0.downcast_ref::<PinMismatch>() {
                    Some(mismatch) => ConnectionFault::OtherServerCertificate {
                        found: mismatch.found.to_string(),
                        pinned: self.pin.to_string(),
                    },
                    None => ConnectionFault::Handshake { detail: error.to_string() },
                }
            }
            _ => refusal(error)
                .unwrap_or_else(|| ConnectionFault::Handshake { detail: error.to_string() }),
        }
    }
}

fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The alerts with which a server refuses a client's certificate.
fn refusal(error: &io::Error) -> Option<ConnectionFault> {
    use AlertDescription as Alert;
    match tls_cause(error)? {
        rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => Some(ConnectionFault::ClientCertificateRefused { detail: format!("{alert:?}") }),
        _ => None,
    }
}

/// A TLS stream that reports its faults to the connector.
pub(crate) struct Observed {
    stream: TlsStream<TcpStream>,
    observer: Connector,
    /// Whether the node has said anything after the handshake.
    heard: bool,
}

impl Observed {
    fn ended(&self, error: Option<&io::Error>) {
        // In TLS 1.3 a server judges the client's certificate after the client's handshake is done.
        // Its alert can be lost when the connection is reset behind it; a node that closes before
        // its first byte has done just that.
        let detail = error.map_or_else(|| "closed by the node".to_owned(), ToString::to_string);
        let fault = match error.and_then(refusal) {
            Some(fault) => fault,
            None if !self.heard => ConnectionFault::ClientCertificateRefused {
                detail: format!("{detail} right after the handshake"),
            },
            None => ConnectionFault::Lost { detail },
        };
        self.observer.note(Some(fault));
    }

    fn watch<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // A failed write only says that the connection is gone; the alert that says why is read.
        if let Poll::Ready(Err(error)) = &result
            && self.observer.last_fault().is_none()
        {
            self.ended(Some(error));
        }
        result
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.heard = true,
            Poll::Ready(Ok(())) => self.ended(None),
            Poll::Ready(Err(error)) => self.ended(Some(error)),
            Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
