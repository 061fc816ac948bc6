//! Frames that are none, too large, or cut short.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;

use paddock_integration::raw_client::{ClientError, RawClient};
use paddock_messages::client::OpCode;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::write_str;
use paddock_messages::znode::CreateMode;

use crate::field::{Field, Witness, is_closed};

/// `jute.maxbuffer` here.
const MAX: usize = 10_000;

fn framed(length: i32, body: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes()[..], body].concat()
}

#[test]
fn what_is_no_handshake_is_closed_counted_and_logged_with_its_peer() {
    // Not because its time is up: there is more of that than the test waits for.
    let field = Field::new(&format!("jute.maxbuffer={MAX}\nnio.sessionlessCnxnTimeout=600000"));
    let witness = Witness::start(&field);
    for (what, bytes, reason) in [
        ("a negative length", framed(-1, b""), "bad_length"),
        ("the most negative", framed(i32::MIN, b"x"), "bad_length"),
        ("the largest length", framed(i32::MAX, b"x"), "bad_length"),
        ("above jute.maxbuffer before the handshake", framed(MAX as i32 + 1, &[0; 300]), "bad_length"),
        ("an empty frame", framed(0, b""), "no_handshake"),
        ("garbage of a handshake's length", framed(44, &[0xee; 44]), "no_handshake"),
        ("a request", framed(8, &[0, 0, 0, 1, 0, 0, 0, 3]), "no_handshake"),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "tls"),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "http"),
        ("text", b"hello, is anybody there?\r\n".to_vec(), "bad_length"),
    ] {
        let before = field.refused(reason);
        let mut stream = field.socket();
        stream.write_all(&bytes).unwrap();
        assert!(is_closed(&stream), "{what} is not closed");
        assert_eq!(field.refused(reason), before + 1, "{what}");
        field.wait_for_line(&[&format!("client {} ", stream.local_addr().unwrap()), "closed"]);
    }
    for cut in [0, 1, 3, 4, 20, 47] {
        let mut stream = field.socket();
        stream.write_all(&framed(45, &[0; 44])[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(is_closed(&stream), "a handshake cut at {cut}");
    }
    witness.stop("no handshakes");
}

/// Of sessions here, in ms: nothing is closed because one has expired.
const NEVER: i32 = 600_000;

/// Sends bytes behind the handshake; true if the connection is closed for them, and not only silent.
fn closes(mut client: RawClient, bytes: &[u8]) -> bool {
    client.send_bytes(bytes).unwrap();
    let waited = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    matches!(client.reply(), Err(ClientError::Io(error)) if !waited.contains(&error.kind()))
}

#[test]
fn frames_after_the_handshake_are_refused_one_by_one_or_close_their_connection_alone() {
    let field = Field::new(&format!("jute.maxbuffer={MAX}\nmaxSessionTimeout={NEVER}"));
    let witness = Witness::start(&field);
    field.client().create("/a", b"", CreateMode::Persistent).unwrap();

    let header = |opcode: OpCode| [7i32.to_be_bytes(), (opcode as i32).to_be_bytes()].concat();
    let over = i32::try_from(16 * MAX + 1).unwrap();
    for (what, bytes, reason) in [
        ("a negative length", framed(-7, b""), "bad_length"),
        ("more than 16 times the limit", framed(over, &header(OpCode::SetData)), "bad_length"),
        (
            "too large a multi",
            framed(MAX as i32 + 1, &[&header(OpCode::Multi)[..], &[0; 400]].concat()),
            "bad_length",
        ),
        ("less than a header", framed(5, b"12345"), "undecodable"),
    ] {
        let before = field.refused(reason);
        assert!(closes(field.client_for(NEVER), &bytes), "{what} does not close");
        assert_eq!(field.refused(reason), before + 1, "{what}");
    }

    // One connection is refused in every way that leaves it open, and goes on.
    let mut client = field.client();
    let large = vec![b'x'; 15 * MAX]; // more than is read at once, and than at twice
    for _ in 0..3 {
        let refused = client.set("/a", &large, -1).unwrap_err();
        assert_eq!(refused.to_string(), format!("refused: {}", ErrorCode::Marshalling));
        client.get("/a").unwrap();
    }
    assert_eq!(field.refused("too_large"), 3);
    client.queue_raw(1_000, OpCode::GetData as i32, |to| to.extend([0xff; 3]));
    client.queue_raw(1_001, 4_711, |_| {});
    client.queue_raw(1_002, OpCode::Exists as i32, |to| {
        write_str("/a", to);
        to.push(0);
    });
    client.flush().unwrap();
    let codes = [0; 3].map(|_| client.reply().unwrap().header.err);
    assert_eq!(codes, [ErrorCode::Marshalling.code(), ErrorCode::Unimplemented.code(), 0]);
    assert_eq!(field.refused("undecodable"), 2);
    field.wait_for_line(&["sent 150", "bytes for", "/a", "jute.maxbuffer"]);
    field.wait_for_line(&["cannot be decoded"]);
    assert_eq!(field.refused("unimplemented"), 1);
    let peer = client.local_addr().unwrap();
    field.wait_for_line(&[&format!("client {peer} "), "operation 4711", "refused: "]);
    client.close().unwrap();

    let mut cut = field.client();
    cut.send_bytes(&framed(100, b"only this")).unwrap();
    cut.hang_up();
    witness.stop("bad frames");
}
