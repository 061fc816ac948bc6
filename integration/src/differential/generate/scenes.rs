//! What takes more than one request to come about: several in flight, a session that changes its
//! connection, watches that outlive one, quotas, deep trees, large data.

use super::super::body::Body;
use super::super::op::{Action, Op, PREFIX};
use super::{Draw, USERS, open, request};
use paddock_messages::client::OpCode;
use rand::Rng;

/// `jute.maxbuffer`: the longest frame.
const LONGEST: usize = 0xf_ffff;

impl Draw {
    /// Several requests in one write, nothing read in between.
    pub(super) fn pipeline(&mut self, session: usize) -> Vec<Op> {
        let makes: &[super::Make] = &[
            Self::write,
            Self::write,
            Self::write,
            Self::write,
            Self::read,
            Self::read,
            Self::read,
            Self::read,
            Self::watch,
            Self::watch,
            Self::multi,
            Self::multi,
            Self::multi_read,
            Self::set_watches,
            Self::sync,
            Self::in_passing,
            Self::undecodable,
            Self::small,
        ];
        let count = self.rng.random_range(3..=12);
        self.alone = false;
        let mut parts: Vec<Op> = (0..count).map(|_| self.of(makes)(self, session)).collect();
        if self.one_in(12) {
            parts.push(self.close(session)); // the last: Java answers what follows, or not, as it happens
        }
        self.alone = true;
        // Apache's server closes after an opcode it does not know (check alone is one), at once, with others
        // in flight; and sasl is answered at once.
        let keeps = |opcode: i32| opcode != 102 && OpCode::from_code(opcode).is_some();
        parts.retain(|op| op.opcode().is_some_and(keeps));
        // A write behind a setACL that is not applied yet is checked by Java against the list before it.
        let is_write =
            |op: &Op| op.opcode().is_some_and(|code| matches!(code, 1 | 2 | 5 | 7 | 14..=16 | 19 | 21));
        if let Some(at) = parts.iter().position(|op| op.opcode() == Some(7)) {
            let behind = parts.split_off(at + 1);
            parts.extend(behind.into_iter().filter(|op| !is_write(op)));
        }
        let text = parts.iter().map(|op| op.text.as_str()).collect::<Vec<_>>().join("\n    + ");
        let action = Action::Pipeline(parts.into_iter().map(|op| op.action).collect());
        vec![Op { session, action, text: format!("pipeline\n      {text}") }]
    }

    fn sync(&mut self, session: usize) -> Op {
        let path = self.usual();
        request(session, 9, Body::default().text(&path), format!("sync {path}"))
    }

    /// An auth that succeeds: one that fails closes, while others are in flight.
    fn in_passing(&mut self, session: usize) -> Op {
        let (user, _) = self.of(&USERS);
        let body = Body::default().int(0).text("digest").text(user);
        let action = Action::Request { xid: Some(-4), opcode: 100, body: body.0 };
        Op { session, action, text: format!("auth {user}") }
    }

    /// A client comes back and tells what it watched, and since when it has not heard.
    pub(super) fn stale_watches(&mut self, session: usize) -> Vec<Op> {
        let mut ops = vec![self.reattach(session)];
        for _ in 0..self.rng.random_range(1..4) {
            let path = Some(self.usual().into_bytes());
            let (opcode, body, text) = self.write_op(&path);
            if opcode != 13 {
                ops.push(request(1 - session, opcode, body, text));
            }
        }
        ops.push(self.set_watches(session));
        ops
    }

    /// The session goes to another connection: after a break, beside the one it has, or, with a wrong
    /// password, not.
    pub(super) fn reattach(&mut self, session: usize) -> Op {
        let (action, text) = match self.rng.random_range(0..8) {
            0..4 => (Action::Reattach { bad_password: false }, "reattach"),
            4..7 => (Action::Handover, "handover"),
            _ => (Action::Reattach { bad_password: true }, "reattach with a wrong password"),
        };
        Op { session, action, text: text.into() }
    }

    /// A quota with limits and usage, as the command line's client makes one.
    pub(super) fn quota_scene(&mut self, session: usize) -> Vec<Op> {
        let over = self.of(&["", "", "/a"]);
        let limits = self.of(&[
            "count=-1,bytes=-1=;countHardLimit=4",
            "count=-1,bytes=-1=;byteHardLimit=20",
            "count=2,bytes=-1=;byteHardLimit=12;countHardLimit=6",
            "count=2,bytes=5",
        ]);
        let quota = format!("/zookeeper/quota{PREFIX}");
        let make = |path: String, data: Option<&str>| {
            let body = Body::default().text(&path).data(data.map(str::as_bytes)).raw(&open().0).int(0);
            request(session, 1, body, format!("create {path} {data:?}"))
        };
        let mut ops = vec![make(quota.clone(), None)];
        if !over.is_empty() {
            ops.push(make(format!("{quota}{over}"), None));
        }
        ops.push(make(format!("{quota}{over}/zookeeper_limits"), Some(limits)));
        ops.push(make(format!("{quota}{over}/zookeeper_stats"), Some("count=0,bytes=0")));
        for _ in 0..4 {
            let path = Some(self.usual().into_bytes());
            let (opcode, body, text) = self.write_op(&path);
            ops.push(request(session, opcode, body, text));
        }
        ops
    }

    pub(super) fn quota_step(&mut self, session: usize) -> Vec<Op> {
        vec![self.quota(session)]
    }

    /// Znodes below each other, made as one, counted, and one in the middle not to be deleted.
    pub(super) fn deep(&mut self, session: usize) -> Vec<Op> {
        let mut path = self.of(&[PREFIX.to_owned(), format!("{PREFIX}/a")]);
        let number = self.rng.random_range(0..100);
        let (mut body, mut paths) = (Body::default(), Vec::new());
        for depth in 0..self.of(&[8, 24, 40]) {
            path += &format!("/{number}-{depth}");
            let create = Body::default().text(&path).data(Some(b"d")).raw(&open().0).int(0);
            body = body.header(1, false).raw(&create.0);
            paths.push(path.clone());
        }
        let middle = self.of(&paths);
        let count = Body::default().text(PREFIX);
        let name = format!("{PREFIX}/{}", "n".repeat(self.of(&[255, 4_000])));
        let long = Body::default().text(&name).data(Some(b"")).raw(&open().0).int(0);
        vec![
            request(session, 14, body.header(-1, true), format!("multi: a chain down to {path}")),
            request(1 - session, 104, count, format!("read(104) {PREFIX}")),
            request(session, 2, Body::default().text(&middle).int(-1), format!("delete {middle}")),
            request(session, 1, long, "create a znode with a long name".into()),
        ]
    }

    /// Data as long as a frame may be, and one byte longer.
    pub(super) fn large(&mut self, session: usize) -> Vec<Op> {
        let path = format!("{PREFIX}/large");
        let around = 8 + 4 + path.len() + 4;
        let create = |excess: usize| {
            let acl = open();
            let data = vec![b'x'; LONGEST - around - acl.0.len() - 4 + excess];
            Body::default().text(&path).data(Some(&data)).raw(&acl.0).int(0)
        };
        let set = |excess: usize| {
            let data = vec![b'y'; LONGEST - around - 4 + excess];
            Body::default().text(&path).data(Some(&data)).int(-1)
        };
        let get =
            || request(1 - session, 4, Body::default().text(&path).flag(true), format!("read(4) {path}"));
        let delete = Body::default().text(&path).int(-1);
        let mut ops = vec![
            request(session, 1, create(0), "create with the longest frame".into()),
            get(),
            request(session, 5, set(0), "setData with the longest frame".into()),
            get(),
        ];
        match self.rng.random_range(0..4) {
            0 => ops.push(request(session, 5, set(1), "setData with a frame too long".into())),
            1 => {
                let multi = Body::default().header(5, false).raw(&set(0).0).header(-1, true);
                ops.push(request(session, 14, multi, "multi with a frame too long".into()));
            }
            2 => {
                let action = Action::Oversized(LONGEST + 1);
                ops.push(Op { session, action, text: "getData with a frame too long".into() });
            }
            _ => {
                let action = Action::Oversized(LONGEST);
                ops.push(Op { session, action, text: "getData with the longest frame".into() });
            }
        }
        ops.push(request(session, 2, delete, format!("delete {path}")));
        ops
    }
}
