//! What waits in a feed, and through which zxid it reaches. Shared by two threads: one appends, one drains.

use std::fmt;

use paddock_messages::zxid::Zxid;

use super::sync::{AtomicUsize, Mutex, Relaxed};

/// See the module. Items of any kind, so that a test can use small ones.
pub(super) struct Backlog<T> {
    queue: Mutex<Queue<T>>,
    watches: AtomicUsize,
}

struct Queue<T> {
    items: Vec<T>,
    weight: usize,
    upto: Zxid,
    drained: Zxid,
}

impl<T> Backlog<T> {
    pub(super) fn new(upto: Zxid) -> Self {
        let queue = Queue { items: Vec::new(), weight: 0, upto, drained: upto };
        Self { queue: Mutex::new(queue), watches: AtomicUsize::new(0) }
    }

    /// `weight` is whatever [`Self::weight`] is to add up. True if the arbiter must be woken (F3).
    pub(super) fn append(&self, items: &mut Vec<T>, upto: Zxid, weight: usize) -> bool {
        let mut queue = self.queue.lock();
        assert!(upto >= queue.upto, "F1: the feed reaches {:?} already, not {upto:?}", queue.upto);
        let was_idle = queue.items.is_empty() && queue.upto == queue.drained;
        queue.upto = upto;
        if queue.items.is_empty() {
            std::mem::swap(&mut queue.items, items); // the memory goes round
        } else {
            queue.items.append(items);
        }
        queue.weight += weight;
        was_idle && (!queue.items.is_empty() || queue.upto != queue.drained)
    }

    /// `into` is empty; it becomes the next queue's memory.
    pub(super) fn drain(&self, into: &mut Vec<T>) -> Zxid {
        debug_assert!(into.is_empty(), "what was drained before has been handled");
        let mut queue = self.queue.lock();
        std::mem::swap(&mut queue.items, into);
        queue.drained = queue.upto;
        queue.weight = 0;
        queue.upto
    }

    pub(super) fn weight(&self) -> usize {
        self.queue.lock().weight
    }

    pub(super) fn len(&self) -> usize {
        self.queue.lock().items.len()
    }

    // Relaxed: the tree's lock, which both sides hold, orders it where its being exact matters.
    pub(super) fn set_watches(&self, count: usize) {
        self.watches.store(count, Relaxed);
    }

    pub(super) fn watches(&self) -> usize {
        self.watches.load(Relaxed)
    }

    pub(super) fn has_watches(&self) -> bool {
        self.watches.load(Relaxed) > 0
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self::new(Zxid::ZERO)
    }
}

impl<T> fmt::Debug for Backlog<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue.lock();
        write!(f, "{} items, drained {:?} of {:?}", queue.items.len(), queue.drained, queue.upto)
    }
}
