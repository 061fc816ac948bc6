//! What a member of several has beside a server alone: links to the others, the election, the role.
//!
//! ```text
//! core arbiter   a DataLink for each other member
//! ctl            QuorumPeer, Election, a CtlLink for each other member; both listeners
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use paddock_actors::admin::ensemble::Ensemble;
use paddock_actors::admin::metrics::Meters;
use paddock_actors::client::hub::Control;
use paddock_actors::election::Election;
use paddock_actors::election::actor::{ElectionActor, SharedSearch};
use paddock_actors::learner::actor::LearnerActor;
use paddock_actors::learner::roles::DataLane;
use paddock_actors::membership::{self, Deciders};
use paddock_actors::peer_link::letters::{Accepted, FromLeader, FromLearner};
use paddock_actors::peer_link::status::SharedStatus;
use paddock_actors::peer_link::{
    CtlLink, CtlOutboxes, CtlSetup, DataLink, DataSetup, Identity, LearnerOutboxes, Peer, ProposerOutboxes,
    SharedIdentity, letters_ahead, listener,
};
use paddock_actors::proposer::actor::ProposerActor;
use paddock_actors::proposer::lag::SharedLag;
use paddock_actors::proposer::reigning::LearnerLane;
use paddock_actors::quorum_peer::actor::{Peers, QuorumPeerActor};
use paddock_actors::quorum_peer::core::{QuorumPeer, Timing};
use paddock_actors::quorum_peer::{Board, MoveTold, RoleTold};
use paddock_actors::runtime::{Clock, Duty, Env, Inbox, NamedArbiter, Place};
use paddock_config::members::Server;
use paddock_config::{Config, Members, PeerAddress, Quorum};
use paddock_messages::frame::Lane;
use paddock_messages::ids::ServerId;
use paddock_messages::mail::{Bound, Outbox};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Epoch;

use crate::open::StartError;
use crate::settings;
use crate::wiring::{ADMITTED, thread};

/// Which configuration a member goes by.
pub(crate) type DecidedBy = membership::Membership<Quorum>;

/// Votes and heartbeats that may wait; each is replaced by the next of its kind.
const CTL: Bound = Bound::Entrance(4_096);
/// Connections that may wait for a link.
const ACCEPTED: Bound = Bound::Entrance(16);
/// Bytes that may wait for a learner before it is dropped, to be synchronised anew.
const QUEUE_BYTES: usize = 64 << 20;
/// Bytes that are read ahead of what is on disk.
const READ_AHEAD: usize = 32 << 20;

/// Who is in the ensemble, as the configuration has it.
pub(crate) struct Membership {
    pub(crate) me: ServerId,
    /// The configuration in force, as far as the log says, or the file.
    members: Members,
    /// `reconfigEnabled=false`: the file's are the members.
    by_file: bool,
    /// Whom there are links to, this member too.
    pub(crate) links: Arc<BTreeMap<ServerId, Server>>,
    /// By lane, where each member is.
    addresses: BTreeMap<ServerId, [Vec<(String, u16)>; 2]>,
    identity: SharedIdentity,
    timing: Timing,
    largest_txn: usize,
    /// What a member does not take for so long closes its lane.
    untaken: Duration,
}

impl Membership {
    /// `committed` is the configuration that the log has put in force, if it ever has and the file does not say
    /// `reconfigEnabled=false`, which keeps to the file.
    pub(crate) fn new(
        config: &Config,
        me: ServerId,
        largest_txn: usize,
        (ensemble, committed): (Option<u128>, Option<Members>),
    ) -> Self {
        let members = committed.unwrap_or_else(|| config.members.clone());
        // Links to whom either names: one that has left may come back.
        let all = config.members.servers.iter().chain(&members.servers);
        let mut links: BTreeMap<_, _> = all.map(|(id, server)| (*id, server.clone())).collect();
        links.values_mut().for_each(|server: &mut Server| server.addresses.sort()); // as a reconfig has them
        let addresses = links.iter().map(|(id, server)| {
            let ports = |port: fn(&PeerAddress) -> u16| {
                server.addresses.iter().map(|at| (at.host.clone(), port(at))).collect()
            };
            (*id, [ports(|at| at.election_port), ports(|at| at.quorum_port)])
        });
        let addresses: BTreeMap<_, _> = addresses.collect();
        let all = addresses.keys().copied().collect();
        let speaks = settings::frames(std::env::var(settings::TEST_FRAMES).ok().as_deref());
        let identity = Identity { me, members: all, ensemble, largest_txn, speaks, level: 0 };
        let ticks = |limit: u32| u64::from(limit) * u64::from(config.tick_ms);
        Self {
            me,
            members,
            by_file: config.ensemble.reconfig == Some(false),
            links: Arc::new(links),
            addresses,
            identity: Arc::new(parking_lot::Mutex::new(identity)),
            timing: Timing {
                peer_timeout_ms: u64::from(config.ensemble.peer_timeout_ms),
                init_ms: ticks(config.ensemble.init_limit),
            },
            largest_txn,
            untaken: Duration::from_millis(ticks(config.ensemble.init_limit.max(config.ensemble.sync_limit))),
        }
    }

    pub(crate) fn identity(&self) -> SharedIdentity {
        Arc::clone(&self.identity)
    }

    pub(crate) fn timeout_ms(&self) -> u64 {
        self.timing.peer_timeout_ms
    }

    pub(crate) fn largest_txn(&self) -> usize {
        self.largest_txn
    }

    /// Who decides; `logged` is what the log holds and is not known to be committed.
    pub(crate) fn decided_by(&self, logged: &[Txn]) -> DecidedBy {
        let decided = DecidedBy::new(self.members.clone(), self.members.quorum());
        let mut decided = decided.by_file(self.by_file);
        for txn in logged {
            decided.on_logged(txn);
        }
        decided
    }

    fn others(&self) -> impl Iterator<Item = ServerId> {
        self.addresses.keys().copied().filter(|id| *id != self.me)
    }

    fn peer(&self, id: ServerId, lane: Lane, statuses: &Statuses) -> Peer {
        let addresses = self.addresses.get(&id).map(|both| both[lane_index(lane)].clone());
        Peer {
            id,
            addresses: addresses.unwrap_or_default(),
            identity: Arc::clone(&self.identity),
            status: statuses.get(&id).map(|both| Arc::clone(&both[lane_index(lane)])).unwrap_or_default(),
        }
    }

    /// Where this member listens for a lane: at its own line's addresses, or at all of the machine's.
    fn listens_at(&self, config: &Config, lane: Lane) -> Result<Vec<SocketAddr>, StartError> {
        let own = self.addresses.get(&self.me).map(|both| both[lane_index(lane)].as_slice());
        let mut found = Vec::new();
        for (host, port) in own.unwrap_or_default() {
            if config.ensemble.listen_on_all_ips {
                found.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port));
                continue;
            }
            let address = format!("{host}:{port}");
            let at = (host.as_str(), *port).to_socket_addrs().map(|mut all| all.next());
            match at {
                Ok(Some(at)) => found.push(at),
                Ok(None) => {
                    let error = std::io::ErrorKind::AddrNotAvailable.into();
                    return Err(StartError::PeerPort { address, error });
                }
                Err(error) => return Err(StartError::PeerPort { address, error }),
            }
        }
        Ok(found)
    }
}

fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Ctl => 0,
        Lane::Data => 1,
    }
}

/// The mailboxes of the actors that only a member of several has.
pub(crate) struct Mailboxes {
    pub(crate) quorum_peer: Inbox<QuorumPeerActor>,
    election: Inbox<ElectionActor>,
    data: BTreeMap<ServerId, Inbox<DataLink>>,
    ctl: BTreeMap<ServerId, Inbox<CtlLink>>,
    pub(crate) board: Board,
    told: RoleTold,
    search: SharedSearch,
    statuses: Statuses,
    pub(crate) lag: SharedLag,
    pub(crate) moves: MoveTold,
}

/// By lane, what each link tells of itself.
type Statuses = BTreeMap<ServerId, [SharedStatus; 2]>;

impl Mailboxes {
    pub(crate) fn open(membership: &Membership, env: &Env) -> Self {
        Self {
            quorum_peer: Inbox::new("quorum_peer", Duty::Core, env),
            election: Inbox::new("election", Duty::Core, env),
            data: membership.others().map(|id| (id, Inbox::new("data_link", Duty::Core, env))).collect(),
            ctl: membership.others().map(|id| (id, Inbox::new("ctl_link", Duty::Core, env))).collect(),
            board: Board::default(),
            told: RoleTold::default(),
            search: SharedSearch::default(),
            statuses: membership.others().map(|id| (id, Default::default())).collect(),
            lag: SharedLag::default(),
            moves: MoveTold::default(),
        }
    }

    /// What an operator sees.
    pub(crate) fn seen(&self, membership: &Membership) -> Ensemble {
        Ensemble {
            me: membership.me,
            role: self.told.clone(),
            board: self.board.clone(),
            search: Arc::clone(&self.search),
            links: self.statuses.clone(),
            lag: Arc::clone(&self.lag),
            identity: membership.identity(),
        }
    }

    /// As the Learner uses the data lanes.
    pub(crate) fn leader_lanes(&self) -> BTreeMap<ServerId, DataLane> {
        let lane = |link: &Inbox<DataLink>| DataLane {
            open: link.outbox(ADMITTED),
            shut: link.outbox(ADMITTED),
            send: link.outbox(ADMITTED),
        };
        self.data.iter().map(|(id, link)| (*id, lane(link))).collect()
    }

    /// As the Proposer does.
    pub(crate) fn learner_lanes(&self) -> BTreeMap<ServerId, LearnerLane> {
        let lane = |link: &Inbox<DataLink>| LearnerLane {
            serve: link.outbox(ADMITTED),
            send: link.outbox(ADMITTED),
            hang_up: link.outbox(ADMITTED),
        };
        self.data.iter().map(|(id, link)| (*id, lane(link))).collect()
    }
}

type Routes = BTreeMap<ServerId, Outbox<Accepted>>;

/// Listens for a lane, and accepts on the thread that calls.
fn accept(
    at: &[SocketAddr],
    lane: Lane,
    (identity, routes): (&SharedIdentity, &Routes),
    clock: &Arc<dyn Clock>,
) -> std::io::Result<()> {
    for listener in listener::bind(at)? {
        let (identity, routes, clock) = (Arc::clone(identity), routes.clone(), Arc::clone(clock));
        actix_rt::spawn(listener::accept(listener, lane, identity, routes, clock));
    }
    Ok(())
}

/// The same on an arbiter, which owns the sockets then; waits until they are open.
fn accept_on(
    arbiter: &NamedArbiter,
    at: Vec<SocketAddr>,
    (identity, routes): (SharedIdentity, Routes),
    clock: Arc<dyn Clock>,
) -> std::io::Result<()> {
    let (told, heard) = std::sync::mpsc::channel();
    if let Place::On(handle) = arbiter.place() {
        handle.spawn_fn(move || {
            let opened = accept(&at, Lane::Ctl, (&identity, &routes), &clock);
            let _ = told.send(opened); // whoever asked waits
        });
    }
    heard.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread that was to listen has ended")))
}

/// Listens to the other members, and starts links, election and role.
pub(crate) fn start(
    (membership, mail, by): (Membership, Mailboxes, Deciders),
    (config, accepted): (&Config, Epoch),
    (learner, proposer): (&Inbox<LearnerActor>, &Inbox<ProposerActor>),
    hubs: Vec<Outbox<Control>>,
    (env, ctl, meters): (&Env, &NamedArbiter, Arc<Meters>),
) -> Result<(), StartError> {
    let (for_votes, for_data) =
        (membership.listens_at(config, Lane::Ctl)?, membership.listens_at(config, Lane::Data)?);
    // A lane that is replaced may still have some under way.
    let ahead = Bound::Admitted(2 * letters_ahead(READ_AHEAD) * membership.addresses.len() as u64);
    let (to_learner, to_proposer) = (
        LearnerOutboxes {
            up: learner.outbox(ADMITTED),
            down: learner.outbox(ADMITTED),
            packets: learner.outbox::<FromLeader>(ahead),
        },
        ProposerOutboxes {
            up: proposer.outbox(ADMITTED),
            down: proposer.outbox(ADMITTED),
            packets: proposer.outbox::<FromLearner>(ahead),
        },
    );
    mail.board.accept(accepted);
    let lanes = Arc::new(AtomicU64::new(0));
    let data_routes = mail.data.iter().map(|(id, link)| (*id, link.outbox(ACCEPTED))).collect();
    let ctl_routes = mail.ctl.iter().map(|(id, link)| (*id, link.outbox(ACCEPTED))).collect();
    let identity = &membership.identity;
    let taken = |at: &[SocketAddr], error| {
        let address = at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        StartError::PeerPort { address, error }
    };
    accept(&for_data, Lane::Data, (identity, &data_routes), &env.clock)
        .map_err(|error| taken(&for_data, error))?;
    accept_on(ctl, for_votes.clone(), (Arc::clone(identity), ctl_routes), Arc::clone(&env.clock))
        .map_err(|error| taken(&for_votes, error))?;
    let statuses = &mail.statuses;
    let of_lane = |lane| statuses.iter().map(move |(id, both)| (*id, Arc::clone(&both[lane_index(lane)])));
    let peers = Peers {
        links: mail.ctl.iter().map(|(id, link)| (*id, link.outbox(CTL))).collect(),
        tell: mail.ctl.iter().map(|(id, link)| (*id, link.outbox(CTL))).collect(),
        heard_configuration: learner.outbox(ADMITTED),
        look: mail.election.outbox(ADMITTED),
        settle: mail.election.outbox(ADMITTED),
        left: mail.election.outbox(ADMITTED),
        heard: mail.election.outbox(ADMITTED),
        link: mail.election.outbox(ADMITTED),
        begin: learner.outbox(ADMITTED),
        differs: learner.outbox(ADMITTED),
        round: proposer.outbox(ADMITTED),
        drop: proposer.outbox(ADMITTED),
        hand_over: proposer.outbox(ADMITTED),
        decided_by: proposer.outbox(ADMITTED),
        data: of_lane(Lane::Data).map(|(_, status)| status).collect(),
        ctl: of_lane(Lane::Ctl).collect(),
        lag: mail.lag,
        moves: mail.moves,
        hubs,
    };
    let votes = mail.ctl.iter().map(|(id, link)| (*id, link.outbox(CTL))).collect();
    let to_peer = CtlOutboxes {
        up: mail.quorum_peer.outbox(ADMITTED),
        down: mail.quorum_peer.outbox(ADMITTED),
        notification: mail.quorum_peer.outbox(CTL),
        heartbeat: mail.quorum_peer.outbox(CTL),
        configuration: mail.quorum_peer.outbox(CTL),
    };
    let others = membership.others().collect();
    let now_ms = env.clock.now_ms();
    mail.board.decide(by.clone());
    let core = QuorumPeer::new(membership.me, &others, by.clone(), membership.timing, now_ms);
    let election = Election::new(membership.me, others, by);
    let election = ElectionActor::new(election, votes, mail.quorum_peer.outbox(ADMITTED), mail.search);
    let quorum_peer = QuorumPeerActor::new(
        membership.me,
        core,
        (mail.board, mail.told),
        peers,
        (membership.timing.peer_timeout_ms, meters),
    );
    for (id, link) in mail.data {
        let setup = DataSetup {
            peer: membership.peer(id, Lane::Data, statuses),
            untaken: membership.untaken,
            lanes: Arc::clone(&lanes),
            queue_bytes: QUEUE_BYTES,
            read_ahead_bytes: READ_AHEAD,
            learner: to_learner.clone(),
            proposer: to_proposer.clone(),
        };
        link.start_here(DataLink::new(setup, Arc::clone(&env.clock)));
    }
    for (id, link) in mail.ctl {
        let setup = CtlSetup {
            peer: membership.peer(id, Lane::Ctl, statuses),
            silence: Duration::from_millis(membership.timing.peer_timeout_ms),
            to: to_peer.clone(),
        };
        let clock = Arc::clone(&env.clock);
        link.start(&ctl.place(), move || CtlLink::new(setup, clock)).map_err(thread)?;
    }
    mail.election.start(&ctl.place(), move || election).map_err(thread)?;
    mail.quorum_peer.start(&ctl.place(), move || quorum_peer).map_err(thread)?;
    Ok(())
}
