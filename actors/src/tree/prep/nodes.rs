//! Znodes that come, change and go: the checks of each operation, in order.

use std::sync::Arc;

use bytestring::ByteString;
use paddock_messages::client::ops::{Create, PathVersion, SetAcl, SetData};
use paddock_messages::client::request::CreateOp;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::path;
use paddock_messages::txn::{CreateTxn, Op, TxnBody};
use paddock_messages::znode::{Acl, CreateMode, Owner, Perms};
use paddock_messages::zxid::Zxid;

use super::sessions::parent_of;
use super::{Image, Place, Prep, View};
use crate::auth;
use crate::tree::acl_table::is_open;

impl<V: View> Prep<'_, V> {
    pub(super) fn create(&mut self, at: Place<'_>, op: CreateOp, create: Create) -> Result<Op, ErrorCode> {
        let mode = CreateMode::from_flag(create.flags).ok_or(ErrorCode::BadArguments)?;
        let owner = self.owner(op, mode, at.session)?;
        if at.is_local && matches!(owner, Owner::Session(_)) {
            return Err(ErrorCode::EphemeralOnLocalSession);
        }
        self.check_session(at)?;
        let above = parent_of(&create.path).ok_or(ErrorCode::BadArguments)?;
        let acl = auth::fix_up(create.acl.as_deref(), at.ids, &self.rules.auth)?;
        let mut parent = self.image(&above)?;
        self.check_acl(at, &parent, Perms::CREATE)?;
        let path = if mode.is_sequential() { numbered(&create.path, &parent)? } else { create.path };
        check_path(&path)?;
        if self.image(&path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(parent.owner, Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data_length = create.data.as_ref().map_or(0, |data| data.len());
        self.check_quota(&path, data_length as i64, 1)?;

        parent.cversion = parent.cversion.saturating_add(1); // the tree's counter stops there too
        parent.children += 1;
        let parent_cversion = parent.cversion;
        let image = Image {
            version: 0,
            aversion: 0,
            cversion: 0,
            children: 0,
            mtime: at.time,
            data_length,
            owner,
            // Nearly always the parent's list again: one list serves both.
            acl: parent.acl.clone().filter(|it| **it == *acl).or_else(|| to_check(&acl)),
        };
        self.pending.put(at.zxid, &above, Some(parent));
        self.pending.put(at.zxid, &path, Some(image));
        let data = create.data;
        Ok(Op::Create(Box::new(CreateTxn { op, path, data, acl, owner, parent_cversion })))
    }

    /// The opcode decides what kind of znode it is; the flags, whether it is ephemeral or numbered.
    fn owner(&self, op: CreateOp, mode: CreateMode, session: SessionId) -> Result<Owner, ErrorCode> {
        if mode.is_ttl() && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        match op {
            CreateOp::Ttl(ms) if mode.is_ttl() && (1..=Owner::TTL_MAX_MS).contains(&ms) => {
                Ok(Owner::Ttl(ms as u64))
            }
            // A TTL flag without a TTL, a TTL without the flag, or one out of range.
            CreateOp::Ttl(_) => Err(ErrorCode::BadArguments),
            _ if mode.is_ttl() => Err(ErrorCode::BadArguments),
            CreateOp::Container => Ok(Owner::Container),
            _ if mode.is_ephemeral() => Ok(Owner::Session(session)),
            _ => Ok(Owner::Persistent),
        }
    }

    /// Its path is not validated: what cannot exist is not found.
    pub(super) fn delete(&mut self, at: Place<'_>, delete: PathVersion) -> Result<Op, ErrorCode> {
        self.check_session(at)?;
        let path = delete.path;
        let above = path::parent(&path).filter(|_| !path::is_reserved(&path));
        let parent = self.image(above.ok_or(ErrorCode::BadArguments)?)?;
        self.check_acl(at, &parent, Perms::DELETE)?;
        let image = self.image(&path)?;
        check_version(image.version, delete.version)?;
        if image.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(&path, at.zxid);
        Ok(Op::Delete { path })
    }

    /// The znode at `path`. The path is looked at only where there is none: what exists has a valid one.
    fn existing(&self, path: &str) -> Result<Image, ErrorCode> {
        match self.image(path) {
            Ok(image) if !path.is_empty() => Ok(image), // the empty path finds the root
            _ => Err(check_path(path).err().unwrap_or(ErrorCode::NoNode)),
        }
    }

    pub(super) fn set_data(&mut self, at: Place<'_>, set: SetData) -> Result<Op, ErrorCode> {
        let SetData { path, data, version } = set;
        self.check_session(at)?;
        let mut image = self.existing(&path)?;
        self.check_acl(at, &image, Perms::WRITE)?;
        let data_length = data.as_ref().map_or(0, |data| data.len());
        self.check_quota(&path, data_length as i64 - image.data_length as i64, 0)?;
        check_version(image.version, version)?;
        image.version = image.version.wrapping_add(1);
        image.mtime = at.time;
        image.data_length = data_length;
        let version = image.version;
        self.pending.put(at.zxid, &path, Some(image));
        Ok(Op::SetData { path, data, version })
    }

    pub(super) fn set_acl(&mut self, at: Place<'_>, set: SetAcl) -> Result<TxnBody, ErrorCode> {
        self.check_session(at)?;
        check_path(&set.path)?;
        let acl = auth::fix_up(set.acl.as_deref(), at.ids, &self.rules.auth)?;
        let mut image = self.image(&set.path)?;
        self.check_acl(at, &image, Perms::ADMIN)?;
        check_version(image.aversion, set.version)?;
        image.aversion = image.aversion.wrapping_add(1);
        image.acl = to_check(&acl);
        let version = image.aversion;
        self.pending.put(at.zxid, &set.path, Some(image));
        Ok(TxnBody::SetAcl { path: set.path, acl, version })
    }

    pub(super) fn check(&mut self, at: Place<'_>, check: PathVersion) -> Result<Op, ErrorCode> {
        self.check_session(at)?;
        let image = self.existing(&check.path)?;
        self.check_acl(at, &image, Perms::READ)?;
        check_version(image.version, check.version)?;
        Ok(Op::Check { path: check.path, version: image.version })
    }

    /// The txn by which a container or TTL znode goes, at `now_ms` since 1970. `None` if it is no such
    /// znode, is not due, or has children by now: it looked due before what is pending.
    pub fn reap(&mut self, path: &ByteString, now_ms: i64, zxid: Zxid) -> Option<TxnBody> {
        let image = self.image(path).ok().filter(|image| image.children == 0)?;
        let unchanged_ms = u64::try_from(now_ms.saturating_sub(image.mtime)).unwrap_or(0);
        let never_used_ms = self.rules.never_used_ms;
        let is_due = match image.owner {
            Owner::Container if image.cversion > 0 => true,
            Owner::Container => never_used_ms != 0 && unchanged_ms > never_used_ms,
            Owner::Ttl(ms) => unchanged_ms > ms,
            Owner::Persistent | Owner::Session(_) => false,
        };
        is_due.then(|| {
            self.remove(path, zxid);
            TxnBody::DeleteContainer { path: path.clone() }
        })
    }
}

/// TX4: `path` and its parent's counter, in ten digits. The counter ends one before the largest number,
/// where it could no longer move on; after that there are no more sequential children here.
fn numbered(path: &ByteString, parent: &Image) -> Result<ByteString, ErrorCode> {
    let number = parent.cversion;
    if !(0..i32::MAX).contains(&number) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(format!("{path}{number:010}").into())
}

/// The list that later checks go by; `None` where they need none.
fn to_check(acl: &[Acl]) -> Option<Arc<[Acl]>> {
    (!is_open(acl)).then(|| Arc::from(acl))
}

fn check_path(path: &str) -> Result<(), ErrorCode> {
    if path::is_valid(path) { Ok(()) } else { Err(ErrorCode::BadArguments) }
}

fn check_version(current: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == current { Ok(()) } else { Err(ErrorCode::BadVersion) }
}
