//! Watch events, as a server sends them. Source: Watcher.Event, zookeeper.jute WatcherEvent.

use crate::client::{ReplyHeader, xid};
use crate::wire::{Wire, frame, write_str};
use crate::zxid::Zxid;

/// What happened to a znode. Types 5–7 are made by clients themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EventKind {
    /// It was created.
    Created = 1,
    /// It was deleted.
    Deleted = 2,
    /// Its data changed.
    DataChanged = 3,
    /// A child was created or deleted.
    ChildrenChanged = 4,
}

/// The only state a server reports: SyncConnected.
const STATE_SYNC_CONNECTED: i32 = 3;

/// Appends an event's frame. `zxid` is the txn that fired it, `None` for one made up by setWatches.
pub fn write_event(zxid: Option<Zxid>, kind: EventKind, path: &str, to: &mut Vec<u8>) {
    let zxid = zxid.map_or(-1, Zxid::to_wire);
    frame(to, |to| {
        ReplyHeader { xid: xid::EVENT, zxid, err: 0 }.write(to);
        (kind as i32).write(to);
        STATE_SYNC_CONNECTED.write(to);
        write_str(path, to);
    });
}
