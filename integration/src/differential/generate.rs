//! What a seed makes two sessions do.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::body::{Body, odd_paths, quota_paths, usual_paths};
use super::op::{Action, Op, PREFIX};

/// `user:password` and the id a digest ACL names it by.
const USERS: [(&str, &str); 2] =
    [("u1:p1", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="), ("u2:p2", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE=")];

/// The operations of `seed`, in order. The first makes the run's own root.
pub fn operations(seed: u64, count: usize) -> Vec<Op> {
    let mut draw = Draw { rng: StdRng::seed_from_u64(seed) };
    let open = Body::default().int(1).int(31).text("world").text("anyone");
    let root = Body::default().text(PREFIX).data(Some(b"")).raw(&open.0).int(0);
    let mut ops = vec![request(0, 1, root, format!("create {PREFIX}"))];
    ops.extend((1..count).map(|_| draw.op()));
    if draw.one_in(6) {
        // What leaves the two trees different comes last.
        // Of a znode that is there, Apache's server deletes it and comes to differ; and a TTL it cannot
        // apply ends it.
        let nowhere = Body::default().text(&format!("{PREFIX}/none/x"));
        let (opcode, body) = match draw.rng.random_range(0..3) {
            0 => (20, nowhere),
            1 => (-10, Body::default().int(30_000)),
            _ => (21, nowhere.data(None).raw(&open.0).int(0).long(-1)),
        };
        ops.push(request(draw.session(), opcode, body, format!("opcode {opcode}, at the end")));
    }
    ops
}

fn request(session: usize, opcode: i32, body: Body, text: String) -> Op {
    Op { session, action: Action::Request { xid: None, opcode, body: body.0 }, text }
}

/// A path as it is sent, and as it is shown.
type Path = Option<Vec<u8>>;

fn show(path: &Path) -> String {
    path.as_ref().map_or("null".into(), |bytes| bytes.escape_ascii().to_string())
}

/// Draws one step of a session.
type Make = fn(&mut Draw, usize) -> Op;

struct Draw {
    rng: StdRng,
}

impl Draw {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())].clone()
    }

    fn session(&mut self) -> usize {
        self.rng.random_range(0..2)
    }

    fn op(&mut self) -> Op {
        let session = self.session();
        let weights: &[(u32, Make)] = &[
            (30, Self::write),
            (20, Self::read),
            (12, Self::watch),
            (10, Self::multi),
            (3, Self::multi_read),
            (4, Self::set_watches),
            (3, Self::auth),
            (4, Self::quota),
            (6, Self::small),
            (3, Self::undecodable),
            (2, Self::reattach),
            (1, Self::close),
            (1, Self::reconfig),
            (1, Self::unknown),
        ];
        let mut at = self.rng.random_range(0..weights.iter().map(|(w, _)| w).sum());
        for (weight, make) in weights {
            if at < *weight {
                return make(self, session);
            }
            at -= weight;
        }
        unreachable!("`at` is below the sum")
    }

    fn path(&mut self) -> Path {
        if self.one_in(9) { self.of(&odd_paths()) } else { Some(self.of(&usual_paths()).into_bytes()) }
    }

    fn usual(&mut self) -> String {
        self.of(&usual_paths())
    }

    /// A path whose ACL may change for good: one of this run's own.
    fn own_path(&mut self) -> Path {
        loop {
            let path = self.path();
            if path.as_ref().is_none_or(|p| p.starts_with(PREFIX.as_bytes()) || !p.starts_with(b"/")) {
                return path;
            }
        }
    }

    fn payload(&mut self) -> Option<Vec<u8>> {
        match self.rng.random_range(0..6) {
            0 => None,
            1 => Some(Vec::new()),
            n => Some(vec![b'x'; n * 3]),
        }
    }

    fn version(&mut self) -> i32 {
        self.of(&[-1, -1, -1, 0, 0, 1, 1, 2, 3, -2, i32::MIN, i32::MAX])
    }

    fn acl(&mut self) -> (Body, String) {
        const ONES: [(i32, &str, &str); 20] = [
            (31, "world", "anyone"),
            (1, "world", "anyone"),
            (3, "world", "anyone"),
            (15, "world", "anyone"),
            (0, "world", "anyone"),
            (64, "world", "anyone"),
            (-1, "world", "anyone"),
            (31, "world", "someone"),
            (31, "auth", ""),
            (31, "auth", "ignored"),
            (31, "digest", USERS[0].1),
            (31, "digest", USERS[1].1),
            (1, "digest", USERS[1].1),
            (31, "digest", "nocolon"),
            (31, "digest", "a:b:c"),
            (31, "ip", "127.0.0.1"),
            (31, "ip", "10.0.0.0/8"),
            (31, "ip", "127.0.0.0/33"),
            (31, "ip", "nonsense"),
            (31, "nope", "x"),
        ];
        let count = match self.rng.random_range(0..24) {
            0 => return (Body::default().int(-1), "null".into()),
            1 => return (Body::default().int(0), "[]".into()),
            2..5 => 2,
            5 => 3,
            6..14 => {
                let open = Body::default().int(1).int(31).text("world").text("anyone");
                return (open, "open".into());
            }
            _ => 1,
        };
        let (mut body, mut text) = (Body::default().int(count), String::new());
        for _ in 0..count {
            let (perms, scheme, id) = self.of(&ONES);
            body = body.int(perms).text(scheme).text(id);
            text += &format!("[{perms} {scheme}:{id}]");
        }
        (body, text)
    }

    /// A create by any of its four opcodes.
    fn create(&mut self, path: &Path) -> (i32, Body, String) {
        let opcode = self.of(&[1, 1, 1, 15, 15, 19, 21]);
        let flags = match opcode {
            19 => self.of(&[4, 4, 4, 0, 1, 5]),
            21 => self.of(&[5, 5, 5, 6, 6, 0, 1, 4]),
            _ => self.of(&[0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, -1]),
        };
        let (data, (acl, acl_text)) = (self.payload(), self.acl());
        let mut body = Body::default().data(path.as_deref()).data(data.as_deref()).raw(&acl.0).int(flags);
        let len = data.map_or(-1, |d| i32::try_from(d.len()).expect("short"));
        let mut text = format!("create({opcode}) {} flags {flags} len {len} acl {acl_text}", show(path));
        if opcode == 21 {
            let ttl = self.of(&[100_000_000, 100_000_000, (1 << 40) - 1, 1 << 40, 0, -1, i64::MIN]);
            // A negative TTL without a TTL flag ends Apache's server.
            let ttl = if matches!(flags, 5 | 6) { ttl } else { ttl.max(0) };
            body = body.long(ttl);
            text += &format!(" ttl {ttl}");
        }
        (opcode, body, text)
    }

    /// One of the writes that multi takes.
    fn write_op(&mut self, path: &Path) -> (i32, Body, String) {
        let version = self.version();
        match self.rng.random_range(0..10) {
            0..5 => self.create(path),
            5..7 => {
                let body = Body::default().data(path.as_deref()).int(version);
                (2, body, format!("delete {} v {version}", show(path)))
            }
            7 => {
                let body = Body::default().data(path.as_deref()).int(version);
                (13, body, format!("check {} v {version}", show(path)))
            }
            _ => {
                let data = self.payload();
                let body = Body::default().data(path.as_deref()).data(data.as_deref()).int(version);
                let len = data.map_or(-1, |d| i32::try_from(d.len()).expect("short"));
                (5, body, format!("setData {} len {len} v {version}", show(path)))
            }
        }
    }

    fn write(&mut self, session: usize) -> Op {
        if self.one_in(8) {
            let (path, version, (acl, text)) = (self.own_path(), self.version(), self.acl());
            let body = Body::default().data(path.as_deref()).raw(&acl.0).int(version);
            return request(session, 7, body, format!("setACL {} {text} v {version}", show(&path)));
        }
        let path = self.path();
        let (opcode, body, text) = self.write_op(&path);
        request(session, opcode, body, text)
    }

    fn multi(&mut self, session: usize) -> Op {
        let count = self.rng.random_range(0..6);
        let (mut body, mut text) = (Body::default(), String::from("multi"));
        for _ in 0..count {
            let path = if self.one_in(20) { self.path() } else { Some(self.usual().into_bytes()) };
            let (opcode, op, op_text) = self.write_op(&path);
            let opcode = if self.one_in(60) { self.of(&[3, 4, 7, 14, 99, -1]) } else { opcode };
            body = body.header(opcode, false).raw(&op.0);
            text += &format!(" | {opcode}: {op_text}");
        }
        if !self.one_in(30) {
            body = body.header(-1, true);
        } else {
            text += " | no end";
        }
        request(session, 14, body, text)
    }

    fn multi_read(&mut self, session: usize) -> Op {
        let (mut body, mut text) = (Body::default(), String::from("multiRead"));
        for _ in 0..self.rng.random_range(0..5) {
            let path = self.path();
            let opcode = if self.one_in(15) { self.of(&[3, 5, 12, 2]) } else { self.of(&[4, 8]) };
            body = body.header(opcode, false).data(path.as_deref()).flag(self.one_in(3));
            text += &format!(" | {opcode} {}", show(&path));
        }
        request(session, 22, body.header(-1, true), text)
    }

    fn read(&mut self, session: usize) -> Op {
        let path = if self.one_in(12) { Some(self.of(&quota_paths()).into_bytes()) } else { self.path() };
        let opcode = self.of(&[3, 3, 4, 4, 8, 12, 12, 6, 6, 104]);
        let body = Body::default().data(path.as_deref());
        if matches!(opcode, 6 | 104) {
            return request(session, opcode, body, format!("read({opcode}) {}", show(&path)));
        }
        let watch = self.one_in(2);
        request(session, opcode, body.flag(watch), format!("read({opcode}) {} watch {watch}", show(&path)))
    }

    fn watch(&mut self, session: usize) -> Op {
        let path = self.path();
        let (opcode, number) = match self.rng.random_range(0..4) {
            0 => (17, self.of(&[1, 2, 3, 4, 5, 0, 6, -1])),
            1 => (18, self.of(&[1, 2, 3, 4, 5, 0, 6, -1])),
            _ => (106, self.of(&[0, 0, 1, 1, 2, -1])),
        };
        let body = Body::default().data(path.as_deref()).int(number);
        request(session, opcode, body, format!("watch({opcode}) {} {number}", show(&path)))
    }

    fn set_watches(&mut self, session: usize) -> Op {
        let count = self.of(&[3, 5]);
        let lists: Vec<Vec<String>> =
            (0..count).map(|_| (0..self.rng.random_range(0..3)).map(|_| self.usual()).collect()).collect();
        let back = if self.one_in(5) { None } else { Some(self.rng.random_range(0..12)) };
        let text = format!("setWatches back {back:?} {lists:?}");
        Op { session, action: Action::SetWatches { back, lists }, text }
    }

    fn auth(&mut self, session: usize) -> Op {
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

    fn quota(&mut self, session: usize) -> Op {
        let path = self.of(&quota_paths());
        let text = self.of(&[
            "count=3,bytes=-1",
            "count=-1,bytes=10",
            "count=-1,bytes=-1=;byteHardLimit=12;countHardLimit=3",
            "count=-1,bytes=-1=;countHardLimit=2",
            "count=0,bytes=0",
            "byteHardLimit=5",
            "garbage",
            "",
        ]);
        let open = Body::default().int(1).int(31).text("world").text("anyone");
        match self.rng.random_range(0..6) {
            0 => request(session, 2, Body::default().text(&path).int(-1), format!("delete {path}")),
            1 => {
                let body = Body::default().text(&path).data(Some(text.as_bytes())).int(-1);
                request(session, 5, body, format!("setData {path} {text:?}"))
            }
            _ => {
                let body = Body::default().text(&path).data(Some(text.as_bytes())).raw(&open.0).int(0);
                request(session, 1, body, format!("create {path} {text:?}"))
            }
        }
    }

    fn small(&mut self, session: usize) -> Op {
        let path = self.path();
        let with_path = Body::default().data(path.as_deref());
        match self.rng.random_range(0..5) {
            0 => request(session, 9, with_path, format!("sync {}", show(&path))),
            1 | 2 => request(session, 103, with_path, format!("getEphemerals {}", show(&path))),
            3 => request(session, 107, Body::default(), "whoAmI".into()),
            _ if self.one_in(3) => request(session, 102, Body::default().data(Some(b"x")), "sasl".into()),
            _ => request(session, 11, Body::default(), "ping with an xid".into()),
        }
    }

    fn undecodable(&mut self, session: usize) -> Op {
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

    fn reattach(&mut self, session: usize) -> Op {
        if self.one_in(12) {
            let (len, text) = self.of(&[(0xfffff, "just allowed"), (0x10_0000, "just too long")]);
            let text = format!("a frame of {len} bytes, {text}");
            return Op { session, action: Action::Oversized(len), text };
        }
        let bad_password = self.one_in(6);
        let text = format!("reattach, bad password: {bad_password}");
        Op { session, action: Action::Reattach { bad_password }, text }
    }

    fn close(&mut self, session: usize) -> Op {
        request(session, -11, Body::default(), "closeSession".into())
    }

    fn reconfig(&mut self, session: usize) -> Op {
        let version = self.of(&[-1, 0, 7]);
        let body = Body::default().data(Some(b"server.2=localhost:1:2;3")).int(-1).int(-1).long(version);
        request(session, 16, body, format!("reconfig v {version}"))
    }

    fn unknown(&mut self, session: usize) -> Op {
        let opcode = self.of(&[0, 10, 13, 23, 99, 108, -1, -2, -12, i32::MAX, i32::MIN]);
        let path = self.usual();
        let body = Body::default().text(&path).int(-1);
        request(session, opcode, body, format!("unknown opcode {opcode}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same() {
        assert_eq!(operations(7, 60), operations(7, 60));
        assert_ne!(operations(7, 60), operations(8, 60));
    }

    #[test]
    fn every_opcode_is_drawn() {
        let drawn: std::collections::BTreeSet<i32> =
            (0..200).flat_map(|seed| operations(seed, 60)).filter_map(|op| op.opcode()).collect();
        for opcode in paddock_messages::client::OpCode::ALL {
            assert!(drawn.contains(&(*opcode as i32)), "{opcode:?} is never drawn");
        }
    }
}
