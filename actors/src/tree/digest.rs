//! The digest by which members notice that their trees differ. Source: DigestCalculator, version 2.
//!
//! The digest of a tree is the wrapping sum of its znodes' digests, each the CRC32 of path, data and
//! the 60 bytes of the stored stat. A znode keeps the CRC of path and data; the CRC of all three goes
//! on from there, so a change of the stat costs a CRC of 60 bytes whatever the data.

use std::collections::VecDeque;

use crc32fast::Hasher;
use paddock_messages::quorum::{DigestPoint, Digests};
use paddock_messages::zxid::Zxid;

use super::node::{Node, Slot};

/// The version of the calculation.
const VERSION: u8 = 2;
/// Digests are kept at each zxid divisible by the first; the last is told at each divisible by any of these.
const INTERVALS: [u64; 3] = [1 << 7, 1 << 12, 1 << 17];
/// How many of them.
const KEPT: usize = 1024;

/// The CRC of `path` (the root's is empty) followed by `data`.
pub(super) fn content_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let path = if path == "/" { "" } else { path };
    let mut hasher = Hasher::new();
    hasher.update(path.as_bytes());
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// The CRC of what `crc` covers, followed by `bytes`.
pub(super) fn extend_crc(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

/// What a znode of the digest adds to it; `content_crc` is that of its path and data, `owner` as stored.
pub(super) fn node_digest(node: &Node, content_crc: u32, owner: i64) -> u64 {
    let mut block = [0; 60];
    let mut rest = &mut block[..];
    let times = [node.ctime as u64, node.mtime as u64];
    for long in [node.czxid.0, node.mzxid.0, node.pzxid.0].into_iter().chain(times) {
        put(&mut rest, &long.to_be_bytes());
    }
    for int in [node.version, node.cversion, node.aversion] {
        put(&mut rest, &int.to_be_bytes());
    }
    put(&mut rest, &owner.to_be_bytes());
    extend_crc(content_crc, &block).into()
}

fn put(to: &mut &mut [u8], bytes: &[u8]) {
    let (head, rest) = std::mem::take(to).split_at_mut(bytes.len());
    head.copy_from_slice(bytes);
    *to = rest;
}

/// Znodes that may be left out of the sum at a time: few enough to be looked through at each change. Fewer
/// in tests, whose trees are small.
const OPEN: usize = if cfg!(test) { 3 } else { 64 };

/// The sum of the znodes' digests. A znode that changes leaves it, and comes back when the digest is noted
/// or too many are out: one that changes again and again between is summed once, and the CRC of its data is
/// computed twice, for the first change and the last.
#[derive(Clone, Debug, Default)]
pub(super) struct DigestSum {
    sum: u64,
    /// Those that are out.
    open: Vec<Slot>,
    /// A bit for each of them: whether its data changed since its CRC was computed.
    stale: u64,
}

const _: () = assert!(OPEN <= u64::BITS as usize);

impl DigestSum {
    /// With the shares of those that are out.
    pub(super) fn of(&self, share: impl Fn(Slot) -> u64) -> u64 {
        self.open.iter().fold(self.sum, |sum, &slot| sum.wrapping_add(share(slot)))
    }

    pub(super) fn is_open(&self, slot: Slot) -> bool {
        self.open.contains(&slot)
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= OPEN
    }

    /// The znode in `slot`, whose share is not in the sum, is out.
    pub(super) fn open(&mut self, slot: Slot) {
        self.open.push(slot);
    }

    /// A znode that was out is no more.
    pub(super) fn forget(&mut self, slot: Slot) {
        if let Some(at) = self.place(slot) {
            let last = self.open.len() - 1;
            self.stale = self.stale & !(1 << at) | (self.stale >> last & 1) << at;
            self.stale &= !(1 << last);
            self.open.swap_remove(at);
        }
    }

    /// The data of the znode in `slot`, which is out, changed, and its CRC is computed later.
    pub(super) fn defer_crc(&mut self, slot: Slot) {
        if let Some(at) = self.place(slot) {
            self.stale |= 1 << at;
        }
    }

    /// Whether the CRC that the znode keeps is not that of its data.
    pub(super) fn has_stale_crc(&self, slot: Slot) -> bool {
        self.stale != 0 && self.place(slot).is_some_and(|at| self.stale >> at & 1 == 1)
    }

    /// Takes one whose CRC is to be computed now.
    pub(super) fn take_stale(&mut self) -> Option<Slot> {
        let at = self.stale.trailing_zeros();
        let slot = *self.open.get(at as usize)?;
        self.stale &= !(1 << at);
        Some(slot)
    }

    fn place(&self, slot: Slot) -> Option<usize> {
        self.open.iter().position(|other| *other == slot)
    }

    pub(super) fn add(&mut self, share: u64) {
        self.sum = self.sum.wrapping_add(share);
    }

    pub(super) fn subtract(&mut self, share: u64) {
        self.sum = self.sum.wrapping_sub(share);
    }

    /// `sum` is that of all, and no CRC is stale: nobody is out.
    pub(super) fn settle(&mut self, sum: u64) {
        debug_assert_eq!(self.stale, 0, "T2: a CRC is left behind");
        self.sum = sum;
        self.open.clear();
    }
}

/// The last 1,024 digests at zxids divisible by 128, for operators who compare members; and those that members
/// compare themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct DigestLog {
    all: VecDeque<(Zxid, u64)>,
    latest: [Option<DigestPoint>; 3],
}

impl DigestLog {
    /// Whether the digest at `zxid` is to be noted.
    pub(super) fn wants(zxid: Zxid) -> bool {
        zxid.0.is_multiple_of(INTERVALS[0])
    }

    pub(super) fn note(&mut self, zxid: Zxid, digest: u64) {
        if self.all.len() == KEPT {
            self.all.pop_front();
        }
        self.all.push_back((zxid, digest));
        for (interval, latest) in INTERVALS.into_iter().zip(&mut self.latest) {
            if zxid.0.is_multiple_of(interval) {
                *latest = Some(DigestPoint { zxid, digest });
            }
        }
    }

    /// What heartbeats tell.
    pub(super) fn latest(&self) -> Digests {
        Digests { version: VERSION, points: self.latest }
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Zxid, u64)> + '_ {
        self.all.iter().copied()
    }
}
