//! One connection through the proxy: two pipes and what happens to them.

use std::{future::pending, io, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{Fault, Way, link::Link};

/// What a socket holds for a throttled line: a router's buffer, not a lake.
const SOCKET_BUFFER: u32 = 256 * 1024;
/// Bytes of one direction of one connection that may be on the line: half a second of a gigabit.
const ON_THE_LINE: usize = 64 << 20;
/// How long the rest of a closed connection is read and dropped, so that its end is a FIN.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes on their way, or the end of them.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

pub(super) fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Accepted sockets have the listener's buffer.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1024)
}

pub(super) async fn accept_loop(listener: TcpListener, link: Arc<Link>) {
    loop {
        // Out of file descriptors, mostly: wait instead of spinning.
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if link.refuses() {
            reset(socket);
            continue;
        }
        let fate = link.join();
        tokio::spawn(connection(socket, link.clone(), fate));
    }
}

/// Ends a connection with a RST.
fn reset(socket: TcpStream) {
    // On failure it ends with a FIN, which is the best there is.
    let _ = socket.set_zero_linger();
    drop(socket);
}

async fn connection(
    mut from: TcpStream,
    link: Arc<Link>,
    mut fate: watch::Receiver<Option<Fault>>,
) {
    let dialled = tokio::select! {
        dialled = dial(&link) => dialled,
        _ = fate.changed() => Err(io::ErrorKind::Interrupted.into()),
    };
    let Ok(mut to) = dialled else { return reset(from) };
    let _ = from.set_nodelay(true);
    let ended = {
        let (from_read, from_write) = from.split();
        let (to_read, to_write) = to.split();
        let forth = pipe(&link, Way::Forth, from_read, to_write, fate.clone());
        let back = pipe(&link, Way::Back, to_read, from_write, fate.clone());
        let both = async { tokio::try_join!(forth, back) };
        tokio::select! {
            // First, so that nothing passes that came after the fault.
            biased;
            () = befalls(&mut fate, &[Fault::Reset, Fault::HalfOpen]) => {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            ended = both => ended.map(drop),
        }
    };
    let fault = *fate.borrow();
    match (ended, fault) {
        // Both sides have said that they are done, or were told so.
        (Ok(()), _) => farewell(&mut from, &mut to).await,
        // The fault can still become another one.
        (Err(_), Some(Fault::HalfOpen)) => {
            befalls(&mut fate, &[Fault::Close, Fault::Reset]).await;
            reset(from);
            reset(to);
        }
        // One side has broken off, so the other hears of it in the same way.
        (Err(_), _) => {
            reset(from);
            reset(to);
        }
    }
}

async fn dial(link: &Link) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    let stream = socket.connect(link.upstream()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits for one of these faults.
async fn befalls(fate: &mut watch::Receiver<Option<Fault>>, faults: &[Fault]) {
    let is_one = |fate: &Option<Fault>| fate.is_some_and(|fault| faults.contains(&fault));
    if fate.wait_for(is_one).await.is_err() {
        // Nobody is left who could inflict one.
        pending::<()>().await;
    }
}

/// Reads the rest of both and drops it: closing a socket with unread bytes would reset it.
async fn farewell(from: &mut TcpStream, to: &mut TcpStream) {
    async fn drain(socket: &mut TcpStream) {
        let mut rest = vec![0; 16 * 1024];
        while socket.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    }
    let _ = timeout(FAREWELL, async { tokio::join!(drain(from), drain(to)) }).await;
}

/// Carries one direction until its end, or until it is told to close.
///
/// # Errors
/// Those of either side.
pub(super) async fn pipe(
    link: &Link,
    way: Way,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    fate: watch::Receiver<Option<Fault>>,
) -> io::Result<()> {
    let (put, take) = mpsc::unbounded_channel();
    tokio::try_join!(load(link, way, from, put, fate), deliver(link, to, take)).map(drop)
}

/// Reads, at the rate of the line, and puts what was read on it.
async fn load(
    link: &Link,
    way: Way,
    mut from: impl AsyncRead + Unpin,
    line: mpsc::UnboundedSender<Parcel>,
    mut fate: watch::Receiver<Option<Fault>>,
) -> io::Result<()> {
    let lane = link.lane(way);
    let room = Arc::new(Semaphore::new(ON_THE_LINE));
    let mut buffer = vec![0; 64 * 1024];
    let reading = async {
        loop {
            link.held().await;
            let size = lane.chunk();
            let read = from.read(&mut buffer[..size]).await?;
            if read == 0 {
                return Ok(());
            }
            let passed = lane.pass(&mut buffer[..read]);
            if passed.keep > 0 {
                let units = passed.keep as u32;
                let permit = room.clone().acquire_many_owned(units).await;
                let on_the_line = lane.transmit(passed.keep);
                sleep_until(on_the_line).await;
                let due = on_the_line + lane.shape().delay;
                let bytes = buffer[..passed.keep].to_vec();
                // The other end fails only together with this one.
                let _ = line.send(Parcel { due, bytes, _room: permit.ok() });
            }
            if let Some(fault) = passed.fault {
                link.inflict(fault);
                // What comes after the trap's byte must not pass; the fault ends this task.
                if fault != Fault::Close {
                    pending::<()>().await;
                }
            }
        }
    };
    let ended = tokio::select! {
        biased;
        () = befalls(&mut fate, &[Fault::Close]) => Ok(()),
        ended = reading => ended,
    };
    let _ = line.send(Parcel {
        due: Instant::now() + lane.shape().delay,
        bytes: Vec::new(),
        _room: None,
    });
    ended
}

/// Hands over what has arrived.
async fn deliver(
    link: &Link,
    mut to: impl AsyncWrite + Unpin,
    mut line: mpsc::UnboundedReceiver<Parcel>,
) -> io::Result<()> {
    while let Some(parcel) = line.recv().await {
        sleep_until(parcel.due).await;
        link.held().await;
        if parcel.bytes.is_empty() {
            break;
        }
        to.write_all(&parcel.bytes).await?;
    }
    to.shutdown().await
}
