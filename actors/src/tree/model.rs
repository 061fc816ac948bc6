//! The same rules in the plainest way: a map from path to znode, everything else counted on demand.

use std::collections::BTreeMap;

use paddock_messages::client::OpCode;
use paddock_messages::client::event::EventKind;
use paddock_messages::client::reply::{OpResult, Outcome};
use paddock_messages::client::request::CreateOp;
use paddock_messages::ids::SessionId;
use paddock_messages::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use paddock_messages::znode::{Acl, Owner, Stat};
use paddock_messages::zxid::Zxid;

use super::data_tree::DataTree;
use super::feed::{FeedItem, WatchTable};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelNode {
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Vec<Acl>,
    pub(super) owner: Owner,
    pub(super) stat: Stat, // cversion as stored; lengths and children stay 0
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<String, ModelNode>,
    pub(super) sessions: BTreeMap<SessionId, i32>,
    pub(super) zxid: Zxid,
}

fn child_of(parent: &str, path: &str) -> bool {
    path != "/" && parent_of(path) == parent
}

pub(super) fn parent_of(path: &str) -> &str {
    match path.rsplit_once('/').unwrap().0 {
        "" => "/",
        parent => parent,
    }
}

impl Model {
    pub(super) fn new() -> Self {
        let node = |acl: Vec<Acl>, aversion| ModelNode {
            data: Some(vec![]),
            acl,
            owner: Owner::Persistent,
            stat: Stat { aversion, ..Stat::default() },
        };
        let mut nodes = BTreeMap::new();
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            nodes.insert(path.to_owned(), node(Acl::open(), 0));
        }
        nodes.insert("/zookeeper/config".to_owned(), node(Acl::read_only(), -1));
        Self { nodes, sessions: BTreeMap::new(), zxid: Zxid::ZERO }
    }

    pub(super) fn children(&self, path: &str) -> Vec<String> {
        self.nodes.keys().filter(|child| child_of(path, child)).cloned().collect()
    }

    pub(super) fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let num_children = self.children(path).len() as i32;
        let data_length = node.data.as_ref().map_or(0, Vec::len) as i32;
        let cversion = 2 * node.stat.cversion - num_children;
        Stat { cversion, num_children, data_length, ephemeral_owner: node.owner.visible(), ..node.stat }
    }

    pub(super) fn apply(&mut self, txn: &Txn, events: &mut Vec<FeedItem>) -> Outcome {
        let header = &txn.header;
        let outcome = match &txn.body {
            TxnBody::Error(code) => Outcome::Refused(*code),
            TxnBody::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Outcome::Done
            }
            TxnBody::CloseSession { ephemerals } => {
                for path in ephemerals {
                    self.delete(header.zxid, path, events);
                }
                for path in self.ephemerals(header.session) {
                    self.delete(header.zxid, &path, events);
                }
                self.sessions.remove(&header.session);
                Outcome::Done
            }
            TxnBody::One(op) => self.op(header, op, events).1,
            TxnBody::SetAcl { path, acl, version } => {
                let node = self.nodes.get_mut(&**path).unwrap();
                node.acl = acl.clone();
                node.stat.aversion = *version;
                Outcome::Stat(self.stat(path))
            }
            TxnBody::Reconfig { text } | TxnBody::Membership { to: text, .. } => {
                let stat = self.set_data(header, "/zookeeper/config", Some(text), -1, events);
                Outcome::Reconfigured(Box::new((Some(text.clone()), stat)))
            }
            TxnBody::DeleteContainer { path } => {
                self.delete(header.zxid, path, events);
                Outcome::Done
            }
            TxnBody::Multi(ops) => {
                let mut results = Vec::new();
                for op in ops {
                    results.push(match self.op(header, op, events) {
                        (None, _) => OpResult::Checked,
                        (Some(code), outcome) => OpResult::Applied(code, outcome),
                    });
                }
                Outcome::Multi(results)
            }
            TxnBody::FailedMulti(codes) => {
                Outcome::Multi(codes.iter().map(|&code| OpResult::Failed(code)).collect())
            }
            TxnBody::FeatureLevel { .. } => Outcome::Done,
        };
        self.zxid = header.zxid;
        outcome
    }

    fn op(&mut self, header: &TxnHeader, op: &Op, events: &mut Vec<FeedItem>) -> (Option<OpCode>, Outcome) {
        match op {
            Op::Create(create) => {
                let CreateTxn { op, path, data, acl, owner, parent_cversion } = &**create;
                let zxid = header.zxid.to_wire();
                let stat = Stat {
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                    ctime: header.time,
                    mtime: header.time,
                    ..Stat::default()
                };
                let data = data.as_ref().map(|data| data.to_vec());
                let node = ModelNode { data, acl: acl.clone(), owner: *owner, stat };
                self.nodes.insert(path.to_string(), node);
                let parent = self.nodes.get_mut(parent_of(path)).unwrap();
                parent.stat.cversion = *parent_cversion;
                parent.stat.pzxid = zxid;
                let stat = self.stat(path);
                if let Some(root) = quota_of_stats(path) {
                    self.count_usage(path, root);
                }
                self.use_quota(path, i64::from(stat.data_length), 1);
                self.event(header.zxid, EventKind::Created, WatchTable::Data, path, acl, events);
                self.parent_event(header.zxid, path, events);
                match op {
                    CreateOp::Create => (Some(OpCode::Create), Outcome::Path(path.clone())),
                    CreateOp::Create2 => {
                        (Some(OpCode::Create2), Outcome::Created(Box::new((path.clone(), stat))))
                    }
                    CreateOp::Container => {
                        (Some(OpCode::CreateContainer), Outcome::Created(Box::new((path.clone(), stat))))
                    }
                    CreateOp::Ttl(_) => {
                        (Some(OpCode::CreateTtl), Outcome::Created(Box::new((path.clone(), stat))))
                    }
                }
            }
            Op::Delete { path } => {
                self.delete(header.zxid, path, events);
                (Some(OpCode::Delete), Outcome::Done)
            }
            Op::SetData { path, data, version } => {
                let stat = self.set_data(header, path, data.as_deref(), *version, events);
                (Some(OpCode::SetData), Outcome::Stat(stat))
            }
            Op::Check { .. } => (None, Outcome::Done),
        }
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        events: &mut Vec<FeedItem>,
    ) -> Stat {
        let before = self.stat(path).data_length;
        let node = self.nodes.get_mut(path).unwrap();
        node.data = data.map(<[u8]>::to_vec);
        node.stat.version = version;
        node.stat.mzxid = header.zxid.to_wire();
        node.stat.mtime = header.time;
        let acl = node.acl.clone();
        let stat = self.stat(path);
        self.use_quota(path, i64::from(stat.data_length - before), 0);
        self.event(header.zxid, EventKind::DataChanged, WatchTable::Data, path, &acl, events);
        stat
    }

    fn delete(&mut self, zxid: Zxid, path: &str, events: &mut Vec<FeedItem>) {
        let Some(node) = self.nodes.remove(path) else { return };
        self.nodes.get_mut(parent_of(path)).unwrap().stat.pzxid = zxid.to_wire();
        self.use_quota(path, -(node.data.map_or(0, |data| data.len()) as i64), -1);
        self.event(zxid, EventKind::Deleted, WatchTable::Both, path, &node.acl, events);
        self.parent_event(zxid, path, events);
    }

    fn event(
        &self,
        zxid: Zxid,
        kind: EventKind,
        table: WatchTable,
        path: &str,
        acl: &[Acl],
        events: &mut Vec<FeedItem>,
    ) {
        let acl = (acl != Acl::open()).then(|| acl.into());
        events.push(FeedItem::Event { zxid, kind, table, path: path.into(), acl });
    }

    fn parent_event(&self, zxid: Zxid, path: &str, events: &mut Vec<FeedItem>) {
        let parent = parent_of(path);
        let acl = &self.nodes[parent].acl;
        self.event(zxid, EventKind::ChildrenChanged, WatchTable::Child, parent, acl, events);
    }

    pub(super) fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == Owner::Session(session));
        owned.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn below(&self, path: &str) -> Vec<&ModelNode> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.nodes.iter().filter(|(p, _)| *p != path && p.starts_with(&prefix));
        below.map(|(_, node)| node).collect()
    }

    fn count_usage(&mut self, stats: &str, root: &str) {
        let all: Vec<&ModelNode> = self.nodes.get(root).into_iter().chain(self.below(root)).collect();
        let all = if self.nodes.contains_key(root) { all } else { vec![] };
        let bytes: usize = all.iter().map(|node| node.data.as_ref().map_or(0, Vec::len)).sum();
        let text = format!("count={},bytes={bytes}", all.len());
        self.nodes.get_mut(stats).unwrap().data = Some(text.into());
    }

    fn use_quota(&mut self, path: &str, bytes: i64, count: i64) {
        let mut prefixes: Vec<&str> = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]).collect();
        prefixes.push(path);
        let limits =
            |prefix: &&&str| self.nodes.contains_key(&format!("/zookeeper/quota{prefix}/zookeeper_limits"));
        let Some(prefix) = prefixes.iter().rev().find(limits) else { return };
        let Some(stats) = self.nodes.get_mut(&format!("/zookeeper/quota{prefix}/zookeeper_stats")) else {
            return;
        };
        let text = String::from_utf8(stats.data.clone().unwrap_or_default()).unwrap();
        let number = |key: &str| {
            let value = text.split([',', ';']).find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            value.map_or(-1, |value| value.trim_end_matches('=').parse::<i64>().unwrap_or(-1))
        };
        let (count, bytes) = (number("count") + count, number("bytes") + bytes);
        stats.data = Some(format!("count={count},bytes={bytes}").into());
    }

    pub(super) fn digest(&self) -> u64 {
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        counted.fold(0u64, |sum, (path, node)| {
            let mut bytes = if path == "/" { vec![] } else { path.clone().into_bytes() };
            bytes.extend(node.data.iter().flatten());
            let s = &node.stat;
            for long in [s.czxid, s.mzxid, s.pzxid, s.ctime, s.mtime] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [s.version, s.cversion, s.aversion] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(node.owner.to_stored().to_be_bytes());
            sum.wrapping_add(crc32fast::hash(&bytes).into())
        })
    }

    fn reapable(&self, now_ms: i64, unused_ms: i64) -> Vec<String> {
        let due = |path: &&String| {
            let ModelNode { owner, stat, .. } = &self.nodes[*path];
            let age = now_ms - stat.mtime;
            self.children(path).is_empty()
                && match owner {
                    Owner::Container => stat.cversion > 0 || (unused_ms != 0 && age > unused_ms),
                    Owner::Ttl(ttl) => age > *ttl as i64,
                    _ => false,
                }
        };
        self.nodes.keys().filter(due).cloned().collect()
    }

    /// Everything that can be asked of `tree` is as here.
    pub(super) fn compare(&self, tree: &DataTree) {
        assert_eq!(tree.last_zxid(), self.zxid, "T1");
        assert_eq!(tree.node_count() as usize, self.nodes.len());
        for (path, node) in &self.nodes {
            let found = tree.node(path).unwrap_or_else(|| panic!("{path} is missing"));
            assert_eq!(found.stat(), self.stat(path), "{path}");
            assert_eq!(found.data(), node.data.as_deref(), "{path}");
            assert_eq!(&found.acl()[..], &node.acl[..], "{path}");
            assert_eq!(found.is_open(), node.acl == Acl::open(), "{path}");
            assert_eq!((found.owner(), found.stored_cversion()), (node.owner, node.stat.cversion), "{path}");
            assert_eq!(found.descendant_count() as usize, self.below(path).len(), "{path}");
            let mut children: Vec<String> = found.child_nodes().map(|child| child.path()).collect();
            children.sort();
            assert_eq!(children, self.children(path), "{path}");
        }
        assert_eq!(tree.sessions().collect::<Vec<_>>(), Vec::from_iter(self.sessions.clone()));
        let owner = |node: &ModelNode| match node.owner {
            Owner::Session(session) => Some(session),
            _ => None,
        };
        assert_eq!(tree.ephemeral_count(), self.nodes.values().filter_map(owner).count());
        for session in self.sessions.keys().copied().chain(self.nodes.values().filter_map(owner)) {
            assert_eq!(Vec::from_iter(tree.ephemerals(session)), self.ephemerals(session));
        }
        assert_eq!(tree.digest(), self.digest(), "T2: the digest");
        for (now_ms, unused_ms) in [(0, 0), (1_020, 0), (1_020, 10), (i64::MAX / 2, 1), (i64::MAX / 2, 0)] {
            let mut due: Vec<String> =
                tree.reapable(now_ms, unused_ms, usize::MAX).into_iter().map(String::from).collect();
            due.sort();
            assert_eq!(due, self.reapable(now_ms, unused_ms as i64), "T4: due at {now_ms}");
        }
    }
}

fn quota_of_stats(path: &str) -> Option<&str> {
    let root = path.strip_prefix("/zookeeper/quota")?.strip_suffix("/zookeeper_stats")?;
    (!root.is_empty()).then_some(root)
}
