//! One direction of the link: its rate, its delay, its traps, and the count of what passed.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Action, Fault};

/// Time for which an idle line saves up its rate. It makes up for timers that fire late, which on
/// this scale they do.
const BURST: Duration = Duration::from_millis(10);
/// The line is offered bytes for this time at once, so that a change of shape is felt soon.
const SLICE: Duration = Duration::from_millis(5);
/// Most bytes that are read at once.
const LARGEST_READ: usize = 64 * 1024;

/// How a direction carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// From the moment a byte has left the sender's side of the line to its delivery. Bytes
    /// overtake nothing and wait for nothing else: a longer line is not a slower one.
    pub delay: Duration,
    /// Bytes a second that enter the line, all connections together; `None` for as many as come.
    pub bytes_per_second: Option<u64>,
    /// Most bytes that are handed on at once.
    pub largest_write: usize,
}

impl Shape {
    /// No delay and no limit.
    pub const OPEN: Shape =
        Shape { delay: Duration::ZERO, bytes_per_second: None, largest_write: LARGEST_READ };

    /// One direction of a line with this round trip and rate.
    pub const fn line(round_trip: Duration, megabits_per_second: u64) -> Self {
        Shape {
            delay: Duration::from_nanos(round_trip.as_nanos() as u64 / 2),
            bytes_per_second: Some(megabits_per_second * 1_000_000 / 8),
            largest_write: LARGEST_READ,
        }
    }

    /// One byte at a time, so many a second.
    pub const fn slow_loris(bytes_per_second: u64) -> Self {
        Shape { delay: Duration::ZERO, bytes_per_second: Some(bytes_per_second), largest_write: 1 }
    }

    fn chunk(&self) -> usize {
        let slice = self.bytes_per_second.map_or(LARGEST_READ, |rate| {
            usize::try_from(rate / (1_000 / SLICE.as_millis() as u64)).unwrap_or(LARGEST_READ)
        });
        slice.min(self.largest_write).clamp(1, LARGEST_READ)
    }
}

/// What has passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes, TLS and HTTP/2 included.
    pub bytes: u64,
    /// Time in which the line was in use. A pause of less than two round trips counts, because the
    /// programs may be waiting for the line; in a longer one they are busy with themselves.
    pub busy: Duration,
}

impl Traffic {
    /// What has passed between `earlier` and `self`.
    #[must_use]
    pub fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            bytes: self.bytes.saturating_sub(earlier.bytes),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }

    /// The share of a rate that was used while the line was in use, 0 to about 1.
    pub fn utilisation(&self, bytes_per_second: u64) -> f64 {
        let possible = bytes_per_second as f64 * self.busy.as_secs_f64();
        if possible > 0.0 { self.bytes as f64 / possible } else { 0.0 }
    }
}

/// What becomes of bytes that have been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// So many of them go on, changed in place.
    pub(super) keep: usize,
    /// What happens to all connections then.
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
pub(super) struct Lane(Mutex<State>);

#[derive(Debug)]
struct State {
    shape: Shape,
    /// When the line has carried all that was given to it.
    free_at: Instant,
    traffic: Traffic,
    last_use: Option<Instant>,
    /// Longest pause that still counts as use.
    pause: Duration,
    /// By the byte they wait for, counted from the start.
    traps: VecDeque<(u64, Action)>,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            shape: Shape::OPEN,
            free_at: Instant::now(),
            traffic: Traffic::default(),
            last_use: None,
            pause: Duration::ZERO,
            traps: VecDeque::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shape(&self) -> Shape {
        self.state().shape
    }

    pub(super) fn set_shape(&self, shape: Shape) {
        let mut state = self.state();
        state.shape = shape;
        // Whoever waits for the old rate goes on waiting, which is a slice at most.
        state.free_at = Instant::now();
    }

    /// Sets the longest pause that counts as use.
    pub(super) fn set_pause(&self, pause: Duration) {
        self.state().pause = pause;
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.state().traffic
    }

    /// Most bytes to read at once.
    pub(super) fn chunk(&self) -> usize {
        self.state().shape.chunk()
    }

    /// Something is to happen after `after` more bytes.
    pub(super) fn arm(&self, after: u64, action: Action) {
        let mut state = self.state();
        let at = state.traffic.bytes.saturating_add(after);
        let place = state.traps.partition_point(|(other, _)| *other <= at);
        state.traps.insert(place, (at, action));
    }

    pub(super) fn disarm(&self) -> usize {
        mem::take(&mut self.state().traps).len()
    }

    /// Counts bytes that have been read and springs the traps they step on.
    pub(super) fn pass(&self, bytes: &mut [u8]) -> Passed {
        let mut state = self.state();
        let start = state.traffic.bytes;
        let mut passed = Passed { keep: bytes.len(), fault: None };
        while let Some((at, action)) =
            state.traps.pop_front_if(|(at, _)| *at < start + bytes.len() as u64)
        {
            // Smaller than the length of the slice.
            let offset = (at - start) as usize;
            match action {
                Action::Flip(bit) => bytes[offset] ^= 1 << bit,
                // Nobody may be listening any more.
                Action::Tell(tell) => drop(tell.send(())),
                Action::Fault(fault) => {
                    passed = Passed { keep: offset, fault: Some(fault) };
                    break;
                }
            }
        }
        state.traffic.bytes += passed.keep as u64;
        passed
    }

    /// Puts bytes on the line; returns when the last of them is on it.
    pub(super) fn transmit(&self, bytes: usize) -> Instant {
        let mut state = self.state();
        let now = Instant::now();
        let Some(rate) = state.shape.bytes_per_second else {
            state.free_at = now;
            state.note_use(now, now);
            return now;
        };
        let took = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        let begin = state.free_at.max(now.checked_sub(BURST).unwrap_or(now));
        let end = begin + took;
        state.free_at = end;
        state.note_use(begin.max(now), end.max(now));
        // What the line has saved up makes it wider for a moment, never shorter.
        end.max(now)
    }
}

impl State {
    fn note_use(&mut self, begin: Instant, end: Instant) {
        let since = match self.last_use {
            Some(last) if begin.saturating_duration_since(last) <= self.pause => last,
            _ => begin,
        };
        self.traffic.busy += end.saturating_duration_since(since);
        self.last_use = Some(end.max(since));
    }
}
