//! The Proposer's shell in an ensemble of several: from an elected candidate to an established leader, and what
//! goes down the learners' lanes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use paddock_messages::frame::{Frame, FrameWriter, SharedFrame};
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{Internal, Proposal, Requests};
use paddock_messages::level;
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::ToLearner;
use paddock_messages::roles::{
    DropLearner, Establish, KeepEpoch, KeptEpoch, Lead, LeadOver, MemberLane, MemberMet, RoleEnded,
    RoundHeld, SilentAt, SyncAsked,
};
use paddock_messages::zxid::Zxid;

use super::actor::ProposerActor;
use super::core::Proposer;
use super::lag::{Lag, SharedLag};
use super::leadership::{Leadership, Output as Led, Standing};
use super::synchronising::{Found, SyncSent};
use super::times::Times;
use crate::admin::metrics::SyncKind;
use crate::membership::{Decide, Deciders};
use crate::peer_link::letters::{
    self, FromLearner, HangUp, LearnerLane, LearnerLaneDown, LearnerLaneUp, Linked, Outgoing, Send,
};
use crate::quorum_peer::{Board, Progress};
use crate::runtime::{Ctx, ExitCode, Serve};
use crate::storage::LoggerHandle;

/// Whom a leader of several has beside those of a server alone.
pub struct Others {
    /// The other members' data lanes, as far as there are links.
    pub lanes: BTreeMap<ServerId, LearnerLane>,
    /// The QuorumPeer.
    pub ended: Outbox<RoleEnded>,
    /// The same.
    pub sync: Outbox<SyncAsked>,
    /// The same.
    pub decide: Outbox<Decide>,
    /// What is published for it.
    pub board: Board,
    /// Our Learner.
    pub establish: Outbox<Establish>,
    /// The SessionTracker.
    pub met: Outbox<MemberMet>,
    /// The same.
    pub lane: Outbox<MemberLane>,
    /// To look into the log for a learner.
    pub log: LoggerHandle,
    /// To this very actor, from the threads that do.
    pub found: Outbox<Found>,
    /// The same.
    pub sent: Outbox<SyncSent>,
    /// The most bytes of a txn, as every member has it.
    pub largest_txn: usize,
    /// How far behind learners are, for operators.
    pub lag: SharedLag,
}

/// A learner's lane that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    pub(super) number: u64,
    pub(super) speaking: u8,
}

/// See the module.
pub struct Reigning {
    pub(super) others: Others,
    pub(super) reign: Option<Box<Leadership<Deciders>>>,
    pub(super) lanes: BTreeMap<ServerId, Lane>,
    led: Vec<Led>,
    /// What comes behind the establishment, while our own Learner applies all there is.
    pub(super) deferred: Option<VecDeque<Led>>,
    /// Frames that are to go down each lane, in order.
    outgoing: BTreeMap<ServerId, Vec<Outgoing>>,
    /// The proposals at hand, encoded once.
    shared: Option<(Arc<Vec<Proposal>>, Zxid, SharedFrame)>,
    /// As told last.
    pending_syncs: u64,
    pub(super) times: Times,
}

impl Reigning {
    /// Nobody reigns yet.
    pub fn new(others: Others) -> Self {
        Self {
            others,
            reign: None,
            lanes: BTreeMap::new(),
            led: Vec::new(),
            deferred: None,
            outgoing: BTreeMap::new(),
            shared: None,
            pending_syncs: 0,
            times: Times::default(),
        }
    }

    pub(super) fn writer(&self, to: ServerId) -> Option<FrameWriter> {
        self.lanes.get(&to).map(|lane| FrameWriter::new(lane.speaking, self.others.largest_txn))
    }

    pub(super) fn push(&mut self, to: ServerId, item: Outgoing) {
        self.outgoing.entry(to).or_default().push(item);
    }

    /// One frame for all who are sent the same proposals.
    fn queue(&mut self, to: ServerId, packet: ToLearner) {
        let Some(writer) = self.writer(to) else { return };
        let ToLearner::Proposals { after, items } = packet else {
            return self.push(to, Outgoing::Frame(Box::new(Frame::ToLearner(packet))));
        };
        let is_same = self.shared.as_ref().is_some_and(|(of, at, _)| Arc::ptr_eq(of, &items) && *at == after);
        if !is_same {
            let frame = Frame::ToLearner(ToLearner::Proposals { after, items: Arc::clone(&items) });
            self.shared = Some((items, after, SharedFrame::new(frame)));
        }
        let Some((_, _, frame)) = &mut self.shared else { return };
        match frame.bytes(&writer) {
            Ok(bytes) => self.push(to, Outgoing::Bytes(bytes)),
            Err(error) => {
                tracing::error!(learner = %to, %error, "proposals cannot be sent: the learner is dropped");
                if let Some(reign) = &mut self.reign {
                    reign.on_gone(to);
                }
                self.hang_up(to);
            }
        }
    }

    fn hang_up(&mut self, on: ServerId) {
        self.forget(on);
        if let (Some(lane), Some(link)) = (self.lanes.remove(&on), self.others.lanes.get(&on)) {
            drop(link.hang_up.post(HangUp { lane: lane.number })); // gone is the guardian's business
        }
        drop(self.others.lane.post(MemberLane { member: on, is_up: false }));
    }

    /// What was for a lane that is no more.
    fn forget(&mut self, learner: ServerId) {
        self.others.lag.lock().on_gone(learner);
        self.times.on_gone(learner);
        self.outgoing.remove(&learner);
        if let Some(deferred) = &mut self.deferred {
            deferred.retain(|order| {
                !matches!(order,
                    Led::Send(to, _) | Led::HangUp(to, _) | Led::Find(to, _) | Led::SendLog(to, _) | Led::SendSnapshot(to)
                    if *to == learner)
            });
        }
    }

    /// Once for all that came of one letter.
    fn tell_syncs(&mut self, pending: u64) {
        if std::mem::replace(&mut self.pending_syncs, pending) != pending {
            self.others.lag.lock().on_pending_syncs(pending);
        }
    }

    fn flush(&mut self) {
        self.shared = None;
        for (to, items) in std::mem::take(&mut self.outgoing) {
            if let (Some(lane), Some(link)) = (self.lanes.get(&to), self.others.lanes.get(&to)) {
                drop(link.send.post(Send { lane: lane.number, items }));
            }
        }
    }
}

impl ProposerActor {
    /// Lets the reign do one thing; [`Self::perform_reign`] does what comes of it.
    pub(super) fn with_reign(&mut self, run: impl FnOnce(&mut Leadership<Deciders>, &mut Vec<Led>)) {
        if let Some(Reigning { reign: Some(reign), led, .. }) = &mut self.reigning {
            run(reign, led);
        }
    }

    /// The role ends; whoever judges it begins the next.
    pub(super) fn resign(&mut self, why: &'static str, ctx: &mut Ctx<'_, Self>) {
        self.with_reign(|reign, _| reign.give_up());
        let role = self.role;
        let told = self.reigning.as_ref().map(|it| it.others.ended.post(RoleEnded { role, why }));
        if !matches!(told, Some(Ok(()))) {
            ctx.fatal(ExitCode::ActorGone, "the QuorumPeer has ended");
        }
    }

    pub(super) fn begin_round(&mut self, number: u64, ctx: &mut Ctx<'_, Self>) -> Result<(), ()> {
        let Some(reigning) = &self.reigning else {
            let why = "a server alone is its own quorum, and yet a sync waits for others";
            ctx.fatal(ExitCode::Unexpected, why);
            return Ok(());
        };
        reigning.others.sync.post(SyncAsked { role: self.role, number }).map_err(drop)
    }

    pub(super) fn hang_up(&mut self, on: ServerId, why: &'static str) {
        tracing::warn!(learner = %on, why, "a learner is dropped");
        self.with_reign(|reign, _| reign.on_gone(on));
        if let Some(reigning) = &mut self.reigning {
            reigning.hang_up(on);
        }
    }

    /// Does what the reign has decided, and sends what is to be sent: once for all that came of one letter.
    pub(super) fn perform_reign(&mut self, ctx: &mut Ctx<'_, Self>) {
        loop {
            let Some(reigning) = &mut self.reigning else { return };
            if reigning.led.is_empty() {
                break;
            }
            for order in std::mem::take(&mut reigning.led) {
                let Some(reigning) = &mut self.reigning else { return };
                match &mut reigning.deferred {
                    Some(deferred) => deferred.push_back(order),
                    None => self.perform_led(order, ctx),
                }
            }
        }
        if let Some(reigning) = &mut self.reigning {
            reigning.flush();
            reigning.tell_syncs(self.core.as_ref().map_or(0, Proposer::pending_syncs));
        }
    }

    pub(super) fn perform_led(&mut self, order: Led, ctx: &mut Ctx<'_, Self>) {
        let role = self.role;
        let Some(reigning) = &mut self.reigning else { return };
        let sent = match order {
            Led::KeepAccepted(epoch) => {
                let epoch = KeptEpoch::Accepted(epoch);
                self.learner.keep.post(KeepEpoch { role, epoch }).map_err(drop)
            }
            Led::KeepCurrent(epoch) => {
                let epoch = KeptEpoch::Current(epoch);
                self.learner.keep.post(KeepEpoch { role, epoch }).map_err(drop)
            }
            Led::Send(to, packet) => {
                reigning.times.on_sent(to, &packet, &self.meters);
                reigning.queue(to, packet);
                Ok(())
            }
            Led::Find(learner, wanted) => {
                reigning.find(learner, wanted);
                Ok(())
            }
            Led::SendLog(to, span) => {
                reigning.send_log(to, span);
                Ok(())
            }
            Led::SendSnapshot(to) => {
                reigning.times.on_sync(to, SyncKind::Snap, &self.meters);
                reigning.send_snapshot(to);
                Ok(())
            }
            Led::Establish(epoch) => {
                reigning.deferred = Some(VecDeque::new());
                reigning.others.establish.post(Establish { role, epoch }).map_err(drop)
            }
            Led::Ack(ack) => {
                self.on_ack(ack, ctx);
                Ok(())
            }
            Led::Requests(member, items) => {
                self.on_requests(Requests { member, items }, ctx);
                Ok(())
            }
            Led::Touched(member, as_of_ms, sessions) => {
                reigning.others.met.post(MemberMet { member, as_of_ms, sessions }).or(Ok(())) // the next tells more
            }
            Led::Expire(sessions) => {
                self.on_internal(Internal::Expire(sessions), ctx);
                Ok(())
            }
            Led::Forgot { learner, acked, last } => {
                tracing::error!(
                    "server {learner} had acknowledged all through {acked} and comes back with a log that ends at {last}: an older \
                     copy of its disk was put back, or its disk loses what it has synced; it is sent what it lacks. Never put \
                     old data back on a member: start it with an empty directory, so that it has no vote until it has everything"
                );
                Ok(())
            }
            Led::HangUp(on, why) => {
                tracing::warn!(learner = %on, why, "a learner is dropped");
                reigning.hang_up(on);
                Ok(())
            }
            Led::Resign(why) => {
                self.resign(why, ctx);
                Ok(())
            }
        };
        if sent.is_err() {
            ctx.fatal(ExitCode::ActorGone, "an actor that the leader needs has ended");
        }
    }

    pub(super) fn publish(&mut self) {
        if let Some(Reigning { others, reign: Some(reign), .. }) = &self.reigning {
            let progress = reign.progress();
            if let (Some(core), Progress::Leading(reign)) = (&mut self.core, &progress) {
                core.on_synchronised(reign.synchronised.iter().copied());
            }
            others.board.tell(self.role, progress);
        }
    }

    /// An epoch of the reign to be is durable, or cannot be.
    pub(super) fn on_reign_kept(&mut self, epoch: KeptEpoch, ctx: &mut Ctx<'_, Self>) {
        match epoch {
            KeptEpoch::Accepted(_) => self.with_reign(|reign, out| reign.on_accepted_kept(out)),
            KeptEpoch::Current(_) => self.with_reign(|reign, out| reign.on_current_kept(out)),
            KeptEpoch::Joined => {}
            KeptEpoch::Refused => self.resign("the disk has no room for the epoch", ctx),
        }
        self.perform_reign(ctx);
        self.publish();
    }

    /// Lets the reign do something about a learner whose lane is this one.
    pub(super) fn for_learner(
        &mut self,
        (learner, lane): (ServerId, u64),
        ctx: &mut Ctx<'_, Self>,
        run: impl FnOnce(&mut Leadership<Deciders>, &mut Vec<Led>),
    ) {
        let is_current = |it: &Reigning| it.lanes.get(&learner).is_some_and(|its| its.number == lane);
        if self.reigning.as_ref().is_some_and(is_current) {
            self.with_reign(run);
            self.perform_reign(ctx);
            self.publish();
        }
    }
}

impl Serve<Lead> for ProposerActor {
    fn serve(&mut self, lead: Lead, ctx: &mut Ctx<'_, Self>) {
        let Lead { role, accepted, current_epoch, last, committed, ensemble, level } = lead;
        let Some(reigning) = &mut self.reigning else { return };
        let standing = Standing { current_epoch, last };
        let reign = Leadership::new(self.me, self.rules.by.clone(), accepted, standing)
            .of(ensemble)
            .knowing(committed)
            .at_level(level)
            .sparing(self.rules.spares);
        tracing::info!(epoch = %current_epoch, %last, "elected: discovery begins");
        (reigning.reign, reigning.deferred) = (Some(Box::new(reign)), None);
        reigning.lanes.clear();
        reigning.pending_syncs = 0;
        *reigning.others.lag.lock() = Lag::default();
        reigning.times = Times::default();
        self.role = role;
        for lane in reigning.others.lanes.values() {
            drop(lane.serve.post(letters::Serve { role: Some(role) }));
        }
        self.with_reign(|reign, out| reign.start(out));
        self.perform_reign(ctx);
        self.publish();
    }
}

impl Serve<LeadOver> for ProposerActor {
    fn serve(&mut self, LeadOver { role }: LeadOver, _: &mut Ctx<'_, Self>) {
        let Some(reigning) = self.reigning.as_mut().filter(|_| role == self.role) else { return };
        (self.core, reigning.reign, reigning.deferred) = (None, None, None);
        reigning.led.clear();
        reigning.outgoing.clear();
        reigning.lanes.clear();
        self.out.clear();
        for lane in reigning.others.lanes.values() {
            drop(lane.serve.post(letters::Serve { role: None }));
        }
    }
}

impl Serve<Linked<LearnerLane>> for ProposerActor {
    fn serve(&mut self, Linked { peer, link }: Linked<LearnerLane>, _: &mut Ctx<'_, Self>) {
        let Some(reigning) = &mut self.reigning else { return };
        let role = reigning.reign.is_some().then_some(self.role);
        drop(link.serve.post(letters::Serve { role }));
        reigning.others.lanes.insert(peer, link);
    }
}

impl Serve<LearnerLaneUp> for ProposerActor {
    fn serve(&mut self, letter: LearnerLaneUp, ctx: &mut Ctx<'_, Self>) {
        let Some(reigning) = self.reigning.as_mut().filter(|_| letter.role == self.role) else { return };
        let LearnerLaneUp { learner, lane: number, speaking, .. } = letter;
        reigning.forget(learner);
        reigning.lanes.insert(learner, Lane { number, speaking });
        drop(reigning.others.lane.post(MemberLane { member: learner, is_up: true }));
        self.for_learner((learner, number), ctx, |reign, _| {
            reign.on_connected(learner, level::readable_in(speaking));
        });
    }
}

impl Serve<LearnerLaneDown> for ProposerActor {
    fn serve(&mut self, letter: LearnerLaneDown, ctx: &mut Ctx<'_, Self>) {
        let learner = letter.learner;
        self.for_learner((learner, letter.lane), ctx, |reign, _| reign.on_gone(learner));
        if let Some(reigning) = &mut self.reigning
            && reigning.lanes.get(&learner).is_some_and(|it| it.number == letter.lane)
        {
            reigning.lanes.remove(&learner);
            reigning.forget(learner);
            drop(reigning.others.lane.post(MemberLane { member: learner, is_up: false }));
        }
    }
}

impl Serve<FromLearner> for ProposerActor {
    fn serve(&mut self, letter: FromLearner, ctx: &mut Ctx<'_, Self>) {
        use paddock_messages::quorum::ToLeader as P;
        let FromLearner { learner, lane, packet, room } = letter;
        let is_current = |it: &Reigning| it.lanes.get(&learner).is_some_and(|its| its.number == lane);
        if !self.reigning.as_ref().is_some_and(is_current) {
            return;
        }
        if let P::Ack { upto } | P::AckNewLeader { upto } = &packet
            && let Some(reigning) = &mut self.reigning
        {
            reigning.others.lag.lock().on_ack(learner, *upto);
            if matches!(packet, P::AckNewLeader { .. }) {
                reigning.times.on_synchronised(learner, &self.meters);
            }
        }
        let changes = !matches!(packet, P::Ack { .. } | P::Requests(_) | P::Touched { .. } | P::Expire(_));
        self.with_reign(|reign, out| reign.on_packet(learner, packet, out));
        self.perform_reign(ctx);
        if changes {
            self.publish();
        }
        drop(room);
    }
}

impl Serve<RoundHeld> for ProposerActor {
    fn serve(&mut self, RoundHeld { role, upto }: RoundHeld, ctx: &mut Ctx<'_, Self>) {
        if let Some(core) = self.core.as_mut().filter(|_| role == self.role) {
            core.on_round(upto, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<DropLearner> for ProposerActor {
    fn serve(&mut self, DropLearner { role, learner }: DropLearner, _: &mut Ctx<'_, Self>) {
        if role == self.role {
            self.hang_up(learner, "it has not answered for peerTimeout");
            self.publish();
        }
    }
}

impl Serve<SilentAt> for ProposerActor {
    fn serve(&mut self, SilentAt { member, sessions }: SilentAt, ctx: &mut Ctx<'_, Self>) {
        self.with_reign(|reign, out| reign.on_silent(member, sessions, out));
        self.perform_reign(ctx);
    }
}
