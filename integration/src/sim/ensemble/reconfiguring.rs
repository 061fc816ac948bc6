//! Configurations that change while everything else goes wrong: asked for by clients, and gone by as each member's log
//! says.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use std::collections::BTreeSet;

use paddock_actors::membership::{Joint, Told};
use paddock_actors::proposer::Quorum;
use paddock_actors::quorum_peer::belongs;
use paddock_actors::quorum_peer::core::Role;
use paddock_config::Members;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::learner::Mode;
use super::mail::{Letter, Part};
use super::node::{Effect, Node, tracing_line};
use super::setup::{Setup, SimQuorum};
use super::storage::Command;
use super::world::{Event, World};

/// Where a server listens that was to join voters in groups: such a request is refused.
const JOINS_AT: u16 = 2182;

pub(super) fn drawn(seed: u64, setup: &Setup) -> Option<StdRng> {
    setup.reconfigures.then(|| StdRng::seed_from_u64(seed ^ 0x2EC0))
}

/// Not with a mistake, as what it breaks is found without, but for one that shows only between a reconfig and its commit.
pub(super) fn cut_offs(seed: u64, setup: &Setup) -> Option<StdRng> {
    let is_wanted = setup.reconfigures && matches!(setup.fault, None | Some(EnsembleFault::CountOldAlone));
    is_wanted.then(|| StdRng::seed_from_u64(seed ^ 0xC070FF))
}

impl World {
    /// A client asks for another configuration: of at least three voters, for one that loses its disk must not be needed.
    /// Mostly they are such as are members, and who joins observes; in the end all are to be there.
    pub(super) fn reconfigure_once(&mut self) {
        let in_force = self.in_force();
        // Likewise.
        let most_ms = if self.setup.has(EnsembleFault::CountOldAlone) { 1_500 } else { 6_000 };
        let Some(rng) = self.reconfigs.as_mut().filter(|_| !self.quiet) else { return };
        let next_ms = rng.random_range(200..most_ms);
        let Some(in_force) = in_force else { return self.at(next_ms * 1_000, Event::Reconfig) };
        let all = &self.setup.members;
        let there: BTreeSet<ServerId> = all.difference(&self.lost).copied().collect();
        let known: BTreeSet<ServerId> = in_force.servers.keys().copied().collect();
        let (voters, members) = if self.healing {
            (in_force.voters(), there.union(&known).copied().collect())
        } else {
            let from = if known.len() >= 3 && rng.random_bool(0.8) { &known } else { all };
            let many = rng.random_range(3..=from.len());
            let voters: BTreeSet<_> = from.iter().copied().choose_multiple(rng, many).into_iter().collect();
            let members = all.iter().copied().filter(|it| voters.contains(it) || rng.random()).collect();
            (voters, members)
        };
        if self.healing && known == members {
            return;
        }
        let text = self.setup.configuration(&voters, &members).to_string();
        let floor = self.truth.borrow().acked();
        let up = self.people.iter_mut().filter(|it| it.may_ask()).choose(rng);
        if let Some(person) = up {
            if !in_force.groups.is_empty() {
                let joiner = all.iter().choose(rng).expect("there are members");
                let joiner = format!("server.{joiner}=m{joiner}:2888:3888:observer;{JOINS_AT}");
                person.join(floor, &joiner, in_force.version);
            }
            person.reconfigure(floor, &text);
            self.met.count("reconfigs asked for");
        }
        self.at(next_ms * 1_000, Event::Reconfig);
    }
}

impl World {
    /// A leader has just proposed a reconfig: at times it is far from everybody then, and ends before long, so that it is
    /// on few disks or on its own alone, and the others go on without it or finish it.
    pub(super) fn cut_off(&mut self, leader: ServerId) {
        let Some(rng) = self.cut_offs.as_mut().filter(|_| !self.healing) else { return };
        if !rng.random_bool(0.2) {
            return;
        }
        let far_us = rng.random_range(20_000..400_000);
        let ends_us = rng.random_range(1_000..far_us);
        let others = self.setup.members.iter().filter(|other| **other != leader);
        others.for_each(|other| self.network.make_slow(leader, *other, far_us));
        self.met.count("faults: a leader alone with a reconfig");
        self.crash_in(leader, self.members[&leader].life, ends_us);
    }

    /// What a leader goes by, and no other has a later one.
    fn in_force(&self) -> Option<Members> {
        let cores = self.members.values().filter_map(|it| it.node.as_ref()?.lead.core.as_ref());
        let views = cores.map(|core| core.membership().now().members.clone());
        views.max_by_key(|members| members.version)
    }

    /// PL8: whether a ctl lane comes up between these, the lower id first, where both live and reach each other.
    pub(super) fn may_speak(&self, lower: ServerId, greater: ServerId) -> bool {
        let both = self.members[&lower].node.as_ref().zip(self.members[&greater].node.as_ref());
        let Some((lower_node, greater_node)) = both else { return false };
        let ensembles = (lower_node.ensemble(), greater_node.ensemble());
        let are_one = ensembles.0.is_some() && ensembles.0 == ensembles.1;
        let is_guest = are_one && !self.setup.has(EnsembleFault::RefuseGuests);
        let (knows, is_known) = (lower_node.ctl.roster.names(greater), greater_node.ctl.roster.names(lower));
        // The greater dials, or the lower asks one that has not heard of it.
        if is_known { knows || is_guest } else { knows && is_guest }
    }
}

impl Node {
    /// Those to whom there are links.
    pub(super) fn linked(&self) -> Vec<ServerId> {
        let all = self.setup.members.iter().copied();
        all.filter(|it| self.ctl.roster.has_link(*it)).collect()
    }

    /// To which ensemble its hellos say that it belongs.
    pub(super) fn ensemble(&self) -> Option<u128> {
        belongs(&self.lp.facts, self.lp.core.tail().last())
    }

    pub(super) fn is_voter(&self) -> bool {
        self.lp.membership.view().is_voter(self.me)
    }

    /// The Learner: there is a reconfig among these, which go to the log next.
    pub(super) fn reconfigure(&mut self, batch: &[Proposal]) {
        if self.setup.has(EnsembleFault::CountOldAlone) {
            return;
        }
        for txn in batch.iter().filter_map(Proposal::txn) {
            if self.lp.membership.on_logged(txn) {
                self.note("reconfigs logged");
                if self.setup.has(EnsembleFault::ActivateEarly) {
                    self.lp.membership.on_applied(txn.header.zxid);
                }
            }
        }
        self.tell_view();
    }

    pub(super) fn reconfigure_cut(&mut self, to: Zxid) {
        if self.lp.membership.on_truncated(to) {
            self.note("reconfigs cut");
            self.tell_view();
        }
    }

    pub(super) fn on_configured(&mut self) {
        if self.setup.has(EnsembleFault::CountOldAlone) {
            let tree = std::sync::Arc::clone(&self.tree);
            if let Some(now) = tree.read().membership() {
                self.lp.membership.on_heard(self.me, Some(&Told { now, next: None }));
            }
        }
        if self.lp.membership.take_unsaid(self.lp.core.applied()) {
            let committed = self.lp.core.watermark();
            self.command(self.lp.role, Command::SayCommitted(committed));
        }
        if self.lp.membership.on_applied(self.lp.core.applied()) {
            self.note("reconfigs activated");
            tracing_line(self, &format!("goes by {:?}", self.lp.membership.view().now().members.voters()));
            self.tell_view();
        }
    }

    pub(super) fn on_served(&mut self) {
        if self.lp.membership.on_served() {
            self.tell_view();
        }
    }

    pub(super) fn on_configuration_heard(&mut self, from: ServerId, told: Option<&Told>) {
        if self.lp.membership.on_heard(from, told) && !matches!(self.lp.mode, Mode::Leading) {
            self.note("configurations heard of");
            self.tell_view();
            if let Mode::Looking { is_told, .. } = &mut self.lp.mode {
                *is_told = false;
            }
        }
    }

    /// A leader's Proposer knows before its Learner.
    pub(super) fn tell_view(&mut self) {
        let (role, by) = (self.lp.role, self.lp.membership.view());
        let told = self.lp.membership.logged_view().told();
        if let Mode::Following(behind) = &self.lp.mode {
            let (serves, led) = (behind.stay.is_serving(), behind.stay.led());
            self.post(Part::QuorumPeer, Letter::Decide { role, by, told });
            if serves {
                self.settle_behind(led);
            }
        }
    }

    /// The QuorumPeer.
    pub(super) fn on_decide(&mut self, role: u64, by: Joint<SimQuorum>, told: Option<Told>) {
        if !self.is_current(role, self.ctl.role) {
            return;
        }
        let next = by.next().map(|it| Zxid(it.members.version));
        self.link(&by);
        self.ctl.peer.decide_by(by);
        let is_new = self.ctl.telling.on_own(told);
        if self.ctl.peer.role() == Role::Leading {
            self.post(Part::Proposer, Letter::DecidedBy { role, next });
        }
        for peer in self.linked().into_iter().filter(|_| is_new) {
            self.tell_configuration(peer, self.ctl.telling.own().cloned());
        }
    }

    /// What is in force here.
    pub(super) fn tell_configuration(&mut self, peer: ServerId, told: Option<Told>) {
        if let Some(told) = told {
            self.effects.push(Effect::Configure(peer, told));
        }
    }

    /// The QuorumPeer hears what is in force elsewhere.
    pub(super) fn on_configuration(&mut self, from: ServerId, told: Told) {
        if self.ctl.telling.on_heard(from, &told) {
            self.post(Part::Learner, Letter::ConfigurationHeard(from, Some(told)));
        }
    }

    /// The Proposer: these decide from here on.
    pub(super) fn decide(&mut self, by: Joint<SimQuorum>) {
        let by = if self.setup.has(EnsembleFault::ActivateEarly) { by.settled() } else { by };
        let role = self.lead.role;
        match by.next() {
            Some(next) => {
                let mut places = next.members.servers.values().filter_map(|server| server.client.as_ref());
                assert!(
                    places.all(|it| it.port != JOINS_AT),
                    "{} lets a server join voters in groups",
                    self.me
                );
                let had_groups = !by.now().members.groups.is_empty();
                if had_groups == next.members.groups.is_empty() {
                    self.note("reconfigs from groups to a majority or back");
                }
                self.begins_reconfig = true;
                self.note("reconfigs proposed");
            }
            None => {
                self.note("reconfigs committed by their proposer");
                if !by.is_voter(self.me) {
                    self.note("leaders removed by their own reconfig");
                }
            }
        }
        self.lead.by = Some(by.clone());
        self.with_reign(|reign, _| reign.decide_by(by.clone()));
        self.post(Part::QuorumPeer, Letter::Decide { role, told: by.told(), by });
    }

    /// Who decides, as the Learner has said.
    pub(super) fn decides(&self) -> Joint<SimQuorum> {
        self.lead.by.clone().expect("the Learner tells that before the lead begins")
    }

    /// All that is in our log is committed, a reconfig too. Who decides then what is committed.
    pub(super) fn settle_configuration(&mut self) -> Joint<SimQuorum> {
        let by = self.decides();
        let settled = by.settled();
        if by.next().is_some() {
            self.note("reconfigs committed by a successor");
            self.lead.by = Some(settled.clone());
            self.with_reign(|reign, _| reign.decide_by(settled.clone()));
            let role = self.lead.role;
            self.post(Part::QuorumPeer, Letter::Decide { role, told: settled.told(), by: settled.clone() });
        }
        self.setup.commits_by(settled)
    }

    /// As its shell has it: a reconfig waits for the feature level.
    pub(super) fn raise_wanted(&mut self) {
        let refused = self.lead.core.as_mut().map(|core| core.take_refused_reconfigs());
        for refused in refused.into_iter().flatten() {
            self.note("reconfigs refused");
            if refused.code == ErrorCode::BadArguments {
                self.note("reconfigs refused for the groups");
            }
            tracing_line(self, &refused.to_string());
        }
        let wanted = self.lead.core.as_mut().and_then(|core| core.take_wanted_level());
        let Some(wanted) = wanted else { return };
        let before = self.lead.core.as_ref().map_or(0, |core| core.level());
        self.raise_level(&wanted.leaving);
        let after = self.lead.core.as_ref().map_or(0, |core| core.level());
        if let Some(core) = self.lead.core.as_mut().filter(|_| after <= before) {
            core.on_level_refused();
            self.resume();
        }
    }

    pub(super) fn on_decided_by(&mut self, role: u64, next: Option<Zxid>) {
        if self.is_current(role, self.lead.role) {
            self.with_proposer(|core, _, _, out| core.on_decided_by(next, out));
            self.resume();
            self.end_if_finished(false);
        }
    }
}
