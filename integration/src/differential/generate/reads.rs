//! Reads, watches, and what is answered without a znode.

use super::super::body::{Body, quota_paths};
use super::super::op::{Action, Op, PREFIX};
use super::{Draw, USERS, request, show};
use rand::Rng;

impl Draw {
    pub(super) fn multi_read(&mut self, session: usize) -> Op {
        let (mut body, mut text) = (Body::default(), String::from("multiRead"));
        for _ in 0..self.rng.random_range(0..5) {
            let path = self.path();
            let opcode = if self.one_in(15) { self.of(&[3, 5, 12, 2]) } else { self.of(&[4, 8]) };
            body = body.header(opcode, false).data(path.as_deref()).flag(self.one_in(3));
            text += &format!(" | {opcode} {}", show(&path));
        }
        request(session, 22, body.header(-1, true), text)
    }

    pub(super) fn read(&mut self, session: usize) -> Op {
        let path = if self.one_in(12) { Some(self.of(&quota_paths()).into_bytes()) } else { self.path() };
        let opcode = self.of(&[3, 3, 4, 4, 8, 12, 12, 6, 6, 104]);
        let body = Body::default().data(path.as_deref());
        if matches!(opcode, 6 | 104) {
            return request(session, opcode, body, format!("read({opcode}) {}", show(&path)));
        }
        let watch = self.one_in(2);
        if watch {
            let kind = if matches!(opcode, 3 | 4) { 2 } else { 1 };
            self.watched.push((session, path.clone(), kind));
        }
        request(session, opcode, body.flag(watch), format!("read({opcode}) {} watch {watch}", show(&path)))
    }

    pub(super) fn watch(&mut self, session: usize) -> Op {
        let mut path = self.path();
        let opcode = self.of(&[17, 18, 106, 106]);
        let mut number =
            self.of(&if opcode == 106 { [0, 0, 0, 1, 1, 1, 2, -1] } else { [1, 2, 3, 4, 5, 0, 6, -1] });
        let own: Vec<_> = self.watched.iter().filter(|(whose, ..)| *whose == session).cloned().collect();
        if opcode == 106 {
            if self.one_in(3) {
                path = Some(PREFIX.into());
            }
            self.watched.push((session, path.clone(), 4 + number));
        } else if self.one_in(30) {
            path = None;
        } else if !own.is_empty() && !self.one_in(3) {
            // One of the last, by its own kind or by 3, any.
            let last = &own[own.len().saturating_sub(6)..];
            let kind;
            (_, path, kind) = self.of(last);
            number = if self.one_in(5) { 3 } else { kind };
        }
        let body = Body::default().data(path.as_deref()).int(number);
        request(session, opcode, body, format!("watch({opcode}) {} {number}", show(&path)))
    }

    pub(super) fn set_watches(&mut self, session: usize) -> Op {
        let count = self.of(&[3, 5]);
        let lists: Vec<Vec<String>> =
            (0..count).map(|_| (0..self.rng.random_range(0..3)).map(|_| self.usual()).collect()).collect();
        let back = if self.one_in(5) { None } else { Some(self.rng.random_range(0..12)) };
        let text = format!("setWatches back {back:?} {lists:?}");
        Op { session, action: Action::SetWatches { back, lists }, text }
    }

    pub(super) fn auth(&mut self, session: usize) -> Op {
        let (scheme, token): (Option<&str>, Option<&str>) = self.of(&[
            (Some("digest"), Some(USERS[0].0)),
            (Some("digest"), Some(USERS[0].0)),
            (Some("digest"), Some(USERS[1].0)),
            (Some("digest"), Some("nocolon")),
            (Some("digest"), Some("")),
            (Some("digest"), None),
            (Some("ip"), Some("127.0.0.1")),
            (Some("ip"), None),
            (Some("world"), Some("anyone")),
            (Some("auth"), Some("")),
            (Some("nope"), Some("x")),
            (Some(""), Some("x")),
            (None, Some("x")),
        ]);
        let body = Body::default().int(0).data(scheme.map(str::as_bytes)).data(token.map(str::as_bytes));
        let action = Action::Request { xid: Some(-4), opcode: 100, body: body.0 };
        Op { session, action, text: format!("auth {scheme:?} {token:?}") }
    }

    pub(super) fn small(&mut self, session: usize) -> Op {
        let path = self.path();
        let with_path = Body::default().data(path.as_deref());
        match self.rng.random_range(0..5) {
            0 => request(session, 9, with_path, format!("sync {}", show(&path))),
            1 | 2 => {
                let path =
                    self.of(&[None, Some(b"/".to_vec()), Some(PREFIX.into()), Some(b" ".to_vec()), path]);
                let body = Body::default().data(path.as_deref());
                request(session, 103, body, format!("getEphemerals {}", show(&path)))
            }
            3 => request(session, 107, Body::default(), "whoAmI".into()),
            _ if self.one_in(3) => request(session, 102, Body::default().data(Some(b"x")), "sasl".into()),
            _ => request(session, 11, Body::default(), "ping with an xid".into()),
        }
    }

    pub(super) fn undecodable(&mut self, session: usize) -> Op {
        let opcode = self
            .of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 18, 19, 21, 22, 101, 103, 104, 105, 106]);
        let long = Body::default().int(1_000_000);
        let (body, text) = match self.rng.random_range(0..4) {
            0 => (Body::default(), "empty"),
            1 => (Body::default().raw(b"\0\0"), "two bytes"),
            2 => (Body::default().int(-2), "length -2"),
            _ => (long, "a length beyond the frame"),
        };
        request(session, opcode, body, format!("undecodable({opcode}): {text}"))
    }

    pub(super) fn close(&mut self, session: usize) -> Op {
        request(session, -11, Body::default(), "closeSession".into())
    }

    pub(super) fn reconfig(&mut self, session: usize) -> Op {
        let version = self.of(&[-1, 0, 7]);
        let body = Body::default().data(Some(b"server.2=localhost:1:2;3")).int(-1).int(-1).long(version);
        request(session, 16, body, format!("reconfig v {version}"))
    }

    pub(super) fn unknown(&mut self, session: usize) -> Op {
        let opcode = self.of(&[0, 10, 13, 23, 99, 108, -1, -2, -12, i32::MAX, i32::MIN]);
        let path = self.usual();
        let body = Body::default().text(&path).int(-1);
        request(session, opcode, body, format!("unknown opcode {opcode}"))
    }
}
