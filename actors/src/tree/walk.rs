//! A walk over the whole tree as it was at one zxid, while writes go on: how snapshots are taken.
//!
//! Between two txns the walk begins, at zxid Z. The walker then visits the slots in small steps under
//! the read guard. Whoever is about to change a znode that was there at Z and that the walker has not
//! visited hands over its image first, once. Slots never move, and a znode created after Z has a later
//! czxid, so a slot freed and used again is told apart. Links are not written: loading makes them anew.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use paddock_messages::ids::SessionId;
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::Zxid;
use parking_lot::Mutex;

use super::acl_table::ByNumber;
use super::data_tree::DataTree;
use super::image::encode;
use super::node::{Node, Slot};
use super::sessions::Sessions;

/// How many bytes of old images may wait for the walker before the walk is given up: 8 MiB.
pub const QUEUE_LIMIT: usize = 8 << 20;
/// A step ends when it has written this much: about a quarter of a millisecond of copying.
pub const STEP_BYTES: usize = 256 << 10;

/// What a walk's tree was as a whole, apart from its znodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkHead {
    /// The tree's last zxid.
    pub zxid: Zxid,
    /// Its digest.
    pub digest: u64,
    /// Its znodes.
    pub count: u32,
    /// Slots in its arena, free ones included; images name slots below this.
    pub slots: u32,
    /// Sessions, with their timeouts in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// ACLs by the number that images refer to; 0, the open one, is not among them.
    pub acls: Vec<(u32, Arc<[Acl]>)>,
    /// Its feature level.
    pub feature_level: u8,
    /// The configuration that a reconfig has put in force, as text.
    pub configuration: Option<Bytes>,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to visit.
    More,
    /// Every znode has been yielded.
    Done,
    /// Too much changed between two steps; what has been yielded is of no use. Drop it, start again.
    Abandoned,
}

/// A walk under way: the walker's end. Dropping it ends the walk.
#[derive(Debug)]
pub struct Walk {
    digest: u64,
    count: u32,
    feature_level: u8,
    configuration: Option<Bytes>,
    sessions: Sessions,
    acls: ByNumber,
    /// Made of all that by whoever asks first: not under the lock.
    head: OnceLock<WalkHead>,
    shared: Arc<WalkState>,
    next: Slot,
    /// Images handed over, taken at the last step.
    handed: Vec<u8>,
}

/// What the walker and the writer of the tree share.
#[derive(Debug)]
pub(super) struct WalkState {
    zxid: Zxid,
    slots: u32,
    limit: usize,
    abandoned: AtomicBool,
    over: AtomicBool,
    work: Mutex<Work>,
}

#[derive(Debug)]
struct Work {
    /// One bit per slot: visited, or its image handed over.
    seen: Box<[u64]>,
    /// Images handed over, as they go into the file.
    images: Vec<u8>,
}

impl Work {
    /// Whether this is the first time for `slot`.
    fn see(&mut self, slot: Slot) -> bool {
        let bit = 1 << (slot % 64);
        let word = &mut self.seen[(slot / 64) as usize];
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    /// How many slots were seen. Counted at the end, from the bits themselves: rustc 1.95 miscompiles a
    /// counter beside them, raised in `see` by `u32::from(first)`. When a comparison with a constant is
    /// inlined and both branched on and kept as a value, the value may come out as `false`
    /// (rust-lang/rust#158206).
    fn yielded(&self) -> u32 {
        self.seen.iter().map(|word| word.count_ones()).sum()
    }
}

impl WalkState {
    fn covers(&self, slot: Slot, node: &Node) -> bool {
        slot < self.slots && node.czxid <= self.zxid && !node.is_vacant()
    }

    /// `node`, in `slot`, is about to change.
    fn hand_over(&self, slot: Slot, node: &Node, owner: Owner) {
        if !self.covers(slot, node) || self.abandoned.load(Relaxed) {
            return;
        }
        let mut work = self.work.lock();
        if !work.see(slot) {
            return;
        }
        encode(slot, node, owner, &mut work.images);
        if work.images.len() > self.limit {
            work.images = Vec::new();
            self.abandoned.store(true, Relaxed);
        }
    }
}

impl DataTree {
    /// Begins a walk over the tree as it is now; `None` while another goes on. At most `queue_limit`
    /// bytes of old images wait for the walker, [`QUEUE_LIMIT`] but for tests.
    /// Shares the tables of sessions and ACLs, and visits neither (T10).
    pub fn begin_walk(&mut self, queue_limit: usize) -> Option<Walk> {
        self.end_walk_if_over();
        if self.walk.is_some() {
            return None;
        }
        let slots = self.arena.slots();
        let seen = vec![0; slots.div_ceil(64) as usize].into_boxed_slice();
        let shared = Arc::new(WalkState {
            zxid: self.last_zxid,
            slots,
            limit: queue_limit,
            abandoned: AtomicBool::new(false),
            over: AtomicBool::new(false),
            work: Mutex::new(Work { seen, images: Vec::new() }),
        });
        self.acls.freeze();
        self.walk = Some(shared.clone());
        Some(Walk {
            digest: self.digest(),
            count: self.arena.live(),
            feature_level: self.feature_level,
            configuration: self.configuration.clone(),
            sessions: self.sessions.clone(),
            acls: self.acls.by_number(),
            head: OnceLock::new(),
            shared,
            next: 0,
            handed: Vec::new(),
        })
    }

    /// To be called before a stored field of `slot` changes (T8).
    pub(super) fn hand_over(&self, slot: Slot) {
        if let Some(walk) = &self.walk {
            let node = self.at(slot);
            walk.hand_over(slot, node.node, node.owner());
        }
    }

    /// To be called before a txn at `zxid` is applied: lets go of a walk that is over, and gives one
    /// up that the txn would reach behind; that is a replay, during which nobody walks.
    pub(super) fn check_walk(&mut self, zxid: Zxid) {
        self.end_walk_if_over();
        if let Some(walk) = &self.walk
            && zxid <= walk.zxid
        {
            walk.abandoned.store(true, Relaxed);
        }
    }

    fn end_walk_if_over(&mut self) {
        if self.walk.as_ref().is_some_and(|walk| walk.over.load(Relaxed)) {
            self.walk = None;
            self.acls.thaw();
        }
    }
}

impl Walk {
    /// What goes before the znodes. To be asked for without the tree's guard: it visits every session.
    pub fn head(&self) -> &WalkHead {
        self.head.get_or_init(|| WalkHead {
            zxid: self.shared.zxid,
            digest: self.digest,
            count: self.count,
            slots: self.shared.slots,
            sessions: self.sessions.iter().collect(),
            acls: self.acls.in_use().map(|(id, acl)| (id, acl.clone())).collect(),
            feature_level: self.feature_level,
            configuration: self.configuration.clone(),
        })
    }

    /// References that beginning it copied, if nobody has asked for the head since.
    #[cfg(test)]
    pub(super) fn references(&self) -> Option<usize> {
        self.head.get().is_none().then(|| self.sessions.chunks() + self.acls.chunks())
    }

    /// Visits up to `max` more slots of `tree`, and appends to `out` the images of the znodes there. The
    /// guard is to be dropped between two steps, and [`Self::take_handed`] to be called then (T10).
    ///
    /// # Panics
    /// If the walk ends with fewer or more znodes than it began with (T8).
    pub fn step(&mut self, tree: &DataTree, max: u32, out: &mut Vec<u8>) -> Step {
        let walked = tree.walk.as_ref().is_some_and(|walk| Arc::ptr_eq(walk, &self.shared));
        if !walked || self.shared.abandoned.load(Relaxed) {
            return Step::Abandoned;
        }
        let mut work = self.shared.work.lock();
        assert!(self.handed.is_empty(), "T8: what was handed over is written before the next step");
        self.handed = std::mem::take(&mut work.images);
        let end = self.next.saturating_add(max).min(self.shared.slots);
        let full = out.len() + STEP_BYTES;
        while self.next < end && out.len() < full {
            let slot = self.next;
            let node = tree.at(slot);
            if self.shared.covers(slot, node.node) && work.see(slot) {
                encode(slot, node.node, node.owner(), out);
            }
            self.next += 1;
        }
        if self.next < self.shared.slots {
            return Step::More;
        }
        assert_eq!(work.yielded(), self.count, "T8: a walk yields each znode once");
        Step::Done
    }

    /// Appends to `out` the images handed over before the last step: up to the queue's limit, which is
    /// why nobody is to wait for it.
    pub fn take_handed(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.handed);
        self.handed = Vec::new(); // it may have been large
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
    }
}
