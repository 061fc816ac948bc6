//! A disk as a crash would leave it, while it goes on.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Crash, MemoryDisk};

impl MemoryDisk {
    /// What `crash` would leave now, on another disk, without a limit, which breaks as `seed` draws. This one goes on.
    pub fn fork(&self, seed: u64, crash: Crash) -> Self {
        let mut state = self.shared.lock().clone();
        (state.rng, state.capacity) = (StdRng::seed_from_u64(seed), u64::MAX);
        let start = state.start;
        Self { shared: Arc::new(Mutex::new(state)), start }.restart(crash)
    }
}
