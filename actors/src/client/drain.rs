//! Does what the feed brings, item by item, in zxid order.

use paddock_messages::client::OpCode;
use paddock_messages::client::ReplyHeader;
use paddock_messages::client::event::{EventKind, write_event};
use paddock_messages::client::reply::{OpResult, Outcome};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ConnId;
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::{Acl, Perms};
use paddock_messages::zxid::Zxid;

use super::connections::Phase;
use super::core::ArbiterCore;
use super::outbox::counted;
use super::remark::Remark;
use super::serve::Done;
use crate::auth::permits;
use crate::tree::feed::{FeedItem, ReadAnswer, WatchTable};
use crate::watch::WatchKind;

/// Items of a feed whose memory is kept.
const KEPT_ITEMS: usize = 1 << 13;

impl ArbiterCore {
    /// Does everything that waits in the feed. Answers no read of the tree: those become ready.
    pub(super) fn drain(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        let upto = self.tree.feeds()[usize::from(self.arbiter)].drain(&mut items);
        for item in &items {
            self.on_item(item);
        }
        if items.capacity() > KEPT_ITEMS && items.len() < items.capacity() / 4 {
            items = Vec::with_capacity(KEPT_ITEMS); // a burst is over; the feed's other lists come by here
        }
        items.clear();
        self.items = items;
        self.advance(upto);
    }

    /// Everything before `zxid` is done.
    fn advance(&mut self, zxid: Zxid) {
        assert!(zxid >= self.at, "W1: the feed goes back from {:?} to {zxid:?}", self.at);
        self.at = zxid;
    }

    fn on_item(&mut self, item: &FeedItem) {
        match *item {
            FeedItem::Event { zxid, kind, ref path, table, ref acl } => {
                self.advance(zxid);
                self.on_event(kind, path, table, acl.as_deref());
            }
            FeedItem::Reply { conn, xid, zxid, ref outcome } => {
                self.advance(zxid);
                self.on_reply(conn, xid, outcome);
            }
            FeedItem::LateReply { conn, xid, zxid, ref outcome } => {
                self.advance(zxid);
                if self
                    .conns
                    .get(conn)
                    .is_some_and(|it| it.phase != Phase::Closing && !it.pipeline.is_next(xid))
                {
                    self.close(conn, Remark::LeaderLost); // C17: something before it was not executed, perhaps
                } else {
                    self.on_reply(conn, xid, outcome);
                }
            }
            FeedItem::Synced { conn, xid, zxid, ref path } => {
                self.advance(zxid);
                if let Some(done) = self.take_answered(conn, xid) {
                    self.send(conn, xid, None, |to| path.write(to));
                    self.finish(conn, done, zxid);
                    self.serve_between(conn);
                }
            }
            FeedItem::ReadsSynced { number, zxid } => {
                self.advance(zxid);
                self.on_reads_synced(number);
            }
            FeedItem::Read { conn, xid, zxid, ref answer } => {
                self.advance(zxid);
                self.check_room(conn);
                if let Some(done) = self.take_answered(conn, xid) {
                    self.on_read_answer(conn, xid, answer);
                    self.finish(conn, done, zxid);
                    self.serve_between(conn);
                }
            }
            FeedItem::Attached { conn, session, attach, timeout_ms } => {
                self.on_attached(conn, session, attach, timeout_ms);
            }
            FeedItem::AttachRefused { conn } => self.on_attach_refused(conn),
            FeedItem::Close { conn, why } => self.close(conn, why.into()),
        }
    }

    /// Tells whoever watches and may know; the frame is made once for all of them.
    fn on_event(&mut self, kind: EventKind, path: &str, table: WatchTable, acl: Option<&[Acl]>) {
        self.event.clear();
        let Self { watches, conns, spare, event, rules, totals, tally, at, woken, fan_out, settings, .. } =
            self;
        let (mut told, mut overfull) = (0, Vec::new());
        for &slot in watches.trigger(path, table) {
            let Some((conn, connection)) = conns.in_slot(slot) else { continue };
            if !acl.is_none_or(|acl| permits(acl, Perms::READ, &connection.ids, rules)) {
                continue;
            }
            if event.is_empty() {
                write_event(Some(*at), kind, path, event);
            }
            let owed_nothing = connection.outbox.unsent().is_empty();
            connection.outbox.tell(event, spare);
            if connection.outbox.unasked() > settings.outbox_limit {
                overfull.push(conn);
            }
            connection.last = *at;
            connection.stats.sent += 1;
            totals.sent += 1;
            told += 1;
            if connection.is_woken || connection.is_told {
                continue;
            }
            if owed_nothing {
                connection.is_told = true;
                fan_out.push_back(conn);
            } else {
                connection.is_woken = true;
                woken.push(conn);
            }
        }
        if told > 0 {
            tally.event(kind, told, event.len() as u64);
        }
        self.close_overfull(&overfull);
    }

    fn on_reply(&mut self, conn: ConnId, xid: i32, outcome: &Outcome) {
        if has_moved(outcome) {
            return self.close(conn, Remark::Moved);
        }
        let Some(done) = self.take_answered(conn, xid) else { return };
        let zxid = self.at;
        let Self { conns, spare, tally, .. } = self;
        if let Some(connection) = conns.get_mut(conn) {
            counted(connection.outbox.to(spare), tally, |to| outcome.write_reply(xid, zxid, to));
        }
        self.finish(conn, done, zxid);
        if done.opcode == OpCode::CloseSession as i32 {
            return self.end(conn);
        }
        self.serve_between(conn);
    }

    /// The request that is answered, unless its connection is gone.
    fn take_answered(&mut self, conn: ConnId, xid: i32) -> Option<Done> {
        let Some(connection) = self.conns.get_mut(conn).filter(|it| it.phase != Phase::Closing) else {
            self.tally.stale_replies += 1;
            return None;
        };
        let entry = connection.pipeline.take_submitted(xid);
        self.submitted -= 1;
        Some(Done::of(&entry))
    }

    fn on_read_answer(&mut self, conn: ConnId, xid: i32, answer: &ReadAnswer) {
        let zxid = self.at;
        match answer {
            ReadAnswer::Tree { err, body, watch, found } => {
                let Self { conns, spare, watches, tally, .. } = self;
                let Some(connection) = conns.get_mut(conn) else { return };
                counted(connection.outbox.to(spare), tally, |to| {
                    frame(to, |to| {
                        let err = err.map_or(0, ErrorCode::code);
                        ReplyHeader { xid, zxid: zxid.to_wire(), err }.write(to);
                        to.extend_from_slice(body);
                    });
                });
                if let Some((path, bytes)) = found {
                    tally.read_from(path, *bytes);
                }
                if let Some((path, table)) = watch {
                    watches.add(conn.slot, path, WatchKind::standard(*table));
                }
            }
            ReadAnswer::Local(read) => {
                let Some(ids) = self.conns.get(conn).map(|it| it.ids.clone()) else { return };
                self.answer_here(conn, xid, read, &ids);
            }
            ReadAnswer::SetWatches(missed) => self.answer_set_watches(conn, xid, zxid, missed),
        }
    }
}

/// Whether a write was refused because its session attached elsewhere: its connection gets no answer.
fn has_moved(outcome: &Outcome) -> bool {
    let moved = ErrorCode::SessionMoved;
    match outcome {
        Outcome::Refused(code) => *code == moved,
        Outcome::Multi(results) => results.contains(&OpResult::Failed(Some(moved))),
        _ => false,
    }
}
