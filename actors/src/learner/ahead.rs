//! How much of what a leader sends may be on its way to the log.
//!
//! - L10 What is given to the log and not on disk never comes to more than the log has room for before it says that
//!   the disk is full. A leader bounds that for its own log only, and what is read ahead of the disk may be more.

use std::collections::VecDeque;

use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;

use crate::storage::admitted_overhead;

/// What was given to the log and is not on disk, by batch; `R` is held until it is.
#[derive(Debug)]
pub struct Ahead<R> {
    /// In bytes.
    room: u64,
    owed: u64,
    /// The last zxid of each, and its bytes.
    batches: VecDeque<(Zxid, u64, R)>,
}

impl<R> Ahead<R> {
    /// Of a log that has room for so many bytes: its `admitted_bytes`.
    pub fn new(room: u64) -> Self {
        Self { room, owed: 0, batches: VecDeque::new() }
    }

    /// Whether a batch of so many bytes may be given to the log now. Always, if nothing else is on its way: else one
    /// that a single huge txn makes larger than all the room would never be.
    pub fn takes(&self, bytes: u64) -> bool {
        bytes == 0 || self.owed == 0 || self.owed + bytes <= self.room
    }

    /// A batch that ends with this txn is given to the log.
    pub fn give(&mut self, last: Zxid, bytes: u64, held: R) {
        self.owed += bytes;
        self.batches.push_back((last, bytes, held));
    }

    /// Everything up to `upto` is on disk.
    pub fn on_durable(&mut self, upto: Zxid) {
        while let Some((_, bytes, _)) = self.batches.pop_front_if(|(last, ..)| *last <= upto) {
            self.owed -= bytes;
        }
    }
}

/// The most bytes that these take in the log, given to it together: 0 if nothing of them is logged.
pub fn bytes_in_log(items: &[Proposal]) -> u64 {
    let txns = items.iter().filter_map(Proposal::txn);
    let (writes, payload) =
        txns.fold((0, 0), |(writes, bytes), txn| (writes + 1, bytes + txn.bound() as u64));
    if writes == 0 { 0 } else { payload + admitted_overhead(writes) }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    #[test]
    fn l10_no_more_is_on_its_way_to_the_log_than_it_has_room_for() {
        let at = |counter| Zxid::new(Epoch(1), counter);
        let mut ahead = Ahead::new(100);
        let takes = |ahead: &Ahead<()>, most: u64| {
            assert!(ahead.takes(most) && !ahead.takes(most + 1), "{ahead:?}, and {most}");
        };
        assert!(ahead.takes(101), "nothing else is on its way");
        ahead.give(at(1), 60, ());
        takes(&ahead, 40);
        ahead.give(at(3), 30, ());
        takes(&ahead, 10);
        ahead.on_durable(at(2));
        takes(&ahead, 70);
        ahead.give(at(9), 170, ()); // overdrawn
        assert!(!ahead.takes(1));
        assert!(ahead.takes(0), "what is not logged waits for no room");
        ahead.on_durable(at(9));
        assert!(ahead.takes(101));
    }
}
