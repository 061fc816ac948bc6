//! Members that find no leader for long and serve who only reads, in some of the seeds: as their shells have it, and the
//! clients that are content with that (EN16).
//!
//! No draw of a seed without them is another than before.

use paddock_messages::client::request::Write;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Submission;
use paddock_messages::roles::{Judge, Whose};
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::EnsembleFault;
use super::clients::Person;
use super::hub::Hub;
use super::learner::Mode;
use super::mail::{Control, Letter, Part};
use super::node::Node;
use super::setup::Setup;
use super::world::World;
use crate::sim::client::Client;

/// The mistakes that are about them.
pub(super) const MISTAKES: [EnsembleFault; 3] =
    [EnsembleFault::ServeWithoutQuorum, EnsembleFault::KeepReaders, EnsembleFault::ReadUncommitted];

/// A search for a leader lasts so long before they are served: the default, with a tick of 2 s.
const AFTER_MS: u64 = 2_000;
/// How many clients are content with that.
const READERS: usize = 4;

impl Setup {
    /// In half of the seeds with sessions that are a member's alone: without those nobody is served so.
    pub(super) fn with_readers(mut self) -> Self {
        let is_wanted = self.fault.map_or((self.salt >> 28).is_multiple_of(2), |it| MISTAKES.contains(&it));
        self.reads_only = self.settings.local_sessions && is_wanted;
        self
    }

    /// Those that are content to read, where there are any.
    pub(super) fn readers(&self, rng: &mut StdRng) -> Vec<Person> {
        let many = if self.reads_only { READERS } else { 0 };
        (0..many).map(|_| Person::reader(rng.random_range(4_000..9_000), self)).collect()
    }
}

/// Of one search.
#[derive(Default)]
pub(super) struct Reading {
    due_ms: Option<u64>,
    is_due: bool,
    is_served: bool,
}

impl Reading {
    /// Of a search that begins now.
    pub(super) fn begun(setup: &Setup, now_ms: u64) -> Self {
        Self { due_ms: setup.reads_only.then_some(now_ms + AFTER_MS), ..Self::default() }
    }

    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }
}

impl Node {
    /// The search has lasted long enough.
    pub(super) fn reading_time(&mut self) {
        if self.lp.reading.due_ms.take_if(|at| *at <= self.now_ms).is_some() {
            self.lp.reading.is_due = true;
            self.serve_reads();
        }
    }

    /// Once, of what is whole, and applied as far as it is known to be committed.
    pub(super) fn serve_reads(&mut self) {
        let facts = &self.lp.facts;
        let is_whole = facts.ensemble.is_some() && !facts.must_resync && !self.lp.fence.is_up();
        let is_told = matches!(self.lp.mode, Mode::Looking { is_told: true, .. });
        if !is_whole || !is_told || !self.lp.reading.is_due || self.lp.reading.is_served {
            return;
        }
        self.lp.reading.is_served = true;
        self.note("members that served reads alone");
        let all: Zxid = self.lp.core.appended();
        if self.setup.has(EnsembleFault::ReadUncommitted) && all > self.lp.core.watermark() {
            let mut out = Vec::new();
            self.lp.core.on_commit(all, &mut out);
            self.perform_learner(out);
        }
        self.lp.core.on_alone();
        let role = self.lp.role;
        self.post(Part::Sessions, Letter::Judge(Judge { role, whose: Whose::Nobody }));
        self.tell_hubs(Control::Begin(role));
        self.tell_hubs(Control::ServeReads);
    }
}

/// EN16: that nothing is among these but what begins, finds or ends sessions.
pub(super) fn only_reads(items: &[Submission]) -> bool {
    use Submission::{Attach, Open, Read, Revalidate};
    let ends = |item: &Submission| matches!(item, Submission::Write { write: Write::CloseSession, .. });
    items
        .iter()
        .all(|it| matches!(it, Open { .. } | Attach { .. } | Read { .. } | Revalidate { .. }) || ends(it))
}

impl Person {
    /// One that is content with a member without a leader.
    fn reader(timeout_ms: u64, setup: &Setup) -> Self {
        let mut reader = Self::new(timeout_ms, setup);
        reader.client.may_read = true;
        reader
    }

    /// EN16: of its connection, which is not over.
    pub(super) fn look_at_service(&self, hub: &Hub) {
        let Client { is_up: true, reads_only, .. } = self.client else { return };
        assert!(!hub.reads_only || reads_only, "EN16: {:?} is served without a leader", self.session());
        assert!(
            !hub.is_open || !reads_only,
            "EN16: {:?} was to read only until there is a leader",
            self.session()
        );
    }
}

impl World {
    /// Who is content to read goes where only that is to be had, mostly.
    pub(super) fn reads_at(&mut self, at: usize) -> Option<ServerId> {
        if !self.people[at].client.may_read {
            return None;
        }
        if self.people[at].session().is_none() && !self.healing {
            // Another process of it: it has seen nothing yet, and so goes to any.
            self.people[at] = Person::reader(self.people[at].timeout_ms(), &self.setup);
        }
        let members = self.readable(self.people[at].client.last_zxid);
        members.choose(&mut self.rng).copied().filter(|_| self.rng.random_bool(0.8))
    }

    /// It leaves a member with a leader for one without.
    pub(super) fn leaves_to_read(&mut self, at: usize) -> bool {
        let Client { may_read: true, reads_only: false, is_up: true, last_zxid, .. } = self.people[at].client
        else {
            return false;
        };
        !self.readable(last_zxid).is_empty() && self.rng.random_bool(0.2)
    }

    /// The members that serve who only reads, and have what it has seen.
    fn readable(&self, seen: Zxid) -> Vec<ServerId> {
        let may_read =
            |node: &Node| node.hubs.iter().all(|hub| hub.reads_only) && node.tree.read().last_zxid() >= seen;
        let members = self.members.iter().filter(|(_, it)| it.frozen_us <= self.now_us);
        members.filter(|(_, it)| it.node.as_deref().is_some_and(may_read)).map(|(id, _)| *id).collect()
    }
}
