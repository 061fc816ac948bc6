//! A member's Proposer, as its shell has it: from an elected candidate to an established leader, and what goes down
//! the learners' lanes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use paddock_actors::membership::Joint;
use paddock_actors::proposer::Quorum;
use paddock_actors::proposer::core::{Output as Proposed, Proposer};
use paddock_actors::proposer::leadership::levels::UNREADABLE;
use paddock_actors::proposer::leadership::{Leadership, Output as Led, Standing};
use paddock_actors::quorum_peer::Progress;
use paddock_actors::tree::DataTree;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Ack, Commit, Internal, Proposal, Proposals, Request, Requests, TurnedAway};
use paddock_messages::quorum::{ToLeader, ToLearner};
use paddock_messages::roles::{
    Asked, Confirmed, DropLearner, EpochKept, Establish, HistoryApplied, KeepEpoch, KeptEpoch, Lead,
    LeadOver, MemberLane, MemberMet, OwnAck, RoleEnded, RoundHeld, SilentAt, SyncAsked,
};
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::mail::{Letter, Part};
use super::node::{Effect, Node, tracing_line};
use super::old_lanes::Kept;
use super::setup::SimQuorum;
use super::silent_disk::Watched;
use super::world::TROUBLE_US;

/// See the module.
#[derive(Default)]
pub(super) struct Reigning {
    /// The generation of the role.
    pub(super) role: u64,
    pub(super) reign: Option<Box<Leadership<Joint<SimQuorum>>>>,
    pub(super) core: Option<Box<Proposer<SimQuorum>>>,
    /// The learners' lanes.
    pub(super) lanes: BTreeMap<ServerId, u64>,
    led: Vec<Led>,
    /// What comes behind the establishment, while our own Learner applies all there is.
    pub(super) deferred: Option<VecDeque<Led>>,
    /// Who decides, as the Learner said before the lead began, or as we have proposed.
    pub(super) by: Option<Joint<SimQuorum>>,
    /// The role in which the lead was given up for others, if any.
    pub(super) handed_over: u64,
    pub(super) own_disk: Option<Watched>,
    /// What the voters that have acknowledged our epoch stand with, as they told it.
    acknowledged: BTreeMap<ServerId, Standing>,
    pub(super) kept: Kept,
}

impl Node {
    pub(super) fn with_reign(&mut self, run: impl FnOnce(&mut Leadership<Joint<SimQuorum>>, &mut Vec<Led>)) {
        if let Some(reign) = &mut self.lead.reign {
            run(reign, &mut self.lead.led);
        }
    }

    pub(super) fn with_proposer(
        &mut self,
        run: impl FnOnce(&mut Proposer<SimQuorum>, &DataTree, i64, &mut Vec<Proposed<SimQuorum>>),
    ) {
        let (tree, now) = (Arc::clone(&self.tree), self.wall_ms());
        let Some(core) = &mut self.lead.core else { return };
        let mut out = Vec::new();
        let tree = tree.read();
        run(core, &tree, now, &mut out);
        drop(tree);
        self.perform_proposer(out);
        self.raise_wanted();
    }

    fn publish(&mut self) {
        if let Some(reign) = &self.lead.reign {
            let progress = reign.progress();
            if let (Some(core), Progress::Leading(reign)) = (&mut self.lead.core, &progress) {
                core.on_synchronised(reign.synchronised.iter().copied());
            }
            self.board.tell(self.lead.role, progress);
        }
    }

    pub(super) fn perform_reign(&mut self) {
        while !self.lead.led.is_empty() {
            for order in std::mem::take(&mut self.lead.led) {
                match &mut self.lead.deferred {
                    Some(deferred) => deferred.push_back(order),
                    None => self.perform_led(order),
                }
            }
        }
    }

    fn perform_led(&mut self, order: Led) {
        let role = self.lead.role;
        match order {
            Led::KeepAccepted(epoch) => {
                let epoch = KeptEpoch::Accepted(epoch);
                self.post(Part::Learner, Letter::KeepEpoch(KeepEpoch { role, epoch }));
            }
            Led::KeepCurrent(epoch) => {
                self.has_most(epoch);
                let epoch = KeptEpoch::Current(epoch);
                self.post(Part::Learner, Letter::KeepEpoch(KeepEpoch { role, epoch }));
            }
            Led::Send(to, packet) => {
                if let ToLearner::LeaderInfo { epoch } = packet {
                    let accepted = self.logger.facts().accepted_epoch;
                    assert!(accepted >= epoch, "EN8: {epoch} is told and not kept");
                }
                self.send_down(to, packet);
            }
            Led::Find(learner, wanted) => self.find(learner, wanted),
            Led::SendLog(to, span) => self.send_log(to, span),
            Led::SendSnapshot(to) => self.send_snapshot(to),
            Led::Establish(epoch) => {
                self.begin_reign(epoch);
                self.lead.deferred = Some(VecDeque::new());
                self.post(Part::Learner, Letter::Establish(Establish { role, epoch }));
            }
            Led::Ack(ack) => self.on_ack(ack),
            Led::Requests(from, items) => self.propose(from, items),
            Led::Forgot { learner, acked, last } => {
                tracing_line(self, &format!("{learner} has acknowledged {acked} and comes back with {last}"));
            }
            Led::HangUp(on, why) => {
                if why == UNREADABLE {
                    self.note("learners of the build before turned back");
                }
                tracing_line(self, &format!("hangs up on {on}: {why}"));
                self.close_lane(on);
            }
            Led::Touched(member, as_of_ms, sessions) => {
                self.post(Part::Sessions, Letter::MemberMet(MemberMet { member, as_of_ms, sessions }));
            }
            Led::Expire(sessions) => self.on_internal(Internal::Expire(sessions)),
            Led::Resign(why) => self.resign(why),
        }
    }

    /// EN9. Of one that rolls over, what it has numbered goes to its log before the epoch does.
    fn has_most(&self, epoch: Epoch) {
        let (durable, facts) = (self.logger.persisted().upto, self.logger.facts());
        let last = self.lead.core.as_ref().map_or(durable, |core| core.last());
        let ours = Standing { current_epoch: facts.current_epoch, last };
        let ahead = self.lead.acknowledged.iter().find(|(_, its)| **its > ours);
        assert!(ahead.is_none(), "EN9: {epoch} is entered with {ours:?}, and {ahead:?} has more");
    }

    /// EN20.
    fn has_quorum(&self, upto: Zxid) {
        let Some(core) = &self.lead.core else { return };
        let has = |voter| core.acked(voter) >= Some(upto);
        assert!(self.decides().holds(has), "EN20: {upto:?} is committed, and no quorum has it");
    }

    /// All that the log holds is committed from here on.
    fn begin_reign(&mut self, epoch: Epoch) {
        assert_eq!(self.logger.facts().current_epoch, epoch, "EN8: an epoch is led and not kept");
        let log_start = self.logger.log_start();
        let log = self.logged_after(log_start).expect("a disk that has not failed");
        self.truth.borrow_mut().establish(epoch, self.me, log_start, &log);
        let heir = self.truth.borrow_mut().heir.take();
        match heir {
            Some(heir) if heir == self.me => self.note("heirs that lead"),
            Some(_) => self.note("others that lead in an heir's place"),
            None => {}
        }
    }

    /// One learner may be of the build before, until all is to heal: with short epochs it is away so often that the
    /// sessions of its clients never end.
    fn roll_over(&mut self, epoch: Epoch) {
        self.note("roll-overs begun");
        let (setup, may_be_deaf) = (Arc::clone(&self.setup), self.now_ms * 1_000 < TROUBLE_US);
        let hears = |it| !may_be_deaf || !setup.is_deaf(it);
        self.with_reign(|reign, out| reign.roll_over(epoch, hears, out));
        if self.setup.has(EnsembleFault::RollOverAlone) {
            let upto = self.logger.persisted().upto;
            let told = self.lead.lanes.keys().copied().filter(|it| self.is_serving_learner(*it));
            for learner in told.collect::<Vec<_>>() {
                let acks = ToLeader::AckNewLeader { upto };
                self.with_reign(|reign, out| reign.on_packet(learner, acks, out));
            }
        }
        self.publish();
        self.ambush = true;
    }

    fn is_serving_learner(&self, learner: ServerId) -> bool {
        self.lead.reign.as_ref().is_some_and(|reign| reign.is_serving(learner))
    }

    pub(super) fn resign(&mut self, why: &'static str) {
        let role = self.lead.role;
        self.with_reign(|reign, _| reign.give_up());
        self.post(Part::QuorumPeer, Letter::RoleEnded(RoleEnded { role, why }));
    }

    fn send_down(&mut self, to: ServerId, packet: ToLearner) {
        let Some(&lane) = self.lead.lanes.get(&to) else { return };
        let overtakes =
            matches!(packet, ToLearner::NewLeader { .. }) && self.setup.has(EnsembleFault::NewLeaderFirst);
        let is_data =
            |it: &Effect| matches!(it, Effect::ToLearner(it, ToLearner::Proposals { .. }) if *it == lane);
        let at = self.effects.iter().position(is_data).filter(|_| overtakes).unwrap_or(self.effects.len());
        self.effects.insert(at, Effect::ToLearner(lane, packet));
        self.sent += 1;
    }

    /// The lane is forgotten, and what was for it.
    fn forget(&mut self, learner: ServerId) {
        if let Some(deferred) = &mut self.lead.deferred {
            deferred.retain(|order| !matches!(order, Led::Send(to, _) if *to == learner));
        }
    }

    fn close_lane(&mut self, on: ServerId) {
        self.forget(on);
        if let Some(lane) = self.lead.lanes.remove(&on) {
            self.effects.push(Effect::HangUp(lane));
        }
        self.post(Part::Sessions, Letter::MemberLane(MemberLane { member: on, is_up: false }));
    }

    fn propose(&mut self, member: ServerId, items: Vec<Request>) {
        self.with_proposer(|core, tree, now, out| {
            core.on_requests(tree, Requests { member, items }, now, out);
            core.check(tree.last_zxid());
        });
    }

    fn on_ack(&mut self, Ack { from, upto }: Ack) {
        let durable = self.logger.persisted().upto;
        assert!(from != self.me || durable >= upto, "EN8: {upto:?} is acked, {durable:?} is on disk");
        self.with_proposer(|core, _, _, out| core.on_ack(Ack { from, upto }, out));
        self.resume();
        self.end_if_finished(false);
    }

    pub(super) fn resume(&mut self) {
        if self.lead.core.as_ref().is_some_and(|core| core.can_resume()) {
            self.with_proposer(|core, tree, now, out| core.resume(tree, now, out));
        }
    }

    fn perform_proposer(&mut self, out: Vec<Proposed<SimQuorum>>) {
        let role = self.lead.role;
        for order in out {
            match order {
                Proposed::Propose(items) => {
                    items.iter().filter_map(Proposal::txn).for_each(|it| self.truth.borrow_mut().propose(it));
                    let is_full = self.room.is_proposer_full && items.iter().any(|it| it.txn().is_some());
                    assert!(self.lead.handed_over != role, "EN14: {} numbers on", self.me);
                    assert!(!is_full, "EN11: {} numbers txns on a full disk", self.me);
                    let items = Arc::new(items);
                    self.with_reign(|reign, out| reign.on_proposed(&items, out));
                    self.post(Part::Learner, Letter::Proposals(Proposals { role, items }));
                    self.met_by_transfers(|it| it.proposed = true);
                }
                Proposed::Commit(upto) => {
                    self.has_quorum(upto);
                    self.with_reign(|reign, out| reign.on_committed(upto, out));
                    self.post(Part::Learner, Letter::Commit(Commit { role, upto }));
                    self.met_by_transfers(|it| it.committed = true);
                }
                Proposed::Decide(by) => self.decide(by),
                Proposed::BeginRound(number) if self.setup.has(EnsembleFault::ConfirmUnasked) => {
                    self.on_round_held(RoundHeld { role, upto: number });
                }
                Proposed::BeginRound(number) => {
                    self.post(Part::QuorumPeer, Letter::SyncAsked(SyncAsked { role, number }));
                }
                Proposed::Confirm(upto) => {
                    self.with_reign(|reign, out| reign.on_confirmed(upto, out));
                    self.post(Part::Learner, Letter::Confirmed(Confirmed { role, upto }));
                }
                Proposed::TurnAway(member, handshakes) if member == self.me => {
                    self.post(Part::Learner, Letter::TurnedAway(TurnedAway { role, handshakes }));
                }
                Proposed::TurnAway(member, all) => {
                    self.with_reign(|reign, out| reign.on_turned_away(member, all, out));
                }
                Proposed::HangUp(member) => panic!("{member} acks what was not proposed"),
                Proposed::Level(level) => self.with_reign(|reign, _| reign.on_level(level)),
                Proposed::BeginEpoch(epoch) => self.roll_over(epoch),
                Proposed::NoEpochLeft => panic!("no seed lives so long"),
            }
        }
        self.perform_reign();
    }

    /// Lets the reign do something about a learner whose lane is this one.
    pub(super) fn for_learner(
        &mut self,
        (learner, lane): (ServerId, u64),
        run: impl FnOnce(&mut Leadership<Joint<SimQuorum>>, &mut Vec<Led>),
    ) {
        if self.lead.lanes.get(&learner) == Some(&lane) {
            self.with_reign(run);
            self.perform_reign();
            self.publish();
        } else {
            self.note("letters of an older lane ignored");
        }
    }

    pub(super) fn on_lead(&mut self, lead: Lead) {
        let Lead { role, accepted, current_epoch, last, committed, ensemble, level } = lead;
        let standing = Standing { current_epoch, last };
        tracing_line(self, &format!("leads with {standing:?}"));
        let reign = Leadership::new(self.me, self.decides(), accepted, standing).of(ensemble);
        self.lead.reign =
            Some(Box::new(reign.knowing(committed).at_level(level).sparing(self.setup.spares())));
        self.lead.deferred = None;
        self.lead.lanes.clear();
        self.lead.acknowledged.clear();
        self.lead.kept.clear();
        self.lead.role = role;
        self.effects.push(Effect::Serve(Some(role)));
        self.with_reign(|reign, out| reign.start(out));
        self.perform_reign();
        self.publish();
    }

    pub(super) fn on_lead_over(&mut self, LeadOver { role }: LeadOver) {
        if !self.is_current(role, self.lead.role) {
            return;
        }
        if self.lead.core.is_none() && self.lead.reign.as_ref().is_some_and(|it| it.epoch().is_some()) {
            self.note("epochs discovered and not established");
        }
        if self.lead.reign.as_ref().is_some_and(|it| it.rolls_over().is_some()) {
            self.note("roll-overs given up");
        }
        self.lead = Reigning { role, ..Reigning::default() };
        self.effects.push(Effect::Serve(None));
    }

    pub(super) fn on_history_applied(&mut self, HistoryApplied { role, epoch }: HistoryApplied) {
        let reign = self.lead.reign.as_ref().filter(|it| !it.is_given_up());
        let led = reign.and_then(|it| it.established());
        if !self.is_current(role, self.lead.role) || led.is_none() {
            return;
        }
        assert_eq!(led, Some(epoch), "Z1: what was applied is not for the epoch that is led");
        let (rules, room) = (self.setup.prep(), self.setup.room());
        let rolls_over = self.lead.core.as_ref().is_some_and(|core| core.rolls_over());
        if !rolls_over {
            let by = self.settle_configuration();
            let core = Proposer::new(self.me, epoch, by, rules, room);
            let core = core.with_level(self.tree.read().feature_level());
            let mut core = core.with_last_counter(self.setup.last_counter).leading_with_vote();
            core.on_disk_full(self.room.is_proposer_full);
            self.lead.core = Some(Box::new(core));
        }
        for order in self.lead.deferred.take().into_iter().flatten() {
            self.perform_led(order);
        }
        if rolls_over {
            self.with_proposer(|core, tree, now, out| core.on_new_epoch(tree, epoch, now, out));
        }
        self.perform_reign();
        self.publish();
        self.end_if_finished(false);
    }

    pub(super) fn on_asked(&mut self, Asked { role, items }: Asked) {
        if self.is_current(role, self.lead.role) {
            self.propose(self.me, items);
        }
    }

    pub(super) fn on_internal(&mut self, letter: Internal) {
        self.with_proposer(|core, tree, now, out| {
            core.on_internal(tree, letter, now, out);
            core.check(tree.last_zxid());
        });
    }

    pub(super) fn on_own_ack(&mut self, OwnAck { role, upto }: OwnAck) {
        if self.is_current(role, self.lead.role) {
            // It comes back as the first of a quorum's, once an epoch is led.
            self.with_reign(|reign, out| reign.on_persisted(upto, out));
            self.perform_reign();
            self.resume();
        }
    }

    pub(super) fn on_epoch_kept(&mut self, EpochKept { role, epoch }: EpochKept) {
        if !self.is_current(role, self.lead.role) {
            return;
        }
        match epoch {
            KeptEpoch::Accepted(_) => self.with_reign(|reign, out| reign.on_accepted_kept(out)),
            KeptEpoch::Current(_) => self.with_reign(|reign, out| reign.on_current_kept(out)),
            KeptEpoch::Joined => {}
            KeptEpoch::Refused => self.resign("the disk has no room for the epoch"),
        }
        self.perform_reign();
        self.publish();
    }

    pub(super) fn on_learner_lane(&mut self, role: u64, learner: ServerId, (lane, reads): (u64, u8)) {
        if self.is_current(role, self.lead.role) {
            self.forget(learner);
            self.lead.lanes.insert(learner, lane);
            self.post(Part::Sessions, Letter::MemberLane(MemberLane { member: learner, is_up: true }));
            self.for_learner((learner, lane), |reign, _| reign.on_connected(learner, reads));
        }
    }

    pub(super) fn on_learner_lane_down(&mut self, learner: ServerId, lane: u64) {
        self.for_learner((learner, lane), |reign, _| reign.on_gone(learner));
        if self.lead.lanes.get(&learner) == Some(&lane) {
            self.lead.lanes.remove(&learner);
            self.forget(learner);
            self.post(Part::Sessions, Letter::MemberLane(MemberLane { member: learner, is_up: false }));
        }
    }

    pub(super) fn on_packet_up(&mut self, from: ServerId, lane: u64, mut packet: ToLeader) {
        if self.lead.lanes.get(&from) != Some(&lane) {
            return;
        }
        if self.setup.has(EnsembleFault::NumberOldLanes) {
            let Some(rest) = self.keep_last(from, lane, packet) else { return };
            packet = rest;
        }
        let is_late = matches!(packet, ToLeader::AckNewLeader { .. });
        if is_late && self.setup.has(EnsembleFault::RollOverAlone) && self.is_serving_learner(from) {
            return; // taken for granted
        }
        // One that has lost its memory stands for nothing.
        if let ToLeader::AckEpoch { counts: true, current_epoch, tail } = &mut packet
            && self.lead.by.as_ref().is_some_and(|by| by.is_voter(from))
        {
            let standing = Standing { current_epoch: *current_epoch, last: tail.last() };
            self.lead.acknowledged.insert(from, standing);
            if self.setup.has(EnsembleFault::IgnoreAhead) {
                *current_epoch = Epoch(0);
            }
        }
        use ToLeader as P;
        let changes = !matches!(packet, P::Ack { .. } | P::Requests(_) | P::Touched { .. } | P::Expire(_));
        self.with_reign(|reign, out| reign.on_packet(from, packet, out));
        self.perform_reign();
        if changes {
            self.publish();
        }
    }

    pub(super) fn on_round_held(&mut self, RoundHeld { role, upto }: RoundHeld) {
        if self.is_current(role, self.lead.role) {
            self.with_proposer(|core, _, _, out| core.on_round(upto, out));
        }
    }

    pub(super) fn on_drop_learner(&mut self, DropLearner { role, learner }: DropLearner) {
        if self.is_current(role, self.lead.role) {
            self.with_reign(|reign, _| reign.on_gone(learner));
            self.close_lane(learner);
            self.publish();
        }
    }

    pub(super) fn on_silent_at(&mut self, SilentAt { member, sessions }: SilentAt) {
        self.with_reign(|reign, out| reign.on_silent(member, sessions, out));
        self.perform_reign();
    }
}
