//! The newest snapshot's file becomes frames.

use std::io;

use paddock_messages::quorum::{SyncStart, ToLearner};
use paddock_messages::zxid::Zxid;

use super::{Ended, Outlet, PIECE, Pace, spawn};
use crate::storage::{DiskFile, LogView};

/// Sends a learner SNAP and the view's snapshot. As [`spawn_log`](super::spawn_log); `done` is told the zxid
/// up to which the learner has everything then. Without a snapshot it fails, having sent nothing. Whether the
/// file is sound is for the receiver to find out.
pub fn spawn_snapshot(
    view: LogView,
    outlet: Outlet,
    done: impl FnOnce(Result<Zxid, String>) + Send + 'static,
) -> io::Result<()> {
    spawn("send-snapshot", outlet, done, move |outlet| send(view, outlet))
}

fn send(view: LogView, outlet: &Outlet) -> Result<Zxid, Ended> {
    let Some(snapshot) = view.into_snapshot() else {
        return Err(Ended::Failed("there is no snapshot yet that could be sent".into()));
    };
    let (zxid, path) = (snapshot.zxid, snapshot.path.display());
    let fail = |error: &dyn std::fmt::Display| Ended::Failed(format!("{path}: {error}; check the disk"));
    let file = snapshot.file.map_err(|error| fail(&error))?;
    let size = file.len().map_err(|error| fail(&error))?;
    if size == 0 {
        return Err(fail(&"this snapshot is an empty file"));
    }
    tracing::info!(to = %outlet.label, file = %path, upto = %zxid, bytes = size, "sending a snapshot");
    outlet.send(ToLearner::Sync(SyncStart::Snap(zxid)))?;
    let (mut at, mut pace) = (0, Pace::new());
    while at < size {
        let mut bytes = vec![0; (size - at).min(PIECE as u64) as usize];
        let read = file.read_at(&mut bytes, at).map_err(|error| fail(&error))?;
        if read < bytes.len() {
            return Err(fail(&format_args!(
                "it was {size} bytes long, and ends at byte {}",
                at + read as u64
            )));
        }
        at += read as u64;
        outlet.send(ToLearner::Snapshot { bytes, is_last: at == size })?;
        if pace.is_due() {
            let percent = u128::from(at) * 100 / u128::from(size);
            tracing::info!(to = %outlet.label, bytes = at, percent, "still sending a snapshot");
        }
    }
    Ok(zxid)
}
