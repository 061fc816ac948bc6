//! Writes: creates of every kind, deletes, data, ACLs, several as one, quotas.

use super::super::body::{Body, quota_paths};
use super::super::op::Op;
use super::{Draw, Path, USERS, open, request, show};
use rand::Rng;

impl Draw {
    pub(super) fn payload(&mut self) -> Option<Vec<u8>> {
        match self.rng.random_range(0..6) {
            0 => None,
            1 => Some(Vec::new()),
            n => Some(vec![b'x'; n * 3]),
        }
    }

    pub(super) fn version(&mut self) -> i32 {
        self.of(&[-1, -1, -1, 0, 0, 1, 1, 2, 3, -2, i32::MIN, i32::MAX])
    }

    pub(super) fn acl(&mut self) -> (Body, String) {
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
                return (open(), "open".into());
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
    pub(super) fn create(&mut self, path: &Path) -> (i32, Body, String) {
        let opcode = self.of(&[1, 1, 1, 15, 15, 19, 21]);
        let flags = match opcode {
            // Until it is applied, Java takes a container with an ephemeral's flag for an ephemeral.
            19 if self.alone => self.of(&[4, 4, 4, 0, 1, 5]),
            19 => self.of(&[4, 4, 4, 0, 5]),
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
    pub(super) fn write_op(&mut self, path: &Path) -> (i32, Body, String) {
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

    pub(super) fn write(&mut self, session: usize) -> Op {
        if self.one_in(6) {
            let (path, version, (acl, text)) = (self.own_path(), self.version(), self.acl());
            let body = Body::default().data(path.as_deref()).raw(&acl.0).int(version);
            return request(session, 7, body, format!("setACL {} {text} v {version}", show(&path)));
        }
        let path = self.path();
        let (opcode, body, text) = self.write_op(&path);
        request(session, opcode, body, text)
    }

    pub(super) fn multi(&mut self, session: usize) -> Op {
        let count = self.rng.random_range(0..6);
        let (mut body, mut text) = (Body::default(), String::from("multi"));
        let alone = std::mem::replace(&mut self.alone, false);
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
        self.alone = alone;
        request(session, 14, body, text)
    }

    pub(super) fn quota(&mut self, session: usize) -> Op {
        let path = self.of(&quota_paths());
        let text = self.of(&[
            "count=3,bytes=-1",
            "count=-1,bytes=10",
            "count=-1,bytes=-1=;byteHardLimit=12;countHardLimit=3",
            "count=-1,bytes=-1=;countHardLimit=2",
            "count=0,bytes=0",
            "byteHardLimit=5",
            "garbage",
            "count=",
            ",count=1",
            "",
        ]);
        // A usage that cannot be read ends Apache's server when it is next to change.
        let is_usage = path.ends_with("zookeeper_stats");
        let text = if is_usage { self.of(&["count=0,bytes=0", "count=70,bytes=70", ""]) } else { text };
        match self.rng.random_range(0..6) {
            0 => request(session, 2, Body::default().text(&path).int(-1), format!("delete {path}")),
            1 => {
                let body = Body::default().text(&path).data(Some(text.as_bytes())).int(-1);
                request(session, 5, body, format!("setData {path} {text:?}"))
            }
            _ => {
                let body = Body::default().text(&path).data(Some(text.as_bytes())).raw(&open().0).int(0);
                request(session, 1, body, format!("create {path} {text:?}"))
            }
        }
    }
}
