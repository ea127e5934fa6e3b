//! The listening side of the channel.

use std::{pin::Pin, sync::Arc};

use caesar_proto::v1::{PeerMessage, peer_server::Peer};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    hub::Hub,
    session::{Outgoing, drive},
};

/// `caesar.v1.Peer`. The interceptor in front of it has checked that the caller is the peer.
#[derive(Debug)]
pub struct PeerService {
    hub: Arc<Hub>,
    connects: bool,
}

impl PeerService {
    /// `connects`: this node has `peer.connect`, so nobody should call it.
    pub fn new(hub: Arc<Hub>, connects: bool) -> Self {
        Self { hub, connects }
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type ChannelStream = Pin<Box<dyn Stream<Item = Result<PeerMessage, Status>> + Send>>;

    async fn channel(
        &self,
        request: Request<Streaming<PeerMessage>>,
    ) -> Result<Response<Self::ChannelStream>, Status> {
        if self.connects {
            tracing::warn!("the peer connects to us and we to it; remove one peer.connect");
            return Err(Status::failed_precondition(
                "both nodes have peer.connect; remove it on one side",
            ));
        }
        let (outgoing, stream) = Outgoing::new();
        // A peer that comes back before we noticed its loss replaces its old session.
        let stop = self.hub.supersede();
        let hub = self.hub.clone();
        tokio::spawn(async move {
            let ended = drive(&hub, request.into_inner(), outgoing, stop).await;
            tracing::warn!("peer disconnected: {}", ended.why);
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
