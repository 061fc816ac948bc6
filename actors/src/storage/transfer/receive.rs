//! A snapshot that comes in pieces becomes a file, and a tree.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use paddock_messages::codec;
use paddock_messages::mail::Bound;
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;

use super::Pace;
use crate::runtime::{Env, Kinds, ThreadInbox, ThreadOutbox, thread_mail};
use crate::storage::snapshot_files::TXN_LIMIT;
use crate::storage::stream::FileReader;
use crate::storage::{Disk, DiskFile, LogView, is_full, snapshot, snapshot_name};
use crate::tree::{DataTree, Events, TreeOptions};

/// What an incoming snapshot is called until it is whole: this, a number, and [`TMP`].
const INCOMING: &str = "snapshot.received-";
const TMP: &str = ".tmp";
/// Of the next one: a receiver that is given up may still write when another begins.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Whether a file of this name is, or was, a snapshot on its way in.
pub(in crate::storage) fn is_incoming(name: &str) -> bool {
    name.starts_with(INCOMING) && name.ends_with(TMP)
}

/// A snapshot that is whole and durable. It stands for the history once the Logger has installed it.
#[derive(Debug)]
pub struct Received {
    /// Its file.
    pub name: String,
    /// Everything up to this txn is in it, as the leader said.
    pub zxid: Zxid,
    /// What it holds; with the txns of our own log behind it, if that stays.
    pub tree: DataTree,
    /// It takes the place of the snapshots here, and not of the log.
    pub keeps_log: bool,
}

/// Our own log, of which the txns up to this one are to be applied behind the snapshot.
pub type Behind = (io::Result<LogView>, Zxid);

enum Order {
    /// The room it takes is given back once it is written.
    Piece(Vec<u8>, Box<dyn Send>),
    Finish(Zxid, TreeOptions, Option<Box<Behind>>),
}

impl Kinds for Order {
    const NAMES: &'static [&'static str] = &["Piece", "Finish"];

    fn kind(&self) -> usize {
        match self {
            Self::Piece(..) => 0,
            Self::Finish(..) => 1,
        }
    }
}

/// Orders of a kind that may wait. The room that goes with each piece is the true bound, and far below this.
const BOUND: Bound = Bound::Admitted(1 << 20);

/// Takes in one snapshot, on a thread of its own. Dropped before [`finish`](Self::finish), it leaves nothing
/// behind, and its callback is dropped uncalled.
pub struct SnapshotReceiver {
    orders: ThreadOutbox<Order>,
}

impl SnapshotReceiver {
    /// Starts the thread. `done` is called there, once: with what was received, or with file and reason. `label`
    /// is what the leader is called in the log of the process; the thread's mail is metered in `env`. Fails if the
    /// operating system has no thread to give.
    pub fn start<D: Disk>(
        disk: D,
        label: String,
        env: &Env,
        done: impl FnOnce(Result<Received, String>) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, inbox) = thread_mail("snapshot_receiver", BOUND, env);
        let job = move || {
            let name = format!("{INCOMING}{}{TMP}", NEXT.fetch_add(1, Relaxed));
            let receiving = Receiving { disk: &disk, name: &name, label: &label };
            let received = catch_unwind(AssertUnwindSafe(|| receiving.run(&inbox)));
            drop(inbox); // and the room of what waits there
            if !matches!(received, Ok(Ok(Some(_)))) {
                let _ = disk.remove(&name); // the next start tries again
            }
            match received {
                Ok(Ok(Some(received))) => done(Ok(received)),
                Ok(Ok(None)) => tracing::info!(from = %label, "a snapshot was not received to its end"),
                Ok(Err(why)) => done(Err(why)),
                Err(_) => done(Err("receiving a snapshot: a panic, which was written to stderr".into())),
            }
        };
        std::thread::Builder::new().name("receive-snapshot".into()).spawn(job)?;
        Ok(Self { orders })
    }

    /// The next bytes of the file. Never waits: `room` is dropped once they are written, or not needed any
    /// more, and whoever reads the lane waits when it has none left.
    pub fn piece(&self, bytes: Vec<u8>, room: impl Send + 'static) {
        let _ = self.orders.post(Order::Piece(bytes, Box::new(room))); // to no thread: `done` has said why
    }

    /// The file is whole, and should hold everything up to `zxid`.
    pub fn finish(self, zxid: Zxid, options: TreeOptions) {
        let _ = self.orders.post(Order::Finish(zxid, options, None));
    }

    /// The same; the tree is to have what our own log holds behind it, too.
    pub fn finish_behind(self, zxid: Zxid, options: TreeOptions, log: Behind) {
        let _ = self.orders.post(Order::Finish(zxid, options, Some(Box::new(log))));
    }
}

struct Receiving<'a, D> {
    disk: &'a D,
    name: &'a str,
    label: &'a str,
}

impl<D: Disk> Receiving<'_, D> {
    /// `None` if it was given up.
    fn run(&self, orders: &ThreadInbox<Order>) -> Result<Option<Received>, String> {
        let path = self.disk.path(self.name);
        tracing::info!(from = %self.label, file = %path.display(), "receiving a snapshot");
        let file = self.disk.create(self.name).map_err(|error| failed(&path, &error))?;
        let (mut at, mut pace) = (0, Pace::new());
        let (zxid, options, log, _opened) = loop {
            let Ok(mail) = orders.queue.recv() else { return Ok(None) };
            let (order, opened) = mail.open();
            match order {
                Order::Piece(bytes, room) => {
                    file.write_at(&bytes, at).map_err(|error| failed(&path, &error))?;
                    at += bytes.len() as u64;
                    drop((bytes, room));
                }
                Order::Finish(zxid, options, log) => break (zxid, options, log, opened),
            }
            if pace.is_due() {
                tracing::info!(from = %self.label, bytes = at, "still receiving a snapshot");
            }
        };
        file.sync_data().map_err(|error| failed(&path, &error))?;
        let began = Instant::now();
        tracing::info!(from = %self.label, bytes = at, upto = %zxid, "a snapshot is received; loading it");
        let mut tree = snapshot::load(&path, FileReader::new(file), options)
            .map_err(|error| format!("the snapshot that {} sent cannot be loaded: {error}", self.label))?;
        let holds = tree.last_zxid();
        if !stands_for(holds, zxid) {
            let (label, path) = (self.label, path.display());
            return Err(format!(
                "{path}: the snapshot that {label} sent is of {holds}, not of {zxid} as it said"
            ));
        }
        let keeps_log = log.is_some();
        if let Some(log) = log {
            replay(&mut tree, zxid, *log)
                .map_err(|why| format!("the log behind a leader's snapshot: {why}"))?;
        }
        // As if it had been taken here; or, where it is not certain to take the place of one that has that name, by
        // one that no file has.
        let mut name = snapshot_name(holds);
        if keeps_log {
            let others = (1u64..).map(|number| format!("{}-{number}", snapshot_name(holds)));
            name = others.into_iter().find(|it| self.disk.open(it).is_err()).expect("numbers do not end");
        }
        let named = self.disk.rename(self.name, &name).and_then(|()| self.disk.sync_dir(&name));
        named.map_err(|error| failed(&self.disk.path(&name), &error))?;
        tracing::info!(file = %self.disk.path(&name).display(), ms = began.elapsed().as_millis() as u64, "the snapshot is loaded");
        Ok(Some(Received { name, zxid, tree, keeps_log }))
    }
}

/// Applies what the log holds behind `after`.
pub fn replay(tree: &mut DataTree, after: Zxid, (log, upto): Behind) -> Result<(), String> {
    let mut apply = |zxid, payload: &[u8]| match codec::decode::<Txn, TXN_LIMIT>(payload) {
        Ok(txn) => {
            tree.apply(&txn, &mut Events::unwanted());
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(format!("the txn {zxid} cannot be read: {error}")),
    };
    let log = log.map_err(|error| error.to_string())?;
    match log.each_between(after, upto, &mut apply) {
        Ok(ControlFlow::Continue(())) => Ok(()),
        Ok(ControlFlow::Break(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a tree that is at `holds` has everything up to `zxid` and nothing after. The start of an epoch is no
/// txn: such a tree stands for the last txn before.
pub(super) fn stands_for(holds: Zxid, zxid: Zxid) -> bool {
    holds == zxid || (holds.counter() == 0 && holds.epoch() > zxid.epoch())
}

fn failed(path: &Path, error: &io::Error) -> String {
    let advice =
        if is_full(error) { "free space for the snapshot that the leader sends" } else { "check the disk" };
    format!("{}: {error}; {advice}", path.display())
}
