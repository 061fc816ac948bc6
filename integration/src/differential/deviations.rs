//! Where Paddock answers otherwise than Apache's server on purpose.

use super::observe::Frame;
use super::op::{Action, Op};
use super::run::Seen;

/// A difference that may be.
#[derive(Debug)]
pub struct Deviation {
    /// Short; in the summary.
    pub id: &'static str,
    /// What is different.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Whether a step that differs is this.
    allows: fn(&Step<'_>) -> bool,
}

/// One step on both servers.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What was sent.
    pub op: &'a Op,
    /// What Apache's server sent, to each session.
    pub java: &'a Seen,
    /// What Paddock sent.
    pub paddock: &'a Seen,
}

/// All there are. Each is met by some seed, or it is no deviation any more.
pub const ALL: &[Deviation] = &[
    Deviation {
        id: "unknown-opcode",
        what: "an opcode that clients do not have is answered with -6 and zxid -1; the connection stays",
        reason: "a client newer than its server loses one call, not its connection and watches",
        allows: |step| {
            step.op.opcode().is_some_and(|code| !is_a_clients(code) && code != 20 && code != -10)
                && step.answers(step.java) == [(-1, -6)]
                && step.closes(step.java)
                && step.stays_with(-1, -6)
        },
    },
    Deviation {
        id: "internal-opcode",
        what: "deleteContainer and createSession, sent by a client, are answered like unknown opcodes",
        reason: "Java lets any client delete any childless znode without an ACL check, and answers \
                 createSession with a second handshake in mid-stream",
        allows: |step| matches!(step.op.opcode(), Some(20 | -10)) && step.stays_with(-1, -6),
    },
    Deviation {
        id: "oversized-frame",
        what: "a frame above jute.maxbuffer, and up to 16 times it, is answered with -5; the connection stays",
        reason: "one call that is too large does not cost the connection, its watches and what is in flight",
        allows: |step| {
            matches!(step.op.action, Action::Oversized(_))
                && step.java[step.op.session].contains(&Frame::Closed)
                && step.answers(step.paddock).iter().map(|answer| answer.1).eq([-5])
                && !step.closes(step.paddock)
        },
    },
    Deviation {
        id: "ttl-flag",
        what: "createTTL with a negative TTL and a flag that takes none is answered with -8",
        reason: "Java lets it through its checks, logs it, and ends when it cannot apply it",
        allows: |step| {
            step.op.opcode() == Some(21) && step.answers(step.paddock).iter().map(|answer| answer.1).eq([-8])
        },
    },
    Deviation {
        id: "null-path",
        what: "a null path, where sync and getEphemerals do not allow it, is -5 and no txn",
        reason: "Java registers watches on null, and gives a write a zxid before it fails on the path",
        allows: |step| {
            let is_null = |body: &[u8]| body.starts_with(&[255; 4]);
            matches!(&step.op.action, Action::Request { body, opcode, .. }
                if is_null(body) && !matches!(opcode, 9 | 100 | 103))
                && step.answers(step.paddock).iter().map(|answer| answer.1).eq([-5])
        },
    },
    Deviation {
        id: "cesu-8",
        what: "sync echoes a path with characters beyond U+FFFF in UTF-8",
        reason: "Java writes each half of a surrogate pair as three bytes of its own; no znode has such a path",
        allows: |step| {
            let is_beyond = |body: &[u8]| body.windows(2).any(|at| at == [0xf0, 0x9f]);
            matches!(&step.op.action, Action::Request { body, opcode: 9, .. } if is_beyond(body))
                && step.answers(step.java).iter().map(|answer| answer.1).eq([0])
                && step.answers(step.paddock).iter().map(|answer| answer.1).eq([0])
        },
    },
    Deviation {
        id: "multi-read-body",
        what: "a multiRead that is refused as a whole has no body",
        reason: "Java sends what it had before it failed behind the header; clients do not read it",
        allows: |step| {
            let is_marshalling = |seen| step.answers(seen).iter().map(|answer| answer.1).eq([-5]);
            step.op.opcode() == Some(22) && is_marshalling(step.java) && is_marshalling(step.paddock)
        },
    },
    Deviation {
        id: "undecodable-multi",
        what: "a multi that cannot be decoded is answered with -5 and takes no zxid",
        reason: "Java gives it one, and none to any other request that cannot be decoded; here none of them \
                 is a txn",
        allows: |step| {
            let is_marshalling = |seen| step.answers(seen).iter().map(|answer| answer.1).eq([-5]);
            step.op.opcode() == Some(14) && is_marshalling(step.java) && is_marshalling(step.paddock)
        },
    },
    Deviation {
        id: "wrong-password",
        what: "a handshake with a session's id and a wrong password leaves the session's connection alone",
        reason: "Java closes that connection before it looks at the password, so that whoever knows or \
                 guesses a session id can cut off its client",
        allows: |step| {
            matches!(step.op.action, Action::Reattach { bad_password: true })
                && step.closes(step.java)
                && !step.closes(step.paddock)
        },
    },
];

/// The first deviation that explains `step`.
pub fn that_allows(step: &Step<'_>) -> Option<&'static Deviation> {
    ALL.iter().find(|deviation| (deviation.allows)(step))
}

fn is_a_clients(opcode: i32) -> bool {
    paddock_messages::client::OpCode::from_code(opcode).is_some()
}

impl Step<'_> {
    /// Zxid and error of each reply to the session that sent.
    fn answers(&self, seen: &Seen) -> Vec<(i64, i32)> {
        let answer = |frame: &Frame| match frame {
            Frame::Reply { zxid, err, .. } => Some((*zxid, *err)),
            _ => None,
        };
        seen[self.op.session].iter().filter_map(answer).collect()
    }

    fn closes(&self, seen: &Seen) -> bool {
        seen[self.op.session].iter().any(|frame| matches!(frame, Frame::Closed | Frame::Silent))
    }

    /// Paddock gives this one answer, and the connection stays.
    fn stays_with(&self, zxid: i64, err: i32) -> bool {
        self.answers(self.paddock) == [(zxid, err)] && !self.closes(self.paddock)
    }
}
