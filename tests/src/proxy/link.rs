//! What all connections of a proxy share.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Action, Fault, Shape, Traffic, Way, lane::Lane};

/// Shortest pause between bytes that counts as the programs' own.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Link {
    forth: Lane,
    back: Lane,
    /// When the line carries bytes again.
    held_until: watch::Sender<Option<Instant>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    upstream: SocketAddr,
    refused_until: Option<Instant>,
    /// One a connection.
    open: Vec<watch::Sender<Option<Fault>>>,
}

impl Link {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        Self {
            forth: Lane::new(),
            back: Lane::new(),
            held_until: watch::Sender::new(None),
            inner: Mutex::new(Inner { upstream, refused_until: None, open: Vec::new() }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::Forth => &self.forth,
            Way::Back => &self.back,
        }
    }

    pub(super) fn upstream(&self) -> SocketAddr {
        self.inner().upstream
    }

    pub(super) fn set_upstream(&self, upstream: SocketAddr) {
        self.inner().upstream = upstream;
    }

    pub(super) fn shape(&self, way: Way, shape: Shape) {
        self.lane(way).set_shape(shape);
        let round_trip = self.forth.shape().delay + self.back.shape().delay;
        for lane in [&self.forth, &self.back] {
            lane.set_pause((2 * round_trip).max(LEAST_PAUSE));
        }
    }

    pub(super) fn arm(&self, way: Way, after: u64, action: Action) {
        self.lane(way).arm(after, action);
    }

    pub(super) fn disarm(&self) -> usize {
        self.forth.disarm() + self.back.disarm()
    }

    pub(super) fn traffic(&self, way: Way) -> Traffic {
        self.lane(way).traffic()
    }

    pub(super) fn inflict(&self, fault: Fault) {
        for connection in &self.inner().open {
            // A half-open connection can still be cut; a cut one is gone.
            connection.send_replace(Some(fault));
        }
    }

    pub(super) fn refuse_for(&self, time: Duration) {
        self.inner().refused_until = Some(Instant::now() + time);
    }

    pub(super) fn refuses(&self) -> bool {
        self.inner().refused_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn hold_for(&self, time: Duration) {
        self.held_until.send_replace(Some(Instant::now() + time));
    }

    /// Waits while the line is held.
    pub(super) async fn held(&self) {
        let mut held = self.held_until.subscribe();
        loop {
            let until = *held.borrow_and_update();
            let Some(until) = until.filter(|until| Instant::now() < *until) else { return };
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                // It may be held longer, or shorter.
                _ = held.changed() => {}
            }
        }
    }

    /// A new connection; what it receives is what happens to it.
    pub(super) fn join(&self) -> watch::Receiver<Option<Fault>> {
        let (tx, rx) = watch::channel(None);
        let mut inner = self.inner();
        inner.open.retain(|other| !other.is_closed());
        inner.open.push(tx);
        rx
    }

    pub(super) fn connections(&self) -> usize {
        self.inner().open.iter().filter(|c| !c.is_closed()).count()
    }
}
