//! What the thread of a member's log does for it, in order, and what it answers.

use std::io;
use std::sync::Arc;

use paddock_actors::learner::roles::Answered;
use paddock_actors::storage::snapshot::SnapshotError;
use paddock_actors::storage::snapshot_files::Taking;
use paddock_actors::storage::transfer::{Behind as BehindSnapshot, replay};
use paddock_actors::storage::{Disk, DiskFile, Facts, LogFailure, is_full, snapshot, snapshot_name};
use paddock_actors::tree::TreeOptions;
use paddock_messages::codec;
use paddock_messages::ids::ServerId;
use paddock_messages::letters::Proposal;
use paddock_messages::roles::KeptEpoch;
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;

use super::EnsembleFault;
use super::mail::{Came, Letter, Part};
use super::node::Node;
use super::synchronising::Ask;

/// The most a txn takes in memory.
pub(super) const TXN_LIMIT: usize = 1 << 20;
/// Bytes of old images that may wait during a snapshot.
const QUEUE_LIMIT: usize = 1 << 20;

/// One thing to do.
pub(super) enum Command {
    Append {
        batch: Arc<Vec<Proposal>>,
        committed: Zxid,
    },
    SayCommitted(Zxid),
    /// All facts, for the sake of this epoch.
    KeepFacts(Facts, KeptEpoch),
    Truncate(Zxid),
    Install(String, Zxid),
    /// The log stays.
    ReplaceTree(String, Zxid),
    MarkTree,
    /// For a tree of this snapshot and of the log behind it, through the last.
    Behind(Zxid, Vec<u8>, Zxid),
    Drain,
    Shutdown,
    View {
        learner: ServerId,
        lane: u64,
        ask: Ask,
    },
}

impl Node {
    /// Behind all that the log was told before.
    pub(super) fn command(&mut self, role: u64, command: Command) {
        self.tasks.push_back((role, command));
    }

    /// Does what waits: appends of one role in one batch, or the next other thing.
    pub(super) fn work(&mut self) {
        let mut appended = None;
        while let Some((role, Command::Append { batch, committed })) =
            self.tasks.pop_front_if(|(role, it)| {
                matches!(it, Command::Append { .. }) && appended.is_none_or(|appended| appended == *role)
            })
        {
            appended = Some(role);
            self.append(&batch, committed);
        }
        if let Some(role) = appended {
            let done = self.logger.flush();
            self.look_at_room();
            if let Some(persisted) = self.logged(done) {
                self.post(Part::Learner, Letter::Durable { role, upto: persisted.upto });
            }
            return;
        }
        let Some((role, command)) = self.tasks.pop_front() else { return };
        let answer = match command {
            Command::Append { .. } => unreachable!("those are done"),
            Command::SayCommitted(zxid) => {
                let done = self.logger.say_committed(zxid);
                self.logged(done);
                return;
            }
            Command::KeepFacts(facts, epoch) => self.keep_facts(facts, epoch),
            Command::Truncate(to) => {
                let done = if self.setup.has(EnsembleFault::ForgetTruncate) {
                    Ok(())
                } else {
                    self.note("logs truncated");
                    self.logger.truncate_after(to)
                };
                self.logged(done).map(|()| Answered::Truncated)
            }
            Command::Install(name, zxid) => {
                let keeps_old = self.setup.has(EnsembleFault::KeepOldLog);
                let done = if keeps_old { Ok(()) } else { self.logger.install_snapshot(&name, zxid) };
                self.unless_full(done, Answered::Installed)
            }
            Command::ReplaceTree(name, zxid) => {
                let done = self.logger.replace_snapshots(&name, zxid);
                self.replaced(done)
            }
            Command::MarkTree => {
                let done = self.logger.mark_tree(true);
                if !matches!(done, Err(LogFailure::Full { .. })) {
                    self.logged(done);
                }
                return;
            }
            Command::Behind(zxid, bytes, upto) => {
                let log = self.logger.view().map(|view| (Ok(view), upto));
                match log {
                    Ok(log) => self.on_received(role, zxid, &bytes, Some(log)),
                    Err(error) => drop(self.ended.get_or_insert(error.to_string())),
                }
                return;
            }
            Command::Drain => Some(Answered::Drained(self.logger.persisted())),
            Command::Shutdown => {
                self.has_stopped = true;
                return;
            }
            Command::View { learner, lane, ask } => return self.begin_transfer(learner, lane, ask),
        };
        self.look_at_room();
        if let Some(what) = answer {
            self.post(Part::Learner, Letter::LogAnswer { role, what });
        }
    }

    /// A snapshot from before our log began is refused, and asked for anew.
    fn replaced(&mut self, done: Result<(), LogFailure>) -> Option<Answered> {
        match done {
            Err(failure @ LogFailure::SnapshotBehind { .. }) => Some(Answered::Refused(failure.to_string())),
            done => self.unless_full(done, Answered::TreeReplaced),
        }
    }

    fn unless_full(&mut self, done: Result<(), LogFailure>, what: Answered) -> Option<Answered> {
        match done {
            Err(failure @ LogFailure::Full { .. }) => Some(Answered::Refused(failure.to_string())),
            done => self.logged(done).map(|()| what),
        }
    }

    fn keep_facts(&mut self, facts: Facts, epoch: KeptEpoch) -> Option<Answered> {
        let forgets = match epoch {
            KeptEpoch::Accepted(_) => self.setup.has(EnsembleFault::ForgetAccepted),
            _ => self.setup.has(EnsembleFault::ForgetCurrent),
        };
        let done = self.logger.change_facts(|kept| {
            if !forgets {
                *kept = facts;
            }
        });
        self.ambush = true;
        match done {
            Err(failure @ LogFailure::Full { .. }) => Some(Answered::NotKept(failure.to_string())),
            done => self.logged(done).map(|()| Answered::Kept(facts)),
        }
    }

    fn append(&mut self, batch: &[Proposal], committed: Zxid) {
        self.logger.append_with(|to| {
            for txn in batch.iter().filter_map(Proposal::txn) {
                to.push_written(txn.header.zxid, |to| {
                    codec::encode_into(to, txn).expect("every part of a txn can be written");
                });
            }
        });
        self.logger.commit(committed);
    }

    pub(super) fn logged<T>(&mut self, done: Result<T, LogFailure>) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(LogFailure::BelowWatermark { to, watermark }) => {
                panic!("EN2: {} would cut after {to:?} what is committed up to {watermark:?}", self.me)
            }
            Err(LogFailure::Io { error, .. }) if is_full(&error) => {
                panic!("EN11: the log of {} has no room for what it was given", self.me)
            }
            Err(failure) => {
                self.ended.get_or_insert(failure.to_string());
                None
            }
        }
    }

    /// The leader's snapshot is whole: it becomes a file, and a tree.
    pub(super) fn on_received(&mut self, role: u64, zxid: Zxid, bytes: &[u8], log: Option<BehindSnapshot>) {
        let path = self.disk.path("received.tmp");
        let options = TreeOptions { hash_seed: zxid.0, enforce_quota: false, reads_level: self.reads };
        let mut tree = match snapshot::load(&path, bytes, options) {
            Ok(tree) => tree,
            Err(error) => panic!("EN1: {} is sent a snapshot that cannot be loaded: {error}", self.me),
        };
        let (name, keeps_log) = (snapshot_name(tree.last_zxid()), log.is_some());
        let replayed = log.map_or(Ok(()), |log| replay(&mut tree, zxid, log));
        let written = replayed.and_then(|()| self.write_received(&name, bytes).map_err(|it| it.to_string()));
        if written.is_err() {
            self.remove("received.tmp");
        }
        let received = written.map(|()| Box::new(Came { name, zxid, tree, keeps_log }));
        self.post(Part::Learner, Letter::SnapshotCame { role, received });
    }

    fn write_received(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let sync = !self.setup.has(EnsembleFault::SnapshotUnsynced);
        let file = self.disk.create("received.tmp")?;
        file.write_at(bytes, 0)?;
        if sync {
            file.sync_data()?;
        }
        self.disk.rename("received.tmp", name)?;
        if sync { self.disk.sync_dir(name) } else { Ok(()) }
    }

    /// What nobody needs any more takes no room.
    pub(super) fn remove(&self, name: &str) {
        let _ = self.disk.remove(name); // it may not be there, or the disk be gone
    }

    /// Takes a snapshot if enough was applied since the last, and purges.
    pub(super) fn maybe_snapshot(&mut self) {
        if self.txns >= self.setup.snapshot_every && self.ended.is_none() && self.tasks.is_empty() {
            self.txns = 0;
            self.snapshot();
        }
    }

    fn snapshot(&mut self) {
        let Some(Ok(mut taking)) = Taking::begin(&self.disk, &self.tree, QUEUE_LIMIT) else { return };
        let taken = loop {
            match taking.step(&self.tree) {
                Ok(None) => {}
                Ok(Some(taken)) => break taken,
                Err(SnapshotError::Io { error, .. }) if is_full(&error) => {
                    return self.note("snapshots that a full disk refused");
                }
                Err(error) => {
                    self.ended.get_or_insert(error.to_string());
                    return;
                }
            }
        };
        let (name, footer) = taken;
        match self.logger.add_snapshot(&name, footer.zxid) {
            Err(LogFailure::SnapshotAhead { .. }) => self.note("snapshots ahead of the log"),
            Err(LogFailure::SnapshotBehind { .. }) => self.note("snapshots behind an installed one"),
            Err(LogFailure::Full { .. }) => self.note("snapshots that a full disk refused"),
            done => {
                if self.logged(done).is_some() {
                    self.note("snapshots kept");
                    self.purge();
                }
            }
        }
        self.look_at_room();
    }

    /// The txns of our log after `after`.
    pub(super) fn logged_after(&self, after: Zxid) -> io::Result<Vec<Txn>> {
        let mut txns = Vec::new();
        let mut reader = self.logger.reader(Zxid(after.0 + 1))?;
        while let Some((_, payload)) = reader.next_record()? {
            txns.push(codec::decode::<Txn, TXN_LIMIT>(payload).expect("what was logged is a txn"));
        }
        Ok(txns)
    }
}
