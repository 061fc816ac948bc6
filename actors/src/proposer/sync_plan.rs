//! How a learner's log is brought to the leader's: what is cut, and from where on it is sent.
//!
//! Two logs that hold the same txn hold the same txns before it, as far back as they go: each is what one
//! leader after the other sent. So the last txn that both have decides. What a learner has beyond it was never
//! committed; what it has before is never taken from it, not even to be given back: it may be one of a quorum
//! that must keep it. ZooKeeper knows of a learner only its last txn, so that it must not cut beyond an epoch's
//! boundary and sends a snapshot instead; a learner that tells the epochs of its [`Tail`] can be cut exactly,
//! and a snapshot is sent only where the log does not go back far enough, or where it spares the learner more of
//! the log than it is worth ([`Spares`]).
//!
//! Source: compat zab, 5; LearnerHandler.syncFollower; ZKDatabase.calculateTxnLogSizeLimit.

use paddock_messages::quorum::Tail;
use paddock_messages::zxid::Zxid;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPlan {
    /// Send what comes after its last txn.
    Diff,
    /// Have it cut what comes after this txn, then send what comes after that.
    Trunc(Zxid),
    /// Send the newest snapshot, then what comes after that.
    Snap,
    /// What it knows to be committed is not in our log: its history is another.
    Foreign,
}

/// When a snapshot is sent although the log goes back far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spares {
    /// Millionths of the snapshot's size: when it spares the learner more bytes of the log than that. 0 for
    /// never, below for whenever it spares any.
    /// Source: ZooKeeper's `snapshotSizeFactor`.
    pub factor_millionths: i32,
    /// So many bytes of the log are sent in any case, unless the factor is below 0.
    pub least_bytes: u64,
}

impl Default for Spares {
    /// ZooKeeper's factor; and what takes a learner a moment only, whatever its snapshot's size.
    fn default() -> Self {
        Self { factor_millionths: 330_000, least_bytes: 4 << 20 }
    }
}

impl Spares {
    /// Whether a snapshot of so many bytes is sent instead of so many of the log.
    fn enough(self, log_bytes: u64, snapshot_bytes: u64) -> bool {
        match u128::try_from(self.factor_millionths) {
            Err(_) => log_bytes > 0,
            Ok(0) => false,
            Ok(factor) => {
                let share = factor * u128::from(snapshot_bytes) / 1_000_000;
                log_bytes > self.least_bytes && u128::from(log_bytes) > share
            }
        }
    }
}

/// What our log and our newest snapshot say to what was [`wanted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// The log holds every txn after this one.
    pub log_start: Zxid,
    /// For each, in its order, the last txn at or before it, and how many bytes of the log stand between that
    /// and the end of the snapshot, about: 0 if the snapshot ends before, or there is none.
    pub floors: Vec<(Zxid, u64)>,
    /// Of the snapshot.
    pub snapshot_bytes: u64,
}

impl Searched {
    /// Whether a learner that has everything up to `common` is sent the snapshot. It holds all that the learner
    /// has in common with us, and more: nothing is taken from it.
    pub fn is_spared(&self, common: Zxid, rule: Spares) -> bool {
        let known = self.floors.iter().find(|(floor, _)| *floor == common);
        known.is_some_and(|(_, spared)| *spared > 0 && rule.enough(*spared, self.snapshot_bytes))
    }
}

/// What the leader's log must be asked about a learner's: the answer names the last txn at or before each.
pub fn wanted(tail: &Tail) -> Vec<Zxid> {
    tail.runs.iter().map(|(_, last)| *last).chain([tail.committed]).collect()
}

/// What a learner with this tail needs, if our log holds every txn after `log_start`, and `floor` is its last
/// txn at or before one of those [`wanted`]; what comes before the log is taken to be as ours was.
pub fn plan(tail: &Tail, log_start: Zxid, floor: impl Fn(Zxid) -> Zxid) -> SyncPlan {
    // A snapshot may have been taken at the start of an epoch, which is no txn: no log holds it.
    let is_txn = tail.committed.counter() > 0;
    if is_txn && tail.committed > log_start && floor(tail.committed) != tail.committed {
        return SyncPlan::Foreign;
    }
    let shared = |(first, last): &(Zxid, Zxid)| Some(floor(*last)).filter(|it| it >= first && it <= last);
    let common = tail.runs.iter().rev().find_map(shared).unwrap_or(tail.committed);
    if common < log_start {
        SyncPlan::Snap
    } else if common == tail.last() {
        SyncPlan::Diff
    } else {
        SyncPlan::Trunc(common)
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    fn z(epoch: u32, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    #[test]
    fn what_a_learner_gets_is_decided_by_the_last_txn_that_both_have() {
        let ours = [z(1, 1), z(1, 2), z(1, 3), z(3, 1), z(3, 2), z(5, 1)];
        type Case = (u32, Zxid, &'static [(u32, u32, u32)], SyncPlan); // what was purged, its tail
        let cases: &[Case] = &[
            (0, z(0, 0), &[], SyncPlan::Diff), // empty, and our log goes back to the beginning
            (2, z(0, 0), &[], SyncPlan::Snap), // empty, and ours was purged
            (0, z(3, 1), &[], SyncPlan::Diff),
            (4, z(3, 1), &[], SyncPlan::Diff), // the txn before our first
            (5, z(3, 1), &[], SyncPlan::Snap), // one too old
            (0, z(1, 1), &[(1, 2, 3), (3, 1, 1)], SyncPlan::Diff),
            (0, z(1, 1), &[(1, 2, 4)], SyncPlan::Trunc(z(1, 3))),
            (0, z(1, 1), &[(1, 2, 2), (2, 1, 7)], SyncPlan::Trunc(z(1, 2))), // across an epoch's boundary
            (0, z(1, 2), &[(2, 1, 7)], SyncPlan::Trunc(z(1, 2))),
            (0, z(1, 2), &[(2, 1, 7), (4, 1, 1)], SyncPlan::Trunc(z(1, 2))), // across two
            (0, z(1, 2), &[(1, 3, 3), (3, 1, 9), (4, 1, 1)], SyncPlan::Trunc(z(3, 2))),
            (3, z(1, 2), &[(2, 1, 7)], SyncPlan::Snap), // what both have was purged
            (6, z(1, 2), &[(2, 1, 7)], SyncPlan::Snap), // all of ours is later
            (6, z(5, 1), &[(5, 2, 7)], SyncPlan::Trunc(z(5, 1))), // nothing of ours is left
            (0, z(5, 0), &[], SyncPlan::Diff),          // all it has is a snapshot taken when epoch 5 began
            (4, z(5, 0), &[], SyncPlan::Diff),
            (6, z(5, 0), &[], SyncPlan::Snap),
            (0, z(5, 0), &[(5, 1, 3)], SyncPlan::Trunc(z(5, 1))),
            (0, z(1, 4), &[], SyncPlan::Foreign),
            (0, z(2, 1), &[(2, 2, 2)], SyncPlan::Foreign),
            (0, z(6, 1), &[], SyncPlan::Foreign),
        ];
        for (purged, committed, runs, expected) in cases {
            let runs = runs.iter().map(|(epoch, from, to)| (z(*epoch, *from), z(*epoch, *to))).collect();
            let tail = Tail { committed: *committed, runs };
            assert!(tail.is_sound(), "{tail:?}");
            let (gone, log) = ours.split_at(*purged as usize);
            let log_start = gone.last().copied().unwrap_or(Zxid::ZERO);
            let floor = |at| log.iter().rev().find(|it| **it <= at).copied().unwrap_or(log_start);
            assert_eq!(plan(&tail, log_start, floor), *expected, "{tail:?} from {log_start:?}");
        }
    }

    #[test]
    fn z10_a_snapshot_is_sent_where_it_spares_more_than_its_share() {
        let searched = |spared, snapshot_bytes| Searched {
            log_start: Zxid::ZERO,
            floors: vec![(z(3, 1), spared), (z(1, 3), 1 << 40)],
            snapshot_bytes,
        };
        const M: u64 = 1 << 20;
        for (factor_millionths, spared, snapshot, expected) in [
            (330_000, 33 * M, 100 * M, false),
            (330_000, 34 * M, 100 * M, true),
            (330_000, 4 * M, 1, false), // a moment's work
            (330_000, 4 * M + 1, 1, true),
            (330_000, 0, 0, false), // there is none
            (1_000_000, 34 * M, 100 * M, false),
            (1_000_000, 101 * M, 100 * M, true),
            (0, 1 << 40, 1, false), // always the log
            (-1, 1, 1 << 40, true), // never, where the snapshot has any of it
            (-1, 0, 1, false),
            (1, u64::MAX, u64::MAX, true),
        ] {
            let rule = Spares { factor_millionths, ..Spares::default() };
            let told = (factor_millionths, spared, snapshot);
            assert_eq!(searched(spared, snapshot).is_spared(z(3, 1), rule), expected, "{told:?}");
            assert!(!searched(spared, snapshot).is_spared(z(3, 2), rule), "nothing is known of it");
        }
    }

    #[test]
    fn a_tail_that_cannot_be_is_known() {
        for (committed, runs) in [
            (z(1, 1), vec![(z(1, 3), z(1, 4))]),
            (z(1, 1), vec![(z(1, 1), z(1, 4))]),
            (z(1, 1), vec![(z(1, 2), z(2, 4))]),
            (z(1, 1), vec![(z(2, 1), z(2, 0))]),
            (z(1, 1), vec![(z(2, 1), z(2, 4)), (z(2, 6), z(2, 7))]),
            (z(3, 1), vec![(z(2, 1), z(2, 4))]),
        ] {
            let tail = Tail { committed, runs };
            assert!(!tail.is_sound(), "{tail:?}");
        }
    }
}
