//! A tree built from what a walk yielded, in whatever order: each znode goes into the slot it had; its
//! links, the counts and the digest are made anew, and must come out as they were.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::data_tree::{CONFIG_SLOT, DataTree, QUOTA_SLOT, ROOT, TreeOptions, ZOOKEEPER_SLOT};
use super::digest::extend_crc;
use super::image::decode;
use super::index::{Entry, Index};
use super::node::{NONE, Slot};
use super::walk::WalkHead;

/// Builds a tree from a walk's head and images.
#[derive(Debug)]
pub struct TreeLoader {
    tree: DataTree,
    /// Our number for each of the snapshot's.
    acls: HashMap<u32, u32, FixedState>,
    /// What the index will hold: it is built when nothing more comes.
    entries: Vec<Entry>,
    expected: WalkHead,
}

/// Why images do not make a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no images.
    #[error("a znode's image is cut short or malformed")]
    Malformed,
    /// A slot is out of range, or used twice.
    #[error("slot {0} is beyond the last one or used twice")]
    Slot(u32),
    /// A znode's ACL is not in the table.
    #[error("the znode in slot {slot} has ACL {acl}, which is not in the table")]
    Acl {
        /// The znode's.
        slot: u32,
        /// Its ACL's number.
        acl: u32,
    },
    /// A znode hangs nowhere, or not all hang below the root.
    #[error("the znode in slot {0} has no parent")]
    Orphan(u32),
    /// Some znodes cannot be reached from the root.
    #[error("{reached} of {count} znodes are below the root")]
    Unreachable {
        /// Those that can.
        reached: u32,
        /// All.
        count: u32,
    },
    /// `/`, `/zookeeper`, its quota or config is not where it must be.
    #[error("the reserved znode {0} is missing")]
    Reserved(&'static str),
    /// The number of znodes differs.
    #[error("{found} znodes where the snapshot was taken with {count}")]
    Count {
        /// There are.
        found: u32,
        /// There were.
        count: u32,
    },
    /// The digest differs.
    #[error("the digest is {found:#x}, and was {digest:#x} when the snapshot was taken")]
    Digest {
        /// It is.
        found: u64,
        /// It was.
        digest: u64,
    },
}

impl TreeLoader {
    /// Begins with sessions and ACLs.
    pub fn new(options: TreeOptions, head: WalkHead) -> Self {
        let mut tree = DataTree::bare(options);
        (tree.last_zxid, tree.feature_level) = (head.zxid, head.feature_level);
        tree.configuration.clone_from(&head.configuration);
        tree.sessions = head.sessions.iter().copied().collect();
        tree.arena.reserve(head.slots);
        let mut acls = HashMap::with_hasher(FixedState::with_seed(options.hash_seed));
        acls.insert(0, 0);
        for (id, acl) in &head.acls {
            acls.insert(*id, tree.acls.acquire(acl));
        }
        Self { tree, acls, entries: Vec::new(), expected: head }
    }

    /// Takes whole images, in any order.
    pub fn add(&mut self, mut images: &[u8]) -> Result<(), LoadError> {
        while !images.is_empty() {
            let image = decode(&mut images).ok_or(LoadError::Malformed)?;
            let (slot, mut node) = (image.slot, image.node);
            let acl = *self.acls.get(&node.acl).ok_or(LoadError::Acl { slot, acl: node.acl })?;
            self.tree.acls.share(acl);
            node.acl = acl;
            let entry = self.tree.index.entry(slot, &node);
            if !self.tree.arena.place(slot, node) {
                return Err(LoadError::Slot(slot));
            }
            self.entries.push(entry);
            self.tree.owners.add(slot, image.owner);
        }
        Ok(())
    }

    /// What is left to do of the index, when all images are there; for [`Self::finish`].
    pub fn index_job(&mut self) -> IndexJob {
        IndexJob { seed: self.tree.options.hash_seed, entries: std::mem::take(&mut self.entries) }
    }

    /// The tree, if it is the one that was walked. `index` gives what [`Self::index_job`] led to: another
    /// thread may do it meanwhile.
    pub fn finish(mut self, index: impl FnOnce() -> IndexDone) -> Result<DataTree, LoadError> {
        let (found, count) = (self.tree.arena.live(), self.expected.count);
        if found != count {
            return Err(LoadError::Count { found, count });
        }
        if self.tree.arena.slots() == 0 || self.tree.arena.get(ROOT).is_vacant() {
            return Err(LoadError::Unreachable { reached: 0, count }); // nothing is below no root
        }
        self.link()?;
        let reached = self.count_and_digest();
        self.tree.index = index().0;
        if reached != count {
            return Err(LoadError::Unreachable { reached, count });
        }
        self.check_reserved()?;
        let mut tree = self.tree;
        for &acl in self.acls.values() {
            tree.acls.release(acl); // held since `new`, so that each number lasted until here
        }
        tree.arena.rebuild_free_list();
        let (found, digest) = (tree.digest(), self.expected.digest);
        if found == digest { Ok(tree) } else { Err(LoadError::Digest { found, digest }) }
    }

    /// Makes each znode a child of its parent. From the last slot to the first, so that the lists begin
    /// with the lowest.
    fn link(&mut self) -> Result<(), LoadError> {
        let arena = &mut self.tree.arena;
        for slot in (0..arena.slots()).rev().filter(|&slot| slot != ROOT) {
            if arena.get(slot).is_vacant() {
                continue;
            }
            let parent = arena.get(slot).parent;
            if parent >= arena.slots() || parent == slot || arena.get(parent).is_vacant() {
                return Err(LoadError::Orphan(slot));
            }
            let above = arena.get_mut(parent);
            let next = std::mem::replace(&mut above.first_child, slot);
            above.children += 1;
            arena.get_mut(slot).next = next;
            if next != NONE {
                arena.get_mut(next).prev = slot;
            }
        }
        Ok(())
    }

    /// Visits every znode below the root, parents first: paths, the digest and the reaper's lists on the
    /// way down, numbers of descendants on the way up. Says how many there are.
    fn count_and_digest(&mut self) -> u32 {
        let mut reached = 0;
        let mut line = vec![Above { slot: ROOT, path_crc: 0, path_len: 0 }];
        self.enter(&line[0], &mut reached);
        let mut next = self.tree.arena.get(ROOT).first_child;
        while let Some(above) = line.last() {
            if next == NONE {
                let done = above.slot;
                next = self.leave(done);
                line.pop();
                continue;
            }
            let name = self.tree.arena.get(next).name_bytes();
            let path_crc = extend_crc(extend_crc(above.path_crc, b"/"), name);
            let path_len = above.path_len + 1 + name.len() as u64;
            let here = Above { slot: next, path_crc, path_len };
            self.enter(&here, &mut reached);
            next = self.tree.arena.get(next).first_child;
            line.push(here);
        }
        reached
    }

    fn enter(&mut self, at: &Above, reached: &mut u32) {
        *reached += 1;
        let tree = &mut self.tree;
        let node = tree.arena.get_mut(at.slot);
        if node.is_counted() {
            node.content_crc = extend_crc(at.path_crc, node.data().unwrap_or_default());
        }
        let node = tree.arena.get(at.slot);
        tree.data_size += at.path_len.max(1) + node.data_len() as u64;
        tree.owners.enlist(at.slot, node);
        tree.digest.add(tree.digest_at(at.slot));
    }

    /// Adds the descendants of `slot` to its parent's, and says which sibling comes next.
    fn leave(&mut self, slot: Slot) -> Slot {
        let arena = &mut self.tree.arena;
        let node = arena.get(slot);
        let (parent, next, below) = (node.parent, node.next, node.descendants + 1);
        if slot == ROOT {
            return NONE;
        }
        arena.get_mut(parent).descendants += below;
        next
    }

    fn check_reserved(&self) -> Result<(), LoadError> {
        use paddock_messages::path::{CONFIG, QUOTA, ZOOKEEPER};
        let reserved = [("/", ROOT), (ZOOKEEPER, ZOOKEEPER_SLOT), (QUOTA, QUOTA_SLOT), (CONFIG, CONFIG_SLOT)];
        for (path, slot) in reserved {
            if self.tree.find(path) != Some(slot) {
                return Err(LoadError::Reserved(path));
            }
        }
        Ok(())
    }
}

/// The index of a tree that is loaded, still to be built.
#[derive(Debug)]
pub struct IndexJob {
    seed: u64,
    entries: Vec<Entry>,
}

/// The index, built.
#[derive(Debug)]
pub struct IndexDone(Index);

impl IndexJob {
    /// Builds it.
    pub fn run(self) -> IndexDone {
        IndexDone(Index::filled(self.seed, &self.entries))
    }
}

/// A znode that is being visited, with what its children's paths begin with.
struct Above {
    slot: Slot,
    path_crc: u32,
    path_len: u64,
}
