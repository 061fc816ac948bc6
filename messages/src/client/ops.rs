//! The records of single requests. Source: zookeeper.jute.

use bytes::Bytes;
use bytestring::ByteString;

use crate::wire::record;
use crate::znode::AclEntry;

record! {
    /// create, create2 and createContainer.
    pub struct Create {
        pub path: ByteString,
        pub data: Option<Bytes>,
        pub acl: Option<Vec<AclEntry>>,
        /// A [`crate::znode::CreateMode`], not yet checked.
        pub flags: i32,
    }
}

record! {
    /// createTTL.
    pub struct CreateTtl {
        pub create: Create,
        /// In ms.
        pub ttl: i64,
    }
}

record! {
    /// delete; and check, inside a multi.
    pub struct PathVersion {
        pub path: ByteString,
        /// The version it must have; -1 takes any.
        pub version: i32,
    }
}

record! {
    /// exists, getData, getChildren and getChildren2.
    pub struct PathWatch {
        pub path: ByteString,
        /// Whether to leave a one-shot watch.
        pub watch: bool,
    }
}

record! {
    /// setData.
    pub struct SetData {
        pub path: ByteString,
        pub data: Option<Bytes>,
        /// The data version it must have; -1 takes any.
        pub version: i32,
    }
}

record! {
    /// setACL.
    pub struct SetAcl {
        pub path: ByteString,
        pub acl: Option<Vec<AclEntry>>,
        /// The ACL version it must have; -1 takes any.
        pub version: i32,
    }
}

record! {
    /// getACL and getAllChildrenNumber.
    pub struct PathOnly {
        pub path: ByteString,
    }
}

record! {
    /// sync and getEphemerals: the path may be null.
    pub struct MaybePath {
        pub path: Option<ByteString>,
    }
}

record! {
    /// reconfig.
    pub struct Reconfig {
        pub joining_servers: Option<ByteString>,
        pub leaving_servers: Option<ByteString>,
        pub new_members: Option<ByteString>,
        /// The configuration's version it must have; -1 takes any.
        pub current_config_id: i64,
    }
}

record! {
    /// checkWatches and removeWatches.
    pub struct PathType {
        pub path: ByteString,
        /// 1 children, 2 data, 3 any, 4 persistent, 5 persistent recursive.
        pub kind: i32,
    }
}

record! {
    /// addWatch.
    pub struct AddWatch {
        pub path: ByteString,
        /// 0 persistent, 1 persistent recursive.
        pub mode: i32,
    }
}

record! {
    /// setWatches.
    pub struct SetWatches {
        /// The last zxid the client saw.
        pub relative_zxid: i64,
        pub data: Vec<ByteString>,
        pub exist: Vec<ByteString>,
        pub child: Vec<ByteString>,
    }
}

record! {
    /// What setWatches2 has beyond setWatches.
    pub struct PersistentWatches {
        pub persistent: Vec<ByteString>,
        pub persistent_recursive: Vec<ByteString>,
    }
}

record! {
    /// Before each op of a multi or multiRead, and, with `done`, after the last.
    pub struct MultiHeader {
        /// An opcode; -1 for an error result and at the end.
        pub kind: i32,
        pub done: bool,
        /// -1, or the code of an error result.
        pub err: i32,
    }
}

impl MultiHeader {
    /// After the last op.
    pub const END: Self = Self { kind: -1, done: true, err: -1 };
}
