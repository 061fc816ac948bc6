//! The Learner's shell as another configuration takes the place of the one in force: it is the log that says so (MB1).

use paddock_messages::letters::Proposal;
use paddock_messages::txn::{Txn, TxnBody};
use paddock_messages::zxid::Zxid;

use super::actor::LearnerActor;
use super::roles::Mode;
use crate::membership::{ConfigurationHeard, Decide, Membership};
use crate::quorum::Quorum;
use crate::runtime::{Ctx, Serve};
use crate::storage::Command;
use crate::tree::DataTree;

impl Serve<ConfigurationHeard> for LearnerActor {
    fn serve(&mut self, ConfigurationHeard { from, told }: ConfigurationHeard, ctx: &mut Ctx<'_, Self>) {
        let Some(others) = &mut self.others else { return };
        if !others.membership.on_heard(from, told.as_ref()) {
            return;
        }
        warn_of_file(&mut others.membership);
        if matches!(self.mode, Mode::Leading) {
            self.decide(ctx); // what we have proposed is committed: a follower may tell before we have applied it
        } else {
            let view = others.membership.view();
            let (now, next) = (view.now().members.version, view.next().map(|it| it.members.version));
            tracing::info!(
                %from, votes = self.is_voter(), "another server's configuration: {now:x} is in force, {next:x?} on its way"
            );
            self.decide(ctx);
            self.stand_anew();
        }
    }
}

impl LearnerActor {
    /// Whether this member has a vote; a server alone has the only one.
    pub(super) fn is_voter(&self) -> bool {
        self.others.as_ref().is_none_or(|it| it.membership.view().is_voter(self.me))
    }

    /// There is a reconfig among these, which go to the log next.
    pub(super) fn reconfigure(&mut self, batch: &[Proposal], ctx: &mut Ctx<'_, Self>) {
        let Some(others) = &mut self.others else {
            let is_it = |txn: &&Txn| matches!(txn.body, TxnBody::Membership { .. });
            self.grows_with = batch.iter().filter_map(Proposal::txn).find(is_it).map(|txn| txn.header.zxid);
            return;
        };
        for txn in batch.iter().filter_map(Proposal::txn) {
            if others.membership.on_logged(txn) {
                tracing::info!(zxid = %txn.header.zxid, "a reconfig is logged");
            }
        }
        self.decide(ctx);
    }

    /// The log is cut after this txn.
    pub(super) fn reconfigure_cut(&mut self, to: Zxid, ctx: &mut Ctx<'_, Self>) {
        if self.others.as_mut().is_some_and(|it| it.membership.on_truncated(to)) {
            tracing::info!(after = %to, "a reconfig that was never committed is cut from the log");
            self.decide(ctx);
        }
    }

    /// What is committed is applied: perhaps a reconfig.
    pub(super) fn on_configured(&mut self, ctx: &mut Ctx<'_, Self>) {
        let applied = self.core.applied();
        let Some(others) = &mut self.others else {
            if self.grows_with.take_if(|zxid| *zxid <= applied).is_some() {
                tracing::info!("this server is an ensemble of one now");
                self.peers.grown.notify_one();
            }
            return;
        };
        if others.membership.take_unsaid(applied) {
            let committed = self.core.watermark();
            drop(self.log.send(Command::SayCommitted { committed })); // its thread's end is told by what follows
        }
        if others.membership.on_applied(applied) {
            let view = others.membership.view();
            let (version, votes) = (view.now().members.version, view.is_voter(self.me));
            tracing::info!(version = format_args!("{version:x}"), votes, "reconfigured");
            warn_of_file(&mut others.membership);
            self.decide(ctx);
        }
    }

    /// Our leader serves us: its log says what is on its way.
    pub(super) fn on_served(&mut self, ctx: &mut Ctx<'_, Self>) {
        if self.others.as_mut().is_some_and(|it| it.membership.on_served()) {
            self.decide(ctx);
        }
    }

    /// Another tree and log take the place of ours.
    pub(super) fn on_configuration_installed(&mut self, tree: &DataTree) {
        if let Some(others) = &mut self.others {
            others.membership.on_installed(tree.membership());
            warn_of_file(&mut others.membership);
            others.board.decide(others.membership.view());
            let decide = self.decides();
            drop(self.others().decide.post(decide)); // one that is gone is the guardian's business
        }
    }

    /// As the QuorumPeer is told.
    pub(super) fn decides(&self) -> Decide {
        let membership = &self.others().membership;
        Decide { role: self.role, by: membership.view(), told: membership.logged_view().told() }
    }

    /// Tells who has to know. A leader's Proposer knows before us.
    fn decide(&mut self, ctx: &mut Ctx<'_, Self>) {
        let decide = self.decides();
        let leads = matches!(self.mode, Mode::Leading);
        let seen = if leads { self.others().membership.logged_view() } else { decide.by.clone() };
        self.others().board.decide(seen);
        if let Mode::Following(behind) = &self.mode {
            let epoch = behind.led();
            self.mail(ctx, |to| to.decide.post(decide).is_ok());
            if let Some(epoch) = epoch {
                self.settle(epoch); // it may have got a vote, or lost it
            }
        }
    }
}

/// A start on a file that forbids reconfigs, and has others vote than the log, is refused: not only then is it said.
fn warn_of_file(membership: &mut Membership<paddock_config::Quorum>) {
    let Some(members) = membership.take_contradiction() else { return };
    tracing::warn!(
        version = format_args!("{:x}", members.version), members = %members.to_string().trim_end().replace('\n', ", "),
        "a reconfig has others vote than this server's file, which says reconfigEnabled=false: the server goes by the reconfig \
         while it runs, and will not start again on that file; before its next start write these members' lines into it, or \
         reconfigEnabled=true"
    );
}
