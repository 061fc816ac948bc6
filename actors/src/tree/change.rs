//! The few ways in which stored fields change; everything derived from them is kept right here.

use paddock_messages::path::{self, ZOOKEEPER};
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::Zxid;

use super::data_tree::{DataTree, ROOT};
use super::digest::content_crc;
use super::node::{NONE, Node, Slot};
use super::owners::kind_of;

/// A znode to be.
pub(super) struct NewNode<'a> {
    pub(super) path: &'a str,
    pub(super) data: Option<&'a [u8]>,
    pub(super) acl: &'a [Acl],
    pub(super) owner: Owner,
    pub(super) zxid: Zxid,
    pub(super) time: i64,
}

impl DataTree {
    /// Every change of a stored field of an existing znode goes through here.
    pub(super) fn alter(&mut self, slot: Slot, change: impl FnOnce(&mut Node)) {
        self.before_change(slot);
        change(self.arena.get_mut(slot));
        self.after_change(slot);
    }

    fn before_change(&mut self, slot: Slot) {
        self.hand_over(slot);
        self.leave_digest(slot);
        let node = self.arena.get(slot);
        self.data_size -= node.data_len() as u64;
        self.owners.withdraw(slot, node);
    }

    fn after_change(&mut self, slot: Slot) {
        let node = self.arena.get(slot);
        self.data_size += node.data_len() as u64;
        self.owners.enlist(slot, node);
    }

    /// The znode's share leaves the sum, as it is before it changes; [`Self::settle_digest`] adds what it
    /// will have become.
    fn leave_digest(&mut self, slot: Slot) {
        if !self.digest.is_open(slot) {
            self.make_room_in_digest();
            let share = self.digest_at(slot);
            self.digest.subtract(share);
            self.digest.open(slot);
        }
    }

    fn make_room_in_digest(&mut self) {
        if self.digest.is_full() {
            self.settle_digest();
        }
    }

    /// Adds the shares of all znodes that changed.
    pub(super) fn settle_digest(&mut self) {
        while let Some(slot) = self.digest.take_stale() {
            let crc = content_crc(&self.path_of(slot), self.arena.get(slot).data());
            self.arena.get_mut(slot).content_crc = crc; // derived: no walk hands it over
        }
        let sum = self.digest();
        self.digest.settle(sum);
    }

    /// Puts a new znode below `parent` ([`NONE`] for the root), which knows of it from its links and
    /// counts, not yet from its stat.
    pub(super) fn add(&mut self, parent: Slot, new: &NewNode<'_>) -> Slot {
        let counted = is_counted(new.path);
        let mut node = Node::new(path::name(new.path), new.data, kind_of(new.owner), counted);
        node.content_crc = if counted { content_crc(new.path, new.data) } else { 0 };
        (node.czxid, node.mzxid, node.pzxid) = (new.zxid, new.zxid, new.zxid);
        (node.ctime, node.mtime) = (new.time, new.time);
        node.acl = self.acls.acquire(new.acl);
        let slot = self.place(parent, node, new.owner);
        self.data_size += new.path.len() as u64;
        slot
    }

    /// Puts a node with all its stored fields below `parent`.
    pub(super) fn place(&mut self, parent: Slot, mut node: Node, owner: Owner) -> Slot {
        node.parent = parent;
        let slot = self.arena.insert(node);
        self.index.insert(&self.arena, slot);
        self.owners.add(slot, owner);
        if parent != NONE {
            self.link(parent, slot);
        }
        self.after_change(slot);
        self.make_room_in_digest();
        self.digest.open(slot);
        slot
    }

    /// Takes a childless znode out; `path` is its own.
    pub(super) fn remove_leaf(&mut self, slot: Slot, path: &str) -> Node {
        self.before_change(slot);
        let owner = self.at(slot).owner();
        self.index.remove(&self.arena, slot);
        self.unlink(slot);
        self.owners.remove(slot, owner);
        self.data_size -= path.len() as u64;
        self.digest.forget(slot);
        if self.recent.slot == slot {
            self.recent.slot = NONE;
        }
        let node = self.arena.remove(slot);
        self.acls.release(node.acl);
        node
    }

    /// Makes `slot` the first child of `parent`.
    fn link(&mut self, parent: Slot, slot: Slot) {
        self.owners.withdraw(parent, self.arena.get(parent));
        let above = self.arena.get_mut(parent);
        let next = std::mem::replace(&mut above.first_child, slot);
        above.children += 1;
        self.owners.enlist(parent, self.arena.get(parent));
        if next != NONE {
            self.arena.get_mut(next).prev = slot;
        }
        self.arena.get_mut(slot).next = next;
        self.count_ancestors(parent, |count| count + 1);
    }

    fn unlink(&mut self, slot: Slot) {
        let &Node { parent, next, prev, .. } = self.arena.get(slot);
        self.owners.withdraw(parent, self.arena.get(parent));
        let above = self.arena.get_mut(parent);
        above.children -= 1;
        if prev == NONE {
            above.first_child = next;
        }
        self.owners.enlist(parent, self.arena.get(parent));
        if prev != NONE {
            self.arena.get_mut(prev).next = next;
        }
        if next != NONE {
            self.arena.get_mut(next).prev = prev;
        }
        self.count_ancestors(parent, |count| count - 1);
    }

    fn count_ancestors(&mut self, mut slot: Slot, count: impl Fn(u32) -> u32) {
        while slot != NONE {
            let node = self.arena.get_mut(slot);
            node.descendants = count(node.descendants);
            slot = node.parent;
        }
    }
}

/// Whether the digest covers the znode at `path`.
fn is_counted(path: &str) -> bool {
    !path.strip_prefix(ZOOKEEPER).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether `slot` is one of the four znodes that always exist.
pub(super) fn is_reserved(slot: Slot) -> bool {
    (ROOT..=super::data_tree::CONFIG_SLOT).contains(&slot)
}
