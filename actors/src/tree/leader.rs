//! Draws histories: wishes become the txns that a leader would make of them, by the model.

use bytes::Bytes;
use bytestring::ByteString;
use paddock_messages::client::request::CreateOp;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Id, Owner, Perms};
use paddock_messages::zxid::{Epoch, Zxid};
use proptest::prelude::*;

use super::model::{Model, parent_of};

const PATHS: &[&str] = &[
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/d",
    "/e",
    "/e/b",
    "/a/b/c/é",
    "/zookeeperx",
    // From here on only where quotas are wanted.
    "/zookeeper/x",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/b",
    "/zookeeper/quota/a/b/zookeeper_limits",
    "/zookeeper/quota/a/b/zookeeper_stats",
];
/// So many of them are outside the reserved tree.
const PLAIN: usize = 8;

/// What somebody wants; the leader makes a txn of it, an error if it cannot be.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    One(OpWish),
    Multi(Vec<OpWish>),
    SetAcl(usize, usize),
    Open(i64),
    Close(i64),
    Reap(usize),
    Reconfig(u8),
}

#[derive(Clone, Debug)]
pub(super) enum OpWish {
    Create { path: usize, data: usize, acl: usize, kind: u8, session: i64 },
    Delete(usize),
    SetData(usize, usize),
    Check(usize),
}

/// A history of up to `len` wishes.
pub(super) fn wishes(len: usize, quotas: bool) -> impl Strategy<Value = Vec<Wish>> {
    let paths = if quotas { PATHS.len() } else { PLAIN };
    let op = || {
        prop_oneof![
            6 => (0..paths, 0..5usize, 0..4usize, 0..4u8, 1..4i64).prop_map(|(path, data, acl, kind, session)| {
                OpWish::Create { path, data, acl, kind, session }
            }),
            4 => (0..paths).prop_map(OpWish::Delete),
            3 => (0..paths, 0..5usize).prop_map(|(path, data)| OpWish::SetData(path, data)),
            1 => (0..paths).prop_map(OpWish::Check),
        ]
    };
    let wish = prop_oneof![
        12 => op().prop_map(Wish::One),
        3 => proptest::collection::vec(op(), 0..5).prop_map(Wish::Multi),
        3 => (0..paths, 0..4usize).prop_map(|(path, acl)| Wish::SetAcl(path, acl)),
        2 => (1..4i64).prop_map(Wish::Open),
        2 => (1..4i64).prop_map(Wish::Close),
        1 => (0..paths).prop_map(Wish::Reap),
        1 => any::<u8>().prop_map(Wish::Reconfig),
    ];
    proptest::collection::vec(wish, 1..len)
}

fn data(at: usize) -> Option<Bytes> {
    [None, Some(&b""[..]), Some(b"x"), Some(&[7; 40]), Some(b"count=2,bytes=10")][at].map(Bytes::from_static)
}

fn acl(at: usize) -> Vec<Acl> {
    let entry = |perms, id: &'static str| Acl { perms: Perms(perms), id: Id::new("digest", id) };
    match at {
        0 => Acl::open(),
        1 => Acl::read_only(),
        2 => vec![entry(31, "a:b")],
        _ => vec![entry(31, "a:b"), entry(1, "c:d")],
    }
}

/// Numbers txns; keeps the state they lead to.
pub(super) struct Leader {
    pub(super) model: Model,
}

impl Leader {
    pub(super) fn new() -> Self {
        Self { model: Model::new() }
    }

    /// The txn for `wish`, not applied yet.
    pub(super) fn txn(&self, wish: &Wish) -> Txn {
        let zxid = Zxid::new(Epoch(1), self.model.zxid.counter() + 1);
        let time = 1_000 + i64::from(zxid.counter());
        let (session, body) = self.body(wish, zxid, time);
        let attach = AttachNumber::default();
        Txn { header: TxnHeader { session: SessionId(session), attach, cxid: 0, zxid, time }, body }
    }

    fn body(&self, wish: &Wish, zxid: Zxid, time: i64) -> (i64, TxnBody) {
        let body = match wish {
            Wish::One(op) => self.op(&self.model, op).map_or_else(TxnBody::Error, TxnBody::One),
            Wish::Multi(ops) => self.multi(ops, zxid, time),
            Wish::SetAcl(path, new) => match self.model.nodes.get(PATHS[*path]) {
                None => TxnBody::Error(ErrorCode::NoNode),
                Some(node) => {
                    let version = node.stat.aversion + 1;
                    TxnBody::SetAcl { path: PATHS[*path].into(), acl: acl(*new), version }
                }
            },
            Wish::Open(id) => return (*id, TxnBody::CreateSession { timeout_ms: 1_000 + *id as i32 }),
            Wish::Close(id) => {
                let mut ephemerals: Vec<ByteString> =
                    self.model.ephemerals(SessionId(*id)).into_iter().map(ByteString::from).collect();
                ephemerals.reverse();
                ephemerals.truncate(2); // the others go too
                return (*id, TxnBody::CloseSession { ephemerals });
            }
            Wish::Reap(path) => match self.op(&self.model, &OpWish::Delete(*path)) {
                Ok(_) => TxnBody::DeleteContainer { path: PATHS[*path].into() },
                Err(code) => TxnBody::Error(code),
            },
            Wish::Reconfig(text) => TxnBody::Reconfig { text: vec![*text; 3].into() },
        };
        (1, body)
    }

    fn multi(&self, wishes: &[OpWish], zxid: Zxid, time: i64) -> TxnBody {
        let mut model = self.model.clone();
        let mut ops = Vec::new();
        for wish in wishes {
            match self.op(&model, wish) {
                Ok(op) => ops.push(op),
                Err(code) => {
                    let rest = wishes.len() - ops.len() - 1;
                    let mut codes = vec![None; ops.len()];
                    codes.push(Some(code));
                    codes.extend(vec![Some(ErrorCode::RuntimeInconsistency); rest]);
                    return TxnBody::FailedMulti(codes);
                }
            }
            let header =
                TxnHeader { session: SessionId(1), attach: AttachNumber::default(), cxid: 0, zxid, time };
            let body = TxnBody::One(ops.last().unwrap().clone());
            model.apply(&Txn { header, body }, &mut vec![]);
        }
        TxnBody::Multi(ops)
    }

    fn op(&self, model: &Model, wish: &OpWish) -> Result<Op, ErrorCode> {
        let exists = |path: usize| model.nodes.get(PATHS[path]).ok_or(ErrorCode::NoNode);
        match wish {
            OpWish::Create { path, data: new, acl: acl_at, kind, session } => {
                let path = PATHS[*path];
                let parent = model.nodes.get(parent_of(path)).ok_or(ErrorCode::NoNode)?;
                if model.nodes.contains_key(path) {
                    return Err(ErrorCode::NodeExists);
                }
                if matches!(parent.owner, Owner::Session(_)) {
                    return Err(ErrorCode::NoChildrenForEphemerals);
                }
                let (op, owner) = match kind {
                    0 => (CreateOp::Create, Owner::Persistent),
                    1 => (CreateOp::Create2, Owner::Session(SessionId(*session))),
                    2 => (CreateOp::Container, Owner::Container),
                    _ => (CreateOp::Ttl(5 * session), Owner::Ttl(5 * *session as u64)),
                };
                let parent_cversion = parent.stat.cversion + 1;
                Ok(Op::Create(Box::new(CreateTxn {
                    op,
                    path: path.into(),
                    data: data(*new),
                    acl: acl(*acl_at),
                    owner,
                    parent_cversion,
                })))
            }
            OpWish::Delete(path) => {
                exists(*path)?;
                let path = PATHS[*path];
                if model.children(path).is_empty() {
                    Ok(Op::Delete { path: path.into() })
                } else {
                    Err(ErrorCode::NotEmpty)
                }
            }
            OpWish::SetData(path, new) => {
                let version = exists(*path)?.stat.version + 1;
                Ok(Op::SetData { path: PATHS[*path].into(), data: data(*new), version })
            }
            OpWish::Check(path) => {
                let version = exists(*path)?.stat.version;
                Ok(Op::Check { path: PATHS[*path].into(), version })
            }
        }
    }

    /// Applies `wish` to the model and returns the txn.
    pub(super) fn grant(&mut self, wish: &Wish) -> Txn {
        let txn = self.txn(wish);
        self.model.apply(&txn, &mut vec![]);
        txn
    }
}
