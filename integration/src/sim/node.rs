//! One node: the cores of all its actors, and the mail between them in queues that a scheduler empties in
//! any order that is FIFO for each pair.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, reads};
use paddock_actors::learner::core::{Learner, Output as Learned, State};
use paddock_actors::proposer::Majority;
use paddock_actors::proposer::core::{Output as Proposed, Proposer};
use paddock_actors::session::core::SessionTracker;
use paddock_actors::snapshotter::core::{Ended, Output as Due, Snapshotter};
use paddock_actors::storage::snapshot::SnapshotError;
use paddock_actors::storage::snapshot_files::Taking;
use paddock_actors::storage::{LogFailure, Logger, MemoryDisk, Space, is_full};
use paddock_actors::tree::feed::{FeedItem, ReadAnswer};
use paddock_actors::tree::{SharedTree, TreeWriter};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::codec;
use paddock_messages::ids::{ServerId, SessionId};
use paddock_messages::letters::{Ack, Asker, Internal, Proposal, Requests, SessionChange};
use paddock_messages::txn::Txn;
use paddock_messages::zxid::{Epoch, Zxid};
use rand::Rng;
use rand::rngs::StdRng;

use super::Fault;
use super::mail::{Mail, Who};
use super::met::Met;
use super::truth::Truth;

pub(super) const ME: ServerId = ServerId(1);
/// Virtual 2025, in ms since 1970.
pub(super) const EPOCH_MS: u64 = 1_750_000_000_000;

/// Bytes of old images that may wait during a snapshot: so few that some are given up.
const QUEUE_LIMIT: usize = 250;

pub(super) struct Node {
    pub(super) disk: MemoryDisk,
    pub(super) logger: Logger<MemoryDisk>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) arbiters: Vec<ArbiterCore>,
    pub(super) learner: Learner,
    pub(super) proposer: Proposer<Majority>,
    pub(super) sessions: SessionTracker,
    pub(super) snapshotter: Snapshotter,
    pub(super) taking: Option<Taking<MemoryDisk>>,
    pub(super) rules: Arc<AuthRules>,
    /// With the number of each: mailboxes are filled in the order of posting.
    pub(super) mail: BTreeMap<(Who, Who), VecDeque<(u64, Mail)>>,
    pub(super) posted: u64,
    pub(super) space: Space,
    /// Bytes made durable since the Snapshotter was told.
    pub(super) logged: u64,
    pub(super) busy_disk: f64,
    pub(super) fault: Option<Fault>,
    /// Why the process has ended, if it has.
    pub(super) ended: Option<String>,
    /// When each session last gave a sign of life that its arbiter passed on, for the upper bound.
    pub(super) signs: BTreeMap<SessionId, u64>,
    pub(super) now_ms: u64,
    pub(super) snapshots: u64,
}

/// What the node can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Deliver(Who, Who),
    Apply,
    Flush,
    Walk,
}

/// The tree as the Learner sees it; the truth is told everything.
struct Live<'a, 't> {
    writer: &'a mut TreeWriter<'t>,
    rules: &'a AuthRules,
    truth: &'a mut Truth,
    txns: u64,
}

impl State for Live<'_, '_> {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        self.txns += 1;
        self.truth.apply(txn);
        let outcome = self.writer.apply(txn);
        let (here, there) = (self.writer.digest(), self.truth.tree().digest());
        assert_eq!(here, there, "D2: the digests at {:?}", txn.header.zxid);
        outcome
    }
    fn read(&mut self, from: &Asker, read: Read) -> ReadAnswer {
        reads::answer(self.writer, self.rules, from, read)
    }
    fn last_zxid(&self) -> Zxid {
        self.writer.last_zxid()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        self.writer.push(arbiter, item);
    }
    fn begin_epoch(&mut self, epoch: Epoch) {
        self.writer.tree_mut().begin_epoch(epoch);
    }
}

impl Node {
    pub(super) fn wall_ms(&self) -> i64 {
        (EPOCH_MS + self.now_ms) as i64
    }

    pub(super) fn post(&mut self, from: Who, to: Who, mail: Mail) {
        self.posted += 1;
        self.mail.entry((from, to)).or_default().push_back((self.posted, mail));
    }

    /// Whether the next epoch is on its way to the disk, or back.
    pub(super) fn is_rolling(&self) -> bool {
        let is_it = |(_, mail): &(u64, Mail)| matches!(mail, Mail::KeepEpoch(_) | Mail::EpochKept(_));
        let between = [(Who::Proposer, Who::Logger), (Who::Logger, Who::Proposer)];
        between.iter().any(|pair| self.mail.get(pair).is_some_and(|queue| queue.iter().any(is_it)))
    }

    /// The Proposer has one mailbox, in which the Logger's word that the disk is full comes before the ack of
    /// what it synced then: S8 needs that. The other orders that are drawn here are more than there are.
    fn must_wait(&self, (from, to): &(Who, Who)) -> bool {
        let first = |from| Some(self.mail.get(&(from, *to))?.front()?.0);
        *to == Who::Proposer
            && *from == Who::Learner
            && first(Who::Logger).is_some_and(|it| Some(it) < first(*from))
    }

    /// Everything that may happen next inside the node.
    pub(super) fn actions(&self) -> Vec<Action> {
        let waiting = self.mail.iter().filter(|(pair, queue)| !queue.is_empty() && !self.must_wait(pair));
        let mut actions: Vec<_> = waiting.map(|((from, to), _)| Action::Deliver(*from, *to)).collect();
        if self.learner.is_ready() {
            actions.push(Action::Apply);
        }
        if self.logger.open_batch().1 > 0 {
            actions.push(Action::Flush);
        }
        if self.taking.is_some() {
            actions.push(Action::Walk);
        }
        actions
    }

    pub(super) fn act(&mut self, action: Action, rng: &mut StdRng, truth: &mut Truth, met: &mut Met) {
        match action {
            Action::Deliver(from, to) => {
                let mail = self.mail.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                self.deliver(to, mail.expect("it waits").1, rng, truth, met);
            }
            Action::Apply => self.apply(truth),
            Action::Flush if rng.random_bool(self.busy_disk) => {}
            Action::Flush => self.flush(),
            Action::Walk => self.walk(rng, met),
        }
    }

    fn deliver(&mut self, to: Who, mail: Mail, rng: &mut StdRng, truth: &mut Truth, met: &mut Met) {
        let (now, wall) = (self.now_ms, self.wall_ms());
        let (mut learned, mut proposed, mut due) = (vec![], vec![], vec![]);
        let asks = matches!(mail, Mail::Requests(_) | Mail::Expire(_) | Mail::EpochKept(_)); // pending is brought up to date
        match mail {
            Mail::Submissions(items) => self.learner.on_submissions(items, &mut learned),
            Mail::Proposals(items) => self.learner.on_proposals(Arc::new(items), &mut learned),
            Mail::TurnedAway(handshakes) => {
                met.add("handshakes turned away", handshakes.len() as u64);
                self.learner.on_turned_away(handshakes, &mut learned);
            }
            Mail::Durable { upto, bytes } => {
                self.logged += bytes;
                self.learner.on_persisted(upto, &mut learned);
            }
            Mail::Commit(upto) => self.learner.on_commit(upto, &mut learned),
            Mail::Requests(requests) => {
                self.proposer.on_requests(&*self.tree.read(), requests, wall, &mut proposed);
                met.add("requests held for the disk", self.proposer.held() as u64);
            }
            Mail::Ack(upto) => self.proposer.on_ack(Ack { from: ME, upto }, &mut proposed),
            Mail::Expire(internal) => {
                self.proposer.on_internal(&*self.tree.read(), internal, wall, &mut proposed);
            }
            Mail::Space(space) => {
                let full = space != Space::Enough;
                met.count(if full { "full disks announced" } else { "resumed after a full disk" });
                self.proposer.on_disk_full(full);
            }
            Mail::Append { batch, committed } => self.append(&batch, committed),
            Mail::AddSnapshot { name, zxid } => self.add_snapshot(&name, zxid, met),
            Mail::Purge(keep) => {
                let purged = self.logger.purge(keep);
                let done = self.logged(purged);
                if let Some(purged) = &done {
                    met.add("snapshots purged", purged.snapshots as u64);
                    met.add("segments purged", purged.segments as u64);
                    if self.space != Space::Enough && purged.snapshots + purged.segments > 0 {
                        met.count("purges that a full disk brought");
                    }
                }
                self.post(Who::Logger, Who::Snapshotter, Mail::Purged(done.is_some()));
            }
            Mail::Purged(done) => self.snapshotter.on_purged(done, now),
            Mail::Short(is_short) => {
                self.snapshotter.on_space(is_short, now, &mut due);
            }
            Mail::KeepEpoch(epoch) => self.keep_epoch(epoch, met),
            Mail::EpochKept(Some(epoch)) => {
                met.count("epochs rolled over");
                truth.roll_over(epoch);
                self.proposer.on_new_epoch(&*self.tree.read(), epoch, wall, &mut proposed);
            }
            Mail::EpochKept(None) => {
                met.count("epochs refused by a full disk");
                self.proposer.on_epoch_refused(&*self.tree.read(), wall, &mut proposed);
            }
            Mail::FeedReady => {
                let Who::Arbiter(arbiter) = to else { unreachable!("only arbiters have feeds") };
                self.arbiters[usize::from(arbiter)].drain_feed(now);
                self.collect(arbiter);
            }
            Mail::Changes(changes) => {
                for change in &changes {
                    if let SessionChange::Lives { session, .. } = change {
                        self.signs.insert(*session, now);
                    }
                }
                self.sessions.on_changes(&changes);
            }
            Mail::Touched(touched) => {
                let mut expired = vec![];
                self.sessions.on_touched(&touched, &mut expired);
                if !expired.is_empty() {
                    self.post(Who::Sessions, Who::Arbiter(touched.arbiter), Mail::Silent(expired));
                }
            }
            Mail::Silent(silent) => {
                let Who::Arbiter(arbiter) = to else { unreachable!("only arbiters serve sessions") };
                let asked = silent.len();
                let expired = match self.fault {
                    Some(Fault::ExpireUnasked) => silent,
                    _ => self.arbiters[usize::from(arbiter)].on_expire(silent, now),
                };
                met.add("expiries called off", (asked - expired.len()) as u64);
                if !expired.is_empty() {
                    self.post(Who::Arbiter(arbiter), Who::Proposer, Mail::Expire(Internal::Expire(expired)));
                }
                self.collect(arbiter);
            }
            Mail::Applied { txns, bytes } => self.snapshotter.on_applied(txns, bytes, now, &mut due),
            Mail::Entered(ended) => {
                self.snapshotter.on_ended(ended, now, &mut |below| rng.random_range(0..below), &mut due);
            }
        }
        if asks {
            self.proposer.check(self.tree.read().last_zxid());
        }
        if self.proposer.can_resume() {
            self.proposer.resume(&*self.tree.read(), wall, &mut proposed);
            self.proposer.check(self.tree.read().last_zxid());
        }
        self.perform_learner(learned);
        self.perform_proposer(proposed, truth);
        self.perform_snapshotter(due, met);
    }

    fn perform_learner(&mut self, out: Vec<Learned>) {
        for order in out {
            match order {
                Learned::Forward(items) => {
                    let requests = Requests { member: ME, items };
                    self.post(Who::Learner, Who::Proposer, Mail::Requests(requests));
                }
                Learned::Append(batch) => {
                    let committed = self.learner.watermark();
                    self.post(Who::Learner, Who::Logger, Mail::Append { batch, committed });
                }
                Learned::Ack(upto) => self.post(Who::Learner, Who::Proposer, Mail::Ack(upto)),
                Learned::Apply | Learned::Reconfigure(_) => {}
            }
        }
    }

    pub(super) fn perform_proposer(&mut self, out: Vec<Proposed<Majority>>, truth: &mut Truth) {
        for order in out {
            match order {
                Proposed::Propose(items) => {
                    let mut last = None;
                    for item in &items {
                        if let Proposal::Txn(txn) = item {
                            truth.propose(txn);
                            last = Some(txn.header.zxid);
                        }
                    }
                    self.post(Who::Proposer, Who::Learner, Mail::Proposals(items));
                    if let Some(upto) = last.filter(|_| self.fault == Some(Fault::CommitEarly)) {
                        self.post(Who::Proposer, Who::Learner, Mail::Commit(upto));
                    }
                }
                Proposed::TurnAway(_, handshakes) => {
                    self.post(Who::Proposer, Who::Learner, Mail::TurnedAway(handshakes));
                }
                Proposed::Commit(_) if self.fault == Some(Fault::CommitEarly) => {}
                Proposed::Commit(upto) => self.post(Who::Proposer, Who::Learner, Mail::Commit(upto)),
                Proposed::HangUp(_) => panic!("our own Learner acked what was not proposed"),
                Proposed::BeginRound(_) | Proposed::Confirm(_) => panic!("P11: we are the quorum"),
                Proposed::Decide(_) => panic!("MB1: a server alone keeps its configuration"),
                Proposed::BeginEpoch(epoch) => {
                    self.post(Who::Proposer, Who::Logger, Mail::KeepEpoch(epoch));
                }
                Proposed::Level(_) => panic!("nobody asks for one here"),
                Proposed::NoEpochLeft => panic!("there are epochs enough"),
            }
        }
    }

    pub(super) fn perform_snapshotter(&mut self, out: Vec<Due>, met: &mut Met) {
        for order in out {
            match order {
                Due::Purge { keep } => self.post(Who::Snapshotter, Who::Logger, Mail::Purge(keep)),
                Due::Begin => match Taking::begin(&self.disk, &self.tree, QUEUE_LIMIT) {
                    Some(Ok(taking)) => self.taking = Some(taking),
                    begun => {
                        met.count("snapshots failed");
                        let ended = if begun.is_none() { Ended::GivenUp } else { Ended::Failed };
                        self.post(Who::Snapshotter, Who::Snapshotter, Mail::Entered(ended));
                    }
                },
            }
        }
    }

    fn append(&mut self, batch: &[Proposal], committed: Zxid) {
        let txns = batch.iter().filter_map(Proposal::txn);
        let Some(upto) = txns.clone().last().map(|txn| txn.header.zxid) else { return };
        if self.fault == Some(Fault::LoseAppend) && upto.counter().is_multiple_of(16) {
            return self.post(Who::Logger, Who::Learner, Mail::Durable { upto, bytes: 0 });
        }
        self.logger.append_with(|to| {
            for txn in txns {
                to.push_written(txn.header.zxid, |to| {
                    codec::encode_into(to, txn).expect("every part of a txn can be written");
                });
            }
        });
        self.logger.commit(committed);
        if self.fault == Some(Fault::AckBeforePersist) {
            self.post(Who::Logger, Who::Learner, Mail::Durable { upto, bytes: 0 });
        }
    }

    fn flush(&mut self) {
        let bytes = self.logger.open_batch().0 as u64;
        let done = self.logger.flush();
        if let Some(persisted) = self.logged(done)
            && self.fault != Some(Fault::AckBeforePersist)
        {
            self.post(Who::Logger, Who::Learner, Mail::Durable { upto: persisted.upto, bytes });
        }
    }

    fn add_snapshot(&mut self, name: &str, zxid: Zxid, met: &mut Met) {
        if self.logger.open_batch().1 > 0 {
            self.flush(); // answers come in the order of the commands
        }
        if self.ended.is_some() {
            return;
        }
        let added = self.logger.add_snapshot(name, zxid);
        let kept = self.logged(added).is_some();
        met.count(if kept { "snapshots kept" } else { "snapshots refused" });
        self.snapshots += u64::from(kept);
        let ended = if kept { Ended::Kept } else { Ended::Failed };
        self.post(Who::Logger, Who::Snapshotter, Mail::Entered(ended));
    }

    fn keep_epoch(&mut self, epoch: Epoch, met: &mut Met) {
        if self.logger.open_batch().1 > 0 {
            self.flush(); // answers come in the order of the commands
        }
        if self.ended.is_some() {
            return;
        }
        let (durable, proposed) = (self.logger.persisted().upto, self.proposer.last());
        assert_eq!(durable, proposed, "P8: {epoch} comes too early");
        let forget = self.fault == Some(Fault::ForgetRollOver);
        let kept = self.logger.change_facts(|facts| {
            let epoch = if forget { facts.current_epoch } else { epoch };
            (facts.accepted_epoch, facts.current_epoch) = (epoch, epoch);
        });
        let kept = self.logged(kept).map(|()| epoch);
        if self.ended.is_some() {
            return met.count("ends at a roll-over");
        }
        if kept.is_none() {
            self.post(Who::Logger, Who::Snapshotter, Mail::Short(true));
            let is_short = self.space != Space::Enough;
            self.post(Who::Logger, Who::Snapshotter, Mail::Short(is_short));
        }
        self.post(Who::Logger, Who::Proposer, Mail::EpochKept(kept));
    }

    /// What the Logger's thread does around each command.
    pub(super) fn logged<T>(&mut self, done: Result<T, LogFailure>) -> Option<T> {
        if self.logger.space() != self.space {
            self.space = self.logger.space();
            self.post(Who::Logger, Who::Proposer, Mail::Space(self.space));
            self.post(Who::Logger, Who::Snapshotter, Mail::Short(self.space != Space::Enough));
        }
        match done {
            Ok(value) => Some(value),
            Err(failure) => {
                if failure.is_fatal() {
                    if let LogFailure::Io { error, .. } = &failure {
                        assert!(!is_full(error), "S8: the disk is full in the middle: {failure}");
                    }
                    self.ended = Some(failure.to_string());
                }
                None
            }
        }
    }

    fn apply(&mut self, truth: &mut Truth) {
        let mut changes = Vec::new();
        let mut woken = Vec::new();
        let mut writer = self.tree.write();
        let mut state = Live { writer: &mut writer, rules: &self.rules, truth, txns: 0 };
        self.learner.apply(&mut state, &mut changes);
        let txns = state.txns;
        writer.commit(|arbiter| woken.push(arbiter));
        for arbiter in woken {
            if self.fault != Some(Fault::LoseWake) {
                self.post(Who::Learner, Who::Arbiter(arbiter), Mail::FeedReady);
            }
        }
        let bytes = std::mem::take(&mut self.logged);
        self.post(Who::Learner, Who::Snapshotter, Mail::Applied { txns, bytes });
        if !changes.is_empty() && self.fault != Some(Fault::ForgetChanges) {
            self.post(Who::Learner, Who::Sessions, Mail::Changes(changes));
        }
    }

    fn walk(&mut self, rng: &mut StdRng, met: &mut Met) {
        let Some(taking) = &mut self.taking else { return };
        if rng.random_bool(0.5) {
            return; // its thread did not get to run
        }
        match taking.step(&self.tree) {
            Ok(None) => return,
            Ok(Some((name, footer))) => {
                self.post(Who::Snapshotter, Who::Logger, Mail::AddSnapshot { name, zxid: footer.zxid });
            }
            Err(error) => {
                let abandoned = matches!(error, SnapshotError::Abandoned);
                met.count(if abandoned { "snapshots abandoned" } else { "snapshots failed" });
                let ended = if abandoned { Ended::GivenUp } else { Ended::Failed };
                self.post(Who::Snapshotter, Who::Snapshotter, Mail::Entered(ended));
            }
        }
        self.taking = None;
    }

    /// Sends on what a step of an arbiter brought.
    pub(super) fn collect(&mut self, arbiter: u16) {
        let core = &mut self.arbiters[usize::from(arbiter)];
        core.take_notices();
        core.take_woken(&mut Vec::new());
        if core.has_submissions() {
            let items = core.take_submissions();
            self.post(Who::Arbiter(arbiter), Who::Learner, Mail::Submissions(items));
        }
    }

    /// An arbiter's tick: several times a tick of the server.
    pub(super) fn tick(&mut self, arbiter: u16) {
        let mut touched = self.arbiters[usize::from(arbiter)].on_tick(self.now_ms);
        self.signs.extend(touched.sessions.iter().map(|session| (*session, self.now_ms)));
        if self.fault == Some(Fault::ForgetTouch) {
            touched.sessions.clear();
        }
        self.post(Who::Arbiter(arbiter), Who::Sessions, Mail::Touched(touched));
        self.collect(arbiter);
    }
}
