//! How much may be proposed before our own disk has it (P9, P10): the log keeps so much room ready, and says
//! that the disk is full before it says that the last of it is durable.

use std::collections::VecDeque;

use paddock_messages::letters::Proposal;
use paddock_messages::zxid::Zxid;

use crate::storage::ADMITTED_OVERHEAD;

/// Bytes proposed and not durable here, by batch. What is counted is never less than what the log
/// writes. What is not logged counts, too, while it stands behind a txn that is not durable: for the memory
/// that it keeps for as long (P10).
#[derive(Debug)]
pub(super) struct LogCredit {
    /// Above this, no further txn is begun.
    enough: u64,
    bytes: u64,
    /// The last zxid of each batch, and its bytes.
    batches: VecDeque<(Zxid, u64)>,
    /// Of the batch that is being made, and whether a txn is in it.
    open: u64,
    has_txn: bool,
    /// How often our own disk has had more.
    syncs: u64,
}

impl LogCredit {
    /// `admitted` is what the log has room for; `largest` what one request may come to. A txn larger
    /// than that, as the end of a session with very many ephemerals, may overdraw by its own length.
    pub(super) fn new(admitted: u64, largest: u64) -> Self {
        let enough = admitted.saturating_sub(largest + ADMITTED_OVERHEAD);
        Self { enough, bytes: 0, batches: VecDeque::new(), open: 0, has_txn: false, syncs: 0 }
    }

    /// Whether further requests must wait for the disk. Never while it owes nothing.
    pub(super) fn is_spent(&self) -> bool {
        let owed = self.bytes + self.open;
        owed > 0 && owed > self.enough
    }

    /// A proposal joins the open batch.
    pub(super) fn spend(&mut self, proposal: &Proposal) {
        match proposal {
            Proposal::Txn(txn) => {
                assert!(
                    !self.is_spent(),
                    "P9: {:?} is proposed and the log may have no room",
                    txn.header.zxid
                );
                self.open += txn.bound() as u64 + ADMITTED_OVERHEAD;
                self.has_txn = true;
            }
            _ if self.bytes + self.open == 0 => {}
            Proposal::Synced { path, .. } => {
                self.open += (size_of::<Proposal>() + path.as_ref().map_or(0, |path| path.len())) as u64;
            }
            _ => self.open += size_of::<Proposal>() as u64,
        }
    }

    /// The open batch goes out; `last` is the last zxid given.
    pub(super) fn close(&mut self, last: Zxid) {
        let open = std::mem::take(&mut self.open);
        self.bytes += open;
        match self.batches.back_mut() {
            _ if std::mem::take(&mut self.has_txn) => self.batches.push_back((last, open)),
            Some((_, bytes)) => *bytes += open, // it goes with the last txn that it stands behind
            None => assert_eq!(open, 0, "P10: what stands behind nothing costs nothing"),
        }
    }

    /// Our own disk has everything up to `upto`.
    pub(super) fn on_durable(&mut self, upto: Zxid) {
        let before = self.batches.len();
        while let Some((_, bytes)) = self.batches.pop_front_if(|(last, _)| *last <= upto) {
            self.bytes -= bytes;
        }
        self.syncs += u64::from(self.batches.len() < before);
    }

    /// How often our own disk has had more, since the epoch began.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs
    }
}
