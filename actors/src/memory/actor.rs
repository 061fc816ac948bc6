//! The actor that looks at the member's memory, on an arbiter that no data crosses.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Reading, SoftLimit, Verdict};
use super::{Gate, machine, trim};
use crate::runtime::{Ctx, Service};
use crate::tree::SharedTree;

/// Between two looks. In this time a fast disk brings in some 100 MB.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of one watch, about: what `stored` is told of the watch tables.
const WATCH_BYTES: u64 = 64;

/// See the module.
#[derive(Debug)]
pub struct MemoryActor {
    limit: SoftLimit,
    gate: Arc<Gate>,
    tree: Arc<SharedTree>,
    /// As last seen.
    data_size: u64,
}

impl MemoryActor {
    /// Publishes in `gate` whether the process is above `limit`.
    pub fn new(limit: SoftLimit, gate: Arc<Gate>, tree: Arc<SharedTree>) -> Self {
        Self { limit, gate, tree, data_size: 0 }
    }

    fn look(&mut self) {
        if self.look_once() {
            trim::trim();
            self.look_once();
        }
    }

    /// True if the allocator should return what was freed.
    fn look_once(&mut self) -> bool {
        let Ok(resident) = machine::resident() else { return false }; // the start has told
        let watches: usize = self.tree.feeds().iter().map(|feed| feed.watches()).sum();
        // Never waits for the tree: the Guardian, on this thread, watches over those who write it.
        if let Some(tree) = self.tree.try_read() {
            self.data_size = tree.data_size();
        }
        let stored = self.data_size + watches as u64 * WATCH_BYTES;
        let step = self.limit.on_reading(Reading { resident, stored });
        if let Some(change) = step.change {
            self.gate.set(change == Verdict::Tight, watches.max(self.always()));
            self.tell(change, resident);
        }
        step.trim
    }

    /// So many watches may be there in any case: clients that reconnect to a node that is tight from its
    /// start bring those they had. 5 % of the limit.
    fn always(&self) -> usize {
        usize::try_from((self.limit.limit() - self.limit.resumes_below()) / WATCH_BYTES).unwrap_or(usize::MAX)
    }

    fn tell(&self, change: Verdict, resident: u64) {
        let mib = |bytes: u64| bytes >> 20;
        let (limit, below) = (self.limit.limit(), self.limit.resumes_below());
        match change {
            Verdict::Tight => tracing::warn!(
                resident_mib = mib(resident),
                limit_mib = mib(limit),
                "memory.softLimit is exceeded: requests that grow the tree or the watch tables are refused (-127) \
                 until less than {} MiB are in use; delete znodes, raise the limit or give the node more memory",
                mib(below),
            ),
            Verdict::Relaxed => tracing::info!(
                resident_mib = mib(resident),
                limit_mib = mib(limit),
                "memory is below memory.softLimit again: nothing is refused for it any more",
            ),
        }
    }
}

impl Service for MemoryActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        self.look();
        ctx.every(LOOK_EVERY, |actor, _| actor.look());
    }
}
