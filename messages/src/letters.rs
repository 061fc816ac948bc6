//! The typed messages that actors post, by who receives them. Each crosses a thread at most once per
//! batch, never once per request.

use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::client::request::{Read, Write};
use crate::error_code::ErrorCode;
use crate::ids::{AttachNumber, ClientRef, ServerId, SessionId};
use crate::txn::Txn;
use crate::znode::Id;
use crate::zxid::Zxid;

/// To the member's Learner, from one of its client arbiters: what clients asked, in the order in which
/// it came from each of them.
#[derive(Debug, Default)]
pub struct Submissions {
    /// The generation of the role in which the member served them.
    pub role: u64,
    /// In order.
    pub items: Vec<Submission>,
}

/// One thing a client asked that needs the leader, or must wait behind something that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// A handshake for a new session. The Learner gives it an id.
    Open {
        /// Who is answered.
        client: ClientRef,
        /// Negotiated, in ms.
        timeout_ms: i32,
    },
    /// A handshake for a session the client says it has; its password was right.
    Attach {
        /// Who is answered.
        client: ClientRef,
        /// The session it names.
        session: SessionId,
        /// Negotiated, in ms; replaces the session's.
        timeout_ms: i32,
    },
    /// A request that takes a zxid.
    Write {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// What for.
        write: Write,
    },
    /// A sync.
    Sync {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// Echoed in the reply.
        path: Option<ByteString>,
    },
    /// A read that stands between two writes (or syncs) of its session: answered right behind the first.
    Read {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// What for.
        read: Read,
    },
    /// The arbiter's own sync, for all reads that wait for it (`linearizableReads`).
    SyncReads {
        /// Who is answered.
        arbiter: u16,
        /// By which the answer is known.
        number: u64,
    },
    /// A connection outlived its leader: may it go on with its session?
    Revalidate {
        /// Who is answered.
        client: ClientRef,
        /// Its session.
        session: SessionId,
        /// Through which of its attachments.
        attach: AttachNumber,
        /// The session's, in ms.
        timeout_ms: i32,
    },
    /// The connection's session, which is this member's alone, is to become everybody's: what is asked behind
    /// this needs that.
    Upgrade {
        /// Which.
        session: SessionId,
        /// Through which of its attachments.
        attach: AttachNumber,
    },
}

/// Whose request it is, and what its ACL checks go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The session.
    pub session: SessionId,
    /// Through which of its attachments.
    pub attach: AttachNumber,
    /// The connection's identities when the request came.
    pub ids: Arc<[Id]>,
}

/// What a member's clients ask of the leader's Proposer, in the order in which the member got it.
#[derive(Debug)]
pub struct Requests {
    /// Which member.
    pub member: ServerId,
    /// What its clients asked.
    pub items: Vec<Request>,
}

/// One request to the leader. Members send it: what is new comes last ([`crate::frame`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Begin this session.
    Open {
        /// Chosen by the member, unique for ever.
        session: SessionId,
        /// In ms.
        timeout_ms: i32,
    },
    /// Give this session a new attach number.
    Attach {
        /// Who is answered, on the member that asked.
        client: ClientRef,
        /// Which session.
        session: SessionId,
        /// In ms; replaces the session's.
        timeout_ms: i32,
    },
    /// A write.
    Write {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// What for.
        write: Write,
    },
    /// Tell when all that was proposed before this is applied.
    Sync {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// Echoed in the reply.
        path: Option<ByteString>,
    },
    /// May this connection, which outlived its leader, go on with its session? ZooKeeper's REVALIDATE. Answered
    /// like an attach; the attachment keeps its number, and one that is heard of with a higher number wins.
    Revalidate {
        /// Who is answered, on the member that asks.
        client: ClientRef,
        /// Its session.
        session: SessionId,
        /// Through which of its attachments.
        attach: AttachNumber,
        /// The session's, in ms.
        timeout_ms: i32,
    },
    /// Tell when all that was proposed before this is applied: a sync of a whole client arbiter, for its reads.
    SyncReads {
        /// Which arbiter of the member that asks.
        arbiter: u16,
        /// By which the arbiter knows the answer.
        number: u64,
    },
    /// Begin this session, which was the member's alone: it keeps its id, and the attachment its number.
    Upgrade {
        /// Which session.
        session: SessionId,
        /// The member's own number: [`AttachNumber::is_local`].
        attach: AttachNumber,
        /// In ms.
        timeout_ms: i32,
    },
    /// A write of a session that is the member's alone: nobody else knows whether it lives.
    LocalWrite {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// What for.
        write: Write,
    },
    /// The same, a sync.
    LocalSync {
        /// Who asks.
        from: Asker,
        /// The client's xid.
        xid: i32,
        /// Echoed in the reply.
        path: Option<ByteString>,
    },
}

impl Request {
    /// How many bytes it may take in a frame, about, and rather more.
    pub fn bound(&self) -> usize {
        const FIXED: usize = 96;
        let ids = |from: &Asker| from.ids.iter().map(|id| 32 + id.scheme.len() + id.id.len()).sum::<usize>();
        match self {
            Self::Open { .. }
            | Self::Attach { .. }
            | Self::Revalidate { .. }
            | Self::SyncReads { .. }
            | Self::Upgrade { .. } => FIXED,
            Self::Write { from, write, .. } | Self::LocalWrite { from, write, .. } => {
                FIXED + ids(from) + write.bound()
            }
            Self::Sync { from, path, .. } | Self::LocalSync { from, path, .. } => {
                FIXED + ids(from) + path.as_ref().map_or(0, |path| path.len())
            }
        }
    }
}

/// To the Proposer, from the leader's own actors: writes that no client asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Internal {
    /// These sessions' time is up, as of this attachment. One that is closing already, or has attached
    /// anew since, is passed over.
    Expire(Vec<(SessionId, AttachNumber)>),
    /// These containers and TTL znodes look due; each is checked again.
    Reap(Vec<ByteString>),
    /// `/zookeeper/config` is to name these members: a line for each, each with its end, without a version.
    Configure(Arc<str>),
    /// The feature level is to be this one. Whoever asks has seen that every member can read it (FL4).
    RaiseLevel(u8),
}

/// To a Learner, from the leader's Proposer: in order, each once. One batch in memory serves the log, the
/// tree and every member's link.
#[derive(Debug)]
pub struct Proposals {
    /// The generation of the role.
    pub role: u64,
    /// In order.
    pub items: Arc<Vec<Proposal>>,
}

/// What a Learner appends, or keeps in its place in the order. Members send it: what is new comes last
/// ([`crate::frame`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// To be logged, acked, and applied once committed.
    Txn(Txn),
    /// An attach was granted, or one of before revalidated, in order with the writes; not logged.
    Attached {
        /// Whose client it is.
        member: ServerId,
        /// Who is answered there.
        client: ClientRef,
        /// Which session.
        session: SessionId,
        /// Its attach number.
        attach: AttachNumber,
        /// In ms.
        timeout_ms: i32,
    },
    /// There is no such session, or it is closing; of a revalidation, or it has attached elsewhere.
    AttachRefused {
        /// Whose client it is.
        member: ServerId,
        /// Who is answered there.
        client: ClientRef,
        /// Which session it named.
        session: SessionId,
    },
    /// All proposed before this is committed once this is reached, and the leader still led when it was asked.
    Synced {
        /// The how manyth of the reign that must be confirmed; 0 if a quorum of one has done so.
        number: u64,
        /// Which session asked.
        session: SessionId,
        /// Through which attachment.
        attach: AttachNumber,
        /// The client's xid.
        xid: i32,
        /// Echoed.
        path: Option<ByteString>,
    },
    /// Refused without a zxid: writes while the disk is full, a sync of a session that is gone or has
    /// moved. Answered in its place in the session's order.
    Refused {
        /// Which session asked.
        session: SessionId,
        /// Through which attachment.
        attach: AttachNumber,
        /// The client's xid.
        xid: i32,
        /// Why.
        code: ErrorCode,
    },
    /// As [`Self::Synced`], for a client arbiter's reads.
    ReadsSynced {
        /// The how manyth of the reign that must be confirmed; 0 if a quorum of one has done so.
        number: u64,
        /// Whose arbiter it is.
        member: ServerId,
        /// Which.
        arbiter: u16,
        /// The arbiter's own number of it.
        upto: u64,
    },
}

impl Proposal {
    /// What is to be logged, if anything.
    pub fn txn(&self) -> Option<&Txn> {
        if let Self::Txn(txn) = self { Some(txn) } else { None }
    }

    /// The feature level without which it cannot be read.
    pub fn level(&self) -> u8 {
        self.txn().map_or(0, |txn| txn.body.level())
    }
}

/// To a Learner, from the leader's Proposer: these handshakes will not be granted. They stand behind
/// nothing, so they do not wait for their place in the order: each connection is closed at once, without an
/// answer unless its session has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// The generation of the role.
    pub role: u64,
    /// Which.
    pub handshakes: Vec<Handshake>,
}

/// A handshake that is not granted. Members send it: what is new comes last ([`crate::frame`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handshake {
    /// This session is not begun: the disk is full, or too much waits for it.
    Open(SessionId),
    /// The session that this connection names has ended, or never was, and that is committed.
    Ended(ClientRef),
    /// This connection's attach is not granted, whatever becomes of the session.
    Attach {
        /// Whose connection.
        client: ClientRef,
        /// The session attaches through another connection; otherwise too much waits for the disk.
        has_moved: bool,
    },
}

/// `from` has every proposal up to `upto` on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which member.
    pub from: ServerId,
    /// Its last durable zxid.
    pub upto: Zxid,
}

/// To a Learner: everything up to `upto`, and what stands right behind it in the order, is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The generation of the role.
    pub role: u64,
    /// The last committed zxid.
    pub upto: Zxid,
}

/// To the SessionTracker, from a client arbiter, several times a tick even when it has nothing to tell.
#[derive(Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which arbiter.
    pub arbiter: u16,
    /// It has told of every sign of life it met before this time of the monotonic clock, in ms.
    pub as_of_ms: u64,
    /// Which sessions gave one since its last message.
    pub sessions: Vec<SessionId>,
}

/// To a client arbiter, from the SessionTracker: these of its sessions were silent for longer than their
/// timeout, as far as it has reported. It asks the Proposer to expire those to which it has promised
/// nothing since.
#[derive(Debug, PartialEq, Eq)]
pub struct Silent {
    /// The generation of the role in which they were found.
    pub role: u64,
    /// As of these attachments.
    pub sessions: Vec<(SessionId, AttachNumber)>,
}

/// To the SessionTracker, from the Learner: which sessions began and ended, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SessionChanges(pub Vec<SessionChange>);

/// Who serves a session, and tells of its signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    /// A client arbiter of this member.
    Arbiter(u16),
    /// Another member.
    Member(ServerId),
    /// Nobody, as far as is known: its member is gone, or its leader was.
    Nobody,
}

/// A session's beginning, change or end, as applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// It began, attached anew, or was found at the start: a full timeout from now.
    Lives {
        /// Which.
        session: SessionId,
        /// Through which attachment; the default for one found at the start.
        attach: AttachNumber,
        /// In ms.
        timeout_ms: i32,
        /// Who serves it from now on.
        home: Home,
    },
    /// It is closed.
    Ended(SessionId),
    /// The same as `Lives`, of a session that is this member's alone.
    LocalLives {
        /// Which.
        session: SessionId,
        /// Through which attachment.
        attach: AttachNumber,
        /// In ms.
        timeout_ms: i32,
        /// The client arbiter that serves it from now on.
        arbiter: u16,
    },
    /// It is closed, or everybody's from now on.
    LocalEnded(SessionId),
}

/// To a WatchDispatcher, from the Learner: its arbiter's feed, which was empty, is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedReady;
