//! What an idle session costs, and how soon all watches on one znode are delivered.

use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns};
use nix::sys::time::TimeSpec;
use paddock_integration::raw_client::RawClient;
use paddock_messages::client::ops::PathWatch;
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::CreateMode;

use crate::servers::{Kind, Server};
use crate::{Options, aim, median, verdict};

const PATH: &str = "/watched";
/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Connections that are opened before the first of them is answered: backlogs are short.
const AT_ONCE: usize = 32;
/// Deliveries, for a median.
const DELIVERIES: usize = 9;
/// How often it is looked whether the next session has its event.
const NAP: Duration = Duration::from_millis(100);
/// Of a frame that tells of a change of [`PATH`].
const EVENT_BYTES: usize = 4 + 16 + 8 + 4 + PATH.len();
/// Bytes of an idle session, at most.
const SESSION_GATE: f64 = 3_000.0;
/// The last watch is delivered after at most this part of Java's time.
const WATCH_GATE: f64 = 0.25;
/// What is aimed at of both.
const SESSION_AIM: f64 = 1_500.0;
const WATCH_AIM: f64 = 0.125;
/// The part of a core that a server may take while nobody asks for anything.
const IDLE_GATE: f64 = 0.01;

struct Measured {
    idle_cores: f64,
    session_bytes: f64,
    watch_bytes: f64,
    delivered_ms: f64,
}

/// Measures, prints, and says whether the gates hold.
pub(crate) fn run(options: &Options) -> bool {
    let [java, paddock] = [Kind::Java, Kind::Paddock].map(|kind| measure(kind, options.sessions));
    let count = options.sessions;
    let kernel_ms = kernel_alone(count);
    let by_java = paddock.delivered_ms / java.delivered_ms;
    let by_kernel = paddock.delivered_ms / kernel_ms;
    let (is_small, is_soon) = (paddock.session_bytes <= SESSION_GATE, by_java <= WATCH_GATE);
    println!(
        "\n| {count} sessions | Java | Paddock | : Java | at most | holds | {} |\n|---|---:|---:|---:|---:|---:|---:|---:|",
        aim::HEAD
    );
    println!(
        "| idle session, bytes resident | {:.0} | {:.0} | {:.2} | {SESSION_GATE} B | {} | {} |",
        java.session_bytes,
        paddock.session_bytes,
        paddock.session_bytes / java.session_bytes,
        verdict(is_small),
        aim::cells(&format!("{SESSION_AIM} B"), paddock.session_bytes <= SESSION_AIM)
    );
    println!(
        "| with a watch on the same znode, bytes more | {:.0} | {:.0} | | | | | |",
        java.watch_bytes, paddock.watch_bytes
    );
    println!(
        "| last watch delivered, ms | {:.1} | {:.1} | {by_java:.2} | {WATCH_GATE} | {} | {} |",
        java.delivered_ms,
        paddock.delivered_ms,
        verdict(is_soon),
        aim::cells(&WATCH_AIM.to_string(), by_java <= WATCH_AIM)
    );
    println!(
        "| of the {kernel_ms:.1} ms that the kernel takes for as many packets | {:.2} | {by_kernel:.2} | | | | | |",
        java.delivered_ms / kernel_ms
    );
    let is_idle = paddock.idle_cores <= IDLE_GATE;
    println!(
        "| part of a core, without any session | {:.4} | {:.4} | | {IDLE_GATE} | {} | {} |",
        java.idle_cores,
        paddock.idle_cores,
        verdict(is_idle),
        aim::NONE
    );
    is_small && is_soon && is_idle
}

fn measure(kind: Kind, count: usize) -> Measured {
    let server = Server::start(kind);
    let idle_cores = server.idle_cores();
    let mut writer = RawClient::connect(server.address()).expect("it serves");
    writer.create(PATH, b"", CreateMode::Persistent).expect("it is new");
    // What a server makes once, for its first clients, is not the price of a session.
    let first = connect(server.address(), AT_ONCE);
    let before = server.resident();
    let mut sessions = connect(server.address(), count);
    let idle = server.resident();
    watch(&mut sessions);
    let watching = server.resident();
    let mut times = Vec::new();
    for _ in 0..DELIVERIES {
        times.push(deliver(&mut writer, &mut sessions).as_secs_f64() * 1e3);
        watch(&mut sessions);
    }
    drop(first);
    let measured = Measured {
        idle_cores,
        session_bytes: (idle - before) / count as f64,
        watch_bytes: (watching - idle) / count as f64,
        delivered_ms: median(times),
    };
    eprintln!(
        "{kind:?}: {:.0} B a session, {:.0} B a watch, last delivered after {:.1} ms",
        measured.session_bytes, measured.watch_bytes, measured.delivered_ms
    );
    measured
}

/// Sessions whose handshake is answered.
fn connect(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 40_000,
        session_id: 0,
        password: Some(Bytes::from_static(&[0; 16])),
    };
    let mut hello = Vec::new();
    frame(&mut hello, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
    let mut sessions = Vec::with_capacity(count);
    while sessions.len() < count {
        let begin = sessions.len();
        for _ in 0..AT_ONCE.min(count - begin) {
            let mut stream =
                TcpStream::connect(to).expect("it accepts; is the limit of open files high enough?");
            stream.set_nodelay(true).expect("a socket");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            setsockopt(&stream, ReceiveTimestampns, &true).expect("a socket");
            stream.write_all(&hello).expect("it reads");
            sessions.push(stream);
        }
        sessions[begin..].iter_mut().for_each(|stream| drop(take_frame(stream)));
    }
    sessions
}

/// Leaves a watch by each session; they are asked all at once.
fn watch(sessions: &mut [TcpStream]) {
    let mut request = Vec::new();
    frame(&mut request, |to| {
        RequestHeader { xid: 1, opcode: OpCode::GetData as i32 }.write(to);
        PathWatch { path: PATH.into(), watch: true }.write(to);
    });
    sessions.iter_mut().for_each(|stream| stream.write_all(&request).expect("it reads"));
    sessions.iter_mut().for_each(|stream| drop(take_frame(stream)));
}

/// From the write until the last session has its event, by the kernel's time of each. Nobody sleeps on a socket
/// meanwhile: sessions are many machines, and a server that wakes one reader after the other here would be measured with
/// its reader. Nor is each looked at until all is over, which would take from the server a core that many machines
/// do not take.
fn deliver(writer: &mut RawClient, sessions: &mut [TcpStream]) -> Duration {
    let block = |is_blocking: bool| {
        sessions.iter().for_each(|stream| stream.set_nonblocking(!is_blocking).expect("a socket"));
    };
    block(false);
    let (began, deadline) = (SystemTime::now(), Instant::now() + PATIENCE);
    writer.queue_set(PATH, b"", -1);
    writer.flush().expect("it reads");
    for (have, stream) in sessions.iter().enumerate() {
        while !has_mail(stream) {
            assert!(Instant::now() < deadline, "{} sessions have no event", sessions.len() - have);
            std::thread::sleep(NAP);
        }
    }
    block(true);
    let last = sessions.iter().map(take_event).max().expect("there are sessions");
    writer.reply().and_then(|reply| reply.ok()).expect("the write is answered");
    last.duration_since(began).expect("the clock was not set back")
}

/// What a packet to each of so many connections costs whoever sends, in ms: every core does nothing else, and each
/// packet is as long as an event.
fn kernel_alone(count: usize) -> f64 {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = port.local_addr().expect("a port");
    let pairs: Vec<_> = (0..count)
        .map(|_| {
            let reader = TcpStream::connect(to).expect("it listens");
            let (writer, _) = port.accept().expect("it has connected");
            writer.set_nodelay(true).expect("a socket");
            (writer, reader)
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, |it| it.get());
    let event = [b'e'; EVENT_BYTES];
    let times = (0..DELIVERIES).map(|_| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for pairs in pairs.chunks(count.div_ceil(cores)) {
                let send = |(writer, _): &(TcpStream, _)| (&*writer).write_all(&event).expect("it has room");
                scope.spawn(move || pairs.iter().for_each(send));
            }
        });
        let took = began.elapsed();
        for (_, reader) in &pairs {
            (&*reader).read_exact(&mut [0; EVENT_BYTES]).expect("it was sent");
        }
        took.as_secs_f64() * 1e3
    });
    median(times)
}

/// When a session's event came.
fn take_event(stream: &TcpStream) -> SystemTime {
    let (mut frame, mut control) = ([0; 512], nix::cmsg_space!(TimeSpec));
    let mut parts = [IoSliceMut::new(&mut frame)];
    let told = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
    let told = told.expect("an event");
    let came = told.cmsgs().expect("a time").find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(UNIX_EPOCH + Duration::from(time)),
        _ => None,
    });
    assert_eq!(told.bytes, EVENT_BYTES, "one event, and all of it");
    assert_eq!(frame[4..8], (-1i32).to_be_bytes(), "an event");
    came.expect("the kernel tells when what it gives came")
}

fn has_mail(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(count) => count > 0 || panic!("the server has closed the connection"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("no event: {error}"),
    }
}

/// The only frame there is: all of it comes with one read, but for what the kernel cuts.
fn take_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 512];
    let mut have = 0;
    loop {
        have += match stream.read(&mut frame[have..]) {
            Ok(0) => panic!("the server has closed the connection"),
            Ok(count) => count,
            Err(error) => panic!("no answer: {error}"),
        };
        let length = frame[..have].first_chunk().map(|length| 4 + u32::from_be_bytes(*length) as usize);
        if length == Some(have) {
            frame.truncate(have);
            return frame.split_off(4);
        }
    }
}
