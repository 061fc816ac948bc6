//! What a quorum has on disk is committed (P2, P3).

use paddock_messages::letters::Ack;
use paddock_messages::zxid::Zxid;

use super::{Output, Proposer};
use crate::quorum::Quorum;

impl<Q: Quorum> Proposer<Q> {
    /// A voter has everything up to `upto` on disk: links are FIFO, so one ack covers the earlier.
    pub fn on_ack(&mut self, ack: Ack, out: &mut Vec<Output<Q>>) {
        if ack.upto > self.last {
            return out.push(Output::HangUp(ack.from)); // a peer's fault is an input, not a panic
        }
        if ack.from == self.me {
            self.credit.on_durable(ack.upto);
        }
        if !self.quorum.is_voter(ack.from) {
            return;
        }
        let acked = self.acked.entry(ack.from).or_default();
        *acked = ack.upto.max(*acked);
        self.commit(out);
    }

    /// All that a quorum has, by now.
    pub(super) fn commit(&mut self, out: &mut Vec<Output<Q>>) {
        let reached = self.acked.values().copied().filter(|&upto| upto > self.committed && self.holds(upto));
        if let Some(upto) = reached.max().filter(|_| self.may_commit()) {
            self.committed = upto; // P2: greater than before
            out.extend(self.syncs.on_commit(upto).map(Output::Confirm));
            out.push(Output::Commit(upto));
            self.settle_reconfig(out);
            self.roll_if_due(out);
        }
    }

    /// P3: whether a quorum has everything up to `upto` on disk.
    fn holds(&self, upto: Zxid) -> bool {
        self.quorum.holds(|voter| self.acked.get(&voter).is_some_and(|acked| *acked >= upto))
    }
}
