//! The node's own accept loop. Nothing of a connection is parsed before its TLS handshake has
//! succeeded with a pinned certificate; half-open handshakes are few and short-lived.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{Fingerprint, Identity, rate::RateLimit};

/// Who is on the other end; every gRPC request carries it as an extension.
pub type PeerIdentity = Arc<Identity>;

/// Bounds on connections that have not authenticated themselves.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// From the accepted connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Handshakes at the same time; further connections are closed at once.
    pub max_pending: usize,
}

/// An authenticated connection.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    identity: PeerIdentity,
}

impl Connected for Connection {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.identity.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// Accepts until `stop`, handing authenticated connections to `out`.
pub async fn accept_loop(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    identities: Arc<Vec<(Fingerprint, Identity)>>,
    limits: AcceptLimits,
    out: mpsc::Sender<io::Result<Connection>>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let pending = Arc::new(Semaphore::new(limits.max_pending));
    let refused = Arc::new(RateLimit::new(Duration::from_secs(5)));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: wait instead of spinning.
                log_refused(&refused, None, &error.to_string());
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = pending.clone().try_acquire_owned() else {
            log_refused(&refused, Some(address), "too many handshakes under way");
            continue;
        };
        let (acceptor, identities, out, refused) =
            (acceptor.clone(), identities.clone(), out.clone(), refused.clone());
        tokio::spawn(async move {
            let result = authenticate(socket, &acceptor, &identities, limits).await;
            drop(permit);
            match result {
                // The receiver is gone only while the node stops.
                Ok(connection) => drop(out.send(Ok(connection)).await),
                Err(why) => log_refused(&refused, Some(address), &why),
            }
        });
    }
}

async fn authenticate(
    socket: TcpStream,
    acceptor: &TlsAcceptor,
    identities: &[(Fingerprint, Identity)],
    limits: AcceptLimits,
) -> Result<Connection, String> {
    // Small protocol messages must not wait for a full segment.
    socket.set_nodelay(true).map_err(|e| e.to_string())?;
    let stream = timeout(limits.handshake_timeout, acceptor.accept(socket))
        .await
        .map_err(|_| "the handshake did not end in time".to_owned())?
        .map_err(|e| explain(&e))?;
    let fingerprint = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(Fingerprint::of)
        .ok_or("no certificate")?;
    // The verifier accepted it already; here it only gets its name.
    let identity = identities
        .iter()
        .find(|(pin, _)| *pin == fingerprint)
        .map(|(_, identity)| Arc::new(identity.clone()))
        .ok_or("certificate is not pinned")?;
    tracing::debug!(%identity, "connection authenticated");
    Ok(Connection { stream, identity })
}

/// What a failed handshake means for the operator.
fn explain(error: &io::Error) -> String {
    use rustls::{CertificateError, Error, InvalidMessage};
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => "not TLS (plain text?)".to_owned(),
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            "its certificate is not pinned here; add it to [peer] or [[clients]]".to_owned()
        }
        Some(Error::NoCertificatesPresented) => "it presented no certificate".to_owned(),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}

fn log_refused(limit: &RateLimit, from: Option<SocketAddr>, why: &str) {
    if let Some(held_back) = limit.admit(Instant::now()) {
        let from = from.map(|a| a.to_string()).unwrap_or_default();
        tracing::warn!(from, held_back, "connection refused: {why}");
    }
}
