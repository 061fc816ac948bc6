//! Packets on their way, and lanes that come and go.

use paddock_messages::ids::ServerId;
use rand::Rng;

use super::clients::Person;
use super::network::{Ctl, pair};
use super::node::{Node, Role};
use super::setup::PEER_TIMEOUT_MS;
use super::world::{Event, World};

impl World {
    pub(super) fn send_ctl(&mut self, from: ServerId, to: ServerId, message: Ctl) {
        let is_up = self.network.ctl.contains_key(&pair(from, to));
        if !is_up || !self.network.reaches(from, to) || self.rng.random_bool(self.network.loss) {
            return;
        }
        let (life, us) = (self.members[&to].life, self.network.delay_us(from, to, &mut self.rng));
        self.at(us, Event::Ctl(from, to, life, message));
    }

    /// The member serves nobody any more, and hears no leader and no learner.
    pub(super) fn role_ended(&mut self, id: ServerId) {
        for lane in self.network.lanes_of(id) {
            self.close(lane);
        }
        self.people.iter_mut().filter(|it| it.at() == Some(id)).for_each(Person::disconnected);
    }

    /// Its sockets are closed: the others learn of it where that gets through.
    pub(super) fn process_ended(&mut self, id: ServerId) {
        for other in self.setup.members.clone() {
            if self.network.ctl.remove(&pair(id, other)).is_none() {
                continue;
            }
            let after = if self.network.is_whole(id, other) { 100 } else { PEER_TIMEOUT_MS * 1_000 };
            let life = self.members[&other].life;
            self.at(after, Event::LaneDown(other, life, id));
        }
    }

    /// A data lane is closed; each end is told where that gets through.
    pub(super) fn close(&mut self, lane: u64) {
        let Some(gone) = self.network.lanes.get(&lane) else { return };
        let ends = [(gone.learner, gone.leader), (gone.leader, gone.learner)];
        self.network.close(lane);
        for (from, to) in ends {
            let (learner, (to, life, generation)) = (ends[0].0.0, to);
            if self.network.reaches(from.0, to) {
                let us = self.network.delay_us(from.0, to, &mut self.rng);
                self.at(us, Event::Closed { to, life, generation, learner });
            }
        }
    }

    /// A learner without a lane to its leader opens one, if there is somebody who leads.
    pub(super) fn dial(&mut self, id: ServerId, life: u64) {
        let Some(node) = &self.members[&id].node else { return };
        let Role::Following(leader, _) = node.role else { return };
        let here = (id, life, node.generation);
        if self.network.of_learner.contains_key(&id) || !self.network.is_whole(id, leader) {
            return;
        }
        let there = &self.members[&leader];
        let leads = there.node.as_ref().filter(|it| matches!(it.role, Role::Leading(..)));
        let Some(node) = leads.filter(|_| there.frozen_us <= self.now_us) else { return };
        let there = (leader, there.life, node.generation);
        let lane = self.network.open(here, there);
        let us = self.network.delay_us(id, leader, &mut self.rng);
        self.at(us, Event::Connected(lane));
    }

    pub(super) fn connected(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let ((learner, life, _), (leader, led, generation)) = (it.learner, it.leader);
        let is_current = self.members[&leader].node.as_ref().is_some_and(|it| it.generation == generation);
        if !is_current {
            return self.close(lane);
        }
        self.with(leader, led, |node| node.on_learner(learner));
        self.with(learner, life, Node::on_leader);
    }

    pub(super) fn deliver_up(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get_mut(&lane) else { return };
        let ((from, ..), (to, life, generation)) = (it.learner, it.leader);
        if !self.network.reaches(from, to) {
            return self.at(20_000, Event::Up(lane));
        }
        let packet = self.network.lanes.get_mut(&lane).and_then(|it| it.up.pop_front());
        let packet = packet.expect("one event each");
        self.with(to, life, |node| {
            if node.generation == generation {
                node.on_packet_up(from, packet);
            }
        });
    }

    pub(super) fn deliver_down(&mut self, lane: u64) {
        let Some(it) = self.network.lanes.get(&lane) else { return };
        let ((to, life, generation), (from, ..)) = (it.learner, it.leader);
        if !self.network.reaches(from, to) {
            return self.at(20_000, Event::Down(lane));
        }
        let node = self.members[&to].node.as_ref();
        let busy = node.is_some_and(|node| matches!(&node.role, Role::Following(_, it) if !it.may_read()));
        if busy {
            return self.at(1_000, Event::Down(lane));
        }
        let packet = self.network.lanes.get_mut(&lane).and_then(|it| it.down.pop_front());
        let packet = packet.expect("one event each");
        self.with(to, life, |node| {
            if node.generation == generation {
                node.on_packet_down(packet);
            }
        });
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
                let now = self.now_us;
                let change = match since {
                    None if whole => Some(true),
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
                    self.with(one, life, |node| node.on_lane(other, is_up));
                }
            }
        }
    }
}
