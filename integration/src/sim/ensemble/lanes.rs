//! Packets on their way, and lanes that come and go.

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{ToLeader, ToLearner};
use rand::Rng;

use super::clients::Person;
use super::mail::{Letter, Part};
use super::network::{Ctl, pair};
use super::setup::PEER_TIMEOUT_MS;
use super::world::{Closed, Event, World};

impl World {
    pub(super) fn send_ctl(&mut self, from: ServerId, to: ServerId, message: Ctl) {
        let is_up = self.network.ctl.contains_key(&pair(from, to));
        if !is_up || !self.network.reaches(from, to) || self.rng.random_bool(self.network.loss) {
            return;
        }
        let (life, us) = (self.members[&to].life, self.network.delay_us(from, to, &mut self.rng));
        self.network.on_its_way(from, to, self.now_us + us);
        self.at(us, Event::Ctl(from, to, life, message));
    }

    /// Nothing comes down a lane that has been given up and is down, nor behind the end of its process.
    pub(super) fn deliver_ctl(&mut self, from: ServerId, (to, life): (ServerId, u64), message: Ctl) {
        if self.members[&from].node.is_some() && !self.network.ctl.contains_key(&pair(from, to)) {
            return;
        }
        let letter = match message {
            Ctl::Notification(heard) => Letter::Notification(from, heard),
            Ctl::Heartbeat(heard) => Letter::Heartbeat(from, heard),
            Ctl::Configuration(told) => Letter::Configuration(from, told),
        };
        self.with(to, life, |node| node.post(Part::QuorumPeer, letter));
    }

    pub(super) fn send_up(&mut self, lane: u64, packet: ToLeader) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let us = self.now_us + self.network.delay_us(it.learner.0, it.leader.0, &mut self.rng);
        let Some(it) = self.network.lanes.get_mut(&lane) else { return };
        it.up.push_back(packet);
        it.up_us = it.up_us.max(us);
        let after = it.up_us - self.now_us;
        self.at(after, Event::Up(lane));
    }

    pub(super) fn send_down(&mut self, lane: u64, packet: ToLearner) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let us = self.now_us + self.network.delay_us(it.leader.0, it.learner.0, &mut self.rng);
        let Some(it) = self.network.lanes.get_mut(&lane) else { return };
        it.down.push_back(packet);
        it.down_us = it.down_us.max(us);
        let after = it.down_us - self.now_us;
        self.at(after, Event::Down(lane));
    }

    /// The connections of its clients are gone.
    pub(super) fn close_all(&mut self, id: ServerId) {
        self.people.iter_mut().filter(|it| it.at() == Some(id)).for_each(Person::disconnected);
    }

    /// A learner follows in no role up to this one.
    pub(super) fn shut(&mut self, id: ServerId, upto: u64) {
        if let Some(node) = &mut self.member(id).node
            && node.dials.is_some_and(|(_, role)| role <= upto)
        {
            node.dials = None;
        }
        for lane in self.network.lanes_of(id) {
            let (learner, _, role) = self.network.lanes[&lane].learner;
            if learner == id && role <= upto {
                self.close(lane);
            }
        }
    }

    /// Whether a member leads, and in which role: its learners' lanes of others are closed.
    pub(super) fn serve(&mut self, id: ServerId, role: Option<u64>) {
        if let Some(node) = &mut self.member(id).node {
            node.serves = role;
        }
        for lane in self.network.lanes_of(id) {
            let (leader, _, its) = self.network.lanes[&lane].leader;
            if leader == id && Some(its) != role {
                self.close(lane);
            }
        }
    }

    /// Its sockets are closed: the others learn of it where that gets through.
    pub(super) fn process_ended(&mut self, id: ServerId) {
        self.network.lanes_of(id).into_iter().for_each(|lane| self.close(lane));
        for other in self.setup.members.clone() {
            if self.network.ctl.remove(&pair(id, other)).is_none() {
                continue;
            }
            let after = if self.network.is_whole(id, other) { 100 } else { PEER_TIMEOUT_MS * 1_000 };
            let after = after.max(self.network.arrived_us(id, other).saturating_sub(self.now_us) + 1);
            let life = self.members[&other].life;
            self.at(after, Event::LaneDown(other, life, id));
        }
    }

    /// A data lane is closed; each end is told where that gets through, the other half is open.
    pub(super) fn close(&mut self, lane: u64) {
        let Some(gone) = self.network.lanes.get(&lane) else { return };
        let (learner, ends) = (gone.learner.0, [(gone.learner, gone.leader), (gone.leader, gone.learner)]);
        self.network.close(lane);
        for (from, to) in ends {
            let closed = Closed { lane, to, learner };
            if self.network.reaches(from.0, to.0) {
                let us = self.network.delay_us(from.0, to.0, &mut self.rng);
                self.at(us, Event::Closed(closed));
            } else {
                self.network.untold.push(closed);
            }
        }
    }

    /// Whatever is sent down a connection whose other end is gone is answered by a reset, once it gets through.
    pub(super) fn reset_half_open(&mut self) {
        for closed in std::mem::take(&mut self.network.untold) {
            self.at(100_000, Event::Closed(closed));
        }
    }

    pub(super) fn closed(&mut self, closed: &Closed) {
        let (lane, learner, (to, life, role)) = (closed.lane, closed.learner, closed.to);
        self.with(to, life, |node| {
            if learner == node.me {
                node.post(Part::Learner, Letter::LeaderLane { role, lane, is_up: false });
            } else {
                node.post(Part::Proposer, Letter::LearnerLane { role, learner, lane, up: None });
            }
        });
    }

    /// A learner without a lane to its leader opens one, if there is somebody who leads.
    pub(super) fn dial(&mut self, id: ServerId, life: u64) {
        let Some((leader, role)) = self.members[&id].node.as_ref().and_then(|node| node.dials) else {
            return;
        };
        if self.network.of_learner.contains_key(&id) || !self.network.is_whole(id, leader) {
            return;
        }
        let there = &self.members[&leader];
        let is_linked = self.members[&id].node.as_ref().is_some_and(|node| node.ctl.roster.has_link(leader));
        let welcomes = there.node.as_ref().filter(|node| is_linked && node.ctl.roster.names(id));
        let serves = welcomes.and_then(|node| node.serves);
        let Some(serves) = serves.filter(|_| there.frozen_us <= self.now_us) else { return };
        let there = (leader, there.life, serves);
        let lane = self.network.open((id, life, role), there);
        let us = self.network.delay_us(id, leader, &mut self.rng);
        self.at(us, Event::Connected(lane));
    }

    pub(super) fn connected(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let ((learner, life, role), (leader, led, serves)) = (it.learner, it.leader);
        let up = Some(self.members[&learner].node.as_ref().map_or(0, |node| node.reads));
        self.with(leader, led, |node| {
            node.post(Part::Proposer, Letter::LearnerLane { role: serves, learner, lane, up });
        });
        self.with(learner, life, |node| {
            node.post(Part::Learner, Letter::LeaderLane { role, lane, is_up: true });
        });
    }

    pub(super) fn deliver_up(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get_mut(&lane) else { return };
        let ((learner, ..), (to, life, _)) = (it.learner, it.leader);
        if !self.network.reaches(learner, to) {
            return self.at(20_000, Event::Up(lane));
        }
        let packet = self.network.lanes.get_mut(&lane).and_then(|it| it.up.pop_front());
        let packet = packet.expect("one event each");
        self.with(to, life, |node| {
            node.post(Part::Proposer, Letter::FromLearner { learner, lane, packet });
        });
    }

    pub(super) fn deliver_down(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let ((to, life, _), (from, ..)) = (it.learner, it.leader);
        if !self.network.reaches(from, to) {
            return self.at(20_000, Event::Down(lane));
        }
        let packet = self.network.lanes.get_mut(&lane).and_then(|it| it.down.pop_front());
        let packet = packet.expect("one event each");
        self.with(to, life, |node| node.post(Part::Learner, Letter::FromLeader { lane, packet }));
    }

    /// Ctl lanes come up where both processes live and reach each other, and go down where nothing has got
    /// through for a timeout.
    pub(super) fn look_at_lanes(&mut self) {
        let ids: Vec<ServerId> = self.setup.members.iter().copied().collect();
        for (at, a) in ids.iter().enumerate() {
            for b in &ids[at + 1..] {
                let both = self.members[a].node.is_some() && self.members[b].node.is_some();
                let whole = both && self.network.is_whole(*a, *b);
                let since = self.network.ctl.get(&(*a, *b)).copied();
                let may_come = whole && since.is_none() && self.may_speak(*a, *b);
                let now = self.now_us;
                let change = match since {
                    None if may_come => Some(true),
                    Some(Some(cut)) if !whole && now > cut + PEER_TIMEOUT_MS * 1_000 => Some(false),
                    Some(None) if !whole => {
                        self.network.ctl.insert((*a, *b), Some(now));
                        None
                    }
                    Some(Some(_)) if whole => {
                        self.network.ctl.insert((*a, *b), None);
                        None
                    }
                    _ => None,
                };
                let Some(is_up) = change else { continue };
                if is_up {
                    self.network.ctl.insert((*a, *b), None);
                } else {
                    self.network.ctl.remove(&(*a, *b));
                }
                for (one, other) in [(*a, *b), (*b, *a)] {
                    let life = self.members[&one].life;
                    self.with(one, life, |node| {
                        node.meet(other);
                        node.post(Part::QuorumPeer, Letter::CtlLane(other, is_up));
                    });
                }
            }
        }
    }
}
