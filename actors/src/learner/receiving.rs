//! A leader's snapshot on its way to this member's disk.

use paddock_messages::mail::Outbox;
use paddock_messages::zxid::Zxid;

use crate::peer_link::Room;
use crate::runtime::Env;
pub use crate::storage::transfer::Received;
use crate::storage::transfer::SnapshotReceiver;
use crate::storage::{Command, Disk, LoggerHandle, RealDisk};
use crate::tree::TreeOptions;

/// Mail from the thread that writes it: it is whole and can be put in place, or why not.
#[derive(Debug)]
pub struct SnapshotCame {
    /// The generation of the role it was sent to.
    pub role: u64,
    /// What came.
    pub received: Result<Received, String>,
}

/// Writes what comes, on a thread of its own for each snapshot.
pub struct Receiving {
    disk: RealDisk,
    options: TreeOptions,
    env: Env,
    /// The Learner.
    came: Outbox<SnapshotCame>,
    current: Option<SnapshotReceiver>,
}

impl Receiving {
    /// Trees are made with `options`; mail to the threads is metered in `env`; what has come is told to `came`.
    pub fn new(disk: RealDisk, options: TreeOptions, env: Env, came: Outbox<SnapshotCame>) -> Self {
        Self { disk, options, env, came, current: None }
    }

    /// The next piece; the first begins a snapshot. `room` is given back once it is written.
    pub(super) fn piece(&mut self, role: u64, from: &str, bytes: Vec<u8>, room: Option<Room>) {
        if self.current.is_none() {
            let came = self.came.clone();
            // A Learner that is gone needs no snapshot.
            let done = move |received| drop(came.post(SnapshotCame { role, received }));
            match SnapshotReceiver::start(self.disk.clone(), from.to_owned(), &self.env, done) {
                Ok(receiver) => self.current = Some(receiver),
                Err(error) => {
                    let received = Err(format!("no thread for a snapshot: {error}"));
                    drop(self.came.post(SnapshotCame { role, received }));
                }
            }
        }
        if let Some(receiver) = &self.current {
            receiver.piece(bytes, room);
        }
    }

    /// All of it has come.
    pub(super) fn finish(&mut self, zxid: Zxid) {
        if let Some(receiver) = self.current.take() {
            receiver.finish(zxid, self.options);
        }
    }

    /// The same; our own log up to `upto`, all of which is committed, stays behind it.
    pub(super) fn finish_behind(&mut self, zxid: Zxid, upto: Zxid, log: &LoggerHandle) -> Result<(), ()> {
        let (Some(receiver), options) = (self.current.take(), self.options) else { return Ok(()) };
        let answer = Box::new(move |view| receiver.finish_behind(zxid, options, (view, upto)));
        log.send(Command::View { answer }).map_err(drop)
    }

    /// It was received whole, and nobody needs it.
    pub(super) fn discard(&self, received: &Received) {
        if let Err(error) = self.disk.remove(&received.name) {
            tracing::warn!(
                file = received.name,
                "a snapshot that was not put in place is not deleted: {error}; the next start does it"
            );
        }
    }

    /// What has come so far is nothing to anybody any more.
    pub(super) fn forget(&mut self) {
        self.current = None;
    }
}
