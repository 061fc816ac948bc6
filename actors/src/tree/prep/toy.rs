//! A state for tests: what the tree is, without its cleverness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::client::ops::{Create, PathVersion, Reconfig, SetAcl, SetData};
use paddock_messages::client::request::{CreateOp, Write, WriteOp};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::SessionId;
use paddock_messages::path;
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody};
use paddock_messages::znode::{Acl, AclEntry, Id, Owner, Perms};
use paddock_messages::zxid::Zxid;

use super::View;
use crate::tree::acl_table::is_open;
use crate::tree::pending::Image;
use crate::tree::quota::OverQuota;

/// A committed state that txns can be applied to.
pub(crate) trait State: View {
    fn apply(&mut self, txn: &Txn);
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Toy {
    pub(crate) last: Zxid,
    pub(crate) nodes: BTreeMap<String, Image>,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Paths at which no more bytes and znodes are taken.
    pub(crate) full: BTreeSet<String>,
    /// Where a quota's text is not one.
    pub(crate) unreadable: BTreeSet<String>,
}

impl Toy {
    /// The base znodes and these sessions.
    pub(crate) fn new(sessions: &[i64]) -> Self {
        let mut toy = Self::default();
        for path in ["/", path::ZOOKEEPER, path::QUOTA, path::CONFIG] {
            toy.nodes.insert(path.into(), image(Owner::Persistent, &Acl::open(), 0, 0));
        }
        toy.nodes.get_mut("/").unwrap().children = 1;
        toy.nodes.get_mut(path::ZOOKEEPER).unwrap().children = 2;
        let config = toy.nodes.get_mut(path::CONFIG).unwrap();
        (config.acl, config.aversion) = (Some(Acl::read_only().into()), -1);
        toy.sessions = sessions.iter().map(|id| (SessionId(*id), 1000)).collect();
        toy
    }

    fn apply_op(&mut self, time: i64, op: &Op) {
        match op {
            Op::Create(create) => {
                let CreateTxn { path, data, acl, owner, parent_cversion, .. } = &**create;
                let parent = self.nodes.get_mut(path::parent(path).unwrap()).unwrap();
                parent.cversion = parent.cversion.max(*parent_cversion);
                parent.children += 1;
                let length = data.as_ref().map_or(0, |data| data.len());
                let before = self.nodes.insert(path.to_string(), image(*owner, acl, time, length));
                assert_eq!(before, None, "{path} is created twice");
            }
            Op::Delete { path } => self.remove(path),
            Op::SetData { path, data, version } => {
                let node = self.nodes.get_mut(&**path).unwrap();
                node.data_length = data.as_ref().map_or(0, |data| data.len());
                (node.version, node.mtime) = (*version, time);
            }
            Op::Check { .. } => {}
        }
    }

    fn remove(&mut self, path: &str) {
        assert_eq!(self.nodes.remove(path).expect(path).children, 0);
        self.nodes.get_mut(path::parent(path).unwrap()).unwrap().children -= 1;
    }
}

pub(crate) fn image(owner: Owner, acl: &[Acl], mtime: i64, data_length: usize) -> Image {
    let acl = (!is_open(acl)).then(|| Arc::from(acl));
    Image { version: 0, aversion: 0, cversion: 0, children: 0, mtime, data_length, owner, acl }
}

impl View for Toy {
    fn last_zxid(&self) -> Zxid {
        self.last
    }

    fn image(&self, path: &str) -> Option<Image> {
        self.nodes.get(path).cloned()
    }

    fn session_timeout(&self, id: SessionId) -> Option<i32> {
        self.sessions.get(&id).copied()
    }

    fn ephemerals(&self, id: SessionId) -> Vec<ByteString> {
        let owned = self.nodes.iter().rev().filter(|(_, node)| node.owner == Owner::Session(id));
        owned.map(|(path, _)| path.as_str().into()).collect()
    }

    fn check_quota(
        &self,
        path: &str,
        (bytes, count): (i64, i64),
        over: &mut Vec<OverQuota>,
    ) -> Result<(), ErrorCode> {
        if self.unreadable.contains(path) {
            return Err(ErrorCode::Marshalling);
        }
        let exceeds = self.full.contains(path) && (bytes > 0 || count > 0);
        if exceeds {
            let (path, what, is_hard) = (path.to_owned(), "znodes", true);
            over.push(OverQuota { path, what, amount: 1, limit: 0, is_hard });
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }
}

impl State for Toy {
    fn apply(&mut self, txn: &Txn) {
        let header = txn.header;
        assert!(header.zxid > self.last);
        self.last = header.zxid;
        match &txn.body {
            TxnBody::Error(_)
            | TxnBody::FailedMulti(_)
            | TxnBody::Reconfig { .. }
            | TxnBody::FeatureLevel { .. }
            | TxnBody::Membership { .. } => {}
            TxnBody::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
            }
            TxnBody::CloseSession { ephemerals } => {
                ephemerals.iter().for_each(|path| self.remove(path));
                assert_eq!(self.ephemerals(header.session), Vec::<ByteString>::new());
                self.sessions.remove(&header.session).expect("closed once");
            }
            TxnBody::One(op) => self.apply_op(header.time, op),
            TxnBody::SetAcl { path, acl, version } => {
                let node = self.nodes.get_mut(&**path).unwrap();
                (node.acl, node.aversion) = ((!is_open(acl)).then(|| Arc::from(&**acl)), *version);
            }
            TxnBody::DeleteContainer { path } => self.remove(path),
            TxnBody::Multi(ops) => ops.iter().for_each(|op| self.apply_op(header.time, op)),
        }
    }
}

/// `perms:scheme:id`, several by a comma.
pub(crate) fn acl(text: &str) -> Vec<Acl> {
    let entry = |text: &str| {
        let (perms, id) = text.split_once(':').unwrap();
        Acl { perms: Perms(perms.parse().unwrap()), id: id_of(id) }
    };
    text.split(',').filter(|it| !it.is_empty()).map(entry).collect()
}

pub(crate) fn id_of(text: &str) -> Id {
    let (scheme, id) = text.split_once(':').unwrap();
    Id::new(scheme, id)
}

/// A request in words: `create /a flags=1 acl=31:world:anyone data=x`, `set /a v=3`, …; several, by
/// ` ; `, are a multi; `reconfig joining=server.4=… leaving=3`, `reconfig members=server.1=…,server.2=… version=1`.
pub(crate) fn write_of(text: &str) -> Write {
    if let Some(ops) = text.strip_prefix("multi") {
        let ops = ops.split(';').map(str::trim).filter(|op| !op.is_empty() && !op.starts_with("as="));
        return Write::Multi(ops.map(op_of).collect());
    }
    let path = || text.split(' ').nth(1).unwrap_or("").into();
    match text.split(' ').next().unwrap() {
        "acl" => {
            let acl = acl(&option(text, "acl").unwrap_or_default()).iter().map(AclEntry::from).collect();
            Write::SetAcl(SetAcl { path: path(), acl: Some(acl), version: number(text, "v", -1) })
        }
        "reconfig" => Write::Reconfig(Box::new(Reconfig {
            joining_servers: option(text, "joining").map(Into::into),
            leaving_servers: option(text, "leaving").map(Into::into),
            new_members: option(text, "members").map(Into::into),
            current_config_id: option(text, "version").map_or(-1, |it| it.parse().unwrap()),
        })),
        "close" => Write::CloseSession,
        _ => Write::One(op_of(text)),
    }
}

fn op_of(text: &str) -> WriteOp {
    let path: ByteString = text.split(' ').nth(1).unwrap_or("").into();
    let version = number(text, "v", -1);
    let data = option(text, "data").map(|data| data.into_bytes().into());
    let create = |op, flags| {
        let acl = option(text, "acl").unwrap_or("31:world:anyone".into());
        let acl = self::acl(&acl).iter().map(AclEntry::from).collect();
        let flags = number(text, "flags", flags);
        let create = Create { path: path.clone(), data: data.clone(), acl: Some(acl), flags };
        WriteOp::Create(op, Box::new(create))
    };
    match text.split(' ').next().unwrap() {
        "create" => create(CreateOp::Create, 0),
        "create2" => create(CreateOp::Create2, 0),
        "container" => create(CreateOp::Container, 4),
        "ttl" => create(CreateOp::Ttl(number(text, "ms", 0).into()), 5),
        "delete" => WriteOp::Delete(PathVersion { path, version }),
        "set" => WriteOp::SetData(SetData { path, data, version }),
        "check" => WriteOp::Check(PathVersion { path, version }),
        other => panic!("{other}"),
    }
}

pub(crate) fn option(text: &str, key: &str) -> Option<String> {
    text.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).map(Into::into)
}

pub(crate) fn number(text: &str, key: &str, default: i32) -> i32 {
    option(text, key).map_or(default, |value| value.parse().unwrap())
}

/// A txn in words.
pub(crate) fn told(body: &TxnBody) -> String {
    let list = |parts: Vec<String>| parts.join(" ; ");
    match body {
        TxnBody::Error(code) => code.code().to_string(),
        TxnBody::CreateSession { timeout_ms } => format!("open {timeout_ms}"),
        TxnBody::CloseSession { ephemerals } => {
            format!("close {}", list(ephemerals.iter().map(ToString::to_string).collect()))
        }
        TxnBody::One(op) => told_op(op),
        TxnBody::SetAcl { path, acl, version } => format!("acl {path} {} v{version}", acl.len()),
        TxnBody::Reconfig { text } => format!("reconfig {}", String::from_utf8_lossy(text)),
        TxnBody::Membership { from, to } => {
            let text = |of: &Bytes| String::from_utf8_lossy(of).replace('\n', ",");
            format!("membership {} -> {}", text(from), text(to))
        }
        TxnBody::DeleteContainer { path } => format!("reap {path}"),
        TxnBody::FeatureLevel { level } => format!("level {level}"),
        TxnBody::Multi(ops) => format!("multi {}", list(ops.iter().map(told_op).collect())),
        TxnBody::FailedMulti(codes) => {
            let code = |code: &Option<_>| code.map_or(0, ErrorCode::code);
            format!("failed {}", list(codes.iter().map(|it| code(it).to_string()).collect()))
        }
    }
}

fn told_op(op: &Op) -> String {
    match op {
        Op::Create(create) => {
            let CreateTxn { path, owner, parent_cversion, .. } = &**create;
            let owner = match owner {
                Owner::Persistent => String::new(),
                Owner::Session(id) => format!(" of {}", id.0),
                Owner::Container => " container".into(),
                Owner::Ttl(ms) => format!(" ttl {ms}"),
            };
            format!("create {path}{owner} p{parent_cversion}")
        }
        Op::Delete { path } => format!("delete {path}"),
        Op::SetData { path, version, .. } => format!("set {path} v{version}"),
        Op::Check { path, version } => format!("check {path} v{version}"),
    }
}
