//! The Proposer's shell as another configuration takes the place of the one in force.

use super::actor::ProposerActor;
use crate::membership::{Decide, DecidedBy, Deciders};
use crate::quorum::Quorum;
use crate::runtime::{Ctx, Serve};

impl ProposerActor {
    /// These decide from here on: before anything that is behind goes to anybody (MB1, MB3).
    pub(super) fn decide(&mut self, by: Deciders) -> Result<(), ()> {
        let (now, role) = (by.now(), self.role);
        match by.next() {
            Some(next) => tracing::info!(
                from = format_args!("{:x}", now.members.version),
                to = format_args!("{:x}", next.members.version),
                "a reconfig is proposed: until it is committed both configurations decide"
            ),
            None => tracing::info!(
                version = format_args!("{:x}", now.members.version),
                votes = by.is_voter(self.me),
                "the configuration is committed: it decides alone"
            ),
        }
        self.rules.by = by.clone();
        self.with_reign(|reign, _| reign.decide_by(by.clone()));
        self.reigning
            .as_ref()
            .map_or(Ok(()), |it| it.others.decide.post(Decide { role, told: by.told(), by }).map_err(drop))
    }

    /// All that is in our log is committed, a reconfig too.
    pub(super) fn settle_configuration(&mut self) {
        if self.rules.by.next().is_some() {
            let by = self.rules.by.settled();
            let _ = self.decide(by); // one that is gone is the guardian's business
        }
    }
}

impl Serve<Decide> for ProposerActor {
    fn serve(&mut self, Decide { by, .. }: Decide, _: &mut Ctx<'_, Self>) {
        self.rules.by = by;
    }
}

impl Serve<DecidedBy> for ProposerActor {
    fn serve(&mut self, DecidedBy { role, next }: DecidedBy, ctx: &mut Ctx<'_, Self>) {
        if role == self.role
            && let Some(core) = &mut self.core
        {
            core.on_decided_by(next, &mut self.out);
            self.committed(ctx);
        }
    }
}
