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
use crate::level;
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
    /// The ensemble may use from here on what its members need this level for ([`crate::level`]).
    FeatureLevel {
        /// Above the one before.
        level: u8,
    },
    /// Another configuration takes the place of the one in force: from here on, until this is committed, both decide.
    Membership {
        /// The whole text of the one in force, as `/zookeeper/config` has it.
        from: Bytes,
        /// The same of the one that takes its place.
        to: Bytes,
    },
}

impl TxnBody {
    /// The level of an ensemble in which it may stand; one that raises the level is of the level it raises to (FL1).
    pub fn level(&self) -> u8 {
        match self {
            Self::FeatureLevel { level } => *level,
            Self::Membership { .. } => level::RECONFIG,
            _ => 0,
        }
    }
}

/// One change; a multi holds several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A znode comes into being. In a box: it is twice as large as the others, and all are moved about.
    Create(Box<CreateTxn>),
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

/// A znode comes into being.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTxn {
    /// Which opcode asked: it decides the shape of the reply.
    pub op: CreateOp,
    /// With its number, if sequential.
    pub path: ByteString,
    /// Null and empty differ.
    pub data: Option<Bytes>,
    /// After fix-up.
    pub acl: Vec<Acl>,
    /// Who ends it.
    pub owner: Owner,
    /// The stored child counter its parent gets.
    pub parent_cversion: i32,
}

impl Txn {
    /// No fewer bytes than the log's record of it takes ([`crate::codec`]), without encoding it.
    pub fn bound(&self) -> usize {
        /// Header, tags and lengths of a txn, or of one op: numbers take at most 9 bytes each.
        const FIXED: usize = 96;
        let ops = |ops: &[Op]| ops.iter().map(|op| FIXED + op.bound()).sum::<usize>();
        FIXED
            + match &self.body {
                TxnBody::Error(_) | TxnBody::CreateSession { .. } | TxnBody::FeatureLevel { .. } => 0,
                TxnBody::CloseSession { ephemerals } => ephemerals.iter().map(|path| 9 + path.len()).sum(),
                TxnBody::One(op) => FIXED + op.bound(),
                TxnBody::SetAcl { path, acl, .. } => path.len() + acl_bound(acl),
                TxnBody::Reconfig { text } => text.len(),
                TxnBody::Membership { from, to } => from.len() + to.len() + 18,
                TxnBody::DeleteContainer { path } => path.len(),
                TxnBody::Multi(all) => ops(all),
                TxnBody::FailedMulti(codes) => codes.len() * 6,
            }
    }
}

impl Op {
    fn bound(&self) -> usize {
        match self {
            Self::Create(create) => {
                let CreateTxn { path, data, acl, .. } = &**create;
                path.len() + data.as_ref().map_or(0, Bytes::len) + acl_bound(acl)
            }
            Self::SetData { path, data, .. } => path.len() + data.as_ref().map_or(0, Bytes::len),
            Self::Delete { path } | Self::Check { path, .. } => path.len(),
        }
    }
}

fn acl_bound(acl: &[Acl]) -> usize {
    acl.iter().map(|it| 32 + it.id.scheme.len() + it.id.id.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::znode::{Id, Perms};
    use crate::zxid::Epoch;

    #[test]
    fn a_bound_holds_for_every_kind_of_txn_at_its_largest_numbers() {
        let path = ByteString::from("/p".repeat(40));
        let data = Some(Bytes::from(vec![1; 300]));
        let id = Id { scheme: "digest".into(), id: "someone:hash".into() };
        let acl = vec![Acl { perms: Perms::ALL, id }; 3];
        let (owner, at) = (Owner::Session(SessionId(i64::MIN)), path.clone());
        let create = Op::Create(Box::new(CreateTxn {
            op: CreateOp::Create2,
            path: path.clone(),
            data: data.clone(),
            acl: acl.clone(),
            owner,
            parent_cversion: i32::MIN,
        }));
        let set = Op::SetData { path: path.clone(), data, version: i32::MIN };
        let (check, delete) = (Op::Check { path: path.clone(), version: i32::MIN }, Op::Delete { path });
        let bodies = [
            TxnBody::Error(ErrorCode::NoNode),
            TxnBody::CreateSession { timeout_ms: i32::MIN },
            TxnBody::CloseSession { ephemerals: vec![at.clone(); 100] },
            TxnBody::One(create.clone()),
            TxnBody::One(set.clone()),
            TxnBody::SetAcl { path: at.clone(), acl, version: i32::MIN },
            TxnBody::Reconfig { text: Bytes::from(vec![2; 500]) },
            TxnBody::DeleteContainer { path: at },
            TxnBody::Multi(vec![check, delete, create, set]),
            TxnBody::FailedMulti(vec![Some(ErrorCode::NoNode); 1000]),
            TxnBody::FeatureLevel { level: u8::MAX },
        ];
        for body in bodies {
            let header = TxnHeader {
                session: SessionId(i64::MIN),
                attach: AttachNumber { epoch: Epoch(u32::MAX), counter: u64::MAX },
                cxid: i32::MIN,
                zxid: Zxid(u64::MAX),
                time: i64::MIN,
            };
            let txn = Txn { header, body };
            let mut bytes = Vec::new();
            codec::encode_into(&mut bytes, &txn).unwrap();
            let bound = txn.bound();
            assert!(
                bytes.len() <= bound && bound < 3 * bytes.len() + 300,
                "{} in {bound}: {txn:?}",
                bytes.len()
            );
        }
    }
}
