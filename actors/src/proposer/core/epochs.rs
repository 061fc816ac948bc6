//! From an epoch whose zxids are used up to the next (P8).

use paddock_messages::zxid::Epoch;

use super::{Output, Proposer, Roll};
use crate::quorum::Quorum;
use crate::tree::prep::View;

impl<Q: Quorum> Proposer<Q> {
    /// Whether the next epoch is on its way.
    pub fn rolls_over(&self) -> bool {
        self.roll == Roll::Asked
    }

    /// Whether the epoch's zxids are used up.
    pub(super) fn needs_new_epoch(&self) -> bool {
        self.last.counter() >= self.last_counter
    }

    /// P8: the epoch ends with the commit of its last txn.
    pub(super) fn roll_if_due(&mut self, out: &mut Vec<Output<Q>>) {
        if self.roll == Roll::Asked || !self.needs_new_epoch() || self.committed < self.last {
            return;
        }
        self.roll = Roll::Asked;
        out.push(self.epoch.next().map_or(Output::NoEpochLeft, Output::BeginEpoch));
    }

    /// The epoch asked for was not made durable: the disk is full. What waited for it is answered as on
    /// any full disk, in its order (P7); [`Self::on_tick`] asks again.
    pub fn on_epoch_refused(&mut self, view: &impl View, now_ms: i64, out: &mut Vec<Output<Q>>) {
        assert_eq!(self.roll, Roll::Asked, "P8: an epoch is refused that was not asked for");
        self.roll = Roll::Refused;
        self.resume(view, now_ms, out);
    }

    /// A second or so has passed: asks again for an epoch that the disk refused (P8).
    pub fn on_tick(&mut self, out: &mut Vec<Output<Q>>) {
        if self.roll == Roll::Refused {
            self.roll_if_due(out);
        }
    }

    /// A quorum has agreed on this epoch and synchronised for it. What waited is proposed now, at
    /// `now_ms` since 1970.
    pub fn on_new_epoch(&mut self, view: &impl View, epoch: Epoch, now_ms: i64, out: &mut Vec<Output<Q>>) {
        assert!(epoch > self.epoch, "P1: epoch {epoch} after {}", self.epoch);
        assert_eq!(self.committed, self.last, "P1: an epoch ends with its last commit");
        assert_eq!(self.roll, Roll::Asked, "P8: {epoch} begins and was not asked for");
        (self.epoch, self.last, self.committed) = (epoch, epoch.start(), epoch.start());
        (self.granted, self.roll) = (0, Roll::NotYet);
        self.resume(view, now_ms, out);
    }
}
