//! The digest by which members notice that their trees differ. Source: DigestCalculator, version 2.
//!
//! The digest of a tree is the wrapping sum of its znodes' digests, each the CRC32 of path, data and
//! the 60 bytes of the stored stat. A znode keeps the CRC of path and data; the CRC of all three goes
//! on from there, so a change of the stat costs a CRC of 60 bytes whatever the data.

use std::collections::VecDeque;

use crc32fast::Hasher;
use paddock_messages::zxid::Zxid;

use super::node::Node;

/// Digests are kept at each zxid divisible by this.
const INTERVAL: u64 = 128;
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

/// What a znode adds to the tree's digest; `owner` as stored.
pub(super) fn node_digest(node: &Node, owner: i64) -> u64 {
    if !node.is_counted() {
        return 0;
    }
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
    extend_crc(node.content_crc, &block).into()
}

fn put(to: &mut &mut [u8], bytes: &[u8]) {
    let (head, rest) = std::mem::take(to).split_at_mut(bytes.len());
    head.copy_from_slice(bytes);
    *to = rest;
}

/// The last 1,024 digests at zxids divisible by 128, for operators who compare members.
#[derive(Clone, Debug, Default)]
pub(super) struct DigestLog(VecDeque<(Zxid, u64)>);

impl DigestLog {
    pub(super) fn note(&mut self, zxid: Zxid, digest: u64) {
        if zxid.0.is_multiple_of(INTERVAL) {
            if self.0.len() == KEPT {
                self.0.pop_front();
            }
            self.0.push_back((zxid, digest));
        }
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Zxid, u64)> + '_ {
        self.0.iter().copied()
    }
}
