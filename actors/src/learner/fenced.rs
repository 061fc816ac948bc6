//! A member whose tree differs from a quorum's, in the Learner's shell: see [`super::fence`].

use paddock_messages::roles::{Begin, TreeDiffers};

use super::actor::LearnerActor;
use super::roles::Mode;
use crate::client::Serving;
use crate::client::hub::Control;
use crate::runtime::{Ctx, Serve};
use crate::storage::Command;
use crate::storage::transfer::Received;

impl Serve<TreeDiffers> for LearnerActor {
    fn serve(&mut self, TreeDiffers { tree }: TreeDiffers, ctx: &mut Ctx<'_, Self>) {
        if self.role == Begin::LAST.role
            || tree != self.digests.tree
            || !self.fence.raise(ctx.clock().now_ms())
        {
            return;
        }
        self.command(Command::MarkTree, ctx);
        self.others().board.fence(true);
        for hub in &self.others().hubs {
            drop(hub.post(Control::Serve(Serving::Nobody))); // one that is gone is the guardian's business
            drop(hub.post(Control::CloseAll));
        }
        match &mut self.mode {
            Mode::Looking(search) => search.is_told = false, // it stands for less now
            _ => self.leave("its tree is not the one that a quorum has", ctx),
        }
    }
}

impl LearnerActor {
    /// At the start, with the mark as it was found.
    pub(super) fn find_fence(&self) {
        if self.fence.is_up() {
            self.others().board.fence(true);
            tracing::error!(
                "this member's tree was found to be another than a quorum's before it ended: it serves no client until \
                 it has a leader's tree, for which it asks"
            );
        }
    }

    /// DG6: one that follows, and was not sent a tree, asks anew from time to time.
    pub(super) fn ask_for_tree(&mut self, ctx: &mut Ctx<'_, Self>) {
        let Mode::Following(behind) = &self.mode else { return };
        if behind.is_up_to_date() && self.fence.is_due(ctx.clock().now_ms()) {
            self.leave("to ask a leader for its tree", ctx);
        }
    }

    pub(super) fn lower_fence(&mut self, now_ms: u64) {
        if self.fence.is_up() {
            self.fence.lower(now_ms);
            self.others().board.fence(false);
            tracing::info!(
                "this member's tree is the leader's now: clients are served once it is up to date"
            );
        }
    }

    /// What is on disk comes to the leader's tree now, whichever role asked for it; the log is as it was.
    pub(super) fn replace_tree(&mut self, now_ms: u64) {
        let Some(Received { mut tree, .. }) = self.installing.take() else { return };
        let epoch = self.tree.read().last_zxid().epoch();
        if tree.last_zxid() < epoch.start() {
            tree.begin_epoch(epoch); // which is no txn
        }
        self.put_tree(tree, now_ms);
    }
}
