//! Disks that answer nothing, or late, for some seconds, a leader's most of all; and what its Proposer's shell does about it.
//!
//! What is drawn comes from a sequence of its own: the seeds without it run as if there were none.

use std::time::Duration;

use paddock_actors::proposer::{Ill, OwnDisk, Sight};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::node::{Node, tracing_line};
use super::world::{Event, Member, World};

/// `syncLimit`, in seconds.
const LIMIT_S: u64 = 2;
/// How often a leader looks at its own disk, in ms.
const LOOK_MS: u64 = 1_000;
/// EN17: it has given the lead up by so many looks, and not before so many ms.
const MOST_LOOKS: u32 = LIMIT_S as u32 + 4;
const LEAST_MS: u64 = LIMIT_S * LOOK_MS;
/// So long after a disk is well again it may be blamed for what it was: a look, and what waits for it.
const LATEST_US: u64 = 3_000_000;
/// A disk that was silent is looked at again as often, in us.
const AGAIN_US: u64 = 100_000;
/// What a job takes on one that answers late, in us: far more than others take, and less than a look or more than one.
const LATE_US: [u64; 2] = [700_000, 1_100_000];

/// A quarter of the seeds have such disks, but for mistakes that have nothing to do with them.
pub(super) fn drawn(seed: u64, fault: Option<EnsembleFault>) -> Option<StdRng> {
    let is_ours = matches!(fault, Some(EnsembleFault::LeadOnSilentDisk | EnsembleFault::LeadOnSlowDisk));
    let wanted = is_ours || fault.is_none() && (seed % 6 == 2 || seed % 12 == 7);
    wanted.then(|| StdRng::seed_from_u64(seed ^ 0x511E))
}

/// What a leader knows of its own disk, and, apart from that, what there is to know.
pub(super) struct Watched {
    core: OwnDisk,
    next_ms: u64,
    /// What was durable at the last look, and since when; and at how many looks others could have led meanwhile.
    durable: Zxid,
    since_ms: u64,
    looks: u32,
    /// What was committed at the last look; at how many looks others could have led and it lacked that; since when it lacks
    /// something.
    committed: Zxid,
    late_looks: u32,
    syncs: u64,
    lacks_since_ms: u64,
}

impl Watched {
    fn new(now_ms: u64, durable: Zxid) -> Self {
        let core = OwnDisk::new(Duration::from_secs(LIMIT_S));
        let (committed, lacks_since_ms) = (Zxid::ZERO, now_ms);
        let next_ms = now_ms + LOOK_MS;
        Self {
            core,
            next_ms,
            durable,
            since_ms: now_ms,
            looks: 0,
            committed,
            late_looks: 0,
            syncs: 0,
            lacks_since_ms,
        }
    }
}

impl Node {
    /// A timer of the Proposer's.
    pub(super) fn own_disk_time(&mut self) {
        let Some(core) = &self.lead.core else { return };
        let sight = core.own_disk();
        let Sight { committed, waits, syncs, .. } = sight;
        let (now_ms, durable) = (self.now_ms, self.logger.persisted().upto);
        let can = self.lead.reign.as_ref().is_some_and(|reign| reign.can_hand_over());
        let it = self.lead.own_disk.get_or_insert_with(|| Watched::new(now_ms, durable));
        if now_ms < it.next_ms {
            return;
        }
        it.next_ms = now_ms + LOOK_MS;
        if it.durable != durable {
            (it.durable, it.since_ms) = (durable, now_ms);
        }
        let lacks = |wanted: Zxid| wanted.counter() > 0 && durable < wanted;
        it.looks = if can && lacks(committed) && it.since_ms < now_ms { it.looks + 1 } else { 0 };
        let syncs_before = std::mem::replace(&mut it.syncs, syncs);
        let holds_up = waits && lacks(committed) && syncs <= syncs_before + 1;
        it.late_looks = if can && (lacks(it.committed) || holds_up) { it.late_looks + 1 } else { 0 };
        it.committed = committed;
        if !lacks(committed) {
            it.lacks_since_ms = now_ms;
        }
        assert!(
            it.looks <= MOST_LOOKS && it.late_looks <= MOST_LOOKS,
            "EN17: {} leads, and its disk is at {durable:?} since {} ms, and lacks something since {} ms",
            self.me,
            it.since_ms,
            it.lacks_since_ms
        );
        let Some(ill) = it.core.on_tick(sight).filter(|_| can) else { return };
        let (ignores, since_ms, what, why) = match ill {
            Ill::Silent => (
                EnsembleFault::LeadOnSilentDisk,
                it.since_ms,
                "leaders that handed over for a silent disk",
                "the disk has answered no sync for syncLimit, and others can lead",
            ),
            Ill::Slow => (
                EnsembleFault::LeadOnSlowDisk,
                it.lacks_since_ms,
                "leaders that handed over for a slow disk",
                "the disk does not keep up, and others can lead",
            ),
        };
        if self.setup.has(ignores) {
            return;
        }
        let ill_ms = now_ms - since_ms;
        assert!(ill_ms >= LEAST_MS, "EN17: the disk of {} has been {ill:?} for {ill_ms} ms alone", self.me);
        self.blames_disk = true;
        self.lead.core = None;
        self.lead.handed_over = self.lead.role;
        tracing_line(self, "hands over for its disk's sake");
        self.note(what);
        self.resign(why);
    }
}

impl Member {
    /// What each job of its disk takes longer than it might.
    pub(super) fn slow_us(&self, now_us: u64) -> u64 {
        let late_us = if now_us < self.disk_late_until_us { self.disk_late_us } else { 0 };
        self.disk_slow_us.max(late_us)
    }
}

impl World {
    /// EN17: what a member knows of its disk is not all there is to know.
    pub(super) fn look_at_disk(&mut self, id: ServerId) {
        let (now_us, is_silent) = (self.now_us, self.silent(id).is_some());
        let member = self.member(id);
        if member.slow_us(now_us) > 0 || is_silent {
            member.disk_ill_us = now_us;
        }
        let blames = member.node.as_mut().is_some_and(|node| std::mem::take(&mut node.blames_disk));
        let well_us = now_us - member.disk_ill_us;
        assert!(
            !blames || well_us <= LATEST_US,
            "EN17: the disk of {id} is blamed, and well for {well_us} us"
        );
    }

    /// One's disk answers nothing, or late, for a while.
    pub(super) fn silence_a_disk(&mut self) {
        let leading = self.setup.members.iter().copied().find(|it| self.is_leading(*it));
        let Some(rng) = self.silent_disks.as_mut().filter(|_| !self.healing) else { return };
        let any = self.setup.members.iter().copied().choose(rng).expect("there are members");
        let id = leading.filter(|_| rng.random_bool(0.7)).unwrap_or(any);
        let late_us = LATE_US.into_iter().choose(rng).filter(|_| rng.random_bool(0.5));
        let most_ms = if late_us.is_some() { 24_000 } else { 14_000 };
        let (lasts_ms, next_ms) = (rng.random_range(500..most_ms), rng.random_range(2_000..10_000));
        let until_us = self.now_us + lasts_ms * 1_000;
        let member = self.member(id);
        if let Some(late_us) = late_us {
            (member.disk_late_us, member.disk_late_until_us) = (late_us, until_us);
            if leading == Some(id) {
                // It is to lead for long enough.
                self.calm_until_us = until_us;
                self.mend();
            }
        } else {
            member.disk_silent_us = until_us;
        }
        self.met.count(if late_us.is_some() { "faults: a late disk" } else { "faults: a silent disk" });
        self.at(next_ms * 1_000, Event::SilentDisk);
    }

    /// For how long what a disk is asked waits before it is looked at again.
    pub(super) fn silent(&self, id: ServerId) -> Option<u64> {
        let left = self.members[&id].disk_silent_us.checked_sub(self.now_us).filter(|left| *left > 0);
        left.map(|left| left.min(AGAIN_US))
    }
}
