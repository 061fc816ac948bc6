//! From an elected candidate to an established leader, and each learner's way into the broadcast: Zab's
//! discovery and synchronisation, as the leader sees them. [`Leadership`] decides; the log, the snapshots and
//! the links are the shell's.
//!
//! - Z1  An epoch is proposed only when it is durable here, higher than any that a quorum of voters had
//!   accepted; and it is led only when a quorum has acknowledged it, none of which had more than we.
//! - Z2  A learner is sent every txn of our history after its own last one, in order and without a gap,
//!   whatever is proposed meanwhile; NEWLEADER stands behind that, and UPTODATE behind a quorum's ACK of it.
//! - Z3  A learner's acks count only behind its ACK of NEWLEADER, and only if it is a voter.
//! - Z4  What a quorum may have is never cut: a learner that is ahead of our own disk, in the epoch that we
//!   lead, keeps what we have proposed.
//! - Z10 No log's length moves what is kept in memory for a learner, or by one that is on its way: of what is
//!   on disk, a leader keeps 500 txns and 32 MiB; behind each piece of the log it says what of it is committed,
//!   and a learner takes the next once that is applied. One that lacks more of the log than a share of the newest
//!   snapshot's size is sent that instead, once; if nothing came of it, the log.
//! - Z11 An epoch whose zxids are used up is followed by the next over the same lanes: only once all of it is
//!   committed, and only once a quorum, we among it, has all of it and the next epoch on disk, each voter for one
//!   leader alone. See `roll_over.rs`.
//! - Z8  A voter that had no vote, for it has lost its memory, is counted only once it has acknowledged NEWLEADER.
//!
//! Source: Junqueira et al., Zab (DSN 2011), phases 1 and 2; compat zab, 4 and 5; LearnerHandler, Leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Ack, Handshake, Proposal, Request};
use paddock_messages::quorum::{ToLeader, ToLearner};
use paddock_messages::zxid::{Epoch, Zxid};

use self::acked::Acked;
use self::levels::Levels;
use self::stage::{Phase, Stage};
use super::recent::{Batch, Recent};
use super::sync_plan::Spares;
use crate::quorum::Quorum;
use crate::storage::transfer::Span;

/// What the shell must do, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Make this the accepted epoch, then call [`Leadership::on_accepted_kept`].
    KeepAccepted(Epoch),
    /// Make this the current epoch, then call [`Leadership::on_current_kept`].
    KeepCurrent(Epoch),
    /// Send this to a learner, behind all before.
    Send(ServerId, ToLearner),
    /// Look in our log for its last txn at or before each of these, for a learner, then call
    /// [`Leadership::on_found`], with the start of the very log that was read; or
    /// [`Leadership::on_unreadable`] if any of it could not be.
    Find(ServerId, Vec<Zxid>),
    /// Send a learner this part of our log, as proposals, with what of it is committed; then call
    /// [`Leadership::on_log_sent`].
    SendLog(ServerId, Span),
    /// Send a learner SNAP and our newest snapshot, then call [`Leadership::on_snapshot_sent`].
    SendSnapshot(ServerId),
    /// The epoch is led from here on: everything in our log is committed. Begin to propose.
    Establish(Epoch),
    /// To the Proposer.
    Ack(Ack),
    /// To the Proposer: what a learner's clients ask.
    Requests(ServerId, Vec<Request>),
    /// To the SessionTracker: what a learner has met, as of this time of its own clock.
    Touched(ServerId, u64, Vec<SessionId>),
    /// To the Proposer: a learner's sessions that are to be expired.
    Expire(Vec<(SessionId, AttachNumber)>),
    /// A learner whose log ends here comes back without what it has acknowledged, through there: for the log.
    Forgot {
        /// Who.
        learner: ServerId,
        /// What it had on disk, as it said.
        acked: Zxid,
        /// What it has.
        last: Zxid,
    },
    /// Close this learner's data lane; why is for the log.
    HangUp(ServerId, &'static str),
    /// Lead no longer; look for a leader. Why is for the log.
    Resign(&'static str),
}

/// What a member stands with: the greater has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Of the last leader it was synchronised with.
    pub current_epoch: Epoch,
    /// Its last durable txn.
    pub last: Zxid,
}

/// One reign of one server, from its election on.
#[derive(Debug)]
pub struct Leadership<Q> {
    me: ServerId,
    quorum: Q,
    /// What we stood with when elected.
    standing: Standing,
    accepted: Epoch,
    phase: Phase,
    learners: BTreeMap<ServerId, Stage>,
    /// What was proposed and may not be in our log yet.
    recent: Recent,
    /// Our log is durable through here.
    durable: Zxid,
    committed: Zxid,
    /// The last sync that is confirmed.
    confirmed: u64,
    resigned: bool,
    /// Its id.
    ensemble: u128,
    spares: Spares,
    /// Who was sent a snapshot to be spared the log, and has not acknowledged NEWLEADER since.
    spared: BTreeSet<ServerId>,
    /// Who asks for our tree.
    asks_for_tree: BTreeSet<ServerId>,
    levels: Levels,
    acked: Acked,
}

impl<Q: Quorum> Leadership<Q> {
    /// `me` is elected, has accepted `accepted`, and stands with `standing`.
    pub fn new(me: ServerId, quorum: Q, accepted: Epoch, standing: Standing) -> Self {
        let Standing { last, .. } = standing;
        let (learners, recent) = (BTreeMap::new(), Recent::new(last));
        Self {
            me,
            quorum,
            standing,
            accepted,
            phase: Phase::Discovering,
            learners,
            recent,
            durable: last,
            committed: Zxid::ZERO,
            confirmed: 0,
            resigned: false,
            ensemble: 0,
            spares: Spares::default(),
            spared: BTreeSet::new(),
            asks_for_tree: BTreeSet::new(),
            levels: Levels::default(),
            acked: Acked::default(),
        }
    }

    /// When it was elected, all up to `committed` was known to be committed.
    pub fn knowing(self, committed: Zxid) -> Self {
        Self { committed: committed.min(self.standing.last), ..self }
    }

    /// When a snapshot is sent instead of the log.
    pub fn sparing(self, spares: Spares) -> Self {
        Self { spares, ..self }
    }

    /// Of this ensemble: what learners keep.
    pub fn of(self, ensemble: u128) -> Self {
        Self { ensemble, ..self }
    }

    /// From here on these decide (MB1). Nothing is on its way that only those with a vote are sent (MB2).
    ///
    /// # Panics
    /// If something that was proposed is not known to be committed (MB2).
    pub fn decide_by(&mut self, quorum: Q) {
        assert!(self.recent.informed() == self.recent.last(), "MB2: {:?}", self.recent);
        self.quorum = quorum;
    }

    /// Begins: a server alone is its own quorum.
    pub fn start(&mut self, out: &mut Vec<Output>) {
        self.discover(out);
    }

    /// The data lane of a member that reads feature levels up to `reads` is open; what was on an older one is void. From
    /// here on the shell must not bring what was found, or sent, for the older one.
    pub fn on_connected(&mut self, learner: ServerId, reads: u8) {
        self.levels.on_connected(learner, reads);
        self.learners.insert(learner, Stage::Connected);
        self.asks_for_tree.remove(&learner);
    }

    /// Its data lane is closed.
    pub fn on_gone(&mut self, learner: ServerId) {
        self.learners.remove(&learner);
    }

    /// What a learner says, in its order. A packet that does not fit its stage costs its link.
    pub fn on_packet(&mut self, from: ServerId, packet: ToLeader, out: &mut Vec<Output>) {
        if self.resigned {
            return;
        }
        let Some(stage) = self.learners.get(&from) else {
            return out.push(Output::HangUp(from, "its data lane is not known to be open"));
        };
        match (packet, stage) {
            (ToLeader::LearnerInfo { .. }, Stage::Connected) if self.cannot_read(from) => {
                self.hang_up(from, levels::UNREADABLE, out); // FL3: before it counts for anything
            }
            (ToLeader::LearnerInfo { accepted_epoch, counts, asks_for_tree }, Stage::Connected) => {
                if asks_for_tree {
                    self.asks_for_tree.insert(from);
                }
                self.on_info(from, (accepted_epoch, counts), out);
            }
            (ToLeader::AckEpoch { counts, current_epoch, tail }, Stage::Told { had_vote })
                if tail.is_sound() =>
            {
                let standing = Standing { current_epoch, last: tail.last() };
                let (had_vote, counts) = (*had_vote, counts && *had_vote);
                if let Some(acked) = self.acked.on_return(from, standing.last).filter(|_| had_vote) {
                    out.push(Output::Forgot { learner: from, acked, last: standing.last });
                }
                self.learners.insert(from, Stage::Acknowledged { counts, tail });
                self.on_ack_epoch((from, had_vote), standing, out);
            }
            (ToLeader::AckNewLeader { upto }, Stage::Joined) => {
                self.spared.remove(&from);
                self.learners.insert(from, Stage::Synchronised);
                self.synchronise(out);
                self.ack(from, upto, out);
            }
            (ToLeader::AckNewLeader { upto }, Stage::Turning) => self.on_turned(from, upto, out),
            (ToLeader::Ack { upto }, Stage::Synchronised | Stage::Serving) => {
                self.acked.on_ack(from, upto);
                self.ack(from, upto, out); // Z3
            }
            (ToLeader::Ack { .. }, Stage::Turning) => {} // Z11: of what is committed; or it breaks the order
            (ToLeader::Requests(items), Stage::Serving | Stage::Turning) => {
                out.push(Output::Requests(from, items));
            }
            (ToLeader::Touched { as_of_ms, sessions }, Stage::Serving | Stage::Turning) => {
                out.push(Output::Touched(from, as_of_ms, sessions));
            }
            (ToLeader::Expire(sessions), Stage::Serving | Stage::Turning) => {
                out.push(Output::Expire(sessions));
            }
            _ => self.hang_up(from, "it sent a packet out of turn", out),
        }
    }

    fn hang_up(&mut self, on: ServerId, why: &'static str, out: &mut Vec<Output>) {
        self.learners.remove(&on);
        out.push(Output::HangUp(on, why));
    }

    /// From here on nothing is decided any more: the very learner that has more could complete a quorum.
    fn resign(&mut self, why: &'static str, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.resigned, true) {
            out.push(Output::Resign(why));
        }
    }

    /// The shell has given the lead up: nothing is led on, and no further epoch.
    pub fn give_up(&mut self) {
        self.resigned = true;
    }

    fn on_info(&mut self, from: ServerId, (accepted, counts): (Epoch, bool), out: &mut Vec<Output>) {
        self.learners.insert(from, Stage::Informed { accepted, counts });
        match self.phase.proposed() {
            _ if self.rolls_over().is_some() => {} // it is told once the next epoch is led
            Some(epoch) if accepted <= epoch => self.tell(from, epoch, out),
            // It can follow nobody below. Another discovery is needed, or it stays out for ever.
            Some(_) if self.quorum.is_voter(from) => self.resign("a voter has accepted a higher epoch", out),
            Some(_) => self.hang_up(from, "it has accepted a higher epoch than is led", out),
            None => self.discover(out),
        }
    }

    /// Z1: above all that a quorum of voters has accepted.
    fn discover(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Discovering {
            return;
        }
        let accepted = |server: ServerId| match self.learners.get(&server) {
            _ if server == self.me => Some(self.accepted),
            Some(Stage::Informed { accepted, .. }) => Some(*accepted),
            _ => None,
        };
        let counts = |server: ServerId| {
            let stage = self.learners.get(&server);
            server == self.me || matches!(stage, Some(Stage::Informed { counts: true, .. })) // Z8
        };
        if !self.quorum.holds(counts) {
            return;
        }
        let voters = self.learners.keys().chain([&self.me]).filter(|it| self.quorum.is_voter(**it));
        let known = voters.filter_map(|server| accepted(*server)).max().unwrap_or_default();
        let highest = known.max(self.standing.current_epoch).max(self.standing.last.epoch());
        match highest.next() {
            Some(epoch) => {
                self.phase = Phase::Accepting(epoch);
                out.push(Output::KeepAccepted(epoch));
            }
            None => self.resign("all epochs are used up; export the data to a new ensemble", out),
        }
    }

    /// The epoch is durable here, as accepted: it may be told.
    pub fn on_accepted_kept(&mut self, out: &mut Vec<Output>) {
        let Phase::Accepting(epoch) = self.phase else { return };
        if self.resigned {
            return;
        }
        self.phase = Phase::Acknowledging(epoch);
        self.tell_waiting(epoch, out);
        self.enter(out);
    }

    fn tell_waiting(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        let informed = |stage: &Stage| match stage {
            Stage::Informed { accepted, .. } => Some(*accepted),
            _ => None,
        };
        let waiting = self.learners.iter().filter_map(|(server, stage)| Some((*server, informed(stage)?)));
        for (server, accepted) in waiting.collect::<Vec<_>>() {
            if accepted > epoch {
                self.hang_up(server, "it has accepted a higher epoch than is proposed", out);
            } else {
                self.tell(server, epoch, out);
            }
        }
    }

    fn tell(&mut self, learner: ServerId, epoch: Epoch, out: &mut Vec<Output>) {
        let had_vote = matches!(self.learners.get(&learner), Some(Stage::Informed { counts: true, .. }));
        self.learners.insert(learner, Stage::Told { had_vote });
        out.push(Output::Send(learner, ToLearner::LeaderInfo { epoch }));
    }

    fn on_ack_epoch(&mut self, (from, had_vote): (ServerId, bool), its: Standing, out: &mut Vec<Output>) {
        match self.phase {
            // An observer may have more: what no voter has was never committed. Nor does one that has lost its
            // memory stand for anything.
            Phase::Acknowledging(_) if its > self.standing && had_vote && self.quorum.is_voter(from) => {
                self.resign("a learner has more than this member", out);
            }
            Phase::Acknowledging(_) => self.enter(out),
            Phase::Synchronising(_) | Phase::Established(_) => self.find(from, out),
            _ => {}
        }
    }

    /// Z1: a quorum follows nobody below.
    fn enter(&mut self, out: &mut Vec<Output>) {
        let Phase::Acknowledging(epoch) = self.phase else { return };
        let counts = |server: ServerId| {
            let stage = self.learners.get(&server);
            server == self.me || matches!(stage, Some(Stage::Acknowledged { counts: true, .. }))
        };
        if self.quorum.holds(counts) {
            self.phase = Phase::Entering(epoch);
            out.push(Output::KeepCurrent(epoch));
        }
    }

    /// The epoch is durable here, as current: ours is the first ACK of NEWLEADER.
    pub fn on_current_kept(&mut self, out: &mut Vec<Output>) {
        let epoch = match self.phase {
            _ if self.resigned => return,
            Phase::Entering(epoch) => epoch,
            Phase::RollingOver { to, is_keeping: true, .. } => return self.led_on(to, out),
            _ => return,
        };
        self.phase = Phase::Synchronising(epoch);
        let waiting: Vec<_> = self.learners.keys().copied().collect();
        waiting.into_iter().for_each(|server| self.find(server, out));
        self.synchronise(out);
    }

    /// Z2: a quorum has our history on disk.
    fn synchronise(&mut self, out: &mut Vec<Output>) {
        if let Phase::Synchronising(epoch) = self.phase
            && self.quorum.holds(|server| self.is_synchronised(server))
        {
            self.phase = Phase::Established(epoch);
            self.committed = epoch.start();
            out.push(Output::Establish(epoch));
        }
        if self.established().is_none() {
            return;
        }
        for (server, stage) in &mut self.learners {
            if *stage == Stage::Synchronised {
                *stage = Stage::Serving;
                let committed = self.committed;
                out.push(Output::Send(*server, ToLearner::UpToDate { committed }));
                if self.confirmed > 0 {
                    out.push(Output::Send(*server, ToLearner::Confirmed { upto: self.confirmed }));
                }
            }
        }
    }

    fn ack(&mut self, from: ServerId, upto: Zxid, out: &mut Vec<Output>) {
        let counts = self.quorum.is_voter(from) && self.is_synchronised(from); // Z3
        if self.established().is_some() && counts {
            out.push(Output::Ack(Ack { from, upto }));
        }
    }

    /// Our own log is durable through `upto`: our Learner's ack.
    pub fn on_persisted(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        self.durable = self.durable.max(upto);
        self.recent.forget(self.durable.min(self.recent.informed()));
        self.ack(self.me, upto, out);
    }

    /// The Proposer proposes: to every voter that has joined. Our own Learner gets it by mail.
    pub fn on_proposed(&mut self, items: &Arc<Vec<Proposal>>, out: &mut Vec<Output>) {
        let after = self.recent.last();
        self.recent.push(Arc::clone(items));
        self.send_to_joined(true, &[(after, Arc::clone(items))], out);
        self.inform(out);
    }

    /// The Proposer commits: to every learner that serves.
    pub fn on_committed(&mut self, upto: Zxid, out: &mut Vec<Output>) {
        self.recent.commit(upto);
        self.committed = upto;
        self.inform(out);
        self.to_serving(&ToLearner::Commit { upto }, out);
        self.recent.forget(self.durable.min(self.recent.informed()));
    }

    /// The Proposer's syncs up to this one are confirmed: to every learner that serves.
    pub fn on_confirmed(&mut self, upto: u64, out: &mut Vec<Output>) {
        self.confirmed = upto;
        self.to_serving(&ToLearner::Confirmed { upto }, out);
    }

    fn to_serving(&self, packet: &ToLearner, out: &mut Vec<Output>) {
        let serving = self.learners.iter().filter(|(_, stage)| stage.is_serving());
        out.extend(serving.map(|(server, _)| Output::Send(*server, packet.clone())));
    }

    /// The SessionTracker finds these of a learner's sessions silent: it has the last word.
    pub fn on_silent(&self, home: ServerId, sessions: Vec<(SessionId, AttachNumber)>, out: &mut Vec<Output>) {
        if self.is_serving(home) {
            out.push(Output::Send(home, ToLearner::Silent(sessions)));
        }
    }

    /// The Proposer does not grant these handshakes of a learner's clients.
    pub fn on_turned_away(&self, member: ServerId, handshakes: Vec<Handshake>, out: &mut Vec<Output>) {
        if self.is_serving(member) {
            out.push(Output::Send(member, ToLearner::TurnedAway(handshakes)));
        }
    }

    /// Observers get what is committed, and what stands right behind it, only now.
    fn inform(&mut self, out: &mut Vec<Output>) {
        let batches = self.recent.inform();
        self.send_to_joined(false, &batches, out);
    }

    fn send_to_joined(&self, voters: bool, batches: &[Batch], out: &mut Vec<Output>) {
        let joined =
            |stage: &Stage| matches!(stage, Stage::Joined | Stage::Synchronised) || stage.is_serving();
        for (server, _) in self.learners.iter().filter(|(_, stage)| joined(stage)) {
            if self.quorum.is_voter(*server) == voters {
                for (after, items) in batches {
                    let (after, items) = (*after, Arc::clone(items));
                    out.push(Output::Send(*server, ToLearner::Proposals { after, items }));
                }
            }
        }
    }

    /// Panics where an invariant does not hold. For tests and simulations.
    pub fn check(&self) {
        assert!(self.established().is_none() || self.durable >= self.standing.last, "Z1");
        assert!(self.recent.informed() <= self.recent.last(), "Z2: {:?}", self.recent);
        let serving = self.learners.iter().any(|(_, stage)| stage.is_serving());
        assert!(!serving || self.established().is_some(), "Z2: UPTODATE before a quorum");
        assert!(self.rolls_over().is_none() || self.committed >= self.recent.last(), "Z11: {:?}", self.phase);
        self.check_levels();
        if let Some(epoch) = self.epoch() {
            assert!(epoch > self.standing.current_epoch && epoch > self.standing.last.epoch(), "Z1: {epoch}");
        }
    }
}

mod acked;
mod asked;
mod lacking;
pub mod levels;
mod roll_over;
mod stage;

#[cfg(test)]
mod tests;
