//! The connecting side of the channel: for ever, with back-off, saying why.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::peer_client::PeerClient;
use rand::RngExt as _;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::{
    CONNECTION_WINDOW, HTTP2_FRAME, MAX_ENVELOPE_BYTES, STREAM_WINDOW,
    hub::Hub,
    session::{Ended, Outgoing, drive, refused_by_peer},
};
use crate::{
    error::{Failure, chain, code},
    tls::Connector,
};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Bound of the pauses, unless `limits.peer_timeout` is short.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A job waits `limits.peer_timeout` for the channel; at least so many dials fall into that time.
const DIALS_WHILE_WAITING: u32 = 3;
/// The same reason is logged again after this time.
const REPEAT_LOG: Duration = Duration::from_secs(60);

/// Keeps the channel connected until `closing`; `stop` ends the connection that there is then.
pub async fn dial_loop(
    hub: Arc<Hub>,
    connector: Connector,
    closing: CancellationToken,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    let longest = LONGEST_PAUSE.min(hub.limits.peer_timeout() / DIALS_WHILE_WAITING);
    let mut logged: Option<(Failure, Instant)> = None;
    loop {
        let Ended { why, greeted } = tokio::select! {
            () = stop.cancelled() => return,
            ended = connect_once(&hub, &connector) => ended,
        };
        if closing.is_cancelled() {
            return;
        }
        let news =
            logged.as_ref().is_none_or(|(last, when)| *last != why || when.elapsed() >= REPEAT_LOG);
        if news {
            tracing::warn!("no channel to the peer, will keep trying: {why}");
            logged = Some((why, Instant::now()));
        }
        // After a session that came about the peer can be expected back.
        pause = if greeted { FIRST_PAUSE } else { (pause * 2).min(longest) };
        // Jitter keeps many nodes that lost the same network from returning in step.
        let jittered = pause.mul_f64(rand::rng().random_range(0.75..=1.0));
        tokio::select! {
            () = closing.cancelled() => return,
            () = stop.cancelled() => return,
            () = tokio::time::sleep(jittered) => {}
        }
    }
}

/// One connection from dialling to its end, and why it ended.
async fn connect_once(hub: &Arc<Hub>, connector: &Connector) -> Ended {
    let (outgoing, stream) = Outgoing::new();
    let stop = hub.supersede();
    let limits = &hub.limits;
    let unreachable = |detail: &str| {
        Failure::new(
            code::PEER_UNREACHABLE,
            hub.role.other().side(),
            format!("{} cannot be reached: {detail}", hub.describe()),
            "check peer.connect, that the peer's node runs, and that each side pins the other",
        )
        .sanitised()
    };
    // The scheme is plain because TLS is our connector's business.
    let endpoint = Endpoint::from_static("http://caesar.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_keep_alive_interval(limits.heartbeat())
        .keep_alive_timeout(limits.peer_timeout())
        .keep_alive_while_idle(true);
    let connector = connector.clone();
    let dial = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move { connector.connect().await }
    });
    let channel = match endpoint.connect_with_connector(dial).await {
        Ok(channel) => channel,
        Err(error) => {
            let why = unreachable(&reason(&error));
            hub.down(&outgoing, &why);
            return Ended { why, greeted: false };
        }
    };
    let mut client = PeerClient::new(channel)
        .max_decoding_message_size(MAX_ENVELOPE_BYTES)
        .max_encoding_message_size(MAX_ENVELOPE_BYTES);
    let outbound = stream.map_while(Result::ok);
    let call = timeout(limits.handshake_timeout(), client.channel(outbound)).await;
    let inbound = match call {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => {
            let why = unreachable(&refused_by_peer(hub, &status).message);
            hub.down(&outgoing, &why);
            return Ended { why, greeted: false };
        }
        Err(_) => {
            let why = unreachable("it accepted the connection but does not answer");
            hub.down(&outgoing, &why);
            return Ended { why, greeted: false };
        }
    };
    drive(hub, inbound, outgoing, stop).await
}

/// Our connector's words, without tonic's wrapping.
fn reason(error: &tonic::transport::Error) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(known) = cause.downcast_ref::<crate::tls::ConnectError>() {
            return known.to_string();
        }
        source = cause.source();
    }
    chain(error)
}
