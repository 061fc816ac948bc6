//! Transactions: what a write came to, as the leader decided it, as every member logs and applies it.
//!
//! They mirror ZooKeeper's record for record, so that its data can be imported. Each is idempotent:
//! it holds absolute values, never differences. Source: zookeeper.jute, `TxnHeader` and `*Txn`.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::client::request::CreateOp;
use crate::error_code::ErrorCode;
use crate::ids::{AttachNumber, SessionId};
use crate::znode::{Acl, Owner};
use crate::zxid::Zxid;

/// One transaction: all of it is applied at once, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    /// Who asked, in which order, when.
    pub header: TxnHeader,
    /// What changes.
    pub body: TxnBody,
}

/// Who asked, in which order, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnHeader {
    /// Whose write it is; the ended session for an expiry; [`SessionId::NONE`] for the server's own.
    pub session: SessionId,
    /// Through which attachment; the default for the server's own.
    pub attach: AttachNumber,
    /// The client's xid; 0 for the server's own and for session creation.
    pub cxid: i32,
    /// Its place in the one order.
    pub zxid: Zxid,
    /// The leader's wall clock in ms since 1970; becomes ctime and mtime.
    pub time: i64,
}

/// What changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TxnBody {
    /// Nothing: a refused write.
    Error(ErrorCode),
    /// The session of the header begins.
    CreateSession {
        /// In ms.
        timeout_ms: i32,
    },
    /// The session of the header ends, with these ephemerals (and any other it still owns).
    CloseSession {
        /// In the order in which they go.
        ephemerals: Vec<ByteString>,
    },
    /// One change.
    One(Op),
    /// A new ACL.
    SetAcl {
        /// Which znode.
        path: ByteString,
        /// The whole list.
        acl: Vec<Acl>,
        /// The ACL version it gets.
        version: i32,
    },
    /// The configuration text changes.
    Reconfig {
        /// The whole text.
        text: Bytes,
    },
    /// A container or TTL znode whose time has come.
    DeleteContainer {
        /// Which znode.
        path: ByteString,
    },
    /// All of these, at one zxid and one time.
    Multi(Vec<Op>),
    /// A multi that failed: the code of each op, `None` for those before the culprit. Changes nothing.
    FailedMulti(Vec<Option<ErrorCode>>),
}

/// One change; a multi holds several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A znode comes into being.
    Create {
        /// Which opcode asked: it decides the shape of the reply.
        op: CreateOp,
        /// With its number, if sequential.
        path: ByteString,
        /// Null and empty differ.
        data: Option<Bytes>,
        /// After fix-up.
        acl: Vec<Acl>,
        /// Who ends it.
        owner: Owner,
        /// The stored child counter its parent gets.
        parent_cversion: i32,
    },
    /// A znode goes.
    Delete {
        /// Which.
        path: ByteString,
    },
    /// Its data is replaced.
    SetData {
        /// Which.
        path: ByteString,
        /// Null and empty differ.
        data: Option<Bytes>,
        /// The version it gets.
        version: i32,
    },
    /// Nothing: the version matched.
    Check {
        /// Which.
        path: ByteString,
        /// The version it had.
        version: i32,
    },
}
