//! What lies between members: lanes that delay, lose, and are cut, one way or both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use paddock_actors::membership::Told;
use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Heartbeat, Notification, ToLeader, ToLearner};
use rand::Rng;
use rand::rngs::StdRng;

use super::world::Closed;

/// What goes down a ctl lane.
#[derive(Clone, Debug)]
pub(super) enum Ctl {
    Notification(Notification),
    Heartbeat(Heartbeat),
    Configuration(Told),
}

/// A data lane, from a learner to a leader.
pub(super) struct DataLane {
    pub(super) learner: (ServerId, u64, u64),
    pub(super) leader: (ServerId, u64, u64),
    pub(super) up: VecDeque<ToLeader>,
    pub(super) down: VecDeque<ToLearner>,
    /// When the last packet each way arrives: they stay in order.
    pub(super) up_us: u64,
    pub(super) down_us: u64,
}

#[derive(Default)]
pub(super) struct Network {
    /// Nothing gets from the first to the second.
    blocked: BTreeSet<(ServerId, ServerId)>,
    /// Nothing gets either way between these for a moment, the lower id first.
    pub(super) flapped: BTreeSet<(ServerId, ServerId)>,
    /// Extra delay between two members, in us, either way.
    slow: BTreeMap<(ServerId, ServerId), u64>,
    /// Of a ctl message.
    pub(super) loss: f64,
    pub(super) lanes: BTreeMap<u64, DataLane>,
    /// Each learner's own lane.
    pub(super) of_learner: BTreeMap<ServerId, u64>,
    next: u64,
    /// Ends that were not told that the other is gone, as nothing got through then.
    pub(super) untold: Vec<Closed>,
    /// The ctl lanes that are up, the lower id first, and since when nothing can get through one way.
    pub(super) ctl: BTreeMap<(ServerId, ServerId), Option<u64>>,
    /// When the last ctl message from the first to the second arrives.
    arrivals: BTreeMap<(ServerId, ServerId), u64>,
}

pub(super) fn pair(a: ServerId, b: ServerId) -> (ServerId, ServerId) {
    (a.min(b), a.max(b))
}

impl Network {
    pub(super) fn reaches(&self, from: ServerId, to: ServerId) -> bool {
        !self.blocked.contains(&(from, to)) && !self.flapped.contains(&pair(from, to))
    }

    pub(super) fn is_whole(&self, a: ServerId, b: ServerId) -> bool {
        self.reaches(a, b) && self.reaches(b, a)
    }

    pub(super) fn block(&mut self, from: ServerId, to: ServerId) {
        self.blocked.insert((from, to));
    }

    pub(super) fn make_slow(&mut self, a: ServerId, b: ServerId, us: u64) {
        self.slow.insert(pair(a, b), us);
    }

    pub(super) fn heal(&mut self) {
        self.blocked.clear();
        self.slow.clear();
        self.loss = 0.0;
    }

    pub(super) fn delay_us(&self, a: ServerId, b: ServerId, rng: &mut StdRng) -> u64 {
        let slow = self.slow.get(&pair(a, b)).copied().unwrap_or(0);
        rng.random_range(50..2_000) + slow
    }

    /// A ctl message is to arrive then.
    pub(super) fn on_its_way(&mut self, from: ServerId, to: ServerId, us: u64) {
        let last = self.arrivals.entry((from, to)).or_default();
        *last = us.max(*last);
    }

    /// All that was sent so far has arrived by then.
    pub(super) fn arrived_us(&self, from: ServerId, to: ServerId) -> u64 {
        self.arrivals.get(&(from, to)).copied().unwrap_or(0)
    }

    pub(super) fn open(&mut self, learner: (ServerId, u64, u64), leader: (ServerId, u64, u64)) -> u64 {
        self.next += 1;
        let (up, down) = (VecDeque::new(), VecDeque::new());
        self.lanes.insert(self.next, DataLane { learner, leader, up, down, up_us: 0, down_us: 0 });
        self.of_learner.insert(learner.0, self.next);
        self.next
    }

    /// The lane is no more; gives its ends.
    pub(super) fn close(&mut self, lane: u64) -> Option<(ServerId, ServerId)> {
        let gone = self.lanes.remove(&lane)?;
        if self.of_learner.get(&gone.learner.0) == Some(&lane) {
            self.of_learner.remove(&gone.learner.0);
        }
        Some((gone.learner.0, gone.leader.0))
    }

    pub(super) fn lanes_of(&self, member: ServerId) -> Vec<u64> {
        let of = |lane: &&DataLane| lane.learner.0 == member || lane.leader.0 == member;
        self.lanes.iter().filter(|(_, lane)| of(lane)).map(|(id, _)| *id).collect()
    }
}
