//! The end of all trouble: from here on everything must come right (EN5).

use std::sync::Arc;

use paddock_messages::ids::{ServerId, SessionId};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::EnsembleFault;
use super::learner::Mode;
use super::node::Node;
use super::world::World;

/// How long that may take, in us.
const HEALED_US: u64 = 60_000_000;

impl World {
    pub(super) fn mend(&mut self) {
        self.network.heal();
        self.misled.clear();
        self.members.values_mut().for_each(|member| member.disk_slow_us = 0);
    }

    /// EN5: nothing goes wrong any more, and all must be well.
    pub(super) fn heal(&mut self) {
        (self.healing, self.ambushes) = (true, 0);
        self.mend();
        self.network.flapped.clear();
        self.reset_half_open();
        self.free_all();
        for id in self.setup.members.clone() {
            let member = self.member(id);
            member.disk.crash_in(u64::MAX);
            member.disk.fail_syncs(0);
            (member.frozen_us, member.disk_silent_us, member.disk_late_until_us) = (0, 0, 0);
            member.stalls.clear();
        }
        self.lose_some();
        self.upgrade_all();
        self.people.iter_mut().for_each(|person| person.silent_until_ms = 0);
        // EN7: this client never comes back.
        let setup = Arc::clone(&self.setup);
        let dead = self.people[0].die(&setup);
        let (began, mut goals) = (self.now_us, Vec::new());
        while !self.is_well(&goals, dead) {
            assert!(
                self.now_us < began + HEALED_US,
                "EN5: clients are to have done {goals:?}, {dead:?} has {}ended: {}",
                if dead.is_none_or(|it| self.is_gone(it)) { "" } else { "not " },
                self.what_is_not_well()
            );
            self.step();
            if goals.is_empty() && self.now_us > began + 3_000_000 {
                goals = self.people.iter().map(|person| person.done() + 3).collect();
            }
        }
        self.met.add("ms until all was well", (self.now_us - began) / 1_000);
        let is_wanted = self.setup.fault.is_none_or(|fault| fault == EnsembleFault::IgnoreDigest);
        let is_compared = self.setup.last_counter >= 256; // shorter epochs may have no txn whose digest is told
        let is_full = self.lost.is_empty(); // else who is odd may leave no quorum that agrees
        if is_wanted && self.rng.random_bool(0.8) && is_compared && is_full {
            self.be_odd();
        }
        self.be_quiet();
    }

    /// EN10: one member's tree becomes another, by no fault of its log.
    fn be_odd(&mut self) {
        let members: Vec<ServerId> = self.setup.members.iter().copied().collect();
        let odd = *members.choose(&mut self.rng).expect("there are members");
        let life = self.members[&odd].life;
        self.truth.borrow_mut().corrupt(odd);
        self.with(odd, life, Node::spoil_tree);
        self.met.count("trees spoilt");
        let began = self.now_us;
        let is_over = |world: &Self| {
            let all = |it: &Node| !it.lp.is_odd && it.is_serving();
            world.all_there(|node| all(node))
        };
        while !is_over(self) {
            assert!(self.now_us < began + HEALED_US, "EN10: {odd} differs: {}", self.what_is_not_well());
            self.step();
        }
        self.met.add("ms until a tree that was spoilt was replaced", (self.now_us - began) / 1_000);
    }

    /// EN5: once nobody asks anything, all members come to the same, and nothing waits.
    fn be_quiet(&mut self) {
        self.quiet = true;
        let until = self.now_us + 5_000_000;
        while let Some(what) = self.what_waits() {
            assert!(self.now_us < until, "EN5: {what}\n{}", self.what_is_not_well());
            self.step();
        }
        let level = self.truth.borrow().level;
        for (id, node) in self.members.iter().filter_map(|(id, it)| Some((id, it.node.as_ref()?))) {
            assert_eq!(node.tree.read().feature_level(), level, "EN18: {id} has come to another level");
        }
    }

    fn what_waits(&self) -> Option<String> {
        let last = self.truth.borrow().last();
        self.there().iter().find_map(|id| {
            let node = self.members[id].node.as_ref().expect("all are well");
            let (applied, waits) = (node.lp.core.applied(), node.lp.core.waiting());
            let is_done = applied == last && waits == 0;
            (!is_done).then(|| format!("{id} has applied {applied:?} of {last:?}, {waits} wait"))
        })
    }

    pub(super) fn is_well(&self, goals: &[u64], dead: Option<SessionId>) -> bool {
        let served = !goals.is_empty() && self.people.iter().zip(goals).all(|(it, goal)| it.done() >= *goal);
        let gone = dead.is_none_or(|session| self.is_gone(session));
        served && gone && self.all_there(Node::is_serving)
    }

    fn all_there(&self, is_so: impl Fn(&Node) -> bool) -> bool {
        self.there().iter().all(|id| self.members[id].node.as_ref().is_some_and(|node| is_so(node)))
    }

    pub(super) fn what_is_not_well(&self) -> String {
        let members = self.members.iter().map(|(id, member)| {
            let Some(node) = &member.node else { return format!("{id} is down") };
            let (reign, role, peer) = (&node.lead.reign, node.ctl.role, node.ctl.peer.role());
            match &node.lp.mode {
                Mode::Looking { .. } => format!("{id} looks ({role} {peer:?}): {:?}", node.ctl.election),
                Mode::Leading => format!("{id} leads ({role} {peer:?}): {reign:?}"),
                Mode::Following(it) => format!("{id} follows {} ({role} {peer:?}): {:?}", it.leader, it.stay),
            }
        });
        let served = self.people.iter().map(|person| format!("{} at {:?}", person.done(), person.at()));
        members.chain(served).collect::<Vec<_>>().join("\n")
    }
}
