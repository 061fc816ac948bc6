//! The client protocol: opcodes, headers, requests and replies. Source: zookeeper.jute, compat wire.

pub mod event;
pub mod ops;
pub mod reply;
pub mod request;
pub mod session;

use crate::wire::record;

/// The largest frame a client may send unless `jute.maxbuffer` says otherwise, in bytes.
pub const DEFAULT_MAX_BUFFER: usize = 0xfffff;

record! {
    /// Before every request but the first.
    pub struct RequestHeader {
        pub xid: i32,
        pub opcode: i32,
    }
}

record! {
    /// Before every reply but the first, and before every watch event.
    pub struct ReplyHeader {
        pub xid: i32,
        pub zxid: i64,
        pub err: i32,
    }
}

/// Xids with a meaning of their own; requests have others.
pub mod xid {
    /// A watch event.
    pub const EVENT: i32 = -1;
    /// A ping and its reply.
    pub const PING: i32 = -2;
    /// An auth packet and its reply.
    pub const AUTH: i32 = -4;
    /// setWatches after a reconnect, and its reply.
    pub const SET_WATCHES: i32 = -8;
}

macro_rules! op_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// What a request asks for. Source: ZooDefs.OpCode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum OpCode { $($(#[$doc])* $name = $code,)* }

        impl OpCode {
            /// All that a client may send.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The opcode with this number, if a client may send it.
            pub fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

op_codes! {
    /// Creates a znode; the reply is its path.
    Create = 1;
    /// Deletes a childless znode.
    Delete = 2;
    /// Stat of a znode, or its absence.
    Exists = 3;
    /// Data and stat.
    GetData = 4;
    /// Replaces the data.
    SetData = 5;
    /// ACL and stat.
    GetAcl = 6;
    /// Replaces the ACL.
    SetAcl = 7;
    /// Names of the children.
    GetChildren = 8;
    /// Waits until this server has caught up with the leader.
    Sync = 9;
    /// Keeps the session alive.
    Ping = 11;
    /// Names of the children, and stat.
    GetChildren2 = 12;
    /// Several writes as one.
    Multi = 14;
    /// Creates a znode; the reply is its path and stat.
    Create2 = 15;
    /// Changes the ensemble's membership.
    Reconfig = 16;
    /// Whether a watch is registered.
    CheckWatches = 17;
    /// Removes a watch.
    RemoveWatches = 18;
    /// Creates a container.
    CreateContainer = 19;
    /// Creates a znode with a TTL.
    CreateTtl = 21;
    /// Several reads in one request.
    MultiRead = 22;
    /// Adds an identity to the connection.
    Auth = 100;
    /// Registers the watches a client had before it reconnected.
    SetWatches = 101;
    /// A step of a SASL exchange.
    Sasl = 102;
    /// Paths of the caller's ephemerals.
    GetEphemerals = 103;
    /// How many descendants a znode has.
    GetAllChildrenNumber = 104;
    /// setWatches with persistent watches.
    SetWatches2 = 105;
    /// Registers a persistent watch.
    AddWatch = 106;
    /// The connection's identities.
    WhoAmI = 107;
    /// Ends the session.
    CloseSession = -11;
}
