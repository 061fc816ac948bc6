//! A connection whose frames are taken as they come, and whose end is something seen, not a failure.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes};
use paddock_messages::client::ops::PathWatch;
use paddock_messages::client::session::{ConnectFields, ConnectRequest, ConnectResponse};
use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::wire::{Wire, frame};

use super::observe::Frame;

/// Longer than any answer takes on a machine with other work; then the server is said to be silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Of the read that shows that nothing more will come: no operation has it.
const DRAIN_XID: i32 = 0x7fff_fff0;

/// Who a connection speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) id: i64,
    pub(crate) password: Bytes,
    pub(crate) last_zxid: i64,
}

impl Who {
    pub(crate) fn nobody() -> Self {
        Self { id: 0, password: Bytes::from_static(&[0; 16]), last_zxid: 0 }
    }
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` takes the next.
    pub(crate) xid: Option<i32>,
    pub(crate) opcode: i32,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    next_xid: i32,
}

impl Link {
    /// Connects and shakes hands; the link is `None` if the server refused the session.
    pub(crate) fn open(
        to: SocketAddr,
        who: &Who,
        timeout_ms: i32,
    ) -> io::Result<(Option<Self>, ConnectResponse)> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: who.last_zxid,
            timeout_ms,
            session_id: who.id,
            password: Some(who.password.clone()),
        };
        let mut out = Vec::new();
        frame(&mut out, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
        stream.write_all(&out)?;
        let mut body = read_frame(&mut stream)?;
        let response = ConnectResponse::read(&mut body).map_err(io::Error::other)?;
        let granted = response.timeout_ms > 0;
        Ok((granted.then_some(Self { stream, next_xid: 1 }), response))
    }

    /// Sends a request and takes what comes up to its reply, both included.
    pub(crate) fn request(&mut self, xid: Option<i32>, opcode: i32, body: &[u8]) -> Vec<Frame> {
        self.requests(&[Call { xid, opcode, body: body.to_vec() }])
    }

    /// Sends requests in one write, then takes what comes up to the last reply.
    pub(crate) fn requests(&mut self, calls: &[Call]) -> Vec<Frame> {
        let mut out = Vec::new();
        for Call { xid, opcode, body } in calls {
            let (xid, opcode) = (xid.unwrap_or(self.next_xid), *opcode);
            self.next_xid += 1;
            frame(&mut out, |to| {
                RequestHeader { xid, opcode }.write(to);
                to.extend_from_slice(body);
            });
        }
        let mut missing = calls.len();
        self.send(&out, |frame| {
            missing -= usize::from(!matches!(frame, Frame::Event { .. }));
            missing == 0
        })
    }

    /// Reads something and takes what comes before the answer: all that others have done. (A ping waits for
    /// nobody else's doings, where their connections are another thread's.)
    pub(crate) fn drain(&mut self) -> Vec<Frame> {
        let mut out = Vec::new();
        frame(&mut out, |to| {
            RequestHeader { xid: DRAIN_XID, opcode: OpCode::Exists as i32 }.write(to);
            PathWatch { path: "/".into(), watch: false }.write(to);
        });
        let mut seen = self.send(&out, |frame| matches!(frame, Frame::Reply { xid: DRAIN_XID, .. }));
        if matches!(seen.last(), Some(Frame::Reply { xid: DRAIN_XID, .. })) {
            seen.pop();
        }
        seen
    }

    fn send(&mut self, bytes: &[u8], mut is_last: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        // A connection that is closed says so when it is read.
        let _ = self.stream.write_all(bytes);
        let mut seen = Vec::new();
        loop {
            let frame = match read_frame(&mut self.stream) {
                Ok(bytes) => Frame::parse(bytes),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    Frame::Silent
                }
                Err(_) => Frame::Closed,
            };
            let last = is_last(&frame) || matches!(frame, Frame::Silent | Frame::Closed);
            seen.push(frame);
            if last {
                return seen;
            }
        }
    }

    /// Takes what comes before the server closes, which it does.
    pub(crate) fn await_close(&mut self) -> Vec<Frame> {
        self.send(&[], |_| false)
    }

    /// Ends it, and waits until the server has: Java forgets which connection a session has when it closes
    /// any of its connections, also one that is newer by then (ServerCnxnFactory.removeCnxnFromSessionMap).
    pub(crate) fn hang_up(mut self) {
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.await_close();
        }
    }
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = (&len[..]).get_u32() as usize;
    if len > 1 << 26 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {len} bytes")));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok(body.into())
}
