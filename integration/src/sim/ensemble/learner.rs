//! A member's Learner as its role begins and ends, as its shell has it: between its core, the log and the leader.

use std::collections::VecDeque;

use paddock_actors::learner::core::{Learner, Output as Learned};
use paddock_actors::learner::fence::Fence;
use paddock_actors::learner::following::Following;
use paddock_actors::learner::roles::Answered;
use paddock_actors::membership::Membership;
use paddock_actors::quorum_peer::{belongs, entered, memory};
use paddock_actors::storage::Facts;
use paddock_actors::tree::TreeWriter;
use paddock_messages::quorum::{PeerState, Vote};
use paddock_messages::roles::{
    Asked, Begin, EpochKept, HistoryApplied, Judge, KeptEpoch, Lead, LeadOver, OwnAck, Part as RolePart,
    RoleEnded, Settled, Stands, Whose,
};
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::behind::Behind;
use super::mail::{Came, Control, Letter, Part};
use super::node::{Effect, Node, tracing_line};
use super::reads_only::Reading;
use super::setup::SimQuorum;
use super::storage::Command;

/// What the member does.
pub(super) enum Mode {
    Leading,
    Following(Box<Behind>),
    Looking {
        /// The last txn on disk, once the log has finished.
        last: Option<Zxid>,
        is_told: bool,
    },
}

/// See the module.
pub(super) struct LearnerPart {
    pub(super) core: Learner,
    pub(super) membership: Membership<SimQuorum>,
    /// The generation of the role.
    pub(super) role: u64,
    pub(super) mode: Mode,
    /// Durable, as the log has said.
    pub(super) facts: Facts,
    pub(super) new_ensemble: u128,
    pub(super) entering: u128,
    pub(super) keeping: VecDeque<(KeptEpoch, Facts)>,
    pub(super) quorum_has: Option<Epoch>,
    pub(super) establishes: Option<Epoch>,
    serves_all: bool,
    pub(super) installing: Option<Came>,
    /// A snapshot on its way.
    pub(super) incoming: Vec<u8>,
    pub(super) fence: Fence,
    /// The tree was made another than everybody else's.
    pub(super) is_odd: bool,
    pub(super) reading: Reading,
}

impl LearnerPart {
    pub(super) fn new(
        core: Learner,
        membership: Membership<SimQuorum>,
        facts: Facts,
        new_ensemble: u128,
    ) -> Self {
        Self {
            core,
            membership,
            role: Begin::FIRST,
            mode: Mode::Looking { last: None, is_told: false },
            facts,
            new_ensemble,
            entering: new_ensemble,
            keeping: VecDeque::new(),
            quorum_has: None,
            establishes: None,
            serves_all: false,
            installing: None,
            incoming: Vec::new(),
            fence: Fence::new(facts.tree_differs),
            is_odd: false,
            reading: Reading::default(),
        }
    }
}

impl Node {
    fn on_begin(&mut self, Begin { role, part }: Begin) {
        let last = match self.lp.mode {
            Mode::Looking { last, .. } => last.unwrap_or(Zxid::ZERO),
            _ => Zxid::ZERO,
        };
        self.end_role();
        let it = &mut self.lp;
        (it.role, it.serves_all, it.quorum_has, it.establishes) = (role, false, None, None);
        it.keeping.clear();
        match part {
            RolePart::Look if role == Begin::LAST.role => self.command(role, Command::Shutdown),
            RolePart::Look => {
                it.reading = Reading::begun(&self.setup, self.now_ms);
                it.mode = Mode::Looking { last: None, is_told: false };
                if self.setup.has(EnsembleFault::LookWithoutDrain) {
                    let last = Some(self.logger.persisted().upto);
                    self.lp.mode = Mode::Looking { last, is_told: false };
                } else {
                    self.command(role, Command::Drain);
                }
            }
            RolePart::Lead => {
                it.mode = Mode::Leading;
                let Facts { accepted_epoch: accepted, current_epoch, .. } = it.facts;
                let ensemble = it.facts.ensemble.unwrap_or(it.new_ensemble);
                it.entering = ensemble;
                let committed = it.core.watermark();
                let level = self.tree.read().feature_level().max(it.core.logged_level());
                let lead = Lead { role, accepted, current_epoch, last, committed, ensemble, level };
                let by = it.membership.logged_view();
                let told = by.told();
                self.post(Part::QuorumPeer, Letter::Decide { role, by: by.clone(), told: told.clone() });
                self.post(Part::Proposer, Letter::Decide { role, by, told });
                self.post(Part::Proposer, Letter::Lead(lead));
            }
            RolePart::Follow { leader, had_vote } => {
                let (facts, tail) = (it.facts, it.core.tail());
                let stay = Following::new(facts.accepted_epoch, facts.current_epoch, tail);
                let stay = stay.of(belongs(&facts, last));
                let stay = if had_vote { stay } else { stay.without_vote() };
                let stay = stay.asking_for_tree(it.fence.is_due(self.now_ms)).reading(self.reads);
                self.board.tell(role, stay.progress());
                self.lp.mode =
                    Mode::Following(Box::new(Behind::new(leader, stay, self.setup.room().admitted)));
                self.effects.push(Effect::Open(leader, role));
                if self.room.is_learner_full {
                    self.leave("its disk is full"); // it stood before that was known
                }
            }
        }
    }

    /// Nobody is served any more, and what waited for an answer gets none.
    fn end_role(&mut self) {
        let role = self.lp.role;
        let served_reads = std::mem::take(&mut self.lp.reading).is_served();
        match &self.lp.mode {
            Mode::Looking { .. } if !served_reads => return,
            Mode::Looking { .. } => {}
            Mode::Leading => self.post(Part::Proposer, Letter::LeadOver(LeadOver { role })),
            Mode::Following(_) => self.effects.push(Effect::Shut(role)),
        }
        self.post(Part::Sessions, Letter::Judge(Judge { role, whose: Whose::Nobody }));
        self.tell_hubs(Control::Serve(false));
        if !served_reads {
            self.tell_hubs(Control::Park);
        } else if !self.setup.has(EnsembleFault::KeepReaders) {
            self.tell_hubs(Control::CloseAll);
        }
        self.lp.incoming.clear();
        self.lp.core.on_leader_lost();
        self.lp.mode = Mode::Looking { last: None, is_told: false };
    }

    /// All that is committed is applied, for now: what waited for that.
    pub(super) fn on_applied(&mut self) {
        if self.lp.core.is_ready() {
            return;
        }
        let (role, facts) = (self.lp.role, self.lp.facts);
        match &mut self.lp.mode {
            Mode::Leading => self.established(),
            Mode::Following(behind) => {
                if behind.opens() {
                    self.note("learners up to date");
                    self.serve_everybody(Whose::TheLeaders);
                }
            }
            Mode::Looking { last: Some(last), is_told } if !*is_told => {
                *is_told = true; // Q4
                let last = *last;
                let memory = self.lp.membership.qualify(memory(&facts, last, false));
                let stands_low = self.lp.fence.stands_low();
                let (current_epoch, last) =
                    if stands_low { (Epoch(0), Zxid::ZERO) } else { (facts.current_epoch, last) };
                let joins = self.joins();
                let stands = Stands { role, current_epoch, last, memory, has_room: joins, joins };
                let (by, told) = (self.lp.membership.view(), self.lp.membership.logged_view().told());
                self.post(Part::QuorumPeer, Letter::Decide { role, by, told });
                self.post(Part::QuorumPeer, Letter::Stands(stands));
                self.serve_reads();
            }
            Mode::Looking { .. } => {}
        }
    }

    fn serve_everybody(&mut self, whose: Whose) {
        let role = self.lp.role;
        self.post(Part::Sessions, Letter::Judge(Judge { role, whose }));
        self.tell_hubs(Control::Begin(role));
        if !self.lp.fence.is_up() {
            self.tell_hubs(Control::Serve(true));
        }
    }

    pub(super) fn leave(&mut self, why: &'static str) {
        let role = self.lp.role;
        self.post(Part::QuorumPeer, Letter::RoleEnded(RoleEnded { role, why }));
    }

    pub(super) fn keep(&mut self, epoch: KeptEpoch) {
        let mut facts = self.lp.keeping.back().map_or(self.lp.facts, |(_, facts)| *facts);
        match epoch {
            KeptEpoch::Accepted(epoch) => facts.accepted_epoch = epoch,
            KeptEpoch::Current(epoch) => facts = entered(facts, epoch, self.lp.entering),
            KeptEpoch::Joined => facts.seed = false,
            KeptEpoch::Refused => return,
        }
        facts.tree_differs = self.lp.fence.is_up();
        self.lp.keeping.push_back((epoch, facts));
        self.command(self.lp.role, Command::KeepFacts(facts, epoch));
    }

    /// Durable is durable, whichever role asked for it.
    fn on_kept(&mut self, facts: Facts, is_current: bool) {
        self.lp.facts = facts;
        self.board.accept(facts.accepted_epoch); // before anybody is told (P11)
        if !is_current {
            return;
        }
        let Some((epoch, _)) = self.lp.keeping.pop_front() else { return };
        let role = self.lp.role;
        match (&self.lp.mode, epoch) {
            (Mode::Leading, KeptEpoch::Joined) => self.establish(),
            (Mode::Leading, _) => self.post(Part::Proposer, Letter::EpochKept(EpochKept { role, epoch })),
            (Mode::Following(_), KeptEpoch::Accepted(_)) => self.with_stay(Following::on_accepted_kept),
            (Mode::Following(_), KeptEpoch::Current(_)) => self.with_stay(Following::on_current_kept),
            _ => {}
        }
    }

    /// History has been replaced on disk, whichever role asked for it: the tree follows.
    fn install(&mut self) {
        let Some(Came { zxid, tree, .. }) = self.lp.installing.take() else { return };
        self.lp.membership.on_installed(tree.membership());
        self.tell_view();
        self.put_tree(zxid, tree);
        self.lp.core.on_installed(zxid);
        self.tell_hubs(Control::CloseAll); // C9: nobody knows which watches should have fired
        self.note("snapshots installed");
    }

    /// A quorum has our history. Nothing is proposed in it before we are known to be no seed any more.
    fn establish(&mut self) {
        let Some(epoch) = self.lp.quorum_has.filter(|_| !self.lp.facts.seed) else { return };
        self.lp.quorum_has = None;
        let mut out = Vec::new();
        self.lp.core.on_commit(epoch.start(), &mut out);
        self.lp.core.on_epoch(epoch, &mut out);
        self.lp.establishes = Some(epoch);
        self.perform_learner(out);
    }

    /// A new leader has applied all there is: it may propose, and serve.
    fn established(&mut self) {
        let Some(epoch) = self.lp.establishes.take() else { return };
        let role = self.lp.role;
        if self.lp.fence.is_up() {
            self.note("leads of a member whose tree differs");
            return self.leave("its tree is not the one that a quorum has");
        }
        let rolls_over = std::mem::replace(&mut self.lp.serves_all, true);
        if !rolls_over {
            self.serve_everybody(Whose::All);
        }
        self.post(Part::Proposer, Letter::HistoryApplied(HistoryApplied { role, epoch }));
        let vote = Vote { peer_epoch: epoch, zxid: self.lp.core.appended(), leader: self.me };
        self.post(Part::QuorumPeer, Letter::Settled(Settled { role, state: PeerState::Leading, vote }));
        tracing_line(self, &format!("leads {epoch}"));
        self.note(if rolls_over { "epochs rolled over" } else { "elections won" });
        if !self.lp.membership.view().now().members.groups.is_empty() {
            self.note("epochs begun with a quorum of groups");
        }
        self.ambush = true;
    }

    pub(super) fn perform_learner(&mut self, out: Vec<Learned>) {
        for order in out {
            let role = self.lp.role;
            match order {
                Learned::Forward(items) if matches!(self.lp.mode, Mode::Leading) => {
                    self.post(Part::Proposer, Letter::Asked(Asked { role, items }));
                }
                Learned::Forward(items) => self.with_stay(|stay, out| stay.on_requests(items, out)),
                Learned::Reconfigure(batch) => self.reconfigure(&batch),
                Learned::Append(_)
                    if self.room.is_learner_full && self.setup.has(EnsembleFault::AckUnwritten) =>
                {
                    self.persisted(self.lp.core.appended());
                }
                Learned::Append(batch) => {
                    let follows = matches!(self.lp.mode, Mode::Following(_));
                    assert!(
                        !self.room.is_learner_full || !follows,
                        "EN11: {} appends on a full disk",
                        self.me
                    );
                    let committed = self.lp.core.watermark();
                    self.command(role, Command::Append { batch, committed });
                    if self.setup.has(EnsembleFault::AckBeforePersist) {
                        self.persisted(self.lp.core.appended());
                    }
                }
                Learned::Ack(upto) => self.persisted(upto),
                Learned::Apply => {}
            }
        }
    }

    fn persisted(&mut self, upto: Zxid) {
        let role = self.lp.role;
        if matches!(self.lp.mode, Mode::Leading) {
            self.post(Part::Proposer, Letter::OwnAck(OwnAck { role, upto }));
        } else {
            self.with_stay(|stay, out| stay.on_persisted(upto, out));
        }
    }

    fn with_learner(&mut self, run: impl FnOnce(&mut Learner, &mut Vec<Learned>)) {
        let mut out = Vec::new();
        run(&mut self.lp.core, &mut out);
        self.perform_learner(out);
    }

    pub(super) fn commit(&mut self, writer: TreeWriter<'_>) {
        let mut woken = Vec::new();
        writer.commit(|arbiter| woken.push(arbiter));
        for arbiter in woken {
            self.post(Part::Hub(arbiter), Letter::Control(Control::FeedReady));
        }
    }

    /// The Learner's mail.
    pub(super) fn told(&mut self, letter: Letter) {
        match letter {
            Letter::Begin(it) => self.on_begin(it),
            Letter::TreeDiffers(it) => self.on_tree_differs(it),
            Letter::LogAnswer { role, what } => self.on_log_answer(role, &what),
            Letter::DiskSpace { is_full } => self.on_disk_space(is_full),
            Letter::SnapshotCame { role, received } => self.on_snapshot_came(role, received),
            Letter::LeaderLane { role, lane, is_up: true } => {
                if self.is_ours(role)
                    && let Mode::Following(behind) = &mut self.lp.mode
                {
                    behind.connect(lane);
                    self.with_stay(Following::on_connected);
                }
            }
            Letter::LeaderLane { role, lane, .. } => {
                if self.is_ours(role) && matches!(&self.lp.mode, Mode::Following(it) if it.is_on(lane)) {
                    self.leave("the data lane to the leader is closed");
                }
            }
            Letter::FromLeader { lane, packet } => {
                if matches!(&self.lp.mode, Mode::Following(it) if it.is_on(lane)) {
                    self.on_packet_down(packet);
                }
            }
            Letter::Report(it) => {
                self.with_stay(|stay, out| stay.on_touched(it.as_of_ms, it.sessions, out));
            }
            Letter::ConfigurationHeard(from, told) => self.on_configuration_heard(from, told.as_ref()),
            letter => self.told_of_role(letter),
        }
    }

    pub(super) fn is_ours(&mut self, role: u64) -> bool {
        self.is_current(role, self.lp.role)
    }

    /// What is ignored unless it is of this very role.
    fn told_of_role(&mut self, letter: Letter) {
        match letter {
            Letter::Durable { role, upto }
                if self.is_ours(role) && !self.setup.has(EnsembleFault::AckBeforePersist) =>
            {
                self.give_room(upto);
                self.with_learner(|learner, out| learner.on_persisted(upto, out));
                self.go_on();
            }
            Letter::KeepEpoch(it) if self.is_ours(it.role) => self.keep(it.epoch),
            Letter::Establish(it) if self.is_ours(it.role) => {
                self.lp.quorum_has = Some(it.epoch);
                if self.lp.facts.seed {
                    self.keep(KeptEpoch::Joined);
                }
                self.establish();
            }
            Letter::Confirmed(it) if self.is_ours(it.role) => {
                self.with_learner(|learner, out| learner.on_confirmed(it.upto, out));
            }
            Letter::Proposals(it) if self.is_ours(it.role) => {
                self.with_learner(|learner, out| learner.on_proposals(it.items, out));
            }
            Letter::Commit(it) if self.is_ours(it.role) => {
                self.with_learner(|learner, out| learner.on_commit(it.upto, out));
            }
            Letter::TurnedAway(it) if self.is_ours(it.role) => {
                self.with_learner(|learner, out| learner.on_turned_away(it.handshakes, out));
            }
            Letter::Submissions(it) if self.is_ours(it.role) => {
                self.with_learner(|learner, out| learner.on_submissions(it.items, out));
            }
            Letter::Over(it) if self.is_ours(it.role) => self.on_over(it),
            _ => {}
        }
    }

    fn on_log_answer(&mut self, role: u64, what: &Answered) {
        let is_current = self.is_ours(role);
        match what {
            Answered::Kept(facts) => self.on_kept(*facts, is_current),
            Answered::Installed => {
                self.install();
                if is_current {
                    self.with_stay(|stay, _| stay.on_installed());
                    self.go_on();
                }
            }
            Answered::TreeReplaced => {
                self.replace_tree();
                if is_current {
                    self.leave("its tree is made anew from the leader's");
                }
            }
            Answered::Refused(_) if self.lp.fence.is_up() => {
                self.note("snapshots from before the log refused");
                self.lp.installing = None;
                if is_current {
                    self.leave("the log refused what the role needs");
                }
            }
            Answered::Drained(persisted) if is_current => {
                if let Mode::Looking { last, .. } = &mut self.lp.mode {
                    *last = Some(persisted.upto);
                }
            }
            Answered::Refused(_) | Answered::NotKept(_) => self.on_refused(is_current),
            Answered::Drained(_) | Answered::Truncated => {}
        }
    }
}
