//! A frame of each type of version 1, with every variant of what it may hold: the lines of `frames-v1.txt`; and of each
//! type that a later version has anew, those of that version's file.

use std::sync::Arc;

use bytes::Bytes;

use super::{Frame, Hello, Lane, Versions};
use crate::client::ops::{Create, PathVersion, Reconfig, SetAcl, SetData};
use crate::client::request::{CreateOp, Write, WriteOp};
use crate::error_code::ErrorCode;
use crate::ids::{AttachNumber, ClientRef, ConnId, ServerId, SessionId};
use crate::letters::{Asker, Handshake, Proposal, Request};
use crate::quorum::{
    Configuration, DigestPoint, Digests, Heartbeat, Memory, Notification, PeerState, SyncStart, Tail,
    ToLeader, ToLearner, Vote,
};
use crate::txn::{CreateTxn, Op, Txn, TxnBody, TxnHeader};
use crate::znode::{Acl, AclEntry, Id, Owner, Perms};
use crate::zxid::{Epoch, Zxid};

/// Values, one for each pattern. A variant without a pattern does not compile: it needs a sample, and the
/// frames that can hold it a next version.
macro_rules! each {
    ($type:ty: $($pattern:pat => $value:expr),+ $(,)?) => {{
        fn _has_all(value: &$type) {
            match value { $($pattern => {})+ }
        }
        vec![$({
            let value: $type = $value;
            assert!(matches!(value, $pattern));
            value
        }),+]
    }};
}

const SESSION: SessionId = SessionId(0x0100_0190_8a3c_0001);
const ATTACH: AttachNumber = AttachNumber { epoch: Epoch(3), counter: 70_000 };
const CLIENT: ClientRef = ClientRef { arbiter: 1, conn: ConnId { slot: 300, generation: 2 } };
const MEMBER: ServerId = ServerId(2);
const FROM: Bytes = Bytes::from_static(b"server.1=a:2888:3888:participant;0.0.0.0:2181\nversion=300000001");
const TO: Bytes = Bytes::from_static(b"server.2=b:2888:3888:observer;0.0.0.0:2181\nversion=3000000fb");

pub(super) const HELLO: Hello = Hello {
    from: ServerId(1),
    ensemble: None,
    lane: Lane::Ctl,
    speaks: Versions { lowest: 1, highest: 1 },
    to: MEMBER,
};

/// Each name stands once.
pub(super) fn all() -> Vec<(String, Frame)> {
    let mut all = ctl();
    all.extend(to_leader());
    all.extend(to_learner());
    all.into_iter().map(|(name, frame)| (name.into(), frame)).chain(batches()).collect()
}

/// What version 1 cannot say.
pub(super) fn of_version_2() -> Vec<(String, Frame)> {
    let point = |counter, digest| Some(DigestPoint { zxid: Zxid::new(Epoch(3), counter), digest });
    let points = [point(8_320, 1 << 40), point(8_192, 250), None];
    let digests = Digests { version: 2, points };
    let heartbeat = Heartbeat { number: 251, echo: 7, accepted_epoch: Epoch(3), vouches: false, digests };
    let info = ToLeader::LearnerInfo { accepted_epoch: Epoch(250), counts: true, asks_for_tree: true };
    vec![
        ("heartbeat-digests".into(), Frame::Heartbeat(heartbeat)),
        ("learner-info-asks".into(), Frame::ToLeader(info)),
    ]
}

/// What version 2 has no word for.
pub(super) fn of_version_3() -> Vec<(String, Frame)> {
    let packet = ToLearner::NewEpoch { epoch: Epoch(251), last: Zxid::new(Epoch(250), 0xffff_0000) };
    vec![("new-epoch".into(), Frame::ToLearner(packet))]
}

/// What only an ensemble at feature level 1 logs.
pub(super) fn of_version_4() -> Vec<(String, Frame)> {
    let session = SessionId::NONE;
    let named = (0..).zip(txn_bodies().into_iter().filter(|body| body.level() > 0)).map(|(at, body)| {
        let zxid = Zxid::new(Epoch(4), 251 + at);
        let header = TxnHeader { session, attach: AttachNumber::default(), cxid: 0, zxid, time: 1 << 41 };
        let items = Arc::new(vec![Proposal::Txn(Txn { header, body })]);
        let packet = ToLearner::Proposals { after: Zxid::new(Epoch(4), 250 + at), items };
        (format!("proposals-level-1-{at:02}"), Frame::ToLearner(packet))
    });
    let configurations = [("configuration", None), ("configuration-next", Some(TO))];
    let told = configurations
        .map(|(name, next)| (name.to_owned(), Frame::Configuration(Configuration { now: FROM, next })));
    named.chain(told).collect()
}

fn ctl() -> Vec<(&'static str, Frame)> {
    let member = Hello { ensemble: Some(u128::MAX - 5), lane: Lane::Data, from: ServerId(u64::MAX), ..HELLO };
    let vote = Vote { peer_epoch: Epoch(3), zxid: Zxid::new(Epoch(3), 251), leader: MEMBER };
    let notification = |state, vote, round| {
        Frame::Notification(Notification { state, vote: Some(vote), round, memory: Memory::Whole })
    };
    let mut all = vec![
        ("hello-new", Frame::Hello(HELLO)),
        ("hello-member", Frame::Hello(member)),
        ("heartbeat-first", Frame::Heartbeat(Heartbeat { number: 1, ..Heartbeat::default() })),
        (
            "heartbeat",
            Frame::Heartbeat(Heartbeat {
                number: 251,
                echo: 1 << 40,
                accepted_epoch: Epoch(3),
                vouches: true,
                digests: Digests::default(),
            }),
        ),
        (
            "notification-none",
            Frame::Notification(Notification {
                state: PeerState::Observing,
                vote: None,
                round: 0,
                memory: Memory::Damaged,
            }),
        ),
    ];
    let states = each! { PeerState:
        PeerState::Looking => PeerState::Looking,
        PeerState::Following => PeerState::Following,
        PeerState::Leading => PeerState::Leading,
        PeerState::Observing => PeerState::Observing,
    };
    let names =
        ["notification-looking", "notification-following", "notification-leading", "notification-observing"];
    all.extend(names.into_iter().zip(states).map(|(name, state)| (name, notification(state, vote, 1 << 33))));
    all
}

fn to_leader() -> Vec<(&'static str, Frame)> {
    let upto = Zxid::new(Epoch(3), 65_536);
    let runs = vec![
        (Zxid::new(Epoch(3), 2), Zxid::new(Epoch(3), 9)),
        (Zxid::new(Epoch(5), 1), Zxid::new(Epoch(5), 1)),
    ];
    let tail = Tail { committed: Zxid::new(Epoch(3), 1), runs };
    let none = Tail::default();
    let packets = [
        (
            "learner-info",
            ToLeader::LearnerInfo { accepted_epoch: Epoch(250), counts: true, asks_for_tree: false },
        ),
        ("ack-epoch", ToLeader::AckEpoch { counts: true, current_epoch: Epoch(251), tail }),
        ("ack-epoch-empty", ToLeader::AckEpoch { counts: false, current_epoch: Epoch(0), tail: none }),
        ("ack-new-leader", ToLeader::AckNewLeader { upto }),
        ("ack", ToLeader::Ack { upto }),
        ("requests-none", ToLeader::Requests(vec![])),
        ("touched", ToLeader::Touched { as_of_ms: 1 << 40, sessions: vec![SESSION, SessionId(3)] }),
        ("expire", ToLeader::Expire(vec![(SESSION, ATTACH)])),
    ];
    packets.map(|(name, packet)| (name, Frame::ToLeader(packet))).into()
}

fn to_learner() -> Vec<(&'static str, Frame)> {
    let zxid = Zxid::new(Epoch(4), 1);
    let starts = each! { SyncStart:
        SyncStart::Diff => SyncStart::Diff,
        SyncStart::Trunc(_) => SyncStart::Trunc(zxid),
        SyncStart::Snap(_) => SyncStart::Snap(zxid),
    };
    let handshakes = each! { Handshake:
        Handshake::Open(_) => Handshake::Open(SESSION),
        Handshake::Ended(_) => Handshake::Ended(CLIENT),
        Handshake::Attach { .. } => Handshake::Attach { client: CLIENT, has_moved: true },
    };
    let mut packets = vec![
        ("leader-info", ToLearner::LeaderInfo { epoch: Epoch(4) }),
        ("snapshot", ToLearner::Snapshot { bytes: (0..=255).collect(), is_last: false }),
        ("snapshot-last", ToLearner::Snapshot { bytes: vec![], is_last: true }),
        ("proposals-none", ToLearner::Proposals { after: zxid, items: Arc::default() }),
        ("new-leader", ToLearner::NewLeader { epoch: Epoch(4), last: zxid, ensemble: u128::MAX / 3 }),
        ("up-to-date", ToLearner::UpToDate { committed: zxid }),
        ("turned-away", ToLearner::TurnedAway(handshakes)),
        ("silent", ToLearner::Silent(vec![(SESSION, ATTACH), (SessionId(3), AttachNumber::default())])),
        ("confirmed", ToLearner::Confirmed { upto: 251 }),
        ("commit", ToLearner::Commit { upto: zxid }),
    ];
    let names = ["sync-diff", "sync-trunc", "sync-snap"];
    packets.extend(names.into_iter().zip(starts.into_iter().map(ToLearner::Sync)));
    packets.into_iter().map(|(name, packet)| (name, Frame::ToLearner(packet))).collect()
}

/// A frame for each request and each proposal, that a line of the file says which one changed; one for all.
fn batches() -> impl Iterator<Item = (String, Frame)> {
    let to_leader = |items| Frame::ToLeader(ToLeader::Requests(items));
    let to_learner = |items| {
        Frame::ToLearner(ToLearner::Proposals { after: Zxid::new(Epoch(4), 250), items: Arc::new(items) })
    };
    let one = (0..).zip(requests()).map(move |(at, it)| (format!("requests-{at:02}"), to_leader(vec![it])));
    let other =
        (0..).zip(proposals()).map(move |(at, it)| (format!("proposals-{at:02}"), to_learner(vec![it])));
    let together =
        [("requests-all".into(), to_leader(requests())), ("proposals-all".into(), to_learner(proposals()))];
    one.chain(other).chain(together)
}

fn create_ops() -> Vec<CreateOp> {
    each! { CreateOp:
        CreateOp::Create => CreateOp::Create,
        CreateOp::Create2 => CreateOp::Create2,
        CreateOp::Container => CreateOp::Container,
        CreateOp::Ttl(_) => CreateOp::Ttl(1 << 39),
    }
}

fn write_ops() -> Vec<WriteOp> {
    let acl = vec![AclEntry { perms: 31, scheme: Some("world".into()), id: None }];
    let create = Create { path: "/a".into(), data: None, acl: Some(acl), flags: 3 };
    let other = Create { data: Some(Bytes::from_static(b"\0\xff")), acl: None, ..create.clone() };
    let at = PathVersion { path: "/a/b".into(), version: -1 };
    let set = SetData { path: "/é".into(), data: Some(Bytes::new()), version: i32::MAX };
    let mut ops = each! { WriteOp:
        WriteOp::Create(..) => WriteOp::Create(CreateOp::Create, Box::new(create)),
        WriteOp::Delete(_) => WriteOp::Delete(at.clone()),
        WriteOp::SetData(_) => WriteOp::SetData(set),
        WriteOp::Check(_) => WriteOp::Check(at),
    };
    ops.extend(create_ops().into_iter().map(|op| WriteOp::Create(op, Box::new(other.clone()))));
    ops
}

fn writes() -> Vec<Write> {
    let acl = SetAcl { path: "/a".into(), acl: None, version: 0 };
    let reconfig = Reconfig {
        joining_servers: Some("server.4=d:1:2".into()),
        leaving_servers: None,
        new_members: None,
        current_config_id: 1 << 32,
    };
    let mut writes = each! { Write:
        Write::One(_) => Write::One(write_ops().remove(0)),
        Write::SetAcl(_) => Write::SetAcl(acl),
        Write::Multi(_) => Write::Multi(write_ops()),
        Write::Reconfig(_) => Write::Reconfig(Box::new(reconfig)),
        Write::CloseSession => Write::CloseSession,
    };
    writes.extend(write_ops().into_iter().map(Write::One));
    writes
}

fn requests() -> Vec<Request> {
    let ids = Arc::from([Id::new("ip", "10.0.0.1"), Id::new("digest", "a:b")]);
    let from = Asker { session: SESSION, attach: ATTACH, ids };
    let nobody = Asker { session: SessionId(i64::MIN), attach: AttachNumber::default(), ids: Arc::from([]) };
    let mut requests = each! { Request:
        Request::Open { .. } => Request::Open { session: SESSION, timeout_ms: 10_000 },
        Request::Attach { .. } => Request::Attach { client: CLIENT, session: SESSION, timeout_ms: -1 },
        Request::Write { .. } => Request::Write { from: from.clone(), xid: 1, write: Write::CloseSession },
        Request::Sync { .. } => Request::Sync { from: from.clone(), xid: 7, path: Some("/a".into()) },
        Request::Revalidate { .. } => {
            Request::Revalidate { client: CLIENT, session: SESSION, attach: ATTACH, timeout_ms: 30_000 }
        },
        Request::SyncReads { .. } => Request::SyncReads { arbiter: 251, number: 1 << 40 },
        Request::Upgrade { .. } => {
            Request::Upgrade { session: SESSION, attach: AttachNumber::local(300), timeout_ms: 30_000 }
        },
        Request::LocalWrite { .. } => {
            Request::LocalWrite { from: from.clone(), xid: -7, write: Write::One(write_ops().remove(1)) }
        },
        Request::LocalSync { .. } => Request::LocalSync { from: from.clone(), xid: 8, path: None },
    };
    let newer = requests.split_off(4); // each keeps its number
    requests.push(Request::Sync { from: nobody, xid: i32::MAX, path: None });
    let write = |(xid, write)| Request::Write { from: from.clone(), xid, write };
    requests.extend((251..).zip(writes()).map(write));
    requests.extend(newer);
    requests
}

fn ops() -> Vec<Op> {
    let owners = each! { Owner:
        Owner::Persistent => Owner::Persistent,
        Owner::Session(_) => Owner::Session(SESSION),
        Owner::Container => Owner::Container,
        Owner::Ttl(_) => Owner::Ttl(5),
    };
    let acl = vec![Acl { perms: Perms::ALL, id: Id::anyone() }];
    let create = |(op, owner)| {
        Op::Create(Box::new(CreateTxn {
            op,
            path: "/a0000000003".into(),
            data: Some(Bytes::from_static(b"data")),
            acl: acl.clone(),
            owner,
            parent_cversion: 4,
        }))
    };
    let mut creates: Vec<_> = create_ops().into_iter().zip(owners).map(create).collect();
    let mut ops = each! { Op:
        Op::Create(_) => creates.remove(0),
        Op::Delete { .. } => Op::Delete { path: "/a".into() },
        Op::SetData { .. } => Op::SetData { path: "/a".into(), data: None, version: i32::MIN },
        Op::Check { .. } => Op::Check { path: "/a".into(), version: 300 },
    };
    ops.extend(creates);
    ops
}

fn txn_bodies() -> Vec<TxnBody> {
    let code = ErrorCode::NoNode;
    each! { TxnBody:
        TxnBody::Error(_) => TxnBody::Error(code),
        TxnBody::CreateSession { .. } => TxnBody::CreateSession { timeout_ms: 10_000 },
        TxnBody::CloseSession { .. } => TxnBody::CloseSession { ephemerals: vec!["/a".into(), "/b".into()] },
        TxnBody::One(_) => TxnBody::One(ops().remove(0)),
        TxnBody::SetAcl { .. } => TxnBody::SetAcl { path: "/a".into(), acl: Acl::read_only(), version: 1 },
        TxnBody::Reconfig { .. } => TxnBody::Reconfig { text: Bytes::from_static(b"version=0\n") },
        TxnBody::DeleteContainer { .. } => TxnBody::DeleteContainer { path: "/c".into() },
        TxnBody::Multi(_) => TxnBody::Multi(ops()),
        TxnBody::FailedMulti(_) => TxnBody::FailedMulti(ErrorCode::ALL.iter().map(|it| Some(*it)).chain([None]).collect()),
        TxnBody::FeatureLevel { .. } => TxnBody::FeatureLevel { level: 1 },
        TxnBody::Membership { .. } => TxnBody::Membership { from: FROM, to: TO },
    }
}

fn proposals() -> Vec<Proposal> {
    let code = ErrorCode::NoNode;
    let bodies = txn_bodies().into_iter().filter(|body| body.level() == 0);
    let zxid = |at| Zxid::new(Epoch(4), at);
    let header = |at| TxnHeader { session: SESSION, attach: ATTACH, cxid: 9, zxid: zxid(at), time: 1 << 41 };
    let txns = (251..).zip(bodies).map(|(at, body)| Proposal::Txn(Txn { header: header(at), body }));
    let mut proposals: Vec<_> = txns.collect();
    proposals.extend(each! { Proposal:
        Proposal::Txn(_) => Proposal::Txn(Txn { header: header(260), body: TxnBody::One(ops().remove(1)) }),
        Proposal::Attached { .. } => Proposal::Attached {
            member: MEMBER, client: CLIENT, session: SESSION, attach: ATTACH, timeout_ms: 4_000,
        },
        Proposal::AttachRefused { .. } => Proposal::AttachRefused { member: MEMBER, client: CLIENT, session: SESSION },
        Proposal::Synced { .. } => Proposal::Synced {
            number: 1 << 20, session: SESSION, attach: ATTACH, xid: 251, path: Some("/a".into()),
        },
        Proposal::Refused { .. } => Proposal::Refused { session: SESSION, attach: ATTACH, xid: -5, code },
        Proposal::ReadsSynced { .. } => Proposal::ReadsSynced { number: 300, member: MEMBER, arbiter: 3, upto: 1 << 40 },
    });
    proposals
}
