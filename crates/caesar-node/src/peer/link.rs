//! The engine's blocking view of the channel: messages of one job, in order, with deadlines.

use std::{sync::Arc, time::Duration};

use caesar_proto::v1::{PeerMessage, peer_message::Kind};
use mpc_core::step::Step;
use prost::Message as _;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{
    chunk::{Assembler, FrameError, split},
    hub::Route,
    inbox::Inbox,
};
use crate::{
    error::Failure,
    job::{Control, JobId, Live},
};

/// Why a message could not be sent or received.
#[derive(Debug)]
pub enum LinkFault {
    /// The job ended while the engine waited; [`Control::cause`] says why.
    Ended,
    /// The connection broke.
    Lost,
    /// The peer is alive but did not deliver, or did not take what we sent.
    Timeout {
        /// The step in which it happened.
        step: Step,
        /// How long was waited.
        limit: Duration,
    },
    /// The peer's frames are not what the protocol says.
    Frame(FrameError),
}

/// A job's link. Used from the engine's own thread only, never from an async one.
#[derive(Debug)]
pub struct JobLink {
    job: JobId,
    attempt: u32,
    runtime: Handle,
    bulk: mpsc::Sender<PeerMessage>,
    inbox: Inbox,
    control: Arc<Control>,
    live: Arc<Live>,
    patience: Duration,
    largest: usize,
    sequence: u64,
    assembler: Assembler,
}

impl JobLink {
    /// The link of a job over its route.
    ///
    /// # Errors
    /// A bug, when the route's inbox was taken before.
    pub fn new(
        route: &mut Route,
        job: JobId,
        control: Arc<Control>,
        live: Arc<Live>,
        patience: Duration,
        largest: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            job,
            attempt: route.attempt,
            runtime: Handle::current(),
            bulk: route.outgoing.bulk.clone(),
            inbox: route.inbox.take().ok_or_else(|| Failure::bug("peer::link::new"))?,
            control,
            live,
            patience,
            largest,
            sequence: 0,
            assembler: Assembler::default(),
        })
    }

    /// The job's end, to say why a call failed.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Queues one message, waiting while the queue is full.
    ///
    /// # Errors
    /// See [`LinkFault`].
    pub fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkFault> {
        self.live.enter(step);
        if body.len() > self.largest {
            return Err(LinkFault::Frame(FrameError::TooLarge { step, limit: self.largest }));
        }
        for frame in split(self.job, self.attempt, step, self.sequence, body) {
            let message = PeerMessage { kind: Some(Kind::Frame(frame)) };
            let size = message.encoded_len();
            let (control, bulk, patience) = (&self.control, &self.bulk, self.patience);
            let waiting = self.live.waiting();
            self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = control.ended() => Err(LinkFault::Ended),
                    room = timeout(patience, bulk.reserve()) => match room {
                        Ok(Ok(room)) => { room.send(message); Ok(()) }
                        Ok(Err(_)) => Err(LinkFault::Lost),
                        Err(_) => Err(LinkFault::Timeout { step, limit: patience }),
                    },
                }
            })?;
            drop(waiting);
            self.live.count_sent(size);
        }
        self.sequence += 1;
        Ok(())
    }

    /// Waits for the next message, which must belong to `step` and have at most `max_len` bytes.
    ///
    /// # Errors
    /// See [`LinkFault`].
    pub fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkFault> {
        self.live.enter(step);
        let limit = max_len.min(self.largest);
        loop {
            let (control, inbox, patience) = (&self.control, &mut self.inbox, self.patience);
            let waiting = self.live.waiting();
            let frame = self.runtime.block_on(async {
                if control.ended_here() {
                    return Err(LinkFault::Ended);
                }
                tokio::select! {
                    biased;
                    // What has arrived is used even when the peer ended right after sending it.
                    frame = timeout(patience, inbox.next()) => match frame {
                        Ok(Some(frame)) => Ok(frame),
                        Ok(None) => Err(LinkFault::Lost),
                        Err(_) => Err(LinkFault::Timeout { step, limit: patience }),
                    },
                    () = control.ended() => Err(LinkFault::Ended),
                }
            })?;
            drop(waiting);
            if let Some(body) =
                self.assembler.push(&frame, step, limit).map_err(LinkFault::Frame)?
            {
                return Ok(body);
            }
        }
    }
}
