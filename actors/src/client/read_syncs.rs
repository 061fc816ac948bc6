//! Linearizable reads (C10): one sync of the arbiter's own stands behind all reads that came before it was asked.
//! It goes the way of a client's sync, so a leader that was deposed cannot answer it.

use std::collections::VecDeque;

use paddock_messages::ids::ConnId;
use paddock_messages::letters::Submission;

use super::core::{ArbiterCore, Serving};
use super::pipeline::{Entry, What};

/// The syncs of one arbiter, by number. At most one is under way; what comes meanwhile shares the next.
#[derive(Debug, Default)]
pub(super) struct ReadSyncs {
    asked: u64,
    passed: u64,
    under_way: bool,
    /// A read waits for the one after `asked`.
    is_wanted: bool,
    /// Connections whose oldest request waits for one; once each.
    waiting: VecDeque<ConnId>,
}

impl ReadSyncs {
    /// The numbers begin behind what an earlier process may have asked for: its answers reach nobody.
    pub(super) fn number_from(&mut self, generation: u32) {
        self.asked = u64::from(generation) << 32;
        self.passed = self.asked;
    }

    /// For a read that comes now: the sync that it waits for, which is not asked yet.
    pub(super) fn stamp(&mut self) -> u64 {
        self.is_wanted = true;
        self.asked + 1
    }

    fn is_due(&self) -> bool {
        self.is_wanted && !self.under_way
    }

    fn ask(&mut self) -> u64 {
        (self.under_way, self.is_wanted) = (true, false);
        self.asked += 1;
        self.asked
    }

    /// C10: whether a request must wait for a sync that has not been passed.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        matches!(entry.what, What::Read { behind, .. } if behind > self.passed)
    }

    /// Whether it is the one under way: others were asked of an earlier leader, or by an earlier process.
    fn pass(&mut self, number: u64) -> bool {
        let is_it = self.under_way && number == self.asked;
        if is_it {
            (self.under_way, self.passed) = (false, number);
        }
        is_it
    }

    /// The one under way will not be answered.
    fn lose(&mut self) {
        self.is_wanted |= std::mem::take(&mut self.under_way);
    }
}

impl ArbiterCore {
    /// The member's role begins: what was submitted in the one before is lost. Sessions' own requests are asked again
    /// behind their leader's word (C17); the arbiter's sync needs none.
    pub fn begin_role(&mut self) {
        self.submissions.clear();
        self.read_syncs.lose();
    }

    /// Whether there is a sync of the arbiter's own to be asked for.
    pub(super) fn owes_read_sync(&self) -> bool {
        self.serving == Serving::Everybody && self.read_syncs.is_due()
    }

    /// The same, as a submission: asked as late as may be, so that it serves as many reads as may be.
    pub(super) fn next_read_sync(&mut self) -> Option<Submission> {
        let Self { arbiter, ref mut read_syncs, .. } = *self;
        let is_due = self.serving == Serving::Everybody && read_syncs.is_due();
        is_due.then(|| Submission::SyncReads { arbiter, number: read_syncs.ask() })
    }

    /// Whether a connection's oldest request is due but for a sync; it is looked at again once that has been passed.
    /// To be asked only of a connection that is on no list but as ready.
    pub(super) fn waits_for_sync(&mut self, conn: ConnId) -> bool {
        let due = self.conns.get(conn).and_then(|it| it.pipeline.due());
        let waits = due.is_some_and(|entry| self.read_syncs.holds(entry));
        if waits {
            self.read_syncs.waiting.push_back(conn);
        }
        waits
    }

    /// The sync of this number has been passed.
    pub(super) fn on_reads_synced(&mut self, number: u64) {
        if self.read_syncs.pass(number) {
            self.ready.append(&mut self.read_syncs.waiting);
        }
    }
}
