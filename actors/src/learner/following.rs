//! A learner's way to its leader and behind it: Zab's discovery, synchronisation and broadcast, as a
//! follower or an observer sees them. [`Following`] decides; the shell moves bytes, and the member's own
//! [`Learner`](super::core::Learner) logs and applies what comes through.
//!
//! - Z5  A leader's epoch is acknowledged only once it is durable here, as accepted; none below what was
//!   accepted is followed.
//! - Z6  NEWLEADER is acknowledged only once everything before it is durable, and after that the epoch, as
//!   current; no txn is acked before.
//! - Z7  What comes follows without a gap what is here, the first proposal too, NEWLEADER stands behind all of
//!   it, and nothing is committed that did not come. A leader that breaks this is left.
//! - Z9  Who belongs to an ensemble enters no epoch of another.
//!
//! The next epoch of a leader that is followed comes behind all of the last (Z11). It is acknowledged as NEWLEADER is,
//! and no txn of it before; clients are served meanwhile. What raises the feature level beyond what is read here is not
//! logged, let alone acknowledged (FL3).
//!
//! Source: Junqueira et al., Zab (DSN 2011), phases 1 to 3; compat zab, 4 to 6; Learner.java, and
//! ZOOKEEPER-3911, 4643, 4646, 4785 (what was acknowledged before it was durable).

use std::sync::Arc;

use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::letters::{Handshake, Proposal, Request};
use paddock_messages::level;
use paddock_messages::quorum::{SyncStart, Tail, ToLeader, ToLearner};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::membership;
use crate::quorum_peer::progress::{Progress, Stay};

/// What the shell must do, in this order. What goes to the log goes there in the order in which it stands
/// here.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Down the data lane.
    Send(ToLeader),
    /// Make this the accepted epoch, then call [`Following::on_accepted_kept`].
    KeepAccepted(Epoch),
    /// Make this the current epoch, and this the ensemble's id, then call [`Following::on_current_kept`].
    KeepCurrent(Epoch, u128),
    /// Cut the log after this txn, and what the Learner holds beyond it.
    Truncate(Zxid),
    /// Put the snapshot that has been written, with every txn up to this one, in place of log and tree; then
    /// call [`Following::on_installed`]. Until then nothing more may come from the leader.
    Install(Zxid),
    /// Make the tree of the snapshot that has been written, with every txn up to this one, and of our log behind it,
    /// and put it in place of ours; the log stays. Then this stay is over.
    ReplaceTree(Zxid),
    /// Write a piece of the snapshot; the first one begins it.
    Piece(Vec<u8>),
    /// To the member's Learner: it appends them.
    Proposals(Arc<Vec<Proposal>>),
    /// To the member's Learner: all up to here is committed.
    Commit(Zxid),
    /// To the member's Learner: the leader's syncs up to this one are confirmed.
    Confirmed(u64),
    /// To the member's client arbiters: the leader finds these of its sessions silent.
    Silent(Vec<(SessionId, AttachNumber)>),
    /// To the member's Learner: these are not granted.
    TurnedAway(Vec<Handshake>),
    /// Up to date in this epoch: clients may be served.
    Serve(Epoch),
    /// This epoch is led from here on, over the same lane: clients go on being served.
    Begins(Epoch),
    /// Follow this leader no longer; look for one. Why is for the log.
    Leave(&'static str),
    /// The leader sends what this build cannot read: it raises the feature level to this (FL3). The process is to end.
    Unreadable(u8),
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The data lane is not open.
    Dialling,
    /// LEADERINFO is awaited.
    Discovering,
    /// The epoch is on its way to the disk, as accepted.
    Accepting,
    /// DIFF, TRUNC or SNAP is awaited.
    Acknowledged,
    /// A snapshot is on its way.
    Receiving(Zxid),
    /// It is being put in place.
    Installing(Zxid),
    /// Txns come until NEWLEADER.
    Synchronising,
    /// Everything up to this txn must be durable before the epoch is kept.
    Persisting(Zxid),
    /// The epoch is on its way to the disk, as current.
    Entering,
    /// UPTODATE is awaited.
    Synchronised,
    Serving,
    /// Whatever still comes is nothing to us.
    Left,
}

/// How far the next epoch has come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Everything up to this txn must be durable first.
    Persisting(Zxid),
    /// It is on its way to the disk.
    Entering,
}

/// One stay behind one leader.
#[derive(Debug)]
pub struct Following {
    /// What was here at first.
    tail: Tail,
    accepted: Epoch,
    current: Epoch,
    /// The leader's, once known; the next one, as soon as that is told.
    epoch: Epoch,
    /// The one in which clients are served.
    led: Epoch,
    phase: Phase,
    /// To the next epoch, while clients are served (Z11).
    turn: Option<Turn>,
    /// The last txn that came, or was here before.
    last: Zxid,
    /// Durable through here.
    durable: Zxid,
    committed: Zxid,
    /// It had a vote.
    counts: bool,
    /// Our tree is another than a quorum's: the leader's is asked for.
    asks_for_tree: bool,
    /// Ours, if we belong to one.
    ours: Option<u128>,
    /// The ensemble's id, as the leader has it.
    ensemble: u128,
    /// Packets that came before clients were served.
    steps: u64,
    /// The highest feature level that is read here.
    reads_level: u8,
}

impl Following {
    /// A member that has accepted `accepted`, was last synchronised in `current`, and whose log, all of it
    /// durable, ends with `tail`.
    pub fn new(accepted: Epoch, current: Epoch, tail: Tail) -> Self {
        let (last, committed) = (tail.last(), tail.committed);
        Self {
            tail,
            accepted,
            current,
            epoch: Epoch(0),
            led: Epoch(0),
            phase: Phase::Dialling,
            turn: None,
            last,
            durable: last,
            committed,
            counts: true,
            asks_for_tree: false,
            ours: None,
            ensemble: 0,
            steps: 0,
            reads_level: level::KNOWN,
        }
    }

    /// Feature levels up to this one are read here.
    pub fn reading(self, reads_level: u8) -> Self {
        Self { reads_level, ..self }
    }

    /// It had no vote when it looked for a leader: what it has accepted says nothing (Z8).
    pub fn without_vote(self) -> Self {
        Self { counts: false, ..self }
    }

    /// It asks for the leader's tree, or not.
    pub fn asking_for_tree(self, asks_for_tree: bool) -> Self {
        Self { asks_for_tree, ..self }
    }

    /// It belongs to this ensemble, or to none yet.
    pub fn of(self, ours: Option<u128>) -> Self {
        Self { ours, ..self }
    }

    /// Whether the leader is asked for its tree.
    pub fn asks_for_tree(&self) -> bool {
        self.asks_for_tree
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// The leader's epoch, once it has told it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch in which clients are served.
    pub fn led(&self) -> Epoch {
        self.led
    }

    /// Whether the leader has told its epoch.
    pub fn is_discovered(&self) -> bool {
        !matches!(self.phase, Phase::Dialling | Phase::Discovering)
    }

    /// How far it has come, for those who judge it.
    pub fn progress(&self) -> Progress {
        let epoch = self.is_discovered().then_some(self.epoch);
        Progress::Following(Stay { epoch, is_serving: self.is_serving(), steps: self.steps })
    }

    /// Whether the data lane may be read: not while a snapshot is put in place.
    pub fn may_read(&self) -> bool {
        !matches!(self.phase, Phase::Installing(_))
    }

    /// The data lane is open.
    pub fn on_connected(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Dialling {
            self.phase = Phase::Discovering;
            out.push(Output::Send(ToLeader::LearnerInfo {
                accepted_epoch: self.accepted,
                counts: self.counts,
                asks_for_tree: self.asks_for_tree,
            }));
        }
    }

    fn leave(&mut self, why: &'static str, out: &mut Vec<Output>) {
        self.phase = Phase::Left;
        out.push(Output::Leave(why));
    }

    /// What the leader says, in its order.
    pub fn on_packet(&mut self, packet: ToLearner, out: &mut Vec<Output>) {
        self.steps += u64::from(!self.is_serving());
        match (packet, self.phase) {
            (_, Phase::Left) => {}
            (ToLearner::LeaderInfo { epoch }, Phase::Discovering) => self.on_epoch(epoch, out),
            (ToLearner::Sync(start), Phase::Acknowledged) => self.on_sync(start, out),
            (ToLearner::Snapshot { bytes, is_last }, Phase::Receiving(zxid)) => {
                out.push(Output::Piece(bytes));
                if is_last {
                    self.phase = Phase::Installing(zxid);
                    let replaces_log = !self.asks_for_tree || zxid > self.committed; // DG5
                    out.push(if replaces_log { Output::Install(zxid) } else { Output::ReplaceTree(zxid) });
                }
            }
            (
                ToLearner::Proposals { after, items },
                Phase::Synchronising
                | Phase::Persisting(_)
                | Phase::Entering
                | Phase::Synchronised
                | Phase::Serving,
            ) => self.on_proposals(after, items, out),
            (ToLearner::NewLeader { ensemble, .. }, Phase::Synchronising)
                if self.ours.is_some_and(|ours| ours != ensemble) =>
            {
                self.leave("the leader is of another ensemble: check the addresses of the server lines", out);
            }
            (ToLearner::NewLeader { epoch, last, ensemble }, Phase::Synchronising)
                if epoch == self.epoch && last == self.last =>
            {
                self.ensemble = ensemble;
                self.phase = Phase::Persisting(self.last);
                self.enter(out);
            }
            (ToLearner::UpToDate { committed }, Phase::Synchronised) => {
                self.phase = Phase::Serving;
                self.commit(committed, out);
                if self.is_serving() {
                    self.led = self.epoch;
                    out.push(Output::Serve(self.epoch));
                }
            }
            (ToLearner::NewEpoch { epoch, last }, Phase::Serving)
                if self.turn.is_none() && epoch > self.accepted && last == self.last =>
            {
                self.epoch = epoch;
                self.turn = Some(Turn::Persisting(last));
                self.turn(out);
            }
            (ToLearner::Commit { upto }, Phase::Serving) => {
                self.commit(upto, out);
                if self.is_serving() && self.led < self.epoch {
                    self.led = self.epoch; // a commit of less is out of turn
                    out.push(Output::Begins(self.epoch));
                }
            }
            (ToLearner::Commit { upto }, Phase::Synchronising) => self.commit_of_before(upto, out),
            (ToLearner::Confirmed { upto }, Phase::Serving) => out.push(Output::Confirmed(upto)),
            (ToLearner::Silent(sessions), Phase::Serving) => out.push(Output::Silent(sessions)),
            (ToLearner::TurnedAway(all), Phase::Serving) => out.push(Output::TurnedAway(all)),
            _ => self.leave("the leader sent a packet out of turn, or without what stands before it", out),
        }
    }

    /// Z5.
    fn on_epoch(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        self.epoch = epoch;
        if epoch > self.accepted {
            self.phase = Phase::Accepting;
            out.push(Output::KeepAccepted(epoch));
        } else if epoch == self.accepted {
            // Accepted before, perhaps from another leader: no vote for this one.
            self.acknowledge(false, out);
        } else {
            self.leave("the leader's epoch is below one that was accepted", out);
        }
    }

    /// The leader's epoch is durable here, as accepted.
    pub fn on_accepted_kept(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Accepting {
            self.accepted = self.epoch;
            self.acknowledge(true, out);
        }
    }

    fn acknowledge(&mut self, counts: bool, out: &mut Vec<Output>) {
        self.phase = Phase::Acknowledged;
        let (current_epoch, tail) = (self.current, self.tail.clone());
        let counts = counts && self.counts;
        out.push(Output::Send(ToLeader::AckEpoch { counts, current_epoch, tail }));
    }

    fn on_sync(&mut self, start: SyncStart, out: &mut Vec<Output>) {
        self.phase = match start {
            SyncStart::Diff => Phase::Synchronising,
            SyncStart::Trunc(to) if to < self.committed => {
                return self.leave("the leader would cut what is committed: another history", out);
            }
            SyncStart::Trunc(to) if to <= self.last => {
                (self.last, self.durable) = (to, to);
                out.push(Output::Truncate(to));
                Phase::Synchronising
            }
            SyncStart::Trunc(_) => return self.leave("the leader cuts after what is not here", out),
            SyncStart::Snap(zxid) if self.asks_for_tree && zxid <= self.committed => Phase::Receiving(zxid),
            SyncStart::Snap(zxid) if self.asks_for_tree && zxid < self.last => {
                return self
                    .leave("the leader's snapshot is ahead of what is committed here: asked for later", out);
            }
            SyncStart::Snap(zxid) if zxid < self.committed || zxid.epoch() > self.epoch => {
                return self
                    .leave("the leader's snapshot is older than what is committed, or not its own", out);
            }
            SyncStart::Snap(zxid) => Phase::Receiving(zxid),
        };
    }

    /// The snapshot has taken the place of log and tree.
    pub fn on_installed(&mut self) {
        let Phase::Installing(zxid) = self.phase else { return };
        (self.last, self.durable, self.committed) = (zxid, zxid, zxid);
        self.phase = Phase::Synchronising;
    }

    /// Z7.
    fn on_proposals(&mut self, after: Zxid, items: Arc<Vec<Proposal>>, out: &mut Vec<Output>) {
        let mut last = self.last;
        if after != last {
            return self.leave("the leader left txns out", out);
        }
        for txn in items.iter().filter_map(Proposal::txn) {
            let zxid = txn.header.zxid;
            if txn.body.level() > self.reads_level {
                self.phase = Phase::Left;
                return out.push(Output::Unreadable(txn.body.level()));
            }
            if !membership::is_sound(&txn.body) {
                return self.leave("the leader sends a configuration that is none", out);
            }
            let follows = last.next() == Some(zxid) || (zxid.epoch() > last.epoch() && zxid.counter() == 1);
            if !follows || zxid.epoch() > self.epoch {
                return self.leave("the leader's txns have a gap", out);
            }
            last = zxid;
        }
        self.last = last;
        out.push(Output::Proposals(items));
    }

    /// Z10: so much of what came from the leader's log is known to be committed. We may know of more.
    fn commit_of_before(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        if upto > self.last {
            return self.leave("the leader commits what it has not sent", out);
        }
        if upto > self.committed {
            self.committed = upto;
            out.push(Output::Commit(upto));
        }
    }

    fn commit(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        // The start of an epoch is no txn: it stands behind all before.
        let came = upto <= self.last || upto == self.epoch.start();
        if !came || upto < self.committed || upto < self.epoch.start() {
            return self.leave("the leader commits what it has not proposed", out);
        }
        self.committed = upto;
        out.push(Output::Commit(upto));
    }

    /// Everything up to `upto` is on this member's disk: our Learner's ack.
    pub fn on_persisted(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        match self.phase {
            Phase::Persisting(_) => self.enter(out),
            Phase::Serving if self.turn.is_some() => self.turn(out),
            Phase::Synchronised | Phase::Serving => out.push(Output::Send(ToLeader::Ack { upto })),
            _ => {} // Z6: it goes with the ACK of NEWLEADER
        }
    }

    /// Z6: all before NEWLEADER is durable: now the epoch.
    fn enter(&mut self, out: &mut Vec<Output>) {
        if let Phase::Persisting(all) = self.phase
            && self.durable >= all
        {
            self.phase = Phase::Entering;
            out.push(Output::KeepCurrent(self.epoch, self.ensemble));
        }
    }

    /// Z11: the same, of the next epoch, which is accepted with it.
    fn turn(&mut self, out: &mut Vec<Output>) {
        if let Some(Turn::Persisting(all)) = self.turn
            && self.durable >= all
        {
            self.turn = Some(Turn::Entering);
            out.push(Output::KeepCurrent(self.epoch, self.ensemble));
        }
    }

    /// The leader's epoch is durable here, as current.
    pub fn on_current_kept(&mut self, out: &mut Vec<Output>) {
        match (self.phase, self.turn) {
            (Phase::Entering, _) => self.phase = Phase::Synchronised,
            (Phase::Serving, Some(Turn::Entering)) => (self.turn, self.accepted) = (None, self.epoch),
            _ => return,
        }
        self.current = self.epoch;
        out.push(Output::Send(ToLeader::AckNewLeader { upto: self.durable }));
    }

    /// What this member's clients ask, once they are served.
    pub fn on_requests(&mut self, items: Vec<Request>, out: &mut Vec<Output>) {
        if self.is_serving() {
            out.push(Output::Send(ToLeader::Requests(items)));
        }
    }

    /// What this member's client arbiters have met before `as_of_ms` of its clock.
    pub fn on_touched(&mut self, as_of_ms: u64, sessions: Vec<SessionId>, out: &mut Vec<Output>) {
        if self.is_serving() {
            out.push(Output::Send(ToLeader::Touched { as_of_ms, sessions }));
        }
    }

    /// The client arbiters' last word: nothing is promised to these.
    pub fn on_expire(&mut self, sessions: Vec<(SessionId, AttachNumber)>, out: &mut Vec<Output>) {
        if self.is_serving() && !sessions.is_empty() {
            out.push(Output::Send(ToLeader::Expire(sessions)));
        }
    }

    /// Panics where an invariant does not hold. For tests and simulations.
    pub fn check(&self) {
        assert!(self.current <= self.accepted && self.durable <= self.last, "Z5, Z6: {self:?}");
        let acked = matches!(self.phase, Phase::Synchronised | Phase::Serving) && self.turn.is_none();
        assert!(!acked || self.current == self.epoch, "Z6: {self:?}");
        assert!(self.committed <= self.last.max(self.epoch.start()), "Z7: {self:?}");
    }
}

#[cfg(test)]
#[path = "following_tests.rs"]
mod tests;
