//! The keeper of the links: makes one to each server that the [`Roster`] wants, and tells the actors that use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dashmap::DashMap;
use paddock_messages::frame::Lane;
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Bound, Outbox};

use super::letters::{
    Accepted, CtlLane, GoBy, Guest, LeaderLane, LearnerLane, Linked, LookAt, SendNotification,
};
use super::roster::{Change, Roster, Whereabouts};
use super::status::SharedStatus;
use super::{
    CtlLink, CtlOutboxes, CtlSetup, DataLink, DataSetup, LearnerOutboxes, Peer, ProposerOutboxes,
    SharedIdentity,
};
use crate::membership::Deciders;
use crate::runtime::{Ctx, Duty, Env, Inbox, Place, Serve, Service};

/// Votes and heartbeats that may wait; each is replaced by the next of its kind.
const CTL: Bound = Bound::Entrance(4_096);
/// Connections that may wait for a link.
const ACCEPTED: Bound = Bound::Entrance(16);
/// Bytes that may wait for a learner before it is dropped, to be synchronised anew.
const QUEUE_BYTES: usize = 64 << 20;

/// The links to one server, for those who use no lane of theirs: listeners, and whoever shows them.
#[derive(Clone, Debug)]
pub struct Reach {
    /// By lane: ctl, data. Who has dialled.
    accepted: [Outbox<Accepted>; 2],
    /// By lane: ctl, data. What the link tells of itself.
    pub statuses: [SharedStatus; 2],
}

impl Reach {
    /// Of links that say nothing of themselves.
    #[cfg(test)]
    pub(super) fn to(accepted: [Outbox<Accepted>; 2]) -> Self {
        Self { accepted, statuses: Default::default() }
    }

    /// Where a connection of that lane goes.
    pub(super) fn accepted(&self, lane: Lane) -> &Outbox<Accepted> {
        &self.accepted[lane as usize]
    }
}

/// Those to each server. Clones share them.
pub type SharedLinks = Arc<DashMap<ServerId, Reach>>;

/// Who uses the links.
#[derive(Clone, Debug)]
pub struct Users {
    /// The QuorumPeer.
    pub quorum_peer: Outbox<Linked<CtlLane>>,
    /// The Election.
    pub election: Outbox<Linked<Outbox<SendNotification>>>,
    /// The Learner.
    pub learner: Outbox<Linked<LeaderLane>>,
    /// The Proposer.
    pub proposer: Outbox<Linked<LearnerLane>>,
}

/// What every link is made from.
pub struct KeeperSetup {
    /// What hellos say, and are judged by.
    pub identity: SharedIdentity,
    /// Filled by the keeper.
    pub links: SharedLinks,
    /// Told before anything comes from a link.
    pub users: Users,
    /// Whom a ctl link tells.
    pub ctl: CtlOutboxes,
    /// Whom a data link tells, where we follow.
    pub learner: LearnerOutboxes,
    /// And where we lead.
    pub proposer: ProposerOutboxes,
    /// Where data links run, beside those who use them; ctl links run beside the keeper.
    pub data_place: Place,
    /// A ctl lane on which nothing comes for so long is closed: `peerTimeout`.
    pub silence: Duration,
    /// What a member does not take for so long closes its data lane.
    pub untaken: Duration,
    /// How far a data lane is read ahead of whoever works on what came.
    pub read_ahead_bytes: usize,
    /// For mail about what was admitted.
    pub bound: Bound,
    /// Clock, registry and what else an actor needs.
    pub env: Env,
}

/// See the module.
pub struct LinkKeeper {
    roster: Roster,
    /// What is to be made as it starts.
    first: Vec<Change>,
    setup: KeeperSetup,
    /// How many data lanes there were.
    lanes: Arc<AtomicU64>,
    /// By lane: ctl, data.
    look_at: BTreeMap<ServerId, [Outbox<LookAt>; 2]>,
}

impl LinkKeeper {
    /// Of a member that goes by these as it starts.
    pub fn new(mut roster: Roster, by: &Deciders, setup: KeeperSetup) -> Self {
        let (first, (lanes, look_at)) = (roster.go_by(by), Default::default());
        Self { roster, first, setup, lanes, look_at }
    }

    fn perform(&mut self, changes: impl IntoIterator<Item = Change>) {
        // Before a link is made that may judge by it.
        self.setup.identity.lock().members = self.roster.members();
        for change in changes {
            match change {
                Change::Make(peer, there) => self.make(peer, &there),
                Change::Move(peer, there) => {
                    tracing::info!(%peer, at = %there, "by the configuration a server is to be looked for elsewhere");
                    let links = self.look_at.get(&peer).into_iter().flatten();
                    for (link, lane) in links.zip([Lane::Ctl, Lane::Data]) {
                        let _ = link.post(LookAt(there.of(lane))); // one that is gone is the guardian's business
                    }
                }
            }
        }
    }

    fn make(&mut self, id: ServerId, there: &Whereabouts) {
        let KeeperSetup { env, identity, users, bound, .. } = &self.setup;
        let (ctl, data) = (
            Inbox::<CtlLink>::new("ctl_link", Duty::Core, env),
            Inbox::<DataLink>::new("data_link", Duty::Core, env),
        );
        let statuses: [SharedStatus; 2] = Default::default();
        let peer = |lane: Lane| Peer {
            id,
            addresses: there.of(lane),
            identity: Arc::clone(identity),
            status: Arc::clone(&statuses[lane as usize]),
        };
        let ctl_setup =
            CtlSetup { peer: peer(Lane::Ctl), silence: self.setup.silence, to: self.setup.ctl.clone() };
        let data_setup = DataSetup {
            peer: peer(Lane::Data),
            untaken: self.setup.untaken,
            lanes: Arc::clone(&self.lanes),
            queue_bytes: QUEUE_BYTES,
            read_ahead_bytes: self.setup.read_ahead_bytes,
            learner: self.setup.learner.clone(),
            proposer: self.setup.proposer.clone(),
        };
        let [status, data_status] = statuses.clone();
        let (beat, tell) = (ctl.outbox(CTL), ctl.outbox(CTL));
        let ctl_lane = CtlLane { beat, tell, status, data: data_status };
        let (open, shut, send) = (data.outbox(*bound), data.outbox(*bound), data.outbox(*bound));
        let leader_lane = LeaderLane { open, shut, send };
        let (serve, send, hang_up) = (data.outbox(*bound), data.outbox(*bound), data.outbox(*bound));
        let learner_lane = LearnerLane { serve, send, hang_up };
        // Whoever is gone is the guardian's business.
        let _ = users.quorum_peer.post(Linked { peer: id, link: ctl_lane });
        let _ = users.election.post(Linked { peer: id, link: ctl.outbox(CTL) });
        let _ = users.learner.post(Linked { peer: id, link: leader_lane });
        let _ = users.proposer.post(Linked { peer: id, link: learner_lane });
        let accepted = [ctl.outbox(ACCEPTED), data.outbox(ACCEPTED)];
        self.look_at.insert(id, [ctl.outbox(*bound), data.outbox(*bound)]);
        self.setup.links.insert(id, Reach { accepted, statuses });
        ctl.start_here(CtlLink::new(ctl_setup, Arc::clone(&env.clock)));
        let clock = Arc::clone(&env.clock);
        if let Err(error) = data.start(&self.setup.data_place, move || DataLink::new(data_setup, clock)) {
            tracing::error!(peer = %id, "{error}"); // the node ends
        }
    }
}

impl Service for LinkKeeper {
    fn started(&mut self, _: &mut Ctx<'_, Self>) {
        let first = std::mem::take(&mut self.first);
        self.perform(first);
    }
}

impl Serve<GoBy> for LinkKeeper {
    fn serve(&mut self, GoBy(by): GoBy, _: &mut Ctx<'_, Self>) {
        let changes = self.roster.go_by(&by);
        self.perform(changes);
    }
}

impl Serve<Guest> for LinkKeeper {
    fn serve(&mut self, Guest(id): Guest, _: &mut Ctx<'_, Self>) {
        if let Some(change) = self.roster.on_guest(id) {
            tracing::info!(peer = %id, "a server of this ensemble that no configuration here names: a link is made, to hear it");
            self.perform([change]);
        }
    }
}
