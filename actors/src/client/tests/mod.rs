//! A member in one thread: client arbiters, the Learner's and the Proposer's cores, a tree. The test
//! decides when each of them has its turn.

mod asked_again;
mod expiry;
mod limits;
mod linearizable;
mod local;
mod metering;
mod operator;
mod order;
mod parking;
mod protocol;
mod refusals;
mod refused_early;
mod room;
mod shell;
mod throttled;
mod watching;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::Read;
use paddock_messages::client::session::{ConnectFields, ConnectRequest, ConnectResponse};
use paddock_messages::client::{OpCode, ReplyHeader, RequestHeader};
use paddock_messages::ids::{AttachNumber, ConnId, ServerId, SessionId};
use paddock_messages::letters::{Ack, Asker, Handshake, Internal, Proposal, Request, Requests, Submission};
use paddock_messages::txn::Txn;
use paddock_messages::wire::{Wire, frame};
use paddock_messages::zxid::{Epoch, Zxid};

use super::core::Notice;
use super::{ArbiterCore, Entrance, Serving, Settings, reads};
use crate::auth::AuthRules;
use crate::learner::core::{Learner, Output as Order, State};
use crate::learner::session_ids::SessionIds;
use crate::proposer::core::{Output, Proposer};
use crate::proposer::{Majority, Room};
use crate::tree::feed::{FeedItem, ReadAnswer};
use crate::tree::prep::PrepRules;
use crate::tree::{DataTree, SharedTree, TreeOptions, TreeWriter};

const ME: ServerId = ServerId(1);

/// Mail to the Learner.
enum ToLearner {
    Asked(Vec<Submission>),
    Proposed(Vec<Proposal>),
    TurnedAway(Vec<Handshake>),
    Durable(Zxid),
    Committed(Zxid),
}

/// Mail to the Proposer.
enum ToProposer {
    Asked(Vec<Request>),
    Acked(Zxid),
}

pub(super) struct Member {
    pub(super) arbiters: Vec<ArbiterCore>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) rules: Arc<AuthRules>,
    pub(super) now_ms: u64,
    learner: Learner,
    proposer: Proposer<Majority>,
    to_learner: VecDeque<ToLearner>,
    to_proposer: VecDeque<ToProposer>,
    at_disk: VecDeque<Zxid>,
    /// Who was to be woken because its feed was empty.
    pub(super) woken: Vec<u16>,
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

/// A client's connection, from its side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) arbiter: usize,
    pub(super) conn: ConnId,
}

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) err: i32,
    pub(super) body: Bytes,
}

impl Member {
    pub(super) fn new(arbiters: u16) -> Self {
        Self::with(arbiters, Settings::default(), AuthRules::default())
    }

    pub(super) fn with(arbiters: u16, settings: Settings, rules: AuthRules) -> Self {
        let mut tree = DataTree::new(TreeOptions::default());
        tree.begin_epoch(Epoch(1));
        let last = tree.last_zxid();
        let tree = Arc::new(SharedTree::new(tree, usize::from(arbiters)));
        let (settings, rules) = (Arc::new(settings), Arc::new(rules));
        let entrance = Arc::new(Entrance::default());
        let core = |at| {
            let mut core =
                ArbiterCore::new(at, settings.clone(), rules.clone(), tree.clone(), entrance.clone());
            core.serve(Serving::Everybody, 0);
            core
        };
        let prep = PrepRules {
            auth: (*rules).clone(),
            extended_types: false,
            reconfig: None,
            reconfig_by_operators: None,
            local_sessions: settings.local_sessions,
            never_used_ms: 0,
        };
        let learner = Learner::new(ME, last, SessionIds::new(ME, 1, None));
        let learner = if settings.local_sessions { learner.with_local_sessions() } else { learner };
        Self {
            arbiters: (0..arbiters).map(core).collect(),
            tree,
            rules,
            now_ms: 0,
            learner,
            proposer: Proposer::new(
                ME,
                Epoch(1),
                Majority([ME].into()),
                prep,
                Room { admitted: 1 << 24, largest: 1 << 20 },
            ),
            to_learner: VecDeque::new(),
            to_proposer: VecDeque::new(),
            at_disk: VecDeque::new(),
            woken: Vec::new(),
        }
    }

    /// What clients of `arbiter` asked goes to the Learner.
    pub(super) fn submit(&mut self, arbiter: usize) {
        let batch = self.arbiters[arbiter].take_submissions();
        if !batch.is_empty() {
            self.to_learner.push_back(ToLearner::Asked(batch));
        }
    }

    /// The Learner handles one mail.
    pub(super) fn learn(&mut self) -> bool {
        let Some(mail) = self.to_learner.pop_front() else { return false };
        let mut out = Vec::new();
        match mail {
            ToLearner::Asked(items) => self.learner.on_submissions(items, &mut out),
            ToLearner::Proposed(items) => self.learner.on_proposals(Arc::new(items), &mut out),
            ToLearner::TurnedAway(handshakes) => self.learner.on_turned_away(handshakes, &mut out),
            ToLearner::Durable(upto) => self.learner.on_persisted(upto, &mut out),
            ToLearner::Committed(upto) => self.learner.on_commit(upto, &mut out),
        }
        for order in out {
            match order {
                Order::Forward(items) => self.to_proposer.push_back(ToProposer::Asked(items)),
                Order::Append(batch) => {
                    self.at_disk
                        .extend(batch.iter().filter_map(Proposal::txn).last().map(|txn| txn.header.zxid));
                }
                Order::Ack(upto) => self.to_proposer.push_back(ToProposer::Acked(upto)),
                Order::Apply | Order::Reconfigure(_) => {}
            }
        }
        true
    }

    /// The Proposer handles one mail.
    pub(super) fn propose(&mut self) -> bool {
        let Some(mail) = self.to_proposer.pop_front() else { return false };
        let mut out = Vec::new();
        match mail {
            ToProposer::Asked(items) => {
                let requests = Requests { member: ME, items };
                self.proposer.on_requests(&*self.tree.read(), requests, self.now_ms as i64, &mut out);
            }
            ToProposer::Acked(upto) => self.proposer.on_ack(Ack { from: ME, upto }, &mut out),
        }
        self.route(out);
        true
    }

    /// These sessions' time is up.
    pub(super) fn expire(&mut self, sessions: Vec<SessionId>) {
        let mut out = Vec::new();
        let newest = AttachNumber { epoch: Epoch(u32::MAX), counter: 0 };
        let expired = Internal::Expire(sessions.into_iter().map(|id| (id, newest)).collect());
        self.proposer.on_internal(&*self.tree.read(), expired, self.now_ms as i64, &mut out);
        self.route(out);
    }

    fn route(&mut self, out: Vec<Output<Majority>>) {
        for output in out {
            match output {
                Output::Propose(items) => self.to_learner.push_back(ToLearner::Proposed(items)),
                Output::TurnAway(_, handshakes) => {
                    self.to_learner.push_back(ToLearner::TurnedAway(handshakes));
                }
                Output::Commit(upto) => self.to_learner.push_back(ToLearner::Committed(upto)),
                other => panic!("nothing here asks for {other:?}"),
            }
        }
    }

    /// One sync ends.
    pub(super) fn persist(&mut self) -> bool {
        let upto = self.at_disk.pop_front().map(ToLearner::Durable);
        upto.map(|durable| self.to_learner.push_back(durable)).is_some()
    }

    /// What is committed is applied.
    pub(super) fn apply(&mut self) -> bool {
        if !self.learner.is_ready() {
            return false;
        }
        let mut writer = self.tree.write();
        self.learner.apply(&mut Live(&mut writer, &self.rules), &mut Vec::new());
        writer.commit(|arbiter| self.woken.push(arbiter));
        true
    }

    pub(super) fn drain(&mut self, arbiter: usize) {
        self.arbiters[arbiter].drain_feed(self.now_ms);
    }

    /// Everything up to the point where the feeds are filled, but not drained.
    pub(super) fn fill_feeds(&mut self) {
        loop {
            (0..self.arbiters.len()).for_each(|at| self.submit(at));
            let moved = [self.learn(), self.propose(), self.persist(), self.apply()];
            if !moved.contains(&true) {
                return;
            }
        }
    }

    /// These submissions are done, and answered on `arbiter`; what it then asks stays with it.
    pub(super) fn answer(&mut self, arbiter: usize, batch: Vec<Submission>) {
        self.to_learner.push_back(ToLearner::Asked(batch));
        self.fill_feeds();
        self.drain(arbiter);
    }

    /// Until nothing moves any more.
    pub(super) fn settle(&mut self) {
        loop {
            self.fill_feeds();
            (0..self.arbiters.len()).for_each(|at| self.drain(at));
            if self.arbiters.iter().all(|core| !core.has_submissions()) {
                return;
            }
        }
    }

    pub(super) fn accept(&mut self, arbiter: usize) -> Client {
        let peer = "127.0.0.1:9999".parse().unwrap();
        let conn = self.arbiters[arbiter].on_accept(peer, self.now_ms).unwrap();
        Client { arbiter, conn }
    }

    /// A new session's connection.
    pub(super) fn connect(&mut self, arbiter: usize) -> Client {
        let client = self.accept(arbiter);
        self.send(client, &hello(SessionId::NONE, 0, None));
        self.settle();
        assert!(self.handshake(client).timeout_ms > 0);
        client
    }

    pub(super) fn send(&mut self, client: Client, bytes: &[u8]) {
        self.arbiters[client.arbiter].on_bytes(client.conn, bytes, self.now_ms);
    }

    pub(super) fn core(&mut self, client: Client) -> &mut ArbiterCore {
        &mut self.arbiters[client.arbiter]
    }

    /// The bytes the client is sent now; all are taken.
    pub(super) fn take_bytes(&mut self, client: Client) -> Bytes {
        let now_ms = self.now_ms;
        let core = self.core(client);
        let bytes = Bytes::copy_from_slice(core.unsent(client.conn));
        core.on_sent(client.conn, bytes.len(), now_ms);
        bytes
    }

    /// The answer to the handshake.
    pub(super) fn handshake(&mut self, client: Client) -> ConnectResponse {
        let mut bytes = self.take_bytes(client);
        let length = bytes.get_u32() as usize;
        assert!(length == 36 || length == 37, "{length}");
        ConnectResponse::read(&mut bytes).unwrap()
    }

    /// What the client is sent now, packet by packet.
    pub(super) fn receive(&mut self, client: Client) -> Vec<Packet> {
        packets(self.take_bytes(client))
    }

    /// Sends, lets everything happen, and gives what came back.
    pub(super) fn ask(&mut self, client: Client, bytes: &[u8]) -> Vec<Packet> {
        self.send(client, bytes);
        self.settle();
        self.receive(client)
    }

    pub(super) fn is_over(&mut self, client: Client) -> bool {
        self.core(client).is_over(client.conn)
    }

    pub(super) fn notices(&mut self, client: Client) -> Vec<Notice> {
        self.core(client).take_notices()
    }
}

pub(super) fn packets(mut bytes: Bytes) -> Vec<Packet> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.get_u32() as usize;
        let mut body = bytes.split_to(length);
        let ReplyHeader { xid, zxid, err } = ReplyHeader::read(&mut body).unwrap();
        found.push(Packet { xid, zxid, err, body });
    }
    found
}

/// A handshake's frame.
pub(super) fn hello(session: SessionId, last_zxid_seen: i64, read_only: Option<bool>) -> Vec<u8> {
    let password = paddock_messages::client::session::password(session);
    let password =
        Some(if session == SessionId::NONE { Bytes::from(vec![0; 16]) } else { password.to_vec().into() });
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen,
        timeout_ms: 10_000,
        session_id: session.0,
        password,
    };
    let mut bytes = Vec::new();
    frame(&mut bytes, |to| ConnectRequest { fields, read_only }.write(to));
    bytes
}

/// A request's frame.
pub(super) fn request(xid: i32, opcode: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |to| {
        RequestHeader { xid, opcode }.write(to);
        body(to);
    });
    bytes
}

pub(super) fn ping() -> Vec<u8> {
    request(-2, OpCode::Ping as i32, |_| {})
}

pub(super) fn create(xid: i32, path: &str) -> Vec<u8> {
    request(xid, OpCode::Create as i32, |to| {
        paddock_messages::wire::write_str(path, to);
        Some(Bytes::from_static(b"d")).write(to);
        let open: Vec<_> = paddock_messages::znode::Acl::open().iter().map(Into::into).collect();
        Some::<Vec<paddock_messages::znode::AclEntry>>(open).write(to);
        0i32.write(to);
    })
}

pub(super) fn set(xid: i32, path: &str, data: &str) -> Vec<u8> {
    request(xid, OpCode::SetData as i32, |to| {
        paddock_messages::wire::write_str(path, to);
        paddock_messages::wire::write_str(data, to);
        (-1i32).write(to);
    })
}

pub(super) fn delete(xid: i32, path: &str) -> Vec<u8> {
    request(xid, OpCode::Delete as i32, |to| {
        paddock_messages::wire::write_str(path, to);
        (-1i32).write(to);
    })
}

/// exists, getData, getChildren or getChildren2.
pub(super) fn look(xid: i32, opcode: OpCode, path: &str, watch: bool) -> Vec<u8> {
    request(xid, opcode as i32, |to| {
        paddock_messages::wire::write_str(path, to);
        watch.write(to);
    })
}

/// addWatch, checkWatches or removeWatches.
pub(super) fn watch(xid: i32, opcode: OpCode, path: &str, number: i32) -> Vec<u8> {
    request(xid, opcode as i32, |to| {
        paddock_messages::wire::write_str(path, to);
        number.write(to);
    })
}
