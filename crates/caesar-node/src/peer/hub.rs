//! What the rest of the node knows of the peer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caesar_proto::v1::{Abort, Answer, Frame, Offer, PeerMessage, peer_message::Kind};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    inbox::{Inbox, InboxSender, inbox},
    session::Outgoing,
};
use crate::{
    config::{Limits, Role},
    error::{Failure, Side, code},
    job::{Cause, Control, JobId, Live},
    wire,
};

/// Whether the peer is there.
#[derive(Clone, Debug)]
pub enum Status {
    /// Not connected, and why.
    Down(Failure),
    /// Connected, greeted, and of our protocol version.
    Up(Outgoing),
}

/// The state of the channel and the jobs that use it.
#[derive(Debug)]
pub struct Hub {
    /// Name of the peer in the configuration.
    pub peer: String,
    /// Our own role.
    pub role: Role,
    /// Bounds and time-outs.
    pub limits: Limits,
    status: watch::Sender<Status>,
    routes: Mutex<HashMap<JobId, Entry>>,
    invitations: mpsc::Sender<Invitation>,
    /// Ends the session that is current; replaced by each new session.
    current: Mutex<CancellationToken>,
}

/// An offer of the peer with the job's place at the hub, made before anything else about the job can
/// arrive, so that an abort on its heels is not lost.
#[derive(Debug)]
pub struct Invitation {
    /// The job's identifier.
    pub job: JobId,
    /// What the peer offers.
    pub offer: Offer,
    /// The job's place.
    pub route: Route,
    /// The job's end.
    pub control: Arc<Control>,
    /// The job's progress.
    pub live: Arc<Live>,
}

#[derive(Debug)]
struct Entry {
    attempt: u32,
    inbox: InboxSender,
    control: Arc<Control>,
    live: Arc<Live>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// A job's place at the hub; leaving it ends the delivery of frames.
#[derive(Debug)]
pub struct Route {
    hub: Arc<Hub>,
    job: JobId,
    /// Counts restarts of the job.
    pub attempt: u32,
    /// The connection on which the job started.
    pub outgoing: Outgoing,
    /// Frames from the peer, until the link takes them over.
    pub inbox: Option<Inbox>,
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.hub.routes().remove(&self.job);
    }
}

impl Route {
    /// Sends a control message of this job and counts it.
    ///
    /// # Errors
    /// `peer.lost` when the connection has ended.
    pub async fn send(&self, kind: Kind, live: &Live) -> Result<(), Failure> {
        let message = PeerMessage { kind: Some(kind) };
        live.count_sent(message.encoded_len());
        let lost = || self.hub.lost("the connection ended");
        self.outgoing.control.send(Ok(message)).await.map_err(|_| lost())
    }

    /// Waits for the peer's answer to our offer.
    ///
    /// # Errors
    /// `peer.timeout` after the step time-out.
    pub async fn answer(&mut self) -> Result<Answer, Failure> {
        let limit = self.hub.limits.step_timeout();
        let receiver = self.answer.take().ok_or_else(|| Failure::bug("peer::hub::answer"))?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.hub.lost("the connection ended")),
            Err(_) => Err(self.hub.timed_out("offer", limit)),
        }
    }
}

impl Hub {
    /// A hub without a connection. Offers from the peer go to `invitations`.
    pub fn new(
        peer: String,
        role: Role,
        limits: Limits,
        invitations: mpsc::Sender<Invitation>,
    ) -> Arc<Self> {
        let never = Failure::new(
            code::PEER_UNREACHABLE,
            role.other().side(),
            format!("{} has not connected since this node started", describe(&peer, role)),
            "check that both nodes run and that exactly one has peer.connect",
        );
        Arc::new(Self {
            peer,
            role,
            limits,
            status: watch::Sender::new(Status::Down(never)),
            routes: Mutex::default(),
            invitations,
            current: Mutex::default(),
        })
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
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

    /// The peer is alive but did not deliver.
    pub fn timed_out(&self, step: &str, limit: Duration) -> Failure {
        Failure::new(
            code::PEER_TIMEOUT,
            self.role.other().side(),
            format!("{} sent nothing for {} s in step {step}", self.describe(), limit.as_secs()),
            "see the peer's log; limits.step_timeout_seconds sets the patience",
        )
        .in_step(step)
    }

    /// Waits until the peer is there.
    ///
    /// # Errors
    /// `peer.unreachable` or what keeps the nodes apart, after `limit`: why it is not.
    pub async fn wait_up(&self, limit: Duration) -> Result<Outgoing, Failure> {
        let end = Instant::now() + limit;
        let mut status = self.status.subscribe();
        let up = timeout_at(end, status.wait_for(|s| matches!(s, Status::Up(_)))).await;
        let now = match up {
            Ok(Ok(seen)) => seen.clone(),
            _ => self.status.borrow().clone(),
        };
        match now {
            Status::Up(outgoing) => Ok(outgoing),
            // Nothing had begun that the end of the last connection could have broken.
            Status::Down(why) if why.code == code::PEER_LOST => Err(Failure::new(
                code::PEER_UNREACHABLE,
                why.side,
                format!("no connection for {} s: {}", limit.as_secs(), why.message),
                "check that its node runs and the network between the nodes, then submit again",
            )),
            Status::Down(why) => Err(why),
        }
    }

    /// The state of the channel now and its changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// A place for a job on a connection.
    ///
    /// # Errors
    /// `peer.lost` when the connection is no longer the current one.
    pub fn open(
        self: &Arc<Self>,
        job: JobId,
        attempt: u32,
        outgoing: Outgoing,
        control: Arc<Control>,
        live: Arc<Live>,
    ) -> Result<Route, Failure> {
        let (sender, inbox) = inbox(self.limits.max_message_bytes());
        let (answer_tx, answer_rx) = oneshot::channel();
        let entry = Entry { attempt, inbox: sender, control, live, answer: Some(answer_tx) };
        let mut routes = self.routes();
        if routes.contains_key(&job) {
            return Err(Failure::bug("peer::hub::open"));
        }
        // Under the lock that `down` takes to end the routes: a job cannot slip in between.
        match &*self.status.borrow() {
            Status::Up(current) if current.same_as(&outgoing) => {}
            _ => return Err(self.lost("the connection ended")),
        }
        routes.insert(job, entry);
        drop(routes);
        let inbox = Some(inbox);
        Ok(Route { hub: self.clone(), job, attempt, outgoing, inbox, answer: Some(answer_rx) })
    }

    /// Tells the peer that a job ends, if it is there. Never waits.
    pub fn abort(&self, job: JobId, attempt: u32, failure: &Failure) {
        let Status::Up(outgoing) = self.status.borrow().clone() else { return };
        let abort =
            Abort { job: job.as_bytes().to_vec(), attempt, reason: Some(wire::reason(failure)) };
        let message = PeerMessage { kind: Some(Kind::Abort(abort)) };
        if outgoing.control.try_send(Ok(message)).is_err() {
            tracing::warn!(%job, "the peer could not be told that the job ended");
        }
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

    pub(super) fn up(&self, outgoing: Outgoing) {
        self.status.send_replace(Status::Up(outgoing));
    }

    /// The session over `outgoing` ended: jobs that used it end as well. A session that was never
    /// up only leaves its reason.
    pub(super) fn down(&self, outgoing: &Outgoing, why: &Failure) {
        let ended: Vec<_> = {
            let routes = self.routes();
            let was_current = self.status.send_if_modified(|status| match status {
                Status::Up(current) if !current.same_as(outgoing) => false,
                status => {
                    *status = Status::Down(why.clone());
                    true
                }
            });
            if !was_current {
                return;
            }
            routes.values().map(|entry| (entry.control.clone(), entry.live.clone())).collect()
        };
        for (control, live) in ended {
            let lost = match why.code.as_str() {
                code::PEER_LOST => why.clone(),
                _ => self.lost(&why.message),
            };
            control.end(Cause::Lost(lost.in_step(live.step())));
        }
    }

    /// Delivers what the peer sent about jobs.
    pub(super) async fn deliver(self: &Arc<Self>, outgoing: &Outgoing, kind: Kind, size: usize) {
        match kind {
            Kind::Frame(frame) => self.deliver_frame(frame, size).await,
            Kind::Answer(answer) => self.deliver_answer(answer, size),
            Kind::Abort(abort) => {
                let routes = &mut self.routes();
                if let Some(entry) = find(routes, &abort.job, abort.attempt) {
                    entry.live.count_received(size);
                    let failure = wire::failure(abort.reason, self.role.other().side());
                    entry.control.end(Cause::PeerAborted(failure));
                }
            }
            Kind::Offer(offer) => self.deliver_offer(outgoing, offer, size),
            Kind::Heartbeat(_) | Kind::Hello(_) => {}
        }
    }

    fn deliver_answer(&self, answer: Answer, size: usize) {
        let Some(job) = JobId::from_slice(&answer.job) else { return };
        let waiting = {
            let mut routes = self.routes();
            find(&mut routes, &answer.job, answer.attempt).and_then(|entry| {
                entry.live.count_received(size);
                entry.answer.take()
            })
        };
        let attempt = answer.attempt;
        let accepted = answer.refusal.is_none();
        let taken = waiting.is_some_and(|waiting| waiting.send(answer).is_ok());
        if !taken && accepted {
            // The job ended here while the peer loaded its data; it must not wait for us.
            self.abort(job, attempt, &Failure::cancelled(self.role.side()));
        }
    }

    fn deliver_offer(self: &Arc<Self>, outgoing: &Outgoing, offer: Offer, size: usize) {
        let Some(job) = JobId::from_slice(&offer.job) else { return };
        let attempt = offer.attempt;
        let refuse = |failure: Failure| {
            tracing::warn!(%job, "an offer of the peer was refused: {failure}");
            self.abort(job, attempt, &failure);
        };
        if self.role == Role::B {
            return refuse(Failure::new(
                code::JOB_WRONG_NODE,
                Side::A,
                "jobs are offered by B, not to it",
                "submit jobs to B's node",
            ));
        }
        let (control, live) = (Arc::new(Control::default()), Arc::new(Live::default()));
        live.count_received(size);
        let route = match self.open(job, attempt, outgoing.clone(), control.clone(), live.clone()) {
            Ok(route) => route,
            Err(failure) => return refuse(failure),
        };
        let invitation = Invitation { job, offer, route, control, live };
        if let Err(error) = self.invitations.try_send(invitation) {
            // Dropping the invitation below needs the lock that its route takes.
            drop(error);
            refuse(Failure::new(
                code::JOB_QUEUE_FULL,
                self.role.side(),
                "too many offers wait at A",
                "submit the job again later",
            ));
        }
    }

    async fn deliver_frame(&self, frame: Frame, size: usize) {
        let inbox = {
            let mut routes = self.routes();
            // Frames of a job that has just ended here are still under way: they are dropped.
            let Some(entry) = find(&mut routes, &frame.job, frame.attempt) else { return };
            entry.live.count_received(size);
            entry.inbox.clone()
        };
        inbox.push(frame).await;
    }
}

fn describe(peer: &str, role: Role) -> String {
    format!("peer `{peer}` ({})", role.other())
}

fn find<'a>(
    routes: &'a mut HashMap<JobId, Entry>,
    job: &[u8],
    attempt: u32,
) -> Option<&'a mut Entry> {
    let job = JobId::from_slice(job)?;
    routes.get_mut(&job).filter(|entry| entry.attempt == attempt)
}
