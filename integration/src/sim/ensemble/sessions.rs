//! Sessions' signs of life, and the SessionTracker, as its shell has it.

use std::collections::BTreeSet;

use paddock_actors::session::core::SessionTracker;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Home, Internal, SessionChanges, Touched};
use paddock_messages::roles::{Begin, Judge, MemberLane, MemberMet, SilentAt, Whose};

use super::EnsembleFault;
use super::arbiters::Gathered;
use super::mail::{Letter, Part};
use super::node::Node;
use super::setup::PEER_TIMEOUT_MS;

/// A tick, in ms.
pub(super) const TICK_MS: u64 = 2_000;

/// The SessionTracker.
pub(super) struct Judging {
    core: SessionTracker,
    /// Of the sessions that are this member's alone.
    pub(super) local: Option<SessionTracker>,
    judge: Judge,
    members: BTreeSet<ServerId>,
    /// For the leader.
    gathered: Gathered,
}

impl Judging {
    pub(super) fn new(now_ms: u64, arbiters: u16) -> Self {
        let judge = Judge { role: Begin::FIRST, whose: Whose::Nobody };
        let (members, gathered) = (BTreeSet::new(), Gathered::of(arbiters));
        Self { core: tracker(arbiters, now_ms), local: None, judge, members, gathered }
    }

    pub(super) fn role(&self) -> u64 {
        self.judge.role
    }
}

fn tracker(arbiters: u16, now_ms: u64) -> SessionTracker {
    SessionTracker::new(usize::from(arbiters), TICK_MS, now_ms).among_members(PEER_TIMEOUT_MS)
}

impl Node {
    pub(super) fn on_touched(&mut self, mut touched: Touched) {
        self.on_local_touched(&mut touched);
        let role = self.judging.judge.role;
        match self.judging.judge.whose {
            Whose::All => {
                let (mut sessions, mut expired) = (Vec::new(), Vec::new());
                self.judging.core.on_touched(&touched, &mut sessions);
                self.ask_last_word_of(touched.arbiter, role, sessions);
                if touched.arbiter != 0 {
                    return;
                }
                let now_ms = self.judging_ms();
                self.judging.core.on_tick(now_ms, &mut expired);
                if !expired.is_empty() {
                    self.post(Part::Proposer, Letter::Internal(Internal::Expire(expired)));
                }
            }
            Whose::TheLeaders => {
                if let Some(report) = self.judging.gathered.add(touched) {
                    self.post(Part::Learner, Letter::Report(report));
                }
            }
            Whose::Nobody => {}
        }
    }

    pub(super) fn on_session_changes(&mut self, changes: &SessionChanges) {
        if self.judging.judge.whose == Whose::All {
            self.judging.core.on_changes(&changes.0);
        }
        if let Some(local) = &mut self.judging.local {
            local.on_local_changes(&changes.0);
        }
    }

    /// A new leader finds sessions that somebody else may have promised something.
    pub(super) fn on_judge(&mut self, judge: Judge) {
        let (now_ms, arbiters) = (self.now_ms, self.setup.arbiters);
        let local = self.local_tracker(SessionTracker::new(usize::from(arbiters), TICK_MS, now_ms));
        let Judging { core, local: ours, members, judge: last, gathered } = &mut self.judging;
        (*ours, *gathered) = (local, Gathered::of(arbiters));
        *core = tracker(arbiters, now_ms);
        if judge.whose == Whose::Nobody {
            members.clear();
        }
        members.iter().for_each(|member| core.on_member(*member));
        if judge.whose == Whose::All {
            let tree = self.tree.read();
            if self.setup.has(EnsembleFault::ExpireFound) {
                core.on_found(tree.sessions().map(|(session, _)| (session, 1)), 0);
            } else {
                core.on_found(tree.sessions(), 2 * PEER_TIMEOUT_MS);
            }
        }
        *last = judge;
    }

    /// What a learner has met.
    pub(super) fn on_member_met(&mut self, MemberMet { member, as_of_ms, sessions }: MemberMet) {
        if self.judging.judge.whose != Whose::All {
            return;
        }
        let mut silent = Vec::new();
        self.judging.core.on_report(Home::Member(member), as_of_ms, &sessions, &mut silent);
        if silent.is_empty() {
            return;
        }
        if self.setup.has(EnsembleFault::ExpireUnasked) {
            self.post(Part::Proposer, Letter::Internal(Internal::Expire(silent)));
        } else {
            self.post(Part::Proposer, Letter::SilentAt(SilentAt { member, sessions: silent }));
        }
    }

    pub(super) fn on_member_lane(&mut self, MemberLane { member, is_up }: MemberLane) {
        let Judging { core, members, judge, .. } = &mut self.judging;
        if is_up {
            members.insert(member);
        } else {
            members.remove(&member);
        }
        match judge.whose {
            Whose::All if is_up => core.on_member(member),
            Whose::All => core.on_member_gone(member, PEER_TIMEOUT_MS),
            _ => {}
        }
    }
}
