//! The parts of a member on the thread that no data crosses: its QuorumPeer and its Election, as their shells have
//! them.

use paddock_actors::election::actor::{Elected, Heard, Left, LinkChange, Settle};
use paddock_actors::election::{Election, Output as Decided};
use paddock_actors::membership::Joint;
use paddock_actors::peer_link::roster::{Change, Roster};
use paddock_actors::quorum::Quorum;
use paddock_actors::quorum_peer::Progress;
use paddock_actors::quorum_peer::core::{Output, QuorumPeer, Role};
use paddock_actors::quorum_peer::digests::Finding;
use paddock_actors::quorum_peer::telling::Telling;
use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Heartbeat, Memory, Notification, PeerState, Vote};
use paddock_messages::roles::{
    Begin, DropLearner, HandOver, Part as RolePart, RoleEnded, RoundHeld, Settled, Stands, SyncAsked,
    TreeDiffers,
};

use super::EnsembleFault;
use super::mail::{Control, Letter, Part};
use super::node::{Effect, Node, tracing_line};
use super::setup::{PEER_TIMEOUT_MS, Setup, SimQuorum};

/// See the module.
pub(super) struct Ctl {
    pub(super) peer: QuorumPeer<Joint<SimQuorum>>,
    pub(super) election: Election<Joint<SimQuorum>>,
    pub(super) telling: Telling,
    pub(super) roster: Roster,
    /// The generation of the role.
    pub(super) role: u64,
    had_vote: bool,
    /// The Learner's log takes what a leader sends.
    joins: bool,
    vouched: bool,
    next_tick_ms: u64,
}

impl Ctl {
    pub(super) fn new(me: ServerId, setup: &Setup, by: &Joint<SimQuorum>, now_ms: u64) -> Self {
        let mut ctl = Self {
            peer: QuorumPeer::new(me, by.clone(), setup.timing, now_ms),
            election: Election::new(me, by.clone()),
            roster: Roster::new(me, setup.file(me)),
            telling: Telling::default(),
            role: 0,
            had_vote: false,
            joins: true,
            vouched: true,
            next_tick_ms: now_ms,
        };
        ctl.link(by);
        ctl
    }

    /// As the keeper of the links does (PL8). How many are made.
    fn link(&mut self, by: &Joint<SimQuorum>) -> usize {
        let changes = self.roster.go_by(by);
        let made =
            changes.iter().filter_map(|it| if let Change::Make(peer, _) = it { Some(*peer) } else { None });
        made.inspect(|peer| self.peer.on_link(*peer)).count()
    }
}

impl Node {
    pub(super) fn link(&mut self, by: &Joint<SimQuorum>) {
        if !self.setup.has(EnsembleFault::LinkNoMore) {
            let made = self.ctl.link(by);
            *self.met.entry("links made as the configuration changed").or_default() += made as u64;
        }
    }

    /// A server of our ensemble has a ctl lane to us: its link is made now, if nobody names it.
    pub(super) fn meet(&mut self, peer: ServerId) {
        if self.ctl.roster.on_guest(peer).is_some() {
            self.ctl.peer.on_link(peer);
            self.note("links made for one that nobody named");
        }
    }

    pub(super) fn begin_role(&mut self, part: RolePart) {
        self.enter_role(Begin { role: self.ctl.role + 1, part });
    }

    fn enter_role(&mut self, begin: Begin) {
        self.ctl.role = begin.role;
        self.ctl.telling.on_role();
        if begin.part == RolePart::Look && !self.setup.has(EnsembleFault::SayRoleOn) {
            let (for_good, heir) = (begin == Begin::LAST, self.ctl.peer.take_heir());
            self.post(Part::Election, Letter::Left(Left { for_good, heir }));
        }
        self.post(Part::Learner, Letter::Begin(begin));
    }

    fn perform_peer(&mut self, out: Vec<Output>) {
        for order in out {
            let role = self.ctl.role;
            match order {
                Output::Heartbeat(to, beat) => self.effects.push(Effect::Beat(to, beat)),
                Output::Confirmed(upto) => {
                    self.post(Part::Proposer, Letter::RoundHeld(RoundHeld { role, upto }));
                }
                Output::Drop(learner) => {
                    self.note("silent learners dropped");
                    self.post(Part::Proposer, Letter::DropLearner(DropLearner { role, learner }));
                }
                Output::Look(why) => {
                    tracing_line(self, why);
                    self.note("roles ended");
                    self.begin_role(RolePart::Look);
                }
                Output::HandOver(heir) => {
                    self.post(Part::Proposer, Letter::HandOver(HandOver { role, heir }));
                }
                Output::Retire(why) => {
                    tracing_line(self, why);
                    self.enter_role(Begin::LAST);
                }
                Output::Lead => self.begin_role(RolePart::Lead),
                Output::Follow(leader) => {
                    let had_vote = self.ctl.had_vote;
                    self.begin_role(RolePart::Follow { leader, had_vote });
                }
                Output::Differs(finding) => self.on_finding(finding),
            }
        }
    }

    /// EN10.
    fn on_finding(&mut self, finding: Finding) {
        let odd = self.truth.borrow().odd();
        assert!(odd.is_some(), "EN10: {} finds {finding:?}", self.me);
        match finding {
            Finding::Ours(what) => {
                assert_eq!(odd, Some(self.me), "EN10: {} takes itself to be wrong: {what:?}", self.me);
                self.note("members that found their tree to differ");
                let tree = self.ctl.peer.tree();
                if !self.setup.has(EnsembleFault::IgnoreDigest) {
                    self.post(Part::Learner, Letter::TreeDiffers(TreeDiffers { tree }));
                }
            }
            Finding::Theirs(_) => self.note("members that found another's tree to differ"),
            Finding::Undecided(_) => self.note("differences that no quorum decided for a while"),
        }
    }

    pub(super) fn with_peer(
        &mut self,
        run: impl FnOnce(&mut QuorumPeer<Joint<SimQuorum>>, u64, &mut Vec<Output>),
    ) {
        let mut out = Vec::new();
        run(&mut self.ctl.peer, self.now_ms, &mut out);
        self.perform_peer(out);
    }

    fn with_election(&mut self, run: impl FnOnce(&mut Election<Joint<SimQuorum>>, u64, &mut Vec<Decided>)) {
        let mut out = Vec::new();
        run(&mut self.ctl.election, self.now_ms, &mut out);
        for order in out {
            match order {
                Decided::Send { to, notification } => {
                    self.may_say(&notification);
                    self.effects.push(Effect::Notify(to, notification));
                }
                Decided::Decided(mut vote) => {
                    let had_vote = self.ctl.election.had_vote();
                    if let Some(leader) = self.misled.filter(|it| *it != vote.leader) {
                        vote.leader = leader;
                        self.note("elections misled");
                    }
                    self.note("elections decided");
                    self.post(Part::QuorumPeer, Letter::Elected(Elected { vote, had_vote }));
                }
            }
        }
    }

    /// EN13.
    fn may_say(&self, it: &Notification) {
        let tells_of_a_leader = it.state != PeerState::Looking && it.vote.is_some() && !it.names_an_heir();
        let has_role = self.ctl.peer.role() != Role::Looking || self.has_left_waiting();
        assert!(!tells_of_a_leader || has_role, "EN13: {} says {it:?}, and its role has ended", self.me);
    }

    /// Timers of this thread, as far as they are due.
    pub(super) fn ctl_time(&mut self) {
        if self.ctl.election.next_due_ms().is_some_and(|at| at <= self.now_ms) {
            self.with_election(|election, now_ms, out| election.on_time(now_ms, out));
        }
        if self.now_ms >= self.ctl.next_tick_ms {
            self.ctl.next_tick_ms = self.now_ms + PEER_TIMEOUT_MS / 8;
            self.tick_peer();
        }
    }

    fn core_moves(&self) -> bool {
        self.now_ms <= self.board.moved_ms() + PEER_TIMEOUT_MS
    }

    fn tick_peer(&mut self) {
        if !self.core_moves() {
            return self.note("ticks without the core's thread");
        }
        self.ctl.peer.on_accepted(self.board.accepted());
        self.ctl.peer.on_digests(&self.board.digests());
        let mut progress = self.board.progress(self.ctl.role);
        if let Progress::Leading(reign) = &mut progress {
            reign.steps = self.sent;
        }
        self.with_peer(|peer, now_ms, out| peer.on_time(now_ms, &progress, out));
        self.vouch();
    }

    fn vouch(&mut self) {
        let progress = self.board.progress(self.ctl.role);
        let until_ms = self.ctl.peer.promises_until_ms(&progress).unwrap_or(0);
        let vouched = until_ms >= self.now_ms;
        if vouched || self.ctl.vouched {
            self.tell_hubs(Control::Vouch { until_ms });
        }
        self.ctl.vouched = vouched;
    }

    pub(super) fn on_heartbeat(&mut self, from: ServerId, heard: Heartbeat) {
        if self.core_moves() {
            self.ctl.peer.on_accepted(self.board.accepted()); // P11
            self.with_peer(|peer, now_ms, out| peer.on_heartbeat(from, heard, now_ms, out));
        }
    }

    pub(super) fn on_ctl_lane(&mut self, peer: ServerId, is_up: bool) {
        if is_up {
            self.ctl.peer.on_lane(peer);
            self.tell_configuration(peer, self.ctl.telling.own().cloned());
        } else {
            self.ctl.telling.on_lane_down(peer);
            self.post(Part::Learner, Letter::ConfigurationHeard(peer, None));
        }
        self.post(Part::Election, Letter::LinkChange(LinkChange { peer, is_up }));
    }

    pub(super) fn on_elected(&mut self, Elected { vote, had_vote }: Elected) {
        if !self.ctl.peer.takes_role() || !self.ctl.joins {
            return;
        }
        self.ctl.had_vote = had_vote;
        let mut out = Vec::new();
        self.ctl.peer.on_elected(vote.leader, self.now_ms, &mut out);
        let state = match (vote.leader == self.me, self.ctl.peer.is_voter()) {
            (true, _) => PeerState::Leading,
            (_, true) => PeerState::Following,
            _ => PeerState::Observing,
        };
        self.post(Part::Election, Letter::Settle(Settle { state, vote, is_whole: false }));
        self.perform_peer(out);
    }

    /// Q4: the log has finished, all that is committed is applied: the member stands with that.
    pub(super) fn on_stands(&mut self, stands: Stands) {
        if !self.is_current(stands.role, self.ctl.role) || self.ctl.peer.role() != Role::Looking {
            return;
        }
        let own = Vote { peer_epoch: stands.current_epoch, zxid: stands.last, leader: self.me };
        let votes = self.ctl.peer.is_voter() && stands.has_room;
        self.ctl.joins = stands.joins;
        let forgives = self.setup.has(EnsembleFault::CountAmnesiac)
            || self.setup.has(EnsembleFault::CountDamaged) && stands.memory == Memory::Damaged;
        let memory = if forgives { Memory::Whole } else { stands.memory };
        let (own, by) = (votes.then_some(own), self.ctl.peer.quorum().clone());
        self.post(Part::Election, Letter::Look { own, memory, by });
    }

    pub(super) fn on_retire(&mut self) {
        let (progress, behind) = self.progress_and_lag();
        self.with_peer(|peer, now_ms, out| peer.on_retire(now_ms, (&progress, &behind), out));
    }

    pub(super) fn on_role_ended(&mut self, RoleEnded { role, why }: RoleEnded) {
        if self.is_current(role, self.ctl.role) {
            let (progress, behind) = self.progress_and_lag();
            let names = self.ctl.peer.role() == Role::Leading && !self.decides().can_lead(self.me);
            let mut heir = None;
            self.with_peer(|peer, now_ms, out| {
                heir = peer.name_heir((&progress, &behind), now_ms);
                peer.on_ended(why, out);
            });
            if let Some(heir) = heir.filter(|_| names) {
                self.truth.borrow_mut().heir = Some(heir);
                self.note("leaders that had lost their vote and named another");
            }
        }
    }

    pub(super) fn on_settled(&mut self, Settled { role, state, vote }: Settled) {
        if self.is_current(role, self.ctl.role) {
            self.post(Part::Election, Letter::Settle(Settle { state, vote, is_whole: true }));
            self.vouch();
        }
    }

    pub(super) fn on_sync_asked(&mut self, SyncAsked { role, number }: SyncAsked) {
        if self.is_current(role, self.ctl.role) {
            self.ctl.peer.on_accepted(self.board.accepted());
            self.with_peer(|peer, now_ms, out| peer.on_sync(number, now_ms, out));
        }
    }

    pub(super) fn on_look(&mut self, own: Option<Vote>, memory: Memory, by: Joint<SimQuorum>) {
        self.ctl.election.remember(memory);
        self.ctl.election.decide_by(by);
        self.with_election(|election, now_ms, out| election.look(own, now_ms, out));
    }

    pub(super) fn on_settle(&mut self, Settle { state, vote, is_whole }: Settle) {
        if is_whole {
            self.ctl.election.remember(Memory::Whole);
        }
        self.with_election(|election, _, out| election.settle(state, vote, out));
    }

    pub(super) fn on_left(&mut self, Left { for_good, heir }: Left) {
        self.with_election(|election, _, out| election.leave(for_good, heir, out));
    }

    pub(super) fn on_heard(&mut self, Heard { from, notification }: Heard) {
        self.with_election(|election, now_ms, out| election.on_notification(from, notification, now_ms, out));
    }

    pub(super) fn on_link_change(&mut self, LinkChange { peer, is_up }: LinkChange) {
        self.with_election(|election, now_ms, out| election.on_link(peer, is_up, now_ms, out));
    }
}
