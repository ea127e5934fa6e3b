//! One running node: store, jobs, channel and server put together, and taken apart in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ServerParts, serve},
    checkpoint::{Checkpoints, KeyError, Keys},
    config::Config,
    job::{Engine, Manager, ManagerConfig},
    peer::{Hub, dial_loop},
    store::{Store, StoreError},
    tls::{AcceptLimits, Connector, accept_loop, client_config, server_config},
};

/// Messages of the peer about jobs that may wait.
const MAX_NOTICES: usize = 256;
/// Authenticated connections that may wait for the server.
const CONNECTION_QUEUE: usize = 64;
/// Time for last messages to leave.
const GRACE: Duration = Duration::from_millis(500);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The job store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate cannot be used.
    #[error("certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The key of checkpoints cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Anything else.
    #[error(transparent)]
    Failure(#[from] crate::error::Failure),
}

/// A node that runs until it is told to stop.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    manager: Arc<Manager>,
    hub: Arc<Hub>,
    dialler: CancellationToken,
    accepting: CancellationToken,
    serving: CancellationToken,
    server: JoinHandle<()>,
}

impl Node {
    /// Opens the store, binds the port, starts working.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config, engine: Arc<dyn Engine>) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let store = Store::open(&config.data_dir)?;
        let tls = Arc::new(server_config(&config.material, config.identities.clone())?);
        let to_peer = Arc::new(client_config(&config.material, config.peer.fingerprint)?);
        let address = config.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (notify, notices) = mpsc::channel(MAX_NOTICES);
        let hub = Hub::new(config.peer.name.clone(), config.role, config.limits.clone(), notify)?;
        let keys = &config.checkpoint_keys;
        let keys = Keys::load(keys.current.as_ref(), &keys.previous, &config.data_dir)?;
        let checkpoints = Checkpoints::new(&config.data_dir, keys, config.role);
        let parts =
            ManagerConfig { config: config.clone(), store, hub: hub.clone(), engine, checkpoints };
        let manager = Manager::start(parts, notices).await?;

        let (dialler, accepting, serving) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let limits = &config.limits;
        let accept = AcceptLimits {
            handshake_timeout: limits.handshake_timeout(),
            max_pending: limits.max_pending_handshakes,
        };
        let (connection_tx, connections) = mpsc::channel(CONNECTION_QUEUE);
        let identities = Arc::new(config.identities.clone());
        tokio::spawn(accept_loop(
            listener,
            tls,
            identities,
            accept,
            connection_tx,
            accepting.clone(),
        ));
        if let Some(peer) = &config.peer.connect {
            let connector = Connector::new(peer.clone(), to_peer, limits.handshake_timeout());
            let closing = manager.closing();
            tokio::spawn(dial_loop(hub.clone(), connector, closing, dialler.clone()));
        }
        let parts = ServerParts {
            manager: manager.clone(),
            hub: hub.clone(),
            connects: config.peer.connect.is_some(),
            limits: limits.clone(),
        };
        let stop = serving.clone();
        let server = tokio::spawn(async move {
            if let Err(error) = serve(parts, connections, stop).await {
                tracing::error!("the server ended: {}", crate::error::chain(error.as_ref()));
            }
        });
        let kernel = mpc_core::fastest_kernel();
        tracing::info!(%address, role = %config.role, kernel, "node started");
        Ok(Self { address, manager, hub, dialler, accepting, serving, server })
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The jobs of this node.
    pub fn manager(&self) -> Arc<Manager> {
        self.manager.clone()
    }

    /// The channel to the peer.
    pub fn hub(&self) -> Arc<Hub> {
        self.hub.clone()
    }

    /// Ends when the server ends by itself, which it does only on a fault.
    pub async fn failed(&mut self) {
        let _ = (&mut self.server).await;
    }

    /// Closes everything at once, as a crash would.
    #[cfg(test)]
    pub(crate) fn vanish(self) {
        self.accepting.cancel();
        self.dialler.cancel();
        self.server.abort();
        self.hub.close();
    }

    /// Takes no new connections, ends the attempts under way at both sides, lets that word leave, then
    /// closes everything. Their jobs wait in the queue.
    pub async fn stop(mut self) {
        self.accepting.cancel();
        self.manager.shut_down().await;
        tokio::time::sleep(GRACE).await;
        self.dialler.cancel();
        self.hub.close();
        self.serving.cancel();
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        tracing::info!("node stopped");
    }
}
