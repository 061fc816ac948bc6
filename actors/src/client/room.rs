//! How much may wait to be sent, and what waits for it to become less.
//!
//! Answers to reads are what a client can ask for without end, so they are held back: a read begins only
//! while there is room for what it brings (C6, C7). Nobody is cut for having asked. Events come unasked
//! and cannot be held back: who lets too many of them pile up is closed.

use paddock_messages::client::request::{Read, ReadOp};
use paddock_messages::ids::ConnId;
use paddock_messages::znode::Acl;
use parking_lot::RwLockReadGuard;

use super::connections::{Connection, Phase, Stall};
use super::core::ArbiterCore;
use super::intake::{MAX_ID_BYTES, bytes_of};
use super::reads::MULTI_READ_LIMIT;
use super::remark::Remark;
use crate::tree::{DataTree, NodeRef, SharedTree};

/// What any answer takes beside what it tells, in bytes: length, header, stat.
const AROUND: usize = 128;
/// Znodes and names that are looked at under one guard of the tree; how long more are, nobody knows.
const MOST_LOOKS: usize = 1_024;
/// How long everybody's reads may wait for those whose outboxes are full, in ms.
const PATIENCE_MS: u64 = 50;
/// Bytes of a request that `auth` in its ACL takes, at least.
const AUTH_ENTRY: usize = 16;
/// How much longer an event of setWatches is than what asked for it, at most.
const EVENT_GROWTH: usize = 8;

impl ArbiterCore {
    /// The socket took `count` bytes of [`Self::unsent`].
    pub fn on_sent(&mut self, conn: ConnId, count: usize, now_ms: u64) {
        self.now_ms = now_ms;
        self.settle_owed();
        let Self { conns, spare, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        connection.outbox.took(count, spare);
        connection.took_ms = now_ms;
        self.owed = self.owed.saturating_sub(count);
        if connection.stall.is_some() {
            if connection.outbox.unsent().len() < self.settings.outbox_full {
                connection.stall = None; // `pump` finds out whether anything else holds it up
            }
            self.make_ready(conn);
            self.resume(conn);
            self.go_on();
        } else if !self.readers.is_empty() {
            self.go_on(); // C7: others wait for what was sent
        }
    }

    /// The connection's socket is gone: it is forgotten. Its session lives on.
    pub fn on_closed(&mut self, conn: ConnId) {
        self.forget(conn);
        if !self.readers.is_empty() || !self.held.is_empty() {
            self.go_on(); // C7, C13
        }
    }

    /// C7: whether reads may begin, as to what all connections together are still to be sent.
    pub(super) fn has_room(&mut self) -> bool {
        self.settle_owed();
        self.owed <= self.roof
    }

    /// The same; where there is none, and those who fill it had some time to take their answers, the fullest
    /// are cut: a few that take nothing do not keep all others waiting.
    pub(super) fn makes_room(&mut self) -> bool {
        if !self.has_room() && self.now_ms.saturating_sub(self.relieved_ms) >= PATIENCE_MS {
            self.relieve();
        }
        self.has_room()
    }

    /// Adds what was appended to the outboxes since the last call.
    pub(super) fn settle_owed(&mut self) {
        let made = self.tally.bytes_made();
        self.owed += made.saturating_sub(std::mem::replace(&mut self.made, made));
    }

    /// Counts what all are still to be sent.
    pub(super) fn count_owed(&mut self) -> usize {
        self.made = self.tally.bytes_made();
        self.owed = self.conns.iter().map(|(_, it)| it.outbox.unsent().len()).sum();
        self.owed
    }

    /// C6: keeps room for the answers of the reads that wait for earlier writes, before the next write
    /// puts them into the Learner's hands. False if there is none: it has to wait for some answers.
    pub(super) fn keep_room(&mut self, conn: ConnId) -> bool {
        let has_room = self.has_room();
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        let Connection { outbox, pipeline, ids, .. } = connection;
        let (written, largest) = pipeline.written();
        let limit = self.settings.outbox_limit / 2;
        let waiting = outbox.unsent().len() + pipeline.expected();
        let room = if has_room { limit.saturating_sub(waiting) } else { 0 };
        let mut weigher = Weigher {
            tree: &self.tree,
            guard: None,
            looks: MOST_LOOKS,
            ample: limit / 2 + self.settings.max_frame,
            max_frame: self.settings.max_frame,
            written,
            largest,
            ids: bytes_of(ids),
        };
        let is_kept = pipeline.expect(room, |read, request, room| weigher.most(read, request, room));
        if !is_kept {
            connection.stall = Some(Stall::Credit); // each answer looks again
        }
        is_kept
    }

    /// C6, C7: before a connection is given the answer to a read between writes. If it has too much unsent it
    /// is closed: others made what it reads longer after there was room for it.
    pub(super) fn check_room(&mut self, conn: ConnId) {
        self.makes_room();
        let is_full = |it: &Connection| it.outbox.unsent().len() > self.settings.outbox_limit;
        if self.conns.get(conn).is_some_and(|it| it.phase != Phase::Closing && is_full(it)) {
            self.close_overfull(&[conn]);
        }
    }

    /// C6: closes who let too much pile up.
    pub(super) fn close_overfull(&mut self, overfull: &[ConnId]) {
        for &conn in overfull {
            self.close(conn, Remark::Deaf(self.unsent(conn).len()));
        }
    }
}

/// Tells what answers may come to, before there are any: by what is there, and by what the connection's
/// own writes in flight may make of it.
struct Weigher<'a> {
    tree: &'a SharedTree,
    /// Taken for the first read that only the tree can tell of.
    guard: Option<RwLockReadGuard<'a, DataTree>>,
    /// How many znodes and names may still be looked at under the guard.
    looks: usize,
    /// With more room than this left, data counts as if it was as long as it may be: most connections have
    /// few reads between writes, and need no guard.
    ample: usize,
    max_frame: usize,
    /// Bytes of all writes in flight: no list gets longer by more.
    written: usize,
    /// None of them has more bytes: no data gets longer than this by them.
    largest: usize,
    /// Bytes of the connection's identities, which `auth` in an ACL stands for.
    ids: usize,
}

impl Weigher<'_> {
    /// The most bytes that `read`, a frame of `request` bytes, can be answered with; `None` if that takes too
    /// long to tell, or more than `room`. What others write meanwhile may come on top.
    fn most(&mut self, read: &Read, request: usize, room: usize) -> Option<usize> {
        let room = room.checked_sub(AROUND)?;
        let body = match read {
            Read::Ping | Read::Exists(_) | Read::GetAllChildrenNumber(_) => 0,
            Read::CheckWatches(_) | Read::RemoveWatches(_) | Read::AddWatch(_) => 0,
            Read::WhoAmI => MAX_ID_BYTES,
            Read::GetAcl(of) => {
                let now = self.node(&of.path)?.map_or(0, |node| acl_bytes(node.acl()));
                now.max(self.largest + self.largest / AUTH_ENTRY * self.ids)
            }
            Read::SetWatches(..) => EVENT_GROWTH * request,
            Read::One(ReadOp::GetData(_)) if room > self.ample => self.max_frame,
            Read::One(op) => self.part(op)?,
            Read::GetChildren2(of) => self.names(&of.path)?,
            Read::MultiRead(_) if room < MULTI_READ_LIMIT => return None,
            Read::MultiRead(ops) => self.parts(ops),
            Read::GetEphemerals(_) => return None,
        };
        Some(AROUND + body)
    }

    /// A multiRead whose parts cannot be told may come to as much as any.
    fn parts(&mut self, ops: &[ReadOp]) -> usize {
        let mut sum = 0;
        for op in ops {
            match self.part(op) {
                Some(part) if sum + AROUND + part < MULTI_READ_LIMIT => sum += AROUND + part,
                _ => return MULTI_READ_LIMIT,
            }
        }
        sum
    }

    fn part(&mut self, op: &ReadOp) -> Option<usize> {
        match op {
            ReadOp::GetData(of) => {
                let now = self.node(&of.path)?.and_then(|node| node.data()).map_or(0, <[u8]>::len);
                Some(now.max(self.largest))
            }
            ReadOp::GetChildren(of) => self.names(&of.path),
        }
    }

    /// The names there are, and those that the connection's own writes in flight may add.
    fn names(&mut self, path: &str) -> Option<usize> {
        let looks = self.looks;
        let (count, names) = match self.node(path)? {
            Some(node) if node.child_count() as usize >= looks => return None,
            Some(node) => (node.child_count(), node.children().map(|name| 4 + name.len()).sum()),
            None => (0, 0),
        };
        self.looks -= count as usize;
        Some(names + self.written)
    }

    /// The znode, if it is there; `None` if enough was looked at.
    fn node(&mut self, path: &str) -> Option<Option<NodeRef<'_>>> {
        self.looks = self.looks.checked_sub(1)?;
        let tree = self.tree;
        Some(self.guard.get_or_insert_with(|| tree.read()).node(path))
    }
}

fn acl_bytes(acl: &[Acl]) -> usize {
    acl.iter().map(|it| 32 + it.id.scheme.len() + it.id.id.len()).sum()
}

#[cfg(test)]
mod tests {
    use paddock_messages::client::ops::PathWatch;

    use super::super::Settings;
    use super::super::tests::{Member, create};
    use super::*;

    #[test]
    fn c6_whatever_is_asked_little_is_looked_at_to_tell_how_long_its_answer_gets() {
        let mut member = Member::with(1, Settings::default(), crate::auth::AuthRules::default());
        let client = member.connect(0);
        for at in 0..200 {
            member.ask(client, &create(1, &format!("/{at}")));
        }
        let children = || ReadOp::GetChildren(PathWatch { path: "/".into(), watch: false });
        let data = || ReadOp::GetData(PathWatch { path: "/0".into(), watch: false });
        let all = |op: &dyn Fn() -> ReadOp| Read::MultiRead((0..50_000).map(|_| op()).collect());
        for (read, room, most, looks) in [
            (all(&children), 32 << 20, Some(AROUND + MULTI_READ_LIMIT), 5 * 202 + 1),
            (all(&data), 32 << 20, Some(AROUND + MULTI_READ_LIMIT), MOST_LOOKS),
            (all(&data), 16 << 20, None, 0), // it does not fit, whatever it comes to
            (Read::One(data()), 32 << 20, Some(AROUND + 1_000_000), 0),
            (Read::One(data()), 1 << 20, Some(AROUND + 1), 1),
            (Read::One(children()), 1 << 20, Some(AROUND + 1_303), 202),
            (Read::Ping, AROUND - 1, None, 0),
        ] {
            let mut weigher = Weigher {
                tree: &member.tree,
                guard: None,
                looks: MOST_LOOKS,
                ample: 16 << 20,
                max_frame: 1_000_000,
                written: 0,
                largest: 0,
                ids: 0,
            };
            let found = weigher.most(&read, 0, room);
            assert_eq!((found, MOST_LOOKS - weigher.looks), (most, looks), "{room}");
            assert_eq!(weigher.guard.is_some(), looks > 0);
        }
    }
}
