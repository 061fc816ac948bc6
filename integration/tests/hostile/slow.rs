//! Clients that take their time: connections that never finish a handshake, or a frame.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::field::{Field, Witness, is_closed, wait_until};

const MANY: usize = 200;
/// A byte at a time, this often: four in the time that is allowed for all 49.
const DRIP_EVERY: Duration = Duration::from_millis(250);
/// The whole handshake but for its last byte: far longer than is allowed.
const DRIPS: usize = 48;

fn hello() -> Vec<u8> {
    let mut bytes = 45i32.to_be_bytes().to_vec();
    bytes.extend([0; 4 + 8]);
    bytes.extend(30_000i32.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(16i32.to_be_bytes());
    bytes.extend([0; 17]);
    bytes
}

#[test]
fn half_open_and_dripping_connections_are_closed_in_time() {
    let field = Field::new("maxClientCnxns=0\nnio.sessionlessCnxnTimeout=1000");
    let witness = Witness::start(&field);
    let silent: Vec<_> = (0..MANY).map(|_| field.socket()).collect();
    let partial: Vec<_> = (0..MANY).map(|_| field.socket()).collect();
    partial.iter().for_each(|mut stream| stream.write_all(&hello()[..30]).unwrap());
    let dripping: Vec<_> = (0..MANY).map(|_| field.socket()).collect();
    // A byte now and then is no handshake: their time ends while they are still dripping.
    let all = || field.refused("half_open") >= 3 * MANY as u64;
    let in_time = hello()[..DRIPS].iter().any(|byte| {
        // Those that are closed meanwhile take no more.
        dripping.iter().for_each(|mut stream| drop(stream.write(&[*byte])));
        std::thread::sleep(DRIP_EVERY);
        all()
    });
    assert!(in_time, "{} closed after {DRIPS} bytes of a handshake", field.refused("half_open"));
    for (what, streams) in [("silent", &silent), ("partial", &partial), ("dripping", &dripping)] {
        assert!(streams.iter().all(is_closed), "{what}");
    }
    assert_eq!(field.refused("half_open"), 3 * MANY as u64);
    assert_eq!(field.told("sessionless_connections_expired"), 3 * MANY as u64);
    field.wait_for_line(&["client 127.0.0.1:", "no whole handshake within 1000 ms"]);
    witness.stop("half-open");
}

#[test]
fn a_frame_that_never_ends_is_no_sign_of_life() {
    let field = Field::new("tickTime=200\nmaxClientCnxns=0");
    let witness = Witness::start(&field);
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..50 {
        let mut stream = field.socket();
        stream.write_all(&hello()).unwrap(); // granted at most 20 ticks: 4 s
        stream.write_all(&1_000_000i32.to_be_bytes()).unwrap(); // more than the test sends
        streams.push(stream);
    }
    wait_until("50 sessions", || field.server.log(), || field.told("global_sessions") >= 50);
    let began = Instant::now();
    wait_until(
        "the expiry of all",
        || field.server.log(),
        || {
            streams.iter().for_each(|mut stream| drop(stream.write(b"x")));
            field.told("stale_sessions_expired") >= 50
        },
    );
    assert!(streams.iter().all(is_closed));
    println!("dripping frames: expired and closed after {:?}", began.elapsed());
    witness.stop("endless frames");
}
