//! Writes that are held back while many are in flight (C13).

use paddock_messages::client::ops::SetWatches;

use super::super::{Notice, Remark, Throttler};
use super::*;

fn member(arbiters: u16, throttler: Throttler) -> Member {
    Member::with(arbiters, Settings { throttler, ..Settings::default() }, AuthRules::default())
}

const ONE: Throttler = Throttler { max_requests: 1, stall_ms: 100, op_wait_ms: 0, drops_stale: false };

fn creates(xids: std::ops::Range<i32>, below: &str) -> Vec<u8> {
    xids.flat_map(|xid| create(xid, &format!("/{below}{xid}"))).collect()
}

fn codes(packets: &[Packet]) -> Vec<(i32, i32)> {
    packets.iter().map(|it| (it.xid, it.err)).collect()
}

/// Who asks, request by request, as they reach the Learner; each is answered before the next is taken.
fn turns(member: &mut Member, arbiter: usize) -> Vec<SessionId> {
    let mut asked = Vec::new();
    loop {
        let batch = member.arbiters[arbiter].take_submissions();
        if batch.is_empty() {
            return asked;
        }
        asked.extend(batch.iter().filter_map(|it| match it {
            Submission::Write { from, .. } | Submission::Sync { from, .. } => Some(from.session),
            _ => None,
        }));
        member.answer(arbiter, batch);
    }
}

#[test]
fn c13_no_more_writes_are_in_flight_than_the_throttler_lets_and_each_connection_has_its_turn() {
    for (most, first) in [(1, 1), (3, 3), (0, 8)] {
        let mut member = member(1, Throttler { max_requests: most, ..ONE });
        let (a, b) = (member.connect(0), member.connect(0));
        let name = |member: &mut Member, it: Client| member.core(it).session_in_slot(it.conn.slot).unwrap();
        let (first_session, second_session) = (name(&mut member, a), name(&mut member, b));
        member.send(a, &creates(1..5, "a"));
        member.send(b, &creates(1..5, "b"));
        let batch = member.arbiters[0].take_submissions();
        assert_eq!(batch.len(), first, "of {most}");
        assert_eq!(member.core(a).wants_read(a.conn), most == 0, "who is held is not read");
        member.answer(0, batch);
        if most == 1 {
            let (a, b) = (first_session, second_session);
            assert_eq!(turns(&mut member, 0), [a, b, a, b, a, b, b], "in turns");
        }
        member.settle();
        for client in [a, b] {
            assert_eq!(codes(&member.receive(client)), [(1, 0), (2, 0), (3, 0), (4, 0)], "of {most}");
            assert!(member.core(client).wants_read(client.conn));
        }
        let core = &member.arbiters[0];
        assert_eq!((core.submitted, core.entrance.submitted(), core.held.len()), (0, 0, 0));
    }
}

#[test]
fn c13_what_needs_no_turn_is_answered_meanwhile_and_so_are_others_reads() {
    let mut member = member(1, ONE);
    let (writer, held, reader) = (member.connect(0), member.connect(0), member.connect(0));
    member.send(writer, &create(1, "/a"));
    member.send(held, &[look(1, OpCode::Exists, "/", false), create(2, "/b"), ping()].concat());
    assert_eq!(codes(&member.receive(held)), [(1, 0)], "what is asked behind a write waits with it");
    member.send(reader, &[look(1, OpCode::Exists, "/b", false), ping()].concat());
    assert_eq!(codes(&member.receive(reader)), [(1, -101), (-2, 0)]);
    member.settle();
    assert_eq!(codes(&member.receive(held)), [(2, 0), (-2, 0)]);
}

#[test]
fn c13_other_arbiters_requests_count_and_what_they_leave_is_seen_in_time() {
    let mut member = member(2, Throttler { max_requests: 2, ..ONE });
    let (first, second) = (member.connect(0), member.connect(1));
    member.send(first, &create(1, "/a"));
    member.send(second, &creates(1..3, "b"));
    assert_eq!(member.core(second).take_submissions().len(), 1);
    let batch = member.arbiters[0].take_submissions();
    member.answer(0, batch);
    assert!(!member.core(second).has_submissions(), "nobody told it");
    member.arbiters[1].on_stall_time(100);
    assert!(member.core(second).has_submissions());
}

/// Else those whose clients keep it full would leave the others no room for ever.
#[test]
fn c13_an_arbiter_that_has_nothing_in_flight_may_take_one_on() {
    let mut member = member(2, ONE);
    let (first, second) = (member.connect(0), member.connect(1));
    member.send(first, &creates(1..5, "a"));
    member.send(second, &creates(1..5, "b"));
    let batches = [0, 1].map(|at: usize| member.arbiters[at].take_submissions());
    assert_eq!(batches.each_ref().map(Vec::len), [1, 1]);
    batches.into_iter().enumerate().for_each(|(at, batch)| member.answer(at, batch));
    member.settle();
    for client in [first, second] {
        assert_eq!(codes(&member.receive(client)), [(1, 0), (2, 0), (3, 0), (4, 0)]);
    }
}

#[test]
fn c13_a_request_of_which_a_part_has_come_is_read_on() {
    let mut member = member(1, ONE);
    let (writer, held) = (member.connect(0), member.connect(0));
    member.send(writer, &set(1, "/", "x"));
    let request = create(1, "/b");
    let (part, rest) = request.split_at(request.len() - 1);
    member.send(held, part);
    assert!(member.core(held).wants_read(held.conn));
    member.send(held, rest);
    assert!(!member.core(held).wants_read(held.conn));
    member.settle();
    assert_eq!(codes(&member.receive(held)), [(1, 0)]);
}

/// It cannot show that it lives, as it is not read; but it may be gone.
#[test]
fn c13_a_connection_that_is_held_keeps_its_session_for_a_timeout_and_no_longer() {
    let mut member = member(1, ONE);
    let (writer, held) = (member.connect(0), member.connect(0));
    let session = member.core(held).session_in_slot(held.conn.slot).unwrap();
    member.send(writer, &set(1, "/", "x"));
    member.send(held, &create(1, "/b"));
    member.arbiters[0].on_tick(1);
    for (now_ms, lives) in [(5_000, true), (10_000, true), (10_001, false)] {
        let touched = member.arbiters[0].on_tick(now_ms);
        assert_eq!(touched.sessions.contains(&session), lives, "at {now_ms}");
    }
}

#[test]
fn c13_what_a_closed_connection_had_in_flight_leaves_room() {
    let mut member = member(1, ONE);
    let (gone, held) = (member.connect(0), member.connect(0));
    member.send(gone, &create(1, "/a"));
    member.send(held, &create(1, "/b"));
    member.arbiters[0].take_submissions();
    member.arbiters[0].on_closed(gone.conn);
    assert_eq!(member.arbiters[0].take_submissions().len(), 1);
}

#[test]
fn c13_what_was_held_for_too_long_is_refused_in_its_turn_and_never_done() {
    let mut member = member(1, Throttler { op_wait_ms: 50, ..ONE });
    let (writer, held) = (member.connect(0), member.connect(0));
    let watches = SetWatches { relative_zxid: 0, data: vec![], exist: vec![], child: vec![] };
    let all = [
        create(1, "/late"),
        look(2, OpCode::Exists, "/", false),
        request(-8, OpCode::SetWatches as i32, |to| watches.write(to)),
        ping(),
        request(3, OpCode::CloseSession as i32, |_| {}),
    ];
    for (waits_ms, expected) in [
        (50, [(1, 0), (2, 0), (-8, 0), (-2, 0), (3, 0)]),
        (51, [(1, -127), (2, -127), (-8, 0), (-2, 0), (3, 0)]),
    ] {
        let held = if waits_ms == 50 { member.connect(0) } else { held };
        let began_ms = member.now_ms;
        member.send(writer, &set(1, "/", "x"));
        member.send(held, &all.concat());
        member.now_ms = began_ms + waits_ms;
        member.settle();
        member.receive(writer);
        let packets = member.receive(held);
        assert_eq!(codes(&packets), expected, "after {waits_ms} ms");
        assert!(packets.windows(2).all(|two| two[0].zxid <= two[1].zxid), "W1");
        member.ask(writer, &delete(2, "/late"));
    }
    assert_eq!(member.tree.read().node("/").unwrap().child_count(), 1, "/zookeeper");
    let told = |it: &Notice| matches!(it, Notice::Remark(_, Remark::HeldTooLong));
    assert_eq!(member.notices(held).iter().filter(|it| told(it)).count(), 2);
    assert_eq!(member.arbiters[0].tally().throttled_ops, 2);
}

#[test]
fn c13_what_comes_later_on_a_connection_that_was_held_was_not_held() {
    let mut member = member(1, Throttler { op_wait_ms: 50, ..ONE });
    let (writer, held) = (member.connect(0), member.connect(0));
    member.send(writer, &create(1, "/a"));
    member.send(held, &create(1, "/b"));
    member.settle();
    member.now_ms = 1_000;
    assert_eq!(codes(&member.ask(held, &create(2, "/c"))), [(1, 0), (2, 0)]);
}

#[test]
fn c13_what_is_stale_closes_its_connection_if_that_is_asked_for() {
    for (drops_stale, waits_ms, closes) in
        [(true, 10_001, true), (true, 10_000, false), (false, 10_001, false)]
    {
        let mut member = member(1, Throttler { drops_stale, ..ONE });
        let (writer, held) = (member.connect(0), member.connect(0)); // a timeout of 10,000 ms
        member.send(writer, &create(1, "/a"));
        member.send(held, &create(1, "/b"));
        member.now_ms = waits_ms;
        member.settle();
        assert_eq!(member.is_over(held), closes, "{drops_stale}, {waits_ms}");
        assert_eq!(member.tree.read().node("/b").is_none(), closes);
        assert_eq!(member.arbiters[0].tally().stale_dropped, u64::from(closes));
    }
}
