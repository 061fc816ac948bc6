//! What a pipelined setData costs a node of one member in its cores, from the frame that came to the
//! frame that goes: client arbiter, Learner, Proposer, log records, tree, feed. No socket, no disk, no
//! mailbox.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use paddock_actors::auth::AuthRules;
use paddock_actors::client::{ArbiterCore, Entrance, Serving, Settings, reads};
use paddock_actors::learner::core::{Learner, Output as ToDo, State};
use paddock_actors::learner::session_ids::SessionIds;
use paddock_actors::proposer::{Majority, Output, Proposer, Room};
use paddock_actors::storage::Records;
use paddock_actors::tree::feed::{FeedItem, ReadAnswer};
use paddock_actors::tree::prep::PrepRules;
use paddock_actors::tree::{DataTree, SharedTree, TreeOptions, TreeWriter};
use paddock_messages::client::ops::{Create, SetData};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::client::session::{ConnectFields, ConnectRequest};
use paddock_messages::client::{OpCode, RequestHeader};
use paddock_messages::codec;
use paddock_messages::ids::{ConnId, ServerId};
use paddock_messages::letters::{Ack, Asker, Proposal, Requests};
use paddock_messages::txn::Txn;
use paddock_messages::wire::{Wire, frame};
use paddock_messages::znode::AclEntry;
use paddock_messages::zxid::{Epoch, Zxid};

use crate::DATA;

const ME: ServerId = ServerId(1);
const CLIENTS: usize = 16;
const PIPELINE: usize = 64;

/// A member without its shells.
struct Member {
    arbiter: ArbiterCore,
    learner: Learner,
    proposer: Proposer<Majority>,
    tree: Arc<SharedTree>,
    rules: AuthRules,
    records: Records,
}

struct Live<'a, 't>(&'a mut TreeWriter<'t>, &'a AuthRules);

impl State for Live<'_, '_> {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        self.0.apply(txn)
    }
    fn read(&mut self, from: &Asker, read: Read) -> ReadAnswer {
        reads::answer(self.0, self.1, from, read)
    }
    fn last_zxid(&self) -> Zxid {
        self.0.last_zxid()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        self.0.push(arbiter, item);
    }
    fn begin_epoch(&mut self, epoch: Epoch) {
        self.0.tree_mut().begin_epoch(epoch);
    }
}

impl Member {
    fn new() -> Self {
        let mut tree = DataTree::new(TreeOptions::default());
        tree.begin_epoch(Epoch(1));
        let last = tree.last_zxid();
        let tree = Arc::new(SharedTree::new(tree, 1));
        let (settings, entrance) = (Arc::new(Settings::default()), Arc::new(Entrance::default()));
        let rules = Arc::new(AuthRules::default());
        let mut arbiter = ArbiterCore::new(0, settings, rules, Arc::clone(&tree), entrance);
        arbiter.serve(Serving::Everybody, 0);
        let (quorum, room) = (Majority(BTreeSet::from([ME])), Room { admitted: 1 << 30, largest: 1 << 20 });
        Self {
            arbiter,
            learner: Learner::new(ME, last, SessionIds::new(ME, 1, None)),
            proposer: Proposer::new(ME, Epoch(1), quorum, PrepRules::default(), room),
            tree,
            rules: AuthRules::default(),
            records: Records::default(),
        }
    }

    /// All that was asked is logged, committed, applied and answered.
    fn settle(&mut self) {
        let (mut todo, mut out) = (Vec::new(), Vec::new());
        self.learner.on_submissions(self.arbiter.take_submissions(), &mut todo);
        for order in std::mem::take(&mut todo) {
            if let ToDo::Forward(items) = order {
                let requests = Requests { member: ME, items };
                self.proposer.on_requests(&*self.tree.read(), requests, 1, &mut out);
            }
        }
        for order in std::mem::take(&mut out) {
            if let Output::Propose(items) = order {
                self.learner.on_proposals(Arc::new(items), &mut todo);
            }
        }
        for order in std::mem::take(&mut todo) {
            if let ToDo::Append(batch) = order {
                self.append(&batch);
            }
        }
        self.proposer.on_ack(Ack { from: ME, upto: self.proposer.last() }, &mut out);
        self.learner.on_commit(self.proposer.committed(), &mut todo);
        while self.learner.is_ready() {
            let mut writer = self.tree.write();
            self.learner.apply(&mut Live(&mut writer, &self.rules), &mut Vec::new());
            writer.commit(|_| {});
        }
        self.arbiter.drain_feed(1);
    }

    fn append(&mut self, batch: &[Proposal]) {
        self.records.clear();
        for txn in batch.iter().filter_map(Proposal::txn) {
            self.records.push_written(txn.header.zxid, |to| {
                codec::encode_into(to, txn).expect("every part of a txn can be written");
            });
        }
    }

    /// Gives each client's bytes, and takes what it is answered; more than once, as not all of them may
    /// be in flight together.
    fn round(&mut self, clients: &[ConnId], bytes: &[Vec<u8>]) -> usize {
        for (conn, bytes) in clients.iter().zip(bytes) {
            self.arbiter.on_bytes(*conn, bytes, 1);
        }
        let mut answered = 0;
        while self.arbiter.has_submissions() {
            self.settle();
            for conn in clients {
                let count = self.arbiter.unsent(*conn).len();
                self.arbiter.on_sent(*conn, count, 1);
                answered += count;
            }
            self.arbiter.take_woken(&mut Vec::new());
        }
        answered
    }
}

fn hello() -> Vec<u8> {
    let password = Some(Bytes::from_static(&[0; 16]));
    let fields =
        ConnectFields { protocol_version: 0, last_zxid_seen: 0, timeout_ms: 10_000, session_id: 0, password };
    let mut bytes = Vec::new();
    frame(&mut bytes, |to| ConnectRequest { fields, read_only: Some(false) }.write(to));
    bytes
}

fn request(opcode: OpCode, body: &impl Wire, to: &mut Vec<u8>) {
    frame(to, |to| {
        RequestHeader { xid: 7, opcode: opcode as i32 }.write(to);
        body.write(to);
    });
}

fn create(path: &str) -> Vec<u8> {
    let acl = vec![AclEntry { perms: 31, scheme: Some("world".into()), id: Some("anyone".into()) }];
    let mut bytes = Vec::new();
    let data = Some(Bytes::from_static(DATA));
    request(OpCode::Create, &Create { path: path.into(), data, acl: Some(acl), flags: 0 }, &mut bytes);
    bytes
}

pub(crate) fn all(criterion: &mut Criterion) {
    let mut member = Member::new();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| member.arbiter.on_accept(address, 0).expect("there is room for so many"))
        .collect();
    member.round(&clients, &vec![hello(); CLIENTS]);
    member.round(&clients[..1], &[create("/bench")]);
    let paths: Vec<_> = (0..CLIENTS).map(|at| format!("/bench/client-{at:04}")).collect();
    member.round(&clients, &paths.iter().map(|path| create(path)).collect::<Vec<_>>());
    let sets: Vec<_> = paths
        .iter()
        .map(|path| {
            let set =
                SetData { path: path.as_str().into(), data: Some(Bytes::from_static(DATA)), version: -1 };
            let mut bytes = Vec::new();
            (0..PIPELINE).for_each(|_| request(OpCode::SetData, &set, &mut bytes));
            bytes
        })
        .collect();

    let mut group = criterion.benchmark_group("write path");
    group.throughput(Throughput::Elements((CLIENTS * PIPELINE) as u64));
    group.bench_function(format!("set, {CLIENTS} clients x {PIPELINE} in flight"), |bencher| {
        // Length, header and stat of each reply.
        bencher.iter(|| assert_eq!(member.round(&clients, &sets), CLIENTS * PIPELINE * (4 + 16 + 68)));
    });
    group.finish();
}
