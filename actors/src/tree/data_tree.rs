//! The replicated state, and what is read of it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_config::Members;
use paddock_messages::ids::SessionId;
use paddock_messages::level;
use paddock_messages::path::{CONFIG, QUOTA, ZOOKEEPER};
use paddock_messages::quorum::Digests;
use paddock_messages::znode::{Acl, Owner};
use paddock_messages::zxid::{Epoch, Zxid};

use crate::membership;

use super::acl_table::AclTable;
use super::arena::Arena;
use super::change::NewNode;
use super::digest::{DigestLog, DigestSum, content_crc, node_digest};
use super::index::Index;
use super::node::{NONE, Slot};
use super::node_ref::NodeRef;
use super::owners::Owners;
use super::sessions::Sessions;
use super::walk::WalkState;

/// The root's slot; the other reserved znodes follow. They are never deleted (T5).
pub(super) const ROOT: Slot = 0;
pub(super) const ZOOKEEPER_SLOT: Slot = 1;
pub(super) const QUOTA_SLOT: Slot = 2;
pub(super) const CONFIG_SLOT: Slot = 3;

/// What an operator or a seed decides about a tree; members may differ in it.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// Keeps clients from choosing names that collide in the index; any number. Nothing that can be
    /// observed depends on it.
    pub hash_seed: u64,
    /// Whether hard limits refuse writes (`enforceQuota`).
    pub enforce_quota: bool,
    /// The highest feature level that this member reads; [`level::KNOWN`], unless a test has it be of an older build.
    pub reads_level: u8,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self { hash_seed: 0, enforce_quota: false, reads_level: level::KNOWN }
    }
}

/// The znode below which the last change was.
#[derive(Debug)]
pub(super) struct Recent {
    /// [`NONE`] if it is not known.
    pub(super) slot: Slot,
    path: String,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slot: NONE, path: String::new() }
    }
}

/// The longest path that [`Recent`] keeps.
const MAX_RECENT: usize = 256;

/// Znodes, sessions, ephemeral owners, quotas, configuration, digest: everything that is replicated.
#[derive(Debug)]
pub struct DataTree {
    pub(super) options: TreeOptions,
    pub(super) last_zxid: Zxid,
    pub(super) arena: Arena,
    pub(super) index: Index,
    pub(super) acls: AclTable,
    pub(super) owners: Owners,
    pub(super) sessions: Sessions,
    pub(super) digest: DigestSum,
    pub(super) digest_log: DigestLog,
    /// Bytes of all paths and data.
    pub(super) data_size: u64,
    pub(super) recent: Recent,
    pub(super) walk: Option<Arc<WalkState>>,
    pub(super) feature_level: u8,
    /// What the last reconfig has put in force: not what `/zookeeper/config` has, which its ACL may let clients write.
    pub(super) configuration: Option<Bytes>,
}

impl DataTree {
    /// The configuration that the log has put in force, if it ever has.
    pub fn membership(&self) -> Option<Members> {
        membership::members(self.configuration.as_ref()?)
    }

    /// A fresh one: the root and the reserved znodes, no session, zxid 0. Source: DataTree().
    pub fn new(options: TreeOptions) -> Self {
        let mut tree = Self::bare(options);
        let open = Acl::open();
        let read_only = Acl::read_only();
        let reserved = [
            (NONE, "/", &open, 0),
            (ROOT, ZOOKEEPER, &open, 0),
            (ZOOKEEPER_SLOT, QUOTA, &open, 0),
            (ZOOKEEPER_SLOT, CONFIG, &read_only, -1),
        ];
        for (slot, (parent, path, acl, aversion)) in (0..).zip(reserved) {
            let data = Some(&b""[..]);
            let new = NewNode { path, data, acl, owner: Owner::Persistent, zxid: Zxid::ZERO, time: 0 };
            let made = tree.add(parent, &new);
            assert_eq!(made, slot, "T5: the reserved znodes come first");
            tree.alter(slot, |node| node.aversion = aversion);
        }
        tree
    }

    /// Without any znode.
    pub(super) fn bare(options: TreeOptions) -> Self {
        Self {
            options,
            last_zxid: Zxid::ZERO,
            arena: Arena::new(),
            index: Index::new(options.hash_seed),
            acls: AclTable::new(options.hash_seed),
            owners: Owners::default(),
            sessions: Sessions::default(),
            digest: DigestSum::default(),
            digest_log: DigestLog::default(),
            data_size: 0,
            recent: Recent::default(),
            walk: None,
            feature_level: 0,
            configuration: None,
        }
    }

    /// What the ensemble has agreed that all its members read ([`level`]); 0 until something needs more.
    pub fn feature_level(&self) -> u8 {
        self.feature_level
    }

    /// The last txn applied, or the start of the epoch if none of it was.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// A new leader's epoch begins: every zxid from now is of it.
    ///
    /// # Panics
    /// If a txn of a later zxid has been applied (T1).
    pub fn begin_epoch(&mut self, epoch: Epoch) {
        let start = epoch.start();
        assert!(start >= self.last_zxid, "T1: {start:?} would be behind {:?}", self.last_zxid);
        self.last_zxid = start;
    }

    /// The znode at `path`; the empty path is the root's too. Any text may be asked for.
    pub fn node(&self, path: &str) -> Option<NodeRef<'_>> {
        self.find(path).map(|slot| self.at(slot))
    }

    /// The root.
    pub fn root(&self) -> NodeRef<'_> {
        self.at(ROOT)
    }

    /// The timeout of a session, in ms; `None` if there is no such session.
    pub fn session_timeout(&self, id: SessionId) -> Option<i32> {
        self.sessions.get(id)
    }

    /// Every session with its timeout in ms, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        self.sessions.iter()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Paths of the ephemerals that a session owns, sorted.
    pub fn ephemerals(&self, id: SessionId) -> impl Iterator<Item = String> + use<> {
        let mut paths: Vec<_> = self.owners.owned_by(id).map(|slot| self.path_of(slot)).collect();
        paths.sort_unstable();
        paths.into_iter()
    }

    /// Sessions that own ephemerals, by id, whether they are known or not.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.owners.owning().map(|(session, _)| session)
    }

    /// Ephemerals of all sessions.
    pub fn ephemeral_count(&self) -> usize {
        self.owners.ephemeral_count()
    }

    /// Znodes, the root counted once; ZooKeeper's four-letter words count it twice.
    pub fn node_count(&self) -> u32 {
        self.arena.live()
    }

    /// Bytes of all paths and data, the figure that `mntr` calls approximate.
    pub fn data_size(&self) -> u64 {
        self.data_size
    }

    /// Equal on members whose znodes are equal; everything below `/zookeeper/` is left out.
    pub fn digest(&self) -> u64 {
        self.digest.of(|slot| self.digest_at(slot))
    }

    /// The digests at the last 1,024 zxids divisible by 128, oldest first.
    pub fn digests(&self) -> impl DoubleEndedIterator<Item = (Zxid, u64)> + '_ {
        self.digest_log.iter()
    }

    /// Those of them that members compare.
    pub fn latest_digests(&self) -> Digests {
        self.digest_log.latest()
    }

    /// Containers and TTL znodes that may be deleted now, at most `max`; the work is as much.
    /// `unused_ms`: how long a container may wait for its first child, 0 for ever.
    /// Source: ContainerManager.getCandidates.
    pub fn reapable(&self, now_ms: i64, unused_ms: u64, max: usize) -> Vec<ByteString> {
        let slots = self.owners.reapable(now_ms, unused_ms, max);
        slots.into_iter().map(|slot| self.path_of(slot).into()).collect()
    }

    pub(super) fn at(&self, slot: Slot) -> NodeRef<'_> {
        NodeRef { tree: self, slot, node: self.arena.get(slot) }
    }

    pub(super) fn find(&self, path: &str) -> Option<Slot> {
        if matches!(path, "" | "/") {
            return Some(ROOT);
        }
        let mut names = path.strip_prefix('/')?.as_bytes().split(|byte| *byte == b'/');
        names.try_fold(ROOT, |parent, name| self.index.find(&self.arena, parent, name))
    }

    /// The same; siblings changed one after the other cost one look-up each.
    pub(super) fn find_to_change(&mut self, path: &str) -> Option<Slot> {
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        if above.is_empty() || above.len() > MAX_RECENT {
            return self.find(path);
        }
        if self.recent.slot == NONE || self.recent.path != above {
            self.recent.slot = self.find(above)?;
            self.recent.path.clear();
            self.recent.path.push_str(above);
        }
        self.child(self.recent.slot, name)
    }

    pub(super) fn child(&self, parent: Slot, name: &str) -> Option<Slot> {
        self.index.find(&self.arena, parent, name.as_bytes())
    }

    pub(super) fn path_of(&self, slot: Slot) -> String {
        let parent = |&slot: &Slot| Some(self.arena.get(slot).parent).filter(|&slot| slot != ROOT);
        if slot == ROOT {
            return "/".to_owned();
        }
        let line: Vec<Slot> = std::iter::successors(Some(slot), parent).collect();
        let mut path = String::with_capacity(line.iter().map(|&s| self.arena.get(s).name().len() + 1).sum());
        for &slot in line.iter().rev() {
            path.push('/');
            path.push_str(self.arena.get(slot).name());
        }
        path
    }

    /// What the znode in `slot` adds to the digest.
    pub(super) fn digest_at(&self, slot: Slot) -> u64 {
        let node = self.arena.get(slot);
        if !node.is_counted() {
            return 0;
        }
        node_digest(node, self.content_crc(slot), self.owners.of(slot, node.kind()).to_stored())
    }

    /// The CRC of the path and data of the znode in `slot`.
    pub(super) fn content_crc(&self, slot: Slot) -> u32 {
        let node = self.arena.get(slot);
        if self.digest.has_stale_crc(slot) {
            return content_crc(&self.path_of(slot), node.data());
        }
        node.content_crc
    }
}
