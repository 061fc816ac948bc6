//! What a member does as a leader and as a learner: between its cores, its log and its data lanes.

use std::sync::Arc;

use paddock_actors::learner::following::{Following, Output as Followed};
use paddock_actors::proposer::core::{Output as Proposed, Proposer};
use paddock_actors::proposer::leadership::{Leadership, Output as Led, Standing};
use paddock_actors::quorum_peer::belongs;
use paddock_actors::storage::transfer::Span;
use paddock_actors::tree::DataTree;
use paddock_actors::tree::prep::PrepRules;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Ack, Proposal, Request, Requests};
use paddock_messages::quorum::{Memory, PeerState, SyncStart, ToLeader, ToLearner, Vote};
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::node::{Effect, Node, Role, tracing_line};
use super::setup::SimQuorum;
use super::storage::{PIECE, Task};

impl Node {
    pub(super) fn lead(&mut self) {
        self.generation += 1;
        let facts = self.logger.facts();
        let standing = Standing { current_epoch: facts.current_epoch, last: self.logger.persisted().upto };
        tracing_line(self, &format!("leads with {standing:?}"));
        self.acknowledged.clear();
        let ensemble = facts.ensemble.unwrap_or(self.new_ensemble);
        let reign =
            Leadership::new(self.me, self.setup.quorum(), facts.accepted_epoch, standing).of(ensemble);
        let mut reign = Box::new(reign.knowing(self.learner.watermark()).sparing(self.setup.spares()));
        let mut out = Vec::new();
        reign.start(&mut out);
        self.role = Role::Leading(reign, None);
        self.perform_reign(out);
    }

    pub(super) fn follow(&mut self, leader: ServerId) {
        self.generation += 1;
        let (facts, tail) = (self.logger.facts(), self.learner.tail());
        tracing_line(self, &format!("follows {leader} with {tail:?}"));
        let last = self.logger.persisted().upto;
        let stay = Following::new(facts.accepted_epoch, facts.current_epoch, tail).of(belongs(&facts, last));
        self.role = Role::Following(leader, Box::new(if self.had_vote { stay } else { stay.without_vote() }));
    }

    /// Nothing of the role is left behind; the log finishes what it was given.
    pub(super) fn end_role(&mut self) {
        if matches!(&self.role, Role::Leading(reign, None) if reign.epoch().is_some()) {
            self.note("epochs discovered and not established");
        }
        self.role = Role::Looking;
        self.generation += 1;
        self.tracker = None;
        self.served.clear();
        self.effects.push(Effect::RoleEnded);
        self.learner.on_leader_lost();
        if !self.setup.has(EnsembleFault::LookWithoutDrain) {
            self.drain_and_apply();
        }
        self.incoming.clear();
    }

    fn drain_and_apply(&mut self) {
        self.drain();
        while self.learner.is_ready() {
            self.apply();
        }
    }

    pub(super) fn with_reign(&mut self, run: impl FnOnce(&mut Leadership<SimQuorum>, &mut Vec<Led>)) {
        if let Role::Leading(reign, _) = &mut self.role {
            let mut out = Vec::new();
            run(reign, &mut out);
            self.perform_reign(out);
        }
    }

    pub(super) fn with_stay(&mut self, run: impl FnOnce(&mut Following, &mut Vec<Followed>)) {
        if let Role::Following(_, stay) = &mut self.role {
            let mut out = Vec::new();
            run(stay, &mut out);
            self.perform_stay(out);
        }
    }

    pub(super) fn with_proposer(
        &mut self,
        run: impl FnOnce(&mut Proposer<SimQuorum>, &DataTree, &mut Vec<Proposed>),
    ) {
        let tree = Arc::clone(&self.tree);
        if let Role::Leading(_, Some(proposer)) = &mut self.role {
            let mut out = Vec::new();
            run(proposer, &tree.read(), &mut out);
            self.perform_proposer(out);
        }
    }

    /// Our own Learner's ack.
    pub(super) fn on_persisted(&mut self, upto: Zxid) {
        self.with_reign(|reign, out| reign.on_persisted(upto, out));
        self.with_stay(|stay, out| stay.on_persisted(upto, out));
        let now = self.wall_ms();
        self.with_proposer(|proposer, tree, out| {
            if proposer.can_resume() {
                proposer.resume(tree, now, out);
            }
        });
    }

    /// A quorum has confirmed the lead.
    pub(super) fn on_round(&mut self, upto: u64) {
        self.with_proposer(|proposer, _, out| proposer.on_round(upto, out));
    }

    pub(super) fn on_accepted_kept(&mut self) {
        self.peer.on_accepted(self.logger.facts().accepted_epoch);
        self.with_reign(|reign, out| reign.on_accepted_kept(out));
        self.with_stay(|stay, out| stay.on_accepted_kept(out));
    }

    pub(super) fn on_current_kept(&mut self) {
        self.with_reign(|reign, out| reign.on_current_kept(out));
        self.with_stay(|stay, out| stay.on_current_kept(out));
    }

    pub(super) fn on_installed(&mut self) {
        self.with_stay(|stay, _| stay.on_installed());
    }

    /// A learner's data lane is open.
    pub(super) fn on_learner(&mut self, learner: ServerId) {
        if let Some(tracker) = &mut self.tracker {
            tracker.on_member(learner);
        }
        self.with_reign(|reign, _| reign.on_connected(learner));
    }

    /// A learner's data lane is closed.
    pub(super) fn on_learner_gone(&mut self, learner: ServerId) {
        self.lost_member(learner);
        self.with_reign(|reign, _| reign.on_gone(learner));
    }

    /// Our own data lane, to the leader, is open.
    pub(super) fn on_leader(&mut self) {
        self.with_stay(|stay, out| stay.on_connected(out));
    }

    /// What our clients ask goes to the leader.
    pub(super) fn ask(&mut self, items: Vec<Request>) {
        if matches!(self.role, Role::Leading(..)) {
            self.propose(self.me, items);
        } else {
            self.with_stay(|stay, out| stay.on_requests(items, out));
        }
    }

    fn propose(&mut self, member: ServerId, items: Vec<Request>) {
        let now = self.wall_ms();
        self.with_proposer(|proposer, tree, out| {
            proposer.on_requests(tree, Requests { member, items }, now, out);
            proposer.check(tree.last_zxid());
        });
    }

    pub(super) fn on_packet_up(&mut self, from: ServerId, mut packet: ToLeader) {
        if let ToLeader::AckEpoch { current_epoch, tail, .. } = &mut packet
            && self.setup.voters.contains(&from)
        {
            let standing = Standing { current_epoch: *current_epoch, last: tail.last() };
            self.acknowledged.insert(from, standing);
            if self.setup.has(EnsembleFault::IgnoreAhead) {
                *current_epoch = Epoch(0);
            }
        }
        self.with_reign(|reign, out| reign.on_packet(from, packet, out));
    }

    pub(super) fn on_packet_down(&mut self, packet: ToLearner) {
        match &packet {
            ToLearner::Sync(SyncStart::Diff) => self.note("DIFF syncs"),
            ToLearner::Sync(SyncStart::Trunc(_)) => self.note("TRUNC syncs"),
            ToLearner::Sync(SyncStart::Snap(_)) => self.note("SNAP syncs"),
            ToLearner::Commit { .. } if matches!(&self.role, Role::Following(_, it) if !it.is_serving()) => {
                self.note("commits told with the log");
            }
            ToLearner::NewLeader { .. } if self.setup.has(EnsembleFault::AckNewLeaderEarly) => {
                let all = self.learner.appended();
                self.with_stay(|stay, out| stay.on_persisted(all, out));
            }
            _ => {}
        }
        self.with_stay(|stay, out| stay.on_packet(packet, out));
    }

    fn perform_reign(&mut self, out: Vec<Led>) {
        let generation = self.generation;
        for order in out {
            if self.generation != generation {
                return; // the role has ended, and all it asked for
            }
            match order {
                Led::KeepAccepted(epoch) => self.tasks.push_back((generation, Task::Accept(epoch))),
                Led::KeepCurrent(epoch) => {
                    let (last, facts) = (self.logger.persisted().upto, self.logger.facts());
                    let ours = Standing { current_epoch: facts.current_epoch, last };
                    let ahead = self.acknowledged.iter().find(|(_, its)| **its > ours);
                    assert!(ahead.is_none(), "EN9: {epoch} is entered with {ours:?}, and {ahead:?} has more");
                    let ensemble = facts.ensemble.unwrap_or(self.new_ensemble);
                    self.tasks.push_back((generation, Task::Enter(epoch, ensemble)));
                }
                Led::Send(to, packet) => {
                    if let ToLearner::LeaderInfo { epoch } = packet {
                        assert!(
                            self.logger.facts().accepted_epoch >= epoch,
                            "EN8: {epoch} is told and not kept"
                        );
                    }
                    self.send_down(to, packet);
                }
                Led::Find(learner, wanted) => {
                    let found = self.search(&wanted);
                    self.with_reign(|reign, out| match found {
                        Ok(searched) => reign.on_found(learner, &searched, out),
                        Err(_) => reign.on_unreadable(learner, out),
                    });
                }
                Led::SendLog(to, span) => self.send_log(to, span),
                Led::SendSnapshot(to) => self.send_snapshot(to),
                Led::Establish(epoch) => self.establish(epoch),
                Led::Ack(Ack { from, upto }) => {
                    let durable = self.logger.persisted().upto;
                    assert!(
                        from != self.me || durable >= upto,
                        "EN8: {upto:?} is acked, {durable:?} is on disk"
                    );
                    self.with_proposer(|proposer, _, out| proposer.on_ack(Ack { from, upto }, out));
                }
                Led::Requests(from, items) => self.propose(from, items),
                Led::HangUp(on, why) => {
                    tracing_line(self, &format!("hangs up on {on}: {why}"));
                    self.lost_member(on);
                    self.effects.push(Effect::HangUp(on));
                }
                Led::Touched(from, as_of_ms, sessions) => self.reported(from, as_of_ms, &sessions),
                Led::Expire(sessions) => self.expire(sessions),
                Led::Resign(why) => self.leave(why),
            }
        }
    }

    fn send_down(&mut self, to: ServerId, packet: ToLearner) {
        let overtakes =
            matches!(packet, ToLearner::NewLeader { .. }) && self.setup.has(EnsembleFault::NewLeaderFirst);
        let is_data =
            |it: &Effect| matches!(it, Effect::ToLearner(it, ToLearner::Proposals { .. }) if *it == to);
        let at = self.effects.iter().position(is_data).filter(|_| overtakes).unwrap_or(self.effects.len());
        self.effects.insert(at, Effect::ToLearner(to, packet));
    }

    fn send_log(&mut self, to: ServerId, Span { after, upto, committed }: Span) {
        let Ok(mut txns) = self.logged_between(after, upto) else {
            return self.with_reign(|reign, out| reign.on_unreadable(to, out));
        };
        if self.setup.has(EnsembleFault::LeaveGap) {
            txns.pop();
        }
        let mut after = after;
        for part in txns.chunks(32) {
            let items = Arc::new(part.iter().cloned().map(Proposal::Txn).collect());
            self.effects.push(Effect::ToLearner(to, ToLearner::Proposals { after, items }));
            let last = part.last().map_or(after, |txn| txn.header.zxid);
            if last.min(committed) > after && self.setup.tells_early() {
                let upto = last.min(committed);
                self.effects.push(Effect::ToLearner(to, ToLearner::Commit { upto }));
            }
            after = last;
        }
        self.with_reign(|reign, out| reign.on_log_sent(to, upto, out));
    }

    fn send_snapshot(&mut self, to: ServerId) {
        let Some((zxid, bytes)) = self.newest_snapshot() else {
            self.on_learner_gone(to);
            return self.effects.push(Effect::HangUp(to));
        };
        self.effects.push(Effect::ToLearner(to, ToLearner::Sync(SyncStart::Snap(zxid))));
        let last = bytes.len().div_ceil(PIECE).max(1);
        for (number, piece) in (1..).zip(bytes.chunks(PIECE)) {
            let (bytes, is_last) = (piece.to_vec(), number == last);
            self.effects.push(Effect::ToLearner(to, ToLearner::Snapshot { bytes, is_last }));
        }
        self.with_reign(|reign, out| reign.on_snapshot_sent(to, zxid, out));
    }

    /// All that the log holds is committed, and applied before anything is asked.
    fn establish(&mut self, epoch: Epoch) {
        let (facts, last) = (self.logger.facts(), self.logger.persisted().upto);
        assert_eq!(facts.current_epoch, epoch, "EN8: an epoch is led and not kept");
        if facts.seed {
            let done = self.logger.change_facts(|facts| facts.seed = false);
            if self.logged(done).is_none() {
                return;
            }
        }
        tracing_line(self, &format!("leads {epoch} from {last:?} on"));
        self.note("elections won");
        self.ambush = true;
        let log_start = self.logger.log_start();
        let log = self.logged_between(log_start, last).expect("a disk that has not failed");
        self.truth.borrow_mut().establish(epoch, self.me, log_start, &log);
        let mut out = Vec::new();
        self.learner.on_commit(epoch.start(), &mut out);
        self.learner.on_epoch(epoch, &mut out);
        while self.learner.is_ready() {
            self.apply();
        }
        let rules = PrepRules { extended_types: true, ..PrepRules::default() };
        let (quorum, room) = (self.setup.commit_quorum(), self.setup.room());
        if let Role::Leading(_, proposer) = &mut self.role {
            *proposer = Some(Box::new(Proposer::new(self.me, epoch, quorum, rules, room)));
        }
        self.track();
        self.settle(PeerState::Leading, self.me, epoch);
    }

    fn settle(&mut self, state: PeerState, leader: ServerId, peer_epoch: Epoch) {
        let zxid = self.logger.persisted().upto;
        let mut told = Vec::new();
        self.election.remember(Memory::Whole);
        self.election.settle(state, Vote { peer_epoch, zxid, leader }, &mut told);
        self.perform_election(told);
    }

    fn perform_proposer(&mut self, out: Vec<Proposed>) {
        let generation = self.generation;
        for order in out {
            if self.generation != generation {
                return;
            }
            match order {
                Proposed::Propose(items) => {
                    items.iter().filter_map(Proposal::txn).for_each(|it| self.truth.borrow_mut().propose(it));
                    let items = Arc::new(items);
                    let mut out = Vec::new();
                    self.learner.on_proposals(Arc::clone(&items), &mut out);
                    self.perform_learner(out);
                    self.with_reign(|reign, out| reign.on_proposed(&items, out));
                }
                Proposed::Commit(upto) => {
                    self.learner.on_commit(upto, &mut Vec::new());
                    self.with_reign(|reign, out| reign.on_committed(upto, out));
                }
                Proposed::BeginRound(number) if self.setup.has(EnsembleFault::ConfirmUnasked) => {
                    self.on_round(number);
                }
                Proposed::BeginRound(number) => {
                    let mut out = Vec::new();
                    self.peer.on_sync(number, self.now_ms, &mut out);
                    self.perform_peer(out);
                }
                Proposed::Confirm(upto) => {
                    self.learner.on_confirmed(upto, &mut Vec::new());
                    self.with_reign(|reign, out| reign.on_confirmed(upto, out));
                }
                Proposed::TurnAway(member, all) if member == self.me => {
                    self.learner.on_turned_away(all, &mut Vec::new());
                }
                Proposed::TurnAway(member, all) => {
                    self.with_reign(|reign, out| reign.on_turned_away(member, all, out));
                }
                Proposed::HangUp(member) => panic!("{member} acks what was not proposed"),
                Proposed::BeginEpoch(_) | Proposed::NoEpochLeft => self.leave("the epoch is used up"),
            }
        }
    }

    /// EN8: what is acknowledged to the leader is on disk.
    fn is_durable(&self, packet: &ToLeader) {
        let Role::Following(_, stay) = &self.role else { return };
        let (facts, durable, epoch) = (self.logger.facts(), self.logger.persisted().upto, stay.epoch());
        match packet {
            ToLeader::AckEpoch { .. } => assert!(facts.accepted_epoch >= epoch, "EN8: {epoch} is not kept"),
            ToLeader::Ack { upto } | ToLeader::AckNewLeader { upto } => {
                assert_eq!(facts.current_epoch, epoch, "EN8: the epoch is acknowledged and not kept");
                assert!(durable >= *upto, "EN8: {upto:?} is acked, {durable:?} is on disk");
            }
            _ => {}
        }
    }

    fn perform_stay(&mut self, out: Vec<Followed>) {
        let generation = self.generation;
        for order in out {
            if self.generation != generation {
                return;
            }
            match order {
                Followed::Send(packet) => {
                    self.is_durable(&packet);
                    self.effects.push(Effect::ToLeader(packet));
                }
                Followed::KeepAccepted(epoch) => self.tasks.push_back((generation, Task::Accept(epoch))),
                Followed::KeepCurrent(epoch, ensemble)
                    if self.setup.has(EnsembleFault::AckNewLeaderEarly) =>
                {
                    self.tasks.push_front((generation, Task::Enter(epoch, ensemble)));
                }
                Followed::KeepCurrent(epoch, ensemble) => {
                    self.tasks.push_back((generation, Task::Enter(epoch, ensemble)));
                }
                Followed::Truncate(to) => {
                    self.learner.on_truncated(to);
                    self.tasks.push_back((generation, Task::Truncate(to)));
                }
                Followed::Piece(bytes) => self.incoming.extend_from_slice(&bytes),
                Followed::Install(zxid) => self.tasks.push_back((generation, Task::Install(zxid))),
                Followed::Proposals(items) => {
                    let mut out = Vec::new();
                    self.learner.on_proposals(items, &mut out);
                    self.perform_learner(out);
                }
                Followed::Commit(upto) => self.learner.on_commit(upto, &mut Vec::new()),
                Followed::Confirmed(upto) => self.learner.on_confirmed(upto, &mut Vec::new()),
                Followed::Silent(silent) => {
                    let over = self.last_word(silent);
                    self.with_stay(|stay, out| stay.on_expire(over, out));
                }
                Followed::TurnedAway(all) => self.learner.on_turned_away(all, &mut Vec::new()),
                Followed::Serve(epoch) => {
                    self.note("learners up to date");
                    self.learner.on_epoch(epoch, &mut Vec::new());
                    if self.logger.facts().seed {
                        self.tasks.push_back((generation, Task::Join));
                    }
                    if let Role::Following(leader, _) = self.role {
                        let voter = if self.is_voter { PeerState::Following } else { PeerState::Observing };
                        self.settle(voter, leader, epoch);
                    }
                }
                Followed::Leave(why) => self.leave(why),
            }
        }
    }
}
