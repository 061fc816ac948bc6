//! What a leader has proposed and its log may not hold yet, so that a learner on its way in misses nothing
//! (Z2), and what observers are not told yet.

use std::collections::VecDeque;
use std::sync::Arc;

use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;

/// So many txns are kept although the log has them: who was away for a moment needs no file.
/// Source: ZooKeeper's `commitLogCount`.
const KEPT_TXNS: usize = 500;

/// No more than so many bytes of txns are kept although the log has them (Z10).
const KEPT_BYTES: usize = 32 << 20;

/// Proposals, in order, and the txn before their first.
pub(super) type Batch = (Zxid, Arc<Vec<Proposal>>);

/// See the module. Beyond [`KEPT_BYTES`] bounded by what the Proposer may have proposed and not durable (P9).
#[derive(Debug)]
pub(super) struct Recent {
    /// Every txn after this one is here.
    start: Zxid,
    last: Zxid,
    committed: Zxid,
    /// Those with txns, the last of each, and what each takes.
    batches: VecDeque<(Batch, Zxid, Kept)>,
    kept: Kept,
    /// What observers are not told: batches, and how many of the first's items they have.
    untold: VecDeque<Arc<Vec<Proposal>>>,
    told_of_first: usize,
    /// The last txn that they are told.
    informed: Zxid,
}

impl Recent {
    /// Nothing is proposed yet: everything up to `last` is in the log, and will be committed before
    /// anything is proposed.
    pub(super) fn new(last: Zxid) -> Self {
        Self {
            start: last,
            last,
            committed: last,
            batches: VecDeque::new(),
            kept: Kept::default(),
            untold: VecDeque::new(),
            told_of_first: 0,
            informed: last,
        }
    }

    /// The last txn proposed.
    pub(super) fn last(&self) -> Zxid {
        self.last
    }

    /// The last txn that is committed and that observers are told.
    pub(super) fn informed(&self) -> Zxid {
        self.informed
    }

    pub(super) fn push(&mut self, items: Arc<Vec<Proposal>>) {
        self.untold.push_back(Arc::clone(&items));
        let last = items.iter().rev().find_map(Proposal::txn).map(|txn| txn.header.zxid);
        if let Some(last) = last {
            let size = Kept::of(&items);
            self.kept = Kept { txns: self.kept.txns + size.txns, bytes: self.kept.bytes + size.bytes };
            self.batches.push_back(((self.last, items), last, size));
            self.last = last;
        }
    }

    pub(super) fn commit(&mut self, upto: Zxid) {
        self.committed = upto;
    }

    /// What observers may be told now: all that is committed, and what stands right behind it.
    pub(super) fn inform(&mut self) -> Vec<Batch> {
        let mut all = Vec::new();
        while let Some(first) = self.untold.front() {
            let is_due = |item: &&Proposal| item.txn().is_none_or(|txn| txn.header.zxid <= self.committed);
            let due = first[self.told_of_first..].iter().take_while(is_due).count();
            let items = if due == first.len() {
                Arc::clone(first)
            } else {
                Arc::new(first[self.told_of_first..][..due].to_vec())
            };
            self.told_of_first += due;
            let is_whole = self.told_of_first == first.len();
            let after = self.informed;
            if let Some(last) = items.iter().rev().find_map(Proposal::txn) {
                self.informed = last.header.zxid;
            }
            if !items.is_empty() {
                all.push((after, items));
            }
            if !is_whole {
                break;
            }
            self.untold.pop_front();
            self.told_of_first = 0;
        }
        all
    }

    /// The txns after `has` up to `upto`; `None` if some of them are in the log alone. What is no txn was
    /// for somebody else.
    pub(super) fn between(&self, has: Zxid, upto: Zxid) -> Option<Vec<Batch>> {
        if has < self.start {
            return None;
        }
        let wanted = self.batches.iter().filter(|((after, _), last, _)| *last > has && *after < upto);
        let cut = wanted.map(|((after, items), last, _)| {
            let is_whole = *after >= has && *last <= upto && items.iter().all(|it| it.txn().is_some());
            if is_whole {
                return (*after, Arc::clone(items));
            }
            let due = |item: &&Proposal| {
                item.txn().is_some_and(|txn| txn.header.zxid > has && txn.header.zxid <= upto)
            };
            (has.max(*after), Arc::new(items.iter().filter(due).cloned().collect()))
        });
        Some(cut.collect())
    }

    /// The log holds everything up to `upto`, committed.
    pub(super) fn forget(&mut self, upto: Zxid) {
        while (self.kept.txns > KEPT_TXNS || self.kept.bytes > KEPT_BYTES)
            && let Some((_, last, size)) = self.batches.pop_front_if(|(_, last, _)| *last <= upto)
        {
            self.start = last;
            self.kept = Kept { txns: self.kept.txns - size.txns, bytes: self.kept.bytes - size.bytes };
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    txns: usize,
    /// As in a frame, at most.
    bytes: usize,
}

impl Kept {
    fn of(items: &[Proposal]) -> Self {
        let txns = items.iter().filter_map(Proposal::txn);
        txns.fold(Self::default(), |Self { txns, bytes }, txn| Self {
            txns: txns + 1,
            bytes: bytes + txn.bound(),
        })
    }
}

#[cfg(test)]
mod tests {
    use paddock_messages::ids::{AttachNumber, SessionId};
    use paddock_messages::txn::{Op, Txn, TxnBody, TxnHeader};
    use paddock_messages::zxid::Epoch;

    use super::*;

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(2), counter)
    }

    fn txn(counter: u32) -> Proposal {
        let (session, attach) = (SessionId(1), AttachNumber::default());
        let header = TxnHeader { session, attach, cxid: 1, zxid: z(counter), time: 0 };
        Proposal::Txn(Txn { header, body: TxnBody::CreateSession { timeout_ms: 1 } })
    }

    fn synced() -> Proposal {
        let (session, attach) = (SessionId(1), AttachNumber::default());
        Proposal::Synced { number: 1, session, attach, xid: 1, path: None }
    }

    /// Zxids' counters, 0 for what is no txn.
    fn shown(batches: &[Batch]) -> Vec<(u32, Vec<u32>)> {
        let counter = |item: &Proposal| item.txn().map_or(0, |txn| txn.header.zxid.counter());
        batches.iter().map(|(after, items)| (after.counter(), items.iter().map(counter).collect())).collect()
    }

    fn recent() -> Recent {
        let mut recent = Recent::new(z(2));
        recent.push(Arc::new(vec![txn(3), txn(4)]));
        recent.push(Arc::new(vec![synced()]));
        recent.push(Arc::new(vec![txn(5), synced(), txn(6)]));
        recent
    }

    #[test]
    fn z2_what_a_learner_lacks_is_cut_out_of_the_batches() {
        for (has, upto, expected) in [
            (1, 6, None),
            (2, 6, Some(vec![(2, vec![3, 4]), (4, vec![5, 6])])),
            (3, 6, Some(vec![(3, vec![4]), (4, vec![5, 6])])),
            (4, 5, Some(vec![(4, vec![5])])),
            (5, 6, Some(vec![(5, vec![6])])),
            (6, 6, Some(vec![])),
            (2, 2, Some(vec![])),
        ] {
            let found = recent().between(z(has), z(upto));
            assert_eq!(found.map(|it| shown(&it)), expected, "after {has} up to {upto}");
        }
    }

    #[test]
    fn z2_observers_are_told_what_is_committed_and_what_stands_right_behind_it() {
        let mut recent = recent();
        assert_eq!(shown(&recent.inform()), []);
        for (upto, expected) in
            [(3, vec![(2, vec![3])]), (4, vec![(3, vec![4]), (4, vec![0])]), (5, vec![(4, vec![5, 0])])]
        {
            recent.commit(z(upto));
            assert_eq!(shown(&recent.inform()), expected, "committed through {upto}");
            assert_eq!(recent.informed(), z(upto));
        }
        recent.commit(z(6));
        assert_eq!(shown(&recent.inform()), [(5, vec![6])]);
        recent.push(Arc::new(vec![synced()]));
        assert_eq!(shown(&recent.inform()), [(6, vec![0])], "it stands behind nothing");
    }

    #[test]
    fn z2_what_the_log_holds_is_kept_up_to_a_number_and_what_it_does_not_always() {
        let mut recent = Recent::new(z(0));
        let many = 2 * KEPT_TXNS as u32;
        (1..=many).for_each(|counter| recent.push(Arc::new(vec![txn(counter)])));
        recent.forget(z(10));
        assert_eq!((recent.start, recent.kept.txns), (z(10), many as usize - 10));
        recent.forget(z(many));
        assert_eq!((recent.start, recent.kept.txns), (z(many / 2), KEPT_TXNS));
        assert_eq!(recent.between(z(9), z(many)).map(|it| shown(&it)), None);
    }

    #[test]
    fn z10_what_the_log_holds_is_kept_up_to_so_many_bytes() {
        let large = |counter| match txn(counter) {
            Proposal::Txn(Txn { header, .. }) => {
                let path = "/znode".into();
                let data = Some(vec![7; 1 << 20].into());
                let body = TxnBody::One(Op::SetData { path, data, version: 1 });
                Proposal::Txn(Txn { header, body })
            }
            other => other,
        };
        let mut recent = Recent::new(z(0));
        (1..=40).for_each(|counter| recent.push(Arc::new(vec![large(counter)])));
        recent.forget(z(3));
        assert_eq!((recent.start, recent.kept.txns), (z(3), 37), "what is on no disk stays");
        recent.forget(z(40));
        assert!(
            recent.kept.bytes <= KEPT_BYTES && recent.kept.bytes > KEPT_BYTES - (2 << 20),
            "{:?}",
            recent.kept
        );
        assert_eq!((recent.start, recent.kept.txns), (z(9), 31));
        let kept = recent.batches.iter().map(|((_, items), _, _)| Kept::of(items).bytes).sum::<usize>();
        assert_eq!(kept, recent.kept.bytes, "what is counted is what is there");
        for counter in 41..=600 {
            recent.push(Arc::new(vec![txn(counter)]));
        }
        recent.forget(z(600));
        assert_eq!(recent.kept, Kept { txns: KEPT_TXNS, ..recent.kept });
        assert_eq!(recent.start, z(100), "by number again, once they are small");
    }
}
