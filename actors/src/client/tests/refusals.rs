//! C12: every way in which a client is refused or closed, and what is counted and said of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use paddock_messages::client::ops::SetWatches;
use paddock_messages::error_code::ErrorCode;
use paddock_messages::wire::write_str;

use super::super::Throttler;
use super::super::throttle::{Rate, Throttle};
use super::super::{Gates, Notice, Remark};
use super::*;
use crate::admin::metrics::{Meters, Reason};
use crate::tree::feed::CloseReason;

/// What is refused; its reason; how the member is set; what leads to it.
type Case = (&'static str, Reason, fn(&mut Settings, &mut AuthRules), fn(&mut Member));

/// A default.
fn plain(_: &mut Settings, _: &mut AuthRules) {}

fn come(member: &mut Member, bytes: &[u8]) -> Client {
    let client = member.accept(0);
    member.send(client, bytes);
    member.settle();
    client
}

fn ask(member: &mut Member, bytes: &[u8]) {
    let client = member.connect(0);
    member.ask(client, bytes);
}

/// A write in flight, and one that is held back behind it for longer than a session timeout.
fn hold(member: &mut Member) {
    let (writer, held) = (member.connect(0), member.connect(0));
    member.send(writer, &create(1, "/a"));
    member.send(held, &create(1, "/b"));
    member.now_ms = 10_001;
    member.settle();
}

/// The feed brings it to the client.
fn bring(member: &mut Member, client: Client, item: impl FnOnce(ConnId, Zxid) -> FeedItem) {
    let mut writer = member.tree.write();
    let now = writer.last_zxid();
    writer.push(0, item(client.conn, now));
    writer.commit(|_| {});
    member.drain(0);
}

fn serve(member: &mut Member, whom: Serving) {
    member.arbiters[0].serve(whom, 0);
}

fn tick(member: &mut Member, now_ms: u64) {
    member.arbiters[0].on_tick(now_ms);
}

fn session(member: &mut Member, client: Client) -> SessionId {
    member.core(client).session_in_slot(client.conn.slot).unwrap()
}

fn auth(scheme: &str, data: &str) -> Vec<u8> {
    request(-4, OpCode::Auth as i32, |to| {
        0i32.write(to);
        write_str(scheme, to);
        write_str(data, to);
    })
}

/// A frame of so many bytes behind its header.
fn long(opcode: i32, bytes: usize) -> Vec<u8> {
    request(7, opcode, |to| {
        write_str("/a", to);
        to.resize(8 + bytes, 0);
    })
}

/// A client whose next look is at more than it takes.
fn deaf(member: &mut Member) -> Client {
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    member.ask(client, &set(2, "/a", &"x".repeat(2_000)));
    member.send(client, &look(3, OpCode::GetData, "/a", false));
    client
}

#[rustfmt::skip] // a table
const CASES: &[Case] = &[
    ("too many from one address", Reason::HostLimit, |its, _| its.max_connections_per_host = 1, |member| {
        member.accept(0);
        member.arbiters[0].on_accept("127.0.0.1:9999".parse().unwrap(), 0).unwrap_err();
    }),
    ("too many", Reason::MemberLimit, |its, _| its.max_connections = 1, |member| {
        member.accept(0);
        member.arbiters[0].on_accept("127.0.0.1:9999".parse().unwrap(), 0).unwrap_err();
    }),
    ("too many handshakes", Reason::Throttled, plain, |member| {
        let throttle = Throttle::new(Rate { tokens: 1, fill_count: 1, fill_time_ms: 1_000 }, 0);
        member.arbiters[0].entrance = Entrance::behind(Gates { throttle, ..Gates::default() }).into();
        member.connect(0);
        come(member, &hello(SessionId::NONE, 0, None));
    }),
    ("one large request too many", Reason::LargeRequests, |its, _| (its.large_threshold, its.large_max_bytes) = (Some(99), 150), |member| {
        let client = member.connect(0);
        member.send(client, &set(1, "/", &"x".repeat(100)));
        member.send(client, &set(1, "/", &"x".repeat(100)));
    }),
    ("held back for too long", Reason::HeldTooLong, |its, _| its.throttler = Throttler { max_requests: 1, op_wait_ms: 9, ..Throttler::default() }, hold),
    ("held back, and stale", Reason::HeldTooLong, |its, _| its.throttler = Throttler { max_requests: 1, drops_stale: true, ..Throttler::default() }, hold),
    ("TLS", Reason::Tls, plain, |member| _ = come(member, b"\x16\x03\x01\x02\0")),
    ("HTTP", Reason::Http, plain, |member| _ = come(member, b"GET / HTTP/1.1\r\n")),
    ("no handshake", Reason::NoHandshake, plain, |member| _ = come(member, b"\0\0\0\x03abc")),
    ("a first length that cannot be", Reason::BadLength, plain, |member| _ = come(member, b"\xff\xff\xff\xff")),
    ("a first frame that is too large", Reason::BadLength, plain, |member| _ = come(member, &[&b"\0\x20\0\0"[..], &[0; 400]].concat())),
    ("no handshake in time", Reason::HalfOpen, plain, |member| { come(member, b"\0"); tick(member, 10_000); }),
    ("a word that nobody answers", Reason::WordLeft, plain, |member| {
        let client = member.accept(0);
        member.send(client, b"ruok");
        member.core(client).leave_word(client.conn);
    }),
    ("nobody is served", Reason::NotServing, plain, |member| {
        serve(member, Serving::Nobody);
        come(member, &hello(SessionId::NONE, 0, Some(true)));
    }),
    ("read-only, and it would write", Reason::ReadOnly, plain, |member| {
        serve(member, Serving::ReadOnly);
        come(member, &hello(SessionId::NONE, 0, Some(false)));
    }),
    ("read-only, and there are no local sessions", Reason::ReadOnly, plain, |member| {
        serve(member, Serving::ReadOnly);
        come(member, &hello(SessionId::NONE, 0, Some(true)));
    }),
    ("read-only, and it writes", Reason::ReadOnly, |its, _| its.local_sessions = true, |member| {
        let client = member.connect(0);
        serve(member, Serving::ReadOnly);
        assert_eq!(member.ask(client, &create(1, "/a"))[0].err, -119);
    }),
    ("it has seen more", Reason::Ahead, plain, |member| _ = come(member, &hello(SessionId::NONE, i64::MAX, None))),
    ("no such session", Reason::NoSession, plain, |member| _ = come(member, &hello(SessionId(77), 0, None))),
    ("a wrong password", Reason::WrongPassword, plain, |member| {
        let mut bytes = hello(SessionId(77), 0, None);
        bytes[32] ^= 1;
        come(member, &bytes);
    }),
    ("no place for a session", Reason::NotBegun, plain, |member| {
        let client = member.connect(0);
        bring(member, client, |conn, _| FeedItem::Close { conn, why: CloseReason::SessionNotBegun });
    }),
    ("its session attaches anew", Reason::Moved, plain, |member| {
        let client = member.connect(0);
        let session = session(member, client);
        come(member, &hello(session, 0, None));
    }),
    ("its session attached elsewhere", Reason::Moved, plain, |member| {
        let client = member.connect(0);
        bring(member, client, |conn, _| FeedItem::Close { conn, why: CloseReason::SessionMoved });
    }),
    ("its session attached elsewhere, as a write finds", Reason::Moved, plain, |member| {
        let client = member.connect(0);
        let outcome = Outcome::Refused(ErrorCode::SessionMoved);
        bring(member, client, |conn, zxid| FeedItem::Reply { conn, xid: 1, zxid, outcome });
    }),
    ("its session ended", Reason::Ended, plain, |member| {
        let client = member.connect(0);
        let session = session(member, client);
        member.expire(vec![session]);
        member.settle();
    }),
    ("no header", Reason::Undecodable, plain, |member| ask(member, b"\0\0\0\x01x")),
    ("a request that is none", Reason::Undecodable, plain, |member| ask(member, &request(1, OpCode::GetData as i32, |_| {}))),
    ("an operation that is none", Reason::Unimplemented, plain, |member| ask(member, &request(1, 999, |_| {}))),
    ("too large a request", Reason::TooLarge, |its, _| its.max_frame = 1_000, |member| ask(member, &long(OpCode::SetData as i32, 2_000))),
    ("too large a multi", Reason::BadLength, |its, _| its.max_frame = 1_000, |member| ask(member, &long(OpCode::Multi as i32, 2_000))),
    ("too large for what it is", Reason::BadLength, |its, _| its.max_frame = 1_000, |member| ask(member, &long(999, 2_000))),
    ("a length that cannot be", Reason::BadLength, plain, |member| ask(member, b"\xff\xff\xff\xff")),
    ("credentials of no scheme", Reason::AuthFailed, plain, |member| ask(member, &auth("none", ""))),
    ("another ensemble's name", Reason::OtherEnsemble, |_, rules| rules.ensemble_names = Some(vec!["prod".into()]), |member| {
        ask(member, &auth("ensemble", "test"));
    }),
    ("no identity that is asked for", Reason::AuthRequired, |_, rules| rules.enforced_schemes = vec!["digest".into()], |member| {
        ask(member, &create(1, "/a"));
    }),
    ("too many identities", Reason::Identities, plain, |member| ask(member, &auth("digest", &"x".repeat(20_000)))),
    ("identities that ACLs multiply", Reason::Identities, |its, _| its.max_frame = 300, |member| {
        let client = member.connect(0);
        member.ask(client, &auth("digest", &"x".repeat(100)));
        let entry = paddock_messages::znode::AclEntry { perms: 31, scheme: Some("auth".into()), id: None };
        let acl = Some(vec![entry; 10]);
        let create = paddock_messages::client::ops::Create { path: "/a".into(), data: None, acl, flags: 0 };
        member.ask(client, &request(1, OpCode::Create as i32, |to| create.write(to)));
    }),
    ("no memory for more", Reason::Memory, plain, |member| {
        member.arbiters[0].entrance.gates().memory.set(true, 0);
        ask(member, &create(1, "/a"));
    }),
    ("no memory for its watches", Reason::Memory, plain, |member| {
        member.arbiters[0].entrance.gates().memory.set(true, 0);
        let (data, exist, child) = (vec!["/a".into()], vec![], vec![]);
        let watches = SetWatches { relative_zxid: i64::MAX, data, exist, child };
        ask(member, &request(-8, OpCode::SetWatches as i32, |to| watches.write(to)));
    }),
    ("it takes nothing", Reason::Deaf, |its, _| its.outbox_full = 1_000, |member| { deaf(member); tick(member, 10_001); }),
    ("it takes too little of what all take", Reason::Deaf, |its, _| (its.outbox_full, its.outboxes_limit) = (1_000, 1_500), |member| {
        deaf(member);
        tick(member, 1);
    }),
    ("it takes nothing, nor do all others", Reason::Deaf, |its, _| (its.outbox_full, its.outboxes_limit) = (1_000, 1_500), |member| {
        deaf(member);
        tick(member, 10_001); // closed, and cut at once
    }),
    ("silence", Reason::Silent, plain, |member| { member.connect(0); tick(member, 20_000); }),
    ("silence, and its session expires", Reason::Silent, plain, |member| {
        let client = member.connect(0);
        let session = session(member, client);
        member.arbiters[0].on_expire(vec![(session, AttachNumber::default())], 10_000);
        member.expire(vec![session]);
        member.settle();
    }),
    ("a session of this member alone as the leader is lost", Reason::LeaderLost, |its, _| its.local_sessions = true, |member| {
        member.connect(0);
        member.lose_leader();
    }),
    ("no leader in time", Reason::LeaderLost, plain, |member| {
        member.connect(0);
        member.lose_leader();
        member.arbiters[0].on_park_over(2_000);
    }),
    ("no leader but read-only mode", Reason::LeaderLost, plain, |member| {
        member.connect(0);
        member.lose_leader();
        serve(member, Serving::ReadOnly);
    }),
    ("a leader that does not know its session", Reason::LeaderLost, plain, |member| {
        let client = member.connect(0);
        member.lose_leader();
        bring(member, client, |conn, _| FeedItem::AttachRefused { conn });
    }),
    ("an answer that comes out of turn from the next leader", Reason::LeaderLost, plain, |member| {
        let client = member.connect(0);
        member.leave_in_flight(client, &[create(1, "/a"), create(2, "/b")].concat());
        let outcome = Outcome::Refused(ErrorCode::NoNode);
        bring(member, client, |conn, zxid| FeedItem::LateReply { conn, xid: 2, zxid, outcome });
    }),
    ("the member ceases to serve", Reason::Ceased, plain, |member| {
        member.connect(0);
        member.arbiters[0].close_all();
        member.arbiters[0].close_all(); // told once
    }),
];

type Said = Vec<(SocketAddr, Remark)>;
type Counted = Vec<(Reason, u64)>;

/// What was said of clients, and how often each reason was counted.
fn told(member: &mut Member) -> (Said, Counted) {
    let meters = Meters::default();
    meters.absorb(member.arbiters[0].tally());
    let counts = Reason::ALL.iter().map(|reason| (*reason, meters.refused.of(*reason).get()));
    let remarks = member.arbiters[0].take_notices().into_iter().filter_map(|notice| match notice {
        Notice::Remark(whom, remark) => Some((whom.peer, remark)),
        Notice::FourLetter { .. } => None,
    });
    (remarks.collect(), counts.filter(|(_, count)| *count > 0).collect())
}

#[test]
fn c12_every_refusal_is_counted_and_told_with_its_peer_and_what_to_do() {
    let mut reasons = BTreeSet::new();
    for (what, reason, set, run) in CASES {
        let (mut settings, mut rules) = (Settings::default(), AuthRules::default());
        set(&mut settings, &mut rules);
        let mut member = Member::with(1, settings, rules);
        run(&mut member);
        let (remarks, counts) = told(&mut member);
        assert_eq!(counts, [(*reason, 1)], "{what}");
        let [(peer, remark)] = &remarks[..] else { panic!("{what}: {remarks:?}") };
        assert_eq!((peer.to_string().as_str(), remark.reason()), ("127.0.0.1:9999", *reason), "{what}");
        let text = remark.to_string();
        let outcome = text.rfind("closed").max(text.rfind("refused")).expect("one of the two");
        assert!(text[outcome..].len() > "refused: ".len() + 10, "{what}: nothing to do in {text:?}");
        reasons.insert(*reason as usize);
    }
    reasons.insert(Reason::NotTaken as usize); // of no core: tests/shell.rs
    let missing = Reason::ALL.iter().filter(|reason| !reasons.contains(&(**reason as usize)));
    assert_eq!(missing.collect::<Vec<_>>(), [] as [&Reason; 0]);
}

#[test]
fn c12_nothing_is_told_of_clients_that_end_by_themselves() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.ask(client, &request(3, OpCode::CloseSession as i32, |_| {}));
    assert!(member.is_over(client));
    let client = member.accept(0);
    member.send(client, b"ruok");
    member.core(client).answer_word(client.conn, b"imok");
    assert!(member.is_over(client));
    let client = member.connect(0);
    assert!(!member.core(client).on_end_of_input(client.conn));
    member.core(client).on_closed(client.conn);
    assert_eq!(told(&mut member), (vec![], vec![]));
}
