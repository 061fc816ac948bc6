//! What must be so: every txn that was proposed, and the state that those applied come to.
//!
//! - D1  What was applied, or told to a client, survives every crash; nothing comes back that was never
//!   proposed.
//! - D2  The node's tree is what the same txns make of an empty one.
//! - D3  A session's writes are applied in the order of its requests, each once, and none of an older
//!   attachment behind one of a newer.
//! - D4  An ephemeral is there exactly as long as its session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use paddock_actors::tree::{DataTree, Events, TreeOptions};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::path;
use paddock_messages::txn::{Op, Txn, TxnBody};
use paddock_messages::znode::Stat;
use paddock_messages::zxid::{Epoch, Zxid};

use super::changes::{Change, changes};

/// What a read finds: data and stat, or nothing.
pub(super) type Found = Option<(Option<Bytes>, Stat)>;

/// The one history, kept apart from the node that is tested.
pub(super) struct Truth {
    tree: DataTree,
    /// Proposed and, as far as the clients know, perhaps lost.
    proposed: BTreeMap<Zxid, Arc<Txn>>,
    applied: BTreeMap<Zxid, Arc<Txn>>,
    /// Each znode's states since the beginning, oldest first.
    states: BTreeMap<String, Vec<(Zxid, Found)>>,
    /// All that watchers may have had to hear of, in order.
    changes: Vec<Change>,
    /// The highest zxid that any client was answered with.
    acked: Zxid,
    /// Where each session began.
    begun: BTreeMap<SessionId, Zxid>,
    epoch: Epoch,
    /// Each session's last write: through which attachment, with which xid.
    latest: BTreeMap<SessionId, (AttachNumber, i32)>,
    /// How many ACLs were replaced.
    pub(super) acls_set: u64,
    /// Sessions that ended since the last look, and whether by expiry.
    ended: Vec<(SessionId, bool)>,
}

impl Default for Truth {
    fn default() -> Self {
        Self::new()
    }
}

impl Truth {
    pub(super) fn new() -> Self {
        Self {
            tree: DataTree::new(TreeOptions::default()),
            proposed: BTreeMap::new(),
            applied: BTreeMap::new(),
            states: BTreeMap::new(),
            changes: Vec::new(),
            acked: Zxid::ZERO,
            begun: BTreeMap::new(),
            epoch: Epoch(0),
            latest: BTreeMap::new(),
            ended: Vec::new(),
            acls_set: 0,
        }
    }

    pub(super) fn propose(&mut self, txn: &Txn) {
        let before = self.proposed.insert(txn.header.zxid, Arc::new(txn.clone()));
        assert_eq!(before, None, "D1: {:?} means two things", txn.header.zxid);
    }

    /// The node applies a txn: it must be one that was proposed.
    pub(super) fn apply(&mut self, txn: &Txn) {
        let zxid = txn.header.zxid;
        let proposed = self.proposed.get(&zxid).unwrap_or_else(|| panic!("{zxid:?} was never proposed"));
        assert_eq!(**proposed, *txn, "{zxid:?} is not what was proposed");
        self.applied.insert(zxid, Arc::clone(proposed));
        self.acls_set += u64::from(matches!(txn.body, TxnBody::SetAcl { .. }));
        if matches!(txn.body, TxnBody::CreateSession { .. }) {
            self.begun.insert(txn.header.session, zxid);
        }
        if let TxnBody::CloseSession { ephemerals } = &txn.body {
            let owned: BTreeSet<_> = self.tree.ephemerals(txn.header.session).collect();
            let listed = ephemerals.iter().map(ToString::to_string).collect();
            assert_eq!(owned, listed, "D4: what goes with {}", txn.header.session);
        }
        self.changes.extend(changes(txn));
        self.tree.apply(txn, &mut Events::unwanted());
        self.in_order(txn);
        if matches!(txn.body, TxnBody::CloseSession { .. }) {
            let session = txn.header.session;
            self.ended.push((session, txn.header.cxid == 0));
            self.check_ephemerals();
        }
        for path in touched(txn) {
            let found =
                self.tree.node(&path).map(|node| (node.data().map(Bytes::copy_from_slice), node.stat()));
            self.states.entry(path).or_default().push((zxid, found));
        }
    }

    /// D3. The server's own txns, and what it refused because the session had moved, have no place in it.
    fn in_order(&mut self, txn: &Txn) {
        let header = txn.header;
        if header.cxid == 0 || matches!(txn.body, TxnBody::Error(ErrorCode::SessionMoved)) {
            return;
        }
        let now = (header.attach, header.cxid);
        let before = self.latest.insert(header.session, now);
        assert!(
            before.is_none_or(|before| before < now),
            "D3: {:?} applied {before:?}, then {now:?}",
            header.session
        );
    }

    /// D4.
    pub(super) fn check_ephemerals(&self) {
        for owner in self.tree.ephemeral_owners() {
            assert!(self.lives(owner), "D4: {owner} is gone and still has ephemerals");
        }
    }

    /// The sessions that ended since the last call; true for those that did not end themselves.
    pub(super) fn take_ended(&mut self) -> Vec<(SessionId, bool)> {
        std::mem::take(&mut self.ended)
    }

    /// The txn applied at `zxid`.
    pub(super) fn txn(&self, zxid: Zxid) -> Option<&Txn> {
        self.applied.get(&zxid).map(|txn| &**txn)
    }

    /// The highest zxid that a client was told.
    pub(super) fn acked(&self) -> Zxid {
        self.acked
    }

    /// Names below `path` when everything up to `zxid` is applied and nothing else, sorted.
    pub(super) fn children_at(&self, path: &str, zxid: Zxid) -> Vec<&str> {
        let prefix = format!("{path}/");
        let below = self.states.range(prefix.clone()..).take_while(|(at, _)| at.starts_with(&prefix));
        below
            .filter(|(at, _)| !at[prefix.len()..].contains('/') && self.at(at, zxid).is_some())
            .map(|(at, _)| &at[prefix.len()..])
            .collect()
    }

    pub(super) fn begin_epoch(&mut self, epoch: Epoch) {
        assert!(epoch > self.epoch, "D1: {epoch} begins after {}", self.epoch);
        self.epoch = epoch;
        self.tree.begin_epoch(epoch);
    }

    /// An epoch follows the one before without a start.
    pub(super) fn roll_over(&mut self, epoch: Epoch) {
        assert!(epoch > self.epoch, "D1: {epoch} follows {}", self.epoch);
        self.epoch = epoch;
    }

    /// A client was told `zxid`: from now on it may not be lost.
    pub(super) fn ack(&mut self, zxid: Zxid) {
        self.acked = self.acked.max(zxid);
    }

    /// After a crash the log holds `survived`, in order: all that was applied or acked, nothing that
    /// was never proposed. What it holds beyond is applied now; the rest of the proposals is forgotten.
    pub(super) fn recover(&mut self, survived: &[Arc<Txn>], first: Zxid) {
        let kept: BTreeMap<_, _> = survived.iter().map(|txn| (txn.header.zxid, txn)).collect();
        for (zxid, txn) in self.applied.range(first..) {
            assert_eq!(kept.get(zxid), Some(&txn), "D1: {zxid:?} was applied and is lost");
        }
        let last = kept.keys().next_back().copied().unwrap_or(Zxid::ZERO);
        let upto = self.acked.max(last);
        let lost = self.proposed.range(first..).find(|(zxid, _)| **zxid <= upto && !kept.contains_key(zxid));
        assert!(
            lost.is_none(),
            "D1: {lost:?} is lost, and it was acknowledged or what came after it is there"
        );
        let applied = self.applied.keys().next_back().copied().unwrap_or(Zxid::ZERO);
        for txn in survived.iter().filter(|txn| txn.header.zxid > applied) {
            self.apply(txn);
        }
        self.proposed.retain(|zxid, _| *zxid <= last.max(applied));
        self.check_ephemerals();
    }

    pub(super) fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// What a read of `path` finds when everything up to `zxid` is applied and nothing else.
    pub(super) fn at(&self, path: &str, zxid: Zxid) -> Found {
        let states = self.states.get(path)?;
        let behind = states.partition_point(|(at, _)| *at <= zxid);
        states[..behind].last().and_then(|(_, found)| found.clone())
    }

    /// The first change after `zxid` of a znode's existence or data, or of its children.
    pub(super) fn next_change(&self, path: &str, of_children: bool, zxid: Zxid) -> Option<Zxid> {
        let states = self.states.get(path)?;
        let from = states.partition_point(|(at, _)| *at <= zxid);
        let mut before = states[..from].last().and_then(|(_, found)| found.clone());
        for (at, found) in &states[from..] {
            let mzxid = |found: &Found| {
                let changed = |stat: &Stat| if of_children { stat.pzxid } else { stat.mzxid };
                found.as_ref().map(|(_, stat)| (stat.czxid, changed(stat)))
            };
            if mzxid(&before) != mzxid(found) {
                return Some(*at);
            }
            before.clone_from(found);
        }
        None
    }

    /// Every change there was, in order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The txn with which a session began, if it has.
    pub(super) fn begun_at(&self, session: SessionId) -> Option<Zxid> {
        self.begun.get(&session).copied()
    }

    pub(super) fn lives(&self, session: SessionId) -> bool {
        self.tree.session_timeout(session).is_some()
    }
}

/// Every path whose data or stat a txn may change.
fn touched(txn: &Txn) -> Vec<String> {
    let with_parent = |path: &str| {
        let parent = path::parent(path).map(str::to_owned);
        std::iter::once(path.to_owned()).chain(parent)
    };
    let of_op = |op: &Op| match op {
        Op::Create(create) => with_parent(&create.path).collect(),
        Op::Delete { path } => with_parent(path).collect(),
        Op::SetData { path, .. } => vec![path.to_string()],
        Op::Check { .. } => vec![],
    };
    match &txn.body {
        TxnBody::One(op) => of_op(op),
        TxnBody::Multi(ops) => ops.iter().flat_map(of_op).collect(),
        TxnBody::SetAcl { path, .. } => vec![path.to_string()],
        TxnBody::Membership { .. } => vec![path::CONFIG.to_owned()],
        TxnBody::DeleteContainer { path } => with_parent(path).collect(),
        TxnBody::CloseSession { ephemerals } => {
            ephemerals.iter().flat_map(|path| with_parent(path)).collect()
        }
        _ => vec![],
    }
}
