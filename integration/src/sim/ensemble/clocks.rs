//! Wall clocks that are set, forward and back, by hours, while the monotone ones go on. What is stamped with them, and
//! the ids of sessions that are begun from them, are all that a member's cores see of them.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use paddock_actors::tree::DataTree;
use paddock_messages::ids::{ServerId, SessionId};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::node::Node;
use super::world::{Event, World};

/// Virtual 2025, in ms since 1970.
const EPOCH_MS: i64 = 1_750_000_000_000;
/// In ms.
const HOUR_MS: i64 = 3_600_000;

/// A quarter of the seeds have such clocks, but for mistakes that have nothing to do with them.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    let wanted = fault.is_none_or(|fault| fault == EnsembleFault::JudgeByWallClock);
    (wanted && seed % 4 == 1).then(|| StdRng::seed_from_u64(seed ^ 0xC10C))
}

/// What a clock says that is so much ahead of a right one.
pub(super) fn wall_ms(now_ms: u64, ahead_ms: i64) -> i64 {
    EPOCH_MS + now_ms as i64 + ahead_ms
}

/// The highest session of this member that its tree knows, as a start looks for it.
pub(super) fn highest_session(tree: &DataTree, me: ServerId) -> Option<SessionId> {
    tree.sessions().map(|(id, _)| id).filter(|id| id.is_of(me)).max()
}

impl Node {
    pub(super) fn wall_ms(&self) -> i64 {
        wall_ms(self.now_ms, self.clock_ahead_ms)
    }

    /// By what sessions are judged: no wall clock.
    pub(super) fn judging_ms(&self) -> u64 {
        let ahead_ms = if self.setup.has(EnsembleFault::JudgeByWallClock) { self.clock_ahead_ms } else { 0 };
        self.now_ms.saturating_add_signed(ahead_ms)
    }
}

impl World {
    /// One member's machine has its clock set.
    pub(super) fn set_a_clock(&mut self) {
        let Some(rng) = self.clocks.as_mut().filter(|_| !self.healing) else { return };
        let any = self.members.keys().copied().choose(rng).expect("there are members");
        let hours = rng.random_range(-12..=12);
        let ahead_ms = hours * HOUR_MS + rng.random_range(0..HOUR_MS);
        let next_ms = rng.random_range(500..6_000);
        let member = self.member(any);
        let before_ms = std::mem::replace(&mut member.clock_ahead_ms, ahead_ms);
        if let Some(node) = &mut member.node {
            node.clock_ahead_ms = ahead_ms;
        }
        self.met.count(if ahead_ms < before_ms { "clocks set back" } else { "clocks set forward" });
        self.at(next_ms * 1_000, Event::Clock);
    }
}
