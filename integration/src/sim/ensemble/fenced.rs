//! A member whose tree differs, as its Learner's shell has it; and how one comes to differ.

use std::sync::Arc;

use paddock_actors::quorum_peer::OwnDigests;
use paddock_actors::tree::{DataTree, Events};
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::roles::TreeDiffers;
use paddock_messages::txn::{Op, Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::Zxid;

use super::learner::Mode;
use super::mail::{Came, Control};
use super::node::Node;
use super::storage::Command;

impl Node {
    /// The root's data becomes another in the tree, and nowhere else.
    pub(super) fn spoil_tree(&mut self) {
        let mut writer = self.tree.write();
        let header = TxnHeader {
            session: SessionId(0),
            attach: AttachNumber::default(),
            cxid: 0,
            zxid: writer.last_zxid(),
            time: 0,
        };
        let op = Op::SetData { path: "/".into(), data: Some(vec![1].into()), version: 0 };
        let tree = writer.tree_mut();
        let before = tree.digest();
        tree.apply(&Txn { header, body: TxnBody::One(op) }, &mut Events::unwanted());
        assert_ne!(tree.digest(), before, "it is another");
        writer.commit(|_| {});
        self.lp.is_odd = true;
    }

    pub(super) fn replace_tree(&mut self) {
        let Some(Came { mut tree, .. }) = self.lp.installing.take() else { return };
        let epoch = self.tree.read().last_zxid().epoch();
        if tree.last_zxid() < epoch.start() {
            tree.begin_epoch(epoch);
        }
        let applied = self.lp.core.applied();
        self.put_tree(applied, tree);
        self.note("trees replaced");
    }

    pub(super) fn put_tree(&mut self, zxid: Zxid, tree: DataTree) {
        self.truth.borrow().install(self.me, zxid, tree.digest());
        let shared = Arc::clone(&self.tree);
        let mut writer = shared.write();
        writer.replace(tree);
        let own = OwnDigests { tree: self.board.digests().tree + 1, latest: writer.latest_digests() };
        self.board.tell_digests(own);
        self.commit(writer);
        self.lp.is_odd = false;
        self.lp.fence.lower(self.now_ms);
    }

    pub(super) fn on_tree_differs(&mut self, TreeDiffers { tree }: TreeDiffers) {
        if tree != self.board.digests().tree || !self.lp.fence.raise(self.now_ms) {
            return;
        }
        self.command(self.lp.role, Command::MarkTree);
        self.tell_hubs(Control::Serve(false));
        self.tell_hubs(Control::CloseAll);
        match &mut self.lp.mode {
            Mode::Looking { is_told, .. } => *is_told = false,
            _ => self.leave("its tree is not the one that a quorum has"),
        }
    }

    /// Whoever follows, and was not sent a tree, asks anew from time to time.
    pub(super) fn ask_for_tree(&mut self) {
        let serves = matches!(&self.lp.mode, Mode::Following(behind) if behind.stay.is_serving());
        if serves && self.lp.fence.is_due(self.now_ms) {
            self.leave("to ask a leader for its tree");
        }
    }
}
