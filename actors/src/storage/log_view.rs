//! The log and the newest snapshot as they were at one moment, to be read beside the Logger by any thread.
//!
//! - S13 A view holds every txn that was durable when it was made, and no other, whatever is appended, cut,
//!   replaced or purged meanwhile.
//!
//! Its files are open, so they outlive their names (and keep their space: drop it when done); of each segment
//! it reads what was synced then, and not what is being written behind.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paddock_messages::zxid::Zxid;

use super::disk::{Disk, DiskFile};
use super::logger::{Logger, Persisted};
use super::txn_log::{LogReader, Segment};

type Shared = Arc<dyn DiskFile>;

/// See the module. It takes an open file for each segment, and one for the snapshot.
pub struct LogView {
    persisted: Persisted,
    log_start: Zxid,
    salt: u64,
    /// Those that hold a txn, oldest first.
    segments: Vec<Viewed>,
    snapshot: Option<ViewedSnapshot>,
}

struct Viewed {
    segment: Segment,
    path: PathBuf,
    file: Shared,
}

/// The newest snapshot of a view.
pub struct ViewedSnapshot {
    /// Everything up to this txn is in it.
    pub zxid: Zxid,
    pub(super) path: PathBuf,
    /// Or why it was not opened: the log can be read all the same.
    pub(super) file: io::Result<Shared>,
}

impl<D: Disk> Logger<D> {
    /// What is durable now; the open batch is not. An error names the segment that cannot be opened.
    pub fn view(&self) -> io::Result<LogView> {
        let open = |name: &str| -> io::Result<Shared> { Ok(Arc::new(self.disk.open(name)?)) };
        let written =
            self.past.iter().chain([&self.current]).filter(|segment| segment.last > Zxid::ZERO).copied();
        let viewed = written.map(|segment| {
            let path = self.disk.path(&segment.name());
            let file = open(&segment.name()).map_err(|error| named(&path, &error))?;
            Ok(Viewed { segment, path, file })
        });
        let snapshot = self.newest_snapshot().map(|entry| ViewedSnapshot {
            zxid: entry.zxid,
            path: self.disk.path(&entry.name),
            file: open(&entry.name),
        });
        Ok(LogView {
            persisted: self.persisted(),
            log_start: self.log_start(),
            salt: self.history.salt,
            segments: viewed.collect::<io::Result<_>>()?,
            snapshot,
        })
    }
}

impl LogView {
    /// It holds every txn after this one.
    pub fn log_start(&self) -> Zxid {
        self.log_start
    }

    /// Up to this one.
    pub fn durable(&self) -> Zxid {
        self.persisted.upto
    }

    /// Of the history; a SNAP or TRUNC since begins another.
    pub fn generation(&self) -> u64 {
        self.persisted.generation
    }

    /// The newest snapshot, if there is one; behind its zxid the log goes on without a gap.
    pub fn snapshot(&self) -> Option<&ViewedSnapshot> {
        self.snapshot.as_ref()
    }

    /// That alone; the log's files are closed.
    pub(super) fn into_snapshot(self) -> Option<ViewedSnapshot> {
        self.snapshot
    }

    /// The newest snapshot's zxid, and the bytes of its file; `None` without one that can be read.
    pub fn snapshot_size(&self) -> Option<(Zxid, u64)> {
        let snapshot = self.snapshot.as_ref()?;
        Some((snapshot.zxid, snapshot.file.as_ref().ok()?.len().ok()?))
    }

    /// For each of `wanted`, in any order, the last txn at or before it, and how many bytes the log has up to
    /// that, about; [`log_start`](Self::log_start) and 0 if it holds none. Reads, once, only the segments within
    /// which an answer lies.
    pub fn floors(&self, wanted: &[Zxid]) -> io::Result<Vec<(Zxid, u64)>> {
        let mut floors = vec![(self.log_start, 0); wanted.len()];
        let mut ascending: Vec<_> = wanted.iter().copied().zip(&mut floors).collect();
        ascending.sort_unstable_by_key(|(wanted, _)| *wanted);
        let mut rest = ascending.into_iter().peekable();
        let (mut before, mut begins) = ((self.log_start, 0), 0);
        for viewed in &self.segments {
            let Segment { first, last, end, .. } = viewed.segment;
            while let Some((_, floor)) = rest.next_if(|(wanted, _)| *wanted < first) {
                *floor = before;
            }
            let mut reader = self.reader(viewed, first);
            while rest.peek().is_some_and(|(wanted, _)| *wanted < last) {
                let (zxid, bytes) =
                    viewed.next(&mut reader)?.map_or((last, 0), |(it, payload)| (it, payload.len()));
                while let Some((_, floor)) = rest.next_if(|(wanted, _)| *wanted < zxid) {
                    *floor = before;
                }
                before = (zxid, before.1 + bytes as u64);
            }
            begins += end;
            before = (last, begins);
        }
        rest.for_each(|(_, floor)| *floor = before);
        Ok(floors)
    }

    /// Gives `each` every txn after `after` up to `upto`, as far as the view goes, in order, until it breaks.
    /// Fails if the log does not reach back that far.
    pub fn each_between<B>(
        &self,
        after: Zxid,
        upto: Zxid,
        mut each: impl FnMut(Zxid, &[u8]) -> ControlFlow<B>,
    ) -> io::Result<ControlFlow<B>> {
        let (log_start, upto) = (self.log_start, upto.min(self.durable()));
        if after < log_start {
            let text = format!("the txns after {after} are asked, and the log begins only after {log_start}");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let holds = |viewed: &&Viewed| viewed.segment.last > after && viewed.segment.first <= upto;
        for viewed in self.segments.iter().filter(holds) {
            let mut reader = self.reader(viewed, Zxid(after.0.saturating_add(1)));
            while let Some((zxid, payload)) = viewed.next(&mut reader)?.filter(|(zxid, _)| *zxid <= upto) {
                if let ended @ ControlFlow::Break(_) = each(zxid, payload) {
                    return Ok(ended);
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Of one segment.
    fn reader(&self, viewed: &Viewed, from: Zxid) -> LogReader<Shared> {
        LogReader::over([(viewed.segment, Arc::clone(&viewed.file))].into(), from, self.salt)
    }
}

impl Viewed {
    fn next<'a>(&self, reader: &'a mut LogReader<Shared>) -> io::Result<Option<(Zxid, &'a [u8])>> {
        reader.next_record().map_err(|error| named(&self.path, &error))
    }
}

/// The error with the file's name, of which the system's says nothing.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}; check the disk", path.display()))
}
