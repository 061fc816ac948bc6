//! Members that are stopped in good order, leaders most of all, and started again a little later.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use paddock_actors::storage::Crash;
use paddock_messages::ids::ServerId;
use paddock_messages::roles::{HandOver, Retire};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::mail::{Control, Letter, Part};
use super::node::{Node, tracing_line};
use super::world::{Event, World};

/// A fifth of the seeds stop members, but for mistakes that have nothing to do with it.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    let wanted = fault.is_none_or(|fault| fault == EnsembleFault::HandOverEarly);
    (wanted && seed % 5 == 3).then(|| StdRng::seed_from_u64(seed ^ 0x5709))
}

impl Node {
    /// As whoever stops the process has it: clients first, then the role.
    pub(super) fn stop(&mut self) {
        self.tell_hubs(Control::Serve(false));
        self.tell_hubs(Control::CloseAll);
        self.post(Part::QuorumPeer, Letter::Retire(Retire));
    }

    /// The Proposer is told.
    pub(super) fn on_hand_over(&mut self, HandOver { role, heir }: HandOver) {
        if !self.is_current(role, self.lead.role) {
            return;
        }
        match &mut self.lead.core {
            Some(core) => core.finish(heir),
            None => self.resign("the process is to end, and nothing is numbered yet"),
        }
        self.end_if_finished(self.setup.has(EnsembleFault::HandOverEarly));
    }

    /// EN14.
    pub(super) fn end_if_finished(&mut self, is_over: bool) {
        let Some(core) = self.lead.core.take_if(|core| is_over || core.has_finished()) else { return };
        self.truth.borrow_mut().handed_over(core.last());
        self.lead.handed_over = self.lead.role;
        tracing_line(self, "hands over");
        self.note("leaders that handed over in good order");
        self.resign("the process is to end, and all that was numbered is committed");
    }
}

impl World {
    /// Tells one to stop.
    pub(super) fn stop_one(&mut self) {
        let leading = self.setup.members.iter().copied().find(|it| self.is_leading(*it));
        let Some(rng) = self.stops.as_mut().filter(|_| !self.healing) else { return };
        let any = self.setup.members.iter().copied().choose(rng).expect("there are members");
        let id = leading.filter(|_| rng.random_bool(0.7)).unwrap_or(any);
        let next_ms = rng.random_range(500..6_000);
        if self.frozen(id).is_none() {
            let life = self.members[&id].life;
            self.met.count("faults: a member told to stop");
            self.with(id, life, Node::stop);
        }
        self.at(next_ms * 1_000, Event::Stop);
    }

    /// A process has ended as it was told to.
    pub(super) fn has_stopped(&mut self, id: ServerId) {
        self.end(id, Crash::Kill, "members stopped in good order");
    }
}
