//! A blocking ZooKeeper client by hand: what a test says on the wire is exactly what it wrote.
//!
//! Nothing is retried and nothing reconnects. Requests can be queued and sent as one write
//! ([`RawClient::queue`], [`RawClient::flush`]), and replies are taken in the order they come
//! ([`RawClient::reply`]); watch events met on the way are set aside in [`RawClient::events`].

mod calls;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use paddock_messages::client::session::{ConnectFields, ConnectRequest, ConnectResponse};
use paddock_messages::client::{OpCode, ReplyHeader, RequestHeader, xid};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::{DecodeError, Wire, frame};

/// How long one answer may take before the test is told that none came.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// No server sends more in one frame; a greater length means that the stream is out of step.
const MAX_FRAME: usize = 1 << 30;

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed, was closed by the server, or no answer came in time, by default a minute.
    #[error("the connection ended: {0}")]
    Io(#[from] io::Error),
    /// Bytes that are no reply.
    #[error("not a reply: {0}")]
    Decode(#[from] DecodeError),
    /// The server refused the request.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// The server answered with an error number that no client knows.
    #[error("refused with the unknown code {0}")]
    UnknownCode(i32),
    /// The handshake was answered with timeout 0: there is no such session.
    #[error("the session has expired")]
    Expired,
    /// A reply to another request than the one whose turn it is.
    #[error("a reply with xid {got} where {expected} was due")]
    OutOfOrder {
        /// The xid whose reply was due.
        expected: i32,
        /// The one that came.
        got: i32,
    },
}

impl ClientError {
    /// True if the connection broke or was closed, as opposed to an answer of any kind.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Io(_))
    }

    /// True if the connection is there, and no answer came in time.
    pub fn is_silence(&self) -> bool {
        let silent =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        matches!(self, Self::Io(error) if silent(error))
    }
}

/// A session, as the handshake gives it; with it another connection can take the session over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Never 0.
    pub id: i64,
    /// 16 bytes.
    pub password: Bytes,
    /// As granted, in ms.
    pub timeout_ms: i32,
}

/// What a client says in the handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The session timeout asked for, in ms.
    pub timeout_ms: i32,
    /// The session to take over; `None` asks for a new one.
    pub session: Option<Session>,
    /// The highest zxid this client has seen.
    pub last_zxid_seen: i64,
    /// The last byte: `None` leaves it out, as clients up to 3.3 do.
    pub read_only: Option<bool>,
    /// How long the connection, this answer, and each that follows may take; not sent.
    pub answer_limit: Duration,
}

impl Default for Handshake {
    fn default() -> Self {
        Self {
            timeout_ms: 30_000,
            session: None,
            last_zxid_seen: 0,
            read_only: Some(false),
            answer_limit: ANSWER_LIMIT,
        }
    }
}

/// One reply: its header, and the record that follows it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Xid, zxid, error.
    pub header: ReplyHeader,
    /// Empty when there was an error.
    pub body: Bytes,
}

impl Reply {
    /// The body, or the error the header has.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::UnknownCode`].
    pub fn ok(self) -> Result<Bytes, ClientError> {
        match self.header.err {
            0 => Ok(self.body),
            code => {
                Err(ErrorCode::from_code(code).map_or(ClientError::UnknownCode(code), ClientError::Refused))
            }
        }
    }
}

/// A watch event, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The txn that fired it; -1 if setWatches made it up.
    pub zxid: i64,
    /// 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// The znode.
    pub path: ByteString,
}

/// A connection whose handshake is sent, and not answered yet: many can be on their way at once.
#[derive(Debug)]
pub struct Greeting {
    stream: TcpStream,
    last_zxid_seen: i64,
}

impl Greeting {
    /// Connects and sends the handshake.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn send(to: SocketAddr, handshake: &Handshake) -> Result<Self, ClientError> {
        let mut stream = open(to, handshake.answer_limit)?;
        let (session_id, password) = match &handshake.session {
            Some(session) => (session.id, session.password.clone()),
            None => (0, Bytes::from_static(&[0; 16])),
        };
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: handshake.last_zxid_seen,
            timeout_ms: handshake.timeout_ms,
            session_id,
            password: Some(password),
        };
        let mut out = Vec::new();
        let request = ConnectRequest { fields, read_only: handshake.read_only };
        frame(&mut out, |to| request.write(to));
        stream.write_all(&out)?;
        Ok(Self { stream, last_zxid_seen: handshake.last_zxid_seen })
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// As [`RawClient::connect_with`].
    pub fn answer(self) -> Result<RawClient, ClientError> {
        let Self { mut stream, last_zxid_seen: last_zxid } = self;
        let mut body = read_frame(&mut stream)?;
        let response = ConnectResponse::read(&mut body)?;
        let read_only = if body.is_empty() { None } else { Some(bool::read(&mut body)?) };
        if response.timeout_ms <= 0 {
            return Err(ClientError::Expired);
        }
        let password = response.password.unwrap_or_default();
        let session = Session { id: response.session_id, password, timeout_ms: response.timeout_ms };
        let (out, due, events) = Default::default();
        Ok(RawClient { stream, out, due, next_xid: 1, session, read_only, last_zxid, events })
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    /// Frames not yet sent.
    out: Vec<u8>,
    /// Xids whose replies are due, oldest first.
    due: VecDeque<i32>,
    next_xid: i32,
    session: Session,
    read_only: Option<bool>,
    last_zxid: i64,
    /// Watch events met while waiting for replies, oldest first.
    pub events: VecDeque<Event>,
}

impl RawClient {
    /// Connects and asks for a new session with the defaults.
    ///
    /// # Errors
    /// As [`Self::connect_with`].
    pub fn connect(to: SocketAddr) -> Result<Self, ClientError> {
        Self::connect_with(to, &Handshake::default())
    }

    /// Connects and takes the session over, as a client does that lost its connection.
    ///
    /// # Errors
    /// As [`Self::connect_with`].
    pub fn reattach(to: SocketAddr, session: &Session, last_zxid_seen: i64) -> Result<Self, ClientError> {
        let (timeout_ms, session) = (session.timeout_ms, Some(session.clone()));
        Self::connect_with(to, &Handshake { timeout_ms, session, last_zxid_seen, ..Handshake::default() })
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// [`ClientError::Io`] if there is no connection or it is closed without an answer, as a server
    /// does that is behind `last_zxid_seen` or does not serve; [`ClientError::Expired`].
    pub fn connect_with(to: SocketAddr, handshake: &Handshake) -> Result<Self, ClientError> {
        Greeting::send(to, handshake)?.answer()
    }

    /// How long each answer may take from now on.
    ///
    /// # Errors
    /// The limit is zero.
    pub fn set_answer_limit(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// This side's address, by which the server's log names it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The session this connection speaks for.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What the server said in the handshake: `None` if it sent no byte for it.
    pub fn read_only(&self) -> Option<bool> {
        self.read_only
    }

    /// The highest zxid seen in a reply; for the next handshake.
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Requests queued or sent whose replies have not been taken.
    pub fn in_flight(&self) -> usize {
        self.due.len()
    }

    /// Queues a request; it leaves with the next [`Self::flush`]. Returns its xid.
    pub fn queue(&mut self, opcode: OpCode, body: &impl Wire) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.queue_raw(xid, opcode as i32, |to| body.write(to));
        xid
    }

    /// Queues any header with any bytes behind it; a reply with `xid` is then due.
    pub fn queue_raw(&mut self, xid: i32, opcode: i32, body: impl FnOnce(&mut Vec<u8>)) {
        frame(&mut self.out, |to| {
            RequestHeader { xid, opcode }.write(to);
            body(to);
        });
        self.due.push_back(xid);
    }

    /// Sends everything queued, as one write if the socket takes it.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        Ok(sent?)
    }

    /// Sends bytes as they are, framed or not; no reply is expected.
    ///
    /// # Errors
    /// [`ClientError::Io`].
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Takes the next reply, which must be the one that is due.
    ///
    /// # Errors
    /// [`ClientError::OutOfOrder`] too; a reply that reports an error is no error here.
    pub fn reply(&mut self) -> Result<Reply, ClientError> {
        loop {
            let mut body = read_frame(&mut self.stream)?;
            let header = ReplyHeader::read(&mut body)?;
            if header.xid == xid::EVENT {
                let (kind, _state) = (i32::read(&mut body)?, i32::read(&mut body)?);
                self.events.push_back(Event { zxid: header.zxid, kind, path: ByteString::read(&mut body)? });
                continue;
            }
            let expected = self.due.pop_front().unwrap_or(0);
            if header.xid != expected {
                return Err(ClientError::OutOfOrder { expected, got: header.xid });
            }
            self.last_zxid = self.last_zxid.max(header.zxid);
            return Ok(Reply { header, body });
        }
    }

    /// Sends one request and waits for its reply; those of earlier requests must have been taken.
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub fn call(&mut self, opcode: OpCode, body: &impl Wire) -> Result<Reply, ClientError> {
        self.queue(opcode, body);
        self.flush()?;
        self.reply()
    }

    /// Breaks the connection; the session lives on.
    pub fn hang_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// True if the server answers handshakes: asked for a session that cannot be, it says that it has
/// expired. Nothing is left behind. An answer may take `limit`.
pub fn serves(to: SocketAddr, limit: Duration) -> bool {
    let session = Some(Session { id: 1, password: Bytes::from_static(&[0; 16]), timeout_ms: 4000 });
    let handshake = Handshake { session, answer_limit: limit, ..Handshake::default() };
    matches!(RawClient::connect_with(to, &handshake), Err(ClientError::Expired))
}

/// Sends a four-letter word and reads the whole answer; each part of it may take `limit`.
///
/// # Errors
/// What connecting and reading return.
pub fn four_letter_word(to: SocketAddr, word: &str, limit: Duration) -> io::Result<String> {
    let mut stream = open(to, limit)?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The connection, and each answer that it gives, may take `limit`: what drops packets refuses nothing.
fn open(to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, limit)?;
    if stream.local_addr()? == to {
        // Nobody listens, and the kernel took the very port for this end: it speaks with itself.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    Ok(stream)
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut len = [0; 4];
    stream.read_exact(&mut len[..1])?; // the only place at which a server that stops may close
    stream.read_exact(&mut len[1..]).map_err(within_a_frame)?;
    let len = (&len[..]).get_u32() as usize;
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {len} bytes")));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).map_err(within_a_frame)?;
    Ok(body.into())
}

/// The same error, but for an end: that is told from one between two frames.
fn within_a_frame(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::InvalidData, "closed within a frame"),
        _ => error,
    }
}
