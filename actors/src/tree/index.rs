//! Finds a child by its parent and name: a hash table of slots, in parts that grow alone.
//!
//! One table for the whole tree would stop the world for as long as it takes to rehash a million
//! entries; a part rehashes a thousandth of them.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::arena::Arena;
use super::node::{Node, Slot};

const PARTS: usize = 1024;

/// Slots by parent and name.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[HashTable<Slot>]>,
    hasher: FixedState,
}

/// A slot, and the hash of its parent and name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    hash: u64,
    slot: Slot,
}

impl Index {
    /// `seed` keeps clients from choosing names that collide; nothing else depends on it.
    pub(super) fn new(seed: u64) -> Self {
        let parts = (0..PARTS).map(|_| HashTable::new()).collect();
        Self { parts, hasher: FixedState::with_seed(seed) }
    }

    /// With all of these at once: each part takes its memory once, and nothing is hashed again.
    pub(super) fn filled(seed: u64, entries: &[Entry]) -> Self {
        let mut counts = vec![0; PARTS];
        entries.iter().for_each(|entry| counts[part(entry.hash)] += 1);
        let mut index = Self::new(seed);
        index.parts = counts.into_iter().map(HashTable::with_capacity).collect();
        for &Entry { hash, slot } in entries {
            let never = |_: &Slot| unreachable!("each part has room for all of its slots");
            index.parts[part(hash)].insert_unique(hash, slot, never);
        }
        index
    }

    /// What `slot`, which holds `node`, is found by; for [`Self::filled`].
    pub(super) fn entry(&self, slot: Slot, node: &Node) -> Entry {
        Entry { hash: self.hash(node.parent, node.name_bytes()), slot }
    }

    pub(super) fn find(&self, arena: &Arena, parent: Slot, name: &[u8]) -> Option<Slot> {
        let hash = self.hash(parent, name);
        let is_it = |&slot: &Slot| is_named(arena.get(slot), parent, name);
        self.parts[part(hash)].find(hash, is_it).copied()
    }

    /// Adds `slot`, which is in the arena with its name and parent.
    pub(super) fn insert(&mut self, arena: &Arena, slot: Slot) {
        let node = arena.get(slot);
        let hash = self.hash(node.parent, node.name_bytes());
        let hasher = &self.hasher;
        let rehash = |&slot: &Slot| hash_of(hasher, arena.get(slot).parent, arena.get(slot).name_bytes());
        self.parts[part(hash)].insert_unique(hash, slot, rehash);
    }

    /// Takes `slot` out, which still is in the arena.
    pub(super) fn remove(&mut self, arena: &Arena, slot: Slot) {
        let node = arena.get(slot);
        let hash = self.hash(node.parent, node.name_bytes());
        if let Ok(entry) = self.parts[part(hash)].find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
    }

    fn hash(&self, parent: Slot, name: &[u8]) -> u64 {
        hash_of(&self.hasher, parent, name)
    }
}

fn is_named(node: &Node, parent: Slot, name: &[u8]) -> bool {
    node.parent == parent && node.name_bytes() == name
}

fn hash_of(hasher: &FixedState, parent: Slot, name: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u32(parent);
    hasher.write(name);
    hasher.finish()
}

/// By bits that the table itself uses neither for the place (the lowest) nor for the tag (the highest 7).
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}
