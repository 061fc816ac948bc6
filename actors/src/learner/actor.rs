//! The Learner's shell: moves its orders to the log, the leader and the client arbiters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::{
    Asker, Commit, FeedReady, Internal, Proposal, Proposals, Request, SessionChanges, Submissions, TurnedAway,
};
use paddock_messages::mail::Outbox;
use paddock_messages::roles::{Asked, EpochKept, KeptEpoch, OwnAck};
use paddock_messages::txn::{Op, Txn, TxnBody};
use paddock_messages::zxid::{Epoch, Zxid};
use tokio::sync::Notify;

use super::core::{Learner, Output, State};
use super::fence::Fence;
use super::following::Output as Followed;
use super::receiving::Received;
use super::roles::{Mode, Others};
use super::timing::{CommitTimes, DurableTimes};
use crate::admin::metrics::{self, Ages, KeyedTally, Meters};
use crate::auth::AuthRules;
use crate::client::reads;
use crate::peer_link::Room;
use crate::quorum_peer::OwnDigests;
use crate::runtime::{Ctx, ExitCode, Serve, Service};
use crate::storage::{Command, Facts, LoggerHandle, Records};
use crate::tree::feed::{Feed, FeedItem, ReadAnswer};
use crate::tree::shared::{SharedTree, TreeWriter};

/// Mail from the Logger's thread: everything up to `upto` is on disk.
#[derive(Clone, Copy, Debug)]
pub struct Durable {
    /// The generation of the role that asked.
    pub role: u64,
    /// The last durable zxid.
    pub upto: Zxid,
    /// What was written for it, in the log.
    pub bytes: u64,
}

/// Mail to the Snapshotter: so much was applied.
#[derive(Clone, Copy, Debug)]
pub struct Applied {
    /// Through this zxid.
    pub upto: Zxid,
    /// Txns since the last such message.
    pub txns: u64,
    /// Their bytes in the log.
    pub bytes: u64,
}

/// Whom the Learner posts to.
pub struct Peers {
    /// The member's Proposer, for what clients ask while it leads.
    pub asked: Outbox<Asked>,
    /// The same, for what is durable here.
    pub acks: Outbox<OwnAck>,
    /// The same, for epochs that are.
    pub kept: Outbox<EpochKept>,
    /// The same, for sessions that are to end.
    pub internal: Outbox<Internal>,
    /// Who lives and who has ended.
    pub sessions: Outbox<SessionChanges>,
    /// Each client arbiter's WatchDispatcher, by arbiter.
    pub dispatchers: Vec<Outbox<FeedReady>>,
    /// When to snapshot.
    pub snapshotter: Outbox<Applied>,
    /// Told once a server alone has become an ensemble of one: as that it begins anew (MB6).
    pub grown: Arc<Notify>,
}

/// See the module.
pub struct LearnerActor {
    pub(super) me: ServerId,
    /// The generation of the role on whose behalf it logs.
    pub(super) role: u64,
    pub(super) mode: Mode,
    pub(super) core: Learner,
    pub(super) tree: Arc<SharedTree>,
    rules: Arc<AuthRules>,
    pub(super) log: LoggerHandle,
    pub(super) peers: Peers,
    /// With other members only.
    pub(super) others: Option<Others>,
    pub(super) out: Vec<Output>,
    pub(super) followed: Vec<Followed>,
    /// Durable.
    pub(super) facts: Facts,
    /// The id of an ensemble that begins with this process.
    pub(super) new_ensemble: u128,
    /// Of the ensemble whose epoch is being entered.
    pub(super) entering: u128,
    /// On its way to the disk, for this role, and what is durable then; oldest first.
    pub(super) keeping: VecDeque<(KeptEpoch, Facts)>,
    /// Until then its disk has no room for an epoch or a snapshot, as far as is known.
    pub(super) no_room_until_ms: u64,
    /// Nothing but what is admitted fits the log.
    pub(super) is_disk_full: bool,
    /// The log is being cut.
    pub(super) is_truncating: bool,
    /// Takes the tree's place as soon as it has the log's.
    pub(super) installing: Option<Received>,
    /// An epoch that is to be led, once we are known to be no seed.
    pub(super) quorum_has: Option<Epoch>,
    /// An epoch that is led once all is applied.
    pub(super) establishes: Option<Epoch>,
    /// It leads, and clients of every member are served.
    pub(super) serves_all: bool,
    /// Of the packet at hand.
    pub(super) room: Option<Room>,
    logged_bytes: u64,
    pub(super) meters: Arc<Meters>,
    pub(super) commits: CommitTimes,
    durable: DurableTimes,
    /// What a batch wrote, by namespace; empty between batches.
    writes: KeyedTally,
    /// There is more to apply, and a timer is set to go on.
    is_paused: bool,
    /// As the QuorumPeer was told last.
    pub(super) digests: OwnDigests,
    pub(super) fence: Fence,
    /// The tree's feature level, as it was told last.
    pub(super) level: u8,
    /// The reconfig that makes a server alone an ensemble of one, until it is applied.
    pub(super) grows_with: Option<Zxid>,
}

/// How many feed items may wait for an arbiter before nothing more is applied: an arbiter that does
/// not drain is stalled, and the guardian's business.
pub(super) const FEED_LIMIT: usize = 1 << 18;
/// The same by bytes of answers to reads between writes.
pub(super) const FEED_BYTES: usize = 4 << 20;
/// Batches that are applied before other mail is looked at.
const BATCHES_A_TURN: u32 = 16;
/// How soon a full feed is looked at again.
pub(super) const FULL_FEED_PAUSE: Duration = Duration::from_millis(1);

impl LearnerActor {
    /// Around a core whose tree is `tree`. `facts` are durable; `new_ensemble` is random. Without `others` it leads
    /// as of `role`; with them it waits for what the QuorumPeer says.
    pub fn new(
        me: ServerId,
        (role, facts, new_ensemble): (u64, Facts, u128),
        core: Learner,
        (tree, rules): (Arc<SharedTree>, Arc<AuthRules>),
        (log, meters): (LoggerHandle, Arc<Meters>),
        peers: Peers,
        others: Option<Others>,
    ) -> Self {
        let fence = Fence::new(facts.tree_differs && others.is_some());
        let level = tree.read().feature_level();
        if let Some(others) = &others {
            others.identity.lock().level = level;
        }
        let mode = if others.is_some() { Mode::Looking(Default::default()) } else { Mode::Leading };
        Self {
            me,
            role,
            mode,
            core,
            tree,
            rules,
            log,
            peers,
            others,
            out: Vec::new(),
            followed: Vec::new(),
            facts,
            new_ensemble,
            entering: new_ensemble,
            keeping: VecDeque::new(),
            no_room_until_ms: 0,
            is_disk_full: false,
            is_truncating: false,
            installing: None,
            quorum_has: None,
            establishes: None,
            serves_all: false,
            room: None,
            logged_bytes: 0,
            meters,
            commits: CommitTimes::default(),
            durable: DurableTimes::default(),
            writes: KeyedTally::default(),
            is_paused: false,
            digests: OwnDigests::default(),
            fence,
            level,
            grows_with: None,
        }
    }

    pub(super) fn perform(&mut self, ctx: &mut Ctx<'_, Self>) {
        for order in std::mem::take(&mut self.out) {
            let sent = match order {
                Output::Forward(items) => self.forward(items, ctx),
                Output::Reconfigure(batch) => {
                    self.reconfigure(&batch, ctx);
                    Ok(())
                }
                Output::Append(batch) => self.append(batch, ctx.clock().now_us()),
                Output::Ack(upto) => self.persisted(upto, ctx),
                Output::Apply => continue, // once for all mail, in `drained`
            };
            if sent.is_err() {
                ctx.fatal(ExitCode::ActorGone, "the learner's Proposer or Logger has ended");
            }
        }
    }

    fn forward(&mut self, items: Vec<Request>, ctx: &mut Ctx<'_, Self>) -> Result<(), ()> {
        let role = self.role;
        match self.mode {
            Mode::Leading => self.peers.asked.post(Asked { role, items }).map_err(drop),
            _ => {
                self.meters.forwarded(items.len() as u64);
                for part in parts(items) {
                    self.with_stay(ctx, |stay, out| stay.on_requests(part, out));
                }
                Ok(())
            }
        }
    }

    fn persisted(&mut self, upto: Zxid, ctx: &mut Ctx<'_, Self>) -> Result<(), ()> {
        let role = self.role;
        match self.mode {
            Mode::Leading => self.peers.acks.post(OwnAck { role, upto }).map_err(drop),
            _ => {
                self.with_stay(ctx, |stay, out| stay.on_persisted(upto, out));
                Ok(())
            }
        }
    }

    fn append(&mut self, batch: Arc<Vec<Proposal>>, now_us: u64) -> Result<(), ()> {
        let txns = batch.iter().filter_map(Proposal::txn);
        if let Some(last) = txns.clone().last() {
            let (upto, count) = (last.header.zxid, txns.count() as u64);
            self.commits.on_append(upto, count, now_us);
            self.durable.on_append(upto, count, now_us);
        }
        let write = Box::new(move |to: &mut Records| {
            for txn in batch.iter().filter_map(Proposal::txn) {
                to.push_written(txn.header.zxid, |to| {
                    codec::encode_into(to, txn).expect("every part of a txn can be written");
                });
            }
        });
        let append = Command::Append { role: self.role, write, committed: self.core.watermark() };
        self.log.send(append).map_err(drop)
    }

    /// Applies all that is ready, a batch at a time: readers come in between.
    fn apply(&mut self, ctx: &mut Ctx<'_, Self>) {
        for batch in 0.. {
            if !self.core.is_ready() {
                return;
            }
            if batch == BATCHES_A_TURN {
                return self.pause(ctx);
            }
            let is_full = |feed: &Feed| feed.len() > FEED_LIMIT || feed.weight() > FEED_BYTES;
            if self.tree.feeds().iter().any(is_full) {
                return self.pause(ctx);
            }
            self.apply_batch(ctx);
        }
    }

    pub(super) fn tell_local_sessions(&self) {
        self.meters.local_sessions.store(self.core.local_sessions() as u64, Relaxed);
    }

    /// Goes on a little later: other mail comes first.
    fn pause(&mut self, ctx: &mut Ctx<'_, Self>) {
        if !std::mem::replace(&mut self.is_paused, true) {
            ctx.after(FULL_FEED_PAUSE, |learner, _| learner.is_paused = false); // `drained` comes behind it
        }
    }

    fn apply_batch(&mut self, ctx: &mut Ctx<'_, Self>) {
        let mut changes = SessionChanges::default();
        let mut writer = self.tree.write();
        let began_us = ctx.clock().now_us();
        let arbiters = self.tree.feeds().len();
        let (rules, writes) = (&self.rules, &mut self.writes);
        let (ages, wall_ms) = (Ages::default(), ctx.clock().wall_ms());
        let mut state = Live { writer: &mut writer, rules, ages, wall_ms, writes, arbiters };
        self.core.apply(&mut state, &mut changes.0);
        let (ages, upto) = (state.ages, state.last_zxid());
        let txns = ages.txns;
        self.tell_local_sessions();
        let digests = OwnDigests { latest: writer.latest_digests(), ..self.digests };
        let level = writer.feature_level();
        let dispatchers = &self.peers.dispatchers;
        writer.commit(|arbiter| {
            // A dispatcher that is gone is the guardian's business; one that has mail will drain all.
            let _ = dispatchers[usize::from(arbiter)].post(FeedReady);
        });
        if txns > 0 {
            let took_us = ctx.clock().now_us() - began_us;
            let waited_us = self.commits.take_average_us();
            self.meters.applied(&metrics::Applied { commits: txns, waited_us, took_us });
            self.meters.propagated(ages);
            self.meters.written(&mut self.writes);
        }
        self.tell_digests(digests);
        self.on_configured(ctx);
        self.tell_level(level);
        ctx.spend(u32::try_from(txns).unwrap_or(u32::MAX));
        let _ = self.peers.snapshotter.post(Applied {
            upto,
            txns,
            bytes: std::mem::take(&mut self.logged_bytes),
        });
        if !changes.0.is_empty() && self.peers.sessions.post(changes).is_err() {
            ctx.fatal(ExitCode::ActorGone, "the SessionTracker has ended");
        }
    }
}

/// What fits into a frame each.
fn parts(items: Vec<Request>) -> Vec<Vec<Request>> {
    const FRAME_BYTES: usize = 8 << 20;
    let (mut parts, mut bytes) = (Vec::new(), usize::MAX);
    for item in items {
        if bytes > FRAME_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += item.bound();
        parts.last_mut().expect("one was begun").push(item);
    }
    parts
}

/// The tree under its write lock, as the core sees it.
struct Live<'a, 't> {
    writer: &'a mut TreeWriter<'t>,
    rules: &'a AuthRules,
    ages: Ages,
    wall_ms: i64,
    writes: &'a mut KeyedTally,
    arbiters: usize,
}

impl State for Live<'_, '_> {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        self.ages.add(txn.header.time, self.wall_ms);
        tally_writes(&txn.body, self.writes);
        self.writer.apply(txn)
    }
    fn read(&mut self, from: &Asker, read: Read) -> ReadAnswer {
        reads::answer(self.writer, self.rules, from, read)
    }
    fn last_zxid(&self) -> Zxid {
        self.writer.last_zxid()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        // What an earlier process of this member asked may come from an arbiter that is no more.
        if usize::from(arbiter) < self.arbiters {
            self.writer.push(arbiter, item);
        }
    }
    fn begin_epoch(&mut self, epoch: Epoch) {
        self.writer.tree_mut().begin_epoch(epoch);
    }
}

/// Path and bytes of data of each change. Source: DataTree.java, updateWriteStat.
fn tally_writes(body: &TxnBody, into: &mut KeyedTally) {
    let ops = match body {
        TxnBody::One(op) => std::slice::from_ref(op),
        TxnBody::Multi(ops) => ops,
        TxnBody::DeleteContainer { path } => return into.add(path, path.len() as u64),
        TxnBody::CloseSession { ephemerals } => {
            return ephemerals.iter().for_each(|path| into.add(path, path.len() as u64));
        }
        _ => return,
    };
    for op in ops {
        let (path, bytes) = match op {
            Op::Create(create) => (&create.path, create.data.as_ref().map_or(0, |data| data.len())),
            Op::SetData { path, data, .. } => (path, data.as_ref().map_or(0, |data| data.len())),
            Op::Delete { path } => (path, 0),
            Op::Check { .. } => continue,
        };
        into.add(path, (path.len() + bytes) as u64);
    }
}

impl Service for LearnerActor {
    fn started(&mut self, ctx: &mut Ctx<'_, Self>) {
        if let Some(others) = &self.others {
            let (board, every) = (others.board.clone(), others.move_every);
            board.move_at(ctx.clock().now_ms());
            ctx.every(every, move |learner, ctx| {
                board.move_at(ctx.clock().now_ms());
                learner.ask_for_tree(ctx);
            });
            let latest = self.tree.read().latest_digests();
            self.tell_digests(OwnDigests { latest, ..self.digests });
            self.find_fence();
        }
    }

    fn drained(&mut self, ctx: &mut Ctx<'_, Self>) {
        loop {
            self.apply(ctx);
            if self.core.is_ready() {
                return; // it goes on after a pause
            }
            self.on_applied(ctx);
            if !self.go_on(ctx) {
                return;
            }
        }
    }
}

impl Serve<Submissions> for LearnerActor {
    fn serve(&mut self, letter: Submissions, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.core.on_submissions(letter.items, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<Proposals> for LearnerActor {
    fn serve(&mut self, letter: Proposals, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.core.on_proposals(letter.items, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<TurnedAway> for LearnerActor {
    fn serve(&mut self, letter: TurnedAway, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.core.on_turned_away(letter.handshakes, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<Durable> for LearnerActor {
    fn serve(&mut self, letter: Durable, ctx: &mut Ctx<'_, Self>) {
        let is_voter = self.is_voter();
        for (txns, waited_us) in self.durable.on_durable(letter.upto, ctx.clock().now_us()) {
            self.meters.made_durable(txns, waited_us);
            if is_voter {
                self.meters.ack_made(txns, waited_us);
            }
        }
        self.meters.log_queue(self.durable.queued());
        self.logged_bytes += letter.bytes;
        if letter.role == self.role {
            self.give_room(letter.upto);
            self.core.on_persisted(letter.upto, &mut self.out);
            self.perform(ctx);
        }
    }
}

impl Serve<Commit> for LearnerActor {
    fn serve(&mut self, letter: Commit, ctx: &mut Ctx<'_, Self>) {
        if letter.role == self.role {
            self.commits.on_commit(letter.upto, ctx.clock().now_us());
            self.core.on_commit(letter.upto, &mut self.out);
            self.perform(ctx);
        }
    }
}
