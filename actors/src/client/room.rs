//! How much may wait to be sent, and what waits for it to become less.
//!
//! Answers to reads are what a client can ask for without end, so they are held back: a read begins only
//! while there is room for what it brings (C6, C7). Nobody is cut for having asked. Events come unasked
//! and cannot be held back: who lets too many of them pile up is closed.

use std::sync::Arc;

use paddock_messages::client::request::{Read, ReadOp};
use paddock_messages::ids::ConnId;
use paddock_messages::znode::Acl;

use super::connections::{Connection, Stall};
use super::core::{ArbiterCore, Remark};
use super::intake::{MAX_ID_BYTES, bytes_of};
use super::reads::MULTI_READ_LIMIT;
use crate::tree::DataTree;

/// What any answer takes beside what it tells, in bytes: length, header, stat.
const AROUND: usize = 128;
/// Children whose names are added up under the tree's guard; nobody knows how long a longer list is.
const MOST_CHILDREN: u32 = 1_000;
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
        if !self.readers.is_empty() {
            self.go_on(); // C7
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
        let tree = Arc::clone(&self.tree);
        let Some(connection) = self.conns.get_mut(conn) else { return false };
        let Connection { outbox, pipeline, ids, .. } = connection;
        let (largest, in_flight, ids) = (pipeline.largest(), pipeline.bytes(), bytes_of(ids));
        let mut guard = None;
        let waiting = outbox.unsent().len() + pipeline.expected();
        let room = if has_room { (self.settings.outbox_limit / 2).saturating_sub(waiting) } else { 0 };
        let is_kept = pipeline.expect(room, |read, request| {
            let tree = &**guard.get_or_insert_with(|| tree.read());
            Weigher { tree, largest, in_flight, ids }.most(read, request)
        });
        if !is_kept {
            connection.stall = Some(Stall::Credit); // each answer looks again
        }
        is_kept
    }

    /// C6: closes a connection that has too much unsent to be given the answer to a read between writes:
    /// others made what it reads longer after there was room for it.
    pub(super) fn close_if_full(&mut self, conn: ConnId) {
        if self.unsent(conn).len() > self.settings.outbox_limit {
            self.close_overfull(&[conn]);
        }
    }

    /// C6: closes who let too much pile up.
    pub(super) fn close_overfull(&mut self, overfull: &[ConnId]) {
        for &conn in overfull {
            self.remark(conn, Remark::Deaf(self.unsent(conn).len()));
            self.close(conn);
        }
    }
}

/// Tells what answers may come to, before there are any: by what is there, and by what the connection's
/// own requests in flight may make of it.
struct Weigher<'a> {
    tree: &'a DataTree,
    /// No request in flight has more bytes than this: none of them makes data or a list longer.
    largest: usize,
    /// Bytes of all requests in flight.
    in_flight: usize,
    /// Bytes of the connection's identities, which `auth` in an ACL stands for.
    ids: usize,
}

impl Weigher<'_> {
    /// The most bytes that `read`, a frame of `request` bytes, can be answered with; `None` if nobody
    /// can tell. What others write meanwhile may come on top.
    fn most(&self, read: &Read, request: usize) -> Option<usize> {
        let body = match read {
            Read::Ping | Read::Exists(_) | Read::GetAllChildrenNumber(_) => 0,
            Read::CheckWatches(_) | Read::RemoveWatches(_) | Read::AddWatch(_) => 0,
            Read::WhoAmI => MAX_ID_BYTES,
            Read::GetAcl(of) => {
                let now = self.tree.node(&of.path).map_or(0, |node| acl_bytes(node.acl()));
                now.max(self.largest + self.largest / AUTH_ENTRY * self.ids)
            }
            Read::SetWatches(..) => EVENT_GROWTH * request,
            Read::One(op) => self.part(op)?,
            Read::GetChildren2(of) => self.names(&of.path)?,
            Read::MultiRead(ops) => ops
                .iter()
                .try_fold(0_usize, |sum, op| Some((sum + AROUND + self.part(op)?).min(MULTI_READ_LIMIT)))?,
            Read::GetEphemerals(_) => return None,
        };
        Some(AROUND + body)
    }

    fn part(&self, op: &ReadOp) -> Option<usize> {
        match op {
            ReadOp::GetData(of) => {
                let now = self.tree.node(&of.path).and_then(|node| node.data()).map_or(0, <[u8]>::len);
                Some(now.max(self.largest))
            }
            ReadOp::GetChildren(of) => self.names(&of.path),
        }
    }

    /// The names there are, and those that the connection's own requests in flight may add.
    fn names(&self, path: &str) -> Option<usize> {
        let Some(node) = self.tree.node(path) else { return Some(self.in_flight) };
        let names = || node.children().map(|name| 4 + name.len()).sum::<usize>();
        (node.child_count() <= MOST_CHILDREN).then(|| names() + self.in_flight)
    }
}

fn acl_bytes(acl: &[Acl]) -> usize {
    acl.iter().map(|it| 32 + it.id.scheme.len() + it.id.id.len()).sum()
}
