//! Members that never come back, as all else heals: whoever is left must come to an end without them, though it may have
//! been away while they changed the configuration (PL8).

use std::collections::BTreeSet;

use paddock_actors::membership::Joint;
use paddock_actors::proposer::Quorum;
use paddock_messages::ids::ServerId;
use rand::Rng;
use rand::seq::SliceRandom;

use super::setup::SimQuorum;
use super::world::World;

impl World {
    /// As many as can be missed by the newest configuration that anybody knows to be in force, and whatever is to take its
    /// place; one of those who know it stays. Who goes by an older one hears of it from them (MB4, PL8).
    pub(super) fn lose_some(&mut self) {
        let Some(rng) = &mut self.reconfigs else { return };
        let mut all: Vec<ServerId> = self.setup.members.iter().copied().collect();
        all.shuffle(rng);
        if rng.random() || all.iter().any(|id| self.members[id].node.is_none()) {
            return; // what is on its disk may need anybody
        }
        let nodes = || self.members.values().filter_map(|member| member.node.as_ref());
        let views = nodes().flat_map(|node| {
            let leads = node.lead.core.as_ref().map(|core| core.membership().clone());
            [Some(node.lp.membership.view()), leads].into_iter().flatten()
        });
        let mut views: Vec<Joint<SimQuorum>> = views.collect();
        let version = |view: &Joint<SimQuorum>| view.now().members.version;
        let newest = views.iter().map(version).max();
        views.retain(|view| Some(version(view)) == newest);
        let knows = |id: &ServerId| {
            let node = self.members[id].node.as_ref();
            node.is_some_and(|node| Some(version(&node.lp.membership.view())) == newest)
        };
        let mut left: BTreeSet<ServerId> =
            all.iter().copied().filter(|id| self.members[id].is_whole).collect();
        let mut lost = BTreeSet::new();
        for id in all {
            let without: BTreeSet<ServerId> = left.iter().copied().filter(|it| *it != id).collect();
            if views.iter().all(|view| view.holds(|it| without.contains(&it))) && without.iter().any(knows) {
                left = without;
                lost.insert(id);
            }
        }
        for id in &lost {
            self.crash(*id);
            self.met.count("members lost for good");
        }
        self.lost = lost;
    }

    /// Those that are, or come back.
    pub(super) fn there(&self) -> BTreeSet<ServerId> {
        self.setup.members.difference(&self.lost).copied().collect()
    }
}
