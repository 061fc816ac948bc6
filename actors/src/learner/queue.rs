//! What is proposed and not applied.

use std::collections::VecDeque;
use std::sync::Arc;

use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;

/// Batches of proposals, taken apart in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// None is empty.
    batches: VecDeque<Arc<Vec<Proposal>>>,
    /// How many of the first batch are gone.
    gone: usize,
}

impl Queue {
    pub(super) fn push(&mut self, batch: Arc<Vec<Proposal>>) {
        if !batch.is_empty() {
            self.batches.push_back(batch);
        }
    }

    pub(super) fn front(&self) -> Option<&Proposal> {
        self.batches.front().map(|batch| &batch[self.gone])
    }

    /// Drops what is no txn: it was an answer to somebody who is not there any more.
    pub(super) fn keep_txns(&mut self) {
        self.retain(|_| true);
    }

    /// Drops the txns after `to`, and what is none.
    pub(super) fn cut_after(&mut self, to: Zxid) {
        self.retain(|zxid| zxid <= to);
    }

    fn retain(&mut self, keep: impl Fn(Zxid) -> bool) {
        let left = std::mem::take(self);
        let kept = |item: &&Proposal| item.txn().is_some_and(|txn| keep(txn.header.zxid));
        self.push(Arc::new(left.items().filter(kept).cloned().collect()));
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Proposal> {
        self.batches.iter().flat_map(|batch| batch.iter()).skip(self.gone)
    }

    pub(super) fn pop(&mut self) {
        self.gone += 1;
        if self.batches.pop_front_if(|batch| batch.len() == self.gone).is_some() {
            self.gone = 0;
        }
    }
}
