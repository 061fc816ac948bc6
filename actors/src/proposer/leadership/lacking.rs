//! What a learner lacks, from our log, a snapshot and memory, until it joins the broadcast.

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{SyncStart, ToLearner};
use paddock_messages::zxid::Zxid;

use super::stage::Stage;
use super::{Leadership, Output};
use crate::proposer::sync_plan::{Searched, SyncPlan, plan, wanted};
use crate::quorum::Quorum;
use crate::storage::transfer::Span;

impl<Q: Quorum> Leadership<Q> {
    pub(super) fn find(&mut self, learner: ServerId, out: &mut Vec<Output>) {
        if let Some(Stage::Acknowledged { tail, .. }) = self.learners.get(&learner) {
            let tail = tail.clone();
            out.push(Output::Find(learner, wanted(&tail)));
            self.learners.insert(learner, Stage::Finding(tail));
        }
    }

    /// What our log says to what [`Output::Find`] asked.
    pub fn on_found(&mut self, learner: ServerId, searched: &Searched, out: &mut Vec<Output>) {
        let Some(Stage::Finding(tail)) = self.learners.get(&learner) else { return };
        let tail = tail.clone();
        let asked = wanted(&tail);
        let Searched { log_start, ref floors, .. } = *searched;
        if asked.len() != floors.len() {
            return; // the answer to what was asked of an earlier lane
        }
        let (led, last) = (self.phase.proposed(), self.recent.last());
        let floor = |at: Zxid| {
            // Z4: what we have proposed is ours, if perhaps not on our disk yet.
            let is_ours = Some(at.epoch()) == led && last.epoch() == at.epoch();
            let on_disk = asked.iter().zip(floors).find(|(wanted, _)| **wanted == at);
            if is_ours { at.min(last) } else { on_disk.map_or(log_start, |(_, (floor, _))| *floor) }
        };
        let plan = plan(&tail, log_start, floor);
        let common = match plan {
            SyncPlan::Diff => Some(tail.last()),
            SyncPlan::Trunc(to) => Some(to),
            SyncPlan::Snap | SyncPlan::Foreign => None,
        };
        self.learners.insert(learner, Stage::Sending);
        if common.is_some_and(|it| searched.is_spared(it, self.spares)) && self.spared.insert(learner) {
            return out.push(Output::SendSnapshot(learner)); // Z10
        }
        if common.is_some() && searched.snapshot_bytes > 0 && self.asks_for_tree.contains(&learner) {
            return out.push(Output::SendSnapshot(learner)); // DG4
        }
        match plan {
            SyncPlan::Diff => {
                out.push(Output::Send(learner, ToLearner::Sync(SyncStart::Diff)));
                self.send_rest(learner, tail.last(), out);
            }
            SyncPlan::Trunc(to) => {
                out.push(Output::Send(learner, ToLearner::Sync(SyncStart::Trunc(to))));
                self.send_rest(learner, to, out);
            }
            SyncPlan::Snap => out.push(Output::SendSnapshot(learner)),
            SyncPlan::Foreign => {
                self.hang_up(learner, "what it knows to be committed is not in our history", out);
            }
        }
    }

    /// Our log could not be read for this learner: nothing may be concluded about what it holds.
    pub fn on_unreadable(&mut self, learner: ServerId, out: &mut Vec<Output>) {
        if matches!(self.learners.get(&learner), Some(Stage::Finding(_) | Stage::Sending)) {
            self.hang_up(learner, "our log could not be read", out);
        }
    }

    /// A learner is sent everything up to `upto` from our log.
    pub fn on_log_sent(&mut self, learner: ServerId, upto: Zxid, out: &mut Vec<Output>) {
        if self.learners.get(&learner) == Some(&Stage::Sending) {
            self.send_rest(learner, upto, out);
        }
    }

    /// A learner is sent SNAP, with everything up to `zxid`.
    pub fn on_snapshot_sent(&mut self, learner: ServerId, zxid: Zxid, out: &mut Vec<Output>) {
        self.on_log_sent(learner, zxid, out);
    }

    /// Z2: what it lacks after `has` stands in memory, and it joins, or must come from the log first.
    fn send_rest(&mut self, learner: ServerId, has: Zxid, out: &mut Vec<Output>) {
        let is_voter = self.quorum.is_voter(learner);
        // An observer holds committed txns only. Before the reign is established all of ours are to be.
        let due = if is_voter { self.recent.last() } else { self.recent.informed() };
        match self.recent.between(has, due) {
            Some(batches) => {
                let send = |(after, items)| Output::Send(learner, ToLearner::Proposals { after, items });
                out.extend(batches.into_iter().map(send));
                let epoch = self.phase.proposed().expect("nobody is synchronised before");
                self.learners.insert(learner, Stage::Joined);
                out.push(Output::Send(
                    learner,
                    ToLearner::NewLeader { epoch, last: due, ensemble: self.ensemble },
                ));
            }
            None => {
                let (upto, committed) = (self.durable.min(due), self.committed);
                out.push(Output::SendLog(learner, Span { after: has, upto, committed }));
            }
        }
    }
}
