//! Counts everything that is kept instead of counted: for tests and simulations, not under load.

use std::collections::{BTreeMap, BTreeSet};

use paddock_messages::znode::Owner;

use super::acl_table::OPEN;
use super::data_tree::{DataTree, ROOT};
use super::digest::content_crc;
use super::node::{NONE, Slot};

/// What counting gives.
#[derive(Default)]
struct Counted {
    nodes: u32,
    digest: u64,
    data_size: u64,
    acl_users: BTreeMap<u32, u32>,
    ephemerals: BTreeMap<i64, BTreeSet<Slot>>,
}

impl DataTree {
    /// # Panics
    /// If T2, T3, T4, T5, T7 or T11 does not hold; the message begins with which. Takes a visit of all znodes.
    pub fn check(&self) {
        let mut counted = Counted::default();
        let mut at = Some(ROOT);
        while let Some(slot) = at {
            self.check_node(slot, &mut counted);
            at = self.next_within(ROOT, slot);
        }
        assert_eq!(counted.nodes, self.node_count(), "T3: every znode is below the root");
        assert_eq!(counted.digest, self.digest(), "T2: the digest");
        assert_eq!(counted.data_size, self.data_size, "T2: the size of the data");
        let users = self.acls.in_use().map(|(id, _, users)| (id, users)).collect();
        assert_eq!(counted.acl_users, users, "T7: the users of each ACL");
        let owned = self.owners.owning().map(|(session, slots)| (session.0, slots.clone())).collect();
        assert_eq!(counted.ephemerals, owned, "T4: the ephemerals of each session");
        self.check_reaping();
        self.sessions.check();
        for (slot, path) in (ROOT..).zip(["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]) {
            assert_eq!(self.find(path), Some(slot), "T5: {path}");
        }
    }

    fn check_node(&self, slot: Slot, counted: &mut Counted) {
        let node = self.at(slot);
        let path = node.path();
        assert_eq!(self.find(&path), Some(slot), "T3: {path} is found");
        let mut prev = NONE;
        let (mut children, mut descendants) = (0, 0);
        for child in node.child_nodes() {
            assert_eq!((child.node.parent, child.node.prev), (slot, prev), "T3: links below {path}");
            prev = child.slot;
            children += 1;
            descendants += child.node.descendants + 1;
        }
        assert_eq!(node.node.children, children, "T2: children of {path}");
        assert_eq!(node.node.descendants, descendants, "T2: descendants of {path}");
        if node.node.is_counted() {
            assert_eq!(self.content_crc(slot), content_crc(&path, node.data()), "T2: CRC of {path}");
        }
        counted.nodes += 1;
        counted.digest = counted.digest.wrapping_add(self.digest_at(slot));
        counted.data_size += (path.len() + node.node.data_len()) as u64;
        if node.node.acl != OPEN {
            *counted.acl_users.entry(node.node.acl).or_default() += 1;
        }
        if let Owner::Session(session) = node.owner() {
            counted.ephemerals.entry(session.0).or_default().insert(slot);
        }
    }

    /// T4: whoever is due at the end of time is every childless container and TTL znode.
    fn check_reaping(&self) {
        let due = self.owners.reapable(i64::MAX, 1, usize::MAX);
        let listed: BTreeSet<Slot> = due.iter().copied().collect();
        assert_eq!(listed.len(), due.len(), "T4: nobody is due twice");
        let mut at = Some(ROOT);
        while let Some(slot) = at {
            let node = self.at(slot);
            let reaped = matches!(node.owner(), Owner::Container | Owner::Ttl(_)) && node.child_count() == 0;
            assert_eq!(listed.contains(&slot), reaped, "T4: {} is due", node.path());
            at = self.next_within(ROOT, slot);
        }
    }
}
