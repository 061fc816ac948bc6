//! Refuses writes by the ACLs that are here, before the leader is asked (C15): what is refused so costs no txn. What is
//! permitted here, or cannot be told, the leader checks like any other.
//!
//! Source: compat: ZooKeeperServer.java, authWriteRequest, which looks at these five operations only.

use bytestring::ByteString;
use paddock_messages::client::request::{CreateOp, Write, WriteOp};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::ConnId;
use paddock_messages::path;
use paddock_messages::znode::{AclEntry, Id, Perms};

use super::core::ArbiterCore;
use crate::auth::{fix_up, permits};

/// What a write needs: which permission, on which znode, and the list that it would set.
struct Needs<'a> {
    perms: Perms,
    path: &'a str,
    acl: Option<&'a Option<Vec<AclEntry>>>,
}

impl<'a> Needs<'a> {
    /// `None` for what is not looked at, and for a path that only the leader refuses.
    fn of(write: &'a Write) -> Option<Self> {
        let of_parent = |path: &'a ByteString, perms, acl| {
            let above = path::parent(path).filter(|_| !path::is_reserved(path))?;
            Some(Self { perms, path: above, acl })
        };
        match write {
            Write::One(WriteOp::Create(CreateOp::Create | CreateOp::Create2, create)) => {
                of_parent(&create.path, Perms::CREATE, Some(&create.acl))
            }
            Write::One(WriteOp::Delete(delete)) => of_parent(&delete.path, Perms::DELETE, None),
            Write::One(WriteOp::SetData(set)) => {
                Some(Self { perms: Perms::WRITE, path: &set.path, acl: None })
            }
            Write::SetAcl(set) => Some(Self { perms: Perms::ADMIN, path: &set.path, acl: Some(&set.acl) }),
            _ => None,
        }
    }
}

impl ArbiterCore {
    /// The error by which the write is refused here, if it is.
    pub(super) fn eagerly_refused(&self, conn: ConnId, write: &Write, ids: &[Id]) -> Option<ErrorCode> {
        if !self.settings.eager_acl_check || self.conns.get(conn)?.pipeline.waits() {
            return None;
        }
        let needs = Needs::of(write)?;
        if let Some(acl) = needs.acl
            && let Err(code) = fix_up(acl.as_deref(), ids, &self.rules)
        {
            return Some(code);
        }
        let tree = self.tree.read();
        let node = tree.node(needs.path)?;
        (!permits(node.acl(), needs.perms, ids, &self.rules)).then_some(ErrorCode::NoAuth)
    }
}
