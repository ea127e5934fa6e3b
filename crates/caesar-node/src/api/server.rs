//! The server on the node's one port.

use std::{io, sync::Arc};

use caesar_proto::v1::{DESCRIPTORS, jobs_server::JobsServer, peer_server::PeerServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{service::interceptor::InterceptedService, transport::Server};

use super::{
    auth::{ClientOnly, PeerOnly},
    jobs::JobsService,
};
use crate::{
    config::Limits,
    job::Manager,
    peer::{CONNECTION_WINDOW, HTTP2_FRAME, Hub, MAX_ENVELOPE_BYTES, PeerService, STREAM_WINDOW},
    tls::Connection,
};

/// Largest request of a client.
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// Calls that one connection may have open.
const MAX_CALLS: u32 = 64;

/// What the server is made of.
#[derive(Debug)]
pub struct ServerParts {
    /// The jobs.
    pub manager: Arc<Manager>,
    /// The channel to the peer.
    pub hub: Arc<Hub>,
    /// Whether this node connects to the peer, instead of the peer to it.
    pub connects: bool,
    /// Time-outs.
    pub limits: Limits,
}

/// Serves authenticated connections until `stop`.
///
/// # Errors
/// The server's own.
pub async fn serve(
    parts: ServerParts,
    connections: mpsc::Receiver<io::Result<Connection>>,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<JobsServer<JobsService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let jobs = JobsServer::new(JobsService { manager: parts.manager })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let peer = PeerServer::new(PeerService::new(parts.hub, parts.connects))
        .max_decoding_message_size(MAX_ENVELOPE_BYTES)
        .max_encoding_message_size(MAX_ENVELOPE_BYTES);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .max_concurrent_streams(MAX_CALLS)
        .http2_keepalive_interval(Some(parts.limits.heartbeat()))
        .http2_keepalive_timeout(Some(parts.limits.peer_timeout()))
        .add_service(InterceptedService::new(jobs, ClientOnly))
        .add_service(InterceptedService::new(peer, PeerOnly))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), stop.cancelled_owned())
        .await?;
    Ok(())
}
