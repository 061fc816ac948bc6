//! How far each learner is behind what was proposed, for operators.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use paddock_messages::ids::ServerId;
use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;
use parking_lot::Mutex;

use crate::admin::four_letter::Sizes;

/// Batches whose bytes are told apart; of more, neighbours are taken together.
const MOST_MARKS: usize = 1_024;

/// Of one reign.
#[derive(Debug, Default)]
pub struct Lag {
    /// The last txn proposed, and the bytes of all.
    last: (Zxid, u64),
    /// The last txn of each batch that somebody may lack, and the bytes of all up to it.
    marks: VecDeque<(Zxid, u64)>,
    /// The bytes before the first mark.
    before: u64,
    /// The bytes from a mark to the next, at least; the last step may be shorter.
    step: u64,
    acked: BTreeMap<ServerId, Zxid>,
    pending_syncs: u64,
}

/// Where the Proposer tells it. Clones share it.
pub type SharedLag = Arc<Mutex<Lag>>;

/// What a learner has not on its disk, as far as the leader knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Txns of this epoch.
    pub txns: u64,
    /// About the bytes of what was proposed since it joined: never less than what it lacks of that.
    pub bytes: u64,
}

/// A batch of proposals.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// At most.
    pub(super) bytes: usize,
    /// Its last txn's.
    pub(super) last: Option<Zxid>,
    /// Of its txns.
    pub(super) sizes: Sizes,
}

/// The most bytes of a proposal, about.
pub(super) fn bound(proposal: &Proposal) -> usize {
    proposal.txn().map_or(64, |txn| txn.bound())
}

pub(super) fn measure(items: &[Proposal]) -> Measure {
    let mut whole = Measure::default();
    for item in items {
        let bytes = bound(item);
        whole.bytes += bytes;
        if let Some(txn) = item.txn() {
            let (last, Sizes { min, max, .. }) = (bytes as i64, whole.sizes);
            let min = if min < 0 { last } else { min.min(last) };
            (whole.last, whole.sizes) = (Some(txn.header.zxid), Sizes { last, min, max: max.max(last) });
        }
    }
    whole
}

impl Lag {
    /// Txns up to `last` are proposed, of so many bytes.
    pub fn on_proposed(&mut self, last: Zxid, bytes: u64) {
        self.last = (last, self.last.1 + bytes);
        self.mark();
        self.forget();
    }

    /// The longer the way from the first mark to the last, the longer are the steps.
    fn mark(&mut self) {
        let bytes = |at: Option<&(Zxid, u64)>| at.map(|(_, bytes)| *bytes);
        let before_last = bytes(self.marks.iter().nth_back(1));
        let is_short =
            before_last.zip(bytes(self.marks.back())).is_some_and(|(from, to)| to - from < self.step);
        if is_short {
            self.marks.pop_back();
        }
        self.marks.push_back(self.last);
        if self.marks.len() > MOST_MARKS {
            let mut is_kept = false;
            self.marks.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.step = 2 * (self.last.1 - self.before) / MOST_MARKS as u64;
        }
    }

    /// A learner has everything up to here on disk.
    pub fn on_ack(&mut self, learner: ServerId, upto: Zxid) {
        let acked = self.acked.entry(learner).or_default();
        *acked = upto.max(*acked);
        self.forget();
    }

    /// A learner's lane is closed.
    pub fn on_gone(&mut self, learner: ServerId) {
        self.acked.remove(&learner);
        self.forget();
    }

    /// So many syncs wait for a quorum's word.
    pub fn on_pending_syncs(&mut self, count: u64) {
        self.pending_syncs = count;
    }

    /// How many do.
    pub fn pending_syncs(&self) -> u64 {
        self.pending_syncs
    }

    /// Each learner that has acknowledged anything, and what it lacks.
    pub fn learners(&self) -> BTreeMap<ServerId, Behind> {
        self.acked.iter().map(|(learner, acked)| (*learner, self.behind(*acked))).collect()
    }

    fn behind(&self, acked: Zxid) -> Behind {
        let (last, bytes) = self.last;
        let has = if acked.epoch() == last.epoch() { acked.counter() } else { 0 };
        let reached = self.marks.iter().take_while(|(zxid, _)| *zxid <= acked).last();
        Behind {
            txns: u64::from(last.counter().saturating_sub(has)),
            bytes: bytes - reached.map_or(self.before, |(_, bytes)| *bytes),
        }
    }

    /// What every learner has.
    fn forget(&mut self) {
        let all_have = self.acked.values().min().copied().unwrap_or(self.last.0);
        while let Some((_, bytes)) = self.marks.pop_front_if(|(zxid, _)| *zxid <= all_have) {
            self.before = bytes;
        }
        if self.marks.is_empty() {
            self.step = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(3), counter)
    }

    #[test]
    fn a_learner_lacks_what_it_has_not_acknowledged() {
        let mut lag = Lag::default();
        lag.on_ack(ServerId(2), Zxid::new(Epoch(2), 77)); // NEWLEADER's: all that was before
        lag.on_ack(ServerId(3), z(0));
        lag.on_proposed(z(4), 400);
        lag.on_proposed(z(6), 60);
        let behind = |txns, bytes| Behind { txns, bytes };
        let of = |lag: &Lag, learner| lag.learners().get(&ServerId(learner)).copied();
        assert_eq!((of(&lag, 2), of(&lag, 3)), (Some(behind(6, 460)), Some(behind(6, 460))));
        lag.on_ack(ServerId(2), z(4));
        lag.on_ack(ServerId(2), z(3)); // late
        assert_eq!((of(&lag, 2), of(&lag, 3)), (Some(behind(2, 60)), Some(behind(6, 460))));
        lag.on_ack(ServerId(3), z(5)); // in the middle of a batch
        assert_eq!((of(&lag, 2), of(&lag, 3)), (Some(behind(2, 60)), Some(behind(1, 60))));
        lag.on_ack(ServerId(3), z(6));
        lag.on_gone(ServerId(2));
        assert_eq!((of(&lag, 2), of(&lag, 3)), (None, Some(behind(0, 0))));
        assert!(lag.marks.is_empty(), "what all have is forgotten");
    }

    #[test]
    fn what_is_kept_for_a_learner_that_stands_still_has_an_end_and_its_lag_is_not_less() {
        let mut lag = Lag::default();
        lag.on_ack(ServerId(2), z(5));
        lag.on_ack(ServerId(3), z(0));
        for counter in 1..=100_000 {
            lag.on_proposed(z(counter), 10);
            assert!(lag.marks.len() <= MOST_MARKS);
        }
        lag.on_ack(ServerId(3), z(50_000));
        let bytes = lag.learners()[&ServerId(3)].bytes;
        assert!((500_000..510_000).contains(&bytes), "{bytes}");
    }
}
