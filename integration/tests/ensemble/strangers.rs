//! Whoever speaks another protocol at a port that is for members does not disturb them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_integration::ensemble::PATIENCE;
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::wire::frame;
use paddock_messages::znode::CreateMode;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::trees;
use crate::world::{client, serving};

/// Connections that each stranger makes to each port.
const EACH: usize = 5;
/// The longest that a client may wait for an answer meanwhile, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// What strangers say, by who they are.
fn strangers() -> Vec<(&'static str, Vec<u8>)> {
    let mut garbage = vec![0; 100_000];
    StdRng::seed_from_u64(7).fill_bytes(&mut garbage);
    let mut handshake = Vec::new();
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 10_000,
        session_id: 0,
        password: Some(Bytes::from_static(&[0; 16])),
    };
    frame(&mut handshake, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
    // As an election of Java's members begins: protocol version, id, length and address.
    let java =
        [&(-65_536_i64).to_be_bytes()[..], &1_i64.to_be_bytes(), &14_i32.to_be_bytes(), b"127.0.0.1:3888"];
    vec![
        ("a scanner", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat()),
        ("noise", garbage),
        ("zeros", vec![0; 10_000]),
        ("a frame without end", [&i32::MAX.to_be_bytes()[..], &[1; 1_000]].concat()),
        ("a frame of negative length", (-1_i32).to_be_bytes().to_vec()),
        ("a client", handshake),
        ("an operator", b"srvr".to_vec()),
        ("a member of another make", java.concat()),
        ("one that says nothing", Vec::new()),
    ]
}

/// Connects and says it; the connection is open still. What is sent may meet a connection that is closed already.
fn speak(to: SocketAddr, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(words);
    stream
}

#[test]
fn strangers_at_the_members_ports_disturb_nobody() {
    let (_dir, mut ensemble) = serving(3, 1, "");
    let leader = ensemble.await_leader();
    let mut clients: Vec<_> = ensemble.ids().into_iter().map(|id| client(&ensemble, id)).collect();
    clients[leader as usize - 1].create("/counter", b"", CreateMode::Persistent).unwrap();
    let epoch = ensemble.epoch(leader);
    let ports: Vec<_> = ensemble.ids().into_iter().flat_map(|id| ensemble.peer_addresses(id)).collect();
    let (mut open, mut version) = (Vec::new(), 0);
    for (who, words) in strangers() {
        for to in &ports {
            open.extend((0..EACH).map(|_| (who, *to, speak(*to, &words))));
        }
        for client in &mut clients {
            let began = Instant::now();
            version = client.set("/counter", who.as_bytes(), version).unwrap().version;
            assert!(began.elapsed() < SERVED_WITHIN, "beside {who} a client waited {:?}", began.elapsed());
        }
    }
    // Whoever was understood to be a stranger is turned out, sooner or later; one that says nothing, too.
    for (who, to, mut stream) in open {
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let closed =
            end.as_ref().map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
        assert!(closed, "{who} at {to}: {end:?}");
    }
    for client in &mut clients {
        version = client.set("/counter", b"on", version).unwrap().version;
    }
    assert_eq!(
        (ensemble.leader(), ensemble.epoch(leader)),
        (Some(leader), epoch),
        "nobody had to elect anew"
    );
    assert_eq!(trees::same(&ensemble)["/counter"].1.version, version);
}
