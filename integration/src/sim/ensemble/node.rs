//! One member's process: its cores, its log, and what they tell each other.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use paddock_actors::election::{Election, Output as Elected};
use paddock_actors::learner::core::{Learner, Output as Learned, State};
use paddock_actors::learner::following::Following;
use paddock_actors::learner::session_ids::SessionIds;
use paddock_actors::proposer::Proposer;
use paddock_actors::proposer::leadership::{Leadership, Standing};
use paddock_actors::quorum_peer::core::{Output as Roled, QuorumPeer};
use paddock_actors::quorum_peer::memory;
use paddock_actors::session::core::SessionTracker;
use paddock_actors::storage::snapshot_files::restore;
use paddock_actors::storage::{LogFailure, Logger, MemoryDisk, OpenError, open};
use paddock_actors::tree::feed::{FeedItem, ReadAnswer};
use paddock_actors::tree::{SharedTree, TreeOptions, TreeWriter};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::codec;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Asker, Submission};
use paddock_messages::quorum::{Heartbeat, Memory, Notification, PeerState, ToLeader, ToLearner, Vote};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;

use super::EnsembleFault;
use super::sessions::Served;
use super::setup::{Setup, SimQuorum};
use super::storage::Task;
use super::truth::Truth;
use crate::sim::Met;

/// Virtual 2025, in ms since 1970.
const EPOCH_MS: u64 = 1_750_000_000_000;
/// The most a txn takes in memory.
const TXN_LIMIT: usize = 1 << 20;

/// What the world must do for a process.
#[derive(Debug)]
pub(super) enum Effect {
    Notify(ServerId, Notification),
    Beat(ServerId, Heartbeat),
    /// Down the data lane of this learner.
    ToLearner(ServerId, ToLearner),
    /// Down its own to the leader.
    ToLeader(ToLeader),
    /// The leader closes this learner's data lane.
    HangUp(ServerId),
    /// This session is not served here any more.
    CloseSession(SessionId),
    /// The role has ended: all data lanes are closed, and its clients' connections.
    RoleEnded,
}

/// What the process does in its ensemble.
pub(super) enum Role {
    Looking,
    Leading(Box<Leadership<SimQuorum>>, Option<Box<Proposer<SimQuorum>>>),
    Following(ServerId, Box<Following>),
}

pub(super) struct Node {
    pub(super) me: ServerId,
    pub(super) is_voter: bool,
    pub(super) setup: Arc<Setup>,
    pub(super) truth: Rc<RefCell<Truth>>,
    pub(super) disk: MemoryDisk,
    pub(super) logger: Logger<MemoryDisk>,
    /// What the log's thread has to do, in order, and for which role.
    pub(super) tasks: VecDeque<(u64, Task)>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) learner: Learner,
    pub(super) election: Election<SimQuorum>,
    pub(super) peer: QuorumPeer<SimQuorum>,
    pub(super) role: Role,
    /// One more for each role: what an older one asked of the log is not answered to this one.
    pub(super) generation: u64,
    /// What the voters that have acknowledged our epoch stand with, as they told it.
    pub(super) acknowledged: BTreeMap<ServerId, Standing>,
    /// A snapshot on its way.
    pub(super) incoming: Vec<u8>,
    pub(super) effects: Vec<Effect>,
    /// Of an established leader.
    pub(super) tracker: Option<SessionTracker>,
    pub(super) served: BTreeMap<SessionId, Served>,
    pub(super) next_report_ms: u64,
    pub(super) now_ms: u64,
    /// Since the last snapshot.
    pub(super) txns: u64,
    /// Why the process has ended, if it has.
    pub(super) ended: Option<String>,
    pub(super) met: BTreeMap<&'static str, u64>,
    /// Something has just happened after which a crash would be worst.
    pub(super) ambush: bool,
    /// Whom an election that went wrong names, whatever was voted: safety must not rest on it.
    pub(super) misled: Option<ServerId>,
    /// The id of an ensemble that begins with this process.
    pub(super) new_ensemble: u128,
    pub(super) had_vote: bool,
}

/// The tree as the Learner sees it; the truth is told everything.
struct Live<'a, 't> {
    me: ServerId,
    writer: &'a mut TreeWriter<'t>,
    truth: &'a Rc<RefCell<Truth>>,
    /// The last txn applied: an epoch's start, where the tree may be, is none.
    applied: Zxid,
    txns: u64,
}

impl State for Live<'_, '_> {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        self.txns += 1;
        let before = std::mem::replace(&mut self.applied, txn.header.zxid);
        let outcome = self.writer.apply(txn);
        self.truth.borrow_mut().apply(self.me, before, txn, self.writer.digest());
        outcome
    }
    fn read(&mut self, _: &Asker, read: Read) -> ReadAnswer {
        ReadAnswer::Local(read)
    }
    fn last_zxid(&self) -> Zxid {
        self.writer.last_zxid()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        self.writer.push(arbiter, item);
    }
    fn begin_epoch(&mut self, epoch: paddock_messages::zxid::Epoch) {
        self.writer.tree_mut().begin_epoch(epoch);
    }
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
        me: ServerId,
        now_ms: u64,
        rng: &mut StdRng,
        truth: &Rc<RefCell<Truth>>,
        met: &mut Met,
    ) -> Result<Self, NoStart> {
        let (mut logger, recovered) = open(disk.clone(), setup.options(me))?;
        met.add("torn tails cut", u64::from(recovered.torn.is_some()));
        let options = TreeOptions { hash_seed: rng.random(), enforce_quota: false };
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
                logged.push(codec::decode::<Txn, TXN_LIMIT>(payload).expect("what was logged is a txn"));
            }
        }
        met.add("logged and not known to be committed at a start", logged.len() as u64);
        truth.borrow().install(me, applied, restored.tree.digest());
        let ids = SessionIds::new(me, (EPOCH_MS + now_ms) as i64, None);
        let learner = Learner::new(me, applied, ids);
        let forget = setup.has(EnsembleFault::ForgetLogged);
        let learner = if forget { learner } else { learner.with_logged(logged) };
        let peers = setup.members.iter().copied().filter(|it| *it != me).collect();
        let mut node = Self {
            me,
            is_voter: setup.voters.contains(&me),
            setup: Arc::clone(setup),
            truth: Rc::clone(truth),
            disk: disk.clone(),
            logger,
            tasks: VecDeque::new(),
            tree: Arc::new(SharedTree::new(restored.tree, 1)),
            learner,
            peer: QuorumPeer::new(me, &peers, setup.quorum(), setup.timing, now_ms),
            election: Election::new(me, peers, setup.quorum()),
            role: Role::Looking,
            generation: 0,
            acknowledged: BTreeMap::new(),
            incoming: Vec::new(),
            effects: Vec::new(),
            tracker: None,
            served: BTreeMap::new(),
            next_report_ms: now_ms,
            now_ms,
            txns: 0,
            ended: None,
            met: BTreeMap::new(),
            ambush: false,
            misled: None,
            new_ensemble: rng.random(),
            had_vote: false,
        };
        node.peer.on_accepted(node.logger.facts().accepted_epoch);
        node.look();
        Ok(node)
    }

    pub(super) fn note(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    pub(super) fn wall_ms(&self) -> i64 {
        (EPOCH_MS + self.now_ms) as i64
    }

    /// Whether clients are served here.
    pub(super) fn is_serving(&self) -> bool {
        match &self.role {
            Role::Looking => false,
            Role::Leading(_, proposer) => proposer.is_some(),
            Role::Following(_, stay) => stay.is_serving() && !self.learner.is_ready(),
        }
    }

    /// Q4: the log has finished, all that is committed is applied: the member stands with that.
    fn look(&mut self) {
        let (facts, durable) = (self.logger.facts(), self.logger.persisted().upto);
        let own = Vote { peer_epoch: facts.current_epoch, zxid: durable, leader: self.me };
        let mut out = Vec::new();
        let forgives = self.setup.has(EnsembleFault::CountAmnesiac);
        self.election.remember(if forgives { Memory::Whole } else { memory(&facts, durable, false) });
        self.election.look(self.is_voter.then_some(own), self.now_ms, &mut out);
        self.perform_election(out);
    }

    pub(super) fn perform_election(&mut self, out: Vec<Elected>) {
        for order in out {
            match order {
                Elected::Send { to, notification } => self.effects.push(Effect::Notify(to, notification)),
                Elected::Decided(mut vote) => {
                    let mut out = Vec::new();
                    self.had_vote = self.election.had_vote();
                    if let Some(leader) = self.misled.filter(|it| *it != vote.leader) {
                        vote.leader = leader;
                        self.note("elections misled");
                    }
                    self.peer.on_elected(vote.leader, self.now_ms, &mut out);
                    self.note("elections decided");
                    let state = match (vote.leader == self.me, self.is_voter) {
                        (true, _) => PeerState::Leading,
                        (_, true) => PeerState::Following,
                        _ => PeerState::Observing,
                    };
                    let mut told = Vec::new();
                    self.election.settle(state, vote, &mut told);
                    self.perform_election(told);
                    self.perform_peer(out);
                }
            }
        }
    }

    pub(super) fn perform_peer(&mut self, out: Vec<Roled>) {
        for order in out {
            match order {
                Roled::Confirmed(upto) => self.on_round(upto),
                Roled::Drop(learner) => {
                    self.note("silent learners dropped");
                    self.on_learner_gone(learner);
                    self.effects.push(Effect::HangUp(learner));
                }
                Roled::Heartbeat(to, beat) => self.effects.push(Effect::Beat(to, beat)),
                Roled::Look(why) => {
                    tracing_line(self, why);
                    self.end_role();
                    if self.ended.is_none() {
                        self.look();
                    }
                }
                Roled::Lead => self.lead(),
                Roled::Follow(leader) => self.follow(leader),
            }
        }
    }

    /// The role's own core or data lane has ended it.
    pub(super) fn leave(&mut self, why: &'static str) {
        let mut out = Vec::new();
        self.peer.on_ended(why, &mut out);
        self.perform_peer(out);
    }

    pub(super) fn on_notification(&mut self, from: ServerId, heard: Notification) {
        let mut out = Vec::new();
        self.election.on_notification(from, heard, self.now_ms, &mut out);
        self.perform_election(out);
    }

    pub(super) fn on_heartbeat(&mut self, from: ServerId, heard: Heartbeat) {
        let mut out = Vec::new();
        self.peer.on_heartbeat(from, heard, self.now_ms, &mut out);
        self.perform_peer(out);
    }

    pub(super) fn on_lane(&mut self, peer: ServerId, is_up: bool) {
        if is_up {
            self.peer.on_lane(peer);
        }
        let mut out = Vec::new();
        self.election.on_link(peer, is_up, self.now_ms, &mut out);
        self.perform_election(out);
    }

    /// Timers, as far as they are due.
    pub(super) fn on_time(&mut self) {
        let mut out = Vec::new();
        if self.election.next_due_ms().is_some_and(|at| at <= self.now_ms) {
            self.election.on_time(self.now_ms, &mut out);
        }
        self.perform_election(out);
        let progress = self.progress();
        let mut out = Vec::new();
        self.peer.on_time(self.now_ms, &progress, &mut out);
        self.perform_peer(out);
        self.report();
    }

    /// What clients of this member ask.
    pub(super) fn submit(&mut self, items: Vec<Submission>) {
        let mut out = Vec::new();
        self.learner.on_submissions(items, &mut out);
        self.perform_learner(out);
    }

    pub(super) fn perform_learner(&mut self, out: Vec<Learned>) {
        for order in out {
            match order {
                Learned::Forward(items) => self.ask(items),
                Learned::Append(batch) => {
                    let committed = self.learner.watermark();
                    self.tasks.push_back((self.generation, Task::Append { batch, committed }));
                    if self.setup.has(EnsembleFault::AckBeforePersist) {
                        self.on_persisted(self.learner.appended());
                    }
                }
                Learned::Ack(upto) => self.on_persisted(upto),
                Learned::Apply => {}
            }
        }
    }

    /// Applies what is committed, at most a batch.
    pub(super) fn apply(&mut self) {
        let mut changes = Vec::new();
        let tree = Arc::clone(&self.tree);
        let mut writer = tree.write();
        let (me, applied) = (self.me, self.learner.applied());
        let mut state = Live { me, writer: &mut writer, truth: &self.truth, applied, txns: 0 };
        self.learner.apply(&mut state, &mut changes);
        self.txns += state.txns;
        writer.commit(|_| {});
        self.tracked(&changes);
    }

    /// Panics where a core's invariant does not hold.
    pub(super) fn check(&self) {
        self.election.check();
        match &self.role {
            Role::Looking => {}
            Role::Leading(reign, _) => reign.check(),
            Role::Following(_, stay) => stay.check(),
        }
    }
}

/// For `SEED=n TRACE=1`.
pub(super) fn tracing_line(node: &Node, what: &str) {
    if std::env::var_os("TRACE").is_some() {
        println!("{:>7} ms  member {}  {what}", node.now_ms, node.me);
    }
}
