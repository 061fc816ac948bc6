use std::net::TcpListener;
use std::thread::JoinHandle;

use paddock_messages::client::session::ConnectResponse;
use paddock_messages::ids::SessionId;
use paddock_messages::znode::{CreateMode, Stat};

use super::*;

/// A server that reads as many frames as there are answers and sends each answer after its frame; it
/// returns the bodies it read.
fn server(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<Bytes>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let mut stream = listener.accept().unwrap().0;
        let answer = |answer: Vec<u8>| {
            let body = read_frame(&mut stream).unwrap();
            stream.write_all(&answer).unwrap();
            body
        };
        answers.into_iter().map(answer).collect()
    };
    (address, std::thread::spawn(serve))
}

fn framed(body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, body);
    bytes
}

fn granted(read_only: Option<bool>) -> Vec<u8> {
    framed(|to| ConnectResponse::granted(SessionId(77), 4000).write_with(read_only, to))
}

fn header(xid: i32, zxid: i64, err: i32) -> Vec<u8> {
    framed(|to| ReplyHeader { xid, zxid, err }.write(to))
}

#[test]
fn the_handshake_is_44_bytes_or_45_and_takes_what_is_granted() {
    for (read_only, len) in [(None, 44), (Some(true), 45)] {
        let (to, served) = server(vec![granted(read_only)]);
        let handshake = Handshake { read_only, last_zxid_seen: 5, ..Handshake::default() };
        let client = RawClient::connect_with(to, &handshake).unwrap();
        assert_eq!((client.session().id, client.session().timeout_ms), (77, 4000));
        assert_eq!((client.session().password.len(), client.read_only()), (16, read_only));
        assert_eq!(client.last_zxid(), 5);
        assert_eq!(served.join().unwrap()[0].len(), len);
    }
}

#[test]
fn a_session_is_taken_over_with_its_id_and_password() {
    let (to, served) = server(vec![granted(Some(false))]);
    let session = Session { id: 77, password: Bytes::from_static(&[9; 16]), timeout_ms: 4000 };
    RawClient::reattach(to, &session, 6).unwrap();
    let sent = ConnectRequest::read(served.join().unwrap()[0].clone()).unwrap().fields;
    assert_eq!((sent.session_id, sent.password, sent.last_zxid_seen), (77, Some(session.password), 6));
}

#[test]
fn a_session_that_is_gone_and_a_server_that_hangs_up_are_told_apart() {
    let (to, _served) = server(vec![framed(|to| ConnectResponse::expired().write_with(None, to))]);
    assert!(matches!(RawClient::connect(to), Err(ClientError::Expired)));
    let (to, _served) = server(vec![Vec::new()]);
    assert!(RawClient::connect(to).is_err_and(|error| error.is_disconnect()));
}

#[test]
fn replies_come_in_order_and_events_are_set_aside() {
    let event = framed(|to| {
        ReplyHeader { xid: xid::EVENT, zxid: 9, err: 0 }.write(to);
        (3_i32).write(to);
        (3_i32).write(to);
        ByteString::from_static("/a").write(to);
    });
    let stat = framed(|to| {
        ReplyHeader { xid: 1, zxid: 10, err: 0 }.write(to);
        Stat { version: 4, ..Stat::default() }.write(to);
    });
    let answers = vec![granted(None), [event, stat].concat(), header(2, 11, -101), header(7, 12, 0)];
    let (to, served) = server(answers);
    let mut client = RawClient::connect(to).unwrap();
    client.queue_set("/a", b"x", -1);
    client.queue_delete("/b", 3);
    client.queue_create("/c", b"", CreateMode::Ephemeral);
    assert_eq!(client.in_flight(), 3);
    client.flush().unwrap();
    assert_eq!(Stat::read(&mut client.reply().unwrap().ok().unwrap()).unwrap().version, 4);
    assert_eq!(client.events, [Event { zxid: 9, kind: 3, path: "/a".into() }]);
    let refused = client.reply().unwrap().ok();
    assert!(matches!(refused, Err(ClientError::Refused(ErrorCode::NoNode))));
    assert_eq!((client.in_flight(), client.last_zxid()), (1, 11));
    assert!(matches!(client.reply(), Err(ClientError::OutOfOrder { expected: 3, got: 7 })));
    let requests = served.join().unwrap();
    let headers = requests[1..].iter().map(|body| RequestHeader::read(&mut body.clone()).unwrap());
    let opcodes: Vec<_> = headers.map(|header| (header.xid, header.opcode)).collect();
    assert_eq!(opcodes, [(1, 5), (2, 2), (3, 1)]);
}
