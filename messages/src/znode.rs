//! What a client sees of a znode: its stat, its ACL, and the ways to create one.

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::wire::record;

record! {
    /// The stat of a znode as clients see it, 68 bytes. Source: zookeeper.jute, Stat.
    #[derive(Copy, Default)]
    pub struct Stat {
        /// The txn that created it.
        pub czxid: i64,
        /// The txn that last changed its data.
        pub mzxid: i64,
        /// When it was created, in ms since 1970 by the leader's clock.
        pub ctime: i64,
        /// When its data last changed, likewise.
        pub mtime: i64,
        /// Changes of its data.
        pub version: i32,
        /// Children created plus children deleted: 2 × the stored counter − the children there are.
        pub cversion: i32,
        /// Changes of its ACL.
        pub aversion: i32,
        /// The session that owns an ephemeral; 0 for every other kind, containers and TTL included.
        pub ephemeral_owner: i64,
        /// Bytes of data; 0 for null.
        pub data_length: i32,
        /// Children there are.
        pub num_children: i32,
        /// The txn that last created or deleted a child.
        pub pzxid: i64,
    }
}

/// What an ACL entry permits, as bits; unknown higher bits are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data, list children.
    pub const READ: Self = Self(1);
    /// Set data.
    pub const WRITE: Self = Self(2);
    /// Create a child.
    pub const CREATE: Self = Self(4);
    /// Delete a child.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);
    /// Either suffices to see an ACL.
    pub const READ_OR_ADMIN: Self = Self(17);

    /// Whether any bit of `needed` is granted.
    pub const fn grants(self, needed: Self) -> bool {
        self.0 & needed.0 != 0
    }
}

/// Who someone is: a scheme (`world`, `ip`, `digest`, …) and a name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Id {
    /// The scheme that knows how to compare names.
    pub scheme: ByteString,
    /// The name, in the scheme's own format.
    pub id: ByteString,
}

impl Id {
    /// From its two parts.
    pub fn new(scheme: impl Into<ByteString>, id: impl Into<ByteString>) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }

    /// Everybody: `world:anyone`.
    pub fn anyone() -> Self {
        Self { scheme: ByteString::from_static("world"), id: ByteString::from_static("anyone") }
    }
}

/// One entry of a stored ACL: these permissions for that identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// What is permitted.
    pub perms: Perms,
    /// To whom.
    pub id: Id,
}

impl Acl {
    /// The open list: everything to everybody.
    pub fn open() -> Vec<Self> {
        vec![Self { perms: Perms::ALL, id: Id::anyone() }]
    }

    /// Everybody may read, nobody may write.
    pub fn read_only() -> Vec<Self> {
        vec![Self { perms: Perms::READ, id: Id::anyone() }]
    }
}

record! {
    /// An ACL entry as it travels: a client may leave scheme or id null. Source: zookeeper.jute, ACL.
    pub struct AclEntry {
        pub perms: i32,
        pub scheme: Option<ByteString>,
        pub id: Option<ByteString>,
    }
}

impl From<&Acl> for AclEntry {
    fn from(acl: &Acl) -> Self {
        Self { perms: acl.perms.0, scheme: Some(acl.id.scheme.clone()), id: Some(acl.id.id.clone()) }
    }
}

/// What a create asks for besides the opcode: how long the znode lives and whether it gets a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum CreateMode {
    /// Lives until deleted.
    Persistent = 0,
    /// Lives as long as its session.
    Ephemeral = 1,
    /// Persistent, with a number from its parent's counter appended.
    PersistentSequential = 2,
    /// Ephemeral, numbered.
    EphemeralSequential = 3,
    /// Deleted by the server some time after its last child.
    Container = 4,
    /// Deleted by the server when unchanged and childless for its TTL.
    PersistentWithTtl = 5,
    /// With a TTL, numbered.
    PersistentSequentialWithTtl = 6,
}

impl CreateMode {
    /// The mode with this flag, if there is one. Source: ZooKeeper's CreateMode.fromFlag.
    pub fn from_flag(flag: i32) -> Option<Self> {
        Some(match flag {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentWithTtl,
            6 => Self::PersistentSequentialWithTtl,
            _ => return None,
        })
    }

    /// Whether the session owns the znode.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether a number is appended to the path.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether it asks for a TTL.
    pub fn is_ttl(self) -> bool {
        matches!(self, Self::PersistentWithTtl | Self::PersistentSequentialWithTtl)
    }
}

/// Who or what decides the end of a znode's life; ZooKeeper's `ephemeralOwner` field, decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// Nobody: it lives until deleted.
    #[default]
    Persistent,
    /// The session whose end is its end.
    Session(SessionId),
    /// The server, once it has had children and has none.
    Container,
    /// The server, once unchanged and childless for this many ms, 1 to [`Owner::TTL_MAX_MS`].
    Ttl(u64),
}

impl Owner {
    /// The longest TTL, in ms: 40 bits.
    pub const TTL_MAX_MS: i64 = (1 << 40) - 1;

    /// As ZooKeeper stores it. Source: `EphemeralType`.
    pub fn to_stored(self) -> i64 {
        match self {
            Self::Persistent => 0,
            Self::Session(session) => session.0,
            Self::Container => i64::MIN,
            Self::Ttl(ms) => (0xFF00_0000_0000_0000 | ms) as i64,
        }
    }

    /// The session that owns it, as clients see it: 0 for all but ephemerals.
    pub fn visible(self) -> i64 {
        match self {
            Self::Session(session) => session.0,
            _ => 0,
        }
    }
}
