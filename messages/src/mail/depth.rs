//! How many mails are under way: the one place where sender and receiver threads meet over a mailbox.
//! The atomics come from `super::sync`, so that a test can explore every interleaving of this very file.

use super::sync::{AtomicU64, Ordering};

/// Counts what went in and what came out. Neither counter ever falls or wraps (2^64 mails).
/// However many threads reserve at once, at most `limit` mails are under way (M1); once all that was
/// reserved is released, the depth is 0 (M2).
#[derive(Debug, Default)]
pub(super) struct Depth {
    reserved: AtomicU64,
    released: AtomicU64,
}

impl Depth {
    /// Takes a place for one mail, unless `limit` are taken. Never waits. A refusal is exact: at some
    /// moment during the call, all places were taken.
    pub(super) fn reserve(&self, limit: u64) -> bool {
        let mut reserved = self.reserved.load(Ordering::Acquire);
        loop {
            // A `released` newer than `reserved` can exceed it; then the exchange below fails.
            let under_way = reserved.saturating_sub(self.released.load(Ordering::Acquire));
            if under_way >= limit {
                return false;
            }
            match self.reserved.compare_exchange(reserved, reserved + 1, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => reserved = now,
            }
        }
    }

    /// Gives back a place that `reserve` took.
    pub(super) fn release(&self) {
        self.released.fetch_add(1, Ordering::AcqRel);
    }

    /// Mails ever given a place.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Mails ever done with.
    pub(super) fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }

    /// Mails under way at one moment during the call, or a few more while others post.
    pub(super) fn now(&self) -> u64 {
        let released = self.released(); // first: what is reserved later can only add
        self.reserved().saturating_sub(released)
    }
}
