//! For the Proposer: a request becomes a txn. Every check is made here, by the leader, once, against
//! the state *as it will be*: the tree, and what is pending over it.
//!
//! - TX1  A txn is the one that the same request would become if everything before it were applied. The
//!   one exception are quotas, which go by applied usage, as ZooKeeper's do.
//! - TX2  A refusal leaves nothing pending; a multi is pending whole or not at all.
//! - TX3  Nothing a closing or unknown session asks is done, but for one that its member knows
//!   ([`Place::is_local`]), and that makes no ephemeral znode.
//! - TX4  A number in a sequential name is never given twice below one parent.
//!
//! Order of checks, the first that fails decides:
//!
//! | request | checks |
//! |---|---|
//! | create, create2, createContainer, createTTL | flags -8, TTL switched off -6, TTL range -8, ephemeral of a local session -120, session -112, slash and NUL -8, ACL -114, parent -101, CREATE on the parent -102, path with its number -8, exists -110, parent ephemeral -108, quota -125, its text -5 |
//! | delete | session -112, slash, NUL and base znodes -8, parent -101, DELETE on the parent -102, exists -101, version -103, children -111 |
//! | setData | session -112, path -8, exists -101, WRITE -102, quota -125, its text -5, version -103 |
//! | setACL | session -112, path -8, ACL -114, exists -101, ADMIN -102, ACL version -103 |
//! | check (in a multi) | session -112, path -8, exists -101, READ -102, version -103 |
//! | multi | each op as above; after the first that fails -2 |
//! | reconfig | switched off -123, session -112, a server alone -6 |
//! | closeSession | session -112 |
//! | container or TTL falling due | exists, still due, no children; else there is no txn |
//!
//! Source: PrepRequestProcessor.pRequest2Txn of ZooKeeper 3.9.

mod nodes;
mod sessions;

use std::sync::Arc;

use bytestring::ByteString;
use paddock_config::reconfig;
use paddock_messages::client::request::{Write, WriteOp};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::path;
use paddock_messages::txn::{Op, TxnBody};
use paddock_messages::znode::{Acl, Id, Perms};
use paddock_messages::zxid::Zxid;

use super::pending::{Image, Pending};
use crate::auth::{self, AuthRules};
use crate::tree::quota::OverQuota;

/// The committed state, as far as checks look at it.
pub trait View {
    /// Everything up to here is applied.
    fn last_zxid(&self) -> Zxid;
    /// The znode at `path`; `/` is the root.
    fn image(&self, path: &str) -> Option<Image>;
    /// The session's timeout in ms, while it lives.
    fn session_timeout(&self, id: SessionId) -> Option<i32>;
    /// The znodes the session owns, in any order.
    fn ephemerals(&self, id: SessionId) -> Vec<ByteString>;
    /// Whether the quotas that are enforced let `path` have so many more bytes and znodes: -125 if a hard
    /// limit would be passed, -5 if a quota's text cannot be read. `over` gets the limits that are passed.
    fn check_quota(&self, path: &str, more: (i64, i64), over: &mut Vec<OverQuota>) -> Result<(), ErrorCode>;
}

/// The settings that checks go by.
#[derive(Clone, Debug, Default)]
pub struct PrepRules {
    /// Identities and ACLs.
    pub auth: AuthRules,
    /// `zookeeper.extendedTypesEnabled`: whether there are TTL znodes.
    pub extended_types: bool,
    /// With `reconfigEnabled`: what configurations there may be, as far as clients ask for them.
    pub reconfig: Option<reconfig::Rules>,
    /// The same as far as operators do, unless the file says `reconfigEnabled=false`.
    pub reconfig_by_operators: Option<reconfig::Rules>,
    /// `localSessionsEnabled`: whether members may have sessions that nobody else knows.
    pub local_sessions: bool,
    /// `znode.container.maxNeverUsedIntervalMs`: a container that never had a child is due after so
    /// many ms; 0 for never.
    pub never_used_ms: u64,
}

impl PrepRules {
    /// What configurations there may be that somebody with these identities asks for; `None`: no others.
    pub fn reconfig_by(&self, ids: &[Id]) -> Option<reconfig::Rules> {
        if auth::is_operator(ids) { self.reconfig_by_operators } else { self.reconfig }
    }
}

/// Who asks, and at which place of the order.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose request it is.
    pub session: SessionId,
    /// Whether the session is known to be there and not closing; if not, it is looked up.
    pub is_live: bool,
    /// Whether it is one that its member alone knows: it owns no ephemeral znode.
    pub is_local: bool,
    /// The connection's identities.
    pub ids: &'a [Id],
    /// The txn's.
    pub zxid: Zxid,
    /// The txn's, in ms since 1970.
    pub time: i64,
}

/// Turns requests into txns, and notes what they will do.
#[derive(Debug)]
pub struct Prep<'a, V> {
    /// What is applied.
    pub view: &'a V,
    /// What is not yet.
    pub pending: &'a mut Pending,
    /// The settings.
    pub rules: &'a PrepRules,
}

impl<V: View> Prep<'_, V> {
    /// The txn of a client's write. A refusal is a txn too: [`TxnBody::Error`], [`TxnBody::FailedMulti`].
    pub fn write(&mut self, at: Place<'_>, write: Write) -> TxnBody {
        let body = match write {
            Write::One(op) => self.op(at, op).map(TxnBody::One),
            Write::SetAcl(set) => self.set_acl(at, set),
            Write::Multi(ops) => return self.multi(at, ops),
            Write::Reconfig(_) => Err(self.reconfig(at)),
            Write::CloseSession => self.close_session(at.session, at.zxid).ok_or(ErrorCode::SessionExpired),
        };
        body.unwrap_or_else(TxnBody::Error)
    }

    fn op(&mut self, at: Place<'_>, op: WriteOp) -> Result<Op, ErrorCode> {
        match op {
            WriteOp::Create(op, create) => self.create(at, op, *create),
            WriteOp::Delete(delete) => self.delete(at, delete),
            WriteOp::SetData(set) => self.set_data(at, set),
            WriteOp::Check(check) => self.check(at, check),
        }
    }

    fn multi(&mut self, at: Place<'_>, ops: Vec<WriteOp>) -> TxnBody {
        let (mut done, all) = (Vec::with_capacity(ops.len()), ops.len());
        self.pending.open_layer();
        for op in ops {
            match self.op(at, op) {
                Ok(op) => done.push(op),
                Err(code) => {
                    self.pending.drop_layer(); // TX2
                    if code == ErrorCode::Marshalling {
                        return TxnBody::Error(code); // no op's own mistake: the multi fails as a whole
                    }
                    let mut codes = vec![None; done.len()];
                    codes.push(Some(code));
                    codes.resize(all, Some(ErrorCode::RuntimeInconsistency));
                    return TxnBody::FailedMulti(codes);
                }
            }
        }
        self.pending.keep_layer();
        TxnBody::Multi(done)
    }

    /// A server alone changes no membership.
    fn reconfig(&self, at: Place<'_>) -> ErrorCode {
        self.may_reconfigure(at).err().unwrap_or(ErrorCode::Unimplemented)
    }

    /// Whether there are reconfigs at all, by whom who asks, and the session that asks for one.
    pub fn may_reconfigure(&self, at: Place<'_>) -> Result<reconfig::Rules, ErrorCode> {
        let rules = self.rules.reconfig_by(at.ids).ok_or(ErrorCode::ReconfigDisabled)?;
        self.check_session(at).map(|()| rules)
    }

    /// Whether whoever asks may write the configuration's znode.
    pub fn may_write_configuration(&self, at: Place<'_>) -> Result<(), ErrorCode> {
        self.check_acl(at, &self.image(path::CONFIG)?, Perms::WRITE)
    }

    /// The znode at `path` as it will be.
    fn image(&self, path: &str) -> Result<Image, ErrorCode> {
        match self.pending.node(path) {
            Some(newest) => newest.cloned(),
            None => self.view.image(path),
        }
        .ok_or(ErrorCode::NoNode)
    }

    fn check_acl(&self, at: Place<'_>, image: &Image, needed: Perms) -> Result<(), ErrorCode> {
        let permits = |acl: &Arc<[Acl]>| auth::permits(acl, needed, at.ids, &self.rules.auth);
        if image.acl.as_ref().is_none_or(permits) { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    fn check_quota(&mut self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        self.view.check_quota(path, (bytes, count), self.pending.over_quota())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod toy;
