//! The recording as text: one line a frame, a blank line between cases.
//!
//! `case TEXT`, then `request XID OPCODE HEX` or `reattach WITH_BAD_PASSWORD`; then what each session saw:
//! `A reply HEX`, `A event HEX` (header and body), `A handshake HEX`, `A closed`. XID `-` takes the next.

use std::fmt::Write as _;

use bytes::Bytes;
use paddock_messages::client::ReplyHeader;
use paddock_messages::client::session::ConnectResponse;
use paddock_messages::wire::Wire;

use crate::differential::observe::Frame;
use crate::differential::op::{Action, Op};
use crate::differential::run::Seen;

const SESSIONS: [&str; 2] = ["A", "B"];

/// A request and all that followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Sent by the first session.
    pub op: Op,
    /// By session.
    pub seen: Seen,
}

/// Bytes of a frame after its length; `None` for a closed connection.
pub fn bytes(frame: &Frame) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        Frame::Reply { xid, zxid, err, body } => {
            ReplyHeader { xid: *xid, zxid: *zxid, err: *err }.write(&mut out);
            out.extend_from_slice(body);
        }
        Frame::Event { zxid, kind, state, path } => {
            ReplyHeader { xid: -1, zxid: *zxid, err: 0 }.write(&mut out);
            kind.write(&mut out);
            state.write(&mut out);
            Some(path.clone()).write(&mut out);
        }
        Frame::Garbage(bytes) => out.extend_from_slice(bytes),
        Frame::Handshake(timeout_ms, session_id, password) => {
            let (timeout_ms, session_id) = (*timeout_ms, *session_id);
            let password = Some(password.clone());
            ConnectResponse { protocol_version: 0, timeout_ms, session_id, password }
                .write_with(Some(false), &mut out);
        }
        Frame::Closed | Frame::OldClosed | Frame::Silent => return None,
    }
    Some(out)
}

/// The whole file.
pub fn write(cases: &[Case]) -> String {
    let mut text = String::from(
        "# Recorded from Apache ZooKeeper 3.9, a server alone, by integration/src/golden.rs; not edited by hand.\n",
    );
    for case in cases {
        write_case(case, &mut text).expect("a String takes all");
    }
    text
}

fn write_case(case: &Case, to: &mut String) -> std::fmt::Result {
    writeln!(to, "\ncase {}", case.op.text)?;
    match &case.op.action {
        Action::Request { xid, opcode, body } => {
            let xid = xid.map_or("-".into(), |xid| xid.to_string());
            writeln!(to, "request {xid} {opcode} {}", hex(body))?;
        }
        Action::Reattach { bad_password } => writeln!(to, "reattach {bad_password}")?,
        other => unreachable!("the script has no {other:?}"),
    }
    for (session, frames) in SESSIONS.iter().zip(&case.seen) {
        for frame in frames {
            let kind = match frame {
                Frame::Reply { .. } => "reply",
                Frame::Event { .. } => "event",
                Frame::Handshake(..) => "handshake",
                Frame::Closed => "closed",
                Frame::Garbage(_) | Frame::OldClosed | Frame::Silent => {
                    panic!("nothing to record: {frame:?}")
                }
            };
            let bytes = bytes(frame).unwrap_or_default();
            writeln!(to, "{}", format!("{session} {kind} {}", hex(&bytes)).trim_end())?;
        }
    }
    Ok(())
}

/// What [`write`] wrote.
///
/// # Panics
/// On a line that it does not write; the message has the line's number.
pub fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        read_line(line, &mut cases).unwrap_or_else(|| panic!("line {}: {line}", at + 1));
    }
    cases
}

fn read_line(line: &str, cases: &mut Vec<Case>) -> Option<()> {
    let mut words = line.split(' ');
    match words.next()? {
        "case" => {
            let action = Action::Reattach { bad_password: false };
            let op = Op { session: 0, action, text: line.strip_prefix("case ")?.into() };
            cases.push(Case { op, seen: Seen::default() });
        }
        "request" => {
            let xid = words.next()?.parse().ok();
            let opcode = words.next()?.parse().ok()?;
            let body = unhex(words.next().unwrap_or(""))?;
            cases.last_mut()?.op.action = Action::Request { xid, opcode, body };
        }
        "reattach" => {
            let bad_password = words.next()?.parse().ok()?;
            cases.last_mut()?.op.action = Action::Reattach { bad_password };
        }
        session => {
            let session = SESSIONS.iter().position(|&name| name == session)?;
            let kind = words.next()?;
            let frame = read_frame(kind, unhex(words.next().unwrap_or(""))?.into())?;
            cases.last_mut()?.seen[session].push(frame);
        }
    }
    Some(())
}

fn read_frame(kind: &str, mut bytes: Bytes) -> Option<Frame> {
    match kind {
        "closed" => Some(Frame::Closed),
        "reply" | "event" => Some(Frame::parse(bytes)),
        "handshake" => {
            let response = ConnectResponse::read(&mut bytes).ok()?;
            Some(Frame::Handshake(response.timeout_ms, response.session_id, response.password?))
        }
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
