//! Who is who: members, sessions, and which connection speaks for a session.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::zxid::Epoch;

/// A member of the ensemble, from `myid`: 1–254 recommended (255 would collide with TTL owners in
/// session ids). A server alone is 1 unless configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A client's session; 0 is none. Top byte: the id of the server that made it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub i64);

impl SessionId {
    /// What a client sends to ask for a new session; never a session's id.
    pub const NONE: Self = Self(0);
}

impl SessionId {
    /// Whether this server made it: its top byte is the low one of the server's id.
    pub const fn is_of(self, server: ServerId) -> bool {
        self.0 as u64 >> 56 == server.0 & 0xff
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Which attachment of a session to a connection a write came through. Each attach and reattach gets
/// a higher one from the leader; a write with an older one is refused as moved (-118).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachNumber {
    /// The epoch of the leader that gave it.
    pub epoch: Epoch,
    /// The how manyth of that epoch, from 1. Never wraps: 2^64 reattaches.
    pub counter: u64,
}

impl AttachNumber {
    /// The `nth` number, from 1, that a member gives to attachments of sessions that are its alone: of no
    /// leader's epoch. It stays the attachment's when the session becomes everybody's.
    pub const fn local(nth: u64) -> Self {
        Self { epoch: Epoch(0), counter: nth }
    }

    /// Whether a member gave it, and no leader.
    pub const fn is_local(self) -> bool {
        self.epoch.0 == 0 && self.counter > 0
    }
}

impl fmt::Debug for AttachNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.epoch.0, self.counter)
    }
}

/// A connection to a client, within its client arbiter. A slot that is used again gets another
/// generation, so that mail about a closed connection reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnId {
    /// Which place in the arbiter's table.
    pub slot: u32,
    /// The how manyth connection in that place.
    pub generation: u32,
}

/// A connection to a client of this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientRef {
    /// Which client arbiter it lives on, from 0.
    pub arbiter: u16,
    /// Which of its connections.
    pub conn: ConnId,
}
