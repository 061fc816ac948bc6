//! The member's memory: how much it takes, and when it takes on no more.
//!
//! Above `memory.softLimit` the member is *tight*: requests that grow the tree or the watch tables are
//! refused at the client port ([`crate::client`], growth), while deletes, reads, pings and closes go on.
//! [`SoftLimit`] decides from readings alone; [`MemoryActor`] takes the readings and publishes the
//! verdict in a [`Gate`], which costs a request one relaxed load. What must hold:
//! - MM1  Tight begins above the limit and ends below 95 % of it: never twice without the other between.
//! - MM2  The limit is the smallest of what the machine has and what each enclosing cgroup allows.
//!
//! The allocator keeps what is freed for later use, so memory that a delete gave back would still count
//! as taken: while tight, and once enough was deleted, it is told to return whole free pages.

mod actor;
mod core;
pub mod machine;
mod trim;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

pub use self::actor::MemoryActor;
pub use self::core::{Reading, SoftLimit, Step, Verdict};
pub use self::trim::keep;

/// Whether the member is tight, for all threads. Nothing is ordered by it.
#[derive(Debug, Default)]
pub struct Gate {
    is_tight: AtomicBool,
    watches: AtomicUsize,
}

impl Gate {
    /// Whether requests that grow the tree or the watch tables are to be refused.
    pub fn is_tight(&self) -> bool {
        self.is_tight.load(Relaxed)
    }

    /// How many watches there were when it became tight: so many may be registered again.
    pub fn watches(&self) -> usize {
        self.watches.load(Relaxed)
    }

    /// From now on it is tight, with so many watches, or it is not.
    pub fn set(&self, is_tight: bool, watches: usize) {
        self.watches.store(watches, Relaxed);
        self.is_tight.store(is_tight, Relaxed);
    }
}
