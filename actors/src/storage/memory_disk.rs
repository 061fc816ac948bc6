//! A disk in memory that does, by seed, what disks do: it loses what was not synced, in any part, tears
//! writes between sectors, runs full, fails, and crashes at a chosen operation.
//!
//! Files have two contents: what a reader sees (the page cache) and what a power failure leaves. The
//! same is true of names. A killed process loses nothing, and syncs nothing either.

mod fork;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::{Disk, DiskFile};
use super::pair::lies_with_snapshots;

const SECTOR: usize = 512;

/// What a crash does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Unsynced bytes and names are lost, in any subset.
    PowerFailure,
    /// The process ends, the page cache stays.
    Kill,
}

/// What was done to the data so far: a simulation asserts that its seeds did enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Operations that were asked for and not refused for a crash.
    pub operations: u64,
    /// Crashes at a write, a sync, or an operation on names.
    pub crashes_at_write: u64,
    /// See `crashes_at_write`.
    pub crashes_at_sync: u64,
    /// See `crashes_at_write`.
    pub crashes_at_name: u64,
    /// Unsynced sectors that a power failure took.
    pub lost_sectors: u64,
    /// Unsynced sectors that a power failure left.
    pub kept_sectors: u64,
    /// Unsynced changes of names that a power failure took.
    pub lost_names: u64,
    /// Writes refused for want of space.
    pub full: u64,
    /// Syncs that failed on demand.
    pub failed_syncs: u64,
}

/// Cheap to clone; all clones are one disk, as of one start of the process.
#[derive(Clone)]
pub struct MemoryDisk {
    shared: Arc<Mutex<State>>,
    start: u64,
}

/// An open file of a [`MemoryDisk`].
pub struct MemoryFile {
    disk: MemoryDisk,
    inode: u64,
}

/// The claim on a [`MemoryDisk`].
pub struct MemoryLock {
    disk: MemoryDisk,
}

#[derive(Clone, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
}

type NameChange = Vec<(String, Option<u64>)>; // one operation: what each name means after it

#[derive(Clone)]
struct State {
    rng: StdRng,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    capacity: u64,
    start: u64,
    locked: bool,
    crashed: bool,
    crash_in: Option<u64>,
    fail_syncs: u64,
    counters: DiskCounters,
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Sync,
    Name,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            capacity: u64::MAX,
            start: 0,
            locked: false,
            crashed: false,
            crash_in: None,
            fail_syncs: 0,
            counters: DiskCounters::default(),
        };
        Self { shared: Arc::new(Mutex::new(state)), start: 0 }
    }

    /// Bytes that all files together may take from now on.
    pub fn set_capacity(&self, bytes: u64) {
        self.shared.lock().capacity = bytes;
    }

    /// Bytes that all files take.
    pub fn used_bytes(&self) -> u64 {
        self.shared.lock().used()
    }

    /// Crashes instead of doing the `n`th operation from now that changes or syncs anything (0: the
    /// next). If it is a write, a part of it may be done first.
    pub fn crash_in(&self, n: u64) {
        self.shared.lock().crash_in = Some(n);
    }

    /// Crashes now: every operation fails until [`restart`](Self::restart).
    pub fn crash(&self) {
        self.shared.lock().crashed = true;
    }

    /// Whether it has crashed.
    pub fn is_crashed(&self) -> bool {
        self.shared.lock().crashed
    }

    /// Lets the next `n` syncs of files fail, with any part of the bytes written; as on Linux, a later
    /// sync does not write the rest.
    pub fn fail_syncs(&self, n: u64) {
        self.shared.lock().fail_syncs = n;
    }

    /// What is left after `crash`, to a new process. Older handles stay dead.
    pub fn restart(&self, crash: Crash) -> Self {
        let mut state = self.shared.lock();
        if crash == Crash::PowerFailure {
            state.lose();
        }
        state.start += 1;
        (state.locked, state.crashed, state.crash_in, state.fail_syncs) = (false, false, None, 0);
        Self { shared: self.shared.clone(), start: state.start }
    }

    /// Inverts one bit of a file, behind everybody's back. Panics if there is no such byte.
    pub fn flip_bit(&self, name: &str, bit: u64) {
        let mut state = self.shared.lock();
        let inode = state.names[name];
        let inode = state.inodes.get_mut(&inode).expect("names mean inodes");
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        inode.cached[byte] ^= mask;
        if let Some(durable) = inode.durable.get_mut(byte) {
            *durable ^= mask;
        }
    }

    /// What was done so far.
    pub fn counters(&self) -> DiskCounters {
        self.shared.lock().counters
    }

    fn run<T>(&self, kind: Kind, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.run_or_tear(kind, |_| (), act)
    }

    /// `tear` does the part of an operation that a crash at it leaves.
    fn run_or_tear<T>(
        &self,
        kind: Kind,
        tear: impl FnOnce(&mut State),
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.shared.lock();
        if state.crashed || state.start != self.start {
            return Err(io::Error::other("the simulated machine is down"));
        }
        if !matches!(kind, Kind::Read) && state.crash_in == Some(0) {
            state.crashed = true;
            match kind {
                Kind::Write => state.counters.crashes_at_write += 1,
                Kind::Sync => state.counters.crashes_at_sync += 1,
                _ => state.counters.crashes_at_name += 1,
            }
            tear(&mut state);
            return Err(io::Error::other("the simulated machine crashed"));
        }
        if !matches!(kind, Kind::Read) {
            state.crash_in = state.crash_in.map(|left| left - 1);
        }
        state.counters.operations += 1;
        act(&mut state)
    }
}

impl State {
    fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        named.iter().map(|inode| self.inodes[inode].cached.len() as u64).sum()
    }

    fn inode(&mut self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name))
    }

    fn change_names(&mut self, change: NameChange) {
        set_names(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn write(&mut self, inode: u64, bytes: &[u8], offset: usize) -> io::Result<()> {
        let end = offset + bytes.len();
        let growth = end.saturating_sub(self.inodes[&inode].cached.len()) as u64;
        if growth > 0 && self.used() + growth > self.capacity {
            self.counters.full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = self.inodes.get_mut(&inode).expect("open files are kept");
        if inode.cached.len() < end {
            inode.cached.resize(end, 0);
        }
        inode.cached[offset..end].copy_from_slice(bytes);
        inode.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
        Ok(())
    }

    fn sync(&mut self, inode: u64) -> io::Result<()> {
        let failing = self.fail_syncs > 0;
        let inode = self.inodes.get_mut(&inode).expect("open files are kept");
        for sector in std::mem::take(&mut inode.dirty) {
            if !failing || self.rng.random() {
                inode.harden(sector);
            }
        }
        if failing {
            self.fail_syncs -= 1;
            self.counters.failed_syncs += 1;
            return Err(io::Error::other("the simulated disk failed"));
        }
        Ok(())
    }

    /// A power failure: everything unsynced is kept, lost, or kept in part, as the seed says.
    fn lose(&mut self) {
        let keep = [0.0, 0.5, 0.9, 1.0][self.rng.random_range(0..4)];
        for change in std::mem::take(&mut self.unsynced_names) {
            if self.rng.random_bool(keep) {
                set_names(&mut self.durable_names, &change);
            } else {
                self.counters.lost_names += 1;
            }
        }
        self.names = self.durable_names.clone();
        for inode in self.inodes.values_mut() {
            for sector in std::mem::take(&mut inode.dirty) {
                if self.rng.random_bool(keep) {
                    self.counters.kept_sectors += 1;
                    inode.harden(sector);
                } else {
                    self.counters.lost_sectors += 1;
                }
            }
            inode.cached.clone_from(&inode.durable);
        }
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }
}

impl Inode {
    /// Copies one sector to what a power failure leaves.
    fn harden(&mut self, sector: usize) {
        let (from, to) = (sector * SECTOR, self.cached.len().min((sector + 1) * SECTOR));
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        self.durable[from..to].copy_from_slice(&self.cached[from..to]);
    }
}

fn set_names(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    for (name, inode) in change {
        match inode {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn lock(&self) -> Result<MemoryLock, (PathBuf, io::Error)> {
        let locked = self.run(Kind::Read, |state| Ok(std::mem::replace(&mut state.locked, true)));
        match locked {
            Ok(false) => Ok(MemoryLock { disk: self.clone() }),
            Ok(true) => Err((self.path(""), io::ErrorKind::WouldBlock.into())),
            Err(error) => Err((self.path(""), error)),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.run(Kind::Read, |state| Ok(state.names.keys().cloned().collect()))
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        self.run(Kind::Read, |state| Ok(MemoryFile { disk: self.clone(), inode: state.inode(name)? }))
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        self.run(Kind::Name, |state| {
            let inode = state.next_inode;
            state.next_inode += 1;
            state.inodes.insert(inode, Inode::default());
            state.change_names(vec![(name.into(), Some(inode))]);
            Ok(MemoryFile { disk: self.clone(), inode })
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.run(Kind::Name, |state| {
            let inode = state.inode(from)?;
            state.change_names(vec![(from.into(), None), (to.into(), Some(inode))]);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.run(Kind::Name, |state| {
            state.inode(name)?;
            state.change_names(vec![(name.into(), None)]);
            Ok(())
        })
    }

    /// As if snapshots lay in a directory of their own: who syncs for one name alone is found out.
    fn sync_dir(&self, name: &str) -> io::Result<()> {
        self.run(Kind::Sync, |state| {
            let same = |change: &NameChange| lies_with_snapshots(&change[0].0) == lies_with_snapshots(name);
            let synced = state.unsynced_names.extract_if(.., |change| same(change));
            synced.for_each(|change| set_names(&mut state.durable_names, &change));
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.run(Kind::Read, |state| Ok(state.capacity.saturating_sub(state.used())))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("memory").join(name)
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.run(Kind::Read, |state| Ok(state.inodes[&self.inode].cached.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.run(Kind::Read, |state| {
            let cached = &state.inodes[&self.inode].cached;
            let rest = cached.get(offset as usize..).unwrap_or_default();
            let read = rest.len().min(buf.len());
            buf[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let tear = |state: &mut State| {
            let part = state.rng.random_range(0..=bytes.len());
            let _ = state.write(self.inode, &bytes[..part], offset as usize); // the crash is the error
        };
        self.disk.run_or_tear(Kind::Write, tear, |state| state.write(self.inode, bytes, offset as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.run(Kind::Sync, |state| state.sync(self.inode))
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.shared.lock();
        if state.start == self.disk.start {
            state.locked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A synced file "a" of four sectors of ones, rewritten with twos but not synced, and an unsynced "b".
    fn half_synced(seed: u64) -> MemoryDisk {
        let disk = MemoryDisk::new(seed);
        let file = disk.create("a").unwrap();
        file.write_at(&[1; 4 * SECTOR], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir("a").unwrap();
        file.write_at(&[2; 4 * SECTOR], 0).unwrap();
        disk.create("b").unwrap();
        disk
    }

    #[test]
    fn a_power_failure_takes_any_part_of_what_was_not_synced_and_a_kill_none() {
        let (mut mixed, mut lost_name) = (0, 0);
        for seed in 0..100 {
            let disk = half_synced(seed).restart(Crash::Kill);
            assert_eq!(disk.list().unwrap(), ["a", "b"]);
            let disk = disk.restart(Crash::PowerFailure);
            let mut bytes = [0; 4 * SECTOR];
            assert_eq!(disk.open("a").unwrap().read_at(&mut bytes, 0).unwrap(), bytes.len());
            for sector in bytes.chunks(SECTOR) {
                assert!(sector.iter().all(|b| *b == sector[0]) && (1..=2).contains(&sector[0]));
            }
            mixed += u32::from(bytes.contains(&1) && bytes.contains(&2));
            lost_name += u32::from(disk.open("b").is_err());
        }
        assert!(mixed > 10 && lost_name > 10, "{mixed} mixed, {lost_name} lost");
    }

    #[test]
    fn a_crash_at_an_operation_ends_everything_until_the_restart() {
        let disk = MemoryDisk::new(1);
        let held = disk.lock().unwrap();
        disk.crash_in(1);
        let file = disk.create("a").unwrap();
        assert!(file.write_at(&[1; 100], 0).is_err() && disk.is_crashed() && disk.list().is_err());
        let next = disk.restart(Crash::Kill);
        assert!(disk.list().is_err() && file.len().is_err(), "the old process is dead");
        assert!(next.lock().is_ok(), "and its lock with it");
        drop(held);
        assert_eq!(next.counters().crashes_at_write, 1);
    }

    #[test]
    fn a_full_disk_refuses_growth_alone() {
        let disk = MemoryDisk::new(1);
        let file = disk.create("a").unwrap();
        file.zero_fill(0, 1000).unwrap();
        disk.set_capacity(1000);
        file.write_at(&[1; 1000], 0).unwrap();
        assert_eq!(file.write_at(&[1], 1000).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((disk.free_bytes().unwrap(), disk.counters().full), (0, 1));
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let mut lost = 0;
        for seed in 0..20 {
            let disk = half_synced(seed);
            disk.fail_syncs(1);
            let file = disk.open("a").unwrap();
            assert!(file.sync_data().is_err());
            file.sync_data().unwrap();
            disk.sync_dir("a").unwrap();
            let mut bytes = [0; 4 * SECTOR];
            disk.restart(Crash::PowerFailure).open("a").unwrap().read_at(&mut bytes, 0).unwrap();
            lost += u32::from(bytes.contains(&1));
        }
        assert!(lost > 10, "{lost}");
    }
}
