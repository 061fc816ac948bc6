//! What is answered to a write. Reads are written straight from the tree, see `paddock-actors`' client.

use bytes::Bytes;
use bytestring::ByteString;

use super::ops::MultiHeader;
use super::{OpCode, ReplyHeader};
use crate::error_code::ErrorCode;
use crate::wire::{Wire, frame, write_nullable, write_str};
use crate::znode::Stat;
use crate::zxid::Zxid;

/// How a write ended, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// delete, check, closeSession.
    Done,
    /// create.
    Path(ByteString),
    /// create2, createContainer, createTTL.
    Created(Box<(ByteString, Stat)>),
    /// setData, setACL.
    Stat(Stat),
    /// reconfig: the new configuration's text.
    Reconfigured(Box<(Option<Bytes>, Stat)>),
    /// multi: one result per op. The header's `err` is 0 even where they are errors.
    Multi(Vec<OpResult>),
    /// Refused; nothing changed.
    Refused(ErrorCode),
}

/// How one op of a multi ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// It was applied, with all the others.
    Applied(OpCode, Outcome),
    /// check passed.
    Checked,
    /// The multi failed and nothing was applied: `None` for an op before the culprit, its code for
    /// the culprit, [`ErrorCode::RuntimeInconsistency`] for those after.
    Failed(Option<ErrorCode>),
}

const CHECK: i32 = 13;

impl Outcome {
    /// Appends the reply's frame. `zxid` is the write's own.
    pub fn write_reply(&self, xid: i32, zxid: Zxid, to: &mut Vec<u8>) {
        let err = if let Self::Refused(code) = self { code.code() } else { 0 };
        frame(to, |to| {
            ReplyHeader { xid, zxid: zxid.to_wire(), err }.write(to);
            self.write_body(to);
        });
    }

    fn write_body(&self, to: &mut Vec<u8>) {
        match self {
            Self::Done | Self::Refused(_) => {}
            Self::Path(path) => write_str(path, to),
            Self::Created(created) => {
                let (path, stat) = &**created;
                write_str(path, to);
                stat.write(to);
            }
            Self::Stat(stat) => stat.write(to),
            Self::Reconfigured(told) => {
                let (text, stat) = &**told;
                write_nullable(text.as_deref(), to);
                stat.write(to);
            }
            Self::Multi(results) => {
                results.iter().for_each(|result| result.write(to));
                MultiHeader::END.write(to);
            }
        }
    }
}

impl OpResult {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Applied(opcode, outcome) => {
                // All creates but the oldest answer as create2.
                let kind = match opcode {
                    OpCode::CreateContainer | OpCode::CreateTtl => OpCode::Create2,
                    other => *other,
                };
                MultiHeader { kind: kind as i32, done: false, err: 0 }.write(to);
                outcome.write_body(to);
            }
            Self::Checked => MultiHeader { kind: CHECK, done: false, err: 0 }.write(to),
            Self::Failed(code) => write_op_error(code.map_or(0, ErrorCode::code), to),
        }
    }
}

/// Appends the result of an op of a multi or multiRead that failed; `code` 0 for one that did not.
pub fn write_op_error(code: i32, to: &mut Vec<u8>) {
    MultiHeader { kind: -1, done: false, err: code }.write(to);
    code.write(to);
}

/// Appends a reply that is a header alone.
pub fn write_header(xid: i32, zxid: i64, err: i32, to: &mut Vec<u8>) {
    frame(to, |to| ReplyHeader { xid, zxid, err }.write(to));
}
