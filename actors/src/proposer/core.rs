//! The Proposer's decisions: the txn and zxid of each write, and when it is committed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use paddock_messages::client::request::Write;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Asker, Handshake, Internal, Proposal, Request, Requests};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use self::reconfiguring::{LevelAsked, Reconfiguring};
pub use self::reconfiguring::{RefusedReconfig, WantedLevel};
use self::sessions::Standing;
use self::syncs::Syncs;
use super::credit::LogCredit;
use super::held::Held;
use crate::membership::{self, Joint};
use crate::quorum::Quorum;
use crate::tree::pending::Pending;
use crate::tree::prep::{Place, Prep, PrepRules, View};
use crate::tree::quota::OverQuota;

/// The counter of an epoch's last txn: 65,535 short of its end, so that nothing in flight can reach that.
pub const LAST_COUNTER: u32 = 0xFFFF_0000;

/// What the shell must do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<Q> {
    /// Send these to every learner, our own too, in order.
    Propose(Vec<Proposal>),
    /// Tell this member's Learner that these handshakes are not granted.
    TurnAway(ServerId, Vec<Handshake>),
    /// Begin a round of heartbeats, and call [`Proposer::on_round`] with this number once a quorum has answered
    /// it that has accepted no later epoch.
    BeginRound(u64),
    /// Tell every learner that these syncs, up to this one, are confirmed.
    Confirm(u64),
    /// Tell every learner that all up to here, and what stands right behind it, is committed.
    Commit(Zxid),
    /// From here on these decide (MB1). While two do, what is committed waits for [`Proposer::on_decided_by`].
    Decide(Joint<Q>),
    /// Close this member's link: it broke the protocol.
    HangUp(ServerId),
    /// Make this epoch durable, on a quorum; then call [`Proposer::on_new_epoch`], or, of a server alone,
    /// [`Proposer::on_epoch_refused`] if a full disk did not take it.
    BeginEpoch(Epoch),
    /// What is proposed next raises the feature level to this.
    Level(u8),
    /// All 2^32 epochs are used up: this history takes no further txn.
    NoEpochLeft,
}

/// Where the way to the next epoch stands (P8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roll {
    /// Not asked for: this epoch has zxids left, or not all of them are committed.
    NotYet,
    /// On its way to the disk.
    Asked,
    /// The disk was full: asked for again at the next tick.
    Refused,
}

/// What the leader's own log has room for, in bytes (P9).
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What may be proposed and not durable: the log's `admitted_bytes`.
    pub admitted: u64,
    /// The most that one request comes to in the log, about.
    pub largest: u64,
}

/// Leads: one reign of one server.
#[derive(Debug)]
pub struct Proposer<Q> {
    me: ServerId,
    rules: PrepRules,
    quorum: Joint<Q>,
    epoch: Epoch,
    last: Zxid,
    committed: Zxid,
    /// The last durable zxid of each voter that acked; of an epoch before, it counts for nothing.
    acked: BTreeMap<ServerId, Zxid>,
    pending: Pending,
    /// The newest attach number heard of, by session. An entry goes when its session is closed.
    newest: HashMap<SessionId, AttachNumber, RandomState>,
    granted: u64,
    disk_full: bool,
    credit: LogCredit,
    /// The counter of this epoch's last txn, at most [`LAST_COUNTER`].
    last_counter: u32,
    roll: Roll,
    /// Nothing more is numbered (P15).
    is_finishing: bool,
    /// Who is to have all of it by then.
    heir: Option<ServerId>,
    held: Held,
    /// The reconfig that is not committed.
    reconfigures: Option<Reconfiguring>,
    /// How many were committed.
    reconfigs: u64,
    /// What is judged is a reconfig that was asked before the last of them was committed.
    is_overtaken: bool,
    level_asked: LevelAsked,
    /// By the reconfig that asks for it.
    leaving: BTreeSet<ServerId>,
    refused_reconfigs: Vec<RefusedReconfig>,
    /// The members that have all that is proposed, or are sent it.
    synchronised: BTreeSet<ServerId>,
    /// Sessions expired since the metrics were told.
    expired: u64,
    syncs: Syncs,
    /// The feature level behind all that was numbered.
    level: u8,
}

impl<Q: Quorum> Proposer<Q> {
    /// `me` leads `epoch`, which a quorum has agreed on and synchronised for: everything before it is
    /// committed.
    pub fn new(
        me: ServerId,
        epoch: Epoch,
        quorum: impl Into<Joint<Q>>,
        rules: PrepRules,
        room: Room,
    ) -> Self {
        let quorum = quorum.into();
        assert!(quorum.next().is_none(), "MB3: what led to this epoch is committed");
        Self {
            me,
            rules,
            quorum,
            epoch,
            last: epoch.start(),
            committed: epoch.start(),
            acked: BTreeMap::new(),
            pending: Pending::default(),
            newest: HashMap::default(),
            granted: 0,
            disk_full: false,
            credit: LogCredit::new(room.admitted, room.largest),
            last_counter: LAST_COUNTER,
            roll: Roll::NotYet,
            is_finishing: false,
            heir: None,
            held: Held::default(),
            reconfigures: None,
            reconfigs: 0,
            is_overtaken: false,
            level_asked: LevelAsked::No,
            leaving: BTreeSet::new(),
            refused_reconfigs: Vec::new(),
            synchronised: BTreeSet::new(),
            expired: 0,
            syncs: Syncs::default(),
            level: 0,
        }
    }

    /// The history before this epoch comes to this feature level.
    pub fn with_level(self, level: u8) -> Self {
        Self { level, ..self }
    }

    /// The feature level behind all that was numbered: what needs no more may be.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Ends each epoch with the txn of this counter, 1 to [`LAST_COUNTER`], so that a roll-over can be
    /// seen without four billion txns.
    pub fn with_last_counter(self, last_counter: u32) -> Self {
        assert!((1..=LAST_COUNTER).contains(&last_counter), "P6: an epoch of {last_counter} txns");
        Self { last_counter, ..self }
    }

    /// The last zxid given.
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// The last zxid committed.
    pub fn committed(&self) -> Zxid {
        self.committed
    }

    /// The last txn that a voter is known to have on disk; none if it has acknowledged nothing in this epoch.
    pub fn acked(&self, voter: ServerId) -> Option<Zxid> {
        self.acked.get(&voter).copied()
    }

    /// From now on nothing is numbered: what is asked waits, and is asked of the next leader (P15), who should be `heir`.
    pub fn finish(&mut self, heir: Option<ServerId>) {
        (self.is_finishing, self.heir) = (true, heir.or(self.heir));
    }

    /// Whether all that was numbered is committed, and an heir has it, and nothing more will be (P15).
    pub fn has_finished(&self) -> bool {
        let is_start = self.last == self.epoch.start(); // which no ack is for
        let has_all = |heir| is_start || self.acked(heir) == Some(self.last);
        self.is_finishing && self.committed == self.last && self.heir.is_none_or(has_all)
    }

    /// The limits of quotas that writes passed since the last call: for the metrics and the log.
    pub fn take_over_quota(&mut self) -> Vec<OverQuota> {
        self.pending.take_over_quota()
    }

    /// Whether nothing may get a zxid for want of space.
    fn is_full(&self) -> bool {
        self.disk_full || self.roll == Roll::Refused
    }

    /// What a member's clients ask, in order, at `now_ms` since 1970: one batch of proposals, in the
    /// same order (P7).
    pub fn on_requests(
        &mut self,
        view: &impl View,
        requests: Requests,
        now_ms: i64,
        out: &mut Vec<Output<Q>>,
    ) {
        self.pending.forget(view.last_zxid());
        let (mut proposals, mut turned_away) = (Vec::with_capacity(requests.items.len()), Vec::new());
        let member = requests.member;
        for request in requests.items {
            let waits = self.must_wait() || !self.held.is_empty() || self.waits_alone(&request);
            if waits || self.asks_for_level(view, member, &request, now_ms) {
                turned_away.extend(self.hold(view, member, request));
            } else if let Some(handshake) = self.refused_handshake(&request) {
                turned_away.push((member, handshake));
            } else {
                let proposal = self.request(view, member, request, now_ms);
                self.add(proposal, &mut proposals);
            }
        }
        self.send(proposals, turned_away, out);
    }

    /// Sessions expired since the last call: for the metrics.
    pub fn take_expired(&mut self) -> u64 {
        std::mem::take(&mut self.expired)
    }

    fn add(&mut self, proposal: Proposal, proposals: &mut Vec<Proposal>) {
        self.credit.spend(&proposal);
        proposals.push(proposal);
    }

    fn send(
        &mut self,
        proposals: Vec<Proposal>,
        mut turned_away: Vec<(ServerId, Handshake)>,
        out: &mut Vec<Output<Q>>,
    ) {
        turned_away.sort_by_key(|(member, _)| *member); // stable: each member's in their order
        for of_one in turned_away.chunk_by(|(one, _), (other, _)| one == other) {
            let handshakes = of_one.iter().map(|(_, handshake)| *handshake).collect();
            out.push(Output::TurnAway(of_one[0].0, handshakes));
        }
        if !proposals.is_empty() {
            self.credit.close(self.last);
            if self.begins_reconfig(&proposals) {
                out.push(Output::Decide(self.quorum.clone())); // before anybody has it (MB1)
            }
            out.push(Output::Propose(proposals));
        }
        out.extend(self.syncs.begin_round().map(Output::BeginRound));
    }

    /// What the leader's own actors ask, at `now_ms` since 1970.
    pub fn on_internal(
        &mut self,
        view: &impl View,
        internal: Internal,
        now_ms: i64,
        out: &mut Vec<Output<Q>>,
    ) {
        self.pending.forget(view.last_zxid());
        let mut proposals = Vec::new();
        match internal {
            Internal::Expire(sessions) => {
                for (session, attach) in sessions {
                    if self.must_wait() || !self.held.is_empty() {
                        self.held.keep_expiry(session, attach);
                    } else {
                        self.expire(view, (session, attach), now_ms, &mut proposals);
                    }
                }
            }
            Internal::Reap(paths) => {
                for path in paths {
                    if self.must_wait() || self.is_full() {
                        break; // they will be found again
                    }
                    let zxid = self.next();
                    if let Some(body) = self.prep(view).reap(&path, now_ms, zxid) {
                        let proposal = self.server_txn(SessionId::NONE, zxid, now_ms, body);
                        self.add(proposal, &mut proposals);
                    }
                }
            }
            Internal::Configure(members) => {
                if !self.must_wait() && !self.is_full() {
                    let zxid = self.next();
                    let body = TxnBody::Reconfig { text: membership::text(&members, zxid) };
                    self.on_configured(zxid);
                    let proposal = self.server_txn(SessionId::NONE, zxid, now_ms, body);
                    self.add(proposal, &mut proposals);
                }
            }
            Internal::RaiseLevel(level) => {
                if level > self.level && !self.must_wait() && !self.is_full() {
                    self.level = level; // FL1, FL2
                    out.push(Output::Level(level));
                    let (zxid, body) = (self.next(), TxnBody::FeatureLevel { level });
                    let proposal = self.server_txn(SessionId::NONE, zxid, now_ms, body);
                    self.add(proposal, &mut proposals);
                }
            }
        }
        self.send(proposals, Vec::new(), out);
    }

    /// While the disk is full nothing gets a zxid (P6), and nobody's session ends: what waits is refused
    /// by [`Self::resume`].
    pub fn on_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    fn request(&mut self, view: &impl View, member: ServerId, request: Request, now_ms: i64) -> Proposal {
        match request {
            Request::Open { session, timeout_ms } => self.open(view, session, timeout_ms, now_ms),
            Request::Attach { client, session, timeout_ms } => {
                if !self.prep(view).is_live(session) {
                    return Proposal::AttachRefused { member, client, session };
                }
                let attach = self.grant(session);
                Proposal::Attached { member, client, session, attach, timeout_ms }
            }
            Request::Revalidate { client, session, attach, timeout_ms } => {
                assert!(self.held.is_empty(), "P16: {session} is revalidated before what waits");
                if !self.on_revalidated(view, session, attach) {
                    return Proposal::AttachRefused { member, client, session };
                }
                Proposal::Attached { member, client, session, attach, timeout_ms }
            }
            Request::Upgrade { session, attach, timeout_ms } => {
                self.upgrade(view, session, attach, timeout_ms, now_ms)
            }
            Request::Write { from, xid, write } => self.write(view, &from, xid, write, now_ms),
            Request::LocalWrite { from, xid, write } => {
                self.local_write(view, member, &from, xid, write, now_ms)
            }
            Request::LocalSync { from, xid, path } => self.local_sync(member, &from, xid, path),
            Request::Sync { from, xid, path } => {
                let (session, attach) = (from.session, from.attach);
                match self.refusal(view, &from) {
                    Some(code) => Proposal::Refused { session, attach, xid, code },
                    None => Proposal::Synced { number: self.number_sync(), session, attach, xid, path },
                }
            }
            Request::SyncReads { arbiter, number } => {
                Proposal::ReadsSynced { number: self.number_sync(), member, arbiter, upto: number }
            }
        }
    }

    /// How many syncs wait for a quorum's word.
    pub fn pending_syncs(&self) -> u64 {
        self.syncs.asked() - self.syncs.confirmed()
    }

    /// P11. A quorum of one is us.
    fn number_sync(&mut self) -> u64 {
        let (me, last) = (self.me, self.last);
        if self.quorum.holds(|server| server == me) { 0 } else { self.syncs.ask(last) }
    }

    /// A quorum has answered a round that began after the sync of this number was asked (P11).
    pub fn on_round(&mut self, upto: u64, out: &mut Vec<Output<Q>>) {
        if self.syncs.on_round(upto) {
            out.push(Output::Confirm(upto));
        }
    }

    fn write(&mut self, view: &impl View, from: &Asker, xid: i32, write: Write, now_ms: i64) -> Proposal {
        let (session, attach) = (from.session, from.attach);
        if self.is_full() {
            self.forget_level(&write);
            return Proposal::Refused { session, attach, xid, code: ErrorCode::NotReadOnly };
        }
        let zxid = self.next();
        let body = match self.standing(view, session, attach) {
            Standing::Moved => {
                self.forget_level(&write);
                TxnBody::Error(ErrorCode::SessionMoved)
            }
            standing => {
                let is_live = standing == Standing::Lives;
                let at = Place { session, is_live, is_local: false, ids: &from.ids, zxid, time: now_ms };
                self.body(view, at, write)
            }
        };
        self.propose(TxnHeader { session, attach, cxid: xid, zxid, time: now_ms }, body)
    }

    /// Of a write of a session that may ask for it.
    fn body(&mut self, view: &impl View, at: Place<'_>, write: Write) -> TxnBody {
        match write {
            Write::Reconfig(asked) if self.takes_reconfigs(at.ids) => self.reconfigure(view, at, &asked),
            write => self.prep(view).write(at, write),
        }
    }

    /// A session that has attached anew since its time was judged has a whole timeout from then.
    fn expire(
        &mut self,
        view: &impl View,
        (session, attach): (SessionId, AttachNumber),
        now_ms: i64,
        proposals: &mut Vec<Proposal>,
    ) {
        if self.newest.get(&session).is_some_and(|newest| *newest > attach) {
            return;
        }
        if self.is_full() {
            return; // asked again once there is room, if it is silent still
        }
        let zxid = self.next();
        if let Some(body) = self.prep(view).close_session(session, zxid) {
            let proposal = self.server_txn(session, zxid, now_ms, body);
            self.add(proposal, proposals);
            self.expired += 1;
        }
    }

    fn server_txn(&mut self, session: SessionId, zxid: Zxid, time: i64, body: TxnBody) -> Proposal {
        let attach = AttachNumber::default();
        self.propose(TxnHeader { session, attach, cxid: 0, zxid, time }, body)
    }

    /// The zxid becomes the txn's (P1).
    fn propose(&mut self, header: TxnHeader, body: TxnBody) -> Proposal {
        assert_eq!(self.last.next(), Some(header.zxid), "P1");
        self.last = header.zxid;
        assert!(body.level() <= self.level, "FL1: {body:?} at feature level {}", self.level);
        if matches!(body, TxnBody::CloseSession { .. }) {
            self.newest.remove(&header.session);
        }
        Proposal::Txn(Txn { header, body })
    }

    fn next(&self) -> Zxid {
        assert!(!self.needs_new_epoch() && !self.is_full(), "P6");
        assert!(!self.is_finishing, "P15");
        self.last.next().expect("P6 keeps the counter from its end")
    }

    fn prep<'a, V: View>(&'a mut self, view: &'a V) -> Prep<'a, V> {
        Prep { view, pending: &mut self.pending, rules: &self.rules }
    }

    /// Panics where an invariant does not hold, for a tree that is at `applied`. For tests.
    pub fn check(&self, applied: Zxid) {
        assert!(self.last.epoch() == self.epoch && self.last.counter() <= self.last_counter, "P1, P6");
        assert!(self.committed <= self.last && self.committed >= self.epoch.start(), "P2");
        assert!(self.committed == self.epoch.start() || self.held_by_those_before(self.committed), "P3");
        self.check_reconfig();
        assert!(self.newest.values().all(|newest| *newest <= self.latest_grant()), "P5");
        assert!(self.syncs.confirmed() <= self.syncs.asked(), "P11");
        assert!(!self.can_resume(), "P7: what was held back waits for nothing");
        let is_due = self.needs_new_epoch() && self.committed == self.last;
        assert_eq!(self.roll != Roll::NotYet, is_due, "P8: {:?} at {}", self.roll, self.last);
        self.pending.check(applied.min(self.last), self.last);
    }
}

mod committing;
mod epochs;
mod reconfiguring;
mod sessions;
mod syncs;
mod waiting;

#[cfg(test)]
mod tests;
