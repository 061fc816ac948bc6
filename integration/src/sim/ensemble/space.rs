//! Disks that fill, several at once perhaps, and have room again; and what a member's shells do about it.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use paddock_actors::storage::{LogFailure, Space};
use paddock_messages::ids::ServerId;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::learner::Mode;
use super::mail::{Letter, Part};
use super::node::Node;
use super::setup::Setup;
use super::world::{Event, World};

/// How often a full disk is tried again, and a full leader looks whether others can lead.
const AGAIN_MS: u64 = 1_000;
/// After the log has refused something, the member does not stand for so long.
const NO_ROOM_MS: u64 = 5_000;

/// What a member's parts know of the room on its disk.
pub(super) struct Room {
    /// As the log has told it.
    log: Space,
    /// As the Learner knows it.
    pub(super) is_learner_full: bool,
    /// As the Proposer knows it.
    pub(super) is_proposer_full: bool,
    no_room_until_ms: u64,
    /// It does not stand until then.
    stands_back: bool,
    again_ms: u64,
}

impl Room {
    /// Enough, until the first look.
    pub(super) fn new() -> Self {
        Self {
            log: Space::Enough,
            is_learner_full: false,
            is_proposer_full: false,
            no_room_until_ms: 0,
            stands_back: false,
            again_ms: 0,
        }
    }
}

impl Node {
    /// What the log's thread tells of its room, before it tells anything else of what it has just done.
    pub(super) fn look_at_room(&mut self) {
        let space = self.logger.space();
        if std::mem::replace(&mut self.room.log, space) == space {
            return;
        }
        let is_full = space != Space::Enough;
        self.note(if is_full { "disks full" } else { "disks with room again" });
        self.post(Part::Learner, Letter::DiskSpace { is_full });
        self.post(Part::Proposer, Letter::DiskSpace { is_full });
        if is_full {
            self.purge();
            self.retry();
        }
    }

    /// Deletes what is older than the snapshots that are kept, unless the disk is too full for that.
    pub(super) fn purge(&mut self) {
        match self.logger.purge(self.setup.keep) {
            Err(LogFailure::Full { .. }) => self.note("purges that a full disk refused"),
            done => {
                if self.logged(done).is_some_and(|purged| purged.segments > 0) {
                    self.note("logs purged");
                }
            }
        }
    }

    fn retry(&mut self) {
        let done = self.logger.retry_reserve();
        self.logged(done);
        self.look_at_room();
    }

    /// Timers of the log's thread, and of the core's unless that stands still.
    pub(super) fn room_time(&mut self, core_moves: bool) {
        if self.now_ms < self.room.again_ms || self.ended.is_some() {
            return;
        }
        self.room.again_ms = self.now_ms + AGAIN_MS;
        if self.room.log != Space::Enough {
            self.retry();
        }
        if !core_moves {
            return;
        }
        self.hands_over();
        if self.room.stands_back && self.now_ms >= self.room.no_room_until_ms {
            self.room.stands_back = false;
            self.stand_anew();
            self.on_applied();
        }
    }

    fn stand_anew(&mut self) {
        if let Mode::Looking { is_told, .. } = &mut self.lp.mode {
            *is_told = false;
        }
    }

    /// The Learner is told.
    pub(super) fn on_disk_space(&mut self, is_full: bool) {
        if self.setup.has(EnsembleFault::IgnoreFullDisk) {
            return;
        }
        self.room.is_learner_full = is_full;
        match &self.lp.mode {
            Mode::Leading => {}
            Mode::Looking { .. } => self.stand_anew(),
            Mode::Following(_) if is_full && !self.setup.has(EnsembleFault::AckUnwritten) => {
                self.note("learners that left for a full disk");
                self.leave("its disk is full");
            }
            Mode::Following(_) => {}
        }
    }

    /// The Proposer is told.
    pub(super) fn on_proposer_disk_space(&mut self, is_full: bool) {
        if self.setup.has(EnsembleFault::IgnoreFullDisk) {
            return;
        }
        self.room.is_proposer_full = is_full;
        if self.hands_over() {
            return;
        }
        if let Some(core) = &mut self.lead.core {
            core.on_disk_full(is_full);
            if is_full {
                self.note("leaders that refuse writes for a full disk");
            }
            self.resume();
        }
    }

    fn hands_over(&mut self) -> bool {
        let can = self.lead.reign.as_ref().is_some_and(|reign| reign.can_hand_over());
        let hands_over = self.room.is_proposer_full && can;
        if hands_over {
            self.lead.handed_over = self.lead.role;
            if self.lead.core.take().is_some() {
                self.note("leaders that handed over for a full disk");
            }
            self.resign("the disk is full, and others can lead");
        }
        hands_over
    }

    /// The log refuses what the role needs.
    pub(super) fn on_refused(&mut self, is_current: bool) {
        self.note("what a role needs refused by the log");
        if let Some(came) = self.lp.installing.take() {
            self.remove(&came.name);
        }
        if is_current {
            self.lp.keeping.clear();
            self.room.no_room_until_ms = self.now_ms + NO_ROOM_MS;
            self.room.stands_back = true;
            self.leave("the log refused what the role needs");
        }
    }

    /// Whether the member votes, and would follow (L8).
    pub(super) fn joins(&self) -> bool {
        !self.room.is_learner_full && self.now_ms >= self.room.no_room_until_ms
    }
}

/// When disks fill, and which.
pub(super) struct Filling {
    rng: StdRng,
    full: Vec<ServerId>,
}

impl Filling {
    /// In a third of the seeds.
    pub(super) fn drawn(seed: u64, setup: &Setup) -> Option<Self> {
        let rng = StdRng::seed_from_u64(seed ^ 0xD15C);
        (setup.fills_disks() && seed.is_multiple_of(3)).then_some(Self { rng, full: Vec::new() })
    }
}

impl World {
    /// Some disks take nothing more for a while, or what filled them goes.
    pub(super) fn fill_or_free(&mut self) {
        if self.healing {
            return;
        }
        let Some(Filling { rng, full }) = &mut self.filling else { return };
        if full.is_empty() {
            let most = if rng.random_bool(0.6) { 1 } else { self.members.len() };
            let many = rng.random_range(1..=most);
            *full = self.members.keys().copied().choose_multiple(rng, many);
            for id in &*full {
                let disk = &self.members[id].disk;
                let left = if rng.random() { 0 } else { rng.random_range(0..64 << 10) };
                disk.set_capacity(disk.used_bytes() + left);
            }
            self.met.count("faults: disks filled");
        } else {
            full.drain(..).for_each(|id| self.members[&id].disk.set_capacity(u64::MAX));
        }
        let next_ms = rng.random_range(if full.is_empty() { 500..4_000 } else { 2_000..10_000 });
        self.at(next_ms * 1_000, Event::Disks);
    }

    /// Every disk has room from here on.
    pub(super) fn free_all(&mut self) {
        self.members.values().for_each(|member| member.disk.set_capacity(u64::MAX));
    }
}
