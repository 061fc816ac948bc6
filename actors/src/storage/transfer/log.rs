//! A part of the log becomes frames of proposals.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use paddock_messages::codec;
use paddock_messages::letters::Proposal;
use paddock_messages::quorum::ToLearner;
use paddock_messages::txn::Txn;
use paddock_messages::zxid::Zxid;

use super::{Ended, Outlet, Pace, spawn};
use crate::storage::LogView;
use crate::storage::snapshot_files::TXN_LIMIT;

/// Half of what a frame may have beside its last txn: each proposal has a byte of its own in it.
const MOST_BATCH: usize = 8 << 20;

/// Sends a learner the txns after `after` up to `upto`, which the view holds, in frames of up to `batch_bytes`
/// (at most 8 MiB; usually [`PIECE`](super::PIECE)) or one txn, and behind each what of it is committed: all up
/// to `committed` is. On a thread of its own: `done` is called there
/// once the last frame is in the channel, so what is then sent behind it comes behind it; or with why it could
/// not be; and is dropped if the lane is gone. Fails if the operating system has no thread to give.
pub fn spawn_log(
    view: LogView,
    Span { after, upto, committed }: Span,
    batch_bytes: usize,
    outlet: Outlet,
    done: impl FnOnce(Result<Zxid, String>) + Send + 'static,
) -> io::Result<()> {
    spawn("send-log", outlet, done, move |outlet| {
        tracing::info!(to = %outlet.label, %after, %upto, "sending txns of the log");
        let limit = batch_bytes.min(MOST_BATCH);
        let (items, pace) = (Vec::new(), Pace::new());
        let mut batch =
            Batch { outlet, limit, after, last: after, committed, items, bytes: 0, sent: 0, pace };
        let add = |zxid, payload: &[u8]| match batch.add(zxid, payload) {
            Ok(()) => ControlFlow::Continue(()),
            Err(ended) => ControlFlow::Break(ended),
        };
        match view.each_between(after, upto, add) {
            Err(error) => Err(Ended::Failed(format!("reading the log: {error}"))),
            Ok(ControlFlow::Break(ended)) => Err(ended),
            Ok(ControlFlow::Continue(())) => batch.end(upto),
        }
    })
}

/// A part of the log for a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// It begins behind this txn.
    pub after: Zxid,
    /// Its last.
    pub upto: Zxid,
    /// All up to here is known to be committed.
    pub committed: Zxid,
}

/// Txns of the next frame.
struct Batch<'a> {
    outlet: &'a Outlet,
    limit: usize,
    committed: Zxid,
    /// The txn before its first.
    after: Zxid,
    /// Its last.
    last: Zxid,
    items: Vec<Proposal>,
    bytes: usize,
    /// Bytes of the frames before.
    sent: usize,
    pace: Pace,
}

impl Batch<'_> {
    /// S14.
    fn add(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), Ended> {
        let begins = zxid.epoch() > self.last.epoch() && zxid.counter() == 1;
        if self.last.next() != Some(zxid) && !begins {
            let last = self.last;
            return Err(Ended::Failed(format!("{zxid} stands behind {last} in our log: txns are missing")));
        }
        if self.bytes + payload.len() > self.limit {
            self.send()?;
        }
        let txn = codec::decode::<Txn, TXN_LIMIT>(payload).map_err(|error| error.to_string());
        let txn = txn.and_then(|txn| match txn.header.zxid {
            own if own == zxid => Ok(txn),
            own => Err(format!("it calls itself {own}")),
        });
        let foreign = |why| Ended::Failed(format!("the txn {zxid} in our log cannot be decoded: {why}"));
        self.items.push(Proposal::Txn(txn.map_err(foreign)?));
        self.bytes += payload.len();
        self.last = zxid;
        Ok(())
    }

    fn send(&mut self) -> Result<(), Ended> {
        if self.items.is_empty() {
            return Ok(());
        }
        let items = Arc::new(std::mem::take(&mut self.items));
        self.sent += self.outlet.send(ToLearner::Proposals { after: self.after, items })?;
        let upto = self.last.min(self.committed);
        if upto > self.after {
            self.outlet.send(ToLearner::Commit { upto })?; // Z10
        }
        (self.after, self.bytes) = (self.last, 0);
        if self.pace.is_due() {
            tracing::info!(to = %self.outlet.label, upto = %self.last, bytes = self.sent, "still sending txns of the log");
        }
        Ok(())
    }

    /// S14.
    fn end(mut self, upto: Zxid) -> Result<Zxid, Ended> {
        if self.last != upto {
            let last = self.last;
            return Err(Ended::Failed(format!(
                "our log has no {upto}, up to which it was to be sent: {last} is the last"
            )));
        }
        self.send()?;
        Ok(upto)
    }
}
