//! Where Paddock answers otherwise than Apache's server on purpose.
//!
//! Each says what exactly differs, field by field and code by code; whatever else came is still compared.

use paddock_messages::client::OpCode;

use super::observe::Frame;
use super::op::{Action, Asked, Op};

/// A difference that may be.
#[derive(Debug)]
pub struct Deviation {
    /// Short; in the summary.
    pub id: &'static str,
    /// What is different.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Where it applies, and to what.
    pub(crate) allows: Allows,
}

/// How a deviation is told from any other difference.
#[derive(Debug)]
pub(crate) enum Allows {
    /// One reply differs in what the excuse names.
    Reply(fn(&Exchange<'_>) -> Option<Excuse>),
    /// The asking session's frames differ in number: takes those out, and says how many zxids Apache's
    /// server took that Paddock did not.
    Frames(fn(&mut Streams<'_>) -> Option<i64>),
}

/// A request and both answers, which differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) java: &'a Frame,
    pub(crate) paddock: &'a Frame,
}

/// A step and what the session that took it saw.
#[derive(Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) op: &'a Op,
    pub(crate) java: &'a mut Vec<Frame>,
    pub(crate) paddock: &'a mut Vec<Frame>,
}

/// What need not be equal in a reply. Its xid always is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Excuse {
    pub(crate) err: bool,
    pub(crate) body: bool,
    /// Paddock's zxid is -1.
    pub(crate) no_zxid: bool,
    /// Apache's server took a zxid of its own for it, Paddock did not; from then on Paddock's are so many
    /// fewer.
    pub(crate) java_took: i64,
}

impl Excuse {
    pub(crate) const NONE: Self = Self { err: false, body: false, no_zxid: false, java_took: 0 };
}

/// All there are. Each is met by some seed, or it is no deviation any more.
pub const ALL: &[Deviation] = &[
    Deviation {
        id: "unknown-opcode",
        what: "after the answer to an opcode that clients do not have (-6, zxid -1) the connection stays",
        reason: "a client newer than its server loses one call, not its connection and watches",
        allows: Allows::Frames(|streams| {
            let opcode = streams.op.opcode()?;
            let refused = |frame: &Frame| answer(frame) == Some((-1, -6, 0));
            let fits = OpCode::from_code(opcode).is_none()
                && !is_internal(opcode)
                && matches!(&streams.java[..], [.., reply, Frame::Closed] if refused(reply))
                && streams.paddock.last().is_some_and(refused);
            fits.then(|| streams.java.pop()).map(|_| 0)
        }),
    },
    Deviation {
        id: "delete-container",
        what: "deleteContainer, sent by a client, is answered with -6 and zxid -1, and is no txn",
        reason: "Java lets any client delete any childless znode without an ACL check",
        allows: Allows::Reply(|it| {
            let fits = it.asked.opcode == 20
                && matches!(it.java, Frame::Reply { err: -101, body, .. } if body.is_empty())
                && answer(it.paddock) == Some((-1, -6, 0));
            fits.then_some(Excuse { err: true, no_zxid: true, java_took: 1, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "create-session",
        what: "createSession, sent by a client, is answered with -6 and zxid -1, and is no txn",
        reason: "Java answers with a second handshake in mid-stream, which clients take for garbage",
        allows: Allows::Frames(|streams| {
            let fits = streams.op.opcode() == Some(-10)
                && streams.java.last().is_some_and(is_handshake)
                && streams.paddock.last().and_then(answer) == Some((-1, -6, 0));
            fits.then(|| (streams.java.pop(), streams.paddock.pop())).map(|_| 1)
        }),
    },
    Deviation {
        id: "oversized-frame",
        what: "a frame above jute.maxbuffer, and up to 16 times it, is answered with -5; the connection stays",
        reason: "one call that is too large does not cost the connection, its watches and what is in flight",
        allows: Allows::Frames(|streams| {
            let length = match &streams.op.action {
                Action::Oversized(length) => *length,
                Action::Request { opcode, body, .. } if !matches!(opcode, 14 | 22) => 8 + body.len(),
                _ => 0,
            };
            let fits = length > 0xf_ffff
                && streams.java.last() == Some(&Frame::Closed)
                && matches!(streams.paddock.last().and_then(answer), Some((1.., -5, 0)));
            fits.then(|| (streams.java.pop(), streams.paddock.pop())).map(|_| 0)
        }),
    },
    Deviation {
        id: "ttl-flag",
        what: "createTTL with a negative TTL and a flag that takes none is -8, before any other check",
        reason: "Java lets it through this check, logs it, and ends when it cannot apply it; drawn where it \
                 fails a later check. Java's client cannot send it",
        allows: Allows::Reply(|it| {
            let (flags, ttl) = ttl_of(it.asked.body)?;
            let fits = it.asked.opcode == 21
                && (0..5).contains(&flags)
                && ttl < 0
                && errors(it) == Some((-101, -8))
                && both_empty(it);
            fits.then_some(Excuse { err: true, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "null-path",
        what: "a write with a null path is always -5, no txn, and takes no zxid",
        reason: "what cannot be decoded is refused where it arrives and never reaches the log; Java answers \
                 -5 or -8, whichever check meets the null first. No client library can send it",
        allows: Allows::Reply(|it| {
            let java = match it.asked.opcode {
                2 => -5,
                5 | 7 => -8,
                1 | 15 | 19 | 21 if has_bad_mode(it.asked) => -8,
                1 | 15 | 19 | 21 => -5,
                _ => return None,
            };
            let fits = has_null_path(it.asked) && errors(it) == Some((java, -5)) && both_empty(it);
            fits.then_some(Excuse { err: true, java_took: 1, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "null-watch",
        what: "addWatch, checkWatches and removeWatches with a null path are -5",
        reason: "Java keeps a watch on null, which nothing can fire; no client library can send it",
        allows: Allows::Reply(|it| {
            let answered = match it.asked.opcode {
                106 => errors(it) == Some((0, -5)),
                17 | 18 => matches!(errors(it), Some((0 | -121, -5))) && both_empty(it),
                _ => false,
            };
            (answered && has_null_path(it.asked)).then_some(Excuse { err: true, body: true, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "undecodable-multi",
        what: "a multi that cannot be decoded (-5 on both) is no txn and takes no zxid",
        reason: "Java gives it one, and none to any other request that cannot be decoded; here none of them \
                 is a txn. No client library can send it",
        allows: Allows::Reply(|it| {
            let fits = it.asked.opcode == 14 && errors(it) == Some((-5, -5)) && both_empty(it);
            fits.then_some(Excuse { java_took: 1, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "multi-read-body",
        what: "a multiRead that is refused as a whole (-5 on both) has no body",
        reason: "Java sends the results before the one that failed behind a header with an error, where no \
                 client reads them",
        allows: Allows::Reply(|it| {
            let fits = it.asked.opcode == 22 && errors(it) == Some((-5, -5)) && body(it.paddock)?.is_empty();
            fits.then_some(Excuse { body: true, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "cesu-8",
        what: "sync echoes a path with characters beyond U+FFFF in UTF-8, as it came",
        reason: "Java writes each half of a surrogate pair as three bytes, which other languages' clients \
                 cannot decode; no znode has such a path",
        allows: Allows::Reply(|it| {
            let fits = it.asked.opcode == 9
                && errors(it) == Some((0, 0))
                && cesu_8(body(it.paddock)?.get(4..)?)? == body(it.java)?.get(4..)?;
            fits.then_some(Excuse { body: true, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "sequence-end",
        what: "where a parent's counter of 31 bits has ended, a sequential create is -8",
        reason: "Java goes on with the last name: -110 while it is there, and when it is not, the same name \
                 a second time",
        allows: Allows::Reply(|it| {
            let is_create = matches!(it.asked.opcode, 1 | 15);
            let flags = it.asked.body.last_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
            let fits =
                is_create && matches!(flags, Some(2 | 3)) && errors(it) == Some((-110, -8)) && both_empty(it);
            fits.then_some(Excuse { err: true, ..Excuse::NONE })
        }),
    },
    Deviation {
        id: "wrong-password",
        what: "a handshake with a session's id and a wrong password leaves the session's connection alone",
        reason: "Java closes that connection before it looks at the password, so that whoever knows a \
                 session id (any reader of an ephemeral's stat) can cut off its client",
        allows: Allows::Frames(|streams| {
            let refused = |frame: &Frame| matches!(frame, Frame::Handshake(0, 0, _));
            let fits = matches!(streams.op.action, Action::Reattach { bad_password: true })
                && matches!(&streams.java[..], [.., refusal, Frame::Closed] if refused(refusal))
                && streams.paddock.last().is_some_and(refused);
            fits.then(|| streams.java.pop()).map(|_| 0)
        }),
    },
    Deviation {
        id: "filtered-catch-up",
        what: "setWatches tells nothing of znodes that the client may not read",
        reason: "Java asks for READ before it sends a live event, and not before it sends what was missed, \
                 so that whoever reconnects learns of any znode whether it is there and when it changed",
        allows: Allows::Frames(|streams| {
            let asks = streams.op.asked().iter().any(|it| matches!(it.opcode, 101 | 105));
            let fits = asks && take_out_unread(streams.java, streams.paddock);
            fits.then_some(0)
        }),
    },
];

/// Takes out of `java` the events of setWatches that `paddock`, in which all others are in the same order,
/// does not have; false if there is none. That a znode is gone, both tell everybody.
fn take_out_unread(java: &mut Vec<Frame>, paddock: &[Frame]) -> bool {
    let missed = |frame: &Frame| match frame {
        Frame::Event { zxid: -1, kind, path, .. } => Some((*kind, path.clone())),
        _ => None,
    };
    let is_end = |frame: &Frame| matches!(frame, Frame::Reply { xid: -8, .. });
    let mut told =
        paddock.iter().filter_map(|it| missed(it).map(Some).or(is_end(it).then_some(None))).peekable();
    let before = java.len();
    java.retain(|frame| {
        let Some(event) = missed(frame) else {
            if is_end(frame) {
                told.next_if_eq(&None);
            }
            return true;
        };
        let is_deletion = event.0 == 2;
        told.next_if_eq(&Some(event)).is_some() || is_deletion
    });
    java.len() < before
}

/// The deviation by which the frames of a step differ in number, applied.
pub(crate) fn of_streams(streams: &mut Streams<'_>) -> Option<(&'static str, i64)> {
    ALL.iter().find_map(|deviation| match deviation.allows {
        Allows::Frames(allows) => allows(streams).map(|took| (deviation.id, took)),
        Allows::Reply(_) => None,
    })
}

/// What is in the log or between servers, and never a client's.
fn is_internal(opcode: i32) -> bool {
    matches!(opcode, 20 | -10)
}

/// Zxid, error and length of the body.
fn answer(frame: &Frame) -> Option<(i64, i32, usize)> {
    match frame {
        Frame::Reply { zxid, err, body, .. } => Some((*zxid, *err, body.len())),
        _ => None,
    }
}

fn errors(it: &Exchange<'_>) -> Option<(i32, i32)> {
    Some((answer(it.java)?.1, answer(it.paddock)?.1))
}

fn body(frame: &Frame) -> Option<&[u8]> {
    if let Frame::Reply { body, .. } = frame { Some(body) } else { None }
}

fn both_empty(it: &Exchange<'_>) -> bool {
    [it.java, it.paddock].iter().all(|frame| body(frame).is_some_and(<[u8]>::is_empty))
}

fn has_null_path(asked: Asked<'_>) -> bool {
    asked.body.starts_with(&[255; 4])
}

/// A handshake's answer, taken for a reply: protocol version 0 for the xid, and a timeout in ms, not a
/// zxid, first.
fn is_handshake(frame: &Frame) -> bool {
    matches!(frame, Frame::Reply { xid: 0, zxid, .. } if *zxid >> 32 == i64::from(super::run::TIMEOUT_MS))
}

/// Whether a create fails by its flags or TTL, before its path is looked at.
fn has_bad_mode(asked: Asked<'_>) -> bool {
    if asked.opcode == 21 {
        return ttl_of(asked.body).is_none_or(|(flags, ttl)| match flags {
            5 | 6 => !(1..1 << 40).contains(&ttl),
            flags => !(0..5).contains(&flags) || ttl >= 0,
        });
    }
    let flags = asked.body.last_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
    !flags.is_some_and(|flags| (0..5).contains(&flags)) // 5 and 6 want a TTL
}

/// Flags and TTL of a createTTL's body.
fn ttl_of(body: &[u8]) -> Option<(i32, i64)> {
    let end = body.last_chunk::<12>()?;
    let (flags, ttl) = end.split_at(4);
    Some((i32::from_be_bytes(flags.try_into().ok()?), i64::from_be_bytes(ttl.try_into().ok()?)))
}

/// UTF-8 as Java writes it.
fn cesu_8(utf_8: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(utf_8).ok()?;
    let mut out = Vec::new();
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.extend([
                0xe0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 63) as u8,
                0x80 | (unit & 63) as u8,
            ]),
        }
    }
    Some(out)
}
