//! What a client arbiter must do because of what was applied: one queue per arbiter, in zxid order.
//!
//! - F1  The Learner appends while it holds the tree's write lock and before the tree's zxid is seen to
//!   move; so whoever reads zxid Z under the tree's guard finds everything up to Z in its feed.
//! - F2  Only the arbiter's own thread drains. Nothing leaves a connection with header zxid Z before
//!   the feed is drained through Z.
//! - F3  `append` says when the feed was empty: exactly then the arbiter must be woken.

mod backlog;
#[cfg(test)]
mod shuttled;
/// What [`backlog`] is made of; a test puts a model checker's in its place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    pub(super) use parking_lot::Mutex;
}

use std::sync::Arc;

use bytestring::ByteString;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, ConnId, SessionId};
use paddock_messages::znode::Acl;
use paddock_messages::zxid::Zxid;

use self::backlog::Backlog;

/// One thing to do, at its place in the order.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedItem {
    /// A znode changed; whoever watches it and may read it is told.
    Event {
        /// The txn that did it.
        zxid: Zxid,
        /// What happened.
        kind: EventKind,
        /// Where.
        path: ByteString,
        /// Which watch table it concerns.
        table: WatchTable,
        /// The ACL that decides who may know, as of the change; `None` where everybody may.
        acl: Option<Arc<[Acl]>>,
    },
    /// A write of this connection's session is applied, or refused.
    Reply {
        /// Whose.
        conn: ConnId,
        /// The client's.
        xid: i32,
        /// The txn's.
        zxid: Zxid,
        /// How it ended.
        outcome: Outcome,
    },
    /// A write of this connection's session was in flight when the leader was lost, and is applied. What stood
    /// before it may be lost, and then nobody can be told of it.
    LateReply {
        /// Whose.
        conn: ConnId,
        /// The client's.
        xid: i32,
        /// The txn's.
        zxid: Zxid,
        /// How it ended.
        outcome: Outcome,
    },
    /// A sync of this connection has been passed.
    Synced {
        /// Whose.
        conn: ConnId,
        /// The client's.
        xid: i32,
        /// The last zxid applied then.
        zxid: Zxid,
        /// Echoed.
        path: Option<ByteString>,
    },
    /// A sync of the arbiter's own has been passed: the reads that waited for it may begin.
    ReadsSynced {
        /// Which.
        number: u64,
        /// The last zxid applied then.
        zxid: Zxid,
    },
    /// A read that stood between two writes of its session has been executed.
    Read {
        /// Whose.
        conn: ConnId,
        /// The client's.
        xid: i32,
        /// The last zxid applied then.
        zxid: Zxid,
        /// What the tree said. In a box: nearly all items are replies, and those are small.
        answer: Box<ReadAnswer>,
    },
    /// The handshake succeeded: a new session, or an old one that is this connection's from here on.
    Attached {
        /// Whose.
        conn: ConnId,
        /// Its session.
        session: SessionId,
        /// Goes with each of its writes.
        attach: AttachNumber,
        /// Granted, in ms.
        timeout_ms: i32,
    },
    /// The session that the handshake named is unknown or closing.
    AttachRefused {
        /// Whose.
        conn: ConnId,
    },
    /// The connection is to be closed.
    Close {
        /// Which.
        conn: ConnId,
        /// For the log.
        why: CloseReason,
    },
}

/// Why the server ends a connection whose client did nothing wrong on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its session was closed: expired, or closed through another connection.
    SessionEnded,
    /// Its session attached to another connection.
    SessionMoved,
    /// The session that its handshake asked for, new or not, was not given to it: the disk is full, or too
    /// many wait for it, or the session's end does.
    SessionNotBegun,
}

/// The two tables of watches. Source: DataTree.dataWatches, childWatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchTable {
    /// exists, getData, persistent and persistent recursive watches.
    Data,
    /// getChildren and persistent watches.
    Child,
    /// The deletion of a znode in both: a connection that the data table told is not told again.
    Both,
}

/// What a read found, when the Learner executed it for the arbiter.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadAnswer {
    /// The reply's error and body, and the watch to register now.
    Tree {
        /// 0, or the header's error code.
        err: Option<ErrorCode>,
        /// What follows the header.
        body: Vec<u8>,
        /// A one-shot watch on this path.
        watch: Option<(ByteString, WatchTable)>,
        /// For the metrics: what was read from, and how many bytes of data or names.
        found: Option<(ByteString, u64)>,
    },
    /// It asks only for what the arbiter knows (watches, identities, ping): answer it now.
    Local(Read),
    /// setWatches.
    SetWatches(CatchUp),
}

/// What setWatches comes to: in the order in which the client listed the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// Changes the client missed; sent at once.
    pub missed: Vec<(EventKind, ByteString)>,
    /// Standard watches to register.
    pub register: Vec<(ByteString, WatchTable)>,
    /// Persistent watches to register: path, whether recursive.
    pub persistent: Vec<(ByteString, bool)>,
}

impl ReadAnswer {
    /// Bytes of memory that it holds, about; never 0.
    pub fn weight(&self) -> usize {
        64 + match self {
            Self::Tree { body, .. } => body.len(),
            Self::Local(_) => 0,
            Self::SetWatches(CatchUp { missed, register, persistent }) => {
                64 * (missed.len() + register.len() + persistent.len())
            }
        }
    }
}

/// The queue between the Learner and one client arbiter.
#[derive(Debug, Default)]
pub struct Feed(Backlog<FeedItem>);

impl Feed {
    /// An empty one; `upto` is the tree's last zxid.
    pub fn new(upto: Zxid) -> Self {
        Self(Backlog::new(upto))
    }

    /// Adds everything of `items` (left empty), which reaches through `upto`. To be called under the
    /// tree's write lock (F1). True if nothing was waiting: wake the arbiter (F3).
    pub fn append(&self, items: &mut Vec<FeedItem>, upto: Zxid) -> bool {
        let weight =
            |item: &FeedItem| if let FeedItem::Read { answer, .. } = item { answer.weight() } else { 0 };
        let weight = items.iter().map(weight).sum();
        self.0.append(items, upto, weight)
    }

    /// Bytes of the answers to reads that wait.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Takes everything that waits into `into` (which must be empty), and says through which zxid.
    pub fn drain(&self, into: &mut Vec<FeedItem>) -> Zxid {
        self.0.drain(into)
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the Learner how many watches the arbiter has; to be called under the tree's read guard
    /// when one is added, so that no change after it can miss it.
    pub fn set_watches(&self, count: usize) {
        self.0.set_watches(count);
    }

    /// How many watches the arbiter told of last.
    pub fn watches(&self) -> usize {
        self.0.watches()
    }

    /// Whether events are wanted; exact under the tree's write lock.
    pub fn has_watches(&self) -> bool {
        self.0.has_watches()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close() -> FeedItem {
        FeedItem::Close { conn: ConnId { slot: 0, generation: 0 }, why: CloseReason::SessionEnded }
    }

    #[test]
    fn f3_only_an_idle_feed_asks_for_a_wake() {
        let feed = Feed::new(Zxid(5));
        let mut into = Vec::new();
        assert!(!feed.append(&mut vec![], Zxid(5)), "nothing came");
        assert!(feed.append(&mut vec![], Zxid(6)), "the zxid moved: pings may answer it");
        assert!(!feed.append(&mut vec![close()], Zxid(7)), "a wake is under way");
        assert_eq!(feed.drain(&mut into), Zxid(7));
        assert_eq!(into.len(), 1);
        into.clear();
        assert!(feed.append(&mut vec![close()], Zxid(8)));
    }

    #[test]
    #[should_panic(expected = "F1")]
    fn f1_a_feed_never_goes_back() {
        Feed::new(Zxid(5)).append(&mut vec![], Zxid(4));
    }
}
