//! What came back, taken apart as far as the comparison needs: which bytes are zxids, times, sessions.

use bytes::Bytes;
use paddock_messages::client::ReplyHeader;
use paddock_messages::client::ops::MultiHeader;
use paddock_messages::wire::{DecodeError, Wire};
use paddock_messages::znode::Stat;

/// One thing a connection saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Any frame but an event; the body is not taken apart yet.
    Reply {
        /// Of the header.
        xid: i32,
        /// Of the header.
        zxid: i64,
        /// Of the header.
        err: i32,
        /// What follows.
        body: Bytes,
    },
    /// A watch event.
    Event {
        /// Of the header.
        zxid: i64,
        /// What happened.
        kind: i32,
        /// Always 3.
        state: i32,
        /// Where.
        path: Bytes,
    },
    /// A frame that is neither.
    Garbage(Bytes),
    /// A handshake's answer: timeout, session id, password; 0 and 0 for a refusal.
    Handshake(i32, i64, Bytes),
    /// The server closed the connection.
    Closed,
    /// The server closed the connection that its session has left for another.
    OldClosed,
    /// No answer within the limit.
    Silent,
}

impl Frame {
    /// From the bytes after a frame's length.
    pub fn parse(bytes: Bytes) -> Self {
        Self::try_parse(bytes.clone()).unwrap_or(Self::Garbage(bytes))
    }

    /// An answer that does not keep the order: no other has the zxid 0.
    pub(crate) fn is_at_once(&self) -> bool {
        matches!(self, Self::Reply { zxid: 0, .. })
    }

    /// The children that a getChildren2 tells.
    pub(crate) fn names(&self) -> Option<Vec<String>> {
        let Self::Reply { err: 0, body, .. } = self else { return None };
        let mut from = body.clone();
        let count = i32::read(&mut from).ok()?;
        (0..count).map(|_| Some(bytestring::ByteString::read(&mut from).ok()?.to_string())).collect()
    }

    fn try_parse(mut bytes: Bytes) -> Result<Self, DecodeError> {
        let ReplyHeader { xid, zxid, err } = ReplyHeader::read(&mut bytes)?;
        if xid != -1 {
            return Ok(Self::Reply { xid, zxid, err, body: bytes });
        }
        let (kind, state) = (i32::read(&mut bytes)?, i32::read(&mut bytes)?);
        let path = Option::<Bytes>::read(&mut bytes)?.unwrap_or_default();
        Ok(Self::Event { zxid, kind, state, path })
    }
}

/// A piece of a reply, by how it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Equal.
    Int(i64),
    /// Equal; null is not empty.
    Data(Option<Bytes>),
    /// Equal as sets.
    Set(Vec<Vec<u8>>),
    Zxid(i64),
    /// When the txn with that zxid was made.
    Time {
        of: i64,
        ms: i64,
    },
    Session(i64),
}

/// The body of a reply to `opcode`, in pieces. What is not understood stays bytes.
pub(crate) fn pieces(opcode: i32, err: i32, body: &Bytes) -> Vec<Piece> {
    let (mut from, mut out) = (body.clone(), Vec::new());
    let read = if err == 0 { read_body(opcode, &mut from, &mut out) } else { Ok(()) };
    if read.is_err() || !from.is_empty() {
        out.push(Piece::Data(Some(from)));
    }
    out
}

fn read_body(opcode: i32, from: &mut Bytes, out: &mut Vec<Piece>) -> Result<(), DecodeError> {
    match opcode {
        1 | 9 => data(from, out),
        15 | 19 | 21 | 4 | 16 => {
            data(from, out)?;
            stat(from, out)
        }
        3 | 5 | 7 => stat(from, out),
        6 => {
            let count = int(from, out)?;
            for _ in 0..count {
                int(from, out)?;
                data(from, out)?;
                data(from, out)?;
            }
            stat(from, out)
        }
        8 | 103 => names(from, out, 1),
        12 => {
            names(from, out, 1)?;
            stat(from, out)
        }
        107 => names(from, out, 2),
        104 | 106 => int(from, out).map(drop),
        102 => data(from, out),
        14 | 22 => results(from, out),
        _ => Ok(()),
    }
}

fn results(from: &mut Bytes, out: &mut Vec<Piece>) -> Result<(), DecodeError> {
    loop {
        let header = MultiHeader::read(from)?;
        out.extend([header.kind, i32::from(header.done), header.err].map(|n| Piece::Int(n.into())));
        match header.kind {
            _ if header.done => return Ok(()),
            -1 => int(from, out).map(drop)?,
            kind => read_body(kind, from, out)?,
        }
    }
}

fn int(from: &mut Bytes, out: &mut Vec<Piece>) -> Result<i32, DecodeError> {
    let value = i32::read(from)?;
    out.push(Piece::Int(value.into()));
    Ok(value)
}

fn data(from: &mut Bytes, out: &mut Vec<Piece>) -> Result<(), DecodeError> {
    out.push(Piece::Data(Option::<Bytes>::read(from)?));
    Ok(())
}

/// A list of records of `strings` strings each, in no order.
fn names(from: &mut Bytes, out: &mut Vec<Piece>, strings: usize) -> Result<(), DecodeError> {
    let count = i32::read(from)?;
    let mut names = Vec::new();
    for _ in 0..count {
        let mut record = Vec::new();
        for _ in 0..strings {
            record.extend_from_slice(&Option::<Bytes>::read(from)?.unwrap_or_default());
            record.push(0);
        }
        names.push(record);
    }
    names.sort();
    out.push(Piece::Set(names));
    Ok(())
}

fn stat(from: &mut Bytes, out: &mut Vec<Piece>) -> Result<(), DecodeError> {
    let stat = Stat::read(from)?;
    let number = |n: i32| Piece::Int(n.into());
    out.extend([
        Piece::Zxid(stat.czxid),
        Piece::Zxid(stat.mzxid),
        Piece::Time { of: stat.czxid, ms: stat.ctime },
        Piece::Time { of: stat.mzxid, ms: stat.mtime },
        number(stat.version),
        number(stat.cversion),
        number(stat.aversion),
        Piece::Session(stat.ephemeral_owner),
        number(stat.data_length),
        number(stat.num_children),
        Piece::Zxid(stat.pzxid),
    ]);
    Ok(())
}
