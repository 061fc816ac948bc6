//! The whole disk: files, directories, what of both is durable, and what a cut leaves. No I/O here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;

use super::directory::{DirChange, Entries, Inode, Node, tied_to};
use super::file::FileData;
use super::{Counters, DirDurability, Options};

/// The root directory's inode, as FUSE wants it.
pub(super) const ROOT: u64 = 1;

/// Whether the disk works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    Off,
}

/// Everything on the disk.
pub(super) struct Image {
    inodes: BTreeMap<u64, Inode>,
    next_ino: u64,
    /// Directory changes that are not durable, oldest first.
    pending: Vec<DirChange>,
    power: Power,
    /// Counts cuts; part of every handle, so that handles from before a cut are known (PC4).
    boot: u32,
    options: Options,
    read_only: bool,
    /// (syncs left, seed): cut when the count reaches 0.
    cut_at: Option<(u64, u64)>,
    fail_at: Option<u64>,
    counters: Counters,
}

impl Image {
    /// An empty disk.
    pub(super) fn new(options: Options) -> Self {
        let root = Node::Dir { parent: ROOT, now: Entries::new(), synced: Entries::new() };
        Self {
            inodes: BTreeMap::from([(ROOT, Inode { node: root, mode: 0o755 })]),
            next_ino: ROOT + 1,
            pending: Vec::new(),
            power: Power::On,
            boot: 0,
            options,
            read_only: false,
            cut_at: None,
            fail_at: None,
            counters: Counters::default(),
        }
    }

    /// The inode, or ENOENT.
    pub(super) fn inode(&self, ino: u64) -> Result<&Inode, Errno> {
        self.powered()?;
        self.inodes.get(&ino).ok_or(Errno::NOENT)
    }

    /// The inode of `name` in the directory `dir`.
    pub(super) fn lookup(&self, dir: u64, name: &OsStr) -> Result<u64, Errno> {
        self.entries(dir)?.get(name).copied().ok_or(Errno::NOENT)
    }

    /// The entries of `dir` by name, and its parent.
    pub(super) fn list(&self, dir: u64) -> Result<(u64, &Entries), Errno> {
        match &self.inode(dir)?.node {
            Node::Dir { parent, now, .. } => Ok((*parent, now)),
            Node::File { .. } => Err(Errno::NOTDIR),
        }
    }

    /// Creates an empty file or directory.
    pub(super) fn create(&mut self, dir: u64, name: &OsStr, mode: u16, is_dir: bool) -> Result<u64, Errno> {
        self.writable()?;
        if self.entries(dir)?.contains_key(name) {
            return Err(Errno::EXIST);
        }
        let ino = self.next_ino;
        self.next_ino += 1;
        let node = if is_dir {
            Node::Dir { parent: dir, now: Entries::new(), synced: Entries::new() }
        } else {
            Node::File { data: FileData::default(), opens: 0 }
        };
        self.inodes.insert(ino, Inode { node, mode });
        self.change(DirChange::Link { dir, name: name.to_owned(), ino });
        Ok(ino)
    }

    /// Removes a file, or an empty directory if `is_dir`.
    pub(super) fn remove(&mut self, dir: u64, name: &OsStr, is_dir: bool) -> Result<(), Errno> {
        self.writable()?;
        let ino = self.lookup(dir, name)?;
        match (&self.inode(ino)?.node, is_dir) {
            (Node::Dir { now, .. }, true) if !now.is_empty() => return Err(Errno::NOTEMPTY),
            (Node::Dir { .. }, false) => return Err(Errno::ISDIR),
            (Node::File { .. }, true) => return Err(Errno::NOTDIR),
            _ => {}
        }
        self.change(DirChange::Unlink { dir, name: name.to_owned() });
        self.collect();
        Ok(())
    }

    /// Renames, replacing a file of the new name unless `keep`. A directory replaces nothing.
    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), keep: bool) -> Result<(), Errno> {
        self.writable()?;
        let ino = self.lookup(from.0, from.1)?;
        if let Ok(there) = self.lookup(to.0, to.1) {
            let is_dir = |ino| matches!(self.inodes[&ino].node, Node::Dir { .. });
            if there == ino {
                return Ok(());
            }
            if keep || is_dir(ino) || is_dir(there) {
                return Err(Errno::EXIST);
            }
        }
        self.change(DirChange::Rename { from: (from.0, from.1.to_owned()), to: (to.0, to.1.to_owned()) });
        if let Some(Inode { node: Node::Dir { parent, .. }, .. }) = self.inodes.get_mut(&ino) {
            *parent = to.0;
        }
        self.collect();
        Ok(())
    }

    /// Opens a file; the handle dies with the next cut.
    pub(super) fn open(&mut self, ino: u64) -> Result<u64, Errno> {
        self.powered()?;
        let Some(Inode { node: Node::File { opens, .. }, .. }) = self.inodes.get_mut(&ino) else {
            return Err(Errno::NOENT);
        };
        *opens += 1;
        Ok(u64::from(self.boot))
    }

    /// Closes a handle of `ino`.
    pub(super) fn close(&mut self, ino: u64, handle: u64) {
        if handle == u64::from(self.boot)
            && let Some(Inode { node: Node::File { opens, .. }, .. }) = self.inodes.get_mut(&ino)
        {
            *opens -= 1;
            self.collect();
        }
    }

    /// The file behind an open handle.
    pub(super) fn read(&self, ino: u64, handle: u64) -> Result<&FileData, Errno> {
        self.live(handle)?;
        match &self.inode(ino)?.node {
            Node::File { data, .. } => Ok(data),
            Node::Dir { .. } => Err(Errno::ISDIR),
        }
    }

    /// Writes all of `bytes`, or nothing and ENOSPC.
    pub(super) fn write(&mut self, ino: u64, handle: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        let needed = self.read(ino, handle)?.needed(offset, bytes.len());
        if self.options.capacity.is_some_and(|capacity| needed > 0 && self.used() + needed > capacity) {
            return Err(Errno::NOSPC);
        }
        self.file(ino)?.write(offset, bytes);
        self.counters.writes += 1;
        Ok(())
    }

    /// Sets a file's length.
    pub(super) fn set_size(&mut self, ino: u64, handle: Option<u64>, size: u64) -> Result<(), Errno> {
        self.writable()?;
        handle.map_or(Ok(()), |handle| self.live(handle))?;
        self.file(ino)?.set_size(size);
        Ok(())
    }

    /// Sets the permission bits.
    pub(super) fn set_mode(&mut self, ino: u64, mode: u16) -> Result<(), Errno> {
        self.writable()?;
        self.inodes.get_mut(&ino).ok_or(Errno::NOENT)?.mode = mode;
        Ok(())
    }

    /// A sync arrives: cuts the power or fails if that was asked for.
    pub(super) fn before_sync(&mut self) -> Result<(), Errno> {
        self.powered()?;
        if let Some((left, seed)) = &mut self.cut_at {
            *left -= 1;
            if *left == 0 {
                let seed = *seed;
                self.cut(seed);
                return Err(Errno::IO);
            }
        }
        if let Some(left) = &mut self.fail_at {
            *left -= 1;
            if *left == 0 {
                self.fail_at = None;
                return Err(Errno::IO);
            }
        }
        Ok(())
    }

    /// Makes a file's content durable.
    pub(super) fn sync_file(&mut self, ino: u64, handle: u64) -> Result<(), Errno> {
        self.live(handle)?;
        self.file(ino)?.sync();
        self.synced(None);
        Ok(())
    }

    /// Makes the entries of a directory durable.
    pub(super) fn sync_dir(&mut self, dir: u64) -> Result<(), Errno> {
        self.entries(dir)?;
        self.synced(Some(dir));
        Ok(())
    }

    /// Takes back what is not synced, as drawn from `seed`, and turns the power off.
    pub(super) fn cut(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let survive = rng.random_range(0..=self.pending.len());
        self.counters.dir_changes_dropped += (self.pending.len() - survive) as u64;
        for change in std::mem::take(&mut self.pending).into_iter().take(survive) {
            change.apply(&mut self.inodes, true);
        }
        for inode in self.inodes.values_mut() {
            match &mut inode.node {
                Node::Dir { now, synced, .. } => now.clone_from(synced),
                Node::File { data, opens } => {
                    *opens = 0;
                    self.counters.sectors_dropped += data.cut(&mut rng);
                }
            }
        }
        self.adopt(ROOT);
        self.boot += 1;
        self.collect();
        self.counters.cuts += 1;
        (self.power, self.cut_at) = (Power::Off, None);
    }

    /// Arms a cut at the `nth` sync from now.
    pub(super) fn cut_at_sync(&mut self, nth: u64, seed: u64) {
        self.cut_at = Some((nth.max(1), seed));
    }

    /// Arms an EIO at the `nth` sync from now.
    pub(super) fn fail_sync(&mut self, nth: u64) {
        self.fail_at = Some(nth.max(1));
    }

    /// Operations work again.
    pub(super) fn power_on(&mut self) {
        self.power = Power::On;
    }

    /// True from a cut until the power is back.
    pub(super) fn is_off(&self) -> bool {
        self.power == Power::Off
    }

    /// See [`super::PowerCutFs::set_capacity`].
    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.options.capacity = bytes;
    }

    /// The space there is, in bytes.
    pub(super) fn capacity(&self) -> Option<u64> {
        self.options.capacity
    }

    /// See [`super::PowerCutFs::set_read_only`].
    pub(super) fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// Space in use, in bytes.
    pub(super) fn used(&self) -> u64 {
        self.inodes.values().map(|inode| inode.allocated()).sum()
    }

    /// What has happened so far.
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    fn powered(&self) -> Result<(), Errno> {
        if self.is_off() { Err(Errno::IO) } else { Ok(()) }
    }

    fn writable(&self) -> Result<(), Errno> {
        self.powered()?;
        if self.read_only { Err(Errno::ROFS) } else { Ok(()) }
    }

    /// PC4: a handle from before the last cut is refused.
    fn live(&self, handle: u64) -> Result<(), Errno> {
        self.powered()?;
        if handle == u64::from(self.boot) { Ok(()) } else { Err(Errno::IO) }
    }

    fn entries(&self, dir: u64) -> Result<&Entries, Errno> {
        self.list(dir).map(|(_, entries)| entries)
    }

    fn file(&mut self, ino: u64) -> Result<&mut FileData, Errno> {
        match self.inodes.get_mut(&ino) {
            Some(Inode { node: Node::File { data, .. }, .. }) => Ok(data),
            Some(_) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    fn change(&mut self, change: DirChange) {
        change.apply(&mut self.inodes, false);
        self.pending.push(change);
    }

    fn synced(&mut self, dir: Option<u64>) {
        self.counters.syncs += 1;
        let dirs = dir.map_or_else(BTreeSet::new, |dir| tied_to(dir, &self.pending));
        let journalled = self.options.directories == DirDurability::Journalled;
        let (durable, pending): (Vec<_>, _) = self
            .pending
            .drain(..)
            .partition(|change| journalled || change.dirs().iter().any(|dir| dirs.contains(dir)));
        self.pending = pending;
        for change in durable {
            change.apply(&mut self.inodes, true);
        }
        self.collect();
    }

    /// Sets the parents right after a cut has moved directories back.
    fn adopt(&mut self, dir: u64) {
        let children: Vec<u64> = match &self.inodes[&dir].node {
            Node::Dir { now, .. } => now.values().copied().collect(),
            Node::File { .. } => return,
        };
        for child in children {
            if let Some(Inode { node: Node::Dir { parent, .. }, .. }) = self.inodes.get_mut(&child) {
                *parent = dir;
            }
            self.adopt(child);
        }
    }

    /// Frees inodes that no name, no durable name, no pending change and no handle holds.
    fn collect(&mut self) {
        let mut held = BTreeSet::from([ROOT]);
        for inode in self.inodes.values() {
            if let Node::Dir { now, synced, .. } = &inode.node {
                held.extend(now.values().chain(synced.values()));
            }
        }
        held.extend(self.pending.iter().filter_map(|change| match change {
            DirChange::Link { ino, .. } => Some(*ino),
            _ => None,
        }));
        self.inodes
            .retain(|ino, inode| held.contains(ino) || matches!(inode.node, Node::File { opens: 1.., .. }));
    }
}
