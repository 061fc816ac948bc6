//! A member's Learner as it applies what is committed, under the tree's lock.

use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::reads;
use paddock_actors::learner::core::State;
use paddock_actors::quorum_peer::OwnDigests;
use paddock_actors::tree::TreeWriter;
use paddock_actors::tree::feed::{FeedItem, ReadAnswer};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Asker, SessionChanges};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::mail::{Letter, Part};
use super::node::Node;
use super::truth::Truth;

/// The tree as the Learner sees it; the truth is told everything.
struct Live<'a, 't> {
    me: ServerId,
    writer: &'a mut TreeWriter<'t>,
    rules: &'a AuthRules,
    truth: &'a std::cell::RefCell<Truth>,
    /// The last txn applied: an epoch's start, where the tree may be, is none.
    applied: Zxid,
    txns: u64,
    is_odd: bool,
    late_replies: u64,
    /// Behind such a reply, and before the next txn.
    is_late: bool,
    late_reads: u64,
    /// A mistake, on purpose: they are lost.
    loses_late_replies: bool,
}

impl State for Live<'_, '_> {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        self.txns += 1;
        self.is_late = false;
        let before = std::mem::replace(&mut self.applied, txn.header.zxid);
        let outcome = self.writer.apply(txn);
        let digest = (!self.is_odd).then(|| self.writer.digest());
        self.truth.borrow_mut().apply(self.me, before, txn, digest);
        outcome
    }
    fn read(&mut self, from: &Asker, read: Read) -> ReadAnswer {
        reads::answer(self.writer, self.rules, from, read)
    }
    fn last_zxid(&self) -> Zxid {
        self.writer.last_zxid()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        let is_reply = matches!(item, FeedItem::LateReply { .. });
        self.is_late |= is_reply;
        let is_read = self.is_late && matches!(item, FeedItem::Read { .. });
        self.late_replies += u64::from(is_reply);
        self.late_reads += u64::from(is_read);
        if (is_reply || is_read) && self.loses_late_replies {
            return;
        }
        self.writer.push(arbiter, item);
    }
    fn begin_epoch(&mut self, epoch: Epoch) {
        self.writer.tree_mut().begin_epoch(epoch);
    }
}

impl Node {
    /// Applies what is committed, at most a batch.
    pub(super) fn apply(&mut self) {
        let mut changes = Vec::new();
        let tree = Arc::clone(&self.tree);
        let mut writer = tree.write();
        let (me, applied, is_odd) = (self.me, self.lp.core.applied(), self.lp.is_odd);
        let (truth, rules) = (&*self.truth, &*self.hubs[0].rules);
        let loses_late_replies = self.setup.has(EnsembleFault::AskAgainDone);
        let mut state = Live {
            me,
            writer: &mut writer,
            rules,
            truth,
            applied,
            txns: 0,
            is_odd,
            late_replies: 0,
            is_late: false,
            late_reads: 0,
            loses_late_replies,
        };
        self.lp.core.apply(&mut state, &mut changes);
        self.txns += state.txns;
        let (replies, reads) = (state.late_replies, state.late_reads);
        *self.met.entry("writes answered by the next leader's log").or_default() += replies;
        *self.met.entry("reads between writes answered by the next leader's log").or_default() += reads;
        let digests = OwnDigests { latest: writer.latest_digests(), ..self.board.digests() };
        self.board.tell_digests(digests);
        self.commit(writer);
        self.on_configured();
        if !changes.is_empty() {
            self.post(Part::Sessions, Letter::SessionChanges(SessionChanges(changes)));
        }
        self.on_applied();
    }
}
