//! The QuorumPeer's shell, on the thread that no data crosses: heartbeats, and the member's role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paddock_messages::ids::ServerId;
use paddock_messages::mail::Outbox;
use paddock_messages::quorum::{PeerState, Vote};
use paddock_messages::roles::{
    Begin, DropLearner, HandOver, MoveLeader, Part, Retire, RoleEnded, RoundHeld, Settled, Stands, SyncAsked,
    TreeDiffers,
};
use paddock_messages::zxid::Zxid;

use super::core::{Output, QuorumPeer, Role};
use super::digests::Finding;
use super::office::{Aim, MoveTold, RoleTold, Told};
use super::progress::{Board, Progress};
use super::round_trip::RoundTrip;
use super::telling::Telling;
use crate::admin::metrics::Meters;
use crate::client::hub::Control;
use crate::election::actor::{Elected, Heard, Left, LinkChange, Look, Settle};
use crate::membership::{self, ConfigurationHeard, Decide, DecidedBy, Deciders};
use crate::peer_link::letters::{
    CtlDown, CtlLane, CtlUp, GoBy, HeardConfiguration, HeardHeartbeat, HeardNotification, Linked,
    SendConfiguration, SendHeartbeat,
};
use crate::proposer::lag::SharedLag;
use crate::runtime::{Ctx, ExitCode, Serve, Service};

/// Whom the QuorumPeer posts to.
pub struct Peers {
    /// The keeper of the links, and who listens to clients: whom we go by.
    pub go_by: [Outbox<GoBy>; 2],
    /// The Learner: what others tell.
    pub heard_configuration: Outbox<ConfigurationHeard>,
    /// The Election.
    pub look: Outbox<Look>,
    /// The same.
    pub settle: Outbox<Settle>,
    /// The same.
    pub left: Outbox<Left>,
    /// The same.
    pub heard: Outbox<Heard>,
    /// The same.
    pub link: Outbox<LinkChange>,
    /// The Learner.
    pub begin: Outbox<Begin>,
    /// The same.
    pub differs: Outbox<TreeDiffers>,
    /// The Proposer.
    pub round: Outbox<RoundHeld>,
    /// The same.
    pub drop: Outbox<DropLearner>,
    /// The same.
    pub hand_over: Outbox<HandOver>,
    /// The same.
    pub decided_by: Outbox<DecidedBy>,
    /// What learners lack, while this member leads.
    pub lag: SharedLag,
    /// Where orders to move the lead are answered.
    pub moves: MoveTold,
    /// Each client arbiter's hub: pings that waited for our word are answered.
    pub hubs: Vec<Outbox<Control>>,
}

/// See the module.
pub struct QuorumPeerActor {
    me: ServerId,
    core: QuorumPeer<Deciders>,
    telling: Telling,
    /// The generation of the role.
    role: u64,
    board: Board,
    told: RoleTold,
    peers: Peers,
    /// To each other member.
    links: BTreeMap<ServerId, CtlLane>,
    out: Vec<Output>,
    timeout_ms: u64,
    vouched: bool,
    had_vote: bool,
    /// Since when it looks for a leader, in µs.
    looks_since_us: u64,
    /// The Learner's log takes what a leader sends (L8).
    joins: bool,
    trips: BTreeMap<ServerId, RoundTrip>,
    meters: Arc<Meters>,
}

impl QuorumPeerActor {
    /// `timeout_ms` is `peerTimeout`.
    pub fn new(
        me: ServerId,
        core: QuorumPeer<Deciders>,
        (board, told): (Board, RoleTold),
        peers: Peers,
        (timeout_ms, meters): (u64, Arc<Meters>),
    ) -> Self {
        Self {
            me,
            core,
            telling: Telling::default(),
            role: 0,
            board,
            told,
            peers,
            links: BTreeMap::new(),
            out: Vec::new(),
            timeout_ms,
            vouched: true,
            had_vote: false,
            looks_since_us: 0,
            joins: true,
            trips: BTreeMap::new(),
            meters,
        }
    }

    fn must(&self, posted: Result<(), ()>, ctx: &mut Ctx<'_, Self>) {
        if posted.is_err() {
            ctx.fatal(ExitCode::ActorGone, "an actor that the QuorumPeer needs has ended");
        }
    }

    /// `why` is told of a search.
    fn begin(&mut self, part: Part, why: &'static str, ctx: &mut Ctx<'_, Self>) {
        self.enter(Begin { role: self.role + 1, part }, why, ctx);
    }

    fn enter(&mut self, begin: Begin, why: &'static str, ctx: &mut Ctx<'_, Self>) {
        let Begin { role, part } = begin;
        self.role = role;
        self.telling.on_role();
        self.forget_trips();
        self.told.set(Told::Looking, ctx.clock().now_ms());
        if part == Part::Look {
            self.looks_since_us = ctx.clock().now_us();
            self.meters.looks();
        } else {
            self.meters.elected(ctx.clock().now_us().saturating_sub(self.looks_since_us));
        }
        match part {
            Part::Look => self.told.search(why, ctx.clock().now_ms()),
            Part::Lead => self.told.aim(Aim::Lead, ctx.clock().now_ms()),
            Part::Follow { leader, .. } => self.told.aim(Aim::Follow(leader), ctx.clock().now_ms()),
        }
        if part == Part::Look {
            // At once: the log may take long to finish, and until then nobody is to come to us (EL10).
            let (for_good, heir) = (begin == Begin::LAST, self.core.take_heir());
            let left = self.peers.left.post(Left { for_good, heir }).map_err(drop);
            self.must(left, ctx);
        }
        let begun = self.peers.begin.post(begin).map_err(drop);
        self.must(begun, ctx);
    }

    fn forget_trips(&mut self) {
        self.trips.clear();
        self.links.values().for_each(|link| link.status.lock().round_trip_us = None);
    }

    fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        for order in std::mem::take(&mut self.out) {
            match order {
                Output::Heartbeat(to, beat) => {
                    if self.core.role() == Role::Leading {
                        self.trips.entry(to).or_default().on_sent(beat.number, ctx.clock().now_us());
                    }
                    // The newest replaces what is not on its way.
                    let _ = self.links.get(&to).map(|link| link.beat.post(SendHeartbeat(beat)));
                }
                Output::Confirmed(upto) => {
                    let held = self.peers.round.post(RoundHeld { role: self.role, upto }).map_err(drop);
                    self.must(held, ctx);
                }
                Output::Drop(learner) => {
                    let dropped =
                        self.peers.drop.post(DropLearner { role: self.role, learner }).map_err(drop);
                    self.must(dropped, ctx);
                }
                Output::Look(why) => {
                    tracing::warn!(
                        why,
                        "the role is over: nobody is served until there is a leader; paddock status tells who is missing"
                    );
                    self.begin(Part::Look, why, ctx);
                }
                Output::HandOver(heir) => {
                    tracing::info!(?heir, "the lead is handed over: nothing more is numbered");
                    let told = self.peers.hand_over.post(HandOver { role: self.role, heir }).map_err(drop);
                    self.must(told, ctx);
                }
                Output::Retire(why) => {
                    tracing::info!(why, "the last role is over");
                    self.enter(Begin::LAST, why, ctx);
                }
                Output::Lead => self.begin(Part::Lead, "", ctx),
                Output::Follow(leader) => {
                    let had_vote = self.had_vote;
                    tracing::info!(%leader, had_vote, "elected: to be followed");
                    self.begin(Part::Follow { leader, had_vote }, "", ctx);
                }
                Output::Differs(finding) => {
                    self.report(&finding);
                    if matches!(finding, Finding::Ours(_)) {
                        let differs = TreeDiffers { tree: self.core.tree() };
                        let told = self.peers.differs.post(differs).map_err(drop);
                        self.must(told, ctx);
                    }
                }
            }
        }
    }

    fn report(&self, finding: &Finding) {
        self.meters.trees_differ();
        match finding {
            Finding::Ours(what) => tracing::error!(
                "this member's tree is not the one that a quorum has: {what}; it serves no client until it has a \
                 leader's tree, for which it asks; look for a cause: memory and disk of this machine, its build"
            ),
            Finding::Theirs(what) => tracing::error!(
                "a member's tree is not the one that a quorum has, this member among it: {what}; see that member's log"
            ),
            Finding::Undecided(what) => tracing::error!(
                "members' trees differ, and no quorum agrees on one: {what}; all go on serving what they have. Keep a \
                 copy of each member's data directories, find out which of them is right (the word `hash` tells the \
                 last digests of each), and start the others with empty directories"
            ),
        }
    }

    /// Heartbeats stop, and with them our leadership or our stay, if the role's own thread has not moved for
    /// a timeout.
    fn tick(&mut self, ctx: &mut Ctx<'_, Self>) {
        let now_ms = ctx.clock().now_ms();
        if now_ms > self.board.moved_ms() + self.timeout_ms {
            return;
        }
        self.core.on_accepted(self.board.accepted());
        self.core.on_digests(&self.board.digests());
        let mut progress = self.board.progress(self.role);
        if let Progress::Leading(reign) = &mut progress {
            reign.steps = self.links.values().map(|link| link.data.lock().bytes_sent).sum();
        }
        self.core.on_time(now_ms, &progress, &mut self.out);
        self.perform(ctx);
        self.vouch(ctx);
    }

    /// Pings are answered only while our word holds (E1).
    fn vouch(&mut self, ctx: &mut Ctx<'_, Self>) {
        let until_ms = self.core.promises_until_ms(&self.board.progress(self.role)).unwrap_or(0);
        let vouched = until_ms >= ctx.clock().now_ms();
        if vouched || self.vouched {
            for hub in &self.peers.hubs {
                drop(hub.post(Control::Vouch { until_ms })); // one that is gone is the guardian's business
            }
        }
        self.vouched = vouched;
    }
}

impl QuorumPeerActor {
    fn tell(&self, peer: ServerId, told: &membership::Told) {
        if let Some(link) = self.links.get(&peer) {
            let _ = link.tell.post(SendConfiguration(told.clone())); // the newest replaces what is not on its way
        }
    }

    fn hear(&self, from: ServerId, told: Option<membership::Told>, ctx: &mut Ctx<'_, Self>) {
        let heard = self.peers.heard_configuration.post(ConfigurationHeard { from, told }).map_err(drop);
        self.must(heard, ctx);
    }
}

impl Service for QuorumPeerActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        self.begin(Part::Look, "this member has started", ctx);
        ctx.every(Duration::from_millis((self.timeout_ms / 8).clamp(1, 1_000)), Self::tick);
    }
}

impl Serve<HeardHeartbeat> for QuorumPeerActor {
    fn serve(&mut self, HeardHeartbeat { from, heartbeat }: HeardHeartbeat, ctx: &mut Ctx<'_, Self>) {
        if ctx.clock().now_ms() > self.board.moved_ms() + self.timeout_ms {
            return; // no answer for a role whose thread stands still
        }
        self.core.on_accepted(self.board.accepted()); // P11: before we answer
        let trip = self.trips.get_mut(&from).and_then(|it| it.on_echo(heartbeat.echo, ctx.clock().now_us()));
        if let (Some(took_us), Some(link)) = (trip, self.links.get(&from)) {
            link.status.lock().round_trip_us = Some(took_us);
        }
        self.core.on_heartbeat(from, heartbeat, ctx.clock().now_ms(), &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<HeardNotification> for QuorumPeerActor {
    fn serve(
        &mut self,
        HeardNotification { from, notification }: HeardNotification,
        ctx: &mut Ctx<'_, Self>,
    ) {
        if let Some(told) = self.telling.on_notification(&notification) {
            self.tell(from, told);
        }
        let heard = self.peers.heard.post(Heard { from, notification }).map_err(drop);
        self.must(heard, ctx);
    }
}

impl Serve<HeardConfiguration> for QuorumPeerActor {
    fn serve(&mut self, HeardConfiguration { from, told }: HeardConfiguration, ctx: &mut Ctx<'_, Self>) {
        if self.telling.on_heard(from, &told) {
            self.hear(from, Some(told), ctx);
        }
    }
}

impl Serve<Linked<CtlLane>> for QuorumPeerActor {
    fn serve(&mut self, Linked { peer, link }: Linked<CtlLane>, _: &mut Ctx<'_, Self>) {
        self.links.insert(peer, link);
        self.core.on_link(peer);
    }
}

impl Serve<CtlUp> for QuorumPeerActor {
    fn serve(&mut self, CtlUp(peer): CtlUp, ctx: &mut Ctx<'_, Self>) {
        self.core.on_lane(peer);
        self.trips.remove(&peer);
        if let Some(told) = self.telling.own() {
            self.tell(peer, told);
        }
        let told = self.peers.link.post(LinkChange { peer, is_up: true }).map_err(drop);
        self.must(told, ctx);
    }
}

impl Serve<CtlDown> for QuorumPeerActor {
    fn serve(&mut self, CtlDown(peer): CtlDown, ctx: &mut Ctx<'_, Self>) {
        self.telling.on_lane_down(peer);
        self.hear(peer, None, ctx);
        let told = self.peers.link.post(LinkChange { peer, is_up: false }).map_err(drop);
        self.must(told, ctx);
    }
}

impl Serve<Elected> for QuorumPeerActor {
    fn serve(&mut self, Elected { vote, had_vote }: Elected, ctx: &mut Ctx<'_, Self>) {
        if !self.core.takes_role() || !self.joins {
            return;
        }
        self.had_vote = had_vote;
        self.core.on_elected(vote.leader, ctx.clock().now_ms(), &mut self.out);
        let state = match (vote.leader == self.me, self.core.is_voter()) {
            (true, _) => PeerState::Leading,
            (_, true) => PeerState::Following,
            _ => PeerState::Observing,
        };
        let settled = self.peers.settle.post(Settle { state, vote, is_whole: false }).map_err(drop);
        self.must(settled, ctx);
        self.perform(ctx);
    }
}

impl Serve<Stands> for QuorumPeerActor {
    fn serve(&mut self, stands: Stands, ctx: &mut Ctx<'_, Self>) {
        if stands.role != self.role || self.core.role() != Role::Looking {
            return;
        }
        let own = Vote { peer_epoch: stands.current_epoch, zxid: stands.last, leader: self.me };
        let votes = self.core.is_voter() && stands.has_room;
        self.joins = stands.joins;
        let (by, memory, joins) = (self.core.quorum().clone(), stands.memory, stands.joins);
        let look = Look { own: votes.then_some(own), memory, joins, by };
        let looks = self.peers.look.post(look).map_err(drop);
        self.must(looks, ctx);
    }
}

impl Serve<Decide> for QuorumPeerActor {
    fn serve(&mut self, Decide { role, by, told }: Decide, ctx: &mut Ctx<'_, Self>) {
        if role != self.role {
            return;
        }
        let next = by.next().map(|it| Zxid(it.members.version));
        for to in &self.peers.go_by {
            self.must(to.post(GoBy(by.clone())).map_err(drop), ctx);
        }
        self.core.decide_by(by);
        if self.telling.on_own(told)
            && let Some(told) = self.telling.own()
        {
            self.links.keys().for_each(|peer| self.tell(*peer, told));
        }
        if self.core.role() == Role::Leading {
            let told = self.peers.decided_by.post(DecidedBy { role, next }).map_err(drop);
            self.must(told, ctx);
        }
    }
}

impl Serve<Retire> for QuorumPeerActor {
    fn serve(&mut self, Retire: Retire, ctx: &mut Ctx<'_, Self>) {
        let (progress, behind) = (self.board.progress(self.role), self.peers.lag.lock().learners());
        self.core.on_retire(ctx.clock().now_ms(), (&progress, &behind), &mut self.out);
        self.perform(ctx);
    }
}

impl Serve<MoveLeader> for QuorumPeerActor {
    fn serve(&mut self, MoveLeader { number, to }: MoveLeader, ctx: &mut Ctx<'_, Self>) {
        let (progress, behind) = (self.board.progress(self.role), self.peers.lag.lock().learners());
        let now_ms = ctx.clock().now_ms();
        let answer = self.core.on_move(to, (&progress, &behind), now_ms, &mut self.out);
        self.peers.moves.answer(number, answer);
        self.perform(ctx);
    }
}

impl Serve<RoleEnded> for QuorumPeerActor {
    fn serve(&mut self, RoleEnded { role, why }: RoleEnded, ctx: &mut Ctx<'_, Self>) {
        if role == self.role {
            let (progress, behind) = (self.board.progress(self.role), self.peers.lag.lock().learners());
            if let Some(heir) = self.core.name_heir((&progress, &behind), ctx.clock().now_ms()) {
                tracing::info!("server {heir}, who lacks the least, is named to lead next");
            }
            self.core.on_ended(why, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<Settled> for QuorumPeerActor {
    fn serve(&mut self, Settled { role, state, vote }: Settled, ctx: &mut Ctx<'_, Self>) {
        if role != self.role {
            return;
        }
        let told = match state {
            PeerState::Looking => Told::Looking,
            PeerState::Leading => Told::Leading,
            PeerState::Following => Told::Following,
            PeerState::Observing => Told::Observing,
        };
        let (office, now_ms) = (self.told.get(), ctx.clock().now_ms());
        if office.told == Told::Looking && told != Told::Looking {
            let after_us = now_ms.saturating_sub(office.since_ms) * 1_000;
            self.meters.serves(after_us, told == Told::Leading);
        }
        self.told.set(told, now_ms);
        let settled = self.peers.settle.post(Settle { state, vote, is_whole: true }).map_err(drop);
        self.must(settled, ctx);
        self.vouch(ctx);
    }
}

impl Serve<SyncAsked> for QuorumPeerActor {
    fn serve(&mut self, SyncAsked { role, number }: SyncAsked, ctx: &mut Ctx<'_, Self>) {
        if role == self.role {
            self.core.on_accepted(self.board.accepted());
            self.core.on_sync(number, ctx.clock().now_ms(), &mut self.out);
            self.perform(ctx);
        }
    }
}
