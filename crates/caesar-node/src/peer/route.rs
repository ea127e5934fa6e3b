//! An attempt's place at the hub. It outlives connections, not the process.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{Ack, Frame, Offer, PartyProfile, Profile, Resume, peer_message::Kind};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};

use super::{
    hub::{Hub, find},
    session::SessionId,
    window::{Intake, Outbox},
};
use crate::{
    error::Failure,
    job::{Control, JobId, Live},
};

/// The hub's side.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) attempt: u32,
    pub(super) control: Arc<Control>,
    pub(super) live: Arc<Live>,
    /// B: until A accepts it.
    pub(super) offer: Option<Offer>,
    /// A takes part.
    pub(super) accepted: bool,
    /// B: who waits for that.
    pub(super) accepting: Option<oneshot::Sender<()>>,
    pub(super) outbox: Outbox,
    pub(super) intake: Intake,
    /// Frames for the engine.
    pub(super) frames: mpsc::UnboundedSender<Frame>,
    /// Tells the job's side that the outbox or A's profile has changed.
    pub(super) room: Arc<Notify>,
    /// A's profile: at A once its engine is done, at B once it has come.
    pub(super) profile: Option<PartyProfile>,
    /// The session in which the peer said where to go on: frames may leave on it.
    pub(super) linked: Option<SessionId>,
    /// The session in which we said it.
    pub(super) greeted: Option<SessionId>,
}

impl Entry {
    pub(super) fn new(
        attempt: u32,
        control: Arc<Control>,
        live: Arc<Live>,
        offer: Option<Offer>,
        frames: mpsc::UnboundedSender<Frame>,
        accepting: oneshot::Sender<()>,
        room: Arc<Notify>,
    ) -> Self {
        Self {
            attempt,
            control,
            live,
            offer,
            accepted: false,
            accepting: Some(accepting),
            outbox: Outbox::default(),
            intake: Intake::default(),
            frames,
            room,
            profile: None,
            linked: None,
            greeted: None,
        }
    }

    /// What a new session has to hear about the attempt first.
    pub(super) fn greet(&mut self, job: JobId, session: SessionId) -> Option<Kind> {
        match &self.offer {
            Some(offer) => Some(Kind::Offer(offer.clone())),
            None if self.accepted => Some(self.resume(job, session)),
            // A has not decided yet.
            None => None,
        }
    }

    pub(super) fn resume(&mut self, job: JobId, session: SessionId) -> Kind {
        self.greeted = Some(session);
        let (received, taken) = self.intake.counts();
        let job = job.as_bytes().to_vec();
        Kind::Resume(Resume { job, attempt: self.attempt, received, taken })
    }

    /// What a new session has to hear about the attempt last: A's profile, if its engine is done.
    pub(super) fn profile(&self, job: JobId) -> Option<Kind> {
        let (job, attempt) = (job.as_bytes().to_vec(), self.attempt);
        let profile = Some(self.profile.clone()?);
        Some(Kind::Profile(Profile { job, attempt, profile }))
    }

    pub(super) fn ack(&mut self, job: JobId) -> Kind {
        let (_, taken) = self.intake.counts();
        Kind::Ack(Ack { job: job.as_bytes().to_vec(), attempt: self.attempt, taken })
    }
}

/// The job's side; dropping it ends the delivery of frames.
#[derive(Debug)]
pub struct Route {
    pub(super) hub: Arc<Hub>,
    pub(super) job: JobId,
    pub(super) attempt: u32,
    /// Frames from the peer, until the link takes them over.
    pub(super) frames: Option<mpsc::UnboundedReceiver<Frame>>,
    accepted: Option<oneshot::Receiver<()>>,
    pub(super) room: Arc<Notify>,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.hub.close_route(self.job, self.attempt);
    }
}

impl Route {
    pub(super) fn new(
        hub: Arc<Hub>,
        job: JobId,
        attempt: u32,
        frames: mpsc::UnboundedReceiver<Frame>,
        accepted: oneshot::Receiver<()>,
        room: Arc<Notify>,
    ) -> Self {
        Self { hub, job, attempt, frames: Some(frames), accepted: Some(accepted), room }
    }

    /// B: waits until A takes part. A refusal comes as the end of the job.
    ///
    /// # Errors
    /// `peer.timeout` after the step time-out.
    pub async fn accepted(&mut self) -> Result<(), Failure> {
        let limit = self.hub.limits.step_timeout();
        let receiver = self.accepted.take().ok_or_else(|| Failure::bug("peer::route"))?;
        tokio::select! {
            accepted = receiver => accepted.map_err(|_| Failure::bug("peer::route")),
            () = self.hub.connected_for(limit) => Err(self.hub.timed_out("offer", limit)),
        }
    }

    /// A: tells B where the time went, now and on each later connection.
    pub fn tell_profile(&self, profile: PartyProfile) {
        let mut routes = self.hub.routes();
        let Some(entry) = find(&mut routes, self.job, self.attempt) else { return };
        entry.profile = Some(profile);
        if let Some(kind) = entry.profile(self.job) {
            self.hub.tell(kind);
        }
    }

    /// B: what A tells of where its time went, if that comes within `limit`.
    pub async fn peer_profile(&self, limit: Duration) -> Option<PartyProfile> {
        let told = async {
            loop {
                let entry = find(&mut self.hub.routes(), self.job, self.attempt)?.profile.take();
                if entry.is_some() {
                    return entry;
                }
                self.room.notified().await;
            }
        };
        timeout(limit, told).await.ok().flatten()
    }

    /// Waits until all frames have been handed to a connection, for `limit` at most.
    pub async fn flushed(&self, limit: Duration) {
        let sent = async {
            while !self.hub.is_sent(self.job, self.attempt) {
                self.room.notified().await;
            }
        };
        // After this time the peer does not need them any more: it is told how the job ended.
        let _ = timeout(limit, sent).await;
    }
}
