//! Two threads of this process as the two parties.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::{AnyError, Channel, Role};

/// Both ends of a connection over loopback. `via` gives the address to connect to, which forwards to the
/// address that is listened on.
pub(crate) fn connect(
    via: impl FnOnce(SocketAddr) -> Result<SocketAddr, AnyError>,
) -> Result<[Channel; 2], AnyError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let first = TcpStream::connect(via(listener.local_addr()?)?)?;
    let (second, _) = listener.accept()?;
    Ok([Channel::new(first)?, Channel::new(second)?])
}

/// Prepares both parties, and when both are ready runs and times them. Each has one thread for its
/// arithmetic. The time is that of the slower one.
pub(crate) fn run<I: Send, P, T: Send>(
    inputs: [I; 2],
    prepare: impl Fn(Role, I) -> Result<P, AnyError> + Sync,
    work: impl Fn(P) -> Result<T, AnyError> + Sync,
) -> Result<([T; 2], Duration), AnyError> {
    let ready = Barrier::new(2);
    let party = |role, input| -> Result<(T, Duration), AnyError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        pool.install(|| {
            let prepared = prepare(role, input);
            // Also by a party that has failed: the other one waits for it.
            ready.wait();
            let start = Instant::now();
            let result = work(prepared?)?;
            Ok((result, start.elapsed()))
        })
    };
    let [first, second] = inputs;
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| party(Role::Second, second));
        let first = party(Role::First, first);
        (first, second.join())
    });
    let panicked = |_| AnyError::from("a party has panicked");
    let ((first, took_first), (second, took_second)) = (first?, second.map_err(panicked)??);
    Ok(([first, second], took_first.max(took_second)))
}
