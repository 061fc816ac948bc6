//! The Learner's decisions: the one queue of what is proposed, and what applying it does to clients.

use std::collections::VecDeque;
use std::sync::Arc;

use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::ids::{AttachNumber, ClientRef, ServerId, SessionId};
use paddock_messages::letters::{Asker, Handshake, Home, Proposal, Request, SessionChange};
use paddock_messages::quorum::Tail;
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use self::asked::Step;
use super::local::LocalSessions;
use super::queue::Queue;
use super::routes::{Here, Routes, Waiting};
use super::session_ids::SessionIds;
use crate::tree::feed::{CloseReason, FeedItem, ReadAnswer};

/// The most txns that are applied under one hold of the tree's write lock: readers wait that long.
pub const APPLY_BATCH: usize = 1024;

/// The most that reads between writes are answered with under one hold of the lock, in bytes, about.
pub const READ_BYTES: usize = 1 << 20;

/// What the shell must do, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send these to the leader's Proposer, in order.
    Forward(Vec<Request>),
    /// There is a reconfig among these, which go to the log next (MB1).
    Reconfigure(Arc<Vec<Proposal>>),
    /// Append the txns among these to the log, in order, and say when they are durable.
    Append(Arc<Vec<Proposal>>),
    /// Tell the leader that everything up to here is on our disk.
    Ack(Zxid),
    /// There is something to apply: call [`Learner::apply`].
    Apply,
}

/// What applying needs: the tree and the feeds in a node, a toy in tests.
pub trait State {
    /// Applies one txn; its events go to the feeds that want them.
    fn apply(&mut self, txn: &Txn) -> Outcome;
    /// Executes a read at this place in the order.
    fn read(&mut self, from: &Asker, read: Read) -> ReadAnswer;
    /// The last zxid applied.
    fn last_zxid(&self) -> Zxid;
    /// Adds an item to one client arbiter's feed, behind the events of the txns applied so far.
    fn push(&mut self, arbiter: u16, item: FeedItem);
    /// Everything before this epoch is applied: its start is the last zxid from now on.
    fn begin_epoch(&mut self, epoch: Epoch);
}

/// Logs what is proposed, applies what is committed, and knows which of this member's connections to tell.
#[derive(Debug)]
pub struct Learner {
    me: ServerId,
    ids: SessionIds,
    pub(super) routes: Routes,
    /// What is proposed and not yet applied.
    queue: Queue,
    appended: Zxid,
    /// The last txn that the tree has.
    applied: Zxid,
    committed: Zxid,
    /// The last txn up to there; an epoch's start is none.
    watermark: Zxid,
    /// The last sync of this reign that is.
    confirmed: u64,
    /// An epoch that is led, and that the tree has not come to yet.
    begins: Option<Epoch>,
    /// Sessions with a read that waits for nothing any more: what it stands behind was answered before
    /// it came, or before there was too much else to read.
    due: VecDeque<SessionId>,
    /// Handshakes whose connections are to be closed.
    turned_away: Vec<Handshake>,
    local: LocalSessions,
    /// What came of its sessions, and is to be done under the tree's lock.
    steps: Vec<Step>,
}

impl Learner {
    /// The Learner of `me`, whose tree holds everything up to `last`.
    pub fn new(me: ServerId, last: Zxid, ids: SessionIds) -> Self {
        let (routes, queue) = (Routes::default(), Queue::default());
        let (due, turned_away, begins) = (VecDeque::new(), Vec::new(), None);
        let (appended, applied, committed, watermark) = (last, last, last, last);
        Self {
            me,
            ids,
            routes,
            queue,
            appended,
            applied,
            committed,
            watermark,
            confirmed: 0,
            begins,
            due,
            turned_away,
            local: LocalSessions::default(),
            steps: Vec::new(),
        }
    }

    /// With txns that the log holds after those of the tree, not known to be committed.
    ///
    /// # Panics
    /// If they do not follow without a gap (L5).
    pub fn with_logged(mut self, txns: Vec<Txn>) -> Self {
        txns.iter().for_each(|txn| self.follow(txn.header.zxid));
        self.queue.push(Arc::new(txns.into_iter().map(Proposal::Txn).collect()));
        self
    }

    /// What the log ends with. To be asked while the log owes nothing, and all that is committed is applied.
    pub fn tail(&self) -> Tail {
        let mut runs: Vec<(Zxid, Zxid)> = Vec::new();
        for zxid in self.queue.items().filter_map(Proposal::txn).map(|txn| txn.header.zxid) {
            match runs.last_mut().filter(|(first, _)| first.epoch() == zxid.epoch()) {
                Some((_, last)) => *last = zxid,
                None => runs.push((zxid, zxid)),
            }
        }
        Tail { committed: self.applied, runs }
    }

    /// The highest feature level that is raised to in what is not applied; 0 if none is.
    pub fn logged_level(&self) -> u8 {
        self.queue.items().map(Proposal::level).max().unwrap_or(0)
    }

    /// How much is proposed and not applied or answered.
    pub fn waiting(&self) -> usize {
        self.queue.items().count()
    }

    /// The last txn that the tree has.
    pub fn applied(&self) -> Zxid {
        self.applied
    }

    /// Everything up to here was given to the log.
    pub fn appended(&self) -> Zxid {
        self.appended
    }

    /// The last txn known to be committed, applied or not: what the log's watermark says.
    pub fn watermark(&self) -> Zxid {
        self.watermark
    }

    /// The arbiter through which a session speaks here by this attachment, or a later one.
    pub fn arbiter_of(&self, session: SessionId, attach: AttachNumber) -> Option<u16> {
        self.routes.arbiter_of(session, attach)
    }

    /// What the leader proposes, in order.
    pub fn on_proposals(&mut self, items: Arc<Vec<Proposal>>, out: &mut Vec<Output>) {
        let (before, mut reconfigures) = (self.appended, false);
        for txn in items.iter().filter_map(Proposal::txn) {
            self.follow(txn.header.zxid);
            reconfigures |= matches!(txn.body, TxnBody::Membership { .. });
        }
        if reconfigures {
            out.push(Output::Reconfigure(Arc::clone(&items)));
        }
        if self.appended != before {
            out.push(Output::Append(Arc::clone(&items)));
        }
        self.queue.push(items);
        self.ask_to_apply(out);
    }

    /// Handshakes that the leader does not grant: they overtake what is not committed.
    pub fn on_turned_away(&mut self, handshakes: Vec<Handshake>, out: &mut Vec<Output>) {
        self.turned_away.extend(handshakes);
        self.ask_to_apply(out);
    }

    fn follow(&mut self, zxid: Zxid) {
        let last = self.appended;
        let follows = last.next() == Some(zxid) || (zxid.epoch() > last.epoch() && zxid.counter() == 1);
        assert!(follows, "L5: {zxid:?} proposed after {last:?}");
        self.appended = zxid;
    }

    /// Everything up to `upto` is on this member's disk.
    pub fn on_persisted(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        assert!(upto <= self.appended, "L1: {upto:?} is durable but was never appended");
        out.push(Output::Ack(upto));
    }

    /// The leader's syncs up to this one are confirmed.
    pub fn on_confirmed(&mut self, upto: u64, out: &mut Vec<Output>) {
        self.confirmed = self.confirmed.max(upto);
        self.ask_to_apply(out);
    }

    /// Everything up to `upto` is committed.
    pub fn on_commit(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        assert!(upto >= self.committed, "L2: commit of {upto:?} after {:?}", self.committed);
        self.committed = upto;
        self.watermark = if upto.counter() > 0 {
            upto
        } else {
            let before =
                self.queue.items().filter_map(Proposal::txn).take_while(|txn| txn.header.zxid < upto);
            before.last().map_or(self.applied, |txn| txn.header.zxid)
        };
        self.ask_to_apply(out);
    }

    fn ask_to_apply(&self, out: &mut Vec<Output>) {
        if self.is_ready() {
            out.push(Output::Apply);
        }
    }

    /// This epoch is led, and we are up to date with its leader: the tree comes to its start behind all
    /// before it (L6).
    pub fn on_epoch(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        self.begins = Some(epoch);
        self.ask_to_apply(out);
    }

    /// The leader is lost, or the lead: whatever waits for an answer from there gets none, and the client
    /// arbiters park the connections (L7). What is logged stays, and the reads that stand behind it.
    pub fn on_leader_lost(&mut self) {
        self.queue.keep_txns();
        let local = &self.local;
        self.routes.park(|session| local.get(session).is_none() && !local.is_upgrading(session)); // L9
        self.local.end_all();
        self.steps.clear();
        (self.begins, self.confirmed) = (None, 0);
        self.turned_away.clear();
    }

    /// The log is cut after `to`: nothing beyond is proposed any more.
    ///
    /// # Panics
    /// If something beyond is committed (L2).
    pub fn on_truncated(&mut self, to: Zxid) {
        assert!(to >= self.applied, "L2: {:?} is applied, cut after {to:?}", self.applied);
        self.queue.cut_after(to);
        self.appended = self.appended.min(to);
    }

    /// A snapshot has taken the place of log and tree: it holds everything up to `zxid`. What it did to parked
    /// connections is not known: the shell closes them.
    ///
    /// # Panics
    /// If it is older than what is committed (L2).
    pub fn on_installed(&mut self, zxid: Zxid) {
        assert!(zxid >= self.applied, "L2: {zxid:?} replaces {:?}", self.applied);
        self.queue = Queue::default();
        self.routes.forget_parked();
        (self.appended, self.applied, self.watermark) = (zxid, zxid, zxid);
        self.committed = zxid.max(self.committed);
    }

    /// Whether the oldest proposal may be applied, a read be executed, a connection be closed, or an epoch
    /// begin.
    pub fn is_ready(&self) -> bool {
        let waits = !self.due.is_empty() || !self.turned_away.is_empty() || !self.steps.is_empty();
        waits || self.begins_in(&self.queue) || self.next_in(&self.queue).is_some()
    }

    /// The oldest in `queue`, if it may be applied.
    fn next_in<'a>(&self, queue: &'a Queue) -> Option<&'a Proposal> {
        queue.front().filter(|item| match item {
            Proposal::Txn(txn) => txn.header.zxid <= self.committed,
            Proposal::Synced { number, .. } | Proposal::ReadsSynced { number, .. } => {
                *number <= self.confirmed
            }
            _ => true, // it stands behind nothing that is not applied
        })
    }

    /// L6: whether an epoch begins before what is in `queue`. What is no txn may stand on either side.
    fn begins_in(&self, queue: &Queue) -> bool {
        let first = || queue.items().find_map(Proposal::txn);
        self.begins.is_some_and(|epoch| first().is_none_or(|txn| txn.header.zxid > epoch.start()))
    }

    /// Applies what is committed, at most [`APPLY_BATCH`] of it. To be called under the tree's write
    /// lock.
    pub fn apply(&mut self, state: &mut impl State, changes: &mut Vec<SessionChange>) {
        for handshake in std::mem::take(&mut self.turned_away) {
            self.turn_away(handshake, state);
        }
        let mut queue = std::mem::take(&mut self.queue);
        let mut budget = READ_BYTES;
        for _ in 0..APPLY_BATCH {
            self.do_steps(state, changes);
            // L3: before the next write of the session, which stands in the queue or is on its way.
            if !self.read_due(&mut budget, state) {
                break;
            }
            if self.begins_in(&queue) {
                self.begin_epoch(state);
                continue;
            }
            let Some(item) = self.next_in(&queue) else { break };
            self.apply_one(item, state, changes);
            queue.pop();
        }
        self.queue = queue;
        self.do_steps(state, changes);
    }

    /// L6. One that joins late may be beyond the start already.
    fn begin_epoch(&mut self, state: &mut impl State) {
        if let Some(epoch) = self.begins.take().filter(|epoch| epoch.start() > state.last_zxid()) {
            state.begin_epoch(epoch);
        }
    }

    /// Executes the reads that wait for nothing any more; false if the budget ended first.
    fn read_due(&mut self, budget: &mut usize, state: &mut impl State) -> bool {
        while let Some(&session) = self.due.front() {
            if !self.read_behind(session, budget, state) {
                return false;
            }
            self.due.pop_front();
        }
        true
    }

    /// L3: the reads that come right behind what has been answered. False if the budget ended first.
    fn read_behind(&mut self, session: SessionId, budget: &mut usize, state: &mut impl State) -> bool {
        while let Some(route) = self.routes.get(session).filter(|route| route.has_due_read()) {
            if *budget == 0 {
                return false;
            }
            let to = route.client;
            let Some(Waiting { from, xid, what, .. }) = route.pop_read() else { break };
            let Here::Read(read) = what else {
                self.close_here(to, session, xid, state);
                break;
            };
            let zxid = state.last_zxid();
            let answer = Box::new(state.read(&from, read));
            *budget = budget.saturating_sub(answer.weight());
            state.push(to.arbiter, FeedItem::Read { conn: to.conn, xid, zxid, answer });
        }
        true
    }

    fn apply_one(&mut self, item: &Proposal, state: &mut impl State, changes: &mut Vec<SessionChange>) {
        match *item {
            Proposal::Txn(ref txn) => self.apply_txn(txn, state, changes),
            Proposal::Attached { member, session, attach, timeout_ms, .. } if member != self.me => {
                let home = Home::Member(member);
                changes.push(SessionChange::Lives { session, attach, timeout_ms, home });
                let route = self.routes.remove(session).map(|route| route.client);
                if let Some(client) = route.or_else(|| self.routes.overtaken(session, attach)) {
                    let why = CloseReason::SessionMoved;
                    state.push(client.arbiter, FeedItem::Close { conn: client.conn, why });
                }
            }
            Proposal::Attached { member: _, client, session, attach, timeout_ms } => {
                let ClientRef { arbiter, conn } = client;
                self.routes.forget_reads();
                if let Some(old) = self.routes.attach(session, client, attach) {
                    let why = CloseReason::SessionMoved;
                    state.push(old.arbiter, FeedItem::Close { conn: old.conn, why });
                }
                state.push(arbiter, FeedItem::Attached { conn, session, attach, timeout_ms });
                changes.push(SessionChange::Lives {
                    session,
                    attach,
                    timeout_ms,
                    home: Home::Arbiter(arbiter),
                });
            }
            Proposal::AttachRefused { member, .. } if member != self.me => {}
            Proposal::AttachRefused { client, .. } => {
                self.routes.forget_reads();
                state.push(client.arbiter, FeedItem::AttachRefused { conn: client.conn });
            }
            Proposal::Synced { number: _, session, attach, xid, ref path } => {
                let Some(route) = self.routes.answer(session, attach) else { return };
                let (to, zxid, path) = (route.client, state.last_zxid(), path.clone());
                state.push(to.arbiter, FeedItem::Synced { conn: to.conn, xid, zxid, path });
                self.answered(session);
            }
            Proposal::ReadsSynced { number: _, member, arbiter, upto } => {
                if member == self.me {
                    let zxid = state.last_zxid();
                    state.push(arbiter, FeedItem::ReadsSynced { number: upto, zxid });
                }
            }
            Proposal::Refused { session, attach, xid, code } => {
                let Some(route) = self.routes.answer(session, attach) else { return };
                let (to, zxid) = (route.client, state.last_zxid());
                let outcome = Outcome::Refused(code);
                state.push(to.arbiter, FeedItem::Reply { conn: to.conn, xid, zxid, outcome });
                self.answered(session);
            }
        }
    }

    fn turn_away(&mut self, handshake: Handshake, state: &mut impl State) {
        let (client, has_moved) = match handshake {
            Handshake::Attach { client, has_moved } => (client, has_moved),
            Handshake::Ended(client) => {
                return state.push(client.arbiter, FeedItem::AttachRefused { conn: client.conn });
            }
            Handshake::Open(session) => {
                self.not_upgraded(session);
                let Some(route) = self.routes.remove(session) else { return };
                (route.client, false)
            }
        };
        let why = if has_moved { CloseReason::SessionMoved } else { CloseReason::SessionNotBegun };
        state.push(client.arbiter, FeedItem::Close { conn: client.conn, why });
    }

    /// L3: what stands behind the request that has just been answered comes before all else.
    fn answered(&mut self, session: SessionId) {
        if self.routes.get(session).is_some_and(|route| route.has_due_read()) {
            self.due.push_back(session);
        }
    }

    fn apply_txn(&mut self, txn: &Txn, state: &mut impl State, changes: &mut Vec<SessionChange>) {
        let outcome = state.apply(txn);
        let header = txn.header;
        self.applied = header.zxid;
        match txn.body {
            TxnBody::CreateSession { timeout_ms } => {
                let (session, attach) = (header.session, header.attach);
                let client = self.routes.opened(session, attach);
                let upgraded = self.local.upgraded(session).then(|| self.routes.arbiter_of(session, attach));
                let home = match client.map(|client| client.arbiter).or(upgraded.flatten()) {
                    Some(arbiter) => Home::Arbiter(arbiter),
                    None => home_of(session, self.me),
                };
                changes.push(SessionChange::Lives { session, attach, timeout_ms, home });
                if let Some(to) = client {
                    state.push(to.arbiter, FeedItem::Attached { conn: to.conn, session, attach, timeout_ms });
                }
            }
            TxnBody::CloseSession { .. } => {
                changes.push(SessionChange::Ended(header.session));
                self.reply(txn, outcome, state);
                self.end(header.session, header.attach, state);
            }
            _ => self.reply(txn, outcome, state),
        }
    }

    fn reply(&mut self, txn: &Txn, outcome: Outcome, state: &mut impl State) {
        let TxnHeader { session, attach, cxid: xid, zxid, .. } = txn.header;
        if let Some(to) = self.routes.overtaken(session, attach) {
            let why = CloseReason::SessionMoved;
            return state.push(to.arbiter, FeedItem::Close { conn: to.conn, why });
        }
        if let Some(route) = self.routes.answer_late(session, attach) {
            let to = route.client;
            state.push(to.arbiter, FeedItem::LateReply { conn: to.conn, xid, zxid, outcome }); // L7
            return self.answered(session);
        }
        let Some(route) = self.routes.answer(session, attach) else { return };
        let to = route.client;
        state.push(to.arbiter, FeedItem::Reply { conn: to.conn, xid, zxid, outcome });
        self.answered(session);
    }

    /// The session is closed: its connection, unless it asked for that itself, is told by its end.
    fn end(&mut self, session: SessionId, by: AttachNumber, state: &mut impl State) {
        let route = self.routes.remove(session).filter(|route| route.attach != Some(by));
        let parked = self.routes.unpark(session);
        if let Some(client) = route.map(|route| route.client).or(parked) {
            state.push(client.arbiter, FeedItem::Close { conn: client.conn, why: CloseReason::SessionEnded });
        }
    }
}

/// Whose session it is that has just begun and whose client is not known here: its id tells who made it.
fn home_of(session: SessionId, me: ServerId) -> Home {
    if session.is_of(me) { Home::Arbiter(0) } else { Home::Member(ServerId(session.0 as u64 >> 56)) }
}

mod asked;
