use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;

const ROUTE: Route = Route { from: 2, to: 1, lane: Lane::Quorum };
/// What does not come within this does not come.
const A_WHILE: Duration = Duration::from_millis(300);
/// Never reached when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay with one route, and who is dialled by it.
fn relay() -> (Relay, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    (Relay::start([(ROUTE, listener.local_addr().unwrap())]), listener)
}

fn dial(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.address(ROUTE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn dialled(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn hears(stream: &mut TcpStream, words: &[u8]) {
    let mut heard = vec![0; words.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, words);
}

fn hears_nothing(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

fn is_closed(stream: &mut TcpStream) {
    assert!(matches!(stream.read(&mut [0]), Ok(0)), "it goes on");
}

#[test]
fn what_is_said_arrives_so_late_in_order_and_to_the_end() {
    let (relay, listener) = relay();
    let (mut one, delay) = (dial(&relay), Duration::from_millis(100));
    let mut other = dialled(&listener);
    relay.delay_all(delay);
    for (from, to) in [(0, 1), (1, 0)] {
        let ends = [&mut one, &mut other];
        let began = Instant::now();
        ends[from].write_all(b"a").unwrap();
        ends[from].write_all(b"b").unwrap();
        hears(ends[to], b"ab");
        let took = began.elapsed();
        assert!(took >= delay, "{took:?}");
    }
    one.write_all(b"last").unwrap();
    drop(one);
    hears(&mut other, b"last");
    is_closed(&mut other);
    assert_eq!(relay.accepted(ROUTE), 1);
}

#[test]
fn of_a_connection_that_is_cut_one_end_learns_nothing() {
    for closed in [End::Dialler, End::Dialled] {
        let (relay, listener) = relay();
        let (mut one, mut other) = (dial(&relay), dialled(&listener));
        one.write_all(b"a").unwrap();
        hears(&mut other, b"a");
        relay.cut(Route { lane: Lane::All, ..ROUTE }, closed);
        let (told, untold) = match closed {
            End::Dialler => (&mut one, &mut other),
            End::Dialled => (&mut other, &mut one),
        };
        is_closed(told);
        untold.write_all(&[7; 100_000]).unwrap();
        hears_nothing(untold);
        // The next is as before.
        let (mut next, mut dialled) = (dial(&relay), dialled(&listener));
        next.write_all(b"b").unwrap();
        hears(&mut dialled, b"b");
    }
}

#[test]
fn what_is_held_arrives_behind_what_came_later() {
    let (relay, listener) = relay();
    relay.on_arrivals(ROUTE, Arrivals::Held);
    let mut old = dial(&relay);
    old.write_all(b"old").unwrap();
    drop(old);
    while relay.accepted(ROUTE) == 0 {
        std::thread::yield_now();
    }
    relay.on_arrivals(ROUTE, Arrivals::Carried);
    let mut new = dial(&relay);
    new.write_all(b"new").unwrap();
    hears(&mut dialled(&listener), b"new");
    relay.release(ROUTE);
    let mut late = dialled(&listener);
    hears(&mut late, b"old");
    is_closed(&mut late);
}

#[test]
fn who_is_silent_takes_everything_and_says_nothing() {
    let (relay, listener) = relay();
    relay.on_arrivals(ROUTE, Arrivals::Silent);
    let mut one = dial(&relay);
    one.write_all(&[7; 1_000_000]).unwrap();
    hears_nothing(&mut one);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_stalled_route_takes_only_what_the_system_keeps_and_loses_nothing() {
    let (relay, listener) = relay();
    let (mut one, mut other) = (dial(&relay), dialled(&listener));
    relay.stall(ROUTE, true);
    one.set_write_timeout(Some(A_WHILE)).unwrap();
    let mut sent = 0;
    let stopped = loop {
        match one.write(&[7; 100_000]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
    hears_nothing(&mut other);
    relay.stall(ROUTE, false);
    drop(one);
    let mut heard = Vec::new();
    other.read_to_end(&mut heard).unwrap();
    assert_eq!(heard.len(), sent);
}

#[test]
fn a_throttled_route_takes_so_much_a_second_in_either_direction_until_it_is_freed() {
    const RATE: u64 = 256 << 10;
    let (relay, listener) = relay();
    let (mut one, mut other) = (dial(&relay), dialled(&listener));
    relay.throttle(ROUTE, Some(RATE));
    let said = vec![7; RATE as usize];
    for (from, to) in [(0, 1), (1, 0)] {
        let ends = [&mut one, &mut other];
        let began = Instant::now();
        ends[from].write_all(&said).unwrap(); // the system keeps what is not taken yet
        hears(ends[to], &said);
        let took = began.elapsed();
        // All but what is taken at once.
        assert!(took >= Duration::from_millis(700), "{took:?}");
    }
    // Whoever waits because of it waits no longer.
    relay.throttle(ROUTE, Some(1));
    one.write_all(&said).unwrap();
    drop(one);
    let (mut heard, mut chunk) = (0, vec![0; said.len()]);
    other.set_read_timeout(Some(A_WHILE)).unwrap();
    while let Ok(count) = other.read(&mut chunk) {
        heard += count;
    }
    assert!(heard < said.len(), "all of it has come");
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    relay.throttle(ROUTE, None);
    let mut rest = Vec::new();
    other.read_to_end(&mut rest).unwrap();
    assert_eq!(heard + rest.len(), said.len());
}

#[test]
fn connections_end_with_the_relay_and_with_nobody_to_dial() {
    let (relay, listener) = relay();
    let (mut one, mut other) = (dial(&relay), dialled(&listener));
    drop(listener);
    is_closed(&mut dial(&relay));
    drop(relay);
    is_closed(&mut one);
    is_closed(&mut other);
}
