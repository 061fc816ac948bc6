use paddock_messages::client::OpCode;
use paddock_messages::client::ops::{MultiHeader, PathWatch};
use paddock_messages::wire::{Wire, write_str};

use super::super::Settings;
use super::super::{Notice, Remark};
use super::{Client, Member, create, look, request, set, watch};
use crate::auth::AuthRules;

const LIMIT: usize = 40_000;

/// Half the limit is less than twenty of the largest answers.
fn settings() -> Settings {
    let (max_frame, max_in_flight_bytes) = (1_000, 5_000);
    Settings {
        max_frame,
        max_in_flight_bytes,
        outbox_full: 2_000,
        outbox_limit: LIMIT,
        ..Settings::default()
    }
}

fn member() -> Member {
    Member::with(1, settings(), AuthRules::default())
}

/// getData of `path`, as often as asked, in one request.
fn multi_read(xid: i32, path: &str, times: usize) -> Vec<u8> {
    request(xid, OpCode::MultiRead as i32, |to| {
        for _ in 0..times {
            MultiHeader { kind: OpCode::GetData as i32, done: false, err: -1 }.write(to);
            PathWatch { path: path.into(), watch: false }.write(to);
        }
        MultiHeader::END.write(to);
    })
}

fn unsent(member: &mut Member, client: Client) -> usize {
    member.core(client).unsent(client.conn).len()
}

/// Lets everything happen, tick included, and takes nothing of what is sent.
fn wait(member: &mut Member) {
    member.settle();
    let now = member.now_ms;
    member.arbiters[0].on_tick(now);
}

#[test]
fn c6_answers_between_writes_wait_for_room_and_all_of_them_come() {
    type Ask = fn(i32) -> Vec<u8>;
    let cases: [(&str, Ask); 5] = [
        ("getData", |xid| look(xid, OpCode::GetData, "/a", false)),
        ("getChildren", |xid| look(xid, OpCode::GetChildren, "/", false)),
        ("getChildren2", |xid| look(xid, OpCode::GetChildren2, "/", false)),
        ("multiRead", |xid| multi_read(xid, "/a", 3)),
        ("getEphemerals", |xid| request(xid, OpCode::GetEphemerals as i32, |to| write_str("", to))),
    ];
    for (name, ask) in cases {
        let mut member = member();
        let client = member.connect(0);
        member.ask(client, &create(1, "/a"));
        for at in 0..12 {
            member.ask(client, &create(1, &format!("/{}{at}", "c".repeat(200))));
        }
        // The first write makes what is read large: what there was when it was asked for tells nothing.
        let round = |at: i32| {
            let large = set(at * 100, "/a", &"x".repeat(900 + at as usize));
            large.into_iter().chain((1..=25).flat_map(move |more| ask(at * 100 + more)))
        };
        let all: Vec<u8> = (1..=4).flat_map(round).chain(set(500, "/a", "")).collect();
        let mut replies = Vec::new();
        let (mut rest, mut most) = (&all[..], 0);
        for _ in 0..400 {
            while !rest.is_empty() && member.core(client).wants_read(client.conn) {
                let (now, later) = rest.split_at(rest.len().min(500));
                member.send(client, now);
                rest = later;
            }
            wait(&mut member);
            most = most.max(unsent(&mut member, client));
            replies.extend(member.receive(client));
        }
        assert!(!member.is_over(client), "{name}: nobody is closed for what it asked");
        let expected = (1..=4).flat_map(|at| at * 100..=at * 100 + 25).chain([500]);
        let xids: Vec<_> = replies.iter().map(|it| it.xid).collect();
        assert_eq!(xids, expected.collect::<Vec<_>>(), "{name}");
        assert!(most <= LIMIT / 2 + 1_000, "{name}: {most} bytes waited");
        assert!(most > 2_000 || name == "getEphemerals", "{name}: it was pressed, by {most} bytes");
        for reply in replies.iter().filter(|it| name == "getData" && it.xid % 100 > 0) {
            let length = i32::from_be_bytes(reply.body[..4].try_into().unwrap());
            assert_eq!(length, 900 + reply.xid / 100, "C1: what its session wrote before");
        }
    }
}

#[test]
fn c6_reads_between_writes_weigh_what_there_is_whatever_there_might_be() {
    let settings = Settings { max_frame: 100 << 20, max_in_flight: 2_000, ..Settings::default() };
    let mut member = Member::with(1, Settings { outstanding_limit: 5_000, ..settings }, AuthRules::default());
    let client = member.connect(0);
    let looks = (1..=900).flat_map(|xid| {
        let opcode = [OpCode::GetData, OpCode::GetAcl, OpCode::GetChildren][xid as usize % 3];
        match opcode {
            OpCode::GetAcl => request(xid, opcode as i32, |to| write_str("/a", to)),
            _ => look(xid, opcode, "/a", false),
        }
    });
    let all: Vec<u8> = create(0, "/a").into_iter().chain(looks).chain(set(901, "/a", "later")).collect();
    member.send(client, &all);
    assert_eq!(member.core(client).take_submissions().len(), 902, "nothing waits for an answer");
}

#[test]
fn c6_what_others_add_to_answers_between_writes_ends_at_the_limit() {
    let mut member = member();
    let (client, other) = (member.connect(0), member.connect(0));
    member.ask(other, &create(1, "/a"));
    member.ask(other, &create(2, "/b"));
    let looks = (2..=80).flat_map(|xid| look(xid, OpCode::GetData, "/a", false));
    let all: Vec<u8> = set(1, "/b", "").into_iter().chain(looks).chain(set(101, "/b", "")).collect();
    // This comes in between, from another thread or member, when room was kept for empty answers.
    member.send(other, &set(3, "/a", &"x".repeat(900)));
    member.send(client, &all);
    wait(&mut member);
    let left = unsent(&mut member, client);
    assert!(left > LIMIT && left < LIMIT + 2_000, "{left} bytes");
    assert!(member.is_over(client));
    let deaf = |it: &&Notice| matches!(it, Notice::Remark(_, Remark::Deaf(_)));
    assert_eq!(member.notices(client).iter().filter(deaf).count(), 1);
    member.receive(other);
    assert_eq!(member.ask(other, &look(4, OpCode::GetData, "/b", false)).len(), 1, "others go on");
}

#[test]
fn c6_a_client_that_takes_nothing_is_read_no_further() {
    let mut member = member();
    let client = member.connect(0);
    member.ask(client, &create(1, "/a"));
    let round = |at: i32| {
        let large = set(at * 100, "/a", &"x".repeat(900));
        large
            .into_iter()
            .chain((1..=25).flat_map(move |more| look(at * 100 + more, OpCode::GetData, "/a", false)))
    };
    for at in 1..=50 {
        if member.core(client).wants_read(client.conn) {
            member.send(client, &round(at).collect::<Vec<_>>());
        }
        member.settle();
        let waits = unsent(&mut member, client);
        assert!(waits <= LIMIT / 2 + 1_000, "round {at}: {waits}");
    }
    assert!(!member.core(client).wants_read(client.conn));
}

#[test]
fn c6_events_that_pile_up_close_at_once_and_large_answers_never() {
    let mut member = Member::with(1, Settings { outbox_limit: 1_000, ..settings() }, AuthRules::default());
    let (deaf, reader, writer) = (member.connect(0), member.connect(0), member.connect(0));
    let long = format!("/{}", "n".repeat(200));
    member.ask(writer, &create(1, &long));
    member.ask(writer, &create(2, "/a"));
    member.ask(writer, &set(3, "/a", &"x".repeat(900)));
    for client in [deaf, reader] {
        member.ask(client, &watch(1, OpCode::AddWatch, "/", 1));
    }
    member.send(reader, &multi_read(2, "/a", 9)); // far beyond the limit
    for at in 1..=4 {
        member.ask(writer, &set(at, &long, ""));
        assert!(!member.is_over(deaf), "{at} events fit");
        wait(&mut member);
    }
    assert!(!member.is_over(reader) && unsent(&mut member, reader) > 8_000, "it asked for it");
    member.ask(writer, &set(5, &long, ""));
    assert!(member.is_over(deaf), "at the event, without a tick");
    let left = unsent(&mut member, deaf);
    member.ask(writer, &set(6, &long, ""));
    assert_eq!(unsent(&mut member, deaf), left, "no more is added");
    let remarks = member.notices(deaf);
    assert!(remarks.iter().any(|it| matches!(it, Notice::Remark(_, Remark::Deaf(1_001..)))), "{remarks:?}");
    member.arbiters[0].on_tick(1);
    assert!(member.core(deaf).conns.get(deaf.conn).is_none(), "what it was to be sent is freed");
}

#[test]
fn c6_what_was_sent_counts_no_more() {
    let mut member = Member::with(1, Settings { outbox_limit: 1_000, ..settings() }, AuthRules::default());
    let (watcher, writer) = (member.connect(0), member.connect(0));
    member.ask(writer, &create(1, "/a"));
    member.ask(watcher, &watch(1, OpCode::AddWatch, "/", 1));
    for at in 1..100 {
        member.ask(writer, &set(at, "/a", ""));
        member.receive(watcher);
    }
    assert!(!member.is_over(watcher));
}

#[test]
fn c7_while_all_outboxes_are_full_reads_wait_until_something_is_sent_or_cut() {
    for is_sent in [true, false] {
        let settings = Settings { outboxes_limit: 1_500, outbox_full: 1_000, ..settings() };
        let mut member = Member::with(1, settings, AuthRules::default());
        let clients = [member.connect(0), member.connect(0), member.connect(0)];
        let [one, other, late] = clients;
        member.ask(one, &create(1, "/a"));
        member.ask(one, &set(2, "/a", &"x".repeat(900)));
        for client in [one, one, other, late] {
            member.send(client, &look(3, OpCode::GetData, "/a", false));
        }
        member.send(late, &[set(4, "/a", "short"), look(5, OpCode::GetData, "/a", false)].concat());
        assert_eq!(clients.map(|client| unsent(&mut member, client) > 0), [true, false, false]);
        assert!(!member.core(late).has_submissions(), "C1: its write waits for its read");
        assert!(!member.core(late).wants_read(late.conn), "C3: and no more is taken in meanwhile");
        if is_sent {
            assert_eq!(member.receive(one).len(), 2);
        } else {
            member.arbiters[0].on_tick(1);
            assert!(member.core(one).conns.get(one.conn).is_none(), "the fullest was cut");
        }
        let first = member.receive(late);
        assert_eq!(first.iter().map(|it| (it.xid, it.body.len() > 900)).collect::<Vec<_>>(), [(3, true)]);
        member.settle();
        assert_eq!(member.receive(late).iter().map(|it| it.xid).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(member.receive(other).len(), 1);
    }
}

#[test]
fn c7_who_takes_nothing_keeps_the_others_waiting_for_50_ms_and_no_longer() {
    let settings = Settings { outboxes_limit: 1_500, outbox_full: 1_000, ..settings() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let [one, late] = [member.connect(0), member.connect(0)];
    member.ask(one, &create(1, "/a"));
    member.ask(one, &set(2, "/a", &"x".repeat(900)));
    let ask = look(3, OpCode::GetData, "/a", false);
    member.now_ms = 1_000;
    member.arbiters[0].on_tick(1_000);
    for client in [one, one, late] {
        member.send(client, &ask);
    }
    assert_eq!([one, late].map(|client| unsent(&mut member, client) > 0), [true, false]);
    for (now_ms, is_cut) in [(1_049, false), (1_050, true)] {
        member.now_ms = now_ms;
        member.arbiters[0].drain_feed(now_ms); // anything that happens
        assert_eq!(member.core(one).conns.get(one.conn).is_none(), is_cut, "at {now_ms}");
    }
    assert_eq!(member.receive(late).len(), 1);
}

#[test]
fn c7_a_connection_that_ends_makes_room_and_many_small_outboxes_stop_nobody() {
    let settings = Settings { outboxes_limit: 50_000, outbox_full: 45_000, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let clients: Vec<_> = (0..12).map(|_| member.connect(0)).collect();
    member.ask(clients[0], &create(1, "/a"));
    member.ask(clients[0], &set(2, "/a", &"x".repeat(40_000)));
    let ask = look(3, OpCode::GetData, "/a", false);
    clients.iter().for_each(|client| member.send(*client, &ask));
    let answered = |member: &mut Member| clients.iter().filter(|it| unsent(member, **it) > 0).count();
    assert_eq!(answered(&mut member), 2, "beyond the limit nobody is");
    member.arbiters[0].on_closed(clients[0].conn);
    assert_eq!(answered(&mut member), 3, "as many as are read under one guard came up");
    // None of them has more than is left alone: the others get on, some at a tick.
    for tick in 1..6 {
        member.arbiters[0].on_tick(tick);
    }
    assert_eq!(answered(&mut member), 11);
}
