//! What a member of several has beside a server alone: links to the others, the election, the role.
//!
//! ```text
//! core arbiter   a DataLink for each other member; its listener
//! ctl            QuorumPeer, Election, LinkKeeper, a CtlLink for each other member; its listener
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use paddock_actors::admin::ensemble::Ensemble;
use paddock_actors::admin::metrics::Meters;
use paddock_actors::client::hub::Control;
use paddock_actors::client_port::actor::ClientPortActor;
use paddock_actors::election::Election;
use paddock_actors::election::actor::{ElectionActor, SharedSearch};
use paddock_actors::learner::actor::LearnerActor;
use paddock_actors::membership::{self, Deciders};
use paddock_actors::peer_link::letters::{FromLeader, FromLearner, Guest};
use paddock_actors::peer_link::roster::Roster;
use paddock_actors::peer_link::{
    CtlOutboxes, Identity, KeeperSetup, LearnerOutboxes, LinkKeeper, ProposerOutboxes, SharedIdentity,
    SharedLinks, Users, letters_ahead, listener,
};
use paddock_actors::proposer::actor::ProposerActor;
use paddock_actors::proposer::lag::SharedLag;
use paddock_actors::quorum_peer::actor::{Peers, QuorumPeerActor};
use paddock_actors::quorum_peer::core::{QuorumPeer, Timing};
use paddock_actors::quorum_peer::{Board, MoveTold, RoleTold};
use paddock_actors::runtime::{Duty, Env, Inbox, NamedArbiter, Place, listening, spawn_vital};
use paddock_config::members::Server;
use paddock_config::{Config, Members, Quorum};
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
/// Servers that have no link yet, and say that they are of our ensemble: they come again.
const GUESTS: Bound = Bound::Entrance(16);
/// An ensemble has at most as many members as there are ids.
const MOST_MEMBERS: u64 = 256;
/// Bytes that are read ahead of what is on disk.
const READ_AHEAD: usize = 32 << 20;

/// Who is in the ensemble, as the configuration has it.
pub(crate) struct Membership {
    pub(crate) me: ServerId,
    /// The configuration in force, as far as the log says, or the file.
    members: Members,
    /// As the file has them.
    file: Members,
    /// The file says `reconfigEnabled=false`.
    forbids_reconfigs: bool,
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
        let file = config.members.clone();
        let members = committed.unwrap_or_else(|| file.clone());
        let speaks = settings::frames(std::env::var(settings::TEST_FRAMES).ok().as_deref());
        // The keeper of the links adds the others.
        let identity = Identity { me, members: [me].into(), ensemble, largest_txn, speaks, level: 0 };
        let ticks = |limit: u32| u64::from(limit) * u64::from(config.tick_ms);
        Self {
            me,
            members,
            file,
            forbids_reconfigs: config.ensemble.reconfig == Some(false),
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
        let mut decided = DecidedBy::new(self.members.clone(), self.members.quorum());
        if self.forbids_reconfigs {
            decided = decided.with_file(self.file.clone());
        }
        for txn in logged {
            decided.on_logged(txn);
        }
        decided
    }

    /// Where this member listens for a lane: at its own line's addresses, or at all of the machine's.
    fn listens_at(&self, config: &Config, lane: Lane) -> Result<Vec<SocketAddr>, StartError> {
        let own = self.file.servers.get(&self.me).or_else(|| self.members.servers.get(&self.me));
        own.map_or_else(|| Ok(Vec::new()), |own| addresses(own, config, lane))
    }
}

/// The addresses of a server's line, for a lane, as this machine knows them.
fn addresses(own: &Server, config: &Config, lane: Lane) -> Result<Vec<SocketAddr>, StartError> {
    let mut found = Vec::new();
    for at in &own.addresses {
        let (host, port) = match lane {
            Lane::Ctl => (&at.host, at.election_port),
            Lane::Data => (&at.host, at.quorum_port),
        };
        if config.ensemble.listen_on_all_ips {
            found.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
            continue;
        }
        let address = format!("{host}:{port}");
        let at = (host.as_str(), port).to_socket_addrs().map(|mut all| all.next());
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

/// Whether a member could listen at its line's addresses on this machine now.
///
/// # Errors
/// The first at which it cannot.
pub(crate) fn may_listen(own: &Server, config: &Config) -> Result<(), StartError> {
    let mut open = Vec::new();
    for lane in [Lane::Ctl, Lane::Data] {
        for at in addresses(own, config, lane)? {
            let failed = |error| StartError::PeerPort { address: at.to_string(), error };
            open.push(listening::listen(at, 1).map_err(failed)?); // all at once: two may be the same
        }
    }
    Ok(())
}

/// The mailboxes of the actors that only a member of several has.
pub(crate) struct Mailboxes {
    pub(crate) quorum_peer: Inbox<QuorumPeerActor>,
    election: Inbox<ElectionActor>,
    keeper: Inbox<LinkKeeper>,
    pub(crate) board: Board,
    told: RoleTold,
    search: SharedSearch,
    links: SharedLinks,
    pub(crate) lag: SharedLag,
    pub(crate) moves: MoveTold,
}

impl Mailboxes {
    pub(crate) fn open(env: &Env) -> Self {
        Self {
            quorum_peer: Inbox::new("quorum_peer", Duty::Core, env),
            election: Inbox::new("election", Duty::Core, env),
            keeper: Inbox::new("link_keeper", Duty::Core, env),
            board: Board::default(),
            told: RoleTold::default(),
            search: SharedSearch::default(),
            links: SharedLinks::default(),
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
            links: Arc::clone(&self.links),
            lag: Arc::clone(&self.lag),
            identity: membership.identity(),
        }
    }
}

/// What listeners hand over to.
type Routes = (SharedLinks, Outbox<Guest>);

/// Listens for a lane, and accepts on the thread that calls.
fn accept(
    at: &[SocketAddr],
    lane: Lane,
    (identity, routes): (&SharedIdentity, &Routes),
    env: &Env,
) -> std::io::Result<()> {
    for listener in listener::bind(at)? {
        let (identity, routes, clock) = (Arc::clone(identity), routes.clone(), Arc::clone(&env.clock));
        let accepting = listener::accept(listener, lane, identity, routes, clock);
        let _ = spawn_vital(&env.fatal, format!("accepting {lane} lanes of other members"), accepting);
    }
    Ok(())
}

/// The same on an arbiter, which owns the sockets then; waits until they are open.
fn accept_on(
    arbiter: &NamedArbiter,
    at: Vec<SocketAddr>,
    (identity, routes): (SharedIdentity, Routes),
    env: Env,
) -> std::io::Result<()> {
    let (told, heard) = std::sync::mpsc::channel();
    if let Place::On(handle) = arbiter.place() {
        handle.spawn_fn(move || {
            let opened = accept(&at, Lane::Ctl, (&identity, &routes), &env);
            let _ = told.send(opened); // whoever asked waits
        });
    }
    heard.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread that was to listen has ended")))
}

/// Listens to the other members, and starts links, election and role.
pub(crate) fn start(
    (membership, mail, by): (Membership, Mailboxes, Deciders),
    (config, accepted): (&Config, Epoch),
    (learner, proposer, client_port): (&Inbox<LearnerActor>, &Inbox<ProposerActor>, &Inbox<ClientPortActor>),
    hubs: Vec<Outbox<Control>>,
    (env, ctl, meters): (&Env, &NamedArbiter, Arc<Meters>),
) -> Result<(), StartError> {
    for hub in &hubs {
        let _ = hub.post(Control::Park); // C16: there is no leader yet; one that is gone is the guardian's business
    }
    let (for_votes, for_data) =
        (membership.listens_at(config, Lane::Ctl)?, membership.listens_at(config, Lane::Data)?);
    // A lane that is replaced may still have some under way.
    let ahead = Bound::Admitted(2 * letters_ahead(READ_AHEAD) * MOST_MEMBERS);
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
    let identity = &membership.identity;
    let to_peer = CtlOutboxes {
        up: mail.quorum_peer.outbox(ADMITTED),
        down: mail.quorum_peer.outbox(ADMITTED),
        notification: mail.quorum_peer.outbox(CTL),
        heartbeat: mail.quorum_peer.outbox(CTL),
        configuration: mail.quorum_peer.outbox(CTL),
    };
    let setup = KeeperSetup {
        identity: Arc::clone(identity),
        links: Arc::clone(&mail.links),
        users: Users {
            quorum_peer: mail.quorum_peer.outbox(ADMITTED),
            election: mail.election.outbox(ADMITTED),
            learner: learner.outbox(ADMITTED),
            proposer: proposer.outbox(ADMITTED),
        },
        ctl: to_peer,
        learner: to_learner,
        proposer: to_proposer,
        data_place: Place::On(Arbiter::current()),
        silence: Duration::from_millis(membership.timing.peer_timeout_ms),
        untaken: membership.untaken,
        read_ahead_bytes: READ_AHEAD,
        bound: ADMITTED,
        env: env.clone(),
    };
    let go_by = [mail.keeper.outbox(ADMITTED), client_port.outbox(ADMITTED)];
    let routes = (mail.links, mail.keeper.outbox(GUESTS));
    // Before the listeners, so that whoever dials finds its link.
    let keeper = LinkKeeper::new(Roster::new(membership.me, membership.file.clone()), &by, setup);
    mail.keeper.start(&ctl.place(), move || keeper).map_err(thread)?;
    let taken = |at: &[SocketAddr], error| {
        let address = at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        StartError::PeerPort { address, error }
    };
    accept(&for_data, Lane::Data, (identity, &routes), env).map_err(|error| taken(&for_data, error))?;
    accept_on(ctl, for_votes.clone(), (Arc::clone(identity), routes), env.clone())
        .map_err(|error| taken(&for_votes, error))?;
    let peers = Peers {
        go_by,
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
        lag: mail.lag,
        moves: mail.moves,
        hubs,
    };
    let now_ms = env.clock.now_ms();
    mail.board.decide(by.clone());
    let core = QuorumPeer::new(membership.me, by.clone(), membership.timing, now_ms);
    let election = Election::new(membership.me, by);
    let election = ElectionActor::new(election, mail.quorum_peer.outbox(ADMITTED), mail.search);
    let quorum_peer = QuorumPeerActor::new(
        membership.me,
        core,
        (mail.board, mail.told),
        peers,
        (membership.timing.peer_timeout_ms, meters),
    );
    mail.election.start(&ctl.place(), move || election).map_err(thread)?;
    mail.quorum_peer.start(&ctl.place(), move || quorum_peer).map_err(thread)?;
    Ok(())
}
