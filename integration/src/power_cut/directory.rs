//! Inodes, directories, and the changes of their entries: each is applied whole, now and when durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::file::FileData;

/// Names and the inodes they stand for.
pub(super) type Entries = BTreeMap<OsString, u64>;

/// A file or directory, with its permission bits.
pub(super) struct Inode {
    pub(super) node: Node,
    pub(super) mode: u16,
}

/// What an inode is.
pub(super) enum Node {
    /// A regular file and how many handles are open on it.
    File { data: FileData, opens: u32 },
    /// A directory: its entries now, and as a cut would leave them at the worst.
    Dir { parent: u64, now: Entries, synced: Entries },
}

/// One change of directory entries, applied whole.
pub(super) enum DirChange {
    Link { dir: u64, name: OsString, ino: u64 },
    Unlink { dir: u64, name: OsString },
    Rename { from: (u64, OsString), to: (u64, OsString) },
}

impl DirChange {
    /// The directories whose entries it changes.
    pub(super) fn dirs(&self) -> [u64; 2] {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => [*dir, *dir],
            Self::Rename { from, to } => [from.0, to.0],
        }
    }

    /// Applies it to the durable entries or to the present ones.
    pub(super) fn apply(&self, inodes: &mut BTreeMap<u64, Inode>, durable: bool) {
        match self {
            Self::Link { dir, name, ino } => {
                side(inodes, *dir, durable).map(|entries| entries.insert(name.clone(), *ino));
            }
            Self::Unlink { dir, name } => {
                side(inodes, *dir, durable).map(|entries| entries.remove(name));
            }
            Self::Rename { from, to } => {
                let old = side(inodes, from.0, durable);
                if let Some(ino) = old.and_then(|entries| entries.remove(&from.1)) {
                    side(inodes, to.0, durable).map(|entries| entries.insert(to.1.clone(), ino));
                }
            }
        }
    }
}

/// `dir` and the directories that renames in `pending` tie to it: those become durable together.
pub(super) fn tied_to(dir: u64, pending: &[DirChange]) -> BTreeSet<u64> {
    let mut dirs = BTreeSet::from([dir]);
    loop {
        let before = dirs.len();
        for tied in pending.iter().map(DirChange::dirs) {
            if tied.iter().any(|dir| dirs.contains(dir)) {
                dirs.extend(tied);
            }
        }
        if dirs.len() == before {
            return dirs;
        }
    }
}

impl Inode {
    /// Space taken, in bytes.
    pub(super) fn allocated(&self) -> u64 {
        match &self.node {
            Node::File { data, .. } => data.allocated(),
            Node::Dir { .. } => 0,
        }
    }
}

/// The entries of `dir`: those a cut cannot take back if `durable`, else those of now.
fn side(inodes: &mut BTreeMap<u64, Inode>, dir: u64, durable: bool) -> Option<&mut Entries> {
    match &mut inodes.get_mut(&dir)?.node {
        Node::Dir { now, synced, .. } => Some(if durable { synced } else { now }),
        Node::File { .. } => None,
    }
}
