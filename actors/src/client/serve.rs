//! Answers what is due: refusals and the arbiter's own knowledge at once, reads of the tree in batches
//! under its guard (W2).

use std::sync::Arc;

use paddock_messages::client::ReplyHeader;
use paddock_messages::client::event::write_event;
use paddock_messages::client::request::Read;
use paddock_messages::client::xid::PING;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ConnId;
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::Id;
use paddock_messages::zxid::Zxid;

use super::connections::{Connection, Phase, Stall};
use super::core::ArbiterCore;
use super::intake::is_write;
use super::outbox::counted;
use super::pipeline::{Entry, Stamp, What};
use super::reads::{
    Against, Found, catch_up, counted_path, execute, needs_no_tree, watched_path, write_identities,
};
use crate::tree::DataTree;
use crate::tree::feed::CatchUp;
use crate::watch::WatchKind;

/// Reads under one guard, at most.
const READS_PER_GUARD: usize = 256;
/// Bytes of answers under one guard, about.
const BYTES_PER_GUARD: usize = 64 << 10;

/// Pings a connection may be owed: a client sends one or two before it gives up, and of a flood of them
/// nobody misses the rest.
const MAX_OWED_PINGS: u32 = 8;

/// What may still be done under a guard.
#[derive(Debug)]
struct Budget {
    reads: usize,
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) {
        self.reads = self.reads.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_spent(&self) -> bool {
        self.reads == 0 || self.bytes == 0
    }
}

impl ArbiterCore {
    /// Does all that can be done now, until only the feed, the clients or time can bring more.
    pub(super) fn go_on(&mut self) {
        loop {
            self.serve_ready();
            if let Some(conn) = self.resumable.pop_front() {
                if let Some(connection) = self.conns.get_mut(conn) {
                    connection.is_resumable = false;
                    self.pump(conn);
                }
            } else if !self.release_one() {
                break;
            }
        }
        self.tell_feed();
        self.tell_in_flight();
    }

    /// Answers what is due on every connection that is ready.
    pub(super) fn serve_ready(&mut self) {
        loop {
            while let Some(conn) = self.ready.pop_front() {
                self.serve_without_tree(conn);
            }
            if self.readers.is_empty() || !self.makes_room() {
                return;
            }
            self.read_batch();
        }
    }

    /// W2. Reads of many connections under one guard.
    fn read_batch(&mut self) {
        self.drain();
        let tree = Arc::clone(&self.tree);
        let guard = tree.read();
        self.drain();
        assert_eq!(self.at, guard.last_zxid(), "W3: the feed and the tree differ under the guard");
        let mut budget = Budget { reads: READS_PER_GUARD, bytes: BYTES_PER_GUARD };
        while !budget.is_spent()
            && let Some(conn) = self.readers.pop_front()
        {
            if !self.serve_with_tree(conn, &guard, &mut budget) {
                self.readers.push_front(conn);
            }
        }
        self.tell_feed(); // C2: before any change after these registrations
    }

    /// Answers what needs no tree; a connection whose next needs it joins the readers.
    fn serve_without_tree(&mut self, conn: ConnId) {
        while let Some(entry) = self.take_due(conn, false) {
            self.answer_due(conn, entry, None);
        }
        let Some(connection) = self.conns.get_mut(conn) else { return };
        connection.is_ready = connection.pipeline.due().is_some()
            && connection.stall != Some(Stall::Outbox)
            && connection.parked.is_none();
        if connection.is_ready && !self.waits_for_sync(conn) {
            self.readers.push_back(conn);
        }
    }

    /// Answers what is due; false if the budget ended first.
    fn serve_with_tree(&mut self, conn: ConnId, tree: &DataTree, budget: &mut Budget) -> bool {
        while !budget.is_spent() {
            let before = self.unsent(conn).len();
            let Some(entry) = self.take_due(conn, true) else {
                if !self.waits_for_sync(conn)
                    && let Some(connection) = self.conns.get_mut(conn)
                {
                    connection.is_ready = false;
                }
                return true;
            };
            self.answer_due(conn, entry, Some(tree));
            budget.spend(self.unsent(conn).len() - before);
        }
        false
    }

    /// Takes the oldest request if it is due, may be answered with or without the tree, and the client
    /// takes its answers.
    fn take_due(&mut self, conn: ConnId, with_tree: bool) -> Option<Entry> {
        let full = self.settings.outbox_full;
        let is_served = |it: &&mut Connection| it.phase != Phase::Closing && it.parked.is_none(); // C8
        let connection = self.conns.get_mut(conn).filter(is_served)?;
        let entry = connection.pipeline.due()?;
        if !with_tree && needs_guard(entry) || self.read_syncs.holds(entry) {
            return None;
        }
        if connection.outbox.unsent().len() >= full {
            connection.stall = Some(Stall::Outbox);
            return None;
        }
        connection.pipeline.take_due()
    }

    fn answer_due(&mut self, conn: ConnId, entry: Entry, tree: Option<&DataTree>) {
        let done = Done::of(&entry);
        let at = self.at;
        match (entry.what, tree) {
            (What::Submitted { .. }, _) => unreachable!("what is submitted is answered by the feed"),
            (What::Refused { err, zxid }, _) => self.send_refusal(conn, entry.xid, err, zxid),
            (What::Read { read, again, .. }, _) if needs_no_tree(&read) => {
                self.answer_here(conn, entry.xid, &read, &again.ids);
            }
            (What::Read { read, again, .. }, Some(tree)) => match *read {
                Read::SetWatches(standard, more) => {
                    let Some(session) = self.conns.get(conn).map(|it| it.session) else { return };
                    let against = Against { tree, rules: &self.rules, session, ids: &again.ids };
                    let result = catch_up(&against, *standard, more);
                    self.answer_set_watches(conn, entry.xid, at, &result);
                }
                read => self.answer_read(conn, entry.xid, &read, &again.ids, tree),
            },
            (What::Read { .. }, None) => unreachable!("W2: only under the guard"),
        }
        self.finish(conn, done, at);
    }

    /// Between two submitted requests: what needs no tree is answered in its place, at the zxid of the
    /// feed's item before it, on a parked connection, too.
    pub(super) fn serve_between(&mut self, conn: ConnId) {
        loop {
            let Some(connection) = self.conns.get_mut(conn) else { return };
            if !connection.pipeline.waits() {
                break; // nothing submitted follows: it can wait for the end of the drain
            }
            let Some(entry) = connection.pipeline.take_due() else { return };
            self.answer_due(conn, entry, None);
        }
        self.make_ready(conn);
    }

    fn answer_read(&mut self, conn: ConnId, xid: i32, read: &Read, ids: &[Id], tree: &DataTree) {
        let Self { conns, spare, watches, rules, at, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let against = Against { tree, rules, session: connection.session, ids };
        let to = connection.outbox.to(spare);
        let mut found = Found { err: None, watch: None, bytes: None };
        let write = |to: &mut Vec<u8>| {
            let header = to.len();
            ReplyHeader { xid, zxid: at.to_wire(), err: 0 }.write(to);
            found = execute(&against, read, to);
            if let Some(code) = found.err {
                to.truncate(header);
                ReplyHeader { xid, zxid: at.to_wire(), err: code.code() }.write(to);
            }
        };
        counted(to, tally, |to| frame(to, write));
        if let (Some(bytes), Some(path)) = (found.bytes, counted_path(read)) {
            tally.read_from(path, bytes);
        }
        if let (Some(table), Some(path)) = (found.watch, watched_path(read)) {
            watches.add(conn.slot, path, WatchKind::standard(table));
        }
    }

    /// What the arbiter knows itself.
    pub(super) fn answer_here(&mut self, conn: ConnId, xid: i32, read: &Read, ids: &[Id]) {
        let missing = Some(ErrorCode::NoWatcher);
        match read {
            Read::Ping if !self.may_promise_to(conn) => {
                self.owes_pings = true;
                if let Some(connection) = self.conns.get_mut(conn) {
                    connection.owed_pings = (connection.owed_pings + 1).min(MAX_OWED_PINGS);
                    connection.stats.sent = connection.stats.sent.wrapping_sub(1); // `finish` counts it
                }
            }
            Read::WhoAmI => self.send(conn, xid, None, |to| write_identities(ids, to)),
            Read::CheckWatches(of) => {
                let there = self.watches.has(conn.slot, &of.path, of.kind);
                self.send(conn, xid, missing.filter(|_| !there), |_| {});
            }
            Read::RemoveWatches(of) => {
                let there = self.watches.remove(conn.slot, &of.path, of.kind);
                self.send(conn, xid, missing.filter(|_| !there), |_| {});
            }
            Read::AddWatch(of) => {
                let kind = if of.mode == 1 { WatchKind::Recursive } else { WatchKind::Persistent };
                self.watches.add(conn.slot, &of.path, kind);
                self.send(conn, xid, None, |to| 0i32.write(to));
            }
            // Whatever its request's xid was. Source: FinalRequestProcessor, ping.
            Read::Ping => {
                self.note_promise(conn);
                self.send(conn, PING, None, |_| {});
            }
            _ => self.send(conn, xid, None, |_| {}),
        }
    }

    /// setWatches: what was missed, the reply, and from here on the watches.
    pub(super) fn answer_set_watches(&mut self, conn: ConnId, xid: i32, zxid: Zxid, result: &CatchUp) {
        let Self { conns, spare, watches, totals, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let to = connection.outbox.to(spare);
        for (kind, path) in &result.missed {
            let before = to.len();
            write_event(None, *kind, path, to);
            tally.notified((to.len() - before) as u64);
        }
        tally.packets_sent += result.missed.len() as u64;
        counted(to, tally, |to| {
            frame(to, |to| ReplyHeader { xid, zxid: zxid.to_wire(), err: 0 }.write(to));
        });
        connection.stats.sent += result.missed.len() as u64;
        totals.sent += result.missed.len() as u64;
        for (path, table) in &result.register {
            watches.add(conn.slot, path, WatchKind::standard(*table));
        }
        for (path, is_recursive) in &result.persistent {
            let kind = if *is_recursive { WatchKind::Recursive } else { WatchKind::Persistent };
            watches.add(conn.slot, path, kind);
        }
    }

    fn send_refusal(&mut self, conn: ConnId, xid: i32, err: i32, stamp: Stamp) {
        let zxid = match stamp {
            Stamp::Current => self.at.to_wire(),
            Stamp::Zero => 0,
            Stamp::None => -1,
        };
        let Self { conns, spare, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        let to = connection.outbox.to(spare);
        counted(to, tally, |to| frame(to, |to| ReplyHeader { xid, zxid, err }.write(to)));
    }

    /// Appends a reply at the current zxid.
    pub(super) fn send(
        &mut self,
        conn: ConnId,
        xid: i32,
        code: Option<ErrorCode>,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let (zxid, err) = (self.at.to_wire(), code.map_or(0, ErrorCode::code));
        let Self { conns, spare, tally, .. } = self;
        let Some(connection) = conns.get_mut(conn) else { return };
        counted(connection.outbox.to(spare), tally, |to| {
            frame(to, |to| {
                ReplyHeader { xid, zxid, err }.write(to);
                if code.is_none() {
                    body(to);
                }
            });
        });
    }

    /// A request is answered: counts, credit, and what may go on because of it.
    pub(super) fn finish(&mut self, conn: ConnId, done: Done, zxid: Zxid) {
        self.in_flight -= 1;
        self.announced -= usize::from(done.announced);
        let (now_ms, latency_us) = (self.now_ms, self.now_us().saturating_sub(done.since_us));
        let latency = latency_us / 1_000;
        let Some(connection) = self.conns.get_mut(conn) else { return };
        assert!(zxid >= connection.last, "W1: {zxid:?} after {:?}", connection.last);
        let is_parked = connection.parked.is_some();
        let is_in_place = done.is_write || connection.pipeline.waits();
        assert!(!is_parked || is_in_place, "C8: xid {} is answered on a parked connection", done.xid);
        connection.last = zxid;
        let stats = &mut connection.stats;
        stats.sent = stats.sent.wrapping_add(1);
        stats.latency.add(latency);
        stats.last_latency_ms = latency;
        stats.last_response_ms = now_ms;
        stats.last_op = Some(done.opcode);
        stats.last_cxid = done.xid;
        stats.last_zxid = zxid;
        self.totals.sent += 1;
        self.totals.latency.add(latency);
        if done.is_write {
            self.tally.write_answered(latency_us);
        } else {
            self.tally.read_answered(latency_us);
        }
        if connection.stall == Some(Stall::Credit) {
            self.resume(conn);
        }
        if !is_parked {
            self.touch(conn); // the answer, too, promises the session a whole timeout
        }
        self.wake(conn);
    }

    /// C2: a watch will be registered by a request that has to wait. From here on the feed brings events.
    pub(super) fn announce(&mut self) {
        self.announced += 1;
        if self.told == 0 {
            let tree = Arc::clone(&self.tree);
            let _guard = tree.read();
            self.tell_feed();
            self.drain(); // what was applied without events is answered before the request that waits
        }
    }

    /// Tells the feed how many watches there are or will be. Under the tree's guard where there were none.
    pub(super) fn tell_feed(&mut self) {
        let count = self.watches.len() + self.announced;
        if count != self.told {
            self.tree.feeds()[usize::from(self.arbiter)].set_watches(count);
            self.told = count;
        }
    }
}

/// Whether it can only be answered under the guard. A persistent watch needs no tree, but the guard,
/// so that no change after it is missed.
fn needs_guard(entry: &Entry) -> bool {
    match &entry.what {
        What::Read { read, .. } => !needs_no_tree(read) || matches!(**read, Read::AddWatch(_)),
        _ => false,
    }
}

/// What the counts need of a request that is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    xid: i32,
    pub(super) opcode: i32,
    since_us: u64,
    announced: bool,
    is_write: bool,
}

impl Done {
    pub(super) fn of(entry: &Entry) -> Self {
        let announced = entry.what.is_announced();
        let is_write = matches!(entry.what, What::Submitted { .. }) && is_write(entry.opcode);
        Self { xid: entry.xid, opcode: entry.opcode, since_us: entry.since_us, announced, is_write }
    }
}
