//! Members with more than one client arbiter, in some of the seeds, and sessions that move from one to another.
//!
//! No draw of a seed without them is another than before.

use std::collections::BTreeMap;

use paddock_messages::ids::{AttachNumber, ClientRef, ServerId, SessionId};
use paddock_messages::letters::{Silent, Touched};
use paddock_messages::roles::Report;
use rand::Rng;

use super::EnsembleFault;
use super::hub::Hub;
use super::mail::{Control, Letter, Part};
use super::node::Node;
use super::setup::Setup;
use super::world::World;

/// The mistakes that take more than one.
const MISTAKES: [EnsembleFault; 2] = [EnsembleFault::AskAnotherArbiter, EnsembleFault::OneFeedForAll];

impl Setup {
    /// Two to four in every fifth seed.
    pub(super) fn with_arbiters(mut self) -> Self {
        let is_wanted = match self.fault {
            None => (self.salt >> 12).is_multiple_of(5),
            Some(fault) => MISTAKES.contains(&fault),
        };
        self.arbiters = if is_wanted { 2 + (self.salt >> 32) as u16 % 3 } else { 1 };
        self
    }

    /// Which feed an arbiter drains, and by which number the Learner knows it: its own, unless by mistake.
    pub(super) fn feed_of(&self, arbiter: u16) -> u16 {
        if self.has(EnsembleFault::OneFeedForAll) { 0 } else { arbiter }
    }
}

/// What the leader is to hear of what the arbiters have met.
#[derive(Default)]
pub(super) struct Gathered {
    /// Until when each has told all.
    as_of_ms: Vec<u64>,
    met: Vec<SessionId>,
}

impl Gathered {
    pub(super) fn of(arbiters: u16) -> Self {
        Self { as_of_ms: vec![0; usize::from(arbiters)], met: Vec::new() }
    }

    /// What is told with the first one's word: as of when all have told theirs.
    pub(super) fn add(&mut self, touched: Touched) -> Option<Report> {
        self.met.extend(touched.sessions);
        self.as_of_ms[usize::from(touched.arbiter)] = touched.as_of_ms;
        let as_of_ms = self.as_of_ms.iter().copied().min().unwrap_or(0);
        (touched.arbiter == 0).then(|| Report { as_of_ms, sessions: std::mem::take(&mut self.met) })
    }
}

impl Node {
    pub(super) fn hub_of(&self, of: ClientRef) -> &Hub {
        &self.hubs[usize::from(of.arbiter)]
    }

    /// The one that takes a client's connection.
    pub(super) fn any_arbiter(&mut self) -> u16 {
        match self.setup.arbiters {
            1 => 0,
            many => self.rng.random_range(0..many),
        }
    }

    pub(super) fn tell_hubs(&mut self, control: Control) {
        for arbiter in 0..self.setup.arbiters {
            self.post(Part::Hub(arbiter), Letter::Control(control));
        }
    }

    /// Each has the last word on the sessions that speak through it.
    pub(super) fn ask_last_word_of(
        &mut self,
        arbiter: u16,
        role: u64,
        sessions: Vec<(SessionId, AttachNumber)>,
    ) {
        let is_mistaken = self.setup.has(EnsembleFault::AskAnotherArbiter);
        let of = if is_mistaken { (arbiter + 1) % self.setup.arbiters } else { arbiter };
        if !sessions.is_empty() {
            self.post(Part::Hub(of), Letter::Silent(Silent { role, sessions }));
        }
    }

    /// The leader asks for them all.
    pub(super) fn ask_last_words(&mut self, silent: Vec<(SessionId, AttachNumber)>) {
        let mut by_arbiter = BTreeMap::<u16, Vec<_>>::new();
        for (session, attach) in silent {
            if let Some(arbiter) = self.lp.core.arbiter_of(session, attach) {
                by_arbiter.entry(arbiter).or_default().push((session, attach));
            }
        }
        let role = self.lp.role;
        for (arbiter, sessions) in by_arbiter {
            self.ask_last_word_of(arbiter, role, sessions);
        }
    }
}

impl World {
    /// To the same member once more, and another arbiter there, perhaps.
    pub(super) fn goes_round(&mut self, at: usize, serving: &[ServerId]) -> Option<ServerId> {
        let last = self.people[at].last.filter(|last| self.setup.arbiters > 1 && serving.contains(last))?;
        self.rng.random_bool(0.5).then_some(last)
    }
}
