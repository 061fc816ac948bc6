use bytes::Buf;
use paddock_messages::client::OpCode;
use paddock_messages::ids::SessionId;
use paddock_messages::wire::{Wire, write_nullable, write_str};

use super::super::Settings;
use super::super::remarks::Whom;
use super::super::settings::DISCARDED_FRAMES;
use super::super::{Notice, Remark, Serving};
use super::{Member, create, delete, hello, look, ping, request, set, watch};
use crate::auth::AuthRules;

/// What became of a first frame.
#[derive(Debug, PartialEq)]
enum Answer {
    /// A session, and bytes of the body.
    Session(usize),
    /// Timeout 0, and bytes of the body; then close.
    Expired(usize),
    /// Nothing, and close.
    Closed,
}

fn shake(member: &mut Member, bytes: &[u8]) -> (Answer, SessionId) {
    let client = member.accept(0);
    member.send(client, bytes);
    member.settle();
    let over = member.is_over(client);
    let mut bytes = member.take_bytes(client);
    if bytes.is_empty() {
        assert!(over);
        return (Answer::Closed, SessionId::NONE);
    }
    let length = bytes.get_u32() as usize;
    let (timeout, session) = ((&bytes[4..8]).get_i32(), SessionId((&bytes[8..16]).get_i64()));
    assert_eq!(over, timeout == 0);
    let answer = if timeout == 0 { Answer::Expired(length) } else { Answer::Session(length) };
    (answer, session)
}

#[test]
fn handshakes() {
    let mut member = Member::new(1);
    let (first, session) = shake(&mut member, &hello(SessionId::NONE, 0, Some(false)));
    assert_eq!(first, Answer::Session(37));
    let mut wrong = hello(session, 0, Some(false));
    wrong[32] ^= 1; // in the password
    let unknown = SessionId(session.0 + 77);
    let ahead = member.core(super::Client { arbiter: 0, conn: super::ConnId { slot: 0, generation: 0 } });
    let now = ahead.drained().to_wire();
    for (bytes, expected) in [
        (hello(SessionId::NONE, 0, None), Answer::Session(36)), // clients up to 3.3
        (hello(session, 0, Some(true)), Answer::Session(37)),
        (wrong, Answer::Expired(37)),
        (hello(unknown, 0, None), Answer::Expired(36)),
        (hello(SessionId::NONE, now + 99, None), Answer::Closed), // ahead of this server
        (hello(SessionId::NONE, now, None), Answer::Session(36)),
        (hello(SessionId::NONE, -1, None), Answer::Session(36)),
        (b"\0\0\0\x03abc".to_vec(), Answer::Closed),
        (b"\x7f\xff\xff\xff".to_vec(), Answer::Closed),
        (b"\xff\xff\xff\xff".to_vec(), Answer::Closed),
        (b"abcd".to_vec(), Answer::Closed),
    ] {
        assert_eq!(shake(&mut member, &bytes).0, expected, "{bytes:?}");
    }
    member.arbiters[0].serve(Serving::Nobody, 0);
    assert_eq!(shake(&mut member, &hello(SessionId::NONE, 0, Some(true))).0, Answer::Closed);
    member.arbiters[0].serve(Serving::ReadOnly, 0);
    assert_eq!(shake(&mut member, &hello(SessionId::NONE, 0, Some(false))).0, Answer::Closed);
}

#[test]
fn timeouts_are_negotiated_and_a_reattach_closes_the_older_connection() {
    let mut member = Member::new(2);
    let old = member.accept(0);
    member.send(old, &hello(SessionId::NONE, 0, None));
    member.settle();
    let granted = member.handshake(old);
    assert_eq!(granted.timeout_ms, 10_000);
    let mut wrong = hello(SessionId(granted.session_id), 0, None);
    wrong[32] ^= 1;
    shake(&mut member, &wrong);
    assert!(!member.is_over(old), "a wrong password disturbs nobody");
    let new = member.accept(1);
    member.send(new, &hello(SessionId(granted.session_id), 0, None));
    member.settle();
    assert_eq!(member.handshake(new).session_id, granted.session_id);
    assert!(member.is_over(old) && !member.is_over(new));
}

#[test]
fn requests_sent_with_the_handshake_wait_for_the_session() {
    let mut member = Member::new(1);
    let client = member.accept(0);
    member.send(client, &[hello(SessionId::NONE, 0, None), create(1, "/a"), ping()].concat());
    assert!(!member.core(client).wants_read(client.conn));
    assert_eq!(member.take_bytes(client).len(), 0);
    member.settle();
    let mut bytes = member.take_bytes(client);
    bytes.advance(40);
    let packets = super::packets(bytes);
    assert_eq!(packets.iter().map(|it| (it.xid, it.err)).collect::<Vec<_>>(), [(1, 0), (-2, 0)]);
    assert!(member.core(client).wants_read(client.conn));
}

#[test]
fn c3_what_follows_a_word_is_not_kept_while_its_answer_is_awaited() {
    let mut member = Member::new(1);
    let client = member.accept(0);
    member.send(client, b"ruok");
    assert_eq!(member.notices(client).len(), 1);
    for _ in 0..100 {
        member.send(client, &[b'x'; 64 << 10]);
    }
    assert_eq!(member.core(client).conns.get(client.conn).unwrap().inbox.len(), 0);
    member.core(client).answer_word(client.conn, b"imok");
    assert_eq!(&member.take_bytes(client)[..], b"imok");
}

#[test]
fn words_are_words_only_at_the_very_beginning() {
    let mut member = Member::new(1);
    for (bytes, expected) in [
        (&b"ruok"[..], Some((*b"ruok", None))),
        (b"srvr\n", Some((*b"srvr", None))),
        (b"\xff\xf4\xff\xfd", Some((*b"\xff\xf4\xff\xfd", None))),
        (b"stmk\0\0\0\0\0\0\x01\0", Some((*b"stmk", Some(256)))),
        (b"stmk\0\0", None), // the number is still to come
        (b"ruo", None),
    ] {
        let client = member.accept(0);
        bytes.iter().for_each(|byte| member.send(client, &[*byte]));
        let asked = member.notices(client);
        let conn = client.conn;
        let expected = expected.map(|(word, mask)| Notice::FourLetter { conn, word, mask });
        assert_eq!(asked, Vec::from_iter(expected.clone()), "{bytes:?}");
        if expected.is_some() {
            assert!(member.core(client).on_end_of_input(conn), "netcat ends its side first");
            member.core(client).answer_word(conn, b"imok");
            assert!(member.is_over(client));
            assert_eq!(&member.take_bytes(client)[..], b"imok");
        }
    }
    let client = member.connect(0);
    member.send(client, b"ruok");
    assert!(member.is_over(client), "after the handshake it is a bad length");
}

/// A client that asks for a forbidden `stmk` without its number must be told so, not waited for.
#[test]
fn a_trace_mask_is_waited_for_only_if_the_word_may_be_answered() {
    let settings = Settings { takes_trace_mask: false, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let client = member.accept(0);
    member.send(client, b"stmk");
    let asked = Notice::FourLetter { conn: client.conn, word: *b"stmk", mask: None };
    assert_eq!(member.notices(client), [asked]);
}

#[test]
fn other_protocols_are_named_and_closed() {
    let mut member = Member::new(1);
    for (bytes, remark) in [(&b"GET / HTTP/1.1\r\n"[..], Remark::Http), (b"\x16\x03\x01\x02\0", Remark::Tls)]
    {
        let client = member.accept(0);
        member.send(client, bytes);
        assert!(member.is_over(client));
        assert_eq!(member.notices(client), [Notice::Remark(whom(None), remark)]);
    }
}

/// The one client there is.
fn whom(session: Option<SessionId>) -> Whom {
    Whom { peer: "127.0.0.1:9999".parse().unwrap(), session }
}

#[test]
fn a_remark_names_the_session_that_there_is() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let session = member.arbiters[0].connections().find_map(|it| it.session);
    assert!(session.is_some());
    member.send(client, &request(1, OpCode::GetData as i32, |to| to.extend([0xff; 3])));
    assert_eq!(member.notices(client), [Notice::Remark(whom(session), Remark::Undecodable)]);
}

/// Requests after the handshake, and (xid, err, zxid −1 / 0 / current) of each reply; whether it closes.
type Case = (Vec<u8>, &'static [(i32, i32, Stamp)], bool);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stamp {
    MinusOne,
    Zero,
    Current,
}

#[test]
fn requests_that_are_refused_or_answered_at_once() {
    use Stamp::{Current, MinusOne, Zero};
    let auth = |scheme: &str, data: &'static [u8]| {
        request(-4, OpCode::Auth as i32, |to| {
            0i32.write(to);
            write_str(scheme, to);
            write_nullable(Some(data), to);
        })
    };
    let sasl = request(9, OpCode::Sasl as i32, |to| write_nullable(Some(b"x"), to));
    let large = |opcode: OpCode, length: usize| {
        let mut bytes = request(7, opcode as i32, |to| {
            write_str("/a", to);
            to.resize(4 + length, 0);
        });
        bytes.extend(ping());
        bytes
    };
    let max = small().max_frame;
    let close = request(3, OpCode::CloseSession as i32, |_| {});
    let cases: Vec<Case> = vec![
        (request(1, 0, |_| {}), &[(1, -6, MinusOne)], false),
        (request(1, 13, |_| {}), &[(1, -6, MinusOne)], false),
        (request(1, 20, |to| write_str("/a", to)), &[(1, -6, MinusOne)], false),
        (request(1, -10, |to| 5i32.write(to)), &[(1, -6, MinusOne)], false),
        (request(1, 999, |_| {}), &[(1, -6, MinusOne)], false),
        // An unknown opcode has its turn: behind the write before it.
        (
            [create(1, "/x"), request(2, 999, |_| {}), ping()].concat(),
            &[(1, 0, Current), (2, -6, MinusOne), (-2, 0, Current)],
            false,
        ),
        (request(1, OpCode::GetData as i32, |to| (-1i32).write(to)), &[(1, -5, Current)], false),
        (request(1, OpCode::SetData as i32, |_| {}), &[(1, -5, Current)], false),
        (watch(1, OpCode::AddWatch, "/a", 2), &[(1, -5, Current)], false),
        (watch(1, OpCode::RemoveWatches, "/a", 6), &[(1, -5, Current)], false),
        (watch(1, OpCode::RemoveWatches, "/a", 3), &[(1, -121, Current)], false),
        (look(1, OpCode::Exists, "/a\0", true), &[(1, -8, Current)], false),
        (look(1, OpCode::Exists, "no path", false), &[(1, -101, Current)], false),
        (auth("digest", b"bob:secret"), &[(-4, 0, Zero)], false),
        (auth("nothing", b""), &[(-4, -115, Zero)], true),
        // Auth and SASL overtake what waits.
        (
            [create(1, "/y"), auth("ip", b""), sasl].concat(),
            &[(-4, 0, Zero), (9, 0, Zero), (1, 0, Current)],
            false,
        ),
        (large(OpCode::Create, max + 1), &[(7, -5, Current), (-2, 0, Current)], false),
        (large(OpCode::Create, max * DISCARDED_FRAMES), &[(7, -5, Current), (-2, 0, Current)], false),
        (large(OpCode::Create, max * DISCARDED_FRAMES + 1), &[], true),
        (large(OpCode::Multi, max + 1), &[], true),
        (large(OpCode::MultiRead, max + 1), &[], true),
        (b"\0\0\0\x02ab".to_vec(), &[], true), // not even a header
        (close, &[(3, 0, Current)], true),
        (
            [set(1, "/none", "d"), delete(2, "/none")].concat(),
            &[(1, -101, Current), (2, -101, Current)],
            false,
        ),
    ];
    for (bytes, expected, closes) in cases {
        let mut member = Member::with(1, small(), AuthRules::default());
        let client = member.connect(0);
        let packets = member.ask(client, &bytes);
        let stamp = |zxid| match zxid {
            -1 => MinusOne,
            0 => Zero,
            _ => Current,
        };
        let answers: Vec<_> = packets.iter().map(|it| (it.xid, it.err, stamp(it.zxid))).collect();
        assert_eq!(answers, expected, "{:?}", &bytes[..bytes.len().min(40)]);
        assert_eq!(member.is_over(client), closes, "{:?}", &bytes[..bytes.len().min(40)]);
        if closes {
            assert!(!member.core(client).wants_read(client.conn));
        }
    }
}

fn small() -> Settings {
    Settings { max_frame: 400, ..Settings::default() }
}

#[test]
fn identities_hold_for_what_comes_after_them() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    let who = |xid| request(xid, OpCode::WhoAmI as i32, |_| {});
    let auth = request(-4, OpCode::Auth as i32, |to| {
        0i32.write(to);
        write_str("digest", to);
        write_nullable(Some(b"bob:secret"), to);
    });
    let packets = member.ask(client, &[create(1, "/a"), who(2), auth.clone(), auth, who(3)].concat());
    let counts: Vec<_> =
        packets.iter().map(|it| (it.xid, it.body.clone().try_get_i32().unwrap_or(-1))).collect();
    assert_eq!(counts, [(-4, -1), (-4, -1), (1, 2), (2, 1), (3, 2)], "the reply of 1 is a path of two bytes");
}

#[test]
fn enforced_authentication_refuses_and_closes() {
    let rules = AuthRules { enforced_schemes: vec!["digest".into()], ..AuthRules::default() };
    let mut member = Member::with(1, Settings::default(), rules);
    let client = member.connect(0);
    let packets = member.ask(client, &ping());
    assert_eq!((packets[0].xid, packets[0].err, packets[0].zxid), (-2, -124, 0));
    assert!(member.is_over(client));
}

#[test]
fn a_session_that_moved_or_ended_closes_its_connection() {
    let mut member = Member::new(2);
    let (old, other) = (member.connect(0), member.connect(0));
    let session = member.arbiters[0].connections().next().unwrap().session.unwrap();
    // Its next write finds out: the attach is granted, but its arbiter has not heard of it.
    let new = member.accept(1);
    member.send(new, &hello(session, 0, None));
    member.fill_feeds();
    member.send(old, &create(1, "/a"));
    member.settle();
    assert!(member.is_over(old) && !member.is_over(new) && !member.is_over(other));
    assert_eq!(member.receive(old), [], "without a reply");
    member.expire(vec![session]);
    member.settle();
    assert!(member.is_over(new) && !member.is_over(other));
}

#[test]
fn pings_are_answered_only_while_the_member_can_vouch() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.now_ms = 10;
    member.arbiters[0].vouch(9, 10);
    let packets = member.ask(client, &[ping(), look(1, OpCode::Exists, "/", false)].concat());
    assert_eq!(packets.iter().map(|it| it.xid).collect::<Vec<_>>(), [1], "others are not held back by it");
    member.arbiters[0].vouch(10, 10);
    assert_eq!(member.receive(client).iter().map(|it| it.xid).collect::<Vec<_>>(), [-2]);
}

#[test]
fn writes_on_a_read_only_member_are_refused_in_their_turn() {
    let mut member = Member::new(1);
    let client = member.connect(0);
    member.arbiters[0].serve(Serving::ReadOnly, 0);
    let sync = request(2, OpCode::Sync as i32, |to| write_str("/", to));
    let packets = member.ask(client, &[create(1, "/a"), sync, ping()].concat());
    assert_eq!(
        packets.iter().map(|it| (it.xid, it.err)).collect::<Vec<_>>(),
        [(1, -119), (2, -119), (-2, 0)]
    );
}

#[test]
fn a_handshake_that_gets_no_session_now_is_closed_unanswered_and_counted() {
    use crate::tree::feed::{CloseReason, FeedItem};
    for (why, is_remarked) in [(CloseReason::SessionNotBegun, true), (CloseReason::SessionMoved, false)] {
        let mut member = Member::new(1);
        let client = member.accept(0);
        member.send(client, &hello(SessionId::NONE, 0, None));
        let mut tree = member.tree.write();
        tree.push(0, FeedItem::Close { conn: client.conn, why });
        tree.commit(|_| ());
        member.drain(0);
        assert!(member.is_over(client) && member.take_bytes(client).is_empty());
        let remarks = member.notices(client);
        let found = remarks.iter().any(|it| matches!(it, Notice::Remark(_, Remark::NotBegun)));
        assert_eq!(found, is_remarked, "{why:?}: {remarks:?}");
    }
}
