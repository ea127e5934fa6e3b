//! One established stream: greeting, heartbeats, liveness, delivery. The same code on both sides.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use caesar_proto::v1::{Heartbeat, Hello, PeerMessage, peer_message::Kind};
use mpc_core::binding::PROTOCOL_VERSION;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    Instance,
    hub::{Hub, message},
};
use crate::error::{Failure, Side, code};

/// Control messages that may wait.
const CONTROL_QUEUE: usize = 256;
/// Frames that may wait, each up to 1 MiB. They are shared with the outboxes, which bound them.
const BULK_QUEUE: usize = 4;

/// Tells the sessions of a process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u64);

/// The sending half of a session. Control messages overtake frames.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which session this is.
    pub id: SessionId,
    /// Small messages: all but frames. An error ends the stream.
    pub control: mpsc::Sender<Result<PeerMessage, Status>>,
    /// Frames of attempts.
    pub(super) bulk: mpsc::Sender<PeerMessage>,
}

impl Outgoing {
    /// A new session's sending half and the stream that empties it.
    pub(super) fn new() -> (Self, OutStream) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (control, control_rx) = mpsc::channel(CONTROL_QUEUE);
        let (bulk, bulk_rx) = mpsc::channel(BULK_QUEUE);
        let id = SessionId(NEXT.fetch_add(1, Ordering::Relaxed));
        (Self { id, control, bulk }, OutStream { control: control_rx, bulk: bulk_rx })
    }
}

/// What leaves on the stream.
#[derive(Debug)]
pub(super) struct OutStream {
    control: mpsc::Receiver<Result<PeerMessage, Status>>,
    bulk: mpsc::Receiver<PeerMessage>,
}

impl Stream for OutStream {
    type Item = Result<PeerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.control.poll_recv(cx) {
            // Every control sender is gone: the session is over, waiting frames are void.
            Poll::Ready(item) => Poll::Ready(item),
            Poll::Pending => match self.bulk.poll_recv(cx) {
                Poll::Ready(Some(frame)) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            },
        }
    }
}

/// Runs a session to its end and says why it ended.
///
/// Liveness: some message must arrive within the peer time-out, heartbeats included. Reading never
/// waits for an engine, so silence is the peer's.
pub(super) async fn drive<S>(
    hub: &Arc<Hub>,
    mut inbound: S,
    outgoing: Outgoing,
    stop: CancellationToken,
) -> Ended
where
    S: Stream<Item = Result<PeerMessage, Status>> + Unpin,
{
    let mut greeted = false;
    let why = match greet(hub, &mut inbound, &outgoing).await {
        Err(refusal) => {
            // Told to the dialling side as the status of the call, so that both logs say why.
            let status = Status::failed_precondition(refusal.message.clone());
            let _ = outgoing.control.try_send(Err(status));
            refusal
        }
        Ok(greeting) => {
            tracing::info!(peer = hub.peer, software = greeting.software, "peer connected");
            greeted = true;
            hub.up(outgoing.clone(), greeting.instance, greeting.window).await;
            let sending = stop.child_token();
            tokio::spawn(beat(hub.clone(), outgoing.clone(), sending.clone()));
            tokio::spawn(pump(hub.clone(), outgoing.clone(), sending.clone()));
            let why = receive(hub, &mut inbound, &outgoing, &stop).await;
            sending.cancel();
            why
        }
    };
    hub.down(&outgoing, &why);
    Ended { why, greeted }
}

/// How a session ended.
pub(super) struct Ended {
    /// Why.
    pub(super) why: Failure,
    /// Whether the peer had greeted before.
    pub(super) greeted: bool,
}

/// What a peer says of itself.
struct Greeting {
    software: String,
    instance: Instance,
    window: usize,
}

async fn greet<S>(hub: &Hub, inbound: &mut S, outgoing: &Outgoing) -> Result<Greeting, Failure>
where
    S: Stream<Item = Result<PeerMessage, Status>> + Unpin,
{
    let hello = Hello {
        protocol_version: PROTOCOL_VERSION,
        software: concat!("caesar-node ", env!("CARGO_PKG_VERSION")).to_owned(),
        role: hub.role.to_string(),
        instance: hub.instance.as_bytes().to_vec(),
        window: hub.limits.max_message_bytes() as u64,
    };
    outgoing
        .control
        .send(Ok(message(Kind::Hello(hello))))
        .await
        .map_err(|_| hub.lost("the connection ended"))?;
    let first = timeout(hub.limits.handshake_timeout(), inbound.next())
        .await
        .map_err(|_| hub.lost("it did not greet in time"))?;
    let theirs = match first {
        Some(Ok(PeerMessage { kind: Some(Kind::Hello(hello)) })) => hello,
        Some(Ok(_)) => {
            return Err(Failure::new(
                code::PEER_PROTOCOL,
                hub.role.other().side(),
                format!("{} did not begin with a greeting", hub.describe()),
                "run the same release on both sides",
            ));
        }
        Some(Err(status)) => return Err(refused_by_peer(hub, &status)),
        None => return Err(hub.lost("it closed the stream before greeting")),
    };
    if theirs.protocol_version != PROTOCOL_VERSION {
        return Err(Failure::new(
            code::PEER_VERSION,
            Side::Both,
            format!(
                "{} speaks protocol version {}, {} speaks {PROTOCOL_VERSION}",
                hub.describe(),
                theirs.protocol_version,
                hub.role,
            ),
            "run the same release on both sides",
        ));
    }
    if theirs.role != hub.role.other().to_string() {
        return Err(Failure::new(
            code::PEER_PROTOCOL,
            Side::Both,
            format!("both nodes have the role {}", hub.role),
            "one node must have role = \"A\" (features), the other role = \"B\" (labels)",
        ));
    }
    let Some(instance) = Instance::from_slice(&theirs.instance) else {
        return Err(Failure::new(
            code::PEER_PROTOCOL,
            hub.role.other().side(),
            format!("the greeting of {} is not complete", hub.describe()),
            "run the same release on both sides",
        ));
    };
    let software = theirs.software.chars().filter(|c| !c.is_control()).take(64).collect();
    let window = usize::try_from(theirs.window).unwrap_or(usize::MAX);
    Ok(Greeting { software, instance, window })
}

/// The peer ended the call with a status before or after the greeting.
pub(super) fn refused_by_peer(hub: &Hub, status: &Status) -> Failure {
    let text = match std::error::Error::source(status) {
        Some(source) if crate::error::is_cut(source) => "the connection was cut".to_owned(),
        Some(source) => format!("{}: {}", status.message(), crate::error::chain(source)),
        None => status.message().to_owned(),
    };
    hub.lost(&text).sanitised()
}

async fn receive<S>(
    hub: &Arc<Hub>,
    inbound: &mut S,
    outgoing: &Outgoing,
    stop: &CancellationToken,
) -> Failure
where
    S: Stream<Item = Result<PeerMessage, Status>> + Unpin,
{
    let silence = hub.limits.peer_timeout();
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return hub.lost("the connection was replaced or closed here"),
            received = timeout(silence, inbound.next()) => received,
        };
        let message = match received {
            Err(_) => return hub.lost(&format!("it was silent for {} s", silence.as_secs())),
            Ok(None) => return hub.lost("it closed the connection"),
            Ok(Some(Err(status))) => return refused_by_peer(hub, &status),
            Ok(Some(Ok(message))) => message,
        };
        let size = message.encoded_len();
        let Some(kind) = message.kind else { continue };
        tokio::select! {
            () = hub.deliver(outgoing.id, kind, size) => {}
            () = outgoing.control.closed() => return hub.lost("the connection broke"),
            () = stop.cancelled() => return hub.lost("the connection was replaced or closed here"),
        }
    }
}

/// Says regularly that this node is there, and how far its engines are.
async fn beat(hub: Arc<Hub>, outgoing: Outgoing, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(hub.limits.heartbeat());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        hub.acknowledge_all();
        // When the queue is full there is traffic enough.
        let heartbeat = Heartbeat { stamp: hub.clock(), echo: 0 };
        let sent = outgoing.control.try_send(Ok(message(Kind::Heartbeat(heartbeat))));
        if let Err(mpsc::error::TrySendError::Closed(_)) = sent {
            return;
        }
    }
}

/// Moves frames from the outboxes to the connection, as fast as that takes them.
async fn pump(hub: Arc<Hub>, outgoing: Outgoing, stop: CancellationToken) {
    let mut work = hub.work();
    loop {
        work.mark_unchanged();
        while let Some(frame) = hub.next_frame(outgoing.id) {
            tokio::select! {
                () = stop.cancelled() => return,
                sent = outgoing.bulk.send(frame) => if sent.is_err() { return },
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = work.changed() => if changed.is_err() { return },
        }
    }
}
