//! The outgoing side: TCP and TLS to the peer, for tonic's channel.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use thiserror::Error;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address does not resolve, nobody listens, or the way there is blocked.
    #[error("cannot connect to {address}: {source}")]
    Tcp {
        /// Where to.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The handshake failed: usually a pin on either side does not match.
    #[error("TLS handshake with {address} failed: {}", explain(.source))]
    Tls {
        /// Where to.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// No answer within the deadline.
    #[error("{address} did not answer in {seconds} s")]
    Timeout {
        /// Where to.
        address: String,
        /// The deadline.
        seconds: u64,
    },
}

/// Opens TLS connections to one address.
#[derive(Clone)]
pub struct Connector {
    address: String,
    config: Arc<ClientConfig>,
    deadline: Duration,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}

impl Connector {
    /// Connections to `address` (`HOST:PORT`) with an authenticated configuration.
    pub fn new(address: String, config: Arc<ClientConfig>, deadline: Duration) -> Self {
        Self { address, config, deadline }
    }

    /// One connection, after its handshake.
    ///
    /// # Errors
    /// See [`ConnectError`]. That the *server* refuses our certificate shows only at the first
    /// read, because a TLS 1.3 client ends its handshake first.
    pub async fn connect(&self) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectError> {
        let address = || self.address.clone();
        let end = Instant::now() + self.deadline;
        let expired =
            |_| ConnectError::Timeout { address: address(), seconds: self.deadline.as_secs() };
        let socket = timeout_at(end, TcpStream::connect(&self.address))
            .await
            .map_err(expired)?
            .and_then(|socket| socket.set_nodelay(true).map(|()| socket))
            .map_err(|source| ConnectError::Tcp { address: address(), source })?;
        // The pin decides; the name is required by the interface and is not sent.
        let name = ServerName::try_from("caesar.invalid").expect("a valid host name");
        let stream = timeout_at(end, TlsConnector::from(self.config.clone()).connect(name, socket))
            .await
            .map_err(expired)?
            .map_err(|source| ConnectError::Tls { address: address(), source })?;
        Ok(TokioIo::new(stream))
    }
}

fn explain(error: &io::Error) -> String {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            "the server's certificate is not the one pinned in [peer]".to_owned()
        }
        _ => error.to_string(),
    }
}
