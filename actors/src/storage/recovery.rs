//! From what a crash left to a log that can be trusted, and written again.
//!
//! First everything is read and nothing changed: a refusal leaves the directory as it was. Then the
//! torn tail is zeroed, the last batch written again, both synced, and only then is anything
//! returned: a reader of the page cache may have seen what the disk does not hold (S4).

use std::io;
use std::path::PathBuf;

use paddock_messages::ids::ServerId;
use paddock_messages::zxid::Zxid;

use super::batch::Header;
use super::disk::{Disk, DiskFile, is_full};
use super::history::{
    Chain, Facts, HISTORY_FILE, HISTORY_LIMIT, History, HistoryError, SnapshotEntry, is_snapshot_name,
    segment_name, segment_number,
};
use super::logger::{LogFailure, Logger, Options};
use super::pair::{JAVA_DATA, PAIR_FILE, check};
use super::snapshot_files::UNFINISHED;
use super::transfer::is_incoming;
use super::txn_log::{BatchReader, Found, Segment};

/// Why a data directory was not opened. Nothing in it was changed, but by a failure of `Io` or `Full`.
#[expect(missing_docs, reason = "the sentence of each variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error(
        "{directory}: another process uses this data directory; stop it, or give this server its own dataDir"
    )]
    Locked { directory: PathBuf },
    /// The directory cannot be locked or listed.
    #[error(
        "{directory}: cannot use this data directory; it must exist and be writable for this user: {error}"
    )]
    Unusable { directory: PathBuf, error: io::Error },
    /// Reading or writing a file failed.
    #[error("{file}: {error}; check the disk")]
    Io { file: PathBuf, error: io::Error },
    /// No space to begin or go on with.
    #[error("{file}: the disk is full; free at least {needed} bytes and start again")]
    Full { file: PathBuf, needed: u64 },
    /// A later version wrote it.
    #[error(
        "{file}: at byte {offset}, format {format} is newer than this version of paddock reads; run the newer version"
    )]
    Newer { file: PathBuf, offset: u64, format: u16 },
    /// The data of another member.
    #[error("{file}: this is the data of server {found}, but myid says {expected}; correct myid or dataDir")]
    OtherServer { file: PathBuf, found: ServerId, expected: ServerId },
    /// `history` is not what was written.
    #[error("{file}: damaged: {error}; restore the data directory, or empty it and let the ensemble fill it")]
    DamagedHistory { file: PathBuf, error: HistoryError },
    /// A batch that was durable no longer is.
    #[error(
        "{file}: damaged at byte {offset}: {what}; restore this file, or let the ensemble replace this member's data (paddock resync)"
    )]
    DamagedLog { file: PathBuf, offset: u64, what: &'static str },
    /// A segment that `history` names is gone.
    #[error(
        "{file}: this file of the log is missing; restore it, or let the ensemble replace this member's data (paddock resync)"
    )]
    MissingSegment { file: PathBuf },
    /// Segments or snapshots, and no `history` to say what they mean.
    #[error(
        "{file}: missing, but {found} is there; restore it, or move all files of this data directory away"
    )]
    MissingHistory { file: PathBuf, found: String },
    /// The log does not begin at the start, and what came before it is gone.
    #[error(
        "{file}: this snapshot is missing, and the log begins only after {log_start}; restore it, or let the ensemble replace this member's data (paddock resync)"
    )]
    MissingSnapshot { file: PathBuf, log_start: Zxid },
    /// Two directories that were not written together.
    #[error(
        "{log} and {snapshots} do not belong together: {what}; correct dataLogDir or dataDir, nothing was changed"
    )]
    NotAPair { log: PathBuf, snapshots: PathBuf, what: String },
    /// What shows that two directories belong together is gone; the snapshots are not.
    #[error(
        "{pair}: missing beside {snapshot}: nothing else shows that these snapshots belong to {log} and that it is no \
         older copy. Restore the file. If neither directory was ever restored or exchanged, move `history` and all \
         `segment.*` into dataDir, start once without dataLogDir, which writes the file anew, stop, and move them back; \
         nothing was changed"
    )]
    MissingPair { pair: PathBuf, log: PathBuf, snapshot: PathBuf },
    /// The same, of a file that is there.
    #[error(
        "{pair}: damaged, its checksum fails: nothing else shows that the snapshots beside it belong to {log} and that \
         it is no older copy. Check the disk, and restore the file. If neither directory was ever restored or exchanged, \
         move `history` and all `segment.*` into dataDir, start once without dataLogDir, which writes the file anew, \
         stop, and move them back; nothing was changed"
    )]
    DamagedPair { pair: PathBuf, log: PathBuf },
    /// A snapshot among the log, or the log among the snapshots.
    #[error(
        "{file}: lies in the wrong directory: `history` and `segment.*` belong into dataLogDir, `snapshot.*` and `pair` \
         into dataDir; move the files, or set dataLogDir as it was"
    )]
    Misplaced { file: PathBuf },
    /// A Java server's data.
    #[error("{file}: this is the data of a ZooKeeper server on Java; import it, or choose another dataDir")]
    JavaData { file: PathBuf },
}

impl OpenError {
    /// Whether the log or the snapshots are damaged, and `history` is not: a member can give those up ([`discard`]).
    pub fn can_be_given_up(&self) -> bool {
        matches!(self, Self::DamagedLog { .. } | Self::MissingSegment { .. } | Self::MissingSnapshot { .. })
    }
}

/// A torn tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the sound batches end.
    pub offset: u64,
    /// How many bytes after it were not zero; zeroed now.
    pub bytes: u64,
}

/// What was found. The records are read with [`Logger::reader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Epochs and identity.
    pub facts: Facts,
    /// Snapshots whose files are there and after which the log is whole, newest first. If none loads,
    /// the log alone does, if `log_start` is zero.
    pub snapshots: Vec<SnapshotEntry>,
    /// The log holds every txn after this one.
    pub log_start: Zxid,
    /// Everything up to here is committed, and may be applied.
    pub watermark: Zxid,
    /// The last txn, durable.
    pub last: Zxid,
    /// What a crash had left half written.
    pub torn: Option<TornTail>,
    /// Whether this directory was empty before.
    pub fresh: bool,
}

/// Opens a data directory: claims it, reads it, mends what a crash leaves, deletes segments and
/// snapshots that no longer belong to it (of its own names, nothing else).
pub fn open<D: Disk>(disk: D, options: Options) -> Result<(Logger<D>, Recovered), OpenError> {
    let lock = claim(&disk)?;
    let names = disk.list().map_err(|error| unusable(&disk, error))?;
    let found = read_own_history(&disk, &names, &options)?;
    check(&disk, found.as_ref(), &names)?;
    let fresh = found.is_none();
    let mut history = match found {
        Some(history) => history,
        None => begin(&disk, &options)?,
    };
    let found = read_segments(&disk, &history)?;
    // A snapshot holds committed state only, also one whose file is missing.
    let floor = history.snapshots.last().map_or(Zxid::ZERO, |newest| newest.zxid).max(history.log_start);
    check_snapshots(&disk, &mut history, &names, &found)?;
    let torn = mend(&disk, &found, &options)?;
    for name in [HISTORY_FILE, PAIR_FILE] {
        disk.sync_dir(name).map_err(|error| unusable(&disk, error))?; // a rename just before the crash
    }
    sweep(&disk, &history, &names);
    let next_file = names.iter().filter_map(|name| segment_number(name)).max().unwrap_or(0) + 1;
    let last = found.last.max(history.log_start);
    let recovered = Recovered {
        facts: history.facts,
        snapshots: history.usable_snapshots().cloned().collect(),
        log_start: history.log_start,
        watermark: found.watermark.min(last).max(floor),
        last,
        torn,
        fresh,
    };
    let mut logger = Logger::start(disk, lock, options, history, found, next_file, &recovered)?;
    let failed = io_error(&logger.disk, PAIR_FILE, 0);
    logger.keep_pair().map_err(|failure| match failure {
        LogFailure::Full { file, needed } => OpenError::Full { file, needed },
        failure => failed(io::Error::other(failure)),
    })?;
    Ok((logger, recovered))
}

/// Whether nothing lies there that a start would read, or refuse: [`open`] would begin a new history.
pub fn is_empty<D: Disk>(disk: &D) -> Result<bool, OpenError> {
    let names = disk.list().map_err(|error| unusable(disk, error))?;
    let is_data = |name: &String| {
        [HISTORY_FILE, PAIR_FILE, JAVA_DATA].contains(&name.as_str())
            || segment_number(name).is_some()
            || is_snapshot_name(name)
    };
    Ok(!names.iter().any(is_data))
}

/// Gives up the log and the snapshots of a damaged directory, keeping who it is and what it promised:
/// durably marked `must_resync` by one replacement, before any file is touched (S6).
pub fn discard<D: Disk>(disk: &D, options: &Options) -> Result<(), OpenError> {
    let _lock = claim(disk)?;
    let names = disk.list().map_err(|error| unusable(disk, error))?;
    let history = read_own_history(disk, &names, options)?;
    check(disk, history.as_ref(), &names)?;
    let Some(mut history) = history else { return Ok(()) };
    (history.facts.must_resync, history.facts.seed) = (true, false);
    history.generation += 1;
    (history.log_start, history.chain) = (Zxid::ZERO, Chain::START);
    (history.snapshots, history.segments) = (Vec::new(), Vec::new());
    replace(disk, &history)?;
    sweep(disk, &history, &names);
    Ok(())
}

pub(super) fn claim<D: Disk>(disk: &D) -> Result<D::Lock, OpenError> {
    let lock = disk.lock().map_err(|(directory, error)| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { directory },
        _ => OpenError::Unusable { directory, error },
    })?;
    match disk.misplaced().map_err(|error| unusable(disk, error))? {
        Some(file) => Err(OpenError::Misplaced { file }),
        None => Ok(lock),
    }
}

pub(super) fn unusable<D: Disk>(disk: &D, error: io::Error) -> OpenError {
    OpenError::Unusable { directory: disk.path(""), error }
}

pub(super) fn io_error<D: Disk>(
    disk: &D,
    name: &str,
    needed: u64,
) -> impl Fn(io::Error) -> OpenError + use<D> {
    let file = disk.path(name);
    move |error| {
        let file = file.clone();
        if is_full(&error) { OpenError::Full { file, needed } } else { OpenError::Io { file, error } }
    }
}

/// `history` as it is; `None` in a directory that never had one.
fn read_own_history<D: Disk>(
    disk: &D,
    names: &[String],
    options: &Options,
) -> Result<Option<History>, OpenError> {
    let history = read_history(disk, names)?;
    match history.as_ref().map(|it| it.server).filter(|found| *found != options.server) {
        Some(found) => {
            Err(OpenError::OtherServer { file: disk.path(HISTORY_FILE), found, expected: options.server })
        }
        None => Ok(history),
    }
}

/// The same, whose ever it is.
pub(super) fn read_history<D: Disk>(disk: &D, names: &[String]) -> Result<Option<History>, OpenError> {
    let file = disk.path(HISTORY_FILE);
    let there = |wanted: &str| names.iter().any(|name| name == wanted);
    if !there(HISTORY_FILE) {
        let own = |name: &&String| segment_number(name).is_some() || is_snapshot_name(name);
        // Snapshots without any log say more of themselves: see `check`.
        let is_elsewhere = disk.is_split() || names.iter().all(|name| segment_number(name).is_none());
        let has_pair = is_elsewhere && there(PAIR_FILE);
        if let Some(found) = names.iter().find(own).filter(|_| !has_pair) {
            return Err(OpenError::MissingHistory { file, found: found.clone() });
        }
        if there(JAVA_DATA) {
            return Err(OpenError::JavaData { file: disk.path(JAVA_DATA) });
        }
        return Ok(None);
    }
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(HISTORY_FILE)?;
        let mut bytes = vec![0; file.len()?.min(HISTORY_LIMIT as u64) as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    let bytes = read().map_err(io_error(disk, HISTORY_FILE, 0))?;
    let history = History::decode(&bytes).map_err(|error| match error {
        HistoryError::Newer(format) => {
            OpenError::Newer { file: file.clone(), offset: 0, format: format.into() }
        }
        error => OpenError::DamagedHistory { file: file.clone(), error },
    })?;
    Ok(Some(history))
}

/// The first start: `history` comes before any other file, so a crash here leaves none without it.
fn begin<D: Disk>(disk: &D, options: &Options) -> Result<History, OpenError> {
    let history = History::new(options.server, options.salt);
    replace(disk, &history)?;
    Ok(history)
}

fn replace<D: Disk>(disk: &D, history: &History) -> Result<(), OpenError> {
    let bytes = history.encode();
    let failed = io_error(disk, HISTORY_FILE, bytes.len() as u64);
    disk.replace(HISTORY_FILE, &bytes).map_err(|failure| failed(failure.error))
}

/// What the segments hold, in order.
pub(super) struct FoundLog {
    /// All that `history` names; those after `current` are empty.
    pub(super) segments: Vec<Segment>,
    /// For each, the end of what is not zero in its file; beyond its `end` that is a torn tail.
    used: Vec<u64>,
    /// The one to go on writing; meaningless without segments.
    pub(super) current: usize,
    pub(super) chain: Chain,
    pub(super) watermark: Zxid,
    pub(super) last: Zxid,
    /// Whether the last batch has no records, or there is none.
    pub(super) idle: bool,
    salt: u64,
}

impl FoundLog {
    /// Whether a header is the one that would come next: a write the crash cut short.
    fn is_next(&self, generation: u64, header: &Header) -> bool {
        (header.generation, header.number, header.previous)
            == (generation, self.chain.number, self.chain.previous)
    }
}

/// Follows the chain of batches to its end, and makes sure that nothing sound lies beyond (S3).
pub(super) fn read_segments<D: Disk>(disk: &D, history: &History) -> Result<FoundLog, OpenError> {
    let mut found = FoundLog {
        segments: Vec::new(),
        used: Vec::new(),
        current: 0,
        chain: history.chain,
        watermark: Zxid::ZERO,
        last: Zxid::ZERO,
        idle: true,
        salt: history.salt,
    };
    let mut ends = Vec::new(); // per segment, where to scan from
    for (index, entry) in history.segments.iter().enumerate() {
        let name = segment_name(entry.file);
        let path = disk.path(&name);
        let file = disk.open(&name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenError::MissingSegment { file: path },
            _ => io_error(disk, &name, 0)(error),
        })?;
        let len = file.len().map_err(io_error(disk, &name, 0))?;
        let mut reader = BatchReader::new(file);
        let mut segment = Segment::empty(*entry, len, found.chain);
        follow(disk, &mut found, &mut segment, &mut reader)?;
        if segment.end > 0 {
            found.current = index;
        }
        ends.push((segment, reader));
    }
    let break_at = ends.get(found.current).map(|(segment, _)| *segment);
    for (segment, reader) in &mut ends {
        let used = reader.used_from(segment.end).map_err(io_error(disk, &segment.name(), 0))?;
        found.used.push(used);
        if used == segment.end {
            continue; // zeros: the usual case, read once
        }
        let (name, generation) = (segment.name(), segment.entry.generation);
        let later = |header: &Header| header.generation == generation && !found.is_next(generation, header);
        let scanned = reader.scan(segment.end, history.salt, later).map_err(io_error(disk, &name, 0))?;
        if let Some(offset) = scanned {
            // A sound start of a segment with a gap before it: what is lost ended the one before.
            let lost = if offset == segment.end { break_at.unwrap_or(*segment) } else { *segment };
            let (file, what) = (disk.path(&lost.name()), "a sound batch of the same log lies further on");
            return Err(OpenError::DamagedLog { file, offset: lost.end, what });
        }
    }
    found.segments = ends.into_iter().map(|(segment, _)| segment).collect();
    Ok(found)
}

/// Takes in the sound batches of one segment, as far as they continue the chain.
fn follow<D: Disk>(
    disk: &D,
    found: &mut FoundLog,
    segment: &mut Segment,
    reader: &mut BatchReader<D::File>,
) -> Result<(), OpenError> {
    let name = segment.name();
    loop {
        let at = reader.batch(segment.end, found.salt).map_err(io_error(disk, &name, 0))?;
        let (header, crc, last) = match at {
            Found::Batch { header, crc, last } if found.is_next(segment.entry.generation, &header) => {
                (header, crc, last)
            }
            Found::Newer(format) => {
                return Err(OpenError::Newer { file: disk.path(&name), offset: segment.end, format });
            }
            _ => return Ok(()),
        };
        if header.count > 0 && header.first <= found.last {
            let what = "its zxids do not come after those before";
            return Err(OpenError::DamagedLog { file: disk.path(&name), offset: segment.end, what });
        }
        segment.grow(header.size(), header.first, last);
        found.chain = Chain { number: header.number + 1, previous: crc };
        found.watermark = found.watermark.max(header.watermark);
        found.last = found.last.max(last);
        found.idle = header.count == 0;
    }
}

/// A snapshot was entered only when the log was durable through it (S7).
pub(super) fn check_end<D: Disk>(disk: &D, history: &History, found: &FoundLog) -> Result<(), OpenError> {
    if history.snapshots.last().is_none_or(|newest| newest.zxid <= found.last.max(history.log_start)) {
        return Ok(());
    }
    let current = found.segments.get(found.current);
    Err(OpenError::DamagedLog {
        file: disk.path(&current.map_or_else(|| HISTORY_FILE.into(), Segment::name)),
        offset: current.map_or(0, |segment| segment.end),
        what: "the log ends before the newest snapshot does",
    })
}

/// Forgets snapshots whose files are gone, if the rest still is a whole history.
fn check_snapshots<D: Disk>(
    disk: &D,
    history: &mut History,
    names: &[String],
    found: &FoundLog,
) -> Result<(), OpenError> {
    check_end(disk, history, found)?;
    let before = history.snapshots.clone();
    history.snapshots.retain(|snapshot| names.contains(&snapshot.name));
    if history.log_start > Zxid::ZERO && history.usable_snapshots().next().is_none() {
        let missing = before.last().map_or_else(String::new, |snapshot| snapshot.name.clone());
        let log_start = history.log_start;
        return Err(OpenError::MissingSnapshot { file: disk.path(&missing), log_start });
    }
    for gone in before.iter().filter(|snapshot| !history.snapshots.contains(snapshot)) {
        tracing::warn!(file = %disk.path(&gone.name).display(), "this snapshot is missing; an older one, or the log alone, takes its place: look who deletes files here");
    }
    Ok(())
}

/// Zeroes what lies behind the sound batches, and writes the last of them again.
fn mend<D: Disk>(disk: &D, found: &FoundLog, options: &Options) -> Result<Option<TornTail>, OpenError> {
    let mut torn = None;
    for (index, segment) in found.segments.iter().enumerate().skip(found.current) {
        let name = segment.name();
        let failed = io_error(disk, &name, 0);
        let used = found.used[index];
        let file = disk.open(&name).map_err(&failed)?;
        if used > segment.end {
            let tail = TornTail { file: disk.path(&name), offset: segment.end, bytes: used - segment.end };
            if !options.faults.skip_zeroing {
                file.zero_fill(segment.end, used).map_err(&failed)?;
            }
            torn = Some(tail);
        }
        if index == found.current && segment.end > 0 && !options.faults.skip_rewrite {
            let size = (segment.end - segment.last_batch) as usize;
            let mut last = vec![0; size];
            file.read_at(&mut last, segment.last_batch).map_err(&failed)?;
            file.write_at(&last, segment.last_batch).map_err(&failed)?;
        }
        if index == found.current || used > segment.end {
            file.sync_data().map_err(&failed)?;
        }
    }
    Ok(torn)
}

/// Deletes segments and snapshots that `history` does not name. What cannot be deleted stays for the
/// next start.
fn sweep<D: Disk>(disk: &D, history: &History, names: &[String]) {
    for name in names {
        let named = match segment_number(name) {
            Some(number) => history.segments.iter().any(|segment| segment.file == number),
            None if name == UNFINISHED || is_incoming(name) => false,
            None if is_snapshot_name(name) => history.snapshots.iter().any(|s| s.name == *name),
            None => true,
        };
        if !named {
            remove(disk, name);
        }
    }
}

/// Deletes a file that nothing refers to any more.
pub(super) fn remove<D: Disk>(disk: &D, name: &str) {
    if let Err(error) = disk.remove(name) {
        tracing::warn!(file = %disk.path(name).display(), %error, "cannot delete this file; the next start tries again");
    }
}
