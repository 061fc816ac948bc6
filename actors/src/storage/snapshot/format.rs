//! The parts of a snapshot file, and what can be wrong with one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::ids::SessionId;
use paddock_messages::znode::{Acl, Id, Perms};
use paddock_messages::zxid::Zxid;

use crate::tree::load::LoadError;
use crate::tree::walk::WalkHead;

pub(super) const MAGIC: &[u8; 8] = b"PDKSNAP\n";
/// Of a tree at feature level 0, which every build reads.
const PLAIN: u32 = 1;
/// The head ends with the feature level, and the configuration that a reconfig has put in force: its length, 0 for none,
/// and its text.
const WITH_LEVEL: u32 = 2;
/// The newest that is read.
pub(super) const VERSION: u32 = WITH_LEVEL;
/// Magic, version, CRC.
pub(super) const FILE_HEADER: usize = 16;
pub(super) const BLOCK_HEADER: usize = 20;
/// A block is flushed at this size, so it is larger only by one step of the walk and the images that
/// waited for it.
pub(super) const BLOCK: usize = 1 << 20;
/// No block is larger, packed or not: 1 GiB. Above what a frame can bring in, by far.
pub(super) const BLOCK_LIMIT: u32 = 1 << 30;

pub(super) const HEAD: u32 = 1;
pub(super) const IMAGES: u32 = 2;
pub(super) const FOOTER: u32 = 3;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The last txn in it.
    pub zxid: Zxid,
    /// Znodes.
    pub count: u32,
    /// The tree's digest.
    pub digest: u64,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk failed, or is full.
    #[error("{file}: {error}")]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Too much changed while the tree was walked: remove the file, start again.
    #[error("the walk was abandoned: more than its queue takes changed between two steps")]
    Abandoned,
    /// It ends before its footer: it was being written when the server stopped. Remove it.
    #[error("{file}: cut short at byte {offset}: not a snapshot")]
    CutShort {
        /// Which file.
        file: PathBuf,
        /// Where it ends, or the part begins that is not whole.
        offset: u64,
    },
    /// Bytes are not what was written. Use an older snapshot, or another member's.
    #[error("{file}: damaged at byte {offset}: {what}")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// The block that is.
        offset: u64,
        /// In which way.
        what: &'static str,
    },
    /// A later release wrote it.
    #[error(
        "{file}: format {version} is newer than this release reads ({VERSION}); use the release that wrote it"
    )]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
    /// An ensemble of later releases wrote it.
    #[error(
        "{file}: its ensemble is at feature level {level}, and this version of paddock reads {reads} at most; run the \
         version that wrote it, or a later one"
    )]
    Level {
        /// Which file.
        file: PathBuf,
        /// Of the tree in it.
        level: u8,
        /// What is read here.
        reads: u8,
    },
    /// The blocks are sound, and do not make a tree.
    #[error("{file}: block at byte {offset}: {error}")]
    NotATree {
        /// Which file.
        file: PathBuf,
        /// The block.
        offset: u64,
        /// Why not.
        error: LoadError,
    },
}

impl SnapshotError {
    /// Whether a later release wrote it: none of the files of this directory is damaged.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Level { .. })
    }
}

/// Before a tree at this feature level.
pub(super) fn file_header(feature_level: u8) -> [u8; FILE_HEADER] {
    let version = if feature_level == 0 { PLAIN } else { WITH_LEVEL };
    let mut header = [0; FILE_HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What stands before a block's packed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) kind: u32,
    pub(super) raw_len: u32,
    pub(super) packed_len: u32,
    pub(super) crc: u32,
}

impl BlockHeader {
    pub(super) fn to_bytes(self) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0; BLOCK_HEADER];
        let ints = [self.kind, self.raw_len, self.packed_len, self.crc];
        for (to, int) in bytes.chunks_exact_mut(4).zip(ints) {
            to.copy_from_slice(&int.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..16]);
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` if the header's own CRC is wrong or a length is beyond the limit.
    pub(super) fn from_bytes(bytes: &[u8; BLOCK_HEADER]) -> Option<Self> {
        let mut from = &bytes[..];
        let mut int = || take_int(&mut from);
        let (kind, raw_len, packed_len, crc) = (int()?, int()?, int()?, int()?);
        let good = int()? == crc32c::crc32c(&bytes[..16]);
        let fits = raw_len <= BLOCK_LIMIT && packed_len <= BLOCK_LIMIT;
        (good && fits).then_some(Self { kind, raw_len, packed_len, crc })
    }
}

pub(super) fn encode_footer(footer: &Footer, to: &mut Vec<u8>) {
    to.extend_from_slice(&footer.zxid.0.to_le_bytes());
    to.extend_from_slice(&footer.count.to_le_bytes());
    to.extend_from_slice(&footer.digest.to_le_bytes());
}

pub(super) fn decode_footer(mut from: &[u8]) -> Option<Footer> {
    let from = &mut from;
    let (zxid, count, digest) = (Zxid(take_long(from)?), take_int(from)?, take_long(from)?);
    from.is_empty().then_some(Footer { zxid, count, digest })
}

pub(super) fn encode_head(head: &WalkHead, to: &mut Vec<u8>) {
    to.extend_from_slice(&head.zxid.0.to_le_bytes());
    to.extend_from_slice(&head.digest.to_le_bytes());
    to.extend_from_slice(&head.count.to_le_bytes());
    to.extend_from_slice(&head.slots.to_le_bytes());
    put_len(head.sessions.len(), to);
    for (id, timeout_ms) in &head.sessions {
        to.extend_from_slice(&id.0.to_le_bytes());
        to.extend_from_slice(&timeout_ms.to_le_bytes());
    }
    put_len(head.acls.len(), to);
    for (id, acl) in &head.acls {
        to.extend_from_slice(&id.to_le_bytes());
        put_len(acl.len(), to);
        for entry in acl.iter() {
            to.extend_from_slice(&entry.perms.0.to_le_bytes());
            for text in [&entry.id.scheme, &entry.id.id] {
                put_len(text.len(), to);
                to.extend_from_slice(text.as_bytes());
            }
        }
    }
    if head.feature_level > 0 {
        to.push(head.feature_level);
        let text = head.configuration.as_deref().unwrap_or_default();
        put_len(text.len(), to);
        to.extend_from_slice(text);
    }
}

/// The head in a file of this version.
pub(super) fn decode_head(version: u32, mut from: &[u8]) -> Option<WalkHead> {
    let from = &mut from;
    let (zxid, digest) = (Zxid(take_long(from)?), take_long(from)?);
    let (count, slots) = (take_int(from)?, take_int(from)?);
    let mut sessions = Vec::new();
    for _ in 0..take_int(from)? {
        sessions.push((SessionId(take_long(from)? as i64), take_int(from)? as i32));
    }
    let mut acls = Vec::new();
    for _ in 0..take_int(from)? {
        acls.push((take_int(from)?, take_acl(from)?));
    }
    let (mut feature_level, mut configuration) = (0, None);
    if version >= WITH_LEVEL {
        feature_level = from.split_off_first().copied()?;
        let length = take_int(from)? as usize;
        let text = from.split_off(..length)?;
        configuration = (!text.is_empty()).then(|| Bytes::copy_from_slice(text));
    }
    from.is_empty().then_some(WalkHead {
        zxid,
        digest,
        count,
        slots,
        sessions,
        acls,
        feature_level,
        configuration,
    })
}

fn take_acl(from: &mut &[u8]) -> Option<Arc<[Acl]>> {
    let mut acl = Vec::new();
    for _ in 0..take_int(from)? {
        let perms = Perms(take_int(from)? as i32);
        let (scheme, id) = (take_text(from)?, take_text(from)?);
        acl.push(Acl { perms, id: Id { scheme, id } });
    }
    Some(acl.into())
}

fn take_text(from: &mut &[u8]) -> Option<ByteString> {
    let len = take_int(from)? as usize;
    let (head, rest) = from.split_at_checked(len)?;
    *from = rest;
    std::str::from_utf8(head).ok().map(ByteString::from)
}

fn take_int(from: &mut &[u8]) -> Option<u32> {
    let (head, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u32::from_le_bytes(*head))
}

fn take_long(from: &mut &[u8]) -> Option<u64> {
    let (head, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u64::from_le_bytes(*head))
}

fn put_len(len: usize, to: &mut Vec<u8>) {
    let len = u32::try_from(len).expect("a table has fewer than 2^32 entries");
    to.extend_from_slice(&len.to_le_bytes());
}
