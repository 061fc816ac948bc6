//! Links that flap: between two members, or around one, everything is held up and let through again, in turn, for a few
//! seconds; now and then that costs the data lanes on them, too.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use std::collections::BTreeSet;

use paddock_messages::ids::ServerId;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::network::{DataLane, pair};
use super::world::{Event, World};

/// A fifth of the seeds have such links, but for mistakes.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<Flapping> {
    let flapping = || Flapping { rng: StdRng::seed_from_u64(seed ^ 0xF1A9), link: BTreeSet::new(), cuts: 0 };
    (fault.is_none() && seed % 5 == 1).then(flapping)
}

/// What flaps.
pub(super) struct Flapping {
    rng: StdRng,
    /// Between whom, the lower id first.
    link: BTreeSet<(ServerId, ServerId)>,
    /// How often it is still cut.
    cuts: u32,
}

impl Flapping {
    /// Another link, or all of one member's.
    fn begin(&mut self, members: &BTreeSet<ServerId>) {
        let one = members.iter().copied().choose(&mut self.rng).expect("there are members");
        let others = members.iter().copied().filter(|it| *it != one);
        let (all, other) = (self.rng.random_bool(0.3), others.clone().choose(&mut self.rng));
        self.link = others.filter(|it| all || Some(*it) == other).map(|it| pair(one, it)).collect();
        self.cuts = self.rng.random_range(2..15);
    }
}

impl World {
    /// What flaps is cut, or let through again.
    pub(super) fn flap(&mut self) {
        let Some(flapping) = self.flaps.as_mut().filter(|_| !self.healing) else { return };
        let mut next_ms = flapping.rng.random_range(20..1_200);
        let mut reset = Vec::new();
        if !self.network.flapped.is_empty() {
            self.network.flapped.clear();
            let is_on = |it: &DataLane| flapping.link.contains(&pair(it.learner.0, it.leader.0));
            if flapping.rng.random_bool(0.3) {
                let lanes = self.network.lanes.iter().filter(|(_, lane)| is_on(lane));
                reset = lanes.map(|(number, _)| *number).collect();
            }
            if flapping.cuts == 0 {
                next_ms += flapping.rng.random_range(500..6_000);
            }
        } else {
            if flapping.cuts == 0 {
                flapping.begin(&self.setup.members);
                self.met.count("faults: a link flaps");
            }
            flapping.cuts -= 1;
            self.network.flapped.clone_from(&flapping.link);
        }
        reset.into_iter().for_each(|lane| self.close(lane));
        self.at(next_ms * 1_000, Event::Flap);
    }
}
