//! Who may call what. A connection exists only for a pinned certificate; these interceptors check
//! that the certificate's role fits the service.

use tonic::{Request, Status, service::Interceptor};

use crate::{
    error::{Failure, Side, code},
    tls::{Identity, PeerIdentity},
    wire,
};

/// Lets the other node through.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerOnly;

/// Lets clients through.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientOnly;

impl Interceptor for PeerOnly {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        check(request, |identity| matches!(identity, Identity::Peer { .. }))
    }
}

impl Interceptor for ClientOnly {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        check(request, |identity| matches!(identity, Identity::Client { .. }))
    }
}

fn check(request: Request<()>, allowed: impl Fn(&Identity) -> bool) -> Result<Request<()>, Status> {
    // Absent only if the server were built without our accept loop: then nobody gets in.
    let identity = request.extensions().get::<PeerIdentity>();
    match identity {
        Some(identity) if allowed(identity) => Ok(request),
        Some(identity) => {
            tracing::warn!(%identity, "call refused: its certificate has another role");
            Err(wire::status(&Failure::new(
                code::ACCESS_DENIED,
                Side::Client,
                "this certificate has no role for this call",
                "the node's [peer] and [[clients]] give certificates their roles",
            )))
        }
        None => Err(Status::unauthenticated("no certificate")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ClientRole;

    fn request(identity: Option<Identity>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(identity) = identity {
            request.extensions_mut().insert::<PeerIdentity>(Arc::new(identity));
        }
        request
    }

    #[test]
    fn each_role_reaches_its_own_service_only() {
        let peer = || request(Some(Identity::peer("bank")));
        let client = || request(Some(Identity::client("ops", ClientRole::Client)));
        assert!(PeerOnly.call(peer()).is_ok());
        assert!(ClientOnly.call(client()).is_ok());
        assert_eq!(PeerOnly.call(client()).unwrap_err().code(), tonic::Code::PermissionDenied);
        assert_eq!(ClientOnly.call(peer()).unwrap_err().code(), tonic::Code::PermissionDenied);
        for refused in [PeerOnly.call(request(None)), ClientOnly.call(request(None))] {
            assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
        }
    }
}
