//! What the tree says of one znode, for as long as the guard is held.

use std::sync::Arc;

use paddock_messages::znode::{Acl, Owner, Stat};
use paddock_messages::zxid::Zxid;

use super::acl_table::OPEN;
use super::data_tree::DataTree;
use super::node::{NONE, Node, Slot};

/// A znode of the tree.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    pub(super) tree: &'a DataTree,
    pub(super) slot: Slot,
    pub(super) node: &'a Node,
}

impl<'a> NodeRef<'a> {
    /// Its stat as clients see it. Source: DataNode.copyStat.
    pub fn stat(&self) -> Stat {
        let node = self.node;
        let children = node.children as i32;
        Stat {
            czxid: node.czxid.to_wire(),
            mzxid: node.mzxid.to_wire(),
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: node.aversion,
            ephemeral_owner: self.owner().visible(),
            data_length: node.data_len() as i32,
            num_children: children,
            pzxid: node.pzxid.to_wire(),
        }
    }

    /// Its data; null and empty differ.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.node.data()
    }

    /// Its last path component; empty for the root.
    pub fn name(&self) -> &'a str {
        self.node.name()
    }

    /// Its ACL.
    pub fn acl(&self) -> &'a Arc<[Acl]> {
        self.tree.acls.get(self.node.acl)
    }

    /// Whether its ACL lets everybody do everything: nothing needs to be checked.
    pub fn is_open(&self) -> bool {
        self.node.acl == OPEN
    }

    /// Who ends it.
    pub fn owner(&self) -> Owner {
        self.tree.owners.of(self.slot, self.node.kind())
    }

    /// Changes of its data; -1 always for the configuration.
    pub fn version(&self) -> i32 {
        self.node.version
    }

    /// Changes of its ACL.
    pub fn aversion(&self) -> i32 {
        self.node.aversion
    }

    /// Children ever created: the next sequential child's number. Clients see another figure, see
    /// [`Stat::cversion`].
    pub fn stored_cversion(&self) -> i32 {
        self.node.cversion
    }

    /// Children there are.
    pub fn child_count(&self) -> u32 {
        self.node.children
    }

    /// Children, their children, and so on: what getAllChildrenNumber answers. Kept, not counted.
    pub fn descendant_count(&self) -> u32 {
        self.node.descendants
    }

    /// The txn that created it.
    pub fn czxid(&self) -> Zxid {
        self.node.czxid
    }

    /// The txn that last changed its data.
    pub fn mzxid(&self) -> Zxid {
        self.node.mzxid
    }

    /// The txn that last created or deleted a child.
    pub fn pzxid(&self) -> Zxid {
        self.node.pzxid
    }

    /// When it was created, in ms since 1970.
    pub fn ctime(&self) -> i64 {
        self.node.ctime
    }

    /// When its data last changed, in ms since 1970.
    pub fn mtime(&self) -> i64 {
        self.node.mtime
    }

    /// Names of its children, in no order to rely on.
    pub fn children(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.child_nodes().map(|child| child.node.name())
    }

    /// Its children, in no order to rely on.
    pub fn child_nodes(&self) -> impl Iterator<Item = NodeRef<'a>> + use<'a> {
        let tree = self.tree;
        let some = |slot: Slot| (slot != NONE).then(|| tree.at(slot));
        std::iter::successors(some(self.node.first_child), move |child| some(child.node.next))
    }

    /// Its whole path. Costs its length: nothing keeps paths.
    pub fn path(&self) -> String {
        self.tree.path_of(self.slot)
    }
}
