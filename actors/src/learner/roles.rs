//! The Learner's shell as its member's role begins and ends: between the core, the log and the leader.
//!
//! Nothing of an older role is taken for one of this: what actors, links and the log say names the generation
//! of the role, or the lane, that it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use paddock_messages::ids::ServerId;
use paddock_messages::letters::{FeedReady, Silent};
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::{PeerState, Vote};
use paddock_messages::roles::{
    Begin, EpochKept, HistoryApplied, Judge, KeptEpoch, Lead, LeadOver, Part, RoleEnded, Settled, Stands,
    Whose,
};
use paddock_messages::zxid::{Epoch, Zxid};

use super::actor::LearnerActor;
use super::behind::Behind;
use super::following::Following;
use super::reads_only::Reads;
use super::receiving::{Received, Receiving};
use crate::client::Serving;
use crate::client::hub::Control;
use crate::membership::{Decide, Membership};
use crate::peer_link::SharedIdentity;
use crate::peer_link::letters::{LeaderLane, Open, Shut};
use crate::quorum_peer::{Board, OwnDigests, belongs, entered, memory};
use crate::runtime::{Ctx, ExitCode};
use crate::storage::{Command, Facts, Persisted};
use crate::tree::DataTree;

/// What the Logger's thread answers to a role.
#[derive(Debug)]
pub struct LogAnswer {
    /// The generation of the role that asked.
    pub role: u64,
    /// What.
    pub what: Answered,
}

/// See [`LogAnswer`].
#[derive(Debug)]
pub enum Answered {
    /// These are durable.
    Kept(Facts),
    /// The epoch is not, for want of space.
    NotKept(String),
    /// The log is cut.
    Truncated,
    /// The received snapshot is the history now.
    Installed,
    /// The received snapshot, and the log behind it, is.
    TreeReplaced,
    /// Nothing that was sent before is still on its way; the log ends here.
    Drained(Persisted),
    /// It was not done, and the log goes on.
    Refused(String),
}

/// Whom a member of several has beside those of a server alone.
pub struct Others {
    /// Which configuration it goes by.
    pub membership: Membership<paddock_config::Quorum>,
    /// The other members' data lanes, as far as there are links.
    pub lanes: BTreeMap<ServerId, LeaderLane>,
    /// What the log has room for and is not on disk, in bytes (L10): its `admitted_bytes`.
    pub log_room: u64,
    /// The QuorumPeer.
    pub stands: Outbox<Stands>,
    /// The same.
    pub ended: Outbox<RoleEnded>,
    /// The same.
    pub settled: Outbox<Settled>,
    /// The same: who decides.
    pub decide: Outbox<Decide>,
    /// Our Proposer: who decides, before it leads.
    pub decide_lead: Outbox<Decide>,
    /// What is published for it.
    pub board: Board,
    /// What hellos say of us.
    pub identity: SharedIdentity,
    /// An operator has said that an ensemble may begin with an empty disk here.
    pub may_begin: bool,
    /// To be called once the member belongs to an ensemble, durably.
    pub on_joined: Option<Box<dyn FnOnce() + Send>>,
    /// How often it is told that this thread moves.
    pub move_every: Duration,
    /// How long a search lasts before clients that only read are served what is here (`readonlymode.enabled`).
    pub reads_after: Option<Duration>,
    /// Our Proposer, when we are elected, and when that is over.
    pub lead: Outbox<Lead>,
    /// The same.
    pub lead_over: Outbox<LeadOver>,
    /// The same, once it may propose.
    pub applied: Outbox<HistoryApplied>,
    /// The SessionTracker.
    pub judge: Outbox<Judge>,
    /// Each client arbiter's hub, by arbiter.
    pub hubs: Vec<Outbox<Control>>,
    /// The same: they have the last word on their sessions.
    pub silent: Vec<Outbox<Silent>>,
    /// Writes snapshots that come.
    pub receiving: Receiving,
}

/// What the member does.
pub(super) enum Mode {
    /// It leads, or is about to.
    Leading,
    Following(Box<Behind>),
    Looking(Search),
}

/// Before an election.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    /// The last txn on disk, once the log has finished.
    pub(super) last: Option<Zxid>,
    /// The QuorumPeer knows.
    pub(super) is_told: bool,
    pub(super) reads: Reads,
}

impl LearnerActor {
    pub(super) fn others(&self) -> &Others {
        self.others.as_ref().expect("a server alone keeps its role")
    }

    pub(super) fn leader(&self) -> Option<ServerId> {
        if let Mode::Following(behind) = &self.mode { Some(behind.leader()) } else { None }
    }

    /// A snapshot that could not be put in place: its file would be in the way.
    pub(super) fn discard(&mut self) {
        if let Some(received) = self.installing.take() {
            self.receiving().discard(&received);
        }
    }

    pub(super) fn receiving(&mut self) -> &mut Receiving {
        &mut self.others.as_mut().expect("a server alone is sent nothing").receiving
    }

    pub(super) fn begin(&mut self, Begin { role, part }: Begin, ctx: &mut Ctx<'_, Self>) {
        if role <= self.role && role != Begin::FIRST {
            return; // the member has been told to end
        }
        if self.others.is_none() {
            // A server alone has one role, and this is its end: nothing that is still on its way goes to the log.
            self.role = role;
            return self.command(Command::Shutdown, ctx);
        }
        let search = if let Mode::Looking(search) = self.mode { search } else { Search::default() };
        let last = search.last.unwrap_or(Zxid::ZERO);
        self.end_role();
        (self.role, self.serves_all, self.quorum_has, self.establishes) = (role, false, None, None);
        self.keeping.clear();
        match part {
            Part::Look if role == Begin::LAST.role => self.command(Command::Shutdown, ctx),
            Part::Look => {
                self.mode = Mode::Looking(Search::default());
                if self.log.send(Command::Drain { role }).is_err() {
                    ctx.fatal(ExitCode::ActorGone, "the learner's Logger has ended");
                }
                if let Some(after) = self.others().reads_after {
                    ctx.after(after, move |learner, _| learner.on_long_search(role));
                }
            }
            Part::Lead => {
                self.mode = Mode::Leading;
                let Facts { accepted_epoch: accepted, current_epoch, .. } = self.facts;
                let ensemble = self.facts.ensemble.unwrap_or(self.new_ensemble);
                self.entering = ensemble;
                let committed = self.core.watermark();
                let level = self.level.max(self.core.logged_level());
                let lead = Lead { role, accepted, current_epoch, last, committed, ensemble, level };
                let by = self.others().membership.logged_view();
                self.others().board.decide(by.clone());
                let decide = Decide { role, told: by.told(), by };
                self.mail(ctx, |to| {
                    let judge = to.decide.post(decide.clone()).is_ok();
                    judge && to.decide_lead.post(decide).is_ok() && to.lead.post(lead).is_ok()
                });
            }
            Part::Follow { leader, had_vote } => {
                let stay =
                    Following::new(self.facts.accepted_epoch, self.facts.current_epoch, self.core.tail());
                let stay = stay.of(belongs(&self.facts, last));
                let stay = if had_vote { stay } else { stay.without_vote() };
                let stay = stay.asking_for_tree(self.fence.is_due(ctx.clock().now_ms()));
                let stay = stay.reading(self.reads_level());
                // It is judged from here on, whether or not its lane ever comes up (Q3).
                self.others().board.tell(role, stay.progress());
                self.mode = Mode::Following(Box::new(Behind::new(leader, stay, self.others().log_room)));
                self.mail(ctx, |to| {
                    to.lanes.get(&leader).is_some_and(|it| it.open.post(Open { role }).is_ok())
                });
                if self.is_disk_full {
                    self.leave("its disk is full", ctx); // L8: it stood before that was known
                }
            }
        }
    }

    /// Posts what the member cannot be without.
    pub(super) fn mail(&self, ctx: &mut Ctx<'_, Self>, post: impl FnOnce(&Others) -> bool) {
        if !post(self.others()) {
            ctx.fatal(ExitCode::ActorGone, "an actor that the learner needs has ended");
        }
    }

    /// Nobody is served any more, and what waited for an answer gets none from this leader.
    fn end_role(&mut self) {
        let (role, others) = (self.role, self.others());
        let is_parked = !matches!(self.mode, Mode::Looking(_)); // Q6
        match &self.mode {
            Mode::Looking(search) if search.reads != Reads::Served => return,
            Mode::Looking(_) => others.board.serve_reads(false),
            // One that is gone is the guardian's business.
            Mode::Leading => drop(others.lead_over.post(LeadOver { role })),
            Mode::Following(behind) => {
                if let Some(lane) = others.lanes.get(&behind.leader()) {
                    drop(lane.shut.post(Shut { upto_role: role }));
                }
            }
        }
        drop(others.judge.post(Judge { role, whose: Whose::Nobody }));
        for hub in &others.hubs {
            drop(hub.post(Control::Serve(Serving::Nobody)));
            drop(hub.post(if is_parked { Control::Park } else { Control::CloseAll }));
        }
        if let Some(others) = &mut self.others {
            others.receiving.forget();
        }
        self.core.on_leader_lost();
        self.tell_local_sessions();
        self.mode = Mode::Looking(Search::default());
    }

    /// All that is committed is applied, for now: what waited for that.
    pub(super) fn on_applied(&mut self, ctx: &mut Ctx<'_, Self>) {
        if self.others.is_none() {
            return;
        }
        let now_ms = ctx.clock().now_ms();
        match &mut self.mode {
            Mode::Leading => self.established(ctx),
            Mode::Following(behind) => {
                if behind.opens() {
                    self.serve_everybody(Whose::TheLeaders);
                }
            }
            Mode::Looking(Search { last: Some(last), is_told, .. }) if !*is_told => {
                *is_told = true; // Q4
                let (role, current_epoch, last) = (self.role, self.facts.current_epoch, *last);
                let memory = memory(&self.facts, last, self.others().may_begin);
                let memory = self.others().membership.qualify(memory);
                let stands_low = self.fence.stands_low(); // DG7
                let (current_epoch, last) =
                    if stands_low { (Epoch(0), Zxid::ZERO) } else { (current_epoch, last) };
                let joins = !self.is_disk_full && now_ms >= self.no_room_until_ms; // L8
                let stands = Stands { role, current_epoch, last, memory, has_room: joins, joins };
                let decide = self.decides();
                self.mail(ctx, |to| to.decide.post(decide).is_ok() && to.stands.post(stands).is_ok());
                self.serve_reads();
            }
            Mode::Looking(_) => {}
        }
    }

    fn serve_everybody(&self, whose: Whose) {
        let (role, others) = (self.role, self.others());
        drop(others.judge.post(Judge { role, whose }));
        for hub in &others.hubs {
            drop(hub.post(Control::Begin(role)));
            if !self.fence.is_up() {
                drop(hub.post(Control::Serve(Serving::Everybody))); // DG4
            }
        }
    }

    pub(super) fn leave(&self, why: &'static str, ctx: &mut Ctx<'_, Self>) {
        let role = self.role;
        self.mail(ctx, |to| to.ended.post(RoleEnded { role, why }).is_ok());
    }

    pub(super) fn command(&self, command: Command, ctx: &mut Ctx<'_, Self>) {
        if self.log.send(command).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the learner's Logger has ended");
        }
    }

    pub(super) fn keep(&mut self, epoch: KeptEpoch, ctx: &mut Ctx<'_, Self>) {
        let mut facts = self.keeping.back().map_or(self.facts, |(_, facts)| *facts);
        match epoch {
            KeptEpoch::Accepted(epoch) => facts.accepted_epoch = epoch,
            KeptEpoch::Current(epoch) if self.others.is_some() => {
                facts = entered(facts, epoch, self.entering);
            }
            KeptEpoch::Current(epoch) => (facts.accepted_epoch, facts.current_epoch) = (epoch, epoch),
            KeptEpoch::Joined => facts.seed = false,
            KeptEpoch::Refused => return,
        }
        facts.tree_differs = self.fence.is_up() || (self.others.is_none() && facts.tree_differs);
        self.keeping.push_back((epoch, facts));
        self.command(Command::KeepFacts { role: self.role, facts }, ctx);
    }

    /// Durable is durable, whichever role asked for it.
    pub(super) fn on_kept(&mut self, facts: Facts, is_current: bool, ctx: &mut Ctx<'_, Self>) {
        self.facts = facts;
        if let Some(others) = &mut self.others {
            others.board.accept(facts.accepted_epoch); // before anybody is told (P11)
            if facts.ensemble.is_some() {
                others.identity.lock().ensemble = belongs(&facts, self.core.appended());
                if let Some(joined) = others.on_joined.take() {
                    joined();
                }
            }
        }
        if !is_current {
            return;
        }
        let Some((epoch, _)) = self.keeping.pop_front() else { return };
        match (&self.mode, epoch) {
            (Mode::Leading, KeptEpoch::Joined) => self.establish(ctx),
            (Mode::Leading, _) => self.tell_proposer(epoch, ctx),
            (Mode::Following(_), KeptEpoch::Accepted(_)) => self.with_stay(ctx, Following::on_accepted_kept),
            (Mode::Following(_), KeptEpoch::Current(_)) => self.with_stay(ctx, Following::on_current_kept),
            _ => {}
        }
    }

    pub(super) fn tell_proposer(&self, epoch: KeptEpoch, ctx: &mut Ctx<'_, Self>) {
        if self.peers.kept.post(EpochKept { role: self.role, epoch }).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the learner's Proposer has ended");
        }
    }

    pub(super) fn on_drained(&mut self, upto: Zxid) {
        if let Mode::Looking(search) = &mut self.mode {
            search.last = Some(upto);
        }
    }

    /// History has been replaced on disk, whichever role asked for it: the tree follows.
    pub(super) fn install(&mut self, now_ms: u64) {
        let Some(Received { zxid, tree, .. }) = self.installing.take() else { return };
        self.on_configuration_installed(&tree);
        self.put_tree(tree, now_ms);
        self.core.on_installed(zxid);
        for hub in self.others.iter().flat_map(|others| &others.hubs) {
            drop(hub.post(Control::CloseAll)); // C9: which of their watches should have fired nobody knows
        }
    }

    /// Another tree takes the place of ours, which differed if the fence is up (DG4).
    pub(super) fn put_tree(&mut self, tree: DataTree, now_ms: u64) {
        let (latest, level) = (tree.latest_digests(), tree.feature_level());
        let mut writer = self.tree.write();
        writer.replace(tree);
        // F3: the feeds go on from another zxid, and nobody is woken for what comes behind it unless told so now.
        let dispatchers = &self.peers.dispatchers;
        writer.commit(|arbiter| drop(dispatchers[usize::from(arbiter)].post(FeedReady)));
        self.tell_digests(OwnDigests { tree: self.digests.tree + 1, latest });
        self.tell_level(level);
        self.lower_fence(now_ms);
    }

    /// The QuorumPeer compares them with the others': once in 128 txns there is a new one.
    pub(super) fn tell_digests(&mut self, own: OwnDigests) {
        if let Some(others) = self.others.as_ref().filter(|_| self.digests != own) {
            others.board.tell_digests(own);
            self.digests = own;
        }
    }

    /// A quorum has our history. Nothing is proposed in it before we are known to be no seed any more.
    pub(super) fn establish(&mut self, ctx: &mut Ctx<'_, Self>) {
        let Some(epoch) = self.quorum_has.filter(|_| !self.facts.seed) else { return };
        self.quorum_has = None;
        self.core.on_commit(epoch.start(), &mut self.out);
        self.core.on_epoch(epoch, &mut self.out);
        self.establishes = Some(epoch);
        self.perform(ctx);
    }

    /// A new leader has applied all there is: it may propose, and serve.
    pub(super) fn established(&mut self, ctx: &mut Ctx<'_, Self>) {
        let Some(epoch) = self.establishes.take() else { return };
        let role = self.role;
        if self.fence.is_up() {
            // DG4, DG7
            return self.leave(
                "its tree is not the one that a quorum has, and what it had logged a quorum has now",
                ctx,
            );
        }
        let rolls_over = std::mem::replace(&mut self.serves_all, true); // clients go on being served (Z11)
        if !rolls_over {
            self.serve_everybody(Whose::All);
        }
        self.mail(ctx, |to| to.applied.post(HistoryApplied { role, epoch }).is_ok());
        let vote = Vote { peer_epoch: epoch, zxid: self.core.appended(), leader: self.me };
        drop(self.others().settled.post(Settled { role, state: PeerState::Leading, vote }));
        tracing::info!(%epoch, "{}", if rolls_over { "the next epoch is led" } else { "leading: clients are served" });
    }
}
