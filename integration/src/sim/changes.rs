//! What a txn changes, as watchers hear of it: read off the txn alone.

use paddock_messages::client::event::EventKind;
use paddock_messages::path;
use paddock_messages::txn::{Op, Txn, TxnBody};
use paddock_messages::zxid::Zxid;

/// One change of one znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) zxid: Zxid,
    pub(super) kind: EventKind,
    pub(super) path: String,
}

/// The changes of a txn that is applied, in the order in which a connection hears of them.
/// Source: DataTree.processTxn, createNode, deleteNode, setData, killSession.
pub(super) fn changes(txn: &Txn) -> Vec<Change> {
    let change = |kind, path: &str| Change { zxid: txn.header.zxid, kind, path: path.to_owned() };
    let with_parent = |kind, path: &str| {
        let parent = path::parent(path).expect("nobody creates or deletes the root");
        vec![change(kind, path), change(EventKind::ChildrenChanged, parent)]
    };
    let of_op = |op: &Op| match op {
        Op::Create(create) => with_parent(EventKind::Created, &create.path),
        Op::Delete { path } => with_parent(EventKind::Deleted, path),
        Op::SetData { path, .. } => vec![change(EventKind::DataChanged, path)],
        Op::Check { .. } => vec![],
    };
    match &txn.body {
        TxnBody::One(op) => of_op(op),
        TxnBody::Multi(ops) => ops.iter().flat_map(of_op).collect(),
        TxnBody::Membership { .. } => vec![change(EventKind::DataChanged, path::CONFIG)],
        TxnBody::DeleteContainer { path } => with_parent(EventKind::Deleted, path),
        TxnBody::CloseSession { ephemerals } => {
            ephemerals.iter().flat_map(|path| with_parent(EventKind::Deleted, path)).collect()
        }
        _ => vec![],
    }
}
