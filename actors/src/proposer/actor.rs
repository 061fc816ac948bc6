//! The Proposer's shell: proposals go to its own Learner by mail, to the others' as `reigning.rs` says.

use std::sync::Arc;
use std::time::Duration;

use paddock_messages::client::request::Write;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Ack, Commit, Internal, Proposals, Request, Requests, TurnedAway};
use paddock_messages::mail::Outbox;
use paddock_messages::roles::{Asked, Confirmed, EpochKept, KeepEpoch, KeptEpoch, OwnAck};
use paddock_messages::zxid::{Epoch, Zxid};

use super::core::{Output, Proposer, Room};
use super::handing_over::{DISK_FULL, OwnDisk};
use super::reigning::Reigning;
use super::sparing::Spared;
use super::sync_limit::SyncLimit;
use crate::admin::metrics::{Meters, Prepared};
use crate::membership::Deciders;
use crate::proposer::sync_plan::Spares;
use crate::runtime::{Ctx, ExitCode, Serve, Service};
use crate::storage::Space;
use crate::tree::prep::PrepRules;
use crate::tree::{DataTree, SharedTree};

/// Mail from the Logger's thread: whether there is room for writes.
#[derive(Clone, Copy, Debug)]
pub struct DiskSpace(pub Space);

/// How often what takes its time is looked at: a full disk, an epoch that one did not take, disks that do not answer.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// When containers and TTL znodes are looked for. Source: ContainerManager.
#[derive(Clone, Copy, Debug)]
pub struct Reaping {
    /// `znode.container.checkIntervalMs`.
    pub every: Duration,
    /// `znode.container.maxPerMinute`, spread over the rounds of a minute.
    pub max_per_minute: u32,
    /// `znode.container.maxNeverUsedIntervalMs`; 0 for never.
    pub never_used_ms: u64,
}

/// How many may be reaped, round by round: in no minute more than `max_per_minute`, however short the
/// rounds; what falls due in a round and is not used is lost.
#[derive(Debug, Default)]
struct Allowance {
    /// Of one, what the rounds so far left over: in 60,000ths, as a minute has ms.
    left_over: u64,
}

impl Allowance {
    fn next_round(&mut self, reaping: &Reaping) -> usize {
        const MINUTE_MS: u64 = 60_000;
        let round_ms = (reaping.every.as_millis() as u64).min(MINUTE_MS);
        let all = self.left_over + u64::from(reaping.max_per_minute) * round_ms;
        self.left_over = all % MINUTE_MS;
        (all / MINUTE_MS) as usize
    }
}

/// The member's own Learner.
pub struct OwnLearner {
    /// What it appends.
    pub proposals: Outbox<Proposals>,
    /// What it applies.
    pub commits: Outbox<Commit>,
    /// Whom it turns away.
    pub turned_away: Outbox<TurnedAway>,
    /// Which syncs it answers.
    pub confirmed: Outbox<Confirmed>,
    /// To make epochs durable.
    pub keep: Outbox<KeepEpoch>,
}

/// How a reign numbers and checks.
#[derive(Clone)]
pub struct Rules {
    /// Who decides, as the Learner said before the lead began.
    pub by: Deciders,
    /// How requests are checked.
    pub prep: PrepRules,
    /// What the log has room for.
    pub room: Room,
    /// The counter of each epoch's last txn.
    pub last_counter: u32,
    /// How long a voter that serves may take to acknowledge what is proposed (P12).
    pub sync_limit: Duration,
    /// Whether `/zookeeper/config` names the members: a server alone leaves it empty.
    pub names_members: bool,
    /// When a learner is sent a snapshot instead of the log.
    pub spares: Spares,
    /// The highest feature level that this member reads.
    pub reads_level: u8,
    /// What the feature level is raised to without being asked for; 0 but in tests.
    pub raises_to: u8,
}

impl Rules {
    /// A Proposer of `me` for this epoch, before which the history comes to this feature level.
    pub fn begin(&self, me: ServerId, epoch: Epoch, level: u8) -> Proposer<paddock_config::Quorum> {
        let core = Proposer::new(me, epoch, self.by.settled(), self.prep.clone(), self.room)
            .with_last_counter(self.last_counter)
            .with_level(level);
        core.leading_with_vote()
    }
}

/// See the module.
pub struct ProposerActor {
    pub(super) me: ServerId,
    pub(super) rules: Rules,
    /// The generation of the role.
    pub(super) role: u64,
    /// While an epoch is led.
    pub(super) core: Option<Proposer<paddock_config::Quorum>>,
    /// With other members only.
    pub(super) reigning: Option<Reigning>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) learner: OwnLearner,
    reaping: Reaping,
    allowance: Allowance,
    pub(super) out: Vec<Output<paddock_config::Quorum>>,
    pub(super) meters: Arc<Meters>,
    /// Proposed, and applied by the last look, as the meters were told.
    pub(super) told: (Zxid, Zxid),
    pub(super) spared: Spared,
    pub(super) is_disk_full: bool,
    /// `/zookeeper/config` may have to name other members, until it has been looked at in this epoch.
    pub(super) names_members: bool,
    pub(super) sync_limit: SyncLimit,
    pub(super) own_disk: OwnDisk,
}

impl ProposerActor {
    /// Leads `epoch`, if there is one already, on behalf of `role`; else it waits until it is to, with others.
    pub fn new(
        (me, rules): (ServerId, Rules),
        (role, epoch): (u64, Option<Epoch>),
        reigning: Option<Reigning>,
        tree: Arc<SharedTree>,
        learner: OwnLearner,
        reaping: Reaping,
        meters: Arc<Meters>,
    ) -> Self {
        let core = epoch.map(|epoch| rules.begin(me, epoch, tree.read().feature_level()));
        let (sync_limit, own_disk) = (SyncLimit::new(rules.sync_limit), OwnDisk::new(rules.sync_limit));
        let last = core.as_ref().map_or(Zxid::ZERO, Proposer::last);
        Self {
            me,
            rules,
            role,
            core,
            reigning,
            tree,
            learner,
            reaping,
            allowance: Allowance::default(),
            out: Vec::new(),
            meters,
            told: (last, last),
            spared: Spared::default(),
            is_disk_full: false,
            names_members: false,
            sync_limit,
            own_disk,
        }
    }

    /// An epoch is led from now on.
    pub(super) fn propose_in(&mut self, epoch: Epoch) {
        let mut core = self.rules.begin(self.me, epoch, self.tree.read().feature_level());
        core.on_disk_full(self.is_disk_full);
        self.told = (core.last(), core.last());
        self.core = Some(core);
        self.names_members = self.rules.names_members;
        self.sync_limit = SyncLimit::new(self.rules.sync_limit);
        self.own_disk = OwnDisk::new(self.rules.sync_limit);
    }

    pub(super) fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        let role = self.role;
        for order in std::mem::take(&mut self.out) {
            let sent = match order {
                Output::Propose(items) => {
                    let items = Arc::new(items);
                    self.announce(&items, ctx.clock().now_us());
                    self.learner.proposals.post(Proposals { role, items }).map_err(drop)
                }
                Output::Commit(upto) => {
                    self.with_reign(|reign, out| reign.on_committed(upto, out));
                    self.learner.commits.post(Commit { role, upto }).map_err(drop)
                }
                Output::Decide(by) => self.decide(by),
                Output::TurnAway(member, handshakes) if member == self.me => {
                    self.learner.turned_away.post(TurnedAway { role, handshakes }).map_err(drop)
                }
                Output::TurnAway(member, handshakes) => {
                    self.with_reign(|reign, out| reign.on_turned_away(member, handshakes, out));
                    Ok(())
                }
                Output::HangUp(member) if member == self.me || self.reigning.is_none() => {
                    return ctx.fatal(
                        ExitCode::Unexpected,
                        &format!("an ack beyond what was proposed, from {member}"),
                    );
                }
                Output::HangUp(member) => {
                    self.hang_up(member, "it acks what was not proposed");
                    Ok(())
                }
                Output::Level(level) => {
                    self.with_reign(|reign, _| reign.on_level(level));
                    Ok(())
                }
                Output::BeginEpoch(epoch) => self.begin_epoch(epoch),
                Output::BeginRound(number) => self.begin_round(number, ctx),
                Output::Confirm(upto) => {
                    self.with_reign(|reign, out| reign.on_confirmed(upto, out));
                    self.learner.confirmed.post(Confirmed { role, upto }).map_err(drop)
                }
                Output::NoEpochLeft => {
                    let why = "all epochs are used up; export the data to a new ensemble";
                    return ctx.fatal(ExitCode::Unexpected, why);
                }
            };
            if sent.is_err() {
                return ctx.fatal(ExitCode::ActorGone, "the proposer's Learner has ended");
            }
        }
        self.perform_reign(ctx);
    }

    /// What was held back goes on as soon as it need not wait.
    pub(super) fn resume(&mut self, ctx: &mut Ctx<'_, Self>) {
        if self.core.as_ref().is_some_and(Proposer::can_resume) {
            let asked = Prepared::default(); // it was counted when it came
            self.prepare(asked, ctx, |core, tree, now_ms, out| core.resume(tree, now_ms, out));
        }
    }

    fn reap(&mut self, ctx: &mut Ctx<'_, Self>) {
        let most = self.allowance.next_round(&self.reaping);
        if most == 0 {
            return;
        }
        let now_ms = ctx.clock().wall_ms();
        let due = self.tree.read().reapable(now_ms, self.reaping.never_used_ms, most);
        if !due.is_empty() {
            self.on_internal(Internal::Reap(due), ctx);
        }
    }

    pub(super) fn on_internal(&mut self, letter: Internal, ctx: &mut Ctx<'_, Self>) {
        let (requests, closes) = match &letter {
            Internal::Expire(sessions) => (sessions.len(), sessions.len()),
            Internal::Reap(paths) => (paths.len(), 0),
            Internal::Configure(_) | Internal::RaiseLevel(_) => (1, 0),
        };
        let asked = asked(requests, closes, ctx);
        self.prepare(asked, ctx, |core, tree, now_ms, out| core.on_internal(tree, letter, now_ms, out));
    }

    /// Lets `run` check what was asked and propose it, and tells the meters.
    pub(super) fn prepare(
        &mut self,
        asked: Prepared,
        ctx: &mut Ctx<'_, Self>,
        run: impl FnOnce(
            &mut Proposer<paddock_config::Quorum>,
            &DataTree,
            i64,
            &mut Vec<Output<paddock_config::Quorum>>,
        ),
    ) {
        let Some(core) = &mut self.core else { return }; // nothing is led: whoever asked is told so elsewhere
        let began_us = ctx.clock().now_us();
        let tree = self.tree.read();
        let applied = tree.last_zxid();
        run(core, &tree, ctx.clock().wall_ms(), &mut self.out);
        drop(tree);
        let checked_us = ctx.clock().now_us();
        self.perform(ctx);
        self.raise_wanted(ctx);
        let (checked_in_us, posted_in_us) = (checked_us - began_us, ctx.clock().now_us() - checked_us);
        let Some(core) = &mut self.core else { return };
        let proposed = between(self.told.0, core.last());
        self.meters.prepared(&Prepared { checked_in_us, posted_in_us, proposed, ..asked });
        self.meters.settled(between(self.told.1, applied));
        self.told = (core.last(), applied.max(self.told.1));
        self.meters.sessions_expired(core.take_expired());
        self.tell_refusals(ctx);
    }
}

/// What came with the letter at hand.
pub(super) fn asked(requests: usize, closes: usize, ctx: &Ctx<'_, ProposerActor>) -> Prepared {
    let (requests, closes) = (requests as u64, closes as u64);
    Prepared { requests, closes, waited_us: ctx.waited_us(), ..Prepared::default() }
}

/// How many txns come after `from`, up to `to`. An epoch's are numbered without a gap from 1.
pub(super) fn between(from: Zxid, to: Zxid) -> u64 {
    let before = if from.epoch() == to.epoch() { from.counter() } else { 0 };
    if to > from { u64::from(to.counter() - before) } else { 0 }
}

impl Service for ProposerActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(self.reaping.every, Self::reap);
        ctx.every(TICK, |this, ctx| {
            if let Some(core) = &mut this.core {
                core.on_tick(&mut this.out);
                this.perform(ctx);
                this.configure(ctx);
                this.raise_unasked(ctx);
                this.drop_late();
                this.judge_own_disk(ctx);
            }
        });
    }
}

impl ProposerActor {
    /// What a member's clients ask.
    pub(super) fn on_requests(&mut self, letter: Requests, ctx: &mut Ctx<'_, Self>) {
        ctx.spend(u32::try_from(letter.items.len()).unwrap_or(u32::MAX));
        let ends = |item: &&Request| matches!(item, Request::Write { write: Write::CloseSession, .. });
        let asked = asked(letter.items.len(), letter.items.iter().filter(ends).count(), ctx);
        if letter.member != self.me {
            let asks = |item: &&Request| matches!(item, Request::Attach { .. } | Request::Revalidate { .. });
            self.meters.revalidated(letter.items.iter().filter(asks).count() as u64);
        }
        self.prepare(asked, ctx, |core, tree, now_ms, out| core.on_requests(tree, letter, now_ms, out));
    }

    /// A member has so much on its disk.
    pub(super) fn on_ack(&mut self, ack: Ack, ctx: &mut Ctx<'_, Self>) {
        let Some(core) = &mut self.core else { return };
        let (before, Ack { from, upto }) = (core.committed(), ack);
        core.on_ack(ack, &mut self.out);
        self.meters.committed(between(before, core.committed()));
        if let Some(Reigning { times, .. }) = &mut self.reigning {
            let now_us = ctx.clock().now_us();
            times.on_ack(from, upto, now_us, &self.meters);
            times.on_committed(core.committed(), now_us, &self.meters);
        }
        self.committed(ctx);
    }

    /// What may be committed by now is told; what waited for that goes on.
    pub(super) fn committed(&mut self, ctx: &mut Ctx<'_, Self>) {
        self.perform(ctx);
        self.resume(ctx);
        self.end_if_finished(ctx);
    }
}

impl Serve<Asked> for ProposerActor {
    fn serve(&mut self, Asked { role, items }: Asked, ctx: &mut Ctx<'_, Self>) {
        if role == self.role {
            self.on_requests(Requests { member: self.me, items }, ctx);
        }
    }
}

impl Serve<Internal> for ProposerActor {
    fn serve(&mut self, letter: Internal, ctx: &mut Ctx<'_, Self>) {
        self.on_internal(letter, ctx);
    }
}

impl Serve<OwnAck> for ProposerActor {
    fn serve(&mut self, OwnAck { role, upto }: OwnAck, ctx: &mut Ctx<'_, Self>) {
        if role != self.role {
            return;
        }
        if self.reigning.is_some() {
            // It comes back as the first of a quorum's, once an epoch is led.
            self.with_reign(|reign, out| reign.on_persisted(upto, out));
            self.perform_reign(ctx);
            self.resume(ctx);
        } else {
            self.on_ack(Ack { from: self.me, upto }, ctx);
        }
    }
}

impl Serve<EpochKept> for ProposerActor {
    fn serve(&mut self, letter: EpochKept, ctx: &mut Ctx<'_, Self>) {
        if letter.role != self.role {
            return;
        }
        let asked = Prepared::default(); // what waited was counted when it came
        match letter.epoch {
            _ if self.reigning.is_some() => self.on_reign_kept(letter.epoch, ctx),
            KeptEpoch::Accepted(_) | KeptEpoch::Joined => {}
            KeptEpoch::Current(epoch) => {
                self.prepare(asked, ctx, |core, tree, now, out| core.on_new_epoch(tree, epoch, now, out));
            }
            KeptEpoch::Refused => {
                self.prepare(asked, ctx, |core, tree, now, out| core.on_epoch_refused(tree, now, out));
            }
        }
    }
}

impl Serve<DiskSpace> for ProposerActor {
    fn serve(&mut self, letter: DiskSpace, ctx: &mut Ctx<'_, Self>) {
        let full = matches!(letter.0, Space::Full { .. });
        self.is_disk_full = full;
        if full && self.hand_over(DISK_FULL, ctx) {
            return;
        }
        match letter.0 {
            _ if self.core.is_none() => {} // nothing is led
            Space::Full { needed } => tracing::error!(
                needed,
                "disk full: writes are refused with -119 until so many bytes are free; reads and pings go on"
            ),
            Space::Enough => tracing::info!("the disk has room again: writes go on"),
        }
        if let Some(core) = &mut self.core {
            core.on_disk_full(full);
            self.resume(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_reaps_more_than_it_may_however_short_the_rounds() {
        for (every_ms, max_per_minute) in
            [(1, 10_000), (1, 1), (7, 100), (100, 1), (999, 59), (30_000, 3), (60_000, 10_000), (300_000, 5)]
        {
            let reaping =
                Reaping { every: Duration::from_millis(every_ms), max_per_minute, never_used_ms: 0 };
            let mut allowance = Allowance::default();
            let rounds = (60_000 / every_ms).max(1);
            for minute in 0..5 {
                let reaped: usize = (0..rounds).map(|_| allowance.next_round(&reaping)).sum();
                let most = max_per_minute as usize;
                assert!(reaped <= most, "{every_ms} ms, minute {minute}: {reaped} of {most}");
                // A minute that rounds do not fill is one of less.
                assert!(reaped + 2 >= most, "{every_ms} ms, minute {minute}: {reaped} of {most}");
            }
        }
    }

    #[test]
    fn txns_are_counted_by_their_zxids() {
        let at = |epoch, counter| Zxid::new(Epoch(epoch), counter);
        for (from, to, count) in [
            (at(1, 0), at(1, 0), 0),
            (at(1, 2), at(1, 5), 3),
            (at(1, 5), at(1, 2), 0), // the tree is behind what was told
            (at(1, 9), at(2, 0), 0),
            (at(1, 9), at(2, 3), 3),
        ] {
            assert_eq!(between(from, to), count, "{from} to {to}");
        }
    }
}
