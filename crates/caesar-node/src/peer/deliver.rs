//! What happens to the messages of the peer.

use std::time::Duration;

use caesar_proto::v1::{Accept, Ack, Frame, Heartbeat, Profile, Resume, peer_message::Kind};

use super::{
    hub::{Hub, Notice, find},
    route::Entry,
    session::SessionId,
    window::{Arrival, WindowError},
};
use crate::{
    config::Role,
    job::{Cause, JobId},
    wire,
};

impl Hub {
    /// Delivers what the peer sent about jobs. Waits only while the node is behind with control
    /// messages, never for an engine.
    pub(super) async fn deliver(&self, session: SessionId, kind: Kind, size: usize) {
        let notice = match kind {
            Kind::Frame(frame) => return self.deliver_frame(frame, size),
            Kind::Ack(ack) => return self.deliver_ack(&ack),
            Kind::Resume(resume) => self.deliver_resume(session, &resume),
            Kind::Accept(accept) => self.deliver_accept(session, &accept, size),
            Kind::Offer(offer) => Some(Notice::Offer(offer)),
            Kind::Standing(standing) => Some(Notice::Standing(standing)),
            Kind::Interrupt(interrupt) => Some(Notice::Interrupt(interrupt)),
            Kind::Profile(profile) => return self.deliver_profile(profile),
            Kind::Heartbeat(heartbeat) => return self.deliver_heartbeat(session, heartbeat),
            Kind::Hello(_) => return,
        };
        if let Some(notice) = notice {
            // Fails only when the node stops.
            let _ = self.notices.send(notice).await;
        }
    }

    fn deliver_heartbeat(&self, session: SessionId, heartbeat: Heartbeat) {
        if heartbeat.stamp != 0 {
            self.tell(Kind::Heartbeat(Heartbeat { stamp: 0, echo: heartbeat.stamp }));
        }
        let now = self.clock();
        // An echo of another connection, or of nothing we sent, says nothing.
        if (1..=now).contains(&heartbeat.echo) && self.is_current(session) {
            let took = Duration::from_micros(now - heartbeat.echo);
            let mut routes = self.routes();
            let shortest = routes.round_trip.map_or(took, |known| known.min(took));
            routes.round_trip = Some(shortest);
        }
    }

    fn deliver_frame(&self, frame: Frame, size: usize) {
        let mut routes = self.routes();
        let Some(job) = JobId::from_slice(&frame.job) else { return };
        // Frames of an attempt that has just ended here are still under way: they are dropped.
        let Some(entry) = find(&mut routes, job, frame.attempt) else { return };
        match entry.intake.arrive(&frame, self.limits.max_message_bytes()) {
            Ok(Arrival::New) => {
                entry.live.count_received(size);
                // Fails only when the engine has just ended.
                let _ = entry.frames.send(frame);
            }
            Ok(Arrival::Duplicate) => {}
            Err(fault) => self.refuse(entry, fault),
        }
    }

    fn refuse(&self, entry: &Entry, fault: WindowError) {
        let failure = self.bad_message(&fault.to_string());
        entry.control.end(Cause::Local(failure.in_step(entry.live.step())));
    }

    fn deliver_ack(&self, ack: &Ack) {
        let mut routes = self.routes();
        let Some(job) = JobId::from_slice(&ack.job) else { return };
        let Some(entry) = find(&mut routes, job, ack.attempt) else { return };
        match entry.outbox.acknowledge(ack.taken) {
            Ok(()) => entry.room.notify_one(),
            Err(fault) => self.refuse(entry, fault),
        }
    }

    fn deliver_profile(&self, told: Profile) {
        let mut routes = self.routes();
        let Some(job) = JobId::from_slice(&told.job) else { return };
        let Some(entry) = find(&mut routes, job, told.attempt) else { return };
        let Some(profile) = told.profile.filter(|_| self.role == Role::B) else { return };
        entry.profile = wire::peer_profile(Role::A, &profile);
        if entry.profile.is_none() {
            tracing::warn!(%job, "the peer's profile has times that are none; it is left out");
        }
        entry.room.notify_one();
    }

    fn deliver_resume(&self, session: SessionId, resume: &Resume) -> Option<Notice> {
        let job = JobId::from_slice(&resume.job)?;
        let attempt = resume.attempt;
        let mut routes = self.routes();
        if !self.is_current(session) {
            return None;
        }
        let Some(entry) = find(&mut routes, job, attempt) else {
            return Some(Notice::Stray { job, attempt });
        };
        match entry.outbox.resume(resume.received, resume.taken) {
            Ok(()) => {
                entry.linked = Some(session);
                entry.room.notify_one();
                if entry.accepted && entry.greeted != Some(session) {
                    self.tell(entry.resume(job, session));
                }
            }
            Err(fault) => self.refuse(entry, fault),
        }
        drop(routes);
        self.work.send_replace(());
        None
    }

    fn deliver_accept(&self, session: SessionId, accept: &Accept, size: usize) -> Option<Notice> {
        let job = JobId::from_slice(&accept.job)?;
        let attempt = accept.attempt;
        let mut routes = self.routes();
        let current = self.is_current(session);
        let Some(entry) = find(&mut routes, job, attempt) else {
            return Some(Notice::Stray { job, attempt });
        };
        // It may come several times.
        entry.offer.take()?;
        entry.accepted = true;
        entry.live.count_received(size);
        if let Some(waiting) = entry.accepting.take() {
            // The attempt may have ended at this moment.
            let _ = waiting.send(());
        }
        if current {
            // A waits for this before it sends.
            self.tell(entry.resume(job, session));
            entry.linked = Some(session);
        }
        drop(routes);
        self.work.send_replace(());
        None
    }
}
