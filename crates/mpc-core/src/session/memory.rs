//! An in-memory link between two threads, with an interceptor that sees and may change every
//! message: for tests of the protocol.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use super::link::{Link, LinkError};
use crate::step::Step;

/// Sees each message of one direction before it is delivered, and may change it.
pub type Interceptor = Box<dyn FnMut(Step, &mut Vec<u8>) + Send>;

/// One end of an in-memory link.
pub struct MemoryLink {
    to: SyncSender<(Step, Vec<u8>)>,
    from: Receiver<(Step, Vec<u8>)>,
    interceptor: Option<Interceptor>,
    timeout: Duration,
}

impl std::fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLink").finish_non_exhaustive()
    }
}

impl MemoryLink {
    /// Two connected ends.
    pub fn pair(timeout: Duration) -> (Self, Self) {
        // Large enough that both sides can send a whole step before they receive.
        let (to_b, from_a) = sync_channel(1 << 16);
        let (to_a, from_b) = sync_channel(1 << 16);
        let end = |to, from| Self { to, from, interceptor: None, timeout };
        (end(to_b, from_b), end(to_a, from_a))
    }

    /// Lets `interceptor` see everything that this end sends.
    pub fn intercept(&mut self, interceptor: Interceptor) {
        self.interceptor = Some(interceptor);
    }
}

impl Link for MemoryLink {
    fn send(&mut self, step: Step, mut body: Vec<u8>) -> Result<(), LinkError> {
        if let Some(f) = &mut self.interceptor {
            f(step, &mut body);
        }
        self.to
            .send((step, body))
            .map_err(|_| LinkError::Lost { detail: "the other end is gone".into() })
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        match self.from.recv_timeout(self.timeout) {
            Ok((found, _)) if found != step => {
                Err(LinkError::UnexpectedStep { expected: step, found: found.code() })
            }
            Ok((_, body)) if body.len() > max_len => Err(LinkError::TooLarge { step }),
            Ok((_, body)) => Ok(body),
            Err(RecvTimeoutError::Timeout) => {
                Err(LinkError::Timeout { step, seconds: self.timeout.as_secs() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(LinkError::Lost { detail: "the other end is gone".into() })
            }
        }
    }
}
