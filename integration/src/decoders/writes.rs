//! What only shows when a write is checked and applied: identities in ACLs, the text of quotas.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use paddock_actors::auth::{AuthRules, ip_id};
use paddock_actors::tree::pending::Pending;
use paddock_actors::tree::prep::{Place, Prep, PrepRules};
use paddock_actors::tree::{DataTree, Events, TreeOptions};
use paddock_config::reconfig;
use paddock_messages::client::ops::{Create, SetData};
use paddock_messages::client::request::{CreateOp, Write, WriteOp};
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::{Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, AclEntry, Id};
use paddock_messages::zxid::{Epoch, Zxid};

/// Whose all writes are.
pub(super) const SESSION: SessionId = SessionId(7);
const TIME: i64 = 1_700_000_000_000;

/// A tree with quotas enforced, in which [`SESSION`] lives.
pub(super) fn tree() -> DataTree {
    let mut tree = DataTree::new(TreeOptions { enforce_quota: true, ..TreeOptions::default() });
    tree.begin_epoch(Epoch(1));
    let begun = next(&tree, TxnBody::CreateSession { timeout_ms: 10_000 });
    tree.apply(&begun, &mut Events::unwanted());
    tree
}

fn next(tree: &DataTree, body: TxnBody) -> Txn {
    let zxid = Zxid(tree.last_zxid().0 + 1);
    let (session, attach) = (SESSION, AttachNumber::default());
    Txn { header: TxnHeader { session, attach, cxid: 1, zxid, time: TIME }, body }
}

/// What the write becomes, right behind all that the tree has.
pub(super) fn prepared(tree: &DataTree, ids: &[Id], write: Write) -> Txn {
    let reconfig = Some(reconfig::Rules { standalone_enabled: true, multi_address: false });
    let rules = PrepRules {
        auth: AuthRules::default(),
        extended_types: true,
        reconfig,
        reconfig_by_operators: reconfig,
        local_sessions: false,
        never_used_ms: 1_000,
    };
    let zxid = Zxid(tree.last_zxid().0 + 1);
    let place = Place { session: SESSION, is_live: false, is_local: false, ids, zxid, time: TIME };
    let body = Prep { view: tree, pending: &mut Pending::default(), rules: &rules }.write(place, write);
    next(tree, body)
}

/// Whether it was not refused.
fn apply(tree: &mut DataTree, ids: &[Id], write: Write) -> bool {
    let txn = prepared(tree, ids, write);
    tree.apply(&txn, &mut Events::unwanted());
    !matches!(txn.body, TxnBody::Error(_))
}

fn create(path: &str, data: &[u8], entry: AclEntry) -> Write {
    let data = Some(Bytes::copy_from_slice(data));
    let create = Create { path: path.into(), data, acl: Some(vec![entry]), flags: 0 };
    Write::One(WriteOp::Create(CreateOp::Create, Box::new(create)))
}

fn set(path: &str, data: &[u8]) -> Write {
    let data = Some(Bytes::copy_from_slice(data));
    Write::One(WriteOp::SetData(SetData { path: path.into(), data, version: -1 }))
}

fn anyone() -> AclEntry {
    AclEntry::from(&Acl::open()[0])
}

/// An ACL's entry: the first byte says the scheme, the rest is who. What is taken is asked about
/// addresses of both kinds.
pub fn acl(data: &[u8]) {
    const SCHEMES: [&str; 7] = ["ip", "digest", "auth", "world", "super", "x509", ""];
    let Some((&which, id)) = data.split_first() else { return };
    let scheme = SCHEMES[usize::from(which) % SCHEMES.len()];
    let id = String::from_utf8_lossy(id);
    let entry = AclEntry { perms: 31, scheme: Some(scheme.into()), id: Some((&*id).into()) };
    let mut tree = tree();
    let callers = [ip_id(Ipv4Addr::new(10, 1, 2, 3).into()), ip_id(Ipv6Addr::LOCALHOST.into())];
    if apply(&mut tree, &callers[..1], create("/a", b"", entry)) {
        for caller in callers {
            apply(&mut tree, &[caller], set("/a", b"x"));
        }
    }
}

/// The text of a quota's limits, then of its usage; a byte that says where the one ends.
pub fn quota(data: &[u8]) {
    let Some((&at, text)) = data.split_first() else { return };
    let (limits, usage) = text.split_at(usize::from(at).min(text.len()));
    let mut tree = tree();
    for (path, data) in [
        ("/q", &b"12"[..]),
        ("/zookeeper/quota/q", b""),
        ("/zookeeper/quota/q/zookeeper_limits", limits),
        ("/zookeeper/quota/q/zookeeper_stats", b""),
    ] {
        assert!(apply(&mut tree, &[], create(path, data, anyone())), "{path} can be made");
    }
    for usage in [None, Some(usage)] {
        if let Some(usage) = usage {
            apply(&mut tree, &[], set("/zookeeper/quota/q/zookeeper_stats", usage));
        }
        apply(&mut tree, &[], set("/q", b"twelve"));
        apply(&mut tree, &[], create("/q/a", b"", anyone()));
    }
}
