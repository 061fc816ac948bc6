//! A sync is answered only if we still led when it was asked (P11): a leader that was replaced may not know it
//! yet. The syncs of a reign are numbered; a number is confirmed by a round of heartbeats that began after it
//! was given, or by the commit of a txn that was proposed after it.

use std::collections::VecDeque;

use paddock_messages::zxid::Zxid;

/// Those of one reign.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    asked: u64,
    confirmed: u64,
    /// What a round was asked for so far.
    in_rounds: u64,
    /// The last number given at each last zxid, oldest first: only those not confirmed.
    at: VecDeque<(Zxid, u64)>,
}

impl Syncs {
    /// A sync that is asked behind the txn `last`: its number.
    pub(super) fn ask(&mut self, last: Zxid) -> u64 {
        self.asked += 1;
        match self.at.back_mut().filter(|(zxid, _)| *zxid == last) {
            Some((_, number)) => *number = self.asked,
            None => self.at.push_back((last, self.asked)),
        }
        self.asked
    }

    /// The last number for which a round must begin, if one must.
    pub(super) fn begin_round(&mut self) -> Option<u64> {
        (std::mem::replace(&mut self.in_rounds, self.asked) < self.asked).then_some(self.asked)
    }

    /// A round has confirmed all up to this one. True if that is news.
    pub(super) fn on_round(&mut self, upto: u64) -> bool {
        while self.at.pop_front_if(|(_, number)| *number <= upto).is_some() {}
        let is_news = upto > self.confirmed && upto <= self.asked;
        if is_news {
            self.confirmed = upto;
        }
        is_news
    }

    /// Everything up to this txn is committed: what was asked before it was proposed is confirmed.
    pub(super) fn on_commit(&mut self, committed: Zxid) -> Option<u64> {
        let mut upto = None;
        while let Some((_, number)) = self.at.pop_front_if(|(last, _)| *last < committed) {
            upto = Some(number);
        }
        upto.filter(|upto| self.on_round(*upto))
    }

    /// The last one confirmed.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// The last one asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::zxid::Epoch;

    use super::*;

    #[test]
    fn p11_a_sync_is_confirmed_by_a_round_begun_after_it_or_by_a_txn_proposed_after_it() {
        let z = |counter| Zxid::new(Epoch(3), counter);
        let mut syncs = Syncs::default();
        assert_eq!(syncs.begin_round(), None, "for nobody");
        assert_eq!((syncs.ask(z(4)), syncs.ask(z(4))), (1, 2));
        assert_eq!(syncs.begin_round(), Some(2));
        assert_eq!(syncs.begin_round(), None, "one for all that wait");
        assert_eq!(syncs.on_commit(z(4)), None, "it was proposed before");
        assert_eq!(syncs.ask(z(5)), 3);
        assert_eq!(syncs.on_commit(z(5)), Some(2));
        assert!(!syncs.on_round(2), "no news");
        assert_eq!(syncs.begin_round(), Some(3));
        assert!(!syncs.on_round(9), "nobody asked that");
        assert_eq!(syncs.ask(z(5)), 4);
        assert!(syncs.on_round(3));
        assert_eq!((syncs.confirmed(), syncs.asked()), (3, 4));
        assert_eq!(syncs.on_commit(z(6)), Some(4));
    }
}
