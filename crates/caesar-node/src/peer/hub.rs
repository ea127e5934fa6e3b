//! What the rest of the node knows of the peer: whether it is there, and the attempts under way.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caesar_proto::v1::{
    Accept, Frame, Interrupt, Offer, Outcome, PeerMessage, Standing, peer_message::Kind,
};
use prost::Message as _;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Instance,
    route::{Entry, Route},
    session::{Outgoing, SessionId},
};
use crate::{
    config::{Limits, Role},
    error::{Failure, code},
    job::{Cause, Control, JobId, Live},
    wire,
};

/// Whether the peer is there.
#[derive(Clone, Debug)]
pub enum Status {
    /// Not connected.
    Down {
        /// Why.
        why: Failure,
        /// Since when.
        since: Instant,
    },
    /// Connected, greeted, and of our protocol version.
    Up(Outgoing),
}

/// What the peer says about jobs, in the order in which it says it.
#[derive(Debug)]
pub enum Notice {
    /// A connection was established.
    Connected,
    /// B offers an attempt.
    Offer(Offer),
    /// How a job stands at the peer.
    Standing(Standing),
    /// An attempt has ended at the peer, its job has not.
    Interrupt(Interrupt),
    /// The peer believes in an attempt that is not under way here.
    Stray {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
    },
}

/// The state of the channel and the attempts that use it.
#[derive(Debug)]
pub struct Hub {
    /// Name of the peer in the configuration.
    pub peer: String,
    /// Our own role.
    pub role: Role,
    /// Bounds and time-outs.
    pub limits: Limits,
    /// Identifies this process to the peer.
    pub(super) instance: Instance,
    started: Instant,
    status: watch::Sender<Status>,
    routes: Mutex<Routes>,
    pub(super) notices: mpsc::Sender<Notice>,
    /// Changes when a session may have frames to send.
    pub(super) work: watch::Sender<()>,
    /// Ends the session that is current; replaced by each new session.
    current: Mutex<CancellationToken>,
}

#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) entries: BTreeMap<JobId, Entry>,
    /// Whose frame was sent last: the attempts take turns.
    last: Option<JobId>,
    /// The peer's process, as far as it is known.
    peer: Option<Instance>,
    /// How far the peer lets us send ahead.
    window: usize,
    /// The shortest round trip of the current session.
    pub(super) round_trip: Option<Duration>,
}

impl Hub {
    /// A hub without a connection.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn new(
        peer: String,
        role: Role,
        limits: Limits,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Arc<Self>, Failure> {
        let why = Failure::new(
            code::PEER_UNREACHABLE,
            role.other().side(),
            format!("{} has not connected since this node started", describe(&peer, role)),
            "check that both nodes run and that exactly one has peer.connect",
        );
        Ok(Arc::new(Self {
            peer,
            role,
            limits,
            instance: Instance::random().map_err(|_| Failure::bug("random numbers"))?,
            started: Instant::now(),
            status: watch::Sender::new(Status::Down { why, since: Instant::now() }),
            routes: Mutex::default(),
            notices,
            work: watch::Sender::new(()),
            current: Mutex::default(),
        }))
    }

    pub(super) fn routes(&self) -> MutexGuard<'_, Routes> {
        // A panic cannot leave the map half changed.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// "peer `bank` (B)".
    pub fn describe(&self) -> String {
        describe(&self.peer, self.role)
    }

    /// The connection to the peer ended while something depended on it.
    pub fn lost(&self, detail: &str) -> Failure {
        Failure::new(
            code::PEER_LOST,
            self.role.other().side(),
            format!("{} was lost: {detail}", self.describe()),
            "check that its node runs and the network between the nodes, then submit again",
        )
    }

    /// The peer is connected but did not deliver.
    pub fn timed_out(&self, step: &str, limit: Duration) -> Failure {
        Failure::new(
            code::PEER_TIMEOUT,
            self.role.other().side(),
            format!("{} sent nothing for {} s in step {step}", self.describe(), limit.as_secs()),
            "see the peer's log; limits.step_timeout_seconds sets the patience",
        )
        .in_step(step)
    }

    /// The peer's frames or counts are not what the protocol says.
    pub fn bad_message(&self, detail: &str) -> Failure {
        Failure::new(
            code::PEER_BAD_MESSAGE,
            self.role.other().side(),
            format!("{} sent frames out of order: {detail}", self.describe()),
            "run the same release on both sides; if both do, treat the peer as faulty",
        )
    }

    /// Waits until the peer is there.
    ///
    /// # Errors
    /// `peer.unreachable` or what keeps the nodes apart, after `limit`: why it is not.
    pub async fn wait_up(&self, limit: Duration) -> Result<(), Failure> {
        if timeout(limit, self.until_up()).await.is_ok() {
            return Ok(());
        }
        match self.status.borrow().clone() {
            Status::Up(_) => Ok(()),
            // Nothing is under way that the end of the last connection could have broken.
            Status::Down { why, .. } if why.code == code::PEER_LOST => Err(Failure::new(
                code::PEER_UNREACHABLE,
                why.side,
                format!("no connection for {} s: {}", limit.as_secs(), why.message),
                "check that its node runs and the network between the nodes, then submit again",
            )),
            Status::Down { why, .. } => Err(why),
        }
    }

    /// Ends after `limit` of time in which the peer was connected: a step's deadline does not count
    /// the time of a cut, which has its own.
    pub async fn connected_for(&self, limit: Duration) {
        let mut left = limit;
        loop {
            self.until_up().await;
            let since = Instant::now();
            tokio::select! {
                () = sleep(left) => return,
                () = self.until_down() => left = left.saturating_sub(since.elapsed()),
            }
        }
    }

    /// Waits for a connection.
    pub async fn until_up(&self) {
        self.until(|status| matches!(status, Status::Up(_))).await;
    }

    /// Waits for the end of the connection.
    pub async fn until_down(&self) {
        self.until(|status| matches!(status, Status::Down { .. })).await;
    }

    async fn until(&self, wanted: impl FnMut(&Status) -> bool) {
        // Fails only without a sender, and that is ours.
        let _ = self.status.subscribe().wait_for(wanted).await;
    }

    /// Microseconds, never 0, for round trips.
    pub(super) fn clock(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// The shortest round trip to the peer on the current connection. Under load messages wait in
    /// queues; the shortest did not.
    pub fn round_trip(&self) -> Option<Duration> {
        self.routes().round_trip
    }

    /// The state of the channel now and its changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// A place for an attempt. At B `offer` is sent now and on each new connection until A accepts.
    ///
    /// # Errors
    /// A bug, when the job has a place already.
    pub fn open(
        self: &Arc<Self>,
        job: JobId,
        attempt: u32,
        control: Arc<Control>,
        live: Arc<Live>,
        offer: Option<Offer>,
    ) -> Result<Route, Failure> {
        let (frames_tx, frames) = mpsc::unbounded_channel();
        let (accepted_tx, accepted) = oneshot::channel();
        let room = Arc::new(Notify::new());
        if let Some(offer) = &offer {
            live.count_sent(message(Kind::Offer(offer.clone())).encoded_len());
        }
        let entry = Entry::new(attempt, control, live, offer, frames_tx, accepted_tx, room.clone());
        let mut routes = self.routes();
        if routes.entries.contains_key(&job) {
            return Err(Failure::bug("peer::hub::open"));
        }
        if let Some(offer) = &entry.offer {
            self.tell(Kind::Offer(offer.clone()));
        }
        routes.entries.insert(job, entry);
        drop(routes);
        Ok(Route::new(self.clone(), job, attempt, frames, accepted, room))
    }

    pub(super) fn close_route(&self, job: JobId, attempt: u32) {
        let mut routes = self.routes();
        if routes.entries.get(&job).is_some_and(|entry| entry.attempt == attempt) {
            routes.entries.remove(&job);
        }
    }

    /// A: this node takes part in the attempt, or says so again.
    pub fn accept(&self, job: JobId, attempt: u32) {
        let mut routes = self.routes();
        let Some(entry) = find(&mut routes, job, attempt) else { return };
        let kind = Kind::Accept(Accept { job: job.as_bytes().to_vec(), attempt });
        if !entry.accepted {
            entry.accepted = true;
            entry.live.count_sent(message(kind.clone()).encoded_len());
        }
        self.tell(kind);
    }

    /// A: the offer came again. If this node has accepted it, it says so again.
    pub fn offered_again(&self, job: JobId, attempt: u32) {
        let accepted = find(&mut self.routes(), job, attempt).is_some_and(|entry| entry.accepted);
        if accepted {
            self.accept(job, attempt);
        }
    }

    /// Tells the peer how a job stands here, if the peer is there; otherwise the next connection
    /// does.
    pub fn standing(&self, job: JobId, outcome: Outcome, reason: Option<&Failure>) {
        self.tell(Kind::Standing(Standing {
            job: job.as_bytes().to_vec(),
            outcome: outcome.into(),
            reason: reason.map(wire::reason),
        }));
    }

    /// Tells the peer, if it is there, that an attempt has ended here and its job has not.
    pub fn interrupt(&self, job: JobId, attempt: u32, reason: &Failure) {
        self.tell(Kind::Interrupt(Interrupt {
            job: job.as_bytes().to_vec(),
            attempt,
            reason: Some(wire::reason(reason)),
        }));
    }

    /// Sends a control message if the peer is there. Never waits.
    pub(super) fn tell(&self, kind: Kind) {
        let Status::Up(outgoing) = self.status.borrow().clone() else { return };
        let sent = outgoing.control.try_send(Ok(message(kind)));
        if let Err(mpsc::error::TrySendError::Full(_)) = sent {
            // The next connection says everything again.
            tracing::warn!("the peer does not read; the connection is closed");
            self.close();
        }
    }

    /// Ends all attempts whose peer has been away for too long.
    pub fn expire(&self, failure: &Failure) {
        let routes = self.routes();
        let attempts = routes.entries.values().map(|e| (e.control.clone(), e.live.clone()));
        let attempts: Vec<_> = attempts.collect();
        drop(routes);
        for (control, live) in attempts {
            control.end(Cause::Lost(failure.clone().in_step(live.step())));
        }
    }

    /// Ends the current session, if any, after what was sent before, and says that this node stops.
    pub fn say_goodbye(&self) {
        let Status::Up(outgoing) = self.status.borrow().clone() else { return };
        let stopping = tonic::Status::unavailable(format!("the node at {} was stopped", self.role));
        // If the queue is full the peer finds out by the end of the connection.
        let _ = outgoing.control.try_send(Err(stopping));
    }

    /// Ends the current session, if any.
    pub fn close(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    /// A new session begins; the one before it, if any, is told to end.
    pub(super) fn supersede(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, token.clone()).cancel();
        token
    }

    /// The peer has greeted on a new session: everything that is under way goes on there, unless the
    /// peer's process is another one.
    pub(super) async fn up(&self, outgoing: Outgoing, instance: Instance, window: usize) {
        let mut ended = Vec::new();
        {
            let mut routes = self.routes();
            routes.round_trip = None;
            routes.window = window.min(self.limits.max_message_bytes());
            let restarted = routes.peer.replace(instance).is_some_and(|old| old != instance);
            self.status.send_replace(Status::Up(outgoing.clone()));
            for (job, entry) in &mut routes.entries {
                if restarted {
                    ended.push((entry.control.clone(), entry.live.step()));
                } else if entry.control.cause().is_none() {
                    let greeting = entry.greet(*job, outgoing.id);
                    let profile = entry.profile(*job).filter(|_| self.role == Role::A);
                    greeting.into_iter().chain(profile).for_each(|kind| self.tell(kind));
                }
            }
        }
        for (control, step) in ended {
            control.end(Cause::Interrupted(self.restarted().in_step(step)));
        }
        // Fails only when the node stops.
        let _ = self.notices.send(Notice::Connected).await;
    }

    fn restarted(&self) -> Failure {
        Failure::new(
            code::PEER_RESTARTED,
            self.role.other().side(),
            format!("{} was restarted", self.describe()),
            "nothing: the job goes on by itself",
        )
    }

    /// The session over `outgoing` ended, or never came about.
    pub(super) fn down(&self, outgoing: &Outgoing, why: &Failure) {
        let _order = self.routes();
        self.status.send_if_modified(|status| {
            let since = match status {
                Status::Up(current) if current.id != outgoing.id => return false,
                Status::Up(_) => Instant::now(),
                Status::Down { since, .. } => *since,
            };
            *status = Status::Down { why: why.clone(), since };
            true
        });
    }

    /// Waits until a session may have frames to send.
    pub(super) fn work(&self) -> watch::Receiver<()> {
        self.work.subscribe()
    }

    /// The next frame of the attempts that go on on this session, in turns.
    pub(super) fn next_frame(&self, session: SessionId) -> Option<PeerMessage> {
        let mut routes = self.routes();
        let last = routes.last;
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let turn: Vec<JobId> = routes
            .entries
            .range((after, Bound::Unbounded))
            .chain(last.into_iter().flat_map(|last| routes.entries.range(..=last)))
            .map(|(job, _)| *job)
            .collect();
        for job in turn {
            let Some(entry) = routes.entries.get_mut(&job) else { continue };
            if entry.linked != Some(session) {
                continue;
            }
            if let Some(frame) = entry.outbox.next() {
                if entry.outbox.is_sent() {
                    entry.room.notify_one();
                }
                routes.last = Some(job);
                return Some(message(Kind::Frame(frame)));
            }
        }
        None
    }

    /// Keeps a frame of ours until the peer's engine has taken it, or gives it back while there is no
    /// room. The number of bytes on the wire, or `None` when the attempt has left.
    pub(super) fn push(
        &self,
        job: JobId,
        attempt: u32,
        frame: Frame,
    ) -> Option<Result<usize, Frame>> {
        let mut routes = self.routes();
        let window = routes.window;
        let entry = find(&mut routes, job, attempt)?;
        let number = entry.outbox.end();
        let size = message(Kind::Frame(Frame { number, ..frame.clone() })).encoded_len();
        let pushed = entry.outbox.push(frame, window).map(|()| size);
        drop(routes);
        if pushed.is_ok() {
            self.work.send_replace(());
        }
        Some(pushed)
    }

    /// Whether everything that the attempt sent has been handed to a connection.
    pub(super) fn is_sent(&self, job: JobId, attempt: u32) -> bool {
        find(&mut self.routes(), job, attempt).is_none_or(|entry| entry.outbox.is_sent())
    }

    /// The engine took a frame of the peer.
    pub(super) fn taken(&self, job: JobId, attempt: u32, frame: &Frame) {
        let mut routes = self.routes();
        let Some(entry) = find(&mut routes, job, attempt) else { return };
        if entry.intake.take(frame) {
            self.tell(entry.ack(job));
        }
    }

    /// Lets the peer forget what our engines have taken.
    pub(super) fn acknowledge_all(&self) {
        for (job, entry) in &mut self.routes().entries {
            if entry.intake.owes() {
                self.tell(entry.ack(*job));
            }
        }
    }

    /// Whether this session is the one that is up.
    pub(super) fn is_current(&self, session: SessionId) -> bool {
        matches!(&*self.status.borrow(), Status::Up(current) if current.id == session)
    }
}

fn describe(peer: &str, role: Role) -> String {
    format!("peer `{peer}` ({})", role.other())
}

pub(super) fn message(kind: Kind) -> PeerMessage {
    PeerMessage { kind: Some(kind) }
}

pub(super) fn find(routes: &mut Routes, job: JobId, attempt: u32) -> Option<&mut Entry> {
    routes.entries.get_mut(&job).filter(|entry| entry.attempt == attempt)
}
