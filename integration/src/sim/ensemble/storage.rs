//! What the thread of a member's log does for it, in order, and what it answers.

use std::io;
use std::sync::Arc;

use paddock_actors::proposer::sync_plan::Searched;
use paddock_actors::quorum_peer::entered;
use paddock_actors::storage::snapshot_files::Taking;
use paddock_actors::storage::{Disk, DiskFile, LogFailure, snapshot, snapshot_name};
use paddock_actors::tree::TreeOptions;
use paddock_messages::codec;
use paddock_messages::letters::Proposal;
use paddock_messages::txn::Txn;
use paddock_messages::zxid::{Epoch, Zxid};

use super::EnsembleFault;
use super::node::Node;

/// The most a txn takes in memory.
const TXN_LIMIT: usize = 1 << 20;
/// Bytes of old images that may wait during a snapshot.
const QUEUE_LIMIT: usize = 1 << 20;

/// One thing to do.
pub(super) enum Task {
    Append {
        batch: Arc<Vec<Proposal>>,
        committed: Zxid,
    },
    Accept(Epoch),
    Enter(Epoch, u128),
    /// A quorum has our history.
    Join,
    Truncate(Zxid),
    Install(Zxid),
}

impl Node {
    /// Does what waits: appends up to the next other task in one batch, or that task.
    pub(super) fn work(&mut self) {
        let mut appended = None;
        while let Some((generation, Task::Append { batch, committed })) =
            self.tasks.pop_front_if(|(_, task)| matches!(task, Task::Append { .. }))
        {
            appended = Some(generation);
            self.append(&batch, committed);
        }
        if let Some(generation) = appended {
            let done = self.logger.flush();
            if let Some(persisted) = self.logged(done)
                && generation == self.generation
            {
                self.on_durable(persisted.upto);
            }
            return;
        }
        let Some((generation, task)) = self.tasks.pop_front() else { return };
        let is_current = generation == self.generation;
        match task {
            Task::Append { .. } => unreachable!("those are done"),
            Task::Accept(epoch) => {
                let keep = !self.setup.has(EnsembleFault::ForgetAccepted);
                let done = self.logger.change_facts(|facts| {
                    if keep {
                        facts.accepted_epoch = epoch;
                    }
                });
                self.ambush = true;
                if self.logged(done).is_some() && is_current {
                    self.on_accepted_kept();
                }
            }
            Task::Enter(epoch, ensemble) => {
                let keep = !self.setup.has(EnsembleFault::ForgetCurrent);
                let done = self.logger.change_facts(|facts| {
                    if keep {
                        *facts = entered(*facts, epoch, ensemble);
                    }
                });
                self.ambush = true;
                if self.logged(done).is_some() && is_current {
                    self.on_current_kept();
                }
            }
            Task::Join => {
                let done = self.logger.change_facts(|facts| facts.seed = false);
                self.logged(done);
            }
            Task::Truncate(to) => {
                if !self.setup.has(EnsembleFault::ForgetTruncate) {
                    let done = self.logger.truncate_after(to);
                    self.logged(done);
                    self.note("logs truncated");
                }
            }
            Task::Install(zxid) => self.install(zxid, is_current),
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

    fn on_durable(&mut self, upto: Zxid) {
        if self.setup.has(EnsembleFault::AckBeforePersist) {
            return;
        }
        let mut out = Vec::new();
        self.learner.on_persisted(upto, &mut out);
        self.perform_learner(out);
    }

    /// Everything that waits, before the member looks for a leader anew (Q4).
    pub(super) fn drain(&mut self) {
        while !self.tasks.is_empty() && self.ended.is_none() {
            self.work();
        }
    }

    pub(super) fn logged<T>(&mut self, done: Result<T, LogFailure>) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(LogFailure::BelowWatermark { to, watermark }) => {
                panic!("EN2: {} would cut after {to:?} what is committed up to {watermark:?}", self.me)
            }
            Err(failure) => {
                self.ended.get_or_insert(failure.to_string());
                None
            }
        }
    }

    /// The leader's snapshot becomes the whole history.
    fn install(&mut self, zxid: Zxid, is_current: bool) {
        let name = snapshot_name(zxid);
        let sync = !self.setup.has(EnsembleFault::SnapshotUnsynced);
        let bytes = std::mem::take(&mut self.incoming);
        let written = (|| {
            let unfinished = "snapshot.tmp";
            let file = self.disk.create(unfinished)?;
            file.write_at(&bytes, 0)?;
            if sync {
                file.sync_data()?;
            }
            self.disk.rename(unfinished, &name)?;
            if sync { self.disk.sync_dir(&name) } else { Ok(()) }
        })();
        if let Err(error) = written {
            self.ended.get_or_insert(format!("cannot write a snapshot: {error}"));
            return;
        }
        let path = self.disk.path(&name);
        let options = TreeOptions { hash_seed: zxid.0, enforce_quota: false };
        let tree = match snapshot::load(&path, bytes.as_slice(), options) {
            Ok(tree) => tree,
            Err(error) => panic!("EN1: {} is sent a snapshot that cannot be loaded: {error}", self.me),
        };
        if !self.setup.has(EnsembleFault::KeepOldLog) {
            let done = self.logger.install_snapshot(&name, zxid);
            if self.logged(done).is_none() {
                return;
            }
        }
        self.truth.borrow().install(self.me, zxid, tree.digest());
        let shared = Arc::clone(&self.tree);
        let mut writer = shared.write();
        writer.replace(tree);
        writer.commit(|_| {});
        self.learner.on_installed(zxid);
        self.note("snapshots installed");
        if is_current {
            self.on_installed();
        }
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
                Err(error) => {
                    self.ended.get_or_insert(error.to_string());
                    return;
                }
            }
        };
        let (name, footer) = taken;
        match self.logger.add_snapshot(&name, footer.zxid) {
            Err(LogFailure::SnapshotAhead { .. }) => self.note("snapshots ahead of the log"),
            done => {
                if self.logged(done).is_none() {
                    return;
                }
                self.note("snapshots kept");
                let purged = self.logger.purge(self.setup.keep);
                if let Some(purged) = self.logged(purged)
                    && purged.segments > 0
                {
                    self.note("logs purged");
                }
            }
        }
    }

    /// The newest snapshot's bytes, and the last txn in it; one is taken if there is none.
    pub(super) fn newest_snapshot(&mut self) -> Option<(Zxid, Vec<u8>)> {
        if self.logger.newest_snapshot().is_none() {
            self.snapshot();
        }
        let entry = self.logger.newest_snapshot()?;
        let file = self.disk.open(&entry.name).ok()?;
        let mut bytes = vec![0; file.len().ok()? as usize];
        let read = file.read_at(&mut bytes, 0).ok()?;
        (read == bytes.len()).then_some((entry.zxid, bytes))
    }

    /// Our log's start, its last txn at or before each of `wanted`, and what the newest snapshot spares from there.
    pub(super) fn search(&self, wanted: &[Zxid]) -> io::Result<Searched> {
        let log_start = self.logger.log_start();
        let snapshot = self.logger.newest_snapshot();
        let snapshot_bytes = match &snapshot {
            Some(entry) => self.disk.open(&entry.name).and_then(|file| file.len()).unwrap_or(0),
            None => 0,
        };
        let mut floors = vec![(log_start, 0); wanted.len()];
        self.each_logged(log_start, |zxid, payload| {
            for ((floor, spared), wanted) in floors.iter_mut().zip(wanted) {
                if zxid <= *wanted {
                    *floor = zxid;
                } else if snapshot.as_ref().is_some_and(|it| zxid <= it.zxid) {
                    *spared += payload.len() as u64;
                }
            }
        })?;
        Ok(Searched { log_start, floors, snapshot_bytes })
    }

    /// The txns of our log after `after` up to `upto`.
    pub(super) fn logged_between(&self, after: Zxid, upto: Zxid) -> io::Result<Vec<Txn>> {
        let mut txns = Vec::new();
        self.each_logged(after, |zxid, payload| {
            if zxid <= upto {
                txns.push(codec::decode::<Txn, TXN_LIMIT>(payload).expect("what was logged is a txn"));
            }
        })?;
        Ok(txns)
    }

    fn each_logged(&self, after: Zxid, mut each: impl FnMut(Zxid, &[u8])) -> io::Result<()> {
        let mut reader = self.logger.reader(Zxid(after.0 + 1))?;
        while let Some((zxid, payload)) = reader.next_record()? {
            each(zxid, payload);
        }
        Ok(())
    }
}

/// What a stream of a snapshot's file is cut into.
pub(super) const PIECE: usize = 4 << 10;
