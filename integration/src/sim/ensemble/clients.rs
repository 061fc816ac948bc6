//! Clients, as far as an ensemble's history is concerned: sessions that move between members, and writes whose
//! answers are held to the truth (EN2, EN4).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use paddock_actors::tree::feed::FeedItem;
use paddock_messages::client::ops::{Create, PathVersion, SetData};
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::{CreateOp, Write, WriteOp};
use paddock_messages::error_code::ErrorCode;
use paddock_messages::ids::{AttachNumber, ClientRef, ConnId, ServerId, SessionId};
use paddock_messages::letters::{Asker, Submission};
use paddock_messages::znode::{Acl, AclEntry};
use paddock_messages::zxid::Zxid;
use rand::Rng;
use rand::rngs::StdRng;

use super::truth::Truth;
use crate::sim::Met;

/// A write that is not answered.
struct Asked {
    xid: i32,
    /// What any client had been answered when it was sent.
    floor: Zxid,
}

/// One client.
#[derive(Default)]
pub(super) struct Person {
    number: u32,
    connections: u32,
    /// Where its connection is, and whether its session is attached there.
    at: Option<(ServerId, bool)>,
    since_ms: u64,
    pub(super) session: Option<SessionId>,
    pub(super) timeout_ms: u64,
    /// When it was answered last.
    answered_ms: u64,
    /// It says nothing before.
    pub(super) silent_until_ms: u64,
    next_ping_ms: u64,
    attach: AttachNumber,
    xid: i32,
    asked: VecDeque<Asked>,
    /// Reads that wait for a sync of their arbiter's own, by its number; what was answered when each came.
    reads: BTreeMap<u64, Zxid>,
    reads_asked: u64,
    /// The highest zxid it was told.
    pub(super) seen: Zxid,
    /// Writes answered.
    pub(super) done: u64,
}

impl Person {
    pub(super) fn new(number: u32, timeout_ms: u64) -> Self {
        Self { number, timeout_ms, ..Self::default() }
    }

    /// EN7: until when its session was promised to live.
    pub(super) fn promised_ms(&self) -> u64 {
        self.answered_ms + self.timeout_ms
    }

    /// The session to ping for, if it is time.
    pub(super) fn ping(&mut self, now_ms: u64) -> Option<SessionId> {
        let attached = self.at.is_some_and(|(_, attached)| attached);
        if !attached || now_ms < self.next_ping_ms {
            return None;
        }
        self.next_ping_ms = now_ms + self.timeout_ms / 3;
        self.session
    }

    pub(super) fn pinged(&mut self, now_ms: u64) {
        self.answered_ms = now_ms;
    }

    /// Its client is another one from now on, which knows of no session.
    pub(super) fn die(&mut self) -> Option<SessionId> {
        self.disconnected();
        self.session.take()
    }

    pub(super) fn at(&self) -> Option<ServerId> {
        self.at.map(|(member, _)| member)
    }

    fn conn(&self) -> ConnId {
        ConnId { slot: self.number, generation: self.connections }
    }

    /// Its connection is gone: what it asked may be done or not.
    pub(super) fn disconnected(&mut self) {
        self.at = None;
        self.asked.clear();
        self.reads.clear();
    }

    /// Dials a member: with its session, if it has one.
    pub(super) fn connect(&mut self, member: ServerId, now_ms: u64) -> Submission {
        self.connections += 1;
        (self.at, self.since_ms) = (Some((member, false)), now_ms);
        let client = ClientRef { arbiter: 0, conn: self.conn() };
        match self.session {
            Some(session) => Submission::Attach { client, session, timeout_ms: self.timeout_ms as i32 },
            None => Submission::Open { client, timeout_ms: self.timeout_ms as i32 },
        }
    }

    /// Whether it has waited for an answer for too long.
    pub(super) fn gives_up(&self, now_ms: u64) -> bool {
        let waits = self.at.is_some_and(|(_, attached)| !attached) || !self.asked.is_empty();
        waits && now_ms > self.since_ms + 4_000
    }

    /// Some writes, if it may send any.
    pub(super) fn ask(&mut self, floor: Zxid, now_ms: u64, rng: &mut StdRng) -> Vec<Submission> {
        let Some(session) = self.session.filter(|_| self.at.is_some_and(|(_, attached)| attached)) else {
            return vec![];
        };
        if self.asked.len() > 6 {
            return vec![];
        }
        if self.asked.is_empty() {
            self.since_ms = now_ms;
        }
        let from = Asker { session, attach: self.attach, ids: Arc::new([]) };
        let many = rng.random_range(1..4);
        let reads = rng.random_bool(0.2).then(|| self.read(floor));
        (0..many)
            .map(|_| {
                self.xid += 1;
                self.asked.push_back(Asked { xid: self.xid, floor });
                if rng.random_bool(0.2) {
                    return Submission::Sync { from: from.clone(), xid: self.xid, path: None };
                }
                Submission::Write { from: from.clone(), xid: self.xid, write: self.write(rng) }
            })
            .chain(reads)
            .collect()
    }

    /// A linearizable read: it begins once this is answered. One that is lost with its leader is not asked again.
    fn read(&mut self, floor: Zxid) -> Submission {
        self.reads_asked += 1;
        let number = (u64::from(self.number) << 32) + self.reads_asked;
        self.reads.insert(number, floor);
        Submission::SyncReads { arbiter: 0, number }
    }

    fn write(&self, rng: &mut StdRng) -> Write {
        let data = Some(Bytes::from(vec![b'v'; rng.random_range(0..60)]));
        let path = format!("/n{}", rng.random_range(0..12)).into();
        Write::One(match rng.random_range(0..10) {
            0..3 => {
                let flags = [0, 0, 1, 2][rng.random_range(0..4)]; // persistent, ephemeral, sequential
                let acl = Some(Acl::open().iter().map(AclEntry::from).collect());
                WriteOp::Create(CreateOp::Create, Box::new(Create { path, data, acl, flags }))
            }
            3 => WriteOp::Delete(PathVersion { path, version: -1 }),
            _ => {
                let version = if rng.random_bool(0.7) { -1 } else { rng.random_range(0..4) };
                WriteOp::SetData(SetData { path, data, version })
            }
        })
    }

    /// Something for its connection; false if it is for an older one.
    pub(super) fn receive(&mut self, item: &FeedItem, now_ms: u64, truth: &mut Truth, met: &mut Met) -> bool {
        let conn = self.conn();
        match item {
            FeedItem::Attached { conn: to, session, attach, .. } if *to == conn => {
                let moved = self.session == Some(*session);
                met.count(if moved { "sessions moved" } else { "sessions begun" });
                (self.session, self.attach) = (Some(*session), *attach);
                self.answered_ms = now_ms;
                self.at = self.at.map(|(member, _)| (member, true));
            }
            FeedItem::AttachRefused { conn: to } if *to == conn => {
                let session = self.session.take().expect("it asked for one");
                assert!(truth.has_ended(session), "EN2: {session} was given and is not there any more");
                met.count("sessions found ended");
                self.disconnected();
            }
            FeedItem::Close { conn: to, .. } if *to == conn => self.disconnected(),
            FeedItem::Reply { conn: to, xid, zxid, outcome } if *to == conn => {
                self.on_reply(*xid, *zxid, outcome, truth, met);
            }
            FeedItem::Synced { conn: to, xid, zxid, .. } if *to == conn => {
                let asked = self.answered(*xid);
                let floor = asked.floor;
                assert!(*zxid >= floor, "EN6: a sync is done at {zxid:?}, {floor:?} was answered before it");
                met.count("syncs answered");
            }
            FeedItem::ReadsSynced { number, zxid } if self.reads.contains_key(number) => {
                let floor = self.reads.remove(number).expect("just seen");
                assert!(
                    *zxid >= floor,
                    "EN6: reads begin at {zxid:?}, {floor:?} was answered before they came"
                );
                met.count("reads synced");
            }
            _ => return false,
        }
        true
    }

    /// EN4.
    fn answered(&mut self, xid: i32) -> Asked {
        let asked = self.asked.pop_front().unwrap_or_else(|| panic!("EN4: {xid} was not asked"));
        assert_eq!(asked.xid, xid, "EN4: answers come in the order of the requests");
        asked
    }

    /// EN4.
    fn on_reply(&mut self, xid: i32, zxid: Zxid, outcome: &Outcome, truth: &mut Truth, met: &mut Met) {
        let asked = self.answered(xid);
        if matches!(outcome, Outcome::Refused(ErrorCode::SessionMoved)) {
            met.count("writes refused as moved");
            return;
        }
        if matches!(outcome, Outcome::Refused(ErrorCode::NotReadOnly)) {
            met.count("writes refused by a full disk");
            return;
        }
        assert!(zxid > self.seen, "EN4: {xid} is done at {zxid:?}, behind {:?}", self.seen);
        assert!(
            zxid > asked.floor,
            "EN4: {xid} was sent after {:?} was answered, and is done at {zxid:?}",
            asked.floor
        );
        self.seen = zxid;
        self.done += 1;
        let session = self.session.expect("it asked through one");
        truth.ack(zxid, session, xid);
        met.count("writes acknowledged");
    }
}
