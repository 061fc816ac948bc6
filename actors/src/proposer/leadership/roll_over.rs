//! Z11: the next epoch over the lanes of the last, once that has no zxid left. Discovery and synchronisation are one
//! step here, for what they find out is known: all that was proposed is committed, and who is served has been sent
//! all of it before.
//!
//! - A voter makes the next epoch durable as accepted and as current, behind all of the last, and acknowledges it.
//!   It accepts an epoch from one leader only, so nobody else can lead it once a quorum has; and before one has,
//!   nothing is numbered in it.
//! - We accept it last, with the quorum complete: whoever is told by a heartbeat that its leader has gone on to a
//!   later epoch has most likely been told of it down the lane before.
//! - One that is on its way to us, or that has no word for it, is synchronised anew.
//!
//! Our own term; ZooKeeper's leader gives up there (Leader.java, `XidRolloverException`).

use paddock_messages::ids::ServerId;
use paddock_messages::quorum::ToLearner;
use paddock_messages::zxid::{Epoch, Zxid};

use super::stage::{Phase, Stage};
use super::{Leadership, Output};
use crate::quorum::Quorum;

impl<Q: Quorum> Leadership<Q> {
    /// The epoch that is led has no zxid left, and all of it is committed: `to` follows. Which learners have a word for
    /// it the shell knows.
    ///
    /// # Panics
    /// If something that was proposed is not known to be committed (Z11).
    pub fn roll_over(&mut self, to: Epoch, hears: impl Fn(ServerId) -> bool, out: &mut Vec<Output>) {
        let Phase::Established(from) = self.phase else { return };
        if self.resigned {
            return;
        }
        let last = self.recent.last();
        assert!(
            self.committed >= last && to > from,
            "Z11: {to} after {:?}, {last} in {from}",
            self.committed
        );
        self.phase = Phase::RollingOver { from, to, is_keeping: false };
        for server in self.learners.keys().copied().collect::<Vec<_>>() {
            match self.learners.get(&server) {
                Some(Stage::Serving) if hears(server) => {
                    self.learners.insert(server, Stage::Turning);
                    out.push(Output::Send(server, ToLearner::NewEpoch { epoch: to, last }));
                }
                Some(Stage::Connected | Stage::Informed { .. }) => {}
                _ => self.hang_up(server, "the next epoch begins: it is synchronised anew", out),
            }
        }
        if self.quorum.holds(|server| server == self.me || self.is_serving(server)) {
            self.turn(out);
        } else {
            self.resign(
                "the epoch's zxids are used up, and no quorum of voters can be told of the next",
                out,
            );
        }
    }

    /// The next epoch, while it is on its way.
    pub fn rolls_over(&self) -> Option<Epoch> {
        if let Phase::RollingOver { to, .. } = self.phase { Some(to) } else { None }
    }

    /// A learner has the next epoch on disk, behind all up to `upto`.
    pub(super) fn on_turned(&mut self, learner: ServerId, upto: Zxid, out: &mut Vec<Output>) {
        self.learners.insert(learner, Stage::Serving);
        self.turn(out);
        self.ack(learner, upto, out); // one that is late has logged of the next already
    }

    fn turn(&mut self, out: &mut Vec<Output>) {
        let Phase::RollingOver { from, to, is_keeping: false } = self.phase else { return };
        let has_turned = |server| self.learners.get(&server) == Some(&Stage::Serving);
        if self.quorum.holds(|server| server == self.me || has_turned(server)) {
            self.phase = Phase::RollingOver { from, to, is_keeping: true };
            out.push(Output::KeepCurrent(to));
        }
    }

    /// A quorum has the next epoch on disk, and so have we.
    pub(super) fn led_on(&mut self, to: Epoch, out: &mut Vec<Output>) {
        self.phase = Phase::Established(to);
        (self.accepted, self.committed) = (to, to.start());
        out.push(Output::Establish(to));
        self.to_serving(&ToLearner::Commit { upto: to.start() }, out);
        self.tell_waiting(to, out);
    }
}
