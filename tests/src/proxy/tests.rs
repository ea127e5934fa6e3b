use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::watch,
    time::Instant,
};

use super::{Action, Fault, FaultProxy, Shape, Way, connection::pipe, lane::Lane, link::Link};

const MS: Duration = Duration::from_millis(1);
/// Longest wait of a test that would otherwise hang.
const LIMIT: Duration = Duration::from_secs(20);

/// A pipe in memory, on a clock that jumps from timer to timer: times are exact on any machine.
fn piped(link: &Arc<Link>, way: Way) -> (DuplexStream, DuplexStream) {
    let (near, from) = duplex(1 << 20);
    let (to, far) = duplex(1 << 20);
    let link = link.clone();
    tokio::spawn(async move {
        let (_keep, fate) = watch::channel(None);
        pipe(&link, way, from, to, fate).await
    });
    (near, far)
}

fn link() -> Arc<Link> {
    Arc::new(Link::new((Ipv4Addr::LOCALHOST, 1).into()))
}

#[tokio::test(start_paused = true)]
async fn a_long_line_is_not_a_slow_one() {
    const BYTES: usize = 5_000_000;
    let link = link();
    // 100 ms there and back and 20 Mbit/s: 2.5 MB/s.
    let shape = Shape::line(100 * MS, 20);
    for way in Way::BOTH {
        link.shape(way, shape);
    }
    for way in Way::BOTH {
        let (mut near, mut far) = piped(&link, way);
        let start = Instant::now();
        let sent = tokio::spawn(async move { near.write_all(&vec![7; BYTES]).await });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        sent.await.unwrap().unwrap();
        assert_eq!(got.len(), BYTES, "{way:?}");

        let took = start.elapsed().as_secs_f64();
        let of_the_rate = BYTES as f64 / 2.5e6 / (took - 0.05);
        assert!((0.95..1.01).contains(&of_the_rate), "{way:?}: {of_the_rate} in {took} s");
        let traffic = link.traffic(way);
        assert_eq!(traffic.bytes, BYTES as u64);
        let used = traffic.utilisation(2_500_000);
        assert!((0.95..1.01).contains(&used), "{way:?}: {traffic:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_that_of_its_own_direction() {
    let link = link();
    link.shape(Way::Forth, Shape { delay: 30 * MS, ..Shape::OPEN });
    link.shape(Way::Back, Shape { delay: 70 * MS, ..Shape::OPEN });
    let (mut near, mut far) = piped(&link, Way::Forth);
    let (mut answering, mut answered) = piped(&link, Way::Back);
    for _ in 0..3 {
        let start = Instant::now();
        near.write_all(b"?").await.unwrap();
        far.read_u8().await.unwrap();
        let forth = start.elapsed();
        answering.write_all(b"!").await.unwrap();
        answered.read_u8().await.unwrap();
        let both = start.elapsed();
        // The timer's own grain is a millisecond.
        assert!((30 * MS..=32 * MS).contains(&forth), "{forth:?}");
        assert!((100 * MS..=104 * MS).contains(&both), "{both:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_connections_share_one_rate_and_waiting_for_an_answer_is_no_utilisation() {
    let link = link();
    link.shape(Way::Forth, Shape::line(100 * MS, 8));
    let start = Instant::now();
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (mut near, mut far) = piped(&link, Way::Forth);
        tokio::spawn(async move { near.write_all(&vec![1; 1_000_000]).await });
        readers.push(tokio::spawn(async move {
            let mut got = Vec::new();
            far.read_to_end(&mut got).await
        }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), 1_000_000);
    }
    // 2 MB at 1 MB/s.
    let took = start.elapsed().as_secs_f64();
    assert!((1.98..2.15).contains(&took), "{took}");

    // 10 kB take 10 ms; then 90 ms go by for an answer: a tenth of the line is used.
    let before = link.traffic(Way::Forth);
    let (mut near, mut far) = piped(&link, Way::Forth);
    for _ in 0..20 {
        near.write_all(&[2; 10_000]).await.unwrap();
        far.read_exact(&mut [0; 10_000]).await.unwrap();
        tokio::time::sleep(40 * MS).await;
    }
    let used = link.traffic(Way::Forth).since(before).utilisation(1_000_000);
    assert!((0.07..0.13).contains(&used), "{used}");

    // A second of computing is not the line's fault.
    let before = link.traffic(Way::Forth);
    for _ in 0..20 {
        tokio::time::sleep(1000 * MS).await;
        near.write_all(&[2; 100_000]).await.unwrap();
        far.read_exact(&mut [0; 100_000]).await.unwrap();
    }
    let used = link.traffic(Way::Forth).since(before).utilisation(1_000_000);
    assert!((0.9..1.2).contains(&used), "{used}");
}

#[tokio::test(start_paused = true)]
async fn a_held_line_loses_nothing_and_ends_nothing() {
    let link = link();
    let (mut near, mut far) = piped(&link, Way::Forth);
    link.hold_for(5000 * MS);
    let start = Instant::now();
    near.write_all(b"late").await.unwrap();
    let mut got = [0; 4];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"late");
    assert!((5000 * MS..5010 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn traps_spring_at_their_byte_and_only_once() {
    let lane = Lane::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    lane.arm(4, Action::Flip(7));
    lane.arm(2, Action::Tell(tell));
    lane.arm(6, Action::Fault(Fault::Reset));
    lane.arm(8, Action::Flip(0));

    let mut first = [0; 4];
    let passed = lane.pass(&mut first);
    assert_eq!((passed.keep, passed.fault, first), (4, None, [0; 4]));
    told.await.unwrap();
    let mut second = [0; 4];
    let passed = lane.pass(&mut second);
    assert_eq!((passed.keep, passed.fault, second), (2, Some(Fault::Reset), [0x80, 0, 0, 0]));
    assert_eq!(lane.traffic().bytes, 6);
    // What was cut off did not pass, so the last trap is two bytes away.
    let mut third = [0; 4];
    let passed = lane.pass(&mut third);
    assert_eq!((passed.keep, passed.fault, third), (4, None, [0, 0, 1, 0]));
    assert_eq!(lane.disarm(), 0);
}

/// A real connection through a real proxy: the connecting end and the listening end.
fn connected(proxy: &FaultProxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let near = TcpStream::connect(proxy.address()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for end in [&near, &far] {
        end.set_read_timeout(Some(LIMIT)).unwrap();
        end.set_nodelay(true).unwrap();
    }
    (near, far)
}

fn proxy() -> (FaultProxy, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    (FaultProxy::start(listener.local_addr().unwrap()).unwrap(), listener)
}

fn read_exactly(end: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut got = vec![0; bytes];
    end.read_exact(&mut got).unwrap();
    got
}

#[test]
fn bytes_pass_both_ways_and_are_counted_and_ends_are_passed_on() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    near.write_all(&[1; 100_000]).unwrap();
    assert_eq!(read_exactly(&mut far, 100_000), [1; 100_000]);
    far.write_all(&[2; 5_000]).unwrap();
    assert_eq!(read_exactly(&mut near, 5_000), [2; 5_000]);
    assert_eq!(proxy.traffic(Way::Forth).bytes, 100_000);
    assert_eq!(proxy.traffic(Way::Back).bytes, 5_000);
    assert_eq!(proxy.connections(), 1);

    // One direction ends, the other goes on.
    near.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
    far.write_all(b"still").unwrap();
    assert_eq!(read_exactly(&mut near, 5), b"still");
    drop(far);
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_cut_is_a_fin_or_a_reset_after_exactly_so_many_bytes() {
    let (proxy, listener) = proxy();
    for (fault, way) in
        [(Fault::Close, Way::Forth), (Fault::Close, Way::Back), (Fault::Reset, Way::Forth)]
    {
        let (near, far) = connected(&proxy, &listener);
        let (mut sender, mut receiver) = match way {
            Way::Forth => (near, far),
            Way::Back => (far, near),
        };
        proxy.inflict_after(way, 1000, fault);
        // The write itself may already fail.
        let _ = sender.write_all(&[3; 200_000]);
        let mut got = Vec::new();
        let end = receiver.read_to_end(&mut got);
        match fault {
            Fault::Close => {
                end.unwrap();
                assert_eq!(got.len(), 1000, "{way:?}");
            }
            _ => {
                assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
                assert!(got.len() <= 1000);
            }
        }
        // The other end hears of it too, and nothing is open any more.
        let end = sender.read(&mut [0]);
        assert!(matches!(end, Ok(0) | Err(_)), "{fault:?} {way:?}: {end:?}");
        assert!(end.err().is_none_or(|e| e.kind() == ErrorKind::ConnectionReset));
    }
    // A new connection is not cut.
    let (mut near, mut far) = connected(&proxy, &listener);
    near.write_all(&[4; 5000]).unwrap();
    assert_eq!(read_exactly(&mut far, 5000), [4; 5000]);
}

#[test]
fn exactly_one_bit_is_flipped() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    near.write_all(&[0; 500]).unwrap();
    read_exactly(&mut far, 500);
    proxy.flip_after(Way::Forth, 1234, 5);
    near.write_all(&[0; 10_000]).unwrap();
    let got = read_exactly(&mut far, 10_000);
    let changed: Vec<_> = got.iter().enumerate().filter(|(_, byte)| **byte != 0).collect();
    assert_eq!(changed, [(1234, &32)]);
}

#[test]
fn a_half_open_connection_says_nothing_while_new_ones_work() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    near.write_all(b"before").unwrap();
    read_exactly(&mut far, 6);
    proxy.inflict(Fault::HalfOpen);
    near.write_all(b"after").unwrap();
    far.set_read_timeout(Some(300 * MS)).unwrap();
    let silence = far.read(&mut [0]).unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    // Not even the end of one side comes through.
    drop(near);
    let silence = far.read(&mut [0]).unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");

    let (mut near, mut other) = connected(&proxy, &listener);
    near.write_all(b"new").unwrap();
    assert_eq!(read_exactly(&mut other, 3), b"new");
    // It can still be cut.
    proxy.inflict(Fault::Reset);
    far.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn refusing_ends_by_itself_and_open_connections_go_on() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    proxy.refuse_for(LIMIT);
    let mut refused = TcpStream::connect(proxy.address()).unwrap();
    refused.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    near.write_all(b"old").unwrap();
    assert_eq!(read_exactly(&mut far, 3), b"old");
    proxy.refuse_for(50 * MS);
    std::thread::sleep(60 * MS);
    connected(&proxy, &listener);
}

#[tokio::test(start_paused = true)]
async fn slow_loris_hands_on_one_byte_at_a_time_until_it_is_told_otherwise() {
    let link = link();
    link.shape(Way::Forth, Shape::slow_loris(50));
    let (mut near, mut far) = piped(&link, Way::Forth);
    near.write_all(&[9; 100]).await.unwrap();
    let start = Instant::now();
    let mut buffer = [0; 100];
    for _ in 0..50 {
        assert_eq!(far.read(&mut buffer).await.unwrap(), 1);
    }
    let took = start.elapsed().as_secs_f64();
    assert!((0.95..1.1).contains(&took), "{took}");
    link.shape(Way::Forth, Shape::OPEN);
    let start = Instant::now();
    far.read_exact(&mut buffer[..50]).await.unwrap();
    assert!(start.elapsed() < 50 * MS, "{:?}", start.elapsed());
}

#[test]
fn somebody_is_told_and_a_changed_upstream_is_used() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    let mut told = proxy.tell_after(Way::Forth, 99);
    near.write_all(&[1; 99]).unwrap();
    read_exactly(&mut far, 99);
    assert!(told.try_recv().is_err(), "told before the byte");
    near.write_all(&[1]).unwrap();
    read_exactly(&mut far, 1);
    told.blocking_recv().unwrap();

    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    proxy.set_upstream(other.local_addr().unwrap());
    connected(&proxy, &other);
    // Nobody listens: the connecting side hears of it.
    drop(other);
    let mut refused = TcpStream::connect(proxy.address()).unwrap();
    refused.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn nothing_of_a_dropped_proxy_is_left() {
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    let address = proxy.address();
    drop(proxy);
    for end in [&mut near, &mut far] {
        assert!(matches!(end.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert!(TcpStream::connect(address).is_err());
}

/// On real sockets only the lower bounds hold on any machine.
#[test]
fn a_real_line_is_never_shorter_or_wider_than_its_shape() {
    const BYTES: usize = 1_000_000;
    let (proxy, listener) = proxy();
    let (mut near, mut far) = connected(&proxy, &listener);
    proxy.shape_both(Shape::line(100 * MS, 20));
    let start = std::time::Instant::now();
    near.write_all(b"?").unwrap();
    read_exactly(&mut far, 1);
    far.write_all(b"!").unwrap();
    read_exactly(&mut near, 1);
    assert!(start.elapsed() >= 100 * MS, "{:?}", start.elapsed());

    let start = std::time::Instant::now();
    let sending = std::thread::spawn(move || {
        near.write_all(&vec![5; BYTES]).unwrap();
        near
    });
    read_exactly(&mut far, BYTES);
    // 400 ms at 2.5 MB/s, of which the line may have saved up 10, and 50 ms on the way.
    assert!(start.elapsed() >= 440 * MS, "{:?}", start.elapsed());
    sending.join().unwrap();
}
