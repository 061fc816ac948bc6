//! The one writer of the log: appends batches, syncs them, rolls to the next segment.
//!
//! [`Logger`] is a plain object, one method a command; [`LoggerThread`](super::LoggerThread) gives it
//! a thread, the simulation calls it inline. What changes `history` is in `maintenance.rs`.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crossbeam_channel::{Receiver, bounded};
use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;

use super::batch::{HEADER, Place, Records, admitted_overhead, padded};
use super::disk::{Disk, DiskFile, is_full};
use super::history::{Chain, Facts, History, SegmentEntry, segment_name};
use super::recovery::{FoundLog, OpenError, Recovered, io_error};
use super::reserve::prepare;
use super::txn_log::{LogReader, Segment};

/// What each write counts for in [`Options::admitted_bytes`] beyond its payload: in the worst case it
/// has a batch for itself, padded, and an idle one behind it.
pub const ADMITTED_OVERHEAD: u64 = admitted_overhead(1);

/// How a data directory is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose data it must be.
    pub server: ServerId,
    /// Random; used once, when a directory is begun.
    pub salt: u64,
    /// Bytes of a segment (default 64 MiB); raised to `admitted_bytes` if that is more.
    pub segment_bytes: u64,
    /// The most that may be admitted and not logged at any time, each write counted as its payload
    /// and [`ADMITTED_OVERHEAD`] (default 16 MiB). This much space stands ready until [`Space::Full`]
    /// is announced, so what was admitted before the announcement always fits (S8).
    pub admitted_bytes: u64,
    /// Whether a batch is synced before it is called persisted. Without, a power failure loses
    /// acknowledged writes. ZooKeeper: `forceSync`.
    pub force_sync: bool,
    /// Who prepares the next segment.
    pub reserve: Reserve,
    /// Deliberate mistakes, for the tests that must find them.
    pub(super) faults: Faults,
}

impl Options {
    /// The defaults, for this member.
    pub fn new(server: ServerId, salt: u64) -> Self {
        Self {
            server,
            salt,
            segment_bytes: 64 << 20,
            admitted_bytes: 16 << 20,
            force_sync: true,
            reserve: Reserve::Thread,
            faults: Faults::default(),
        }
    }

    fn reserve_bytes(&self) -> u64 {
        padded(self.segment_bytes.max(self.admitted_bytes))
    }
}

/// Who prepares the next segment, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// A thread of its own, at once.
    Thread,
    /// The caller, at once.
    Inline,
    /// The caller, when it can wait no longer or calls [`Logger::retry_reserve`]: a slow thread, for
    /// simulations.
    Late,
}

/// Mistakes this code could make; all off but in tests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) skip_sync: bool,
    pub(super) skip_rewrite: bool,
    pub(super) skip_zeroing: bool,
    pub(super) skip_reserve_sync: bool,
    pub(super) ignore_room: bool,
}

/// Why the Logger did not do what was asked.
#[expect(missing_docs, reason = "the sentence of each variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum LogFailure {
    /// Writing or syncing failed: the process must end; what is not yet called persisted is never acknowledged.
    #[error("{file}: {action} failed: {error}; the process must end, check the disk")]
    Io { file: PathBuf, action: &'static str, error: io::Error },
    /// It failed before.
    #[error("the log failed before and takes nothing any more")]
    Dead,
    /// No space for a file that replaces or precedes others; nothing changed, ask again later.
    #[error("{file}: the disk is full; free at least {needed} bytes")]
    Full { file: PathBuf, needed: u64 },
    /// Committed txns cannot be cut: the other history is not this one's.
    #[error(
        "cannot truncate after {to}: everything up to {watermark} is committed here; this is another ensemble's history"
    )]
    BelowWatermark { to: Zxid, watermark: Zxid },
    /// A snapshot of what another has replaced, or is to replace.
    #[error("the snapshot {name} stands for {zxid}: replaced by another; the history is from {log_start} on")]
    SnapshotBehind { name: String, zxid: Zxid, log_start: Zxid },
    /// A snapshot beyond what the log holds durably.
    #[error("the snapshot {name} stands for {zxid}, but the log is durable only through {durable}")]
    SnapshotAhead { name: String, zxid: Zxid, durable: Zxid },
}

impl LogFailure {
    /// Whether the process must end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Dead)
    }
}

/// Whether there is room for the writes to come; `needed` is in bytes.
#[expect(missing_docs, reason = "said above")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The next segment stands ready or is being prepared.
    Enough,
    /// It could not be made: refuse writes. What is admitted already fits. `needed` bytes mend it.
    Full { needed: u64 },
}

/// Everything up to `upto` is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// Of the history; each SNAP or TRUNC begins another.
    pub generation: u64,
    /// The last durable zxid.
    pub upto: Zxid,
}

/// The next segment, on its way.
pub(super) struct Reserving<F> {
    number: u64,
    done: Receiver<io::Result<F>>,
    /// What is to be run first, if no thread does.
    late: Option<Box<dyn FnOnce() + Send>>,
    /// Told to whoever makes it.
    is_awaited: Arc<AtomicBool>,
}

/// See the module. Owned by one thread.
pub struct Logger<D: Disk> {
    pub(super) disk: D,
    _lock: D::Lock,
    pub(super) options: Options,
    pub(super) history: History,
    /// The segments before the one being written, oldest first.
    pub(super) past: Vec<Segment>,
    pub(super) current: Segment,
    pub(super) file: D::File,
    /// Zero-filled, durable, and in `history`.
    pub(super) reserved: VecDeque<Segment>,
    pub(super) reserving: Option<Reserving<D::File>>,
    pub(super) space: Space,
    pub(super) next_file: u64,
    pub(super) chain: Chain,
    records: Records,
    out: Vec<u8>,
    pub(super) watermark: Zxid,
    pub(super) durable: Zxid,
    /// Whether the last batch has no records, or there is none.
    pub(super) idle: bool,
    pub(super) dead: bool,
    pub(super) replaced_at: Zxid, // S16
}

impl<D: Disk> Logger<D> {
    /// Goes on where recovery ended.
    pub(super) fn start(
        disk: D,
        lock: D::Lock,
        options: Options,
        mut history: History,
        mut found: FoundLog,
        mut next_file: u64,
        recovered: &Recovered,
    ) -> Result<Self, OpenError> {
        if found.segments.is_empty() {
            let (name, bytes) = (segment_name(next_file), options.reserve_bytes());
            let failed = io_error(&disk, &name, bytes);
            let file =
                prepare(&disk, next_file, bytes, &AtomicBool::new(true), options.faults).map_err(&failed)?;
            let entry = SegmentEntry { file: next_file, generation: history.generation };
            history.segments.push(entry);
            disk.replace(super::history::HISTORY_FILE, &history.encode()).map_err(|f| failed(f.error))?;
            found.segments.push(Segment::empty(entry, file.len().map_err(&failed)?, history.chain));
            next_file += 1;
        }
        let mut past = found.segments;
        let reserved: VecDeque<Segment> = past.drain(found.current + 1..).collect();
        let current = past.pop().expect("`current` is one of the segments");
        let name = current.name();
        let file = disk.open(&name).map_err(io_error(&disk, &name, 0))?;
        let mut logger = Self {
            disk,
            _lock: lock,
            options,
            history,
            past,
            current,
            file,
            reserved,
            reserving: None,
            space: Space::Enough,
            next_file,
            chain: found.chain,
            records: Records::default(),
            out: Vec::new(),
            watermark: recovered.watermark,
            durable: recovered.last,
            idle: found.idle,
            dead: false,
            replaced_at: Zxid::ZERO,
        };
        let failed = io_error(&logger.disk, &name, 0);
        // Before anything is admitted the rest of this segment is enough, or the reserve stands or fails.
        logger.begin_reserve();
        let room = logger.keep_spare().and_then(|()| logger.make_room(0));
        let reserve = room.and_then(|()| logger.poll_reserve());
        reserve.map_err(|failure| failed(io::Error::other(failure)))?;
        Ok(logger)
    }

    /// Adds a txn to the open batch. Panics if its zxid does not come after all before (S2).
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        assert!(zxid > self.durable, "S2: {zxid} appended after {}", self.durable);
        self.records.push(zxid, payload);
    }

    /// Adds the txns that `write` pushes. Panics as [`append`](Self::append).
    pub fn append_with(&mut self, write: impl FnOnce(&mut Records)) {
        write(&mut self.records);
        let first = self.records.first();
        assert!(self.records.is_empty() || first > self.durable, "S2: {first} repeats");
    }

    /// Everything up to `zxid` is committed; the next batch says so. Never goes back.
    pub fn commit(&mut self, zxid: Zxid) {
        self.watermark = self.watermark.max(zxid);
    }

    /// Writes the open batch, one write and one sync; with nothing open, does nothing. An error is
    /// fatal ([`LogFailure::is_fatal`]).
    pub fn flush(&mut self) -> Result<Persisted, LogFailure> {
        self.alive()?;
        if !self.records.is_empty() {
            self.write_batch()?;
        }
        self.poll_reserve()?;
        Ok(self.persisted())
    }

    /// Writes one empty batch, if the last one was not: it proves the last one durable, so that damage
    /// to that is told from a torn write, and carries the watermark. Errors as [`flush`](Self::flush).
    pub fn write_idle(&mut self) -> Result<(), LogFailure> {
        self.alive()?;
        if self.wants_idle() { self.write_batch() } else { Ok(()) }
    }

    /// Whether [`write_idle`](Self::write_idle) would write. Not on a full disk: the room that is left
    /// belongs to what was admitted.
    pub fn wants_idle(&self) -> bool {
        !self.dead && !self.idle && self.records.is_empty() && self.space == Space::Enough
    }

    /// Everything that is durable.
    pub fn persisted(&self) -> Persisted {
        Persisted { generation: self.history.generation, upto: self.durable }
    }

    /// Bytes and records waiting for [`flush`](Self::flush).
    pub fn open_batch(&self) -> (usize, u32) {
        (self.records.bytes(), self.records.len())
    }

    /// Whether there is room; look after every call.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Epochs and identity, as they are durable.
    pub fn facts(&self) -> Facts {
        self.history.facts
    }

    /// The file being written, for messages.
    pub fn current_file(&self) -> PathBuf {
        self.disk.path(&self.current.name())
    }

    /// The number of the segment being written.
    pub(super) fn segment(&self) -> u64 {
        self.current.entry.file
    }

    /// The durable records from `from` on, to be read by any thread. Errors are the disk's.
    pub fn reader(&self, from: Zxid) -> io::Result<LogReader<D::File>> {
        LogReader::open(&self.disk, self.past.iter().chain([&self.current]).copied(), from, self.history.salt)
    }

    pub(super) fn alive(&self) -> Result<(), LogFailure> {
        if self.dead { Err(LogFailure::Dead) } else { Ok(()) }
    }

    /// The end of this Logger: after a failed write nothing may be built upon what is there (S1).
    pub(super) fn fatal(&mut self, name: &str, action: &'static str, error: io::Error) -> LogFailure {
        self.dead = true;
        LogFailure::Io { file: self.disk.path(name), action, error }
    }

    fn write_batch(&mut self) -> Result<(), LogFailure> {
        self.make_room(padded((HEADER + self.records.bytes()) as u64))?;
        let Chain { number, previous } = self.chain;
        let place = Place { generation: self.current.entry.generation, number, previous };
        let last = self.records.last();
        let watermark = self.watermark.min(last.max(self.durable));
        let crc = self.records.seal(&place, watermark, self.history.salt, &mut self.out);
        if let Err(error) = self.file.write_at(&self.out, self.current.end) {
            return Err(self.fatal(&self.current.name(), "writing a batch", error));
        }
        if self.options.force_sync
            && !self.options.faults.skip_sync
            && let Err(error) = self.file.sync_data()
        {
            return Err(self.fatal(&self.current.name(), "fdatasync", error));
        }
        self.current.grow(self.out.len() as u64, self.records.first(), last);
        self.chain = Chain { number: number + 1, previous: crc };
        self.idle = self.records.is_empty();
        self.durable = self.durable.max(last);
        self.records.clear();
        Ok(())
    }

    /// Room for `size` bytes now, and for all that may be admitted before a full disk is known (S8):
    /// either a reserve stands, or this segment's rest is enough, or [`Space::Full`] is announced.
    pub(super) fn make_room(&mut self, size: u64) -> Result<(), LogFailure> {
        let fits = |segment: &Segment| segment.end + size <= segment.len;
        if !fits(&self.current) && self.current.end > 0 && self.reserved.is_empty() {
            self.await_reserve()?;
        }
        // Without a reserve this segment grows, and a full disk is an I/O error.
        while !fits(&self.current) && (self.current.end > 0 || self.reserved.iter().any(fits)) {
            if !self.roll()? {
                break;
            }
        }
        let rest = self.current.len.saturating_sub(self.current.end + size);
        let short = !self.has_reserve() && rest < self.options.admitted_bytes;
        if short && self.space == Space::Enough && !self.options.faults.ignore_room {
            self.await_reserve()?;
        }
        Ok(())
    }

    /// Goes on in the next reserve; false if there is none.
    fn roll(&mut self) -> Result<bool, LogFailure> {
        let Some(mut next) = self.reserved.pop_front() else { return Ok(false) };
        next.start = self.chain;
        self.file = match self.disk.open(&next.name()) {
            Ok(file) => file,
            Err(error) => return Err(self.fatal(&next.name(), "opening a segment", error)),
        };
        self.past.push(std::mem::replace(&mut self.current, next));
        self.begin_reserve();
        Ok(true)
    }

    /// Whether a segment stands ready that takes all that may be admitted; one made under a lower limit
    /// does not.
    fn has_reserve(&self) -> bool {
        self.reserved.iter().any(|segment| segment.len >= self.options.admitted_bytes)
    }

    /// Begins to prepare the next segment, unless that is under way or one stands ready.
    pub(super) fn begin_reserve(&mut self) {
        if self.reserving.is_some() || self.has_reserve() {
            return;
        }
        let (answer, done) = bounded(1);
        let number = self.next_file;
        self.next_file += 1;
        let (disk, options) = (self.disk.clone(), self.options.clone());
        let is_awaited = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&is_awaited);
        let job = move || {
            let _ = answer.send(prepare(&disk, number, options.reserve_bytes(), &waits, options.faults));
        };
        let mut late: Option<Box<dyn FnOnce() + Send>> = None;
        match self.options.reserve {
            Reserve::Thread => {
                let thread = std::thread::Builder::new().name("log-reserve".into());
                // Without a thread the job and its answer are dropped: take_reserve reports that.
                let _ = thread.spawn(job);
            }
            Reserve::Inline => job(),
            Reserve::Late => late = Some(Box::new(job)),
        }
        self.reserving = Some(Reserving { number, done, late, is_awaited });
    }

    /// Takes in the next segment if it is ready. Only a failure other than a full disk is an error.
    pub fn poll_reserve(&mut self) -> Result<(), LogFailure> {
        self.alive()?;
        match &self.reserving {
            Some(reserving) if !reserving.done.is_empty() => self.take_reserve(),
            _ => Ok(()),
        }
    }

    /// Whether the next segment is being prepared: poll for it.
    pub fn is_reserving(&self) -> bool {
        self.reserving.is_some()
    }

    /// Tries again after [`Space::Full`]; does nothing while too little space is free. Errors as
    /// [`poll_reserve`](Self::poll_reserve).
    pub fn retry_reserve(&mut self) -> Result<(), LogFailure> {
        self.settle_reserve()?; // an earlier attempt may have failed since
        let needed = self.options.reserve_bytes() + self.history.encode().len() as u64;
        if self.space != Space::Enough && self.disk.free_bytes().is_ok_and(|free| free >= needed) {
            self.begin_reserve();
        }
        self.settle_reserve()
    }

    fn settle_reserve(&mut self) -> Result<(), LogFailure> {
        match &self.reserving {
            Some(reserving) if reserving.late.is_some() => self.take_reserve(),
            _ => self.poll_reserve(),
        }
    }

    /// Waits until the next segment stands or cannot be made.
    pub(super) fn await_reserve(&mut self) -> Result<(), LogFailure> {
        self.begin_reserve();
        self.take_reserve()
    }

    fn take_reserve(&mut self) -> Result<(), LogFailure> {
        let Some(Reserving { number, done, late, is_awaited }) = self.reserving.take() else {
            return Ok(());
        };
        is_awaited.store(true, Relaxed);
        late.into_iter().for_each(|job| job());
        let name = segment_name(number);
        let gone = || Err(io::Error::other("the thread that prepares the next segment did not run"));
        let made = done.recv().unwrap_or_else(|_| gone());
        let len = match made.and_then(|file| file.len()) {
            Ok(len) => len,
            Err(error) if is_full(&error) => {
                self.space = Space::Full { needed: self.options.reserve_bytes() };
                return Ok(());
            }
            Err(error) => return Err(self.fatal(&name, "preparing a segment", error)),
        };
        let entry = SegmentEntry { file: number, generation: self.history.generation };
        match self.change_history(|history| history.segments.push(entry)) {
            Ok(()) => {
                self.reserved.push_back(Segment::empty(entry, len, Chain::START));
                self.space = Space::Enough;
                Ok(())
            }
            Err(LogFailure::Full { .. }) => {
                super::recovery::remove(&self.disk, &name);
                self.space = Space::Full { needed: self.options.reserve_bytes() };
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// A zero-filled, durable file for a segment that is needed now, and its number.
    pub(super) fn prepare_now(&mut self, bytes: u64) -> Result<(u64, D::File), LogFailure> {
        let number = self.next_file;
        self.next_file += 1;
        let bytes = bytes.max(self.options.reserve_bytes());
        prepare(&self.disk, number, bytes, &AtomicBool::new(true), self.options.faults)
            .map(|file| (number, file))
            .map_err(|error| {
                let name = segment_name(number);
                if is_full(&error) {
                    LogFailure::Full { file: self.disk.path(&name), needed: bytes }
                } else {
                    self.fatal(&name, "preparing a segment", error)
                }
            })
    }
}
