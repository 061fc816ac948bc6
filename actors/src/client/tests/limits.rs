use paddock_messages::client::OpCode;
use paddock_messages::ids::SessionId;
use paddock_messages::wire::{Wire, write_str};

use super::super::{Notice, Remark};
use super::super::{Refusal, Settings};
use super::{Member, create, hello, look, ping, request, set};
use crate::auth::AuthRules;

fn member(settings: Settings) -> Member {
    Member::with(1, settings, AuthRules::default())
}

#[test]
fn connections_are_counted_at_the_entrance() {
    let settings = Settings { max_connections: 3, max_connections_per_host: 2, ..Settings::default() };
    let mut member = member(settings);
    let hosts = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.2:1", "10.0.0.3:1"];
    let mut results = Vec::new();
    for host in hosts {
        results.push(member.arbiters[0].on_accept(host.parse().unwrap(), 0));
    }
    assert_eq!(results[2], Err(Refusal::Host(2)));
    assert!(results[3].is_ok());
    assert_eq!(results[4], Err(Refusal::Member(3)));
    member.arbiters[0].on_closed(results[0].unwrap());
    member.arbiters[0].on_closed(results[0].unwrap()); // twice is once
    assert!(member.arbiters[0].on_accept(hosts[2].parse().unwrap(), 0).is_ok());
    assert_eq!(member.arbiters[0].entrance.connections(), 3);
}

#[test]
fn c3_a_connection_is_not_read_beyond_its_credit_and_goes_on_by_itself() {
    let frame = create(1, "/a").len();
    for settings in [
        Settings { max_in_flight: 2, ..Settings::default() },
        Settings { max_in_flight_bytes: frame + 1, ..Settings::default() },
        Settings { outstanding_limit: 2, ..Settings::default() },
    ] {
        let mut member = member(settings);
        let client = member.connect(0);
        let all: Vec<u8> = (1..=9).flat_map(|at| create(at, &format!("/{at}"))).collect();
        member.send(client, &all);
        assert!(!member.core(client).wants_read(client.conn));
        assert_eq!(member.core(client).take_submissions().len(), 2);
        let mut member = self::member(Settings { max_in_flight: 2, ..Settings::default() });
        let client = member.connect(0);
        let replies = member.ask(client, &all);
        assert_eq!(replies.iter().map(|it| it.xid).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
        assert!(member.core(client).wants_read(client.conn));
        assert_eq!(member.arbiters[0].entrance.outstanding(), 0);
    }
}

#[test]
fn others_requests_stop_only_those_who_have_some_in_flight() {
    let mut member = member(Settings { outstanding_limit: 2, ..Settings::default() });
    let (busy, quiet) = (member.connect(0), member.connect(0));
    member.send(busy, &[create(1, "/1"), create(2, "/2"), create(3, "/3")].concat());
    member.send(quiet, &[look(1, OpCode::Exists, "/", false), create(2, "/4"), create(3, "/5")].concat());
    assert_eq!(member.receive(quiet).len(), 1, "it has none in flight: it is read");
    assert_eq!(member.core(busy).take_submissions().len(), 3, "two of one, one of the other");
}

#[test]
fn c4_only_a_connection_that_the_server_holds_up_counts_as_alive() {
    let settings = Settings { max_in_flight: 1, outbox_full: 1_000, ..Settings::default() };
    let mut member = member(settings);
    let (held, deaf) = (member.connect(0), member.connect(0));
    member.ask(deaf, &create(1, "/a"));
    member.ask(deaf, &set(2, "/a", &"x".repeat(2_000)));
    let sessions: Vec<_> = member.arbiters[0].connections().map(|it| it.session.unwrap()).collect();
    member.send(held, &[create(1, "/1"), create(2, "/2")].concat());
    let reads: Vec<u8> = (1..9).flat_map(|at| look(at, OpCode::GetData, "/a", false)).collect();
    member.send(deaf, &reads);
    assert!(!member.core(deaf).wants_read(deaf.conn), "its outbox is full");
    assert_eq!(member.arbiters[0].on_tick(1).sessions, [sessions[1], sessions[0]], "both spoke");
    for now in [1_000, 2_000] {
        assert_eq!(member.arbiters[0].on_tick(now).sessions, [sessions[0]], "one for want of our credit");
    }
    assert_eq!(member.arbiters[0].on_tick(3_000).as_of_ms, 3_000);
    assert!(!member.is_over(deaf));
    member.arbiters[0].on_tick(10_001);
    assert!(member.is_over(deaf), "it took nothing for a session timeout");
    let remarks = member.notices(deaf);
    assert!(matches!(remarks[..], [Notice::Remark(_, Remark::Deaf(_))]), "{remarks:?}");
}

#[test]
fn c3_a_client_that_takes_its_replies_again_gets_all_of_them() {
    let mut member = member(Settings { outbox_full: 1_000, ..Settings::default() });
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    member.ask(client, &set(2, "/a", &"x".repeat(600)));
    let mut mixed: Vec<u8> = (3..20).flat_map(|at| look(at, OpCode::GetData, "/a", false)).collect();
    mixed.extend(set(20, "/a", "short"));
    mixed.extend(look(21, OpCode::GetData, "/a", false));
    member.send(client, &mixed);
    assert!(member.core(client).unsent(client.conn).len() < 2_000, "no more is read than may wait");
    assert!(!member.core(client).has_submissions(), "C1: no write is sent ahead of a read that is due");
    let mut xids = Vec::new();
    for _ in 0..40 {
        member.settle();
        xids.extend(member.receive(client).iter().map(|it| (it.xid, it.body.len() > 600)));
    }
    assert_eq!(xids, (3..=21).map(|xid| (xid, xid < 20)).collect::<Vec<_>>());
}

#[test]
fn silent_connections_are_closed() {
    let mut member = member(Settings::default());
    let session = member.connect(0);
    let (silent, half) = (member.accept(0), member.accept(0));
    member.send(half, b"\0\0");
    member.arbiters[0].on_tick(9_999);
    assert!(!member.is_over(silent) && !member.is_over(half));
    member.arbiters[0].on_tick(10_000);
    assert!(member.is_over(silent) && member.is_over(half));
    member.arbiters[0].on_tick(19_999);
    assert!(!member.is_over(session));
    member.now_ms = 19_999;
    member.ask(session, &ping());
    member.arbiters[0].on_tick(39_998);
    assert!(!member.is_over(session));
    member.arbiters[0].on_tick(39_999);
    assert!(member.is_over(session));
}

#[test]
fn a_handshake_that_nobody_answers_ends() {
    let mut member = member(Settings::default());
    let client = member.accept(0);
    member.send(client, &hello(SessionId::NONE, 0, None));
    member.arbiters[0].on_tick(19_999);
    assert!(!member.is_over(client));
    member.arbiters[0].on_tick(20_000);
    assert!(member.is_over(client));
}

#[test]
fn counts_are_kept_for_operators() {
    let mut member = member(Settings::default());
    let client = member.connect(0);
    member.send(client, &create(1, "/a"));
    member.now_ms = 7;
    member.settle();
    let info = member.arbiters[0].connections().next().unwrap();
    assert_eq!((info.stats.received, info.stats.sent, info.queued), (2, 2, 0));
    assert_eq!((info.stats.last_op, info.stats.last_cxid, info.stats.last_latency_ms), (Some(1), 1, 7));
    assert_eq!(info.stats.last_zxid, member.arbiters[0].drained());
    let totals = member.arbiters[0].totals();
    assert_eq!((totals.received, totals.sent, totals.latency.max_ms), (2, 2, 7));
    let close = request(2, OpCode::CloseSession as i32, |_| {});
    member.ask(client, &[close, create(3, "/after")].concat());
    assert!(member.tree.read().node("/after").is_none(), "what follows closeSession is dropped");
}

#[test]
fn c3_all_outboxes_together_are_bounded_and_the_fullest_pay() {
    let settings = Settings { outboxes_limit: 7_000, outbox_full: 1_000, ..Settings::default() };
    let mut member = member(settings);
    let clients = [member.connect(0), member.connect(0), member.connect(0), member.connect(0)];
    for (at, (path, size)) in [("/s", 100), ("/m", 3_000), ("/l", 4_000)].into_iter().enumerate() {
        member.ask(clients[0], &create(1 + at as i32, path));
        member.ask(clients[0], &set(9 + at as i32, path, &"x".repeat(size)));
    }
    for (client, path) in clients.into_iter().zip(["/s", "/m", "/l", "/m"]) {
        member.send(client, &look(20, OpCode::GetData, path, false));
    }
    member.arbiters[0].on_tick(1);
    let left = clients.map(|client| member.core(client).conns.get(client.conn).is_some());
    assert_eq!(left, [true, true, false, true], "one was enough");
    let deaf = |notice: &Notice| matches!(notice, Notice::Remark(_, Remark::Deaf(unsent)) if *unsent > 4_000);
    assert!(member.notices(clients[0]).iter().any(deaf));
    assert!(!member.receive(clients[1]).is_empty(), "the others are answered");
}

#[test]
fn while_memory_is_tight_what_grows_is_refused_in_its_turn() {
    let mut member = member(Settings::default());
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    member.arbiters[0].entrance.gates().memory.set(true, 1);
    let replies = member.ask(
        client,
        &[
            set(2, "/a", "x"),
            create(3, "/b"),
            look(4, OpCode::GetData, "/a", false),
            set(5, "/a", "longer"),
            look(6, OpCode::GetData, "/a", true),
            super::delete(7, "/a"),
        ]
        .concat(),
    );
    let codes: Vec<_> = replies.iter().map(|it| (it.xid, it.err)).collect();
    assert_eq!(codes, [(2, 0), (3, -127), (4, 0), (5, -127), (6, -127), (7, 0)]);
    assert!(replies.windows(2).all(|two| two[0].zxid <= two[1].zxid), "W1 holds for refusals");
    member.arbiters[0].entrance.gates().memory.set(false, 0);
    assert_eq!(member.ask(client, &create(8, "/b"))[0].err, 0);
}

#[test]
fn a_handshake_too_many_for_the_throttle_is_closed() {
    use super::super::throttle::{Rate, Throttle};
    use super::super::{Entrance, Gates};
    let mut member = member(Settings::default());
    let throttle = Throttle::new(Rate { tokens: 1, fill_count: 1, fill_time_ms: 1_000 }, 0);
    member.arbiters[0].entrance = Entrance::behind(Gates { throttle, ..Gates::default() }).into();
    member.connect(0);
    let late = member.accept(0);
    member.send(late, &hello(SessionId::NONE, 0, None));
    assert!(member.is_over(late));
    assert!(member.notices(late).iter().any(|it| matches!(it, Notice::Remark(_, Remark::Throttled))));
    member.now_ms = 1_000;
    member.connect(0);
}

#[test]
fn a_handshake_costs_what_it_asks_for() {
    use super::super::throttle::{Rate, Throttle, Weights};
    use super::super::{Entrance, Gates};
    for (local_sessions, begun, renewed) in [(false, 2, 2), (true, 8, 3)] {
        let weights = Weights { global: 4, local: 1, renewal: 2 };
        let rate = Rate { tokens: 2, fill_count: 1, fill_time_ms: 1_000 };
        let fresh = || {
            let mut member = member(Settings { local_sessions, ..Settings::default() });
            let throttle = Throttle::weighted(rate, weights, 0);
            member.arbiters[0].entrance = Entrance::behind(Gates { throttle, ..Gates::default() }).into();
            member
        };
        let let_in = |member: &mut Member, session| {
            let is_in = |_: &i32| {
                let client = member.accept(0);
                member.send(client, &hello(session, 0, None));
                !member.is_over(client)
            };
            (0..99).take_while(is_in).count()
        };
        assert_eq!(let_in(&mut fresh(), SessionId::NONE), begun, "local: {local_sessions}");
        let mut member = fresh();
        let client = member.connect(0);
        let session = member.core(client).session_in_slot(client.conn.slot).unwrap();
        assert_eq!(let_in(&mut member, session), renewed, "of what the first left");
    }
}

fn digest(user: &str) -> Vec<u8> {
    request(-4, OpCode::Auth as i32, |to| {
        0i32.write(to);
        write_str("digest", to);
        write_str(&format!("{user}:secret"), to);
    })
}

#[test]
fn c3_a_connection_proves_only_so_many_identities() {
    let mut member = member(Settings::default());
    let (many, long) = (member.connect(0), member.connect(0));
    for at in 0..63 {
        assert_eq!(member.ask(many, &digest(&format!("user{at}")))[0].err, 0, "{at}, beside its address");
    }
    assert_eq!(member.ask(many, &digest("user0"))[0].err, 0, "one that it has");
    assert_eq!(member.ask(many, &digest("one more"))[0].err, -115);
    assert!(member.is_over(many));
    assert_eq!(member.ask(long, &digest(&"x".repeat(20_000)))[0].err, -115);
    assert!(member.is_over(long));
}

#[test]
fn c3_auth_in_acls_is_not_expanded_without_end() {
    use paddock_messages::client::ops::Create;
    use paddock_messages::znode::AclEntry;
    let mut member = member(Settings { max_frame: 1_000, ..Settings::default() });
    let client = member.connect(0);
    member.ask(client, &digest(&"x".repeat(100)));
    let entry = AclEntry { perms: 31, scheme: Some("auth".into()), id: Some("".into()) };
    let create = |xid, path: &str, entries| {
        let acl = Some(vec![entry.clone(); entries]);
        let create = Create { path: path.into(), data: None, acl, flags: 0 };
        request(xid, OpCode::Create as i32, |to| create.write(to))
    };
    assert_eq!(member.ask(client, &create(1, "/a", 5))[0].err, 0);
    assert_eq!(member.ask(client, &create(2, "/b", 40))[0].err, -5, "more than two frames of identities");
    assert!(member.notices(client).iter().any(|it| matches!(it, Notice::Remark(_, Remark::AclGrowth))));
    assert_eq!(member.ask(client, &create(3, "/c", 1))[0].err, 0);
}

#[test]
fn while_memory_is_tight_clients_that_reconnect_bring_their_watches() {
    use paddock_messages::client::ops::SetWatches;
    let mut member = member(Settings::default());
    let (few, many) = (member.connect(0), member.connect(0));
    member.arbiters[0].entrance.gates().memory.set(true, 2);
    let watches = |count: usize| {
        let exist = (0..count).map(|at| format!("/none{at}").into()).collect();
        let body = SetWatches { relative_zxid: i64::MAX, data: vec![], exist, child: vec![] };
        request(-8, OpCode::SetWatches as i32, |to| body.write(to))
    };
    assert_eq!(member.ask(few, &watches(2))[0].err, 0);
    assert!(member.ask(many, &watches(1)).is_empty(), "one more than there may be");
    assert!(member.is_over(many) && !member.is_over(few));
}

#[test]
fn a_burst_in_the_feed_leaves_little_memory_behind() {
    use crate::tree::feed::{CloseReason, FeedItem};
    let mut member = member(Settings::default());
    let gone = paddock_messages::ids::ConnId { slot: 0, generation: 9 };
    let mut push = |items: usize| {
        let mut writer = member.tree.write();
        for _ in 0..items {
            writer.push(0, FeedItem::Close { conn: gone, why: CloseReason::SessionEnded });
        }
        writer.commit(|_| {});
        member.arbiters[0].drain_feed(1);
        member.arbiters[0].items.capacity()
    };
    assert!(push(100_000) >= 100_000);
    (0..6).for_each(|_| _ = push(1)); // its lists take turns
    assert!((0..6).all(|_| push(1) <= 10_000));
}
