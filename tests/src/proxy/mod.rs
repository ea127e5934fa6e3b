//! A TCP proxy that behaves like a bad network: slow, far away, cut, silent, corrupting.
//!
//! It stands between the node that connects and the one that listens, and it needs no rights:
//!
//! ```text
//! connecting node  ── Way::Forth ──▶  FaultProxy  ──▶  listening node
//!                  ◀── Way::Back ───              ◀──
//! ```
//!
//! [`FaultProxy`] is the handle. Everything can be changed while connections are open. The proxy
//! draws no random numbers: what it does follows from the calls and from the bytes that pass, so a
//! seeded plan of calls is a seeded fault. It sees ciphertext of TLS only.

mod connection;
mod lane;
mod link;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::HarnessError;
use link::Link;

pub use lane::{Shape, Traffic};

/// A direction, seen from the side that connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the side that connects to the side that listens.
    Forth,
    /// The other.
    Back,
}

impl Way {
    /// Both.
    pub const BOTH: [Way; 2] = [Way::Forth, Way::Back];
}

/// What happens to every connection that is open at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both ends see an orderly end (FIN), after what was already on its way.
    Close,
    /// Both ends see a reset (RST); what was on its way is lost.
    Reset,
    /// Nothing passes any more in either direction, and neither end is told.
    HalfOpen,
}

/// What happens when a certain byte passes.
#[derive(Debug)]
enum Action {
    /// The byte and those after it fare like this.
    Fault(Fault),
    /// This bit of the byte is inverted.
    Flip(u8),
    /// Somebody is told that the byte has come by. Nothing happens to it.
    Tell(oneshot::Sender<()>),
}

/// A running proxy. Dropping it resets its connections and frees its port.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    link: Arc<Link>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FaultProxy {
    /// Listens on a free port of the loopback interface and forwards to `upstream`, unhindered at
    /// first. It works on a thread of its own, so that a test that blocks cannot slow it.
    ///
    /// # Errors
    /// If there is no port or thread to be had.
    pub fn start(upstream: SocketAddr) -> Result<Self, HarnessError> {
        let action = || HarnessError::io("cannot start the fault proxy");
        let link = Arc::new(Link::new(upstream));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let shared = link.clone();
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || serve(shared, &tell, stopped))
            .map_err(action())?;
        let address = told.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        let address = address.map_err(action())?;
        Ok(Self { address, link, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections are forwarded to from now on.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.link.set_upstream(upstream);
    }

    /// How one direction carries bytes from now on, on open connections too.
    pub fn shape(&self, way: Way, shape: Shape) {
        self.link.shape(way, shape);
    }

    /// The same for both directions.
    pub fn shape_both(&self, shape: Shape) {
        for way in Way::BOTH {
            self.shape(way, shape);
        }
    }

    /// Does this to all open connections, now. New connections are not affected.
    pub fn inflict(&self, fault: Fault) {
        self.link.inflict(fault);
    }

    /// Does this as soon as `after` more bytes have passed in this direction.
    pub fn inflict_after(&self, way: Way, after: u64, fault: Fault) {
        self.link.arm(way, after, Action::Fault(fault));
    }

    /// Inverts bit `bit` (0 to 7) of the byte that comes after `after` more bytes.
    pub fn flip_after(&self, way: Way, after: u64, bit: u8) {
        self.link.arm(way, after, Action::Flip(bit % 8));
    }

    /// Is ready when `after` more bytes have passed in this direction.
    pub fn tell_after(&self, way: Way, after: u64) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.link.arm(way, after, Action::Tell(tell));
        told
    }

    /// Forgets what was to happen after some bytes and has not happened yet; returns how much.
    pub fn disarm(&self) -> usize {
        self.link.disarm()
    }

    /// New connections are reset at once for so long. Open ones go on.
    pub fn refuse_for(&self, time: Duration) {
        self.link.refuse_for(time);
    }

    /// Nothing passes for so long, and then everything that waited does. No connection ends.
    pub fn hold_for(&self, time: Duration) {
        self.link.hold_for(time);
    }

    /// What has passed in a direction since the start.
    pub fn traffic(&self, way: Way) -> Traffic {
        self.link.traffic(way)
    }

    /// Connections that are open now, half-open ones included.
    pub fn connections(&self) -> usize {
        self.link.connections()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

fn serve(
    link: Arc<Link>,
    tell: &mpsc::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async {
        let listener = match connection::listen() {
            Ok(listener) => listener,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let _ = tell.send(listener.local_addr());
        tokio::select! {
            // The handle never sends; it is dropped.
            _ = stopped => {}
            () = connection::accept_loop(listener, link) => {}
        }
    });
}
