//! What a leader of several counts for operators: how long proposals take to a quorum and to each member, and
//! which learners are being brought up to date. Of one reign; decides nothing.

use std::collections::{BTreeMap, VecDeque};

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::ToLearner;
use paddock_messages::zxid::Zxid;

use super::actor::between;
use crate::admin::metrics::{Meters, SyncKind};
use crate::learner::timing::CommitTimes;

/// Of so many txns one is timed until each member's ack. ZooKeeper: `leader.ackLoggingFrequency`.
const TIMED: u32 = 1_000;
/// Timed txns that somebody may not have acknowledged; of more, the oldest is given up.
const MOST_TIMED: usize = 64;

/// See the module. Times in µs of one monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Times {
    quorum: CommitTimes,
    proposed: Zxid,
    timed: VecDeque<(Zxid, u64)>,
    acked: BTreeMap<ServerId, Zxid>,
    syncing: BTreeMap<ServerId, SyncKind>,
}

impl Times {
    /// Everything up to `last` is proposed.
    pub(super) fn on_proposed(&mut self, last: Zxid, now_us: u64) {
        self.quorum.on_append(last, between(self.proposed, last), now_us);
        self.proposed = last;
        let timed = Zxid::new(last.epoch(), last.counter() / TIMED * TIMED);
        if timed.counter() > 0 && self.timed.back().is_none_or(|(newest, _)| *newest < timed) {
            self.timed.push_back((timed, now_us));
        }
        if self.timed.len() > MOST_TIMED {
            self.timed.pop_front();
        }
    }

    /// Everything up to `upto` is committed.
    pub(super) fn on_committed(&mut self, upto: Zxid, now_us: u64, meters: &Meters) {
        let (txns, waited_us) = self.quorum.on_commit(upto, now_us);
        meters.quorum_acked(txns, waited_us);
    }

    /// A member, perhaps this one, has everything up to `upto` on its disk.
    pub(super) fn on_ack(&mut self, member: ServerId, upto: Zxid, now_us: u64, meters: &Meters) {
        // What was proposed before its first ack it may not have been sent yet.
        let Some(before) = self.acked.insert(member, upto) else { return };
        let covers = |(zxid, _): &&(Zxid, u64)| before < *zxid && *zxid <= upto;
        for (_, at_us) in self.timed.iter().filter(covers) {
            meters.member_acked(member, now_us.saturating_sub(*at_us));
        }
    }

    /// What goes down a learner's lane. A snapshot's first packet does not come by here.
    pub(super) fn on_sent(&mut self, learner: ServerId, packet: &ToLearner, meters: &Meters) {
        if matches!(packet, ToLearner::Sync(_)) {
            self.on_sync(learner, SyncKind::Diff, meters);
        }
    }

    /// A learner begins to be brought up to date.
    pub(super) fn on_sync(&mut self, learner: ServerId, kind: SyncKind, meters: &Meters) {
        self.syncing.insert(learner, kind);
        meters.sync_began(kind, self.under_way(kind));
    }

    /// A learner has acknowledged NEWLEADER.
    pub(super) fn on_synchronised(&mut self, learner: ServerId, meters: &Meters) {
        if let Some(kind) = self.syncing.remove(&learner) {
            meters.sync_ended(kind, self.under_way(kind));
        }
    }

    /// Its lane is closed.
    pub(super) fn on_gone(&mut self, learner: ServerId) {
        self.syncing.remove(&learner);
        self.acked.remove(&learner);
    }

    fn under_way(&self, kind: SyncKind) -> u64 {
        self.syncing.values().filter(|it| **it == kind).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::quorum::SyncStart;
    use paddock_messages::zxid::Epoch;

    use super::*;

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(3), counter)
    }

    #[test]
    fn one_txn_in_a_thousand_is_timed_until_each_members_ack() {
        let (mut times, meters) = (Times::default(), Meters::default());
        let (one, two) = (ServerId(1), ServerId(2));
        for (last, at_us) in [(999, 10), (1_002, 20), (1_500, 30), (2_000, 40)] {
            times.on_proposed(z(last), at_us);
        }
        times.on_ack(one, z(999), 100, &meters);
        times.on_ack(two, z(1_001), 110, &meters); // it has just come, and has some of what was before
        times.on_ack(one, z(1_002), 120, &meters);
        times.on_ack(one, z(1_500), 130, &meters);
        times.on_ack(two, z(2_000), 240, &meters);
        let of = |member: &str| {
            let its = meters.ack_latency.of(member).read();
            (its.count(), its.sum())
        };
        assert_eq!((of("1"), of("2")), ((1, 100), (1, 200)));
        times.on_committed(z(1_002), 120, &meters);
        let quorum = meters.quorum_ack_latency.read();
        assert_eq!((quorum.count(), quorum.sum()), (1_002, 1_002 * 109), "999 waited 110 each, 3 100");
    }

    #[test]
    fn what_nobody_acknowledges_is_given_up() {
        let mut times = Times::default();
        (1..=200).for_each(|thousand| times.on_proposed(z(thousand * TIMED), 0));
        assert_eq!(times.timed.len(), MOST_TIMED);
    }

    #[test]
    fn synchronisations_are_counted_by_kind_as_they_begin_and_end() {
        let (mut times, meters) = (Times::default(), Meters::default());
        for (learner, start) in (1..).map(ServerId).zip([SyncStart::Diff, SyncStart::Trunc(z(1))]) {
            times.on_sent(learner, &ToLearner::Sync(start), &meters);
        }
        times.on_sync(ServerId(3), SyncKind::Snap, &meters);
        times.on_sent(ServerId(1), &ToLearner::UpToDate { committed: z(2) }, &meters);
        times.on_synchronised(ServerId(1), &meters);
        times.on_gone(ServerId(2));
        times.on_synchronised(ServerId(2), &meters);
        times.on_synchronised(ServerId(3), &meters);
        let [diffs, snaps] = [&meters.inflight_diffs, &meters.inflight_snaps].map(|of| of.read());
        assert_eq!([meters.diffs.get(), meters.snaps.get()], [2, 1]);
        assert_eq!((diffs.count(), diffs.sum(), diffs.max()), (3, 1 + 2 + 1, 2));
        assert_eq!((snaps.count(), snaps.sum()), (2, 1));
    }
}
