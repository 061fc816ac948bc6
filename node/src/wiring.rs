//! Who posts to whom: the whole actor graph of a member, on a page. Nothing else knows on which thread
//! an actor runs.
//!
//! ```text
//! core arbiter   ClientHub 0 and its WatchDispatcher (if clientArbiters is 0), Learner, Proposer,
//!                SessionTracker, Snapshotter, ClientPort
//! clients-1 …    ClientHub and WatchDispatcher, each (if clientArbiters is above 0)
//! ctl            Guardian, Memory, DiskWatch, Admin
//! logger         the Logger's own thread; snapshot: a thread while one is written
//! ```

mod log_events;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paddock_actors::admin::actor::{AdminActor, AdminSetup, PARTS};
use paddock_actors::admin::http::Http;
use paddock_actors::admin::metrics::{Meters, Recovered};
use paddock_actors::client::hub::{ClientHub, Control, HubSetup, NewClient, WordAnswer, WordAsked};
use paddock_actors::client::{Entrance, Gates, Serving};
use paddock_actors::client_port::ListensAt;
use paddock_actors::client_port::actor::{ClientPortActor, Door, StopAccepting};
use paddock_actors::disk_watch::actor::DiskWatchActor;
use paddock_actors::learner::actor::{LearnerActor, Peers};
use paddock_actors::learner::core::Learner;
use paddock_actors::learner::receiving::Receiving;
use paddock_actors::learner::roles;
use paddock_actors::learner::session_ids::SessionIds;
use paddock_actors::memory::MemoryActor;
use paddock_actors::proposer::actor::{OwnLearner, ProposerActor, Rules};
use paddock_actors::proposer::reigning::{self, Reigning};
use paddock_actors::quorum_peer::belongs;
use paddock_actors::runtime::guardian::Guardian;
use paddock_actors::runtime::{Duty, Env, Inbox, NamedArbiter, Place, Rng};
use paddock_actors::session::actor::{self as session, AskTracker, SessionTrackerActor};
use paddock_actors::session::core::{REPORTS_PER_TICK, SessionTracker};
use paddock_actors::snapshotter::actor::{SnapshotterActor, Written};
use paddock_actors::storage::{LoggerThread, RealDisk};
use paddock_actors::tree::SharedTree;
use paddock_actors::watch::WatchDispatcher;
use paddock_config::{Config, Members, Quorum};
use paddock_messages::ids::{AttachNumber, ServerId, SessionId};
use paddock_messages::letters::{Home, SessionChange, SessionChanges, Silent, Submissions, Touched};
use paddock_messages::mail::{Bound, Outbox};
use paddock_messages::roles::Over;
use tokio::sync::Notify;

use crate::client_port::{ClientPort, OpenPort};
use crate::descriptors;
use crate::ensemble::{self, DecidedBy, Membership};
use crate::in_force::in_force;
use crate::metrics::Sources;
use crate::open::{Begun, Opened, StartError, delete_markers, open_data, refusal};
use crate::orders::{ORDERS, Orders};
use crate::pid_file::PidFile;
use crate::settings;
use log_events::log_events;

/// Mail about admitted work: bounded by what the entrance admits, far below this. More is a bug.
pub(crate) const ADMITTED: Bound = Bound::Admitted(1 << 20);
/// Sockets that may wait for a hub.
const NEW_CLIENTS: Bound = Bound::Entrance(4096);
/// Four-letter words that may wait for the Admin; further ones are closed unanswered.
const WORDS: Bound = Bound::Entrance(1024);
/// One report of an arbiter may wait for each tick that the tracker is behind.
const REPORTS: Bound = Bound::Entrance(64);
/// A server alone has one role; answers of the Logger repeat it.
const ROLE: u64 = 1;

/// A running member.
pub struct Node {
    env: Env,
    accepting: Outbox<StopAccepting>,
    hubs: Vec<Outbox<Control>>,
    log: LoggerThread,
    entrance: Arc<Entrance>,
    arbiters: Vec<NamedArbiter>,
    http: Option<Http>,
    last: stop::LastRole,
    grown: Arc<Notify>,
    has_grown: bool,
    /// Deleted when the node has stopped.
    pid_file: Option<PidFile>,
}

/// The mailboxes, before the actors: anyone may post to anyone.
struct Mailboxes {
    learner: Inbox<LearnerActor>,
    proposer: Inbox<ProposerActor>,
    sessions: Inbox<SessionTrackerActor>,
    snapshotter: Inbox<SnapshotterActor<RealDisk>>,
    admin: Inbox<AdminActor>,
    disk_watch: Inbox<DiskWatchActor>,
    client_port: Inbox<ClientPortActor>,
    hubs: Vec<Inbox<ClientHub>>,
    dispatchers: Vec<Inbox<WatchDispatcher>>,
}

impl Mailboxes {
    fn open(arbiters: usize, env: &Env) -> Self {
        Self {
            learner: Inbox::new("learner", Duty::Core, env),
            proposer: Inbox::new("proposer", Duty::Core, env),
            sessions: Inbox::new("session_tracker", Duty::Core, env),
            snapshotter: Inbox::new("snapshotter", Duty::Disk, env),
            admin: Inbox::new("admin", Duty::Alone, env),
            disk_watch: Inbox::new("disk_watch", Duty::Alone, env),
            client_port: Inbox::new("client_port", Duty::Core, env),
            hubs: (0..arbiters).map(|_| Inbox::new("client_hub", Duty::Core, env)).collect(),
            dispatchers: (0..arbiters).map(|_| Inbox::new("watch_dispatcher", Duty::Core, env)).collect(),
        }
    }
}

impl Node {
    /// Starts a member on the current arbiter, which becomes its core. Serves clients on return.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        if let Some(refused) = refusal(config) {
            return Err(refused);
        }
        let port = ClientPort::claim(config)?;

        let (env, mut rng) = (Env::real(), Rng::from_os());
        let opened = open_data(config, &mut rng)?;
        let has_grown = opened.begun.is_member() && !config.is_distributed();
        let config = &Config { has_grown, ..config.clone() };
        let in_force = in_force(config, opened.server, opened.restored.tree.membership())?;
        let port = port.listen((opened.server, config), in_force.as_ref())?;
        let pid_file = config.pid_file.as_deref().map(write_pid_file).transpose()?; // the directory is ours
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let address = port.address();
        let node = Self::wire(config, env, rng, opened, config.client_arbiters_on(cores), (port, in_force))?;
        let node = Self { pid_file, ..node };
        match address {
            None => tracing::warn!(
                "nobody can connect: the configuration in force names no client address for this server, nor has its file a \
                 clientPort besides its line; name one (paddock member move)"
            ),
            Some(address) if config.is_distributed() => {
                tracing::info!(%address, "listening for clients: they are served as soon as there is a leader");
            }
            Some(address) => tracing::info!(%address, "serving clients"),
        }
        Ok(node)
    }

    fn wire(
        config: &Config,
        env: Env,
        mut rng: Rng,
        opened: Opened,
        own_arbiters: usize,
        (port, in_force): (OpenPort, Option<Members>),
    ) -> Result<Self, StartError> {
        let Opened { disk, logger, restored, tree: tree_options, begun, server, marked, new_ensemble } =
            opened;
        let facts = begun.facts();
        let last = begun.last();
        let (epoch, applied, logged) = match begun {
            Begun::Alone(reign) => (Some(reign.epoch), reign.epoch.start(), Vec::new()),
            Begun::Member { applied, logged, .. } => (None, applied, logged),
        };
        let voters = in_force.as_ref().unwrap_or(&config.members).voters().len();
        let client_settings = settings::client(config, voters);
        let feeds = own_arbiters.max(1);
        let meters = Arc::new(Meters::default());
        meters.recovered(&Recovered {
            snapshot_us: restored.snapshot_took.as_micros() as u64,
            log_us: restored.log_took.as_micros() as u64,
            txns: restored.replayed,
        });
        let tree = Arc::new(SharedTree::new(restored.tree, feeds));
        let mail = Mailboxes::open(feeds, &env);
        let room = settings::log_room(config);
        let membership = epoch.is_none().then(|| {
            Membership::new(config, server, room.largest as usize, (belongs(&facts, last), in_force))
        });
        let decided_by = membership.as_ref().map(|of| of.decided_by(&logged));
        let ensemble = membership.as_ref().map(|_| ensemble::Mailboxes::open(&env));
        let events = log_events(&mail, &env, Arc::clone(&meters));
        let log = LoggerThread::start(logger, settings::log_thread(config), &env, events)
            .map_err(StartError::Thread)?;

        let ids = session_ids(server, &tree, &env);
        let auth = Arc::new(settings::auth(config));
        let peers = Peers {
            asked: mail.proposer.outbox(ADMITTED),
            acks: mail.proposer.outbox(ADMITTED),
            kept: mail.proposer.outbox(ADMITTED),
            internal: mail.proposer.outbox(ADMITTED),
            sessions: mail.sessions.outbox(ADMITTED),
            dispatchers: mail.dispatchers.iter().map(|inbox| inbox.outbox(ADMITTED)).collect(),
            snapshotter: mail.snapshotter.outbox(ADMITTED),
            grown: Arc::default(),
        };
        let grown = Arc::clone(&peers.grown);
        let tracker = session_tracker(config, feeds, &tree, &env);
        let own = OwnLearner {
            proposals: mail.learner.outbox(ADMITTED),
            commits: mail.learner.outbox(ADMITTED),
            turned_away: mail.learner.outbox(ADMITTED),
            confirmed: mail.learner.outbox(ADMITTED),
            keep: mail.learner.outbox(ADMITTED),
        };
        let alone = || Quorum::Majority(BTreeSet::from([server])).into();
        let by = decided_by.as_ref().map_or_else(alone, DecidedBy::view);
        let names_members = membership.is_some();
        let (spares, last_counter) = (settings::spares(config), config.epoch_txns);
        let (prep, sync_limit) = (settings::prep(config), settings::sync_limit(config));
        let reads_level = tree_options.reads_level;
        let raises_to = settings::raises_to(std::env::var(settings::TEST_LEVEL).ok().as_deref());
        let rules = Rules {
            by: by.clone(),
            prep,
            room,
            last_counter,
            sync_limit,
            names_members,
            spares,
            reads_level,
            raises_to,
        };
        let reigning = membership.as_ref().zip(ensemble.as_ref()).map(|(of, with)| {
            Reigning::new(reigning::Others {
                lanes: BTreeMap::new(), // as the keeper of the links tells
                ended: with.quorum_peer.outbox(ADMITTED),
                sync: with.quorum_peer.outbox(ADMITTED),
                decide: with.quorum_peer.outbox(ADMITTED),
                board: with.board.clone(),
                establish: mail.learner.outbox(ADMITTED),
                met: mail.sessions.outbox(ADMITTED),
                lane: mail.sessions.outbox(ADMITTED),
                log: log.handle.clone(),
                found: mail.proposer.outbox(ADMITTED),
                sent: mail.proposer.outbox(ADMITTED),
                largest_txn: of.largest_txn(),
                lag: with.lag.clone(),
            })
        });
        let proposer = ProposerActor::new(
            (server, rules),
            (ROLE, epoch),
            reigning,
            Arc::clone(&tree),
            own,
            settings::reaping(config),
            Arc::clone(&meters),
        );
        let snapshotter = SnapshotterActor::new(
            (settings::snapshots(config), restored.replayed),
            disk.clone(),
            Arc::clone(&tree),
            log.handle.clone(),
            rng.fork(),
            mail.snapshotter.outbox::<Written>(ADMITTED),
            (env.clock.now_ms(), Arc::clone(&meters)),
        );

        let throttle = settings::throttle(config, env.clock.now_ms(), rng.fork());
        let gates = Gates { throttle, ..Gates::default() };
        let watcher = settings::soft_limit(config)
            .map(|limit| MemoryActor::new(limit, Arc::clone(&gates.memory), Arc::clone(&tree)));
        let entrance = Arc::new(Entrance::behind(gates));
        let mut arbiters = Vec::new();
        let (mut controls, mut answers, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        let mut silent = Vec::new();
        let operators = mail.hubs[0].outbox(ORDERS);
        for (at, (hub, dispatcher)) in (0..).zip(mail.hubs.into_iter().zip(mail.dispatchers)) {
            let place = if own_arbiters == 0 {
                Place::Here
            } else {
                let arbiter =
                    NamedArbiter::start(&format!("clients-{}", at + 1)).map_err(StartError::Thread)?;
                arbiters.push(arbiter);
                arbiters[arbiters.len() - 1].place()
            };
            controls.push(hub.outbox::<Control>(ADMITTED));
            answers.push(hub.outbox::<WordAnswer>(ADMITTED));
            silent.push(hub.outbox::<Silent>(ADMITTED));
            clients.push(hub.outbox::<NewClient>(NEW_CLIENTS));
            let setup = HubSetup {
                arbiter: at,
                settings: Arc::clone(&client_settings),
                rules: Arc::clone(&auth),
                tree: Arc::clone(&tree),
                entrance: Arc::clone(&entrance),
                learner: mail.learner.outbox::<Submissions>(ADMITTED),
                sessions: mail.sessions.outbox::<Touched>(REPORTS),
                over: mail.learner.outbox::<Over>(ADMITTED),
                generation: rng.bits() as u32,
                meters: Arc::clone(&meters),
                words: Some(mail.admin.outbox::<WordAsked>(WORDS)),
                dispatcher,
                touch_every: Duration::from_millis(u64::from(config.tick_ms) / REPORTS_PER_TICK),
            };
            let (clock, fatal) = (Arc::clone(&env.clock), env.fatal.clone());
            hub.start(&place, move || ClientHub::new(setup, clock, fatal)).map_err(thread)?;
        }

        let learner = Learner::new(server, applied, ids).with_logged(logged);
        let local_sessions = settings::local_sessions(config);
        let learner = if local_sessions { learner.with_local_sessions() } else { learner };
        let seen = membership.as_ref().zip(ensemble.as_ref()).map(|(of, with)| with.seen(of));
        let metrics = Sources {
            provider: config.metrics.class,
            meters: Arc::clone(&meters),
            tree: Arc::clone(&tree),
            entrance: Arc::clone(&entrance),
            env: env.clone(),
            log: log.watch.clone(),
            ensemble: seen.clone(),
        };
        let listens_at = ListensAt::default();
        let admin = AdminSetup {
            whitelist: settings::four_letter_words(config),
            conf: settings::conf(config),
            listens_at: listens_at.clone(),
            directories: [config.log_dir(), &config.data_dir].map(Into::into).into(),
            tree: Arc::clone(&tree),
            entrance: Arc::clone(&entrance),
            hubs: controls.iter().cloned().zip(answers).collect(),
            sessions: mail.sessions.outbox::<AskTracker>(ADMITTED),
            metrics: metrics.for_words(),
            ensemble: seen,
            parts: mail.admin.outbox(PARTS),
        };
        let logging = (log.handle.clone(), Arc::clone(&meters));
        let member = membership.as_ref().zip(ensemble.as_ref()).zip(decided_by);
        let others = member.map(|((of, with), decided_by)| roles::Others {
            membership: decided_by,
            lanes: BTreeMap::new(), // the same
            log_room: room.admitted,
            stands: with.quorum_peer.outbox(ADMITTED),
            ended: with.quorum_peer.outbox(ADMITTED),
            settled: with.quorum_peer.outbox(ADMITTED),
            decide: with.quorum_peer.outbox(ADMITTED),
            decide_lead: mail.proposer.outbox(ADMITTED),
            board: with.board.clone(),
            identity: of.identity(),
            may_begin: marked.is_some(),
            on_joined: marked.map(|markers| Box::new(move || delete_markers(&markers)) as Box<_>),
            move_every: Duration::from_millis((of.timeout_ms() / 8).max(1)),
            reads_after: settings::reads_after(config),
            lead: mail.proposer.outbox(ADMITTED),
            lead_over: mail.proposer.outbox(ADMITTED),
            applied: mail.proposer.outbox(ADMITTED),
            judge: mail.sessions.outbox(ADMITTED),
            hubs: controls.clone(),
            silent: silent.clone(),
            receiving: Receiving::new(disk, tree_options, env.clone(), mail.learner.outbox(ADMITTED)),
        });
        let judged = membership.as_ref().map(|of| session::Others {
            report: mail.learner.outbox(ADMITTED),
            silent_at: mail.proposer.outbox(ADMITTED),
            internal: mail.proposer.outbox(ADMITTED),
            tree: Arc::clone(&tree),
            tick_ms: u64::from(config.tick_ms),
            local_sessions,
            peer_timeout_ms: of.timeout_ms(),
        });
        let learner = LearnerActor::new(
            server,
            (ROLE, facts, new_ensemble),
            learner,
            (tree, Arc::clone(&auth)),
            logging,
            peers,
            others,
        );
        let tracker = SessionTrackerActor::new(tracker, silent, judged);
        let orders = match ensemble.as_ref().zip(metrics.ensemble.clone()) {
            Some(of) => Orders::new(of, operators, &metrics.tree, &env.clock),
            None => Orders::alone((server, config), operators, &metrics.tree, &env.clock),
        };
        let last = stop::LastRole {
            retire: ensemble.as_ref().map(|with| with.quorum_peer.outbox(ADMITTED)),
            begin: mail.learner.outbox(ADMITTED),
        };
        let ctl = start_guardian(config, &env)?;
        if let Some((membership, mailboxes)) = membership.zip(ensemble) {
            let begun = (config, facts.accepted_epoch);
            let to = (&mail.learner, &mail.proposer, &mail.client_port);
            let runtime = (&env, &ctl, Arc::clone(&meters));
            ensemble::start((membership, mailboxes, by), begun, to, controls.clone(), runtime)?;
        } else {
            for hub in &controls {
                // A hub that takes no mail has ended, which its guardian sees.
                let _ = hub.post(Control::Begin(ROLE));
                let _ = hub.post(Control::Serve(Serving::Everybody));
            }
        }
        mail.learner.start_here(learner);
        mail.proposer.start_here(proposer);
        mail.sessions.start_here(tracker);
        mail.snapshotter.start_here(snapshotter);
        if let Some(watcher) = watcher {
            Inbox::new("memory", Duty::Core, &env).start(&ctl.place(), move || watcher).map_err(thread)?;
        }
        mail.admin.start(&ctl.place(), move || AdminActor::new(admin)).map_err(thread)?;
        let watch = log.watch.clone();
        mail.disk_watch.start(&ctl.place(), move || DiskWatchActor::new(watch)).map_err(thread)?;
        arbiters.push(ctl); // the last: see `stop`

        let accepting = mail.client_port.outbox(ADMITTED);
        let (room, fatal) = (descriptors::room(), env.fatal.clone());
        let door = Door { hubs: clients, room, meters, fatal, backlog: port.backlog };
        mail.client_port.start_here(ClientPortActor::new(port.core, port.listener, door, listens_at));
        let http = metrics.serve(config, &auth, orders);
        let (pid_file, hubs, has_grown) = (None, controls, false);
        Ok(Self { env, accepting, hubs, log, entrance, arbiters, http, last, grown, has_grown, pid_file })
    }
}

pub(crate) fn thread(error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Thread(std::io::Error::other(error))
}

fn write_pid_file(file: &Path) -> Result<PidFile, StartError> {
    PidFile::write(file).map_err(|error| StartError::PidFile { file: file.to_owned(), error })
}

/// Ids of sessions that begin here: above every one of ours that the tree knows.
fn session_ids(server: ServerId, tree: &SharedTree, env: &Env) -> SessionIds {
    let ours = |id: &SessionId| id.is_of(server);
    let highest = tree.read().sessions().map(|(id, _)| id).filter(ours).max();
    SessionIds::new(server, env.clock.wall_ms(), highest)
}

/// Every session that is found has a full timeout from now: an outage of ours is nobody's fault.
fn session_tracker(config: &Config, arbiters: usize, tree: &SharedTree, env: &Env) -> SessionTracker {
    let mut tracker = SessionTracker::new(arbiters, u64::from(config.tick_ms), env.clock.now_ms());
    let lives = |(session, timeout_ms)| SessionChange::Lives {
        session,
        attach: AttachNumber::default(),
        timeout_ms,
        home: Home::Arbiter(0),
    };
    let found = SessionChanges(tree.read().sessions().map(lives).collect());
    tracker.on_changes(&found.0);
    tracker
}

/// On a thread that no data crosses.
fn start_guardian(config: &Config, env: &Env) -> Result<NamedArbiter, StartError> {
    let arbiter = NamedArbiter::start("ctl").map_err(StartError::Thread)?;
    let period = u64::from(config.ensemble.peer_timeout_ms);
    Inbox::new("guardian", Duty::Core, env)
        .start(&arbiter.place(), move || Guardian::new(period))
        .map_err(thread)?;
    Ok(arbiter)
}
