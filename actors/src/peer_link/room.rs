//! Room for what was read and is not done with.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a letter counts for at least, in bytes: the smallest frames have 12, and take more in a mailbox.
const LEAST: usize = 256;

/// How many letters of one lane can be under way where so many bytes may be: the bound of their mailbox is
/// this for each lane.
pub const fn letters_ahead(read_ahead_bytes: usize) -> u64 {
    (read_ahead_bytes / LEAST) as u64 + 1
}

/// A frame's share of what may be read ahead of whoever works on it. To be dropped when the frame's bytes
/// are done with: until then the lane is read so much less far.
#[derive(Debug)]
pub struct Room {
    /// None if it was never counted.
    _share: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// For a frame that came down no lane: a test's, or one to oneself.
    pub fn free() -> Self {
        Self { _share: None }
    }
}

/// The room of one lane.
#[derive(Debug)]
pub(super) struct Rooms {
    left: Arc<Semaphore>,
    all: u32,
}

impl Rooms {
    /// Of so many bytes; 1 at least.
    pub(super) fn new(bytes: usize) -> Self {
        let all = bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { left: Arc::new(Semaphore::new(all)), all: all as u32 }
    }

    /// Waits until there is room for a frame of this length; one that is longer than all of it takes all.
    pub(super) async fn take(&self, length: u64) -> Room {
        let share = length.max(LEAST as u64).min(u64::from(self.all)) as u32;
        let taken = Arc::clone(&self.left).acquire_many_owned(share).await;
        Room { _share: taken.ok() } // the semaphore is never closed
    }
}
