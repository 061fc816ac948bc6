//! What a leader sends a learner from its disk, and what the learner makes of a snapshot: each transfer on a
//! thread of its own, beside the Logger and the cores.
//!
//! - S14 A learner is sent the txns of a log in order, without a gap, up to the very one that was asked; if
//!   they are not all there, that is said.
//! - S15 A received snapshot gets its name only once it is whole, checked and durable. Until then it has one
//!   that the next start deletes.
//!
//! Frames go through a short channel to whoever writes the lane: a slow learner holds up the thread, and
//! nobody else. Memory is bounded by the frames in it. When the lane is gone, and the channel with it, the
//! thread ends without a word.

mod log;
mod receive;
mod snapshot;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paddock_messages::frame::{Frame, FrameWriter};
use paddock_messages::quorum::ToLearner;
use paddock_messages::zxid::Zxid;
use tokio::sync::mpsc::{Receiver, Sender};

pub use log::{Span, spawn_log};
pub(super) use receive::is_incoming;
pub use receive::{Behind, Received, SnapshotReceiver, replay};
pub use snapshot::spawn_snapshot;

/// Bytes of a frame, unless one txn has more: large enough for few system calls, small enough that many
/// learners can be served at once.
pub const PIECE: usize = 256 << 10;
/// Frames that may wait for the lane.
const WAITING: usize = 8;
/// How often an operator is told how far it is.
const TELL: Duration = Duration::from_secs(5);

/// A frame, whole; or why no other follows: the lane is to be closed, for its learner has not got all.
pub type Part = Result<Bytes, String>;

/// From a transfer's thread to the writer of the lane.
pub fn channel() -> (Sender<Part>, Receiver<Part>) {
    tokio::sync::mpsc::channel(WAITING)
}

/// The way to one learner.
pub struct Outlet {
    /// As agreed on the lane.
    pub writer: FrameWriter,
    /// See [`channel`].
    pub to: Sender<Part>,
    /// What the learner is called in the log of the process.
    pub label: String,
}

/// Why a transfer ended early.
enum Ended {
    /// The lane is gone, and nobody waits for an answer.
    Gone,
    /// It cannot be gone on with.
    Failed(String),
}

impl Outlet {
    /// Waits for room in the channel. The bytes of the frame.
    fn send(&self, packet: ToLearner) -> Result<usize, Ended> {
        let mut bytes = Vec::new();
        let written = self.writer.write(&Frame::ToLearner(packet), &mut bytes);
        written.map_err(|error| Ended::Failed(format!("a frame cannot be written: {error}")))?;
        let size = bytes.len();
        self.to.blocking_send(Ok(bytes.into())).map_err(|_| Ended::Gone)?;
        Ok(size)
    }
}

/// Runs `send` on a thread called `name`, and tells `done` how it ended, unless the lane was gone.
fn spawn(
    name: &str,
    outlet: Outlet,
    done: impl FnOnce(Result<Zxid, String>) + Send + 'static,
    send: impl FnOnce(&Outlet) -> Result<Zxid, Ended> + Send + 'static,
) -> io::Result<()> {
    let job = move || {
        // Nothing but the lane is used after a panic.
        let sent = catch_unwind(AssertUnwindSafe(|| send(&outlet)))
            .unwrap_or_else(|_| Err(Ended::Failed("a panic, which was written to stderr".into())));
        let label = &outlet.label;
        match sent {
            Ok(zxid) => {
                tracing::info!(to = %label, upto = %zxid, "all is sent");
                done(Ok(zxid));
            }
            Err(Ended::Gone) => tracing::info!(to = %label, "the lane was closed before all was sent"),
            Err(Ended::Failed(why)) => {
                tracing::error!(to = %label, %why, "cannot send this learner what it lacks");
                done(Err(why.clone()));
                let _ = outlet.to.blocking_send(Err(why)); // if it is gone, nobody misses anything
            }
        }
    };
    std::thread::Builder::new().name(name.into()).spawn(job).map(drop)
}

/// When an operator is to be told again.
struct Pace(Instant);

impl Pace {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= TELL;
        if is_due {
            self.0 = Instant::now();
        }
        is_due
    }
}
