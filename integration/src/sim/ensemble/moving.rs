//! Leads that an operator moves: to a member that is named, fit or not, or to whoever is the most caught up.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use std::collections::BTreeMap;

use paddock_actors::proposer::lag::Behind;
use paddock_actors::quorum_peer::Progress;
use paddock_messages::ids::ServerId;
use paddock_messages::roles::MoveLeader;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::mail::{Letter, Part};
use super::node::Node;
use super::world::{Event, World};

/// A fifth of the seeds move the lead, but for mistakes that have nothing to do with it.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    (fault.is_none() && seed % 5 == 1).then(|| StdRng::seed_from_u64(seed ^ 0x110e))
}

impl Node {
    /// How the role goes, and what learners lack: nothing, however far behind they are. Then an heir has not everything in
    /// time, or the hand-over takes longer.
    pub(super) fn progress_and_lag(&self) -> (Progress, BTreeMap<ServerId, Behind>) {
        let progress = self.board.progress(self.ctl.role);
        let serving = match &progress {
            Progress::Leading(reign) => reign.serving.clone(),
            _ => Default::default(),
        };
        let behind = serving.into_iter().map(|id| (id, Behind::default())).collect();
        (progress, behind)
    }

    pub(super) fn on_move(&mut self, MoveLeader { to, .. }: MoveLeader) {
        let (progress, behind) = self.progress_and_lag();
        let mut answer = None;
        self.with_peer(|peer, now_ms, out| {
            answer = Some(peer.on_move(to, (&progress, &behind), now_ms, out));
        });
        match answer {
            Some(Ok(heir)) => {
                self.truth.borrow_mut().heir = Some(heir);
                self.note("leads moved");
            }
            _ => self.note("leads not moved"),
        }
    }
}

impl World {
    /// Tells whoever leads to have another lead.
    pub(super) fn move_lead(&mut self) {
        let leading = self.setup.members.iter().copied().find(|it| self.is_leading(*it));
        let Some(rng) = self.moves.as_mut().filter(|_| !self.healing) else { return };
        let any = self.setup.members.iter().copied().choose(rng);
        let (to, next_ms) = (any.filter(|_| rng.random_bool(0.8)), rng.random_range(300..4_000));
        if let Some(id) = leading.filter(|id| self.frozen(*id).is_none()) {
            let life = self.members[&id].life;
            self.met.count("faults: a leader told to have another lead");
            let order = MoveLeader { number: 0, to };
            self.with(id, life, |node| node.post(Part::QuorumPeer, Letter::MoveLeader(order)));
        }
        self.at(next_ms * 1_000, Event::Move);
    }
}
