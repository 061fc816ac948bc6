//! The Learner against a toy state that answers each read with what is applied.

use std::sync::Arc;

use bytes::Bytes;
use paddock_messages::client::ops::PathVersion;
use paddock_messages::client::reply::Outcome;
use paddock_messages::client::request::{Read, Write, WriteOp};
use paddock_messages::ids::{AttachNumber, ClientRef, ConnId, ServerId, SessionId};
use paddock_messages::letters::{Asker, Handshake, Home, Proposal, Request, SessionChange, Submission};
use paddock_messages::txn::{Op, Txn, TxnBody, TxnHeader};
use paddock_messages::zxid::{Epoch, Zxid};

use super::core::{Learner, Output, READ_BYTES, State};
use super::session_ids::SessionIds;
use crate::tree::feed::{CloseReason, FeedItem, ReadAnswer};

mod leaders;

#[derive(Default)]
struct Toy {
    applied: Vec<Zxid>,
    pushed: Vec<FeedItem>,
    /// Each epoch begun, and how many txns were applied before.
    begun: Vec<(Epoch, usize)>,
    /// What each read is answered with, in bytes; 0 for an answer without a body.
    body: usize,
}

impl State for Toy {
    fn apply(&mut self, txn: &Txn) -> Outcome {
        assert!(self.applied.last() < Some(&txn.header.zxid), "L2: applied in order, once");
        self.applied.push(txn.header.zxid);
        Outcome::Done
    }
    fn read(&mut self, _: &Asker, read: Read) -> ReadAnswer {
        match self.body {
            0 => ReadAnswer::Local(read),
            body => ReadAnswer::Tree { err: None, body: vec![0; body], watch: None, found: None },
        }
    }
    fn last_zxid(&self) -> Zxid {
        self.applied.last().copied().unwrap_or_default()
    }
    fn push(&mut self, arbiter: u16, item: FeedItem) {
        assert_eq!(arbiter, 0);
        self.pushed.push(item);
    }
    fn begin_epoch(&mut self, epoch: Epoch) {
        assert!(self.last_zxid() < epoch.start(), "L6: after all before it");
        self.begun.push((epoch, self.applied.len()));
    }
}

struct World {
    learner: Learner,
    toy: Toy,
    out: Vec<Output>,
    changes: Vec<SessionChange>,
}

const SESSION: SessionId = SessionId(7);

fn z(counter: u32) -> Zxid {
    Zxid::new(Epoch(1), counter)
}

fn number(counter: u64) -> AttachNumber {
    AttachNumber { epoch: Epoch(1), counter }
}

fn client(slot: u32) -> ClientRef {
    ClientRef { arbiter: 0, conn: ConnId { slot, generation: 0 } }
}

fn asker(attach: u64) -> Asker {
    Asker { session: SESSION, attach: number(attach), ids: Arc::new([]) }
}

fn txn(counter: u32, attach: u64, body: TxnBody) -> Proposal {
    let header = TxnHeader {
        session: SESSION,
        attach: if attach == 0 { AttachNumber::default() } else { number(attach) },
        cxid: counter as i32,
        zxid: z(counter),
        time: 0,
    };
    Proposal::Txn(Txn { header, body })
}

fn change(counter: u32, attach: u64) -> Proposal {
    txn(
        counter,
        attach,
        TxnBody::One(Op::SetData { path: "/a".into(), data: Some(Bytes::new()), version: 1 }),
    )
}

fn write(xid: i32, attach: u64) -> Submission {
    let write = Write::One(WriteOp::Delete(PathVersion { path: "/a".into(), version: -1 }));
    Submission::Write { from: asker(attach), xid, write }
}

fn read(xid: i32, attach: u64) -> Submission {
    Submission::Read { from: asker(attach), xid, read: Read::Ping }
}

impl World {
    fn new() -> Self {
        let learner = Learner::new(ServerId(1), Epoch(1).start(), SessionIds::new(ServerId(1), 0, None));
        Self { learner, toy: Toy::default(), out: vec![], changes: vec![] }
    }

    /// With [`SESSION`] attached to connection 0 by number 1.
    fn attached() -> Self {
        let mut world = Self::new();
        world.propose(vec![attached(0, 1)]);
        world.apply();
        world
    }

    fn propose(&mut self, items: Vec<Proposal>) {
        self.learner.on_proposals(Arc::new(items), &mut self.out);
    }

    fn submit(&mut self, items: Vec<Submission>) {
        self.learner.on_submissions(items, &mut self.out);
    }

    fn commit(&mut self, counter: u32) {
        self.learner.on_commit(z(counter), &mut self.out);
    }

    /// Applies what is ready; what the arbiter gets, in short.
    fn apply(&mut self) -> Vec<String> {
        self.learner.apply(&mut self.toy, &mut self.changes);
        self.toy.pushed.drain(..).map(|item| short(&item)).collect()
    }
}

fn attached(slot: u32, attach: u64) -> Proposal {
    let member = ServerId(1);
    Proposal::Attached {
        member,
        client: client(slot),
        session: SESSION,
        attach: number(attach),
        timeout_ms: 4000,
    }
}

fn short(item: &FeedItem) -> String {
    match item {
        FeedItem::Reply { conn, xid, .. } => format!("{}: reply {xid}", conn.slot),
        FeedItem::LateReply { conn, xid, .. } => format!("{}: late reply {xid}", conn.slot),
        FeedItem::Read { conn, xid, zxid, .. } => format!("{}: read {xid} at {}", conn.slot, zxid.counter()),
        FeedItem::Synced { conn, xid, zxid, .. } => {
            format!("{}: synced {xid} at {}", conn.slot, zxid.counter())
        }
        FeedItem::Attached { conn, .. } => format!("{}: attached", conn.slot),
        FeedItem::AttachRefused { conn } => format!("{}: refused", conn.slot),
        FeedItem::Close { conn, why: CloseReason::SessionMoved } => format!("{}: moved", conn.slot),
        FeedItem::Close { conn, why: CloseReason::SessionNotBegun } => format!("{}: not begun", conn.slot),
        FeedItem::Close { conn, why: CloseReason::SessionEnded } => format!("{}: ended", conn.slot),
        FeedItem::Event { path, .. } => format!("event {path}"),
        FeedItem::ReadsSynced { number, zxid } => format!("reads synced {number} at {}", zxid.counter()),
    }
}

#[test]
fn l1_only_what_is_durable_is_acked() {
    let mut world = World::new();
    world.propose(vec![change(1, 1), change(2, 1)]);
    assert!(matches!(&world.out[..], [Output::Append(batch)] if batch.len() == 2));
    world.out.clear();
    world.learner.on_persisted(z(1), &mut world.out);
    assert_eq!(world.out, [Output::Ack(z(1))]);
}

#[test]
#[should_panic(expected = "L1")]
fn l1_nothing_is_durable_before_it_is_appended() {
    World::new().learner.on_persisted(z(1), &mut vec![]);
}

#[test]
fn l2_only_what_is_committed_is_applied() {
    let mut world = World::attached();
    world.propose(vec![change(1, 9), change(2, 9), change(3, 9)]);
    world.apply();
    assert_eq!(world.toy.applied, []);
    world.commit(2);
    assert_eq!(world.out.last(), Some(&Output::Apply));
    world.apply();
    assert_eq!(world.toy.applied, [z(1), z(2)]);
}

#[test]
fn l3_a_read_between_two_writes_is_executed_between_them() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1), read(2, 1), read(3, 1), write(4, 1)]);
    world.propose(vec![change(1, 1), change(2, 5), change(3, 1)]);
    world.commit(3);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1", "0: read 3 at 1", "0: reply 3"]);
}

#[test]
fn l3_large_answers_are_given_over_several_holds_of_the_lock_in_their_order() {
    let mut world = World::attached();
    world.toy.body = READ_BYTES * 3 / 5;
    world.submit(vec![write(1, 1), read(2, 1), read(3, 1), read(4, 1), write(5, 1)]);
    world.propose(vec![change(1, 1), change(2, 1)]);
    world.commit(2);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1", "0: read 3 at 1"]);
    assert!(world.learner.is_ready());
    assert_eq!(world.apply(), ["0: read 4 at 1", "0: reply 2"]);
    assert!(!world.learner.is_ready());
}

#[test]
fn l3_a_read_behind_a_sync_waits_for_what_was_proposed_before_it() {
    let mut world = World::attached();
    let sync = Submission::Sync { from: asker(1), xid: 1, path: None };
    world.submit(vec![sync, read(2, 1), write(3, 1)]);
    let synced = Proposal::Synced { number: 0, session: SESSION, attach: number(1), xid: 1, path: None };
    world.propose(vec![change(1, 9), synced, change(2, 1)]);
    assert_eq!(world.apply(), [""; 0]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: synced 1 at 1", "0: read 2 at 1"]);
}

/// The same as a session's sync: behind what was proposed before, and confirmed (P11); only its own member's.
#[test]
fn c10_the_sync_of_an_arbiter_waits_for_what_was_proposed_before_it_and_for_a_quorum_s_word() {
    let mut world = World::attached();
    world.submit(vec![Submission::SyncReads { arbiter: 0, number: 9 }]);
    let asked = Output::Forward(vec![Request::SyncReads { arbiter: 0, number: 9 }]);
    assert_eq!(world.out.pop(), Some(asked));
    let synced =
        |member, upto| Proposal::ReadsSynced { number: 1, member: ServerId(member), arbiter: 0, upto };
    world.propose(vec![change(1, 9), synced(2, 8), synced(1, 9)]);
    world.learner.on_confirmed(1, &mut world.out);
    assert_eq!(world.apply(), [""; 0]);
    world.commit(1);
    assert_eq!(world.apply(), ["reads synced 9 at 1"]);
    world.propose(vec![synced(1, 10)]);
    assert_eq!(world.apply(), ["reads synced 10 at 1"]);
    let later = Proposal::ReadsSynced { number: 2, member: ServerId(1), arbiter: 0, upto: 11 };
    world.propose(vec![later]);
    assert_eq!(world.apply(), [""; 0], "nobody has confirmed it");
    world.learner.on_confirmed(2, &mut world.out);
    assert_eq!(world.apply(), ["reads synced 11 at 1"]);
}

#[test]
fn l4_what_an_older_attachment_asked_is_not_answered() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1), read(2, 1)]);
    world.propose(vec![change(1, 1), attached(1, 2)]);
    world.submit(vec![write(3, 1)]); // the old connection does not know yet
    world.propose(vec![change(2, 1)]);
    world.commit(2);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1", "0: moved", "1: attached"]);
}

#[test]
fn l3_a_refusal_without_a_txn_is_answered_in_its_place() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1), read(2, 1), write(3, 1)]);
    let refused = |session, attach, xid| {
        let code = paddock_messages::error_code::ErrorCode::NotReadOnly;
        Proposal::Refused { session, attach, xid, code }
    };
    world.propose(vec![change(1, 5), refused(SESSION, number(1), 1), refused(SESSION, number(1), 3)]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1", "0: reply 3"]);
}

#[test]
fn p10_who_is_turned_away_is_closed_at_once_and_the_session_stays_where_it_is() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1)]);
    world.propose(vec![change(1, 1)]); // never durable
    world.submit(vec![Submission::Open { client: client(4), timeout_ms: 4000 }]);
    let Some(Output::Forward(requests)) = world.out.pop() else { panic!("nothing forwarded") };
    let Request::Open { session, .. } = requests[0] else { panic!("{requests:?}") };
    world.out.clear();
    let dropped = |slot, has_moved| Handshake::Attach { client: client(slot), has_moved };
    let turned_away = vec![dropped(5, true), Handshake::Open(session), dropped(6, false)];
    world.learner.on_turned_away(turned_away, &mut world.out);
    assert_eq!(world.out, [Output::Apply]);
    assert_eq!(world.apply(), ["5: moved", "4: not begun", "6: not begun"]);
    assert!(!world.learner.is_ready());
    world.learner.on_turned_away(vec![Handshake::Open(session)], &mut world.out);
    assert_eq!(world.apply(), [""; 0], "its connection is closed");
    world.learner.on_turned_away(vec![Handshake::Ended(client(7))], &mut world.out);
    assert_eq!(world.apply(), ["7: refused"], "only who names a session that has ended is told so");
    world.commit(1);
    assert_eq!(world.apply(), ["0: reply 1"]);
}

#[test]
#[should_panic(expected = "L5")]
fn l5_a_gap_in_the_proposals_stops_the_node() {
    World::new().propose(vec![change(1, 1), change(3, 1)]);
}

#[test]
fn a_session_is_opened_closed_and_expired() {
    let mut world = World::new();
    world.submit(vec![Submission::Open { client: client(0), timeout_ms: 4000 }]);
    let Some(Output::Forward(requests)) = world.out.pop() else { panic!("nothing forwarded") };
    let Request::Open { session, timeout_ms } = requests[0] else { panic!("{requests:?}") };
    let begin = |session, counter, body| {
        let header = TxnHeader { session, attach: number(1), cxid: 0, zxid: z(counter), time: 0 };
        Proposal::Txn(Txn { header, body })
    };
    world.propose(vec![begin(session, 1, TxnBody::CreateSession { timeout_ms })]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: attached"]);
    let close = Submission::Write {
        from: Asker { session, attach: number(1), ids: Arc::new([]) },
        xid: 5,
        write: Write::CloseSession,
    };
    world.submit(vec![close]);
    world.propose(vec![begin(session, 2, TxnBody::CloseSession { ephemerals: vec![] })]);
    world.commit(2);
    assert_eq!(world.apply(), ["0: reply 0"], "its connection closes itself");
    assert_eq!(
        world.changes,
        [
            SessionChange::Lives { session, attach: number(1), timeout_ms: 4000, home: Home::Arbiter(0) },
            SessionChange::Ended(session)
        ]
    );

    let mut world = World::attached();
    world.propose(vec![txn(1, 0, TxnBody::CloseSession { ephemerals: vec![] })]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: ended"]);
}

#[test]
fn l3_a_read_that_comes_after_the_answer_it_stands_behind_is_executed_before_the_next_write() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1)]);
    world.propose(vec![change(1, 1)]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: reply 1"]);
    // The arbiter sent these before it had that reply out of its feed.
    world.out.clear();
    world.submit(vec![read(2, 1), write(3, 1)]);
    assert!(world.out.contains(&Output::Apply) && world.learner.is_ready(), "{:?}", world.out);
    world.propose(vec![change(2, 1)]);
    world.commit(2);
    assert_eq!(world.apply(), ["0: read 2 at 1", "0: reply 2"]);
    assert!(!world.learner.is_ready());
}
