//! What two nodes know of the frames of one attempt in one direction: counters, and the frames that a
//! new connection may have to send again. No IO.
//!
//! A frame is *received* when it waits for the engine of this process, and *taken* when the engine has
//! it. The sender keeps every frame until it is taken, and is never more than the receiver's window
//! ahead of that, so both sides are bounded and the reader of a connection never waits for an engine.

use std::collections::VecDeque;

use caesar_proto::v1::Frame;
use thiserror::Error;

/// What a frame costs beside its body, so that many small ones are bounded as well.
const FRAME_COST: usize = 1024;
/// An acknowledgement is due after this many bytes. The smallest window has room for this, less than
/// that of a frame under way, and one more frame.
const ACK_BYTES: usize = 512 << 10;

fn cost(frame: &Frame) -> usize {
    frame.body.len() + FRAME_COST
}

/// Why frames or acknowledgements of a peer cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum WindowError {
    /// A frame is missing.
    #[error("frame {found} came where {expected} was due")]
    Gap {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// More frames are under way than was agreed.
    #[error("more than {window} bytes of frames were sent ahead")]
    Flood {
        /// What was agreed.
        window: usize,
    },
    /// Frames were counted that were never sent, or that were acknowledged before.
    #[error("frame {count} was counted, of {first} to {end}")]
    Count {
        /// What the peer says.
        count: u64,
        /// The oldest frame that is kept.
        first: u64,
        /// One more than the newest frame that was sent.
        end: u64,
    },
}

/// The sender's side.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Number of the oldest frame that is kept.
    first: u64,
    /// Number of the next frame to send on the connection.
    next: u64,
    /// One more than the highest number that was ever sent.
    sent: u64,
    frames: VecDeque<Frame>,
    cost: usize,
}

impl Outbox {
    /// Numbers and keeps a frame, or gives it back while there is no room in the window.
    pub(super) fn push(&mut self, mut frame: Frame, window: usize) -> Result<(), Frame> {
        if !self.frames.is_empty() && self.cost + cost(&frame) > window {
            return Err(frame);
        }
        frame.number = self.end();
        self.cost += cost(&frame);
        self.frames.push_back(frame);
        Ok(())
    }

    /// Number of the frame that is pushed next.
    pub(super) fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// The next frame to send. Its body is shared, not copied.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let frame = self.frames.get((self.next - self.first) as usize)?.clone();
        self.next += 1;
        self.sent = self.sent.max(self.next);
        Some(frame)
    }

    /// Whether everything has been handed to the connection.
    pub(super) fn is_sent(&self) -> bool {
        self.next == self.end()
    }

    /// The peer's engine has taken so many frames. An older count, of an older connection, says
    /// nothing new.
    pub(super) fn acknowledge(&mut self, taken: u64) -> Result<(), WindowError> {
        if taken > self.sent {
            return Err(self.miscount(taken));
        }
        while self.first < taken {
            // `first < taken <= sent`, and every frame from `first` to `sent` is kept.
            let Some(frame) = self.frames.pop_front() else { break };
            self.cost -= cost(&frame);
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        Ok(())
    }

    /// A new connection goes on after the frames that the peer has received.
    pub(super) fn resume(&mut self, received: u64, taken: u64) -> Result<(), WindowError> {
        if taken > received {
            return Err(self.miscount(taken));
        }
        if received < self.first || received > self.sent {
            return Err(self.miscount(received));
        }
        self.acknowledge(taken)?;
        self.next = received;
        Ok(())
    }

    fn miscount(&self, count: u64) -> WindowError {
        WindowError::Count { count, first: self.first, end: self.sent }
    }
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It goes to the engine.
    New,
    /// It was repeated by a new connection.
    Duplicate,
}

/// The receiver's side.
#[derive(Debug, Default)]
pub(super) struct Intake {
    received: u64,
    taken: u64,
    /// Cost of the frames that wait for the engine.
    waiting: usize,
    /// Cost of the frames that were taken since the last acknowledgement.
    owed: usize,
}

impl Intake {
    /// A frame arrived.
    pub(super) fn arrive(&mut self, frame: &Frame, window: usize) -> Result<Arrival, WindowError> {
        if frame.number < self.received {
            return Ok(Arrival::Duplicate);
        }
        if frame.number > self.received {
            return Err(WindowError::Gap { expected: self.received, found: frame.number });
        }
        if self.waiting > 0 && self.waiting + cost(frame) > window {
            return Err(WindowError::Flood { window });
        }
        self.received += 1;
        self.waiting += cost(frame);
        Ok(Arrival::New)
    }

    /// The engine took a frame. Whether an acknowledgement is due.
    pub(super) fn take(&mut self, frame: &Frame) -> bool {
        self.taken += 1;
        self.waiting = self.waiting.saturating_sub(cost(frame));
        self.owed += cost(frame);
        self.owed >= ACK_BYTES
    }

    /// Whether the peer keeps frames that it could forget.
    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// How many frames were received and taken, to be told to the peer now.
    pub(super) fn counts(&mut self) -> (u64, u64) {
        self.owed = 0;
        (self.received, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn frame(body: usize) -> Frame {
        Frame { body: vec![7; body].into(), ..Frame::default() }
    }

    /// Frames between an outbox and an intake over connections that break at any moment, with
    /// whatever was under way: every frame reaches the engine once and in order.
    #[test]
    fn frames_survive_any_cuts_once_and_in_order() {
        let window = 2 << 20;
        for seed in 0..300 {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let (mut outbox, mut intake) = (Outbox::default(), Intake::default());
            let (mut wire, mut waiting) = (VecDeque::new(), VecDeque::new());
            let (mut acks, mut pushed, mut taken) = (VecDeque::new(), 0u64, 0u64);
            let total = 60;
            let mut turns = 0;
            while taken < total {
                turns += 1;
                assert!(turns < 100_000, "seed {seed}: stuck at {taken}: {outbox:?} {intake:?}");
                match rng.random_range(0..20) {
                    0..5 if pushed < total => {
                        let mut new = frame(rng.random_range(0..=1 << 20));
                        new.sequence = pushed;
                        pushed += u64::from(outbox.push(new, window).is_ok());
                    }
                    5..10 => wire.extend(outbox.next()),
                    10..13 => {
                        if let Some(frame) = wire.pop_front() {
                            let arrival = intake.arrive(&frame, window);
                            match arrival.unwrap_or_else(|e| panic!("seed {seed}: {e}")) {
                                Arrival::New => waiting.push_back(frame),
                                Arrival::Duplicate => {}
                            }
                        }
                    }
                    13..17 => {
                        if let Some(frame) = waiting.pop_front() {
                            assert_eq!(frame.sequence, taken, "seed {seed}");
                            taken += 1;
                            if intake.take(&frame) {
                                acks.push_back(intake.counts().1);
                            }
                        }
                    }
                    17..19 => {
                        if let Some(taken) = acks.pop_front() {
                            outbox
                                .acknowledge(taken)
                                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                        }
                    }
                    _ => {
                        // The connection breaks; an acknowledgement of it may still come late.
                        wire.clear();
                        acks.truncate(rng.random_range(0..=1));
                        let (received, taken) = intake.counts();
                        outbox
                            .resume(received, taken)
                            .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                    }
                }
                assert!(outbox.cost <= window && intake.waiting <= window, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_smallest_window_never_stops_for_an_acknowledgement_that_is_not_due() {
        let window = 2 << 20;
        let (mut outbox, mut intake) = (Outbox::default(), Intake::default());
        for body in [400 << 10, 100 << 10, 1 << 20, 1 << 20, 5, 1 << 20] {
            outbox.push(frame(body), window).unwrap_or_else(|_| panic!("no room for {body}"));
            let sent = outbox.next().unwrap();
            assert_eq!(intake.arrive(&sent, window), Ok(Arrival::New));
            if intake.take(&sent) {
                outbox.acknowledge(intake.counts().1).unwrap();
            }
        }
    }

    #[test]
    fn gaps_floods_and_false_counts_are_refused() {
        let numbered = |number, body| Frame { number, ..frame(body) };
        let mut intake = Intake::default();
        intake.arrive(&numbered(0, 10), 4096).unwrap();
        assert_eq!(
            intake.arrive(&numbered(2, 10), 4096),
            Err(WindowError::Gap { expected: 1, found: 2 })
        );
        assert_eq!(
            intake.arrive(&numbered(1, 4096), 4096),
            Err(WindowError::Flood { window: 4096 })
        );
        assert_eq!(intake.arrive(&numbered(0, 10), 4096), Ok(Arrival::Duplicate));
        assert_eq!(intake.counts(), (1, 0), "what was refused does not count");

        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(frame(1), 8192).unwrap();
        }
        assert!(outbox.push(frame(8192), 8192).is_err());
        outbox.next();
        outbox.next();
        outbox.acknowledge(1).unwrap();
        for (received, taken) in [(3, 1), (0, 0), (1, 2)] {
            assert!(outbox.resume(received, taken).is_err(), "{received}, {taken}");
        }
        assert!(outbox.acknowledge(3).is_err(), "the third was never sent");
        outbox.resume(1, 1).unwrap();
        assert_eq!(outbox.next().map(|f| f.number), Some(1));
    }
}
