//! What the Logger does besides appending: everything that replaces `history`.
//!
//! Each command makes its files durable, then changes `history` by one replacement, then deletes what
//! that no longer names; a crash between any two leaves the old history or the new one, whole (S5).

use std::io;

use paddock_messages::zxid::{Epoch, Zxid};

use super::batch::{self, Place, Records};
use super::disk::{Disk, DiskFile, is_full};
use super::history::{
    Chain, Facts, HISTORY_FILE, History, SegmentEntry, SnapshotEntry, segment_name, unreadable_name,
};
use super::logger::{LogFailure, Logger};
use super::recovery::remove;
use super::txn_log::{BatchReader, Found, Segment};

/// What [`Logger::purge`] deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Snapshot files.
    pub snapshots: usize,
    /// Segments of the log.
    pub segments: usize,
}

impl<D: Disk> Logger<D> {
    /// Everything up to `zxid` is committed, and the disk says so, in a batch without records if there is no other; on a
    /// full one as soon as there is room. Errors as [`flush`](Self::flush).
    pub fn say_committed(&mut self, zxid: Zxid) -> Result<(), LogFailure> {
        self.commit(zxid);
        self.idle = false;
        self.write_idle()
    }

    /// The log holds every txn after this one.
    pub fn log_start(&self) -> Zxid {
        self.history.log_start
    }

    /// The newest snapshot that `history` names; the log goes on behind it without a gap.
    pub fn newest_snapshot(&self) -> Option<SnapshotEntry> {
        self.history.usable_snapshots().next().cloned()
    }

    /// Makes a change to `history` durable. A full disk changes nothing; all else is fatal.
    pub(super) fn change_history(&mut self, change: impl FnOnce(&mut History)) -> Result<(), LogFailure> {
        self.alive()?;
        let mut history = self.history.clone();
        change(&mut history);
        if history == self.history {
            return Ok(());
        }
        let bytes = history.encode();
        match self.disk.replace(HISTORY_FILE, &bytes) {
            Ok(()) => {
                self.history = history;
                Ok(())
            }
            Err(failure) if !failure.replaced && is_full(&failure.error) => {
                Err(LogFailure::Full { file: self.disk.path(HISTORY_FILE), needed: bytes.len() as u64 })
            }
            Err(failure) => Err(self.fatal(HISTORY_FILE, "replacing the file", failure.error)),
        }
    }

    /// Makes both epochs durable. Panics if one would go back, or the current pass the accepted (S9).
    pub fn set_epochs(&mut self, accepted: Epoch, current: Epoch) -> Result<(), LogFailure> {
        self.change_facts(|facts| {
            facts.accepted_epoch = accepted;
            facts.current_epoch = current;
        })
    }

    /// Makes any of the facts durable, together. Panics as [`set_epochs`](Self::set_epochs).
    pub fn change_facts(&mut self, change: impl FnOnce(&mut Facts)) -> Result<(), LogFailure> {
        let before = self.history.facts;
        let mut facts = before;
        change(&mut facts);
        let rising = facts.accepted_epoch >= before.accepted_epoch
            && facts.current_epoch >= before.current_epoch
            && facts.accepted_epoch >= facts.current_epoch;
        assert!(rising, "S9: epochs {before:?} may not become {facts:?}");
        self.change_history(|history| history.facts = facts)
    }

    /// Enters a finished, synced snapshot file into `history`, once the log is durable through it (S7).
    /// One that is refused is deleted: nothing would ever name it, and the next has another name.
    pub fn add_snapshot(&mut self, name: &str, zxid: Zxid) -> Result<(), LogFailure> {
        let entered = self.enter_snapshot(name, zxid);
        let is_refused = entered.as_ref().is_err_and(|failure| !failure.is_fatal());
        if is_refused && self.history.snapshots.iter().all(|snapshot| snapshot.name != name) {
            remove(&self.disk, name);
        }
        entered
    }

    fn enter_snapshot(&mut self, name: &str, zxid: Zxid) -> Result<(), LogFailure> {
        let durable = self.flush()?.upto;
        let log_start = self.history.log_start;
        let differs = self.history.facts.tree_differs || zxid <= self.replaced_at; // S16
        if differs || zxid < log_start {
            // Its walk began before a leader's snapshot took the place of all before.
            return Err(LogFailure::SnapshotBehind { name: name.into(), zxid, log_start });
        }
        // The start of an epoch is no txn: such a snapshot stands for what was logged before. Nearly always
        // that is all there is; the log is read only where a later txn is durable already.
        let zxid = match zxid.counter() {
            0 if durable < zxid => durable,
            0 => self.last_before(zxid)?,
            _ => zxid,
        };
        if zxid > durable {
            return Err(LogFailure::SnapshotAhead { name: name.into(), zxid, durable });
        }
        self.change_history(|history| {
            history.snapshots.retain(|snapshot| snapshot.name != name);
            let at = history.snapshots.partition_point(|snapshot| snapshot.zxid <= zxid);
            history.snapshots.insert(at, SnapshotEntry { name: name.into(), zxid });
        })
    }

    /// Forgets and deletes a snapshot that is damaged.
    pub fn forget_snapshot(&mut self, name: &str) -> Result<(), LogFailure> {
        self.change_history(|history| history.snapshots.retain(|snapshot| snapshot.name != name))?;
        remove(&self.disk, name);
        Ok(())
    }

    /// Forgets a snapshot that the disk did not give, and keeps its file under another name: it may be whole. The
    /// name; `None` if it could not be renamed, and then the next start deletes it, as it does with whatever
    /// `history` does not name.
    pub fn set_snapshot_aside(&mut self, name: &str) -> Result<Option<String>, LogFailure> {
        let aside = unreadable_name(name);
        let renamed = self.disk.rename(name, &aside);
        if renamed.is_ok() {
            let _ = self.disk.sync_dir(&aside); // a crash may bring the old name back, which no history has then
        }
        self.change_history(|history| history.snapshots.retain(|snapshot| snapshot.name != name))?;
        Ok(renamed.is_ok().then_some(aside))
    }

    /// Keeps the `keep` newest snapshots (at least one), the segments needed from the oldest of them
    /// on, and the one segment before; deletes the rest. Source: ZooKeeper's PurgeTxnLog.
    pub fn purge(&mut self, keep: usize) -> Result<Purged, LogFailure> {
        let snapshots = &self.history.snapshots;
        let drop_snapshots = snapshots.len().saturating_sub(keep.max(1));
        let Some(oldest) = snapshots.get(drop_snapshots).map(|snapshot| snapshot.zxid) else {
            return Ok(Purged::default());
        };
        let needed = self.past.iter().position(|segment| segment.last > oldest).unwrap_or(self.past.len());
        let drop_segments = needed.saturating_sub(1);
        let dropped = self.past[..drop_segments].iter();
        let log_start = dropped.map(|segment| segment.last).max().unwrap_or(Zxid::ZERO);
        let chain = self.past.get(drop_segments).unwrap_or(&self.current).start;
        let gone_names: Vec<String> =
            snapshots[..drop_snapshots].iter().map(|snapshot| snapshot.name.clone()).collect();
        let change = |history: &mut History| {
            history.snapshots.drain(..drop_snapshots);
            history.segments.drain(..drop_segments);
            if drop_segments > 0 {
                history.log_start = history.log_start.max(log_start);
                history.chain = chain;
            }
        };
        match self.change_history(change) {
            Err(failure) if !failure.is_fatal() && self.spend_spare()? => self.change_history(change)?,
            changed => changed?,
        }
        let gone_segments: Vec<String> = self.past.drain(..drop_segments).map(|it| it.name()).collect();
        for gone in [gone_segments, gone_names] {
            gone.iter().for_each(|name| remove(&self.disk, name));
            if let Some(Err(error)) = gone.first().map(|name| self.disk.sync_dir(name)) {
                // The space comes back later, then: file systems keep it until the removal is durable.
                tracing::warn!(%error, "cannot sync the directory after a purge");
            }
        }
        self.keep_spare()?; // if it was spent, or came too late for the last start
        Ok(Purged { snapshots: drop_snapshots, segments: drop_segments })
    }

    /// Cuts every txn after `to`: the segment in which the cut falls is copied up to it into a new
    /// generation, those after it are deleted. Committed txns are never cut.
    pub fn truncate_after(&mut self, to: Zxid) -> Result<(), LogFailure> {
        self.flush()?;
        let newest = self.history.snapshots.last().map_or(Zxid::ZERO, |snapshot| snapshot.zxid);
        let log_start = self.history.log_start;
        let kept = newest.max(log_start);
        let watermark = self.watermark.min(self.durable).max(kept);
        // The watermark may be the start of an epoch, which is no txn: what counts is what would go.
        if to < kept || (to < watermark && self.first_after(to)?.is_some_and(|it| it <= watermark)) {
            return Err(LogFailure::BelowWatermark { to, watermark });
        }
        if to >= self.durable {
            return Ok(());
        }
        let kept = self.past.iter().position(|segment| segment.last > to).unwrap_or(self.past.len());
        let source = *self.past.get(kept).unwrap_or(&self.current);
        let (number, target) = self.prepare_now(source.len + batch::ALIGN as u64)?;
        let entry = SegmentEntry { file: number, generation: self.history.generation + 1 };
        let copied = self.copy_until(&source, to, entry, &target);
        let copy = copied.map_err(|error| self.fatal(&source.name(), "copying up to the cut", error))?;
        self.begin_generation(kept, copy.segment, |_| ())?;
        self.file = target;
        self.chain = copy.chain;
        self.idle = copy.idle;
        let last = self.past.iter().chain([&self.current]).map(|segment| segment.last).max();
        self.durable = last.unwrap_or(Zxid::ZERO).max(self.history.log_start);
        self.make_room(0) // the copy's rest may be less than the old segment's: S8
    }

    /// The last txn before the start of an epoch.
    fn last_before(&mut self, start: Zxid) -> Result<Zxid, LogFailure> {
        let before = self.history.snapshots.iter().map(|snapshot| snapshot.zxid).filter(|it| *it < start);
        let mut last = before.max().unwrap_or(Zxid::ZERO).max(self.history.log_start);
        let read = self.reader(Zxid(last.0 + 1)).and_then(|mut log| {
            while let Some((zxid, _)) = log.next_record()?.filter(|(zxid, _)| *zxid < start) {
                last = zxid;
            }
            Ok(last)
        });
        read.map_err(|error| self.fatal(&self.current.name(), "looking for a txn", error))
    }

    /// The log's first txn after `at`.
    fn first_after(&mut self, at: Zxid) -> Result<Option<Zxid>, LogFailure> {
        let next =
            self.reader(Zxid(at.0 + 1)).and_then(|mut log| Ok(log.next_record()?.map(|(zxid, _)| zxid)));
        next.map_err(|error| self.fatal(&self.current.name(), "looking for a txn", error))
    }

    /// Makes a snapshot received from a leader, or imported, the whole history: the log goes on after
    /// it, empty. The file must be finished and synced. All older snapshots and segments are deleted.
    pub fn install_snapshot(&mut self, name: &str, zxid: Zxid) -> Result<(), LogFailure> {
        self.flush()?;
        let (number, file) = self.prepare_now(0)?;
        let entry = SegmentEntry { file: number, generation: self.history.generation + 1 };
        let len =
            file.len().map_err(|error| self.fatal(&segment_name(number), "reading its length", error))?;
        let old: Vec<String> = self.history.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect();
        self.begin_generation(0, Segment::empty(entry, len, Chain::START), |history| {
            history.log_start = zxid;
            history.chain = Chain::START;
            history.snapshots = vec![SnapshotEntry { name: name.into(), zxid }];
            history.facts.tree_differs = false;
        })?;
        self.file = file;
        (self.chain, self.idle) = (Chain::START, true);
        (self.watermark, self.durable) = (zxid, zxid);
        for name in old.iter().filter(|old| *old != name) {
            remove(&self.disk, name);
        }
        self.make_room(0)
    }

    /// Marks the tree that this history comes to as another than a quorum's, or takes the mark away.
    pub fn mark_tree(&mut self, differs: bool) -> Result<(), LogFailure> {
        self.change_history(|history| history.facts.tree_differs = differs)
    }

    /// Makes a snapshot received from a leader the only one, and keeps the log, which must go on behind it; the
    /// mark of the tree is taken away. The file must be finished and synced. All older snapshots are deleted, and
    /// none that was begun before enters any more (S16).
    pub fn replace_snapshots(&mut self, name: &str, zxid: Zxid) -> Result<(), LogFailure> {
        let durable = self.flush()?.upto;
        let log_start = self.history.log_start;
        if zxid < log_start {
            return Err(LogFailure::SnapshotBehind { name: name.into(), zxid, log_start });
        }
        if zxid > durable {
            return Err(LogFailure::SnapshotAhead { name: name.into(), zxid, durable });
        }
        let old: Vec<String> = self.history.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect();
        self.change_history(|history| {
            history.snapshots = vec![SnapshotEntry { name: name.into(), zxid }];
            history.facts.tree_differs = false;
        })?;
        // A tree may be at the start of an epoch, which is no txn.
        self.replaced_at = durable.max(self.history.facts.current_epoch.start());
        for name in old.iter().filter(|old| *old != name) {
            remove(&self.disk, name);
        }
        Ok(())
    }

    /// Makes `first` follow the first `kept` segments, in a new generation, by one replacement of
    /// `history`, and deletes the segments it takes the place of. Reserves stay.
    fn begin_generation(
        &mut self,
        kept: usize,
        first: Segment,
        change: impl FnOnce(&mut History),
    ) -> Result<(), LogFailure> {
        let generation = first.entry.generation;
        let mut reserved = self.reserved.clone();
        reserved.iter_mut().for_each(|segment| segment.entry.generation = generation);
        let changed = self.change_history(|history| {
            history.generation = generation;
            history.segments.truncate(kept);
            history.segments.extend([first].iter().chain(&reserved).map(|segment| segment.entry));
            change(history);
        });
        if let Err(failure) = changed {
            if !failure.is_fatal() {
                remove(&self.disk, &first.name());
            }
            return Err(failure);
        }
        self.reserved = reserved;
        let replaced = std::mem::replace(&mut self.current, first);
        for segment in self.past.drain(kept..).chain([replaced]) {
            remove(&self.disk, &segment.name());
        }
        Ok(())
    }

    /// Copies the records of `source` up to `to`, and syncs the copy.
    fn copy_until(
        &self,
        source: &Segment,
        to: Zxid,
        entry: SegmentEntry,
        target: &D::File,
    ) -> io::Result<Copied> {
        let mut reader = BatchReader::new(self.disk.open(&source.name())?);
        let mut segment = Segment::empty(entry, target.len()?, source.start);
        let (mut chain, mut idle, mut carried) = (source.start, true, Zxid::ZERO);
        let (mut records, mut out, mut offset) = (Records::default(), Vec::new(), 0);
        while offset < source.end {
            let Found::Batch { header, .. } = reader.batch(offset, self.history.salt)? else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("damaged at byte {offset}")));
            };
            let mut rest = reader.bytes(offset + batch::HEADER as u64, header.length as usize)?;
            records.clear();
            while let Some((zxid, payload, size)) = batch::record(rest).filter(|(zxid, ..)| *zxid <= to) {
                records.push(zxid, payload);
                rest = &rest[size..];
            }
            if header.count > 0 && records.is_empty() {
                break;
            }
            let place =
                Place { generation: entry.generation, number: chain.number, previous: chain.previous };
            carried = header.watermark.min(to);
            let crc = records.seal(&place, carried, self.history.salt, &mut out);
            target.write_at(&out, segment.end)?;
            segment.grow(out.len() as u64, records.first(), records.last());
            chain = Chain { number: chain.number + 1, previous: crc };
            idle = records.is_empty();
            if records.len() < header.count {
                break;
            }
            offset += header.size();
        }
        let watermark = self.watermark.min(to);
        if !idle || carried < watermark {
            // The batches cut off may have carried it; and it proves the copy's last batch durable.
            let place =
                Place { generation: entry.generation, number: chain.number, previous: chain.previous };
            records.clear();
            let crc = records.seal(&place, watermark, self.history.salt, &mut out);
            target.write_at(&out, segment.end)?;
            segment.grow(out.len() as u64, Zxid::ZERO, Zxid::ZERO);
            (chain, idle) = (Chain { number: chain.number + 1, previous: crc }, true);
        }
        target.sync_data()?;
        Ok(Copied { segment, chain, idle })
    }

    /// Writes what is open and one last empty batch; the lock goes with the Logger.
    pub fn shutdown(mut self) -> Result<(), LogFailure> {
        self.flush()?;
        self.write_idle()
    }
}

/// A segment copied up to a cut.
struct Copied {
    segment: Segment,
    chain: Chain,
    idle: bool,
}
