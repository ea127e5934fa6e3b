//! The engine's blocking view of the channel: messages of one attempt, in order, with deadlines. It
//! does not notice that a connection ends and another one takes its place.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::Frame;
use mpc_core::step::Step;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time::sleep,
};

use super::{
    chunk::{Assembler, FrameError, split},
    hub::Hub,
    route::Route,
};
use crate::{
    error::Failure,
    job::{Control, JobId, LAST_MESSAGES, Live},
};

/// Why a message could not be sent or received.
#[derive(Debug)]
pub enum LinkFault {
    /// The attempt ended while the engine waited; [`Control::cause`] says why.
    Ended,
    /// The peer is connected but did not deliver, or did not take what we sent.
    Timeout {
        /// The step in which it happened.
        step: Step,
        /// How long was waited, cuts of the connection not counted.
        limit: Duration,
    },
    /// The peer's frames are not what the protocol says.
    Frame(FrameError),
}

/// An attempt's link. Used from the engine's own thread only, never from an async one.
#[derive(Debug)]
pub struct JobLink {
    hub: Arc<Hub>,
    job: JobId,
    attempt: u32,
    runtime: Handle,
    frames: mpsc::UnboundedReceiver<Frame>,
    room: Arc<Notify>,
    control: Arc<Control>,
    live: Arc<Live>,
    sequence: u64,
    assembler: Assembler,
}

impl JobLink {
    /// The link of an attempt over its route.
    ///
    /// # Errors
    /// A bug, when the route's frames were taken before.
    pub fn new(route: &mut Route, control: Arc<Control>, live: Arc<Live>) -> Result<Self, Failure> {
        Ok(Self {
            hub: route.hub.clone(),
            job: route.job,
            attempt: route.attempt,
            runtime: Handle::current(),
            frames: route.frames.take().ok_or_else(|| Failure::bug("peer::link::new"))?,
            room: route.room.clone(),
            control,
            live,
            sequence: 0,
            assembler: Assembler::default(),
        })
    }

    /// The attempt's end, to say why a call failed.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// What to say of a peer whose messages are not what the protocol says.
    pub fn bad_message(&self, detail: &str) -> Failure {
        self.hub.bad_message(detail).in_step(self.live.step())
    }

    /// Queues one message, waiting while the peer is too far behind.
    ///
    /// # Errors
    /// See [`LinkFault`].
    pub fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkFault> {
        self.live.enter(step);
        let largest = self.hub.limits.max_message_bytes();
        if body.len() > largest {
            return Err(LinkFault::Frame(FrameError::TooLarge { step, limit: largest }));
        }
        let bytes = body.len();
        for frame in split(self.job, self.attempt, step, self.sequence, body) {
            self.push(step, frame)?;
        }
        self.sequence += 1;
        self.live.sent(step, bytes);
        Ok(())
    }

    fn push(&self, step: Step, mut frame: Frame) -> Result<(), LinkFault> {
        let (hub, control) = (&self.hub, &self.control);
        let limit = hub.limits.step_timeout();
        let waiting = self.live.waiting();
        let size = self.runtime.block_on(async {
            let deadline = hub.connected_for(limit);
            tokio::pin!(deadline);
            loop {
                if control.cause().is_some() {
                    return Err(LinkFault::Ended);
                }
                frame = match hub.push(self.job, self.attempt, frame) {
                    None => return Err(LinkFault::Ended),
                    Some(Ok(size)) => return Ok(size),
                    Some(Err(frame)) => frame,
                };
                tokio::select! {
                    () = control.ended() => {}
                    () = self.room.notified() => {}
                    () = &mut deadline => return Err(LinkFault::Timeout { step, limit }),
                }
            }
        })?;
        drop(waiting);
        self.live.count_sent(size);
        Ok(())
    }

    /// The engine computes for `step` until it next sends or receives.
    pub fn computing(&self, step: Step) {
        self.live.computing(step);
    }

    /// Waits for the next message, which must belong to `step` and have at most `max_len` bytes.
    ///
    /// # Errors
    /// See [`LinkFault`].
    pub fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkFault> {
        self.live.enter(step);
        let largest = max_len.min(self.hub.limits.max_message_bytes());
        loop {
            let frame = self.next(step)?;
            self.hub.taken(self.job, self.attempt, &frame);
            if let Some(body) =
                self.assembler.push(&frame, step, largest).map_err(LinkFault::Frame)?
            {
                self.live.received(step, body.len());
                return Ok(body);
            }
        }
    }

    fn next(&mut self, step: Step) -> Result<Frame, LinkFault> {
        let Self { hub, control, frames, .. } = self;
        let limit = hub.limits.step_timeout();
        let waiting = self.live.waiting();
        let frame = self.runtime.block_on(async {
            if control.ended_here() {
                return Err(LinkFault::Ended);
            }
            tokio::select! {
                biased;
                // What has arrived is used even when the peer ended right after sending it.
                frame = frames.recv() => frame.ok_or(LinkFault::Ended),
                () = over(control) => Err(LinkFault::Ended),
                () = hub.connected_for(limit) => Err(LinkFault::Timeout { step, limit }),
            }
        });
        drop(waiting);
        frame
    }
}

/// The end of an attempt. Word that the job has succeeded overtakes the last frames, so there is some
/// time for those.
async fn over(control: &Control) {
    control.ended().await;
    if control.succeeded_there() {
        sleep(LAST_MESSAGES).await;
    }
}
