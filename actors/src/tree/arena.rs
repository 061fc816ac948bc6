//! The nodes: chunks that never move, so that growing never copies the tree, and slots that keep
//! their number for as long as the znode lives.

use super::data_tree::ROOT;
use super::node::{NONE, Node, Slot};

/// Nodes per chunk: 4,096, 416 KiB.
const CHUNK_BITS: u32 = 12;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Chunks of nodes and the list of free slots among them.
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Vec<Node>>,
    /// The first free slot; each free slot's `next` is the one after it.
    free: Slot,
    live: u32,
    /// While a tree is loaded: slots it may have.
    reserved: u32,
}

impl Arena {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: NONE, live: 0, reserved: 0 }
    }

    /// Slots there are, free ones included.
    pub(super) fn slots(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        (full + self.chunks.last().map_or(0, Vec::len)) as u32
    }

    /// Slots in use.
    pub(super) fn live(&self) -> u32 {
        self.live
    }

    pub(super) fn get(&self, slot: Slot) -> &Node {
        &self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)]
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Node {
        &mut self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize & (CHUNK - 1)]
    }

    /// Puts `node` into a free slot.
    ///
    /// # Panics
    /// At 2^32 − 1 znodes.
    pub(super) fn insert(&mut self, node: Node) -> Slot {
        self.live += 1;
        if self.free == NONE {
            return self.push(node);
        }
        let slot = self.free;
        self.free = self.get(slot).next;
        *self.get_mut(slot) = node;
        slot
    }

    fn push(&mut self, node: Node) -> Slot {
        let slot = self.slots();
        assert!(slot < NONE, "the tree holds no more than {NONE} znodes");
        if slot as usize & (CHUNK - 1) == 0 {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut().expect("one was just added or has room").push(node);
        slot
    }

    /// Takes the node out; the slot will be used again.
    pub(super) fn remove(&mut self, slot: Slot) -> Node {
        let mut vacant = Node::vacant();
        vacant.next = self.free;
        self.free = slot;
        self.live -= 1;
        std::mem::replace(self.get_mut(slot), vacant)
    }

    /// Allows [`place`](Self::place) so many slots; the arena must be empty. Memory is taken only as they
    /// are placed: a number in a file is no reason to take any.
    pub(super) fn reserve(&mut self, slots: u32) {
        debug_assert!(self.chunks.is_empty(), "slots keep their numbers");
        self.reserved = slots;
    }

    /// Makes vacant slots, whole chunks of them, until `slot` is there.
    fn grow_to(&mut self, slot: Slot) {
        while self.slots() <= slot {
            let left = (self.reserved - self.slots()) as usize;
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.resize_with(left.min(CHUNK), Node::vacant);
            self.chunks.push(chunk);
        }
    }

    /// Puts `node` into a certain slot; false if there is no such slot or it is taken. To be followed
    /// by [`rebuild_free_list`](Self::rebuild_free_list) when all are placed.
    pub(super) fn place(&mut self, slot: Slot, node: Node) -> bool {
        if slot >= self.reserved || (slot == ROOT) != (node.parent == NONE) {
            return false;
        }
        self.grow_to(slot);
        if !self.get(slot).is_vacant() {
            return false;
        }
        self.live += 1;
        *self.get_mut(slot) = node;
        true
    }

    /// Every vacant slot is free, the lowest first.
    pub(super) fn rebuild_free_list(&mut self) {
        self.free = NONE;
        for slot in (0..self.slots()).rev() {
            if self.get(slot).is_vacant() {
                self.get_mut(slot).next = self.free;
                self.free = slot;
            }
        }
    }
}
