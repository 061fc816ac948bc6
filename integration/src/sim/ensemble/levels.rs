//! Members of two builds, one of which does not read the newest feature level, and leaders that are asked to raise it.
//!
//! A process is of one build from its start to its end: members are stopped now and then, and started as the other. What is
//! drawn comes from a sequence of its own: the seeds without it run as if there were none.

use std::collections::BTreeSet;

use paddock_actors::proposer::leadership::levels::InTheWay;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Internal;
use paddock_messages::level::KNOWN;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::node::{Node, tracing_line};
use super::world::{Event, World};

/// What the build before reads.
const OLD: u8 = KNOWN - 1;

/// A quarter of the seeds, but for mistakes that have nothing to do with it.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    let wanted = fault.is_none_or(|fault| fault == EnsembleFault::RaiseUnasked);
    (wanted && seed % 4 == 3).then(|| StdRng::seed_from_u64(seed ^ 0x1E7E1))
}

impl Node {
    /// As its shell has it, which is asked by an operator.
    pub(super) fn raise_level(&mut self, leaving: &BTreeSet<ServerId>) {
        let (Some(core), Some(reign)) = (&self.lead.core, &self.lead.reign) else { return };
        let last = core.last();
        if core.level() >= KNOWN {
            return self.note("levels asked for that there are");
        }
        if self.reads < KNOWN {
            return self.note("levels not raised: the leader is of the build before");
        }
        let in_the_way = reign.in_the_way(KNOWN, core.readers(leaving));
        if !in_the_way.is_empty() && !self.setup.has(EnsembleFault::RaiseUnasked) {
            let is_old = in_the_way.iter().any(|it: &InTheWay| it.reads.is_some());
            return self.note(if is_old {
                "levels not raised: a member is of the build before"
            } else {
                "levels not raised: a member is away"
            });
        }
        self.on_internal(Internal::RaiseLevel(KNOWN));
        if self.lead.core.as_ref().is_some_and(|core| core.last() > last) {
            tracing_line(self, "raises the feature level");
            self.note("levels raised");
            self.ambush = true;
        } else {
            self.note("levels not raised: nothing is numbered");
        }
    }

    /// FL2 and FL3, after every step.
    pub(super) fn check_level(&self) {
        let tree = self.tree.read().feature_level();
        let told = self.level.replace(tree);
        assert!(tree >= told, "FL2: the level of {} falls from {told} to {tree}", self.me);
        if self.reads < KNOWN {
            let has = tree.max(self.lp.core.logged_level());
            assert!(
                has <= self.reads,
                "FL3: {} has logged of level {has}, and reads {}",
                self.me,
                self.reads
            );
        }
    }
}

impl World {
    /// What the next process of a member reads.
    pub(super) fn draw_build(&mut self, id: ServerId) -> u8 {
        let is_deaf = self.setup.is_deaf(id);
        match &mut self.builds {
            Some(rng) if !self.healing => {
                let any = if rng.random_bool(0.3) || is_deaf { OLD } else { KNOWN };
                self.member(id).next_build.take().unwrap_or(any)
            }
            _ => KNOWN,
        }
    }

    /// Its data is of a level that its build does not read: the next one does.
    pub(super) fn refuses_newer_data(&mut self, id: ServerId) {
        self.met.count("starts on data of a level that the build does not read");
        self.member(id).next_build = Some(KNOWN);
        self.restart_in(id, 200);
    }

    /// The leader is asked for the level; a member is stopped, for its build to be replaced.
    pub(super) fn ask_for_level(&mut self) {
        let leading = self.setup.members.iter().copied().find(|it| self.is_leading(*it));
        let Some(rng) = self.builds.as_mut().filter(|_| !self.quiet) else { return };
        let any = self.setup.members.iter().copied().choose(rng).expect("there are members");
        let (asks, replaces, next_ms) =
            (rng.random_bool(0.4), rng.random_bool(0.3), rng.random_range(200..4_000));
        if let Some(leader) = leading.filter(|it| asks && self.frozen(*it).is_none()) {
            let (life, before) = (self.members[&leader].life, self.level_of(leader));
            self.with(leader, life, |node| node.raise_level(&BTreeSet::new()));
            if self.level_of(leader) > before && !self.healing {
                self.go_back_to_the_old(leader);
            }
        }
        if replaces && !self.healing && self.frozen(any).is_none() {
            let life = self.members[&any].life;
            self.with(any, life, Node::stop);
        }
        self.at(next_ms * 1_000, Event::Level);
    }

    /// What is numbered there.
    fn level_of(&self, leader: ServerId) -> Option<u8> {
        self.members[&leader].node.as_ref()?.lead.core.as_ref().map(|core| core.level())
    }

    /// Before another has what `leader` has just raised, it may end, and start as of the build before.
    fn go_back_to_the_old(&mut self, leader: ServerId) {
        let others = self.setup.members.iter().copied().filter(|it| *it != leader);
        let drawn = self.builds.as_mut().and_then(|rng| others.choose(rng).filter(|_| rng.random_bool(0.3)));
        let Some(id) = drawn else { return };
        self.member(id).next_build = Some(OLD);
        self.crash(id);
    }

    /// Nobody is of the build before any more.
    pub(super) fn upgrade_all(&mut self) {
        for id in self.setup.members.clone() {
            if self.members[&id].node.as_ref().is_some_and(|node| node.reads < KNOWN) {
                self.crash(id);
            }
        }
    }
}
