//! One member's process: its parts, and what they have in common.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use paddock_actors::learner::core::Learner;
use paddock_actors::learner::session_ids::SessionIds;
use paddock_actors::membership::Told;
use paddock_actors::quorum_peer::{Board, OwnDigests};
use paddock_actors::storage::snapshot_files::{read_txn, restore};
use paddock_actors::storage::{LogFailure, Logger, MemoryDisk, OpenError, open};
use paddock_actors::tree::{SharedTree, TreeOptions};
use paddock_messages::ids::ServerId;
use paddock_messages::quorum::{Heartbeat, Notification, ToLeader, ToLearner};
use paddock_messages::roles::Part as RolePart;
use paddock_messages::zxid::Zxid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::EnsembleFault;
use super::clocks::{highest_session, wall_ms};
use super::ctl::Ctl;
use super::hub::Hub;
use super::learner::{LearnerPart, Mode};
use super::mail::{Mail, Part, Thread};
use super::reigning::Reigning;
use super::sessions::Judging;
use super::setup::Setup;
use super::space::Room;
use super::storage::Command;
use super::synchronising::Transfer;
use super::truth::Truth;
use crate::sim::Met;

/// What the world must do for a process.
pub(super) enum Effect {
    Notify(ServerId, Notification),
    Beat(ServerId, Heartbeat),
    /// What is in force.
    Configure(ServerId, Told),
    /// Down this lane, to a learner.
    ToLearner(u64, ToLearner),
    /// Down this lane, to the leader.
    ToLeader(u64, ToLeader),
    /// The leader closes this lane.
    HangUp(u64),
    /// This member's data lane to a leader is dialled for this role.
    Open(ServerId, u64),
    /// What was dialled in roles up to this one is closed.
    Shut(u64),
    /// On behalf of which role learners' lanes are taken; others are closed.
    Serve(Option<u64>),
    /// The part's next letter comes after so many us.
    Wake(Part, u64),
    /// A thread reads on for a learner.
    Read(u64),
}

pub(super) struct Node {
    pub(super) me: ServerId,
    /// The highest feature level that its build reads.
    pub(super) reads: u8,
    /// The level of its tree when it was looked at last.
    pub(super) level: Cell<u8>,
    pub(super) setup: Arc<Setup>,
    pub(super) truth: Rc<RefCell<Truth>>,
    pub(super) rng: StdRng,
    pub(super) disk: MemoryDisk,
    pub(super) logger: Logger<MemoryDisk>,
    /// What the log's thread has to do, in order, and for which role.
    pub(super) tasks: VecDeque<(u64, Command)>,
    /// Of the disk.
    pub(super) room: Room,
    pub(super) tree: Arc<SharedTree>,
    pub(super) mail: Mail,
    /// The threads that stand still.
    pub(super) stalled: Vec<Thread>,
    /// What the role's actors publish.
    pub(super) board: Board,
    pub(super) ctl: Ctl,
    pub(super) lp: LearnerPart,
    pub(super) lead: Reigning,
    pub(super) judging: Judging,
    pub(super) hubs: Vec<Hub>,
    /// Frames that went down data lanes.
    pub(super) sent: u64,
    pub(super) transfers: BTreeMap<u64, Transfer>,
    pub(super) next_transfer: u64,
    /// Whom the data link dials, and for which role.
    pub(super) dials: Option<(ServerId, u64)>,
    /// For which role it takes learners' lanes.
    pub(super) serves: Option<u64>,
    pub(super) effects: Vec<Effect>,
    pub(super) now_ms: u64,
    /// So much the wall clock is ahead of a right one.
    pub(super) clock_ahead_ms: i64,
    /// Since the last snapshot.
    pub(super) txns: u64,
    /// Why the process has ended, if it has.
    pub(super) ended: Option<String>,
    /// It was told to, and its log is at rest.
    pub(super) has_stopped: bool,
    pub(super) met: BTreeMap<&'static str, u64>,
    /// Something has just happened after which a crash would be worst.
    pub(super) ambush: bool,
    /// It has just given the lead up for its disk's sake.
    pub(super) blames_disk: bool,
    /// It has just proposed a reconfig.
    pub(super) begins_reconfig: bool,
    /// Whom an election that went wrong names, whatever was voted: safety must not rest on it.
    pub(super) misled: Option<ServerId>,
}

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoStart {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Restore(#[from] paddock_actors::storage::snapshot_files::RestoreError),
    #[error(transparent)]
    Log(#[from] LogFailure),
}

impl Node {
    /// From what a crash left to a member that looks for a leader.
    pub(super) fn start(
        disk: &MemoryDisk,
        setup: &Arc<Setup>,
        (me, reads): (ServerId, u8),
        (now_ms, clock_ahead_ms): (u64, i64),
        rng: &mut StdRng,
        truth: &Rc<RefCell<Truth>>,
        met: &mut Met,
    ) -> Result<Self, NoStart> {
        let (mut logger, recovered) = open(disk.clone(), setup.options(me))?;
        met.add("torn tails cut", u64::from(recovered.torn.is_some()));
        let options = TreeOptions { hash_seed: rng.random(), enforce_quota: false, reads_level: reads };
        let restored = restore(disk, &mut logger, &recovered, options, recovered.watermark)?;
        let committed = recovered.watermark.max(restored.tree.last_zxid());
        let (mut applied, mut logged) = (recovered.log_start, Vec::new());
        let mut reader = logger.reader(Zxid(recovered.log_start.0 + 1)).map_err(|error| {
            NoStart::Restore(paddock_actors::storage::snapshot_files::RestoreError::Log(error))
        })?;
        while let Some((zxid, payload)) = reader.next_record().expect("it was read before") {
            if zxid <= committed {
                applied = zxid;
            } else {
                logged.push(read_txn(zxid, payload, options)?);
            }
        }
        met.add("logged and not known to be committed at a start", logged.len() as u64);
        truth.borrow().install(me, applied, restored.tree.digest());
        let ids = SessionIds::new(me, wall_ms(now_ms, clock_ahead_ms), highest_session(&restored.tree, me));
        let learner = Learner::new(me, applied, ids);
        let learner = if setup.settings.local_sessions { learner.with_local_sessions() } else { learner };
        let forget = setup.has(EnsembleFault::ForgetLogged);
        let mut membership = setup.membership(me, &restored.tree);
        logged.iter().for_each(|txn| {
            membership.on_logged(txn);
        });
        let learner = if forget { learner } else { learner.with_logged(logged) };
        let facts = logger.facts();
        let board = Board::default();
        board.accept(facts.accepted_epoch);
        board.move_at(now_ms);
        board.tell_digests(OwnDigests { tree: 0, latest: restored.tree.latest_digests() });
        let level = Cell::new(restored.tree.feature_level());
        let tree = Arc::new(SharedTree::new(restored.tree, usize::from(setup.arbiters)));
        let mut node = Self {
            me,
            reads,
            level,
            setup: Arc::clone(setup),
            truth: Rc::clone(truth),
            disk: disk.clone(),
            logger,
            tasks: VecDeque::new(),
            room: Room::new(),
            tree: Arc::clone(&tree),
            mail: Mail::default(),
            stalled: Vec::new(),
            board,
            ctl: Ctl::new(me, setup, &membership.view(), now_ms),
            lp: LearnerPart::new(learner, membership, facts, rng.random()),
            lead: Reigning::default(),
            judging: Judging::new(now_ms, setup.arbiters),
            hubs: Hub::all(setup, &tree, rng.random_range(0..1 << 20)),
            sent: 0,
            transfers: BTreeMap::new(),
            next_transfer: 0,
            dials: None,
            serves: None,
            effects: Vec::new(),
            now_ms,
            clock_ahead_ms,
            txns: 0,
            ended: None,
            has_stopped: false,
            met: BTreeMap::new(),
            ambush: false,
            blames_disk: false,
            begins_reconfig: false,
            misled: None,
            rng: StdRng::seed_from_u64(rng.random()),
        };
        node.look_at_room(); // full from the start
        node.await_first_leader();
        node.begin_role(RolePart::Look);
        Ok(node)
    }

    pub(super) fn note(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// Whether clients are served here.
    pub(super) fn is_serving(&self) -> bool {
        self.hubs.iter().all(|hub| hub.is_open)
    }

    /// Whether it has begun to propose.
    pub(super) fn is_leading(&self) -> bool {
        self.lead.core.is_some()
    }

    /// Timers of threads that move, as far as they are due.
    pub(super) fn on_time(&mut self) {
        self.room_time(!self.stalled.contains(&Thread::Core));
        if !self.stalled.contains(&Thread::Core) {
            self.board.move_at(self.now_ms);
            self.hub_time();
            self.reading_time();
            self.own_disk_time();
            self.ask_for_tree();
        }
        if !self.stalled.contains(&Thread::Ctl) {
            self.ctl_time();
        }
    }

    /// Panics where a core's invariant does not hold.
    pub(super) fn check(&self) {
        self.ctl.election.check();
        self.check_level();
        if let Some(reign) = &self.lead.reign {
            reign.check();
        }
        if let Mode::Following(behind) = &self.lp.mode {
            behind.stay.check();
        }
        self.check_local();
    }
}

/// For `SEED=n TRACE=1`.
pub(super) fn tracing_line(node: &Node, what: &str) {
    if std::env::var_os("TRACE").is_some() {
        println!("{:>7} ms  member {}  {what}", node.now_ms, node.me);
    }
}
