//! How long txns wait to be durable, and for their commit: measured per append, not per txn.

use std::collections::VecDeque;

use paddock_messages::zxid::Zxid;

/// What was appended together.
#[derive(Clone, Copy, Debug)]
struct Appended {
    upto: Zxid,
    txns: u64,
    at_us: u64,
}

/// From a txn's append to the commit that covers it. Times in µs of one monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct CommitTimes {
    /// Not committed, in order.
    waiting: VecDeque<Appended>,
    /// Committed since the last [`Self::take_average_us`]: how many txns, and their waits together.
    committed: (u64, u64),
}

impl CommitTimes {
    /// `txns` up to `upto` were appended.
    pub(crate) fn on_append(&mut self, upto: Zxid, txns: u64, now_us: u64) {
        self.waiting.push_back(Appended { upto, txns, at_us: now_us });
    }

    /// Everything up to `upto` is committed. A batch counts with the commit that covers its last txn. How many
    /// txns that makes, and how long each waited on average.
    pub(crate) fn on_commit(&mut self, upto: Zxid, now_us: u64) -> (u64, u64) {
        let (mut txns, mut waited_us) = (0, 0);
        while let Some(batch) = self.waiting.pop_front_if(|batch| batch.upto <= upto) {
            txns += batch.txns;
            waited_us += batch.txns * now_us.saturating_sub(batch.at_us);
        }
        self.committed.0 += txns;
        self.committed.1 += waited_us;
        (txns, waited_us.checked_div(txns).unwrap_or(0))
    }

    /// The average wait of what was committed since the last call; 0 for nothing.
    pub(super) fn take_average_us(&mut self) -> u64 {
        let (txns, waited_us) = std::mem::take(&mut self.committed);
        waited_us.checked_div(txns).unwrap_or(0)
    }
}

/// From a txn's append until this member's log says that it is durable. Times as above.
#[derive(Debug, Default)]
pub(super) struct DurableTimes {
    /// Not durable, in order.
    waiting: VecDeque<Appended>,
    /// Txns in it.
    queued: u64,
}

impl DurableTimes {
    /// `txns` up to `upto` were appended.
    pub(super) fn on_append(&mut self, upto: Zxid, txns: u64, now_us: u64) {
        self.waiting.push_back(Appended { upto, txns, at_us: now_us });
        self.queued += txns;
    }

    /// Everything up to `upto` is durable: gives the txns of each append that this covers, and for how
    /// long they waited. An append that is durable in part counts with its last txn.
    pub(super) fn on_durable(&mut self, upto: Zxid, now_us: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        std::iter::from_fn(move || {
            let Appended { txns, at_us, .. } = self.waiting.pop_front_if(|batch| batch.upto <= upto)?;
            self.queued -= txns;
            Some((txns, now_us.saturating_sub(at_us)))
        })
    }

    /// Txns that were appended and are not durable.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_when_an_append_is_durable_to_its_last_txn_and_the_rest_is_queued() {
        let mut times = DurableTimes::default();
        times.on_append(Zxid(3), 3, 100);
        times.on_append(Zxid(4), 1, 200);
        times.on_append(Zxid(9), 5, 300);
        let mut durable = |upto, now_us| {
            let waits: Vec<_> = times.on_durable(Zxid(upto), now_us).collect();
            (waits, times.queued())
        };
        assert_eq!(durable(2, 350), (vec![], 9));
        assert_eq!(durable(4, 500), (vec![(3, 400), (1, 300)], 5));
        assert_eq!(durable(9, 900), (vec![(5, 600)], 0));
    }

    #[test]
    fn waits_are_averaged_over_txns_and_end_with_the_commit() {
        let mut times = CommitTimes::default();
        times.on_append(Zxid(3), 3, 100);
        times.on_append(Zxid(4), 1, 200);
        assert_eq!(times.on_commit(Zxid(2), 300), (0, 0), "within the first batch");
        assert_eq!(times.take_average_us(), 0);
        assert_eq!(times.on_commit(Zxid(4), 500), (4, (3 * 400 + 300) / 4));
        assert_eq!(times.take_average_us(), (3 * 400 + 300) / 4);
        assert_eq!(times.take_average_us(), 0);
        assert!(times.waiting.is_empty());
    }
}
