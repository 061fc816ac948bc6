//! Very many connections, and one with very many requests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_messages::client::ops::{PathWatch, SetData};
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::CreateMode;

use crate::field::{Field, MIB, PATIENCE, Witness, open_files, wait_until};

const CROWD: usize = 10_000;
/// What a test process needs beside its clients.
const OWN_FILES: usize = 200;
/// Handshakes sent before their answers are read.
const AT_ONCE: usize = 500;

pub(crate) fn hello(timeout_ms: i32) -> Vec<u8> {
    let (protocol_version, last_zxid_seen, session_id) = (0, 0, 0);
    let password = Some(Bytes::from_static(&[0; 16]));
    let fields = ConnectFields { protocol_version, last_zxid_seen, timeout_ms, session_id, password };
    let mut bytes = Vec::new();
    frame(&mut bytes, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
    bytes
}

pub(crate) fn greeted(mut stream: &TcpStream) {
    let mut answer = [0; 41];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer[8..12] != [0; 4], "a timeout was granted");
}

#[test]
fn ten_thousand_idle_sessions_are_kept_and_others_served() {
    let allowed = open_files().saturating_sub(OWN_FILES);
    let crowd = CROWD.min(allowed);
    if crowd < CROWD {
        println!("\nskipped: open files allow only {crowd} idle connections here, not {CROWD} (ulimit -Hn)");
    }
    let field = Field::new("maxClientCnxns=0\nmaxSessionTimeout=600000");
    field.client().close().unwrap(); // what the first session needs is there
    let before = field.resident();
    let witness = Witness::start(&field);
    let began = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < crowd {
        let first = streams.len();
        for _ in 0..AT_ONCE.min(crowd - first) {
            let mut stream = field.socket();
            stream.write_all(&hello(600_000)).unwrap();
            streams.push(stream);
        }
        streams[first..].iter().for_each(greeted);
    }
    println!("crowd: {crowd} sessions after {:?}", began.elapsed());
    assert!(field.told("num_alive_connections") >= crowd as u64);
    assert!(field.told("global_sessions") >= crowd as u64);
    let each = (field.resident() - before) / crowd as u64;
    println!("crowd: {each} bytes of resident memory a session");
    assert!(each < 3_000, "{each} bytes a session");
    let mut ping = Vec::new();
    frame(&mut ping, |to| RequestHeader { xid: -2, opcode: OpCode::Ping as i32 }.write(to));
    streams.iter().step_by(100).for_each(|mut stream| {
        stream.write_all(&ping).unwrap();
        stream.read_exact(&mut [0; 20]).unwrap();
    });
    witness.stop("crowd");
    drop(streams);
    let gone = || field.told("num_alive_connections") < 10;
    wait_until("the end of the crowd", || format!("{} are left", field.told("num_alive_connections")), gone);
}

#[test]
fn maxclientcnxns_counts_each_address_by_itself() {
    let field = Field::new("maxClientCnxns=2");
    let from = |last: u8| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
        socket.connect(&field.to().into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&hello(30_000)).unwrap();
        stream
    };
    let mut kept = Vec::new();
    for host in 2..12 {
        for _ in 0..2 {
            let stream = from(host);
            greeted(&stream);
            kept.push(stream);
        }
    }
    let mut third = from(2);
    assert!(matches!(third.read(&mut [0]), Ok(0) | Err(_)));
    field.wait_for_line(&[
        "client 127.0.0.2:",
        "2 connections from this address already (maxClientCnxns)",
        "raise it",
    ]);
    assert_eq!(field.refused("max_client_cnxns"), 1);
}

/// Requests that one connection sends without waiting for an answer.
const PIPELINED: i32 = 1_000_000;
/// A sender that got rid of nothing for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_millis(500);
/// Each tenth is a write.
const WRITE_EVERY: i32 = 10;

fn pipeline(mut stream: TcpStream, sent: &AtomicUsize) {
    let mut bytes = Vec::new();
    for xid in 1..=PIPELINED {
        let is_write = xid % WRITE_EVERY == 0;
        let opcode = if is_write { OpCode::SetData } else { OpCode::Exists } as i32;
        frame(&mut bytes, |to| {
            RequestHeader { xid, opcode }.write(to);
            if is_write {
                SetData { path: "/a".into(), data: Some(Bytes::from_static(b"again")), version: -1 }
                    .write(to);
            } else {
                PathWatch { path: "/a".into(), watch: false }.write(to);
            }
        });
        if bytes.len() > 1 << 20 || xid == PIPELINED {
            for part in bytes.chunks(1 << 14) {
                stream.write_all(part).unwrap();
                sent.fetch_add(part.len(), Ordering::Relaxed);
            }
            bytes.clear();
        }
    }
}

/// Returns once no more was sent for a while: all of it, or what the server takes before it is read
/// from. (Should the machine have stood still meanwhile, less has piled up, and nothing fails for it.)
fn until_stuck(sent: &AtomicUsize) -> usize {
    let mut before = 0;
    loop {
        std::thread::sleep(STUCK_AFTER);
        let now = sent.load(Ordering::Relaxed);
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

#[test]
fn a_million_pipelined_requests_are_answered_in_order_in_bounded_memory() {
    let field = Field::new("maxClientCnxns=0\nsnapCount=1000000000");
    field.client().create("/a", b"", CreateMode::Persistent).unwrap();
    let before = field.resident();
    let witness = Witness::start(&field);
    let mut stream = field.socket();
    stream.write_all(&hello(40_000)).unwrap();
    greeted(&stream);
    let began = Instant::now();
    let sender = stream.try_clone().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&sent);
    let sending = std::thread::spawn(move || pipeline(sender, &counting));
    let taken = until_stuck(&sent);
    println!("pipeline: {taken} bytes of requests taken before the first answer is");
    let mut answers = std::io::BufReader::with_capacity(1 << 20, stream);
    let mut version = 0;
    for xid in 1..=PIPELINED {
        let mut head = [0; 20];
        answers.read_exact(&mut head).unwrap();
        let int = |at: usize| i32::from_be_bytes(*head[at..].first_chunk().unwrap());
        let mut stat = [0; 68];
        assert_eq!((int(0), int(4), int(16)), (16 + 68, xid, 0), "length, xid, error");
        answers.read_exact(&mut stat).unwrap();
        version += i32::from(xid % WRITE_EVERY == 0);
        let seen = i32::from_be_bytes(*stat[32..].first_chunk().unwrap());
        assert_eq!(seen, version, "request {xid} sees all before it and none after");
    }
    sending.join().unwrap();
    let took = began.elapsed();
    let most = witness.stop("pipeline");
    println!("pipeline: {PIPELINED} requests in {took:?}, {} MiB before", before / MIB);
    assert!(most < before + 64 * MIB, "{} MiB, then {} MiB", before / MIB, most / MIB);
    assert!(took < Duration::from_secs(120));
}

/// strace makes each sync last so long, as a bad disk does.
const SYNC: Duration = Duration::from_millis(300);

#[test]
fn requests_that_wait_for_a_slow_disk_take_bounded_memory() {
    let inject = format!("inject=fdatasync:delay_enter={}", SYNC.as_micros());
    let slow = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject];
    let field = Field::under("maxClientCnxns=0\nsnapCount=1000000000", &slow);
    field.client().create("/a", b"", CreateMode::Persistent).unwrap();
    let before = field.resident();
    let witness = Witness::start(&field);
    let mut stream = field.socket();
    stream.write_all(&hello(40_000)).unwrap();
    greeted(&stream);
    // A client that sends 10 KB writes as fast as they are taken: gigabytes a second if all are.
    stream.set_write_timeout(Some(SYNC)).unwrap();
    let data = Bytes::from(vec![7; 10_000]);
    let began = Instant::now();
    let mut bytes = Vec::new();
    for xid in 1.. {
        if began.elapsed() > 10 * SYNC {
            break;
        }
        frame(&mut bytes, |to| {
            RequestHeader { xid, opcode: OpCode::SetData as i32 }.write(to);
            SetData { path: "/a".into(), data: Some(data.clone()), version: -1 }.write(to);
        });
        if let Ok(count) = stream.write(&bytes) {
            bytes.drain(..count);
        }
    }
    let most = witness.stop("slow disk");
    // What one connection may have in flight is a megabyte, here and in each step of a write's way.
    assert!(most < before + 64 * MIB, "{} MiB, then {} MiB", before / MIB, most / MIB);
}
