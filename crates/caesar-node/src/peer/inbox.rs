//! Frames of one job that wait for its engine: bounded by bytes, so that a slow engine slows the
//! peer down and a flood cannot fill the memory.

use std::sync::Arc;

use caesar_proto::v1::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Accounting unit. A frame costs at least one, whatever its size.
const UNIT: usize = 1024;

/// The filling end.
#[derive(Clone, Debug)]
pub(super) struct InboxSender {
    budget: Arc<Semaphore>,
    frames: mpsc::UnboundedSender<(Frame, OwnedSemaphorePermit)>,
}

/// The engine's end.
#[derive(Debug)]
pub struct Inbox {
    frames: mpsc::UnboundedReceiver<(Frame, OwnedSemaphorePermit)>,
}

/// An inbox for `bytes` waiting bytes.
pub(super) fn inbox(bytes: usize) -> (InboxSender, Inbox) {
    let budget = Arc::new(Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS)));
    let (tx, rx) = mpsc::unbounded_channel();
    (InboxSender { budget, frames: tx }, Inbox { frames: rx })
}

impl InboxSender {
    /// Waits for room. A frame for an engine that has ended is dropped.
    pub(super) async fn push(&self, frame: Frame) {
        let units = frame.body.len().div_ceil(UNIT).max(1) as u32;
        let room = tokio::select! {
            // The engine may end while its inbox is full.
            () = self.frames.closed() => return,
            room = self.budget.clone().acquire_many_owned(units) => room,
        };
        let Ok(room) = room else { return };
        // Only fails when the engine has just ended.
        let _ = self.frames.send((frame, room));
    }
}

impl Inbox {
    /// The next frame; its room is free again as soon as it is taken.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        self.frames.recv().await.map(|(frame, _room)| frame)
    }
}
