//! What goes wrong, drawn by the seed: which kinds, and when.

use paddock_actors::storage::{Crash, MemoryDisk};
use paddock_messages::ids::ServerId;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::mail::Thread;
use super::network::pair;
use super::world::{Event, World};

/// A kind of fault; each run has at least three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A process is killed, or its machine loses power.
    Crash,
    /// The disk crashes at one of its next operations.
    DiskCrash,
    /// All processes at once.
    CrashAll,
    /// The leader.
    CrashLeader,
    /// The ensemble falls into two parts.
    Partition,
    /// Nothing gets from one member to another.
    OneWay,
    /// One member is alone.
    Isolate,
    /// A member stands still.
    Freeze,
    /// One thread of a member stands still.
    Stall,
    /// A data lane is reset.
    Reset,
    /// Ctl messages are lost.
    Loss,
    /// Two members are far from each other.
    SlowLink,
    /// The leader is far from everybody: what it logs is nowhere else for a while, within which it may end.
    FarLeader,
    /// A disk takes long for everything.
    SlowDisk,
    /// A sync fails.
    FailedSync,
    /// Some crash right after an epoch was kept, or established.
    Ambush,
    /// For a while elections name whomever.
    Mislead,
    /// A voter's disk is replaced by an empty one, while all others have theirs.
    Wipe,
}

pub(super) const KINDS: [Kind; 18] = [
    Kind::Crash,
    Kind::DiskCrash,
    Kind::CrashAll,
    Kind::CrashLeader,
    Kind::Partition,
    Kind::OneWay,
    Kind::Isolate,
    Kind::Freeze,
    Kind::Stall,
    Kind::Reset,
    Kind::Loss,
    Kind::SlowLink,
    Kind::FarLeader,
    Kind::SlowDisk,
    Kind::FailedSync,
    Kind::Ambush,
    Kind::Mislead,
    Kind::Wipe,
];

impl World {
    pub(super) fn break_something(&mut self) {
        let kind = self.kinds[self.rng.random_range(0..self.kinds.len())];
        let ids: Vec<ServerId> = self.setup.members.iter().copied().collect();
        let any = *ids.choose(&mut self.rng).expect("there are members");
        self.met.count(match kind {
            Kind::Crash => "faults: a crash",
            Kind::DiskCrash => "faults: a crash at a disk operation",
            Kind::CrashAll => "faults: all crash",
            Kind::CrashLeader => "faults: the leader crashes",
            Kind::Partition => "faults: a partition",
            Kind::OneWay => "faults: one way",
            Kind::Isolate => "faults: a member alone",
            Kind::Freeze => "faults: a member frozen",
            Kind::Stall => "faults: a thread stands still",
            Kind::Reset => "faults: a data lane reset",
            Kind::Loss => "faults: ctl messages lost",
            Kind::SlowLink => "faults: a slow link",
            Kind::FarLeader => "faults: a leader far away",
            Kind::SlowDisk => "faults: a slow disk",
            Kind::FailedSync => "faults: a failed sync",
            Kind::Ambush => "faults: ambushes laid",
            Kind::Mislead => "faults: elections misled for a while",
            Kind::Wipe => "faults: a disk may be wiped",
        });
        match kind {
            Kind::Crash => self.crash(any),
            Kind::DiskCrash => {
                let after = self.rng.random_range(0..40);
                self.member(any).disk.crash_in(after);
            }
            Kind::CrashAll => ids.iter().for_each(|it| self.crash(*it)),
            Kind::CrashLeader => {
                let leading = ids.iter().copied().find(|it| self.is_leading(*it));
                leading.into_iter().for_each(|it| self.crash(it));
            }
            Kind::Partition => {
                let side: Vec<bool> = ids.iter().map(|_| self.rng.random()).collect();
                for (a, left) in ids.iter().zip(&side) {
                    for (b, right) in ids.iter().zip(&side) {
                        if left != right {
                            self.network.block(*a, *b);
                        }
                    }
                }
            }
            Kind::OneWay => {
                let other = *ids.choose(&mut self.rng).expect("there are members");
                self.network.block(any, other);
            }
            Kind::Isolate => {
                for other in ids.iter().filter(|it| **it != any) {
                    self.network.block(any, *other);
                    self.network.block(*other, any);
                }
            }
            Kind::Freeze => {
                let until = self.now_us + self.rng.random_range(100..4_000) * 1_000;
                self.member(any).frozen_us = until;
            }
            Kind::Stall => {
                let thread = [Thread::Ctl, Thread::Core][self.rng.random_range(0..2)];
                let longest = if self.rng.random_bool(0.8) { 400 } else { 2_500 };
                let until = self.now_us + self.rng.random_range(20..longest) * 1_000;
                self.member(any).stalls.insert(thread, until);
            }
            Kind::Reset => {
                let lanes: Vec<u64> = self.network.lanes.keys().copied().collect();
                if let Some(lane) = lanes.choose(&mut self.rng) {
                    self.close(*lane);
                }
            }
            Kind::Loss => self.network.loss = self.rng.random_range(0.05..0.6),
            Kind::SlowLink => {
                let other = *ids.choose(&mut self.rng).expect("there are members");
                let us = self.rng.random_range(10..300) * 1_000;
                let (a, b) = pair(any, other);
                self.network.make_slow(a, b, us);
            }
            Kind::FarLeader => {
                let us = self.rng.random_range(50..350) * 1_000;
                let leaders: Vec<ServerId> = ids.iter().copied().filter(|it| self.is_leading(*it)).collect();
                for leader in leaders {
                    ids.iter().for_each(|other| self.network.make_slow(leader, *other, us));
                    if self.rng.random_bool(0.4) {
                        let (life, after_us) = (self.member(leader).life, self.rng.random_range(0..2 * us));
                        self.crash_in(leader, life, after_us);
                    }
                }
            }
            Kind::SlowDisk => self.member(any).disk_slow_us = self.rng.random_range(10..400) * 1_000,
            Kind::FailedSync => self.member(any).disk.fail_syncs(1),
            Kind::Ambush => self.ambushes = self.rng.random_range(1..6),
            Kind::Mislead => self.mislead(),
            Kind::Wipe => self.wipe(any),
        }
    }

    /// Only where a quorum of the others remembers all: more than that no ensemble can lose.
    pub(super) fn may_lose_its_disk(&self, id: ServerId) -> bool {
        let mut others = self.members.iter().filter(|(other, _)| {
            **other != id && (self.setup.reconfigures || self.setup.voters.contains(other))
        });
        others.all(|(_, member)| member.is_whole) && self.members[&id].is_whole
    }

    /// Its disk is another, empty one.
    fn wipe(&mut self, id: ServerId) {
        if self.may_lose_its_disk(id) {
            self.crash(id);
            let disk = MemoryDisk::new(self.rng.random());
            let member = self.member(id);
            (member.disk, member.is_whole, member.is_wiped) = (disk, false, true);
            self.met.count("disks wiped");
        }
    }

    /// One or two voters are elected for a while, whatever they have.
    fn mislead(&mut self) {
        let voters: Vec<ServerId> = self.setup.voters.iter().copied().collect();
        let many = self.rng.random_range(1..=2);
        self.misled = voters.choose_multiple(&mut self.rng, many).copied().collect();
    }

    /// Some of the members crash within a few ms, where an ambush was laid.
    pub(super) fn spring(&mut self) {
        if self.ambushes == 0 || self.healing || self.rng.random_bool(0.5) {
            return;
        }
        self.ambushes -= 1;
        self.met.count("ambushes");
        if self.rng.random_bool(0.4) {
            self.mislead();
        }
        let odds = self.rng.random_range(0.2..1.0);
        for id in self.setup.members.clone() {
            if self.rng.random_bool(odds) {
                let (life, us) = (self.member(id).life, self.rng.random_range(0..30_000));
                self.crash_in(id, life, us);
            }
        }
    }

    /// A process ends without a word; its peers' sockets are reset where that gets through.
    pub(super) fn crash(&mut self, id: ServerId) {
        let power = self.rng.random_bool(0.5);
        let (how, what) =
            if power { (Crash::PowerFailure, "power failures") } else { (Crash::Kill, "kills") };
        self.note_crash(id);
        self.end(id, how, what);
    }

    /// A process ends.
    pub(super) fn end(&mut self, id: ServerId, how: Crash, what: &'static str) {
        let member = self.member(id);
        let Some(node) = member.node.take() else { return };
        let seen = node.met.clone();
        drop(node);
        member.life += 1;
        member.disk = member.disk.restart(how);
        member.disk_busy = false;
        member.frozen_us = 0;
        member.stalls.clear();
        seen.iter().for_each(|(what, many)| self.met.add(what, *many));
        self.met.count(what);
        self.close_all(id);
        self.process_ended(id);
        let soon = self.healing || self.rng.random_bool(0.5);
        let after = self.rng.random_range(10..if soon { 400 } else { 6_000 });
        self.restart_in(id, after);
    }

    pub(super) fn frozen(&self, id: ServerId) -> Option<u64> {
        self.members[&id].frozen_us.checked_sub(self.now_us).filter(|left| *left > 0)
    }

    /// How long what this event is for stands still.
    pub(super) fn held_up(&self, event: &Event) -> Option<u64> {
        let (id, thread) = match event {
            Event::Tick(id, _) | Event::Disk(id, _) | Event::Ctl(_, id, ..) | Event::Read(id, ..) => {
                (*id, None)
            }
            Event::Apply(id, _) => (*id, Some(Thread::Core)),
            Event::Mail(id, _, part) => (*id, Some(part.thread())),
            Event::Closed(closed) => (closed.to.0, None),
            Event::Up(lane) => (self.network.lanes.get(lane)?.leader.0, None),
            Event::Down(lane) => (self.network.lanes.get(lane)?.learner.0, None),
            _ => return None,
        };
        let until = thread.and_then(|it| self.members[&id].stalls.get(&it).copied());
        let stalled = until.and_then(|until| until.checked_sub(self.now_us)).filter(|left| *left > 0);
        let silent = if matches!(event, Event::Disk(..)) { self.silent(id) } else { None };
        self.frozen(id).max(stalled).max(silent)
    }
}
