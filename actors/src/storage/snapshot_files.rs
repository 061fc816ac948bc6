//! Snapshots as files of a data directory: written beside what goes on, found again at the start.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use paddock_messages::codec::{self, CodecError};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;

use super::snapshot::{self, Footer, SnapshotError, SnapshotWriter};
use super::stream::{FileReader, FileWriter};
use super::{Disk, DiskFile, LogFailure, Logger, Recovered, snapshot_name};
use crate::tree::walk::QUEUE_LIMIT;
use crate::tree::{DataTree, Events, SharedTree, TreeOptions};

/// A txn that takes more than this in memory is none that was logged: a request is at most 16 times
/// `jute.maxbuffer`, which is at most 2 GiB.
pub(super) const TXN_LIMIT: usize = 1 << 31;
/// What a snapshot is called until it is whole.
pub(super) const UNFINISHED: &str = "snapshot.tmp";

/// Why no tree was made of a data directory.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// None of the snapshots can be loaded, and the log does not begin at the start.
    #[error(
        "{directory}: none of the {count} snapshots can be loaded, and the log begins only after {log_start}; \
         restore one of them, or let the ensemble replace this member's data (paddock resync)"
    )]
    NoSnapshot {
        /// The data directory.
        directory: PathBuf,
        /// Snapshots tried.
        count: usize,
        /// The txn before the log's first.
        log_start: Zxid,
    },
    /// A later release wrote the snapshot.
    #[error(transparent)]
    Snapshot(SnapshotError),
    /// The log cannot be read.
    #[error("reading the log: {0}; check the disk")]
    Log(#[from] io::Error),
    /// A record that is whole but no txn: another release wrote it.
    #[error("the txn {zxid} in the log cannot be decoded: {error}; run the version of paddock that wrote it")]
    Txn {
        /// Its zxid.
        zxid: Zxid,
        /// What is wrong.
        error: CodecError,
    },
    /// The log is an ensemble's of later releases.
    #[error(
        "the txn {zxid} in the log raises the ensemble to feature level {level}, and this version of paddock reads {reads} \
         at most; run the version that wrote it, or a later one"
    )]
    Level {
        /// Its zxid.
        zxid: Zxid,
        /// What it raises to.
        level: u8,
        /// What is read here.
        reads: u8,
    },
    /// `history` cannot be written.
    #[error(transparent)]
    History(#[from] LogFailure),
}

impl RestoreError {
    /// Whether the snapshots are damaged: a member can give them up, with its log ([`super::discard`]).
    pub fn can_be_given_up(&self) -> bool {
        matches!(self, Self::NoSnapshot { .. })
    }

    /// Whether a later release wrote the data: it is whole, and not for this one.
    pub fn is_newer(&self) -> bool {
        match self {
            Self::Level { .. } => true,
            Self::Snapshot(error) => error.is_newer(),
            _ => false,
        }
    }
}

/// A tree, and how it came to be.
#[derive(Debug)]
pub struct Restored {
    /// Everything the log holds is applied.
    pub tree: DataTree,
    /// The snapshot it began with; zero for none.
    pub snapshot: Zxid,
    /// Snapshots that could not be loaded, and are forgotten.
    pub bad_snapshots: usize,
    /// Txns applied from the log.
    pub replayed: u64,
    /// To read the snapshot.
    pub snapshot_took: Duration,
    /// To read and apply the log.
    pub log_took: Duration,
}

/// Makes the tree that a data directory holds: the newest snapshot that can be loaded, and the log
/// after it, through `upto`. A snapshot that is damaged is said so, forgotten and deleted; one that cannot be read is
/// set aside.
pub fn restore<D: Disk>(
    disk: &D,
    logger: &mut Logger<D>,
    recovered: &Recovered,
    options: TreeOptions,
    upto: Zxid,
) -> Result<Restored, RestoreError> {
    let began = Instant::now();
    let (tree, bad_snapshots) = newest_snapshot(disk, logger, recovered, options)?;
    let (snapshot, snapshot_took) = (tree.last_zxid(), began.elapsed());
    let log_took = Duration::ZERO;
    let mut restored = Restored { tree, snapshot, bad_snapshots, replayed: 0, snapshot_took, log_took };
    restored.replay(logger, options, upto)?;
    Ok(restored)
}

impl Restored {
    /// Applies what the log has behind the tree, through `upto`.
    ///
    /// # Errors
    /// As [`restore`]'s of the log; the tree is of no use then.
    pub fn replay<D: Disk>(
        &mut self,
        logger: &Logger<D>,
        options: TreeOptions,
        upto: Zxid,
    ) -> Result<(), RestoreError> {
        let began = Instant::now();
        let mut log = logger.reader(Zxid(self.tree.last_zxid().0 + 1))?;
        while let Some((zxid, payload)) = log.next_record()? {
            if zxid > upto {
                break;
            }
            let txn = read_txn(zxid, payload, options)?;
            self.tree.apply(&txn, &mut Events::unwanted());
            self.replayed += 1;
        }
        self.log_took += began.elapsed();
        Ok(())
    }
}

/// The txn of a record of the log. Fails where it is none, or where what is logged behind it is nothing that is read here
/// (FL3).
pub fn read_txn(zxid: Zxid, payload: &[u8], options: TreeOptions) -> Result<Txn, RestoreError> {
    let txn = decode_txn(zxid, payload)?;
    let (level, reads) = (txn.body.level(), options.reads_level);
    if level > reads { Err(RestoreError::Level { zxid, level, reads }) } else { Ok(txn) }
}

/// The same, whatever is logged behind it.
pub fn decode_txn(zxid: Zxid, payload: &[u8]) -> Result<Txn, RestoreError> {
    codec::decode::<_, TXN_LIMIT>(payload).map_err(|error| RestoreError::Txn { zxid, error })
}

fn newest_snapshot<D: Disk>(
    disk: &D,
    logger: &mut Logger<D>,
    recovered: &Recovered,
    options: TreeOptions,
) -> Result<(DataTree, usize), RestoreError> {
    let mut bad = Vec::new();
    for entry in &recovered.snapshots {
        let file = disk.path(&entry.name);
        let loaded = disk
            .open(&entry.name)
            .map_err(|error| SnapshotError::Io { file: file.clone(), error })
            .and_then(|from| snapshot::load(&file, FileReader::new(from), options));
        match loaded {
            Ok(tree) => return Ok((tree, forget(disk, logger, &bad)?)),
            Err(error) if error.is_newer() => return Err(RestoreError::Snapshot(error)),
            Err(error) => bad.push((entry.name.as_str(), error)),
        }
    }
    if recovered.log_start > Zxid::ZERO {
        for (_, error) in &bad {
            tracing::error!(%error, "this snapshot cannot be loaded; it is left as it is");
        }
        return Err(RestoreError::NoSnapshot {
            directory: disk.path(""),
            count: recovered.snapshots.len(),
            log_start: recovered.log_start,
        });
    }
    Ok((DataTree::new(options), forget(disk, logger, &bad)?))
}

/// Only once the tree can be made without them: a purge must not count them among those it keeps. Where the disk did not
/// answer, nobody knows whether the file is damaged, and it is not deleted.
fn forget<D: Disk>(
    disk: &D,
    logger: &mut Logger<D>,
    bad: &[(&str, SnapshotError)],
) -> Result<usize, LogFailure> {
    for (name, error) in bad {
        if !matches!(error, SnapshotError::Io { .. }) {
            logger.forget_snapshot(name)?;
            tracing::error!(%error, "this snapshot is deleted; an older one, or the log alone, has the same: nothing is lost, but check the disk");
        } else if let Some(aside) = logger.set_snapshot_aside(name)? {
            let kept = disk.path(&aside);
            tracing::error!(%error, kept = %kept.display(), "this snapshot cannot be read and is set aside; an older one, or the log alone, has the same: nothing is lost, but check the disk, then delete the file");
        } else {
            tracing::error!(%error, "this snapshot cannot be read and is used no more; an older one, or the log alone, has the same: nothing is lost, but check the disk");
        }
    }
    Ok(bad.len())
}

/// Writes the tree as it is now into a snapshot file, while writes go on, and syncs it. To be run on a
/// thread of its own; then `history` must learn of it. `None` while another walk goes on.
pub fn take<D: Disk>(disk: &D, tree: &SharedTree) -> Option<Result<(String, Footer), SnapshotError>> {
    let mut taking = match Taking::begin(disk, tree, QUEUE_LIMIT)? {
        Ok(taking) => taking,
        Err(error) => return Some(Err(error)),
    };
    loop {
        if let Some(taken) = taking.step(tree).transpose() {
            return Some(taken);
        }
    }
}

/// A snapshot file being written: what [`take`] does, step by step.
pub struct Taking<D: Disk> {
    disk: D,
    to: D::File,
    at: u64,
    writer: SnapshotWriter,
}

impl<D: Disk> Taking<D> {
    /// Begins with the tree as it is now. `None` while another walk goes on. It is given up when more
    /// than `queue_limit` bytes of old images wait between two steps.
    pub fn begin(disk: &D, tree: &SharedTree, queue_limit: usize) -> Option<Result<Self, SnapshotError>> {
        let mut writer = tree.write();
        let walk = writer.tree_mut().begin_walk(queue_limit);
        writer.commit(|_| {}); // nothing was applied, so nobody is to be woken
        let walk = walk?;
        let begun = (|| {
            let file = disk.path(UNFINISHED);
            let to =
                disk.create(UNFINISHED).map_err(|error| SnapshotError::Io { file: file.clone(), error })?;
            let mut stream = FileWriter::new(&to);
            let writer = SnapshotWriter::begin(walk, &file, &mut stream)?;
            let at = stream.position();
            Ok(Self { disk: disk.clone(), to, at, writer })
        })();
        Some(give_back(disk, begun))
    }

    /// Writes some more. The file's name and what it holds, once it is whole and synced; then this is
    /// over, as after an error.
    pub fn step(&mut self, tree: &SharedTree) -> Result<Option<(String, Footer)>, SnapshotError> {
        let stepped = self.write_step(tree);
        give_back(&self.disk, stepped)
    }

    fn write_step(&mut self, tree: &SharedTree) -> Result<Option<(String, Footer)>, SnapshotError> {
        let mut stream = FileWriter::at(&self.to, self.at);
        let footer = self.writer.step(tree, &mut stream)?;
        self.at = stream.position();
        let Some(footer) = footer else { return Ok(None) };
        let name = snapshot_name(footer.zxid);
        let finish = || {
            self.to.sync_data()?;
            self.disk.rename(UNFINISHED, &name)?;
            self.disk.sync_dir(&name)
        };
        finish().map_err(|error| SnapshotError::Io { file: self.disk.path(UNFINISHED), error })?;
        Ok(Some((name, footer)))
    }
}

/// After a failure, gives the space back; the next one overwrites the file.
fn give_back<D: Disk, T>(disk: &D, done: Result<T, SnapshotError>) -> Result<T, SnapshotError> {
    if done.is_err() {
        let _ = disk.remove(UNFINISHED);
    }
    done
}
