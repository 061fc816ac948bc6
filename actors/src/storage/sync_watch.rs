//! Whether the disk answers: read by whoever reports that it does not, on another thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::history::{HISTORY_FILE, segment_name};
use super::logger::Logger;

/// What the Logger's thread asks the disk to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// To write and sync the segment of this number, or to make the next one.
    Segment(u64),
    /// To replace `history`, with all that goes before and after it.
    History,
}

/// Since when the Logger's thread has waited for the disk. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct SyncWatch {
    directory: PathBuf,
    began: Arc<AtomicU64>,   // µs after `base`, plus 1; 0: nothing is under way
    segment: Arc<AtomicU64>, // 0: `history`
    base: Instant,
}

/// A disk that has not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// What is being written or synced.
    pub file: PathBuf,
    /// How long so far.
    pub since: Duration,
}

impl SyncWatch {
    pub(super) fn new<D: Disk>(logger: &Logger<D>) -> Self {
        let directory = logger.current_file().parent().map_or_else(PathBuf::new, PathBuf::from);
        Self { directory, began: Arc::default(), segment: Arc::default(), base: Instant::now() }
    }

    pub(super) fn begin(&self, doing: Doing) {
        let segment = if let Doing::Segment(number) = doing { number } else { 0 };
        self.segment.store(segment, Relaxed);
        self.began.store(self.base.elapsed().as_micros() as u64 + 1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.began.store(0, Relaxed);
    }

    /// The write or sync under way; `None` if there is none. The file may be that of the step before or
    /// after, if one ends at this moment.
    pub fn stuck(&self) -> Option<Stuck> {
        let began = self.began.load(Relaxed).checked_sub(1)?;
        let name = match self.segment.load(Relaxed) {
            0 => HISTORY_FILE.into(),
            number => segment_name(number),
        };
        let since = self.base.elapsed().saturating_sub(Duration::from_micros(began));
        Some(Stuck { file: self.directory.join(name), since })
    }
}
