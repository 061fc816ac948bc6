//! The records of the client protocol.

use bytes::Bytes;
use paddock_messages::client::request::{Request, path_of_prefix, read_header};
use paddock_messages::client::session::{ConnectRequest, ConnectResponse};
use paddock_messages::client::{OpCode, ReplyHeader};
use paddock_messages::wire::Wire;

use crate::differential::observe::Frame;
use crate::golden::records::{reply_again, request_again};

/// A request's header and body; the opcode is the first byte's, so that every one is met.
pub fn request(data: &[u8]) {
    let Some((&which, body)) = data.split_first() else { return };
    let opcode = OpCode::ALL[usize::from(which) % OpCode::ALL.len()];
    let body = Bytes::copy_from_slice(body);
    let _ = path_of_prefix(opcode, body.clone());
    let _ = read_header(&mut body.clone());
    if let Ok(request) = ConnectRequest::read(body.clone()) {
        let mut again = Vec::new();
        request.write(&mut again);
        assert_eq!(ConnectRequest::read(again.into()).as_ref(), Ok(&request), "FZ2");
    }
    let Ok(request) = Request::read(opcode, &mut body.clone()) else { return };
    let Ok(again) = request_again(opcode as i32, &body) else { return };
    assert_eq!(Request::read(opcode, &mut again.into()), Ok(request), "FZ2: {opcode:?}");
}

/// What a server sends: a handshake's answer, replies to the first byte's opcode, events.
pub fn reply(data: &[u8]) {
    let Some((&which, body)) = data.split_first() else { return };
    let opcode = OpCode::ALL[usize::from(which) % OpCode::ALL.len()] as i32;
    let body = Bytes::copy_from_slice(body);
    let _ = ConnectResponse::read(&mut body.clone());
    let _ = Frame::parse(body.clone());
    if let Ok(again) = reply_again(opcode, &body) {
        let again = Bytes::from(again);
        assert_eq!(reply_again(opcode, &again).map(Bytes::from), Ok(again), "FZ2: reply to {opcode}");
    }
    let mut rest = body;
    if ReplyHeader::read(&mut rest).is_ok() {
        let _ = reply_again(opcode, &rest);
    }
}
