//! The Proposer's shell from an epoch to the next.

use paddock_messages::frame::{Kind, can_say};
use paddock_messages::roles::{HistoryApplied, KeepEpoch, KeptEpoch};
use paddock_messages::zxid::Epoch;

use super::actor::ProposerActor;
use super::core::Proposer;
use crate::admin::metrics::Prepared;
use crate::runtime::{Ctx, Serve};

impl ProposerActor {
    /// A quorum of one agrees on the next epoch as soon as its disk has it; one of several members is told of it over
    /// the lanes that are open (Z11). Connections stay.
    pub(super) fn begin_epoch(&mut self, epoch: Epoch) -> Result<(), ()> {
        tracing::info!(%epoch, "the epoch's zxids are used up: the next one is on its way");
        let Some(reigning) = &self.reigning else {
            let (role, epoch) = (self.role, KeptEpoch::Current(epoch));
            return self.learner.keep.post(KeepEpoch { role, epoch }).map_err(drop);
        };
        let lanes = reigning.lanes.clone();
        let hears = |it| lanes.get(&it).is_some_and(|lane| can_say(Kind::NewEpoch, lane.speaking));
        self.with_reign(|reign, out| reign.roll_over(epoch, hears, out));
        self.publish();
        Ok(())
    }
}

impl Serve<HistoryApplied> for ProposerActor {
    fn serve(&mut self, HistoryApplied { role, epoch }: HistoryApplied, ctx: &mut Ctx<'_, Self>) {
        let reign = self.reigning.as_ref().and_then(|it| it.reign.as_ref());
        let led = reign.filter(|it| !it.is_given_up()).and_then(|it| it.established());
        if role != self.role || led.is_none() {
            return; // else one that has given the lead up would number again
        }
        assert_eq!(led, Some(epoch), "Z1: what was applied is not for the epoch that is led");
        let is_next = self.core.as_ref().is_some_and(Proposer::rolls_over);
        if !is_next {
            self.propose_in(epoch);
            self.settle_configuration();
        }
        let deferred = self.reigning.as_mut().and_then(|it| it.deferred.take());
        for order in deferred.into_iter().flatten() {
            self.perform_led(order, ctx);
        }
        if is_next {
            // Behind what waited for this very letter: that waits with the rest now, in its order (P7).
            let asked = Prepared::default(); // it was counted when it came
            self.prepare(asked, ctx, |core, tree, now_ms, out| core.on_new_epoch(tree, epoch, now_ms, out));
        }
        self.perform_reign(ctx);
        self.configure(ctx);
        self.publish();
        self.end_if_finished(ctx);
    }
}
