//! The Proposer's shell on a member that is its own ensemble: proposals go to its own Learner by mail.

use std::sync::Arc;
use std::time::Duration;

use paddock_messages::client::request::Write;
use paddock_messages::letters::{Ack, Commit, Internal, Proposals, Request, Requests, TurnedAway};
use paddock_messages::mail::Outbox;
use paddock_messages::zxid::{Epoch, Zxid};

use super::core::{Output, Proposer};
use crate::admin::metrics::{Meters, Prepared};
use crate::quorum::Majority;
use crate::runtime::{Ctx, ExitCode, Serve, Service};
use crate::storage::{Command, Facts, LoggerHandle, Space};
use crate::tree::{DataTree, SharedTree};

/// Mail from the Logger's thread: whether there is room for writes.
#[derive(Clone, Copy, Debug)]
pub struct DiskSpace(pub Space);

/// Mail from the Logger's thread: these epochs are durable, or why they are not: a full disk.
#[derive(Debug)]
pub struct FactsKept(pub Result<Facts, String>);

/// How often a full disk is asked again for the next epoch.
const TICK: Duration = Duration::from_secs(1);

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

/// At most a line a second.
#[derive(Debug, Default)]
struct Sparing {
    next_ms: u64,
    left_out: u64,
}

impl Sparing {
    /// How many lines were left out since the last, if one may be written.
    fn may_say(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms < self.next_ms {
            self.left_out += 1;
            return None;
        }
        self.next_ms = now_ms + 1_000;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// See the module.
pub struct ProposerActor {
    core: Proposer<Majority>,
    tree: Arc<SharedTree>,
    proposals: Outbox<Proposals>,
    commits: Outbox<Commit>,
    turned_away: Outbox<TurnedAway>,
    reaping: Reaping,
    allowance: Allowance,
    /// To make the next epoch durable, once this one's zxids are used up.
    log: LoggerHandle,
    role: u64,
    facts: Facts,
    out: Vec<Output>,
    meters: Arc<Meters>,
    /// Proposed, and applied by the last look, as the meters were told.
    told: (Zxid, Zxid),
    /// Of soft limits and of hard ones: the first refuse nobody, and must not hide the others.
    quotas: [Sparing; 2],
}

impl ProposerActor {
    /// Leads on behalf of `role`; the Learner that listens is this member's own. `facts` are durable.
    pub fn new(
        core: Proposer<Majority>,
        tree: Arc<SharedTree>,
        (proposals, commits, turned_away): (Outbox<Proposals>, Outbox<Commit>, Outbox<TurnedAway>),
        reaping: Reaping,
        (log, role, facts): (LoggerHandle, u64, Facts),
        meters: Arc<Meters>,
    ) -> Self {
        let (told, out) = ((core.last(), core.last()), Vec::new());
        let (allowance, quotas) = (Allowance::default(), Default::default());
        Self {
            core,
            tree,
            proposals,
            commits,
            turned_away,
            reaping,
            allowance,
            log,
            role,
            facts,
            out,
            meters,
            told,
            quotas,
        }
    }

    /// A quorum of one agrees on the next epoch as soon as its disk has it. Connections stay.
    fn begin_epoch(&self, epoch: Epoch) -> Result<(), ()> {
        tracing::info!(%epoch, "the epoch's zxids are used up; the next one begins");
        let facts = Facts { accepted_epoch: epoch, current_epoch: epoch, ..self.facts };
        self.log.send(Command::KeepFacts { role: self.role, facts }).map_err(drop)
    }

    fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        for order in std::mem::take(&mut self.out) {
            let sent = match order {
                Output::Propose(items) => self.proposals.post(Proposals(Arc::new(items))).map_err(drop),
                Output::Commit(upto) => self.commits.post(Commit { upto }).map_err(drop),
                Output::TurnAway(_, handshakes) => {
                    self.turned_away.post(TurnedAway(handshakes)).map_err(drop)
                }
                Output::HangUp(member) => {
                    return ctx.fatal(
                        ExitCode::Unexpected,
                        &format!("an ack beyond what was proposed, from {member}"),
                    );
                }
                Output::BeginEpoch(epoch) => self.begin_epoch(epoch),
                Output::BeginRound(_) | Output::Confirm(_) => {
                    let why = "a server alone is its own quorum, and yet a sync waits for others";
                    return ctx.fatal(ExitCode::Unexpected, why);
                }
                Output::NoEpochLeft => {
                    let why = "all epochs are used up; export the data to a new ensemble";
                    return ctx.fatal(ExitCode::Unexpected, why);
                }
            };
            if sent.is_err() {
                return ctx.fatal(ExitCode::ActorGone, "the proposer's Learner or Logger has ended");
            }
        }
    }

    /// What was held back goes on as soon as it need not wait.
    fn resume(&mut self, ctx: &mut Ctx<'_, Self>) {
        if self.core.can_resume() {
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

    fn on_internal(&mut self, letter: Internal, ctx: &mut Ctx<'_, Self>) {
        let (requests, closes) = match &letter {
            Internal::Expire(sessions) => (sessions.len(), sessions.len()),
            Internal::Reap(paths) => (paths.len(), 0),
        };
        let asked = asked(requests, closes, ctx);
        self.prepare(asked, ctx, |core, tree, now_ms, out| core.on_internal(tree, letter, now_ms, out));
    }

    /// Lets `run` check what was asked and propose it, and tells the meters.
    fn prepare(
        &mut self,
        asked: Prepared,
        ctx: &mut Ctx<'_, Self>,
        run: impl FnOnce(&mut Proposer<Majority>, &DataTree, i64, &mut Vec<Output>),
    ) {
        let began_us = ctx.clock().now_us();
        let tree = self.tree.read();
        let applied = tree.last_zxid();
        run(&mut self.core, &tree, ctx.clock().wall_ms(), &mut self.out);
        drop(tree);
        let checked_us = ctx.clock().now_us();
        self.perform(ctx);
        let (checked_in_us, posted_in_us) = (checked_us - began_us, ctx.clock().now_us() - checked_us);
        let proposed = between(self.told.0, self.core.last());
        self.meters.prepared(&Prepared { checked_in_us, posted_in_us, proposed, ..asked });
        self.meters.settled(between(self.told.1, applied));
        self.told = (self.core.last(), applied.max(self.told.1));
        self.meters.sessions_expired(self.core.take_expired());
        for over in self.core.take_over_quota() {
            if over.is_hard {
                self.meters.quota_exceeded(&over.path);
            }
            if let Some(left_out) = self.quotas[usize::from(over.is_hard)].may_say(ctx.clock().now_ms()) {
                tracing::warn!(left_out, "{over}");
            }
        }
    }
}

/// What came with the letter at hand.
fn asked(requests: usize, closes: usize, ctx: &Ctx<'_, ProposerActor>) -> Prepared {
    let (requests, closes) = (requests as u64, closes as u64);
    Prepared { requests, closes, waited_us: ctx.waited_us(), ..Prepared::default() }
}

/// How many txns come after `from`, up to `to`. An epoch's are numbered without a gap from 1.
fn between(from: Zxid, to: Zxid) -> u64 {
    let before = if from.epoch() == to.epoch() { from.counter() } else { 0 };
    if to > from { u64::from(to.counter() - before) } else { 0 }
}

impl Service for ProposerActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        ctx.every(self.reaping.every, Self::reap);
        ctx.every(TICK, |this, ctx| {
            this.core.on_tick(&mut this.out);
            this.perform(ctx);
        });
    }
}

impl Serve<Requests> for ProposerActor {
    fn serve(&mut self, letter: Requests, ctx: &mut Ctx<'_, Self>) {
        ctx.spend(u32::try_from(letter.items.len()).unwrap_or(u32::MAX));
        let ends = |item: &&Request| matches!(item, Request::Write { write: Write::CloseSession, .. });
        let asked = asked(letter.items.len(), letter.items.iter().filter(ends).count(), ctx);
        self.prepare(asked, ctx, |core, tree, now_ms, out| core.on_requests(tree, letter, now_ms, out));
    }
}

impl Serve<Internal> for ProposerActor {
    fn serve(&mut self, letter: Internal, ctx: &mut Ctx<'_, Self>) {
        self.on_internal(letter, ctx);
    }
}

impl Serve<Ack> for ProposerActor {
    fn serve(&mut self, letter: Ack, ctx: &mut Ctx<'_, Self>) {
        let before = self.core.committed();
        self.core.on_ack(letter, &mut self.out);
        self.meters.committed(between(before, self.core.committed()));
        self.perform(ctx);
        self.resume(ctx);
    }
}

impl Serve<FactsKept> for ProposerActor {
    fn serve(&mut self, letter: FactsKept, ctx: &mut Ctx<'_, Self>) {
        let asked = Prepared::default(); // what waited was counted when it came
        match letter.0 {
            Ok(facts) => {
                self.facts = facts;
                let epoch = facts.current_epoch;
                self.prepare(asked, ctx, |core, tree, now, out| core.on_new_epoch(tree, epoch, now, out));
            }
            Err(failure) => {
                tracing::error!(
                    failure,
                    "no next epoch: writes are refused with -119; tried again each second"
                );
                self.prepare(asked, ctx, |core, tree, now, out| core.on_epoch_refused(tree, now, out));
            }
        }
    }
}

impl Serve<DiskSpace> for ProposerActor {
    fn serve(&mut self, letter: DiskSpace, ctx: &mut Ctx<'_, Self>) {
        let full = matches!(letter.0, Space::Full { .. });
        match letter.0 {
            Space::Full { needed } => tracing::error!(
                needed,
                "disk full: writes are refused with -119 until so many bytes are free; reads and pings go on"
            ),
            Space::Enough => tracing::info!("the disk has room again: writes go on"),
        }
        self.core.on_disk_full(full);
        self.resume(ctx);
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
