//! What strangers and broken clients send a node costs it nothing for long.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use caesar_client::JobState;
use caesar_e2e::{Limits, Pair, PairPlan, Party, resources::Resources, synthetic::Numbers};
use common::{
    Good, node_binary, quick_job, run,
    tls::{PREFACE, tls},
};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// `limits.handshake_timeout_seconds` of the nodes.
const HANDSHAKE: Duration = Duration::from_secs(1);
/// `limits.peer_timeout_seconds`, after which a connection that does not answer a ping is closed: a
/// listed client may have announced a long frame and not sent it.
const SILENCE: Duration = Duration::from_secs(6);
/// Within this time a node must have closed a connection that it does not want.
const CLOSED: Duration = Duration::from_secs(20);
/// Of what is sent. Printed when the test fails.
const SEED: u64 = 20_260_202;
/// Connections at the same time.
const AT_ONCE: usize = 24;

/// TLS clients of all kinds.
struct Identities {
    /// Shows a certificate that the node does not list.
    stranger: Arc<ClientConfig>,
    /// Shows no certificate.
    nobody: Arc<ClientConfig>,
    /// Shows the one of the client that the node lists.
    known: Arc<ClientConfig>,
}

impl Identities {
    fn new(folder: &Path, node: Party) -> Self {
        let with = |identity| {
            let config = tls(folder, node, identity, &[&rustls::version::TLS13]);
            Arc::new(config.unwrap())
        };
        Self { stranger: with(Some("stranger")), nobody: with(None), known: with(Some("client")) }
    }
}

fn garbage(numbers: &mut Numbers) -> Vec<u8> {
    // As long as a preface at least, or a listed client would just be a silent one.
    let length = 24 + numbers.bits() % 4096;
    (0..length).map(|_| numbers.bits() as u8).collect()
}

fn connection(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap()
}

fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut bytes = Vec::new();
    connection(config).write_tls(&mut bytes).unwrap();
    bytes
}

/// Sends one connection's worth of garbage and waits for the node to close it.
///
/// # Panics
/// If it does not.
fn bother(node: SocketAddr, identities: &Identities, number: u64) {
    let mut numbers = Numbers::new(SEED ^ number.rotate_left(20));
    let mut tcp = TcpStream::connect(node).unwrap();
    tcp.set_read_timeout(Some(CLOSED)).unwrap();
    let kind = numbers.bits() % 20;
    // A write fails when the node has closed already, which is what it should do.
    let _ = match kind {
        0..=5 => tcp.write_all(&garbage(&mut numbers)),
        6..=8 => tcp.write_all(PREFACE),
        9 => {
            let bytes = hello(&identities.known);
            tcp.write_all(&bytes[..bytes.len() / 2])
        }
        10 => hello(&identities.known).iter().try_for_each(|byte| {
            thread::sleep(Duration::from_millis(15));
            tcp.write_all(&[*byte])
        }),
        11 => {
            // A whole greeting with something wrong in it.
            let mut bytes = hello(&identities.known);
            let place = numbers.bits() as usize % bytes.len();
            bytes[place] ^= 1 << (numbers.bits() % 8);
            tcp.write_all(&bytes)
        }
        12..=14 => return over_tls(tcp, &identities.stranger, PREFACE, number),
        15..=16 => return over_tls(tcp, &identities.nobody, PREFACE, number),
        17..=18 => return over_tls(tcp, &identities.known, &garbage(&mut numbers), number),
        _ => {
            let sent = [PREFACE, &garbage(&mut numbers), &[0xff; 64]].concat();
            return over_tls(tcp, &identities.known, &sent, number);
        }
    };
    await_end(&mut tcp, number);
}

fn over_tls(tcp: TcpStream, config: &Arc<ClientConfig>, sent: &[u8], number: u64) {
    let mut stream = StreamOwned::new(connection(config), tcp);
    let _ = stream.write_all(sent);
    await_end(&mut stream, number);
}

fn await_end(stream: &mut impl std::io::Read, number: u64) {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("connection {number} of seed {SEED} is still open after {CLOSED:?}")
            }
            Err(_) => return,
        }
    }
}

/// Connections number `numbers`, some at the same time.
fn flood(node: SocketAddr, identities: &Identities, numbers: std::ops::Range<u64>) {
    let next = AtomicUsize::new(numbers.start as usize);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                        if number >= numbers.end {
                            return;
                        }
                        bother(node, identities, number);
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

fn pair(folder: &Path, log_level: &'static str) -> Pair {
    let good = Good::write(folder, 256, 128);
    let limits = Limits {
        handshake_timeout_seconds: HANDSHAKE.as_secs(),
        peer_timeout_seconds: SILENCE.as_secs(),
        ..Limits::default()
    };
    let catalogues = (good.catalogue(Party::A), good.catalogue(Party::B));
    let plan = PairPlan::new(node_binary(), catalogues.0, catalogues.1);
    Pair::start(&PairPlan { limits, log_level, ..plan }).unwrap()
}

/// After so many connections the node has the memory and the files it had before, and serves.
async fn survives(connections: u64) {
    /// First the node gets used to garbage and jobs: its allocator keeps what it has needed once.
    const WARM_UP: u64 = 300;
    /// What the resident memory may differ by: 3 KiB for each of a thousand connections, of which
    /// one with its TLS buffers has 20 KiB and more.
    const MARGIN_KIB: u64 = 3 * 1024;

    let folder = tempfile::tempdir().unwrap();
    let pair = pair(folder.path(), "info");
    let bank = pair.client(Party::B).await.unwrap();
    let job = run(&bank, &quick_job("before")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);

    let (node, pid) = (pair.node(Party::B).address(), pair.node(Party::B).pid());
    let identities = Identities::new(pair.folder(), Party::B);
    let now = || Resources::of(pid).unwrap();
    let files_before = now().open_files;
    let settled = |what: &str| {
        let start = Instant::now();
        while now().open_files > files_before {
            assert!(start.elapsed() < CLOSED, "{what}: {:?}", now());
            thread::sleep(Duration::from_millis(100));
        }
    };
    tokio::task::block_in_place(|| {
        flood(node, &identities, 0..WARM_UP);
        settled("after the warm-up");
    });
    let before = now().resident_kib;
    tokio::task::block_in_place(|| {
        flood(node, &identities, WARM_UP..WARM_UP + connections);
        settled("after the flood");
    });
    let after = now().resident_kib;
    println!("{connections} connections: {before} KiB before, {after} KiB after");
    assert!(after <= before + MARGIN_KIB, "{before} KiB before, {after} KiB after");

    let job = run(&bank, &quick_job("after")).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let log = pair.node(Party::B).log_tail(usize::MAX);
    assert!(!log.contains("panic"), "{log}");
    pair.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_garbage_connections_leave_memory_and_service_as_before() {
    survives(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; part of the nightly suite"]
async fn ten_thousand_garbage_connections_leave_memory_and_service_as_before() {
    survives(10_000).await;
}

/// Lines of a log that the HTTP/2 and gRPC libraries have written.
fn lines_of_servers(log: &str) -> Vec<&str> {
    let libraries = ["h2::", "hyper::", "hyper_util::", "tonic::", "tower::"];
    log.lines().filter(|line| libraries.iter().any(|library| line.contains(library))).collect()
}

/// At the level `trace` those libraries write of every frame they read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_unauthenticated_connection_reaches_a_parser() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = pair(folder.path(), "trace");
    let (node, identities) =
        (pair.node(Party::B).address(), Identities::new(pair.folder(), Party::B));
    // The peer's own connection would be in the log too.
    pair.node_mut(Party::A).stop(Duration::from_secs(10)).unwrap();
    let log = pair.folder().join("bank.log");
    let length = || fs::metadata(&log).unwrap().len() as usize;
    let mut from = length();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = length();
        if now == from {
            break;
        }
        from = now;
    }
    let since = |from: usize| {
        let text = fs::read(&log).unwrap();
        String::from_utf8_lossy(&text[from..]).into_owned()
    };

    tokio::task::block_in_place(|| {
        for config in [&identities.stranger, &identities.nobody] {
            // The preface leaves in the same flight as the end of the handshake.
            over_tls(TcpStream::connect(node).unwrap(), config, PREFACE, 0);
        }
        for sent in [PREFACE, &hello(&identities.known)[..40], &[0x17, 3, 3, 0, 1, 0]] {
            let mut tcp = TcpStream::connect(node).unwrap();
            tcp.set_read_timeout(Some(CLOSED)).unwrap();
            tcp.write_all(sent).unwrap();
            await_end(&mut tcp, 0);
        }
    });
    let written = since(from);
    assert!(written.contains("connection refused"), "the connections are not in the log");
    assert_eq!(lines_of_servers(&written), Vec::<&str>::new());

    // The same bytes from a client that the node lists are parsed, and the log shows it.
    let from = length();
    let mut stream =
        StreamOwned::new(connection(&identities.known), TcpStream::connect(node).unwrap());
    stream.write_all(PREFACE).unwrap();
    stream.read_exact(&mut [0; 9]).unwrap();
    assert!(!lines_of_servers(&since(from)).is_empty(), "this test would see nothing");
    drop(stream);
    pair.stop().unwrap();
}
