//! What is in flight when the leader is lost, and asked again of the next (C17).

use paddock_messages::client::request::Write;
use paddock_messages::letters::Internal;

use super::parking::{close, sync, watched, xids};
use super::*;

fn multi(xid: i32, path: &str) -> Vec<u8> {
    request(xid, OpCode::Multi as i32, |to| {
        for (opcode, is_last) in [(OpCode::SetData as i32, false), (-1, true)] {
            opcode.write(to);
            is_last.write(to);
            (-1i32).write(to);
            if !is_last {
                paddock_messages::wire::write_str(path, to);
                paddock_messages::wire::write_str("by a multi", to);
                (-1i32).write(to);
            }
        }
    })
}

/// A create with these flags: 1 is ephemeral, 2 is sequential.
fn create_as(xid: i32, path: &str, flags: i32) -> Vec<u8> {
    let mut bytes = create(xid, path);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&flags.to_be_bytes());
    bytes
}

fn auth(xid: i32, user: &str) -> Vec<u8> {
    request(xid, OpCode::Auth as i32, |to| {
        0i32.write(to);
        paddock_messages::wire::write_str("digest", to);
        paddock_messages::wire::write_str(user, to);
    })
}

fn version(member: &Member, path: &str) -> Option<i32> {
    member.tree.read().node(path).map(|node| node.stat().version)
}

impl Member {
    /// The leader is lost; of what is logged the next one has no more than what comes up to `upto`.
    fn change_leader_without(&mut self, epoch: u32, upto: Zxid) {
        self.lose_leader();
        self.learner.on_truncated(upto);
        self.find_leader(epoch);
        self.serve(Serving::Everybody);
    }
}

#[test]
fn c17_what_the_next_leader_lacks_is_asked_again_and_each_is_executed_once_in_its_order() {
    let last = 7;
    for has in 0..=last - 2 {
        let (mut member, watcher, writer) = watched();
        let mut upto = member.learner.appended();
        for xid in 2..=last {
            member.leave_in_flight(writer, &set(xid, "/a", &xid.to_string()));
            if xid - 2 < has {
                upto = member.learner.appended();
            }
        }
        member.change_leader_without(2, upto);
        assert_eq!(xids(&member.receive(writer)), (2..2 + has).collect::<Vec<_>>(), "the history has {has}");
        member.settle();
        let told = member.receive(writer);
        assert_eq!(xids(&told), (2 + has..=last).collect::<Vec<_>>(), "the history has {has}");
        assert!(told.iter().all(|it| it.err == 0) && told.windows(2).all(|two| two[0].zxid < two[1].zxid));
        assert_eq!(version(&member, "/a"), Some(last - 1), "each is executed once");
        assert_eq!(xids(&member.receive(watcher)), [-1], "and its event comes once");
        let read = member.ask(writer, &look(8, OpCode::GetData, "/a", false));
        assert_eq!(&read[0].body[4..5], b"7", "in their order");
        assert!(!member.is_over(writer));
    }
}

#[test]
fn c17_every_kind_of_write_is_asked_again_as_it_was_asked() {
    let (mut member, _, writer) = watched();
    let before = member.learner.appended();
    let asked = [
        set(2, "/a", "2"),
        create_as(3, "/a/s-", 2),
        create_as(4, "/e", 1),
        auth(-4, "joe:secret"),
        multi(5, "/a"),
        delete(6, "/none"),
        sync(7),
        create(8, "/b"),
        close(9),
    ];
    member.send(writer, &asked.concat());
    let first = member.core(writer).take_submissions();
    assert_eq!(first.len(), 8);
    member.change_leader_without(2, before);
    let word = member.core(writer).take_submissions();
    assert!(
        matches!(word[..], [Submission::Revalidate { .. }]),
        "nothing before the leader's word: {word:?}"
    );
    member.answer(writer.arbiter, word);
    let again = member.core(writer).take_submissions();
    assert_eq!(again, first, "with the identities that each came with");
    member.answer(writer.arbiter, again);
    let told = member.receive(writer);
    assert_eq!(xids(&told), [-4, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(told.iter().map(|it| it.err).collect::<Vec<_>>(), [0, 0, 0, 0, 0, -101, 0, 0, 0]);
    assert!(member.is_over(writer) && version(&member, "/e").is_none(), "the session has ended, in its turn");
    let children: Vec<_> = member.tree.read().node("/a").unwrap().children().map(str::to_owned).collect();
    assert_eq!((children, version(&member, "/a")), (vec!["s-0000000000".to_owned()], Some(2)));
}

#[test]
fn c17_the_end_of_a_session_that_the_next_leader_has_is_answered_and_not_asked_again() {
    let (mut member, _, writer) = watched();
    member.leave_in_flight(writer, &[set(2, "/a", ""), close(3)].concat());
    member.lose_leader();
    member.find_leader(2);
    member.serve(Serving::Everybody);
    assert_eq!(xids(&member.receive(writer)), [2, 3]);
    assert!(member.is_over(writer) && member.core(writer).take_submissions().is_empty());
}

/// Lost on its way to the Learner, or to the leader; numbered, and lost again, several times.
#[test]
fn c17_wherever_it_was_when_the_leader_was_lost_and_however_often_it_is_executed_once() {
    for steps in 0..40 {
        let (mut member, _, writer) = watched();
        let before = member.learner.appended();
        member.send(writer, &[set(2, "/a", "2"), set(3, "/a", "3"), create_as(4, "/s-", 2)].concat());
        for epoch in 2..5 {
            for step in 0..steps {
                match step % 5 {
                    0 => member.submit(writer.arbiter),
                    1 => _ = member.learn(),
                    2 => _ = member.propose(),
                    3 => _ = member.apply(),
                    _ => member.drain(writer.arbiter),
                }
            }
            // What is not durable is had by nobody; in the third epoch, by everybody.
            if epoch == 4 {
                member.change_leader(epoch);
            } else {
                member.change_leader_without(epoch, before);
            }
        }
        member.settle();
        assert_eq!(xids(&member.receive(writer)), [2, 3, 4], "after {steps} steps each");
        assert_eq!(version(&member, "/a"), Some(2), "after {steps} steps each");
        assert_eq!(member.tree.read().node("/").unwrap().child_count(), 3, "zookeeper, a and s-");
        assert!(!member.is_over(writer));
    }
}

#[test]
fn c17_reads_behind_what_is_asked_again_wait_for_it_and_what_comes_later_stands_behind() {
    let (mut member, _, writer) = watched();
    let before = member.learner.appended();
    let read = |xid| look(xid, OpCode::GetData, "/a", false);
    member.leave_in_flight(writer, &[set(2, "/a", "2"), read(3)].concat());
    member.lose_leader();
    member.send(writer, &[set(4, "/a", "4"), read(5)].concat()); // not looked at yet
    member.learner.on_truncated(before);
    member.find_leader(2);
    member.serve(Serving::Everybody);
    member.settle();
    let told = member.receive(writer);
    assert_eq!(xids(&told), [2, 3, 4, 5]);
    assert_eq!((&told[1].body[4..5], &told[3].body[4..5]), (&b"2"[..], &b"4"[..]));
}

#[test]
fn c17_with_anything_else_in_flight_the_connection_is_closed() {
    /// In flight; whether the next leader has it; the xids that are answered; whether it is closed.
    type Case<'a> = (&'a [Vec<u8>], bool, &'a [i32], bool);
    let (has, lacks) = (true, false);
    let read = |xid| look(xid, OpCode::GetData, "/a", false);
    let cases: [Case<'_>; 6] = [
        (&[set(2, "/a", ""), read(3), set(4, "/a", "")], has, &[], true),
        (&[set(2, "/a", ""), read(3), set(4, "/a", "")], lacks, &[], true),
        (&[set(2, "/a", ""), ping(), set(4, "/a", "")], has, &[], true),
        (&[set(2, "/a", ""), sync(3)], has, &[2, 3], false),
        (&[sync(2)], has, &[2], false),
        (&[sync(2), set(3, "/a", "")], has, &[], true), // nobody knows of the sync in front of what is executed
    ];
    for (at, (in_flight, has, answered, is_closed)) in cases.iter().enumerate() {
        let (mut member, idle, writer) = watched();
        let before = member.learner.appended();
        member.leave_in_flight(writer, &in_flight.concat());
        if *has {
            member.change_leader(2);
        } else {
            member.change_leader_without(2, before);
            member.settle();
        }
        assert_eq!(xids(&member.receive(writer)), *answered, "case {at}");
        assert_eq!((member.is_over(writer), member.is_over(idle)), (*is_closed, false), "case {at}");
    }
}

#[test]
fn c17_what_is_executed_and_is_no_beginning_closes_the_connection() {
    let (mut member, _, writer) = watched();
    member.leave_in_flight(writer, &[set(2, "/a", "2"), set(3, "/a", "3")].concat());
    member.lose_leader();
    let zxid = member.tree.read().last_zxid();
    let mut to = member.tree.write();
    to.push(1, FeedItem::LateReply { conn: writer.conn, xid: 3, zxid, outcome: Outcome::Done });
    to.commit(|_| {});
    member.serve(Serving::Everybody);
    assert!(member.is_over(writer) && member.core(writer).take_submissions().is_empty());
}

#[test]
fn c17_of_a_session_that_moved_or_ended_or_of_a_leader_that_comes_late_nothing_is_asked_again() {
    for case in ["it moved", "it ended", "it is late"] {
        let (mut member, _, writer) = watched();
        let session = member.core(writer).session_in_slot(writer.conn.slot).unwrap();
        let before = member.learner.appended();
        member.leave_in_flight(writer, &set(2, "/a", "2"));
        member.lose_leader();
        member.learner.on_truncated(before);
        member.find_leader(2);
        let tree = Arc::clone(&member.tree);
        match case {
            "it moved" => {
                let elsewhere = AttachNumber { epoch: Epoch(1), counter: 99 };
                assert!(member.proposer.on_revalidated(&*tree.read(), session, elsewhere));
            }
            "it ended" => {
                let (mut out, newest) = (Vec::new(), AttachNumber { epoch: Epoch(1), counter: 99 });
                let expire = Internal::Expire(vec![(session, newest)]);
                member.proposer.on_internal(&*tree.read(), expire, 0, &mut out);
                member.route(out);
            }
            _ => member.now_ms = 1_999,
        }
        member.serve(Serving::Everybody);
        member.now_ms = if case == "it is late" { 2_000 } else { 0 };
        member.settle();
        assert!(member.is_over(writer) && member.receive(writer).is_empty(), "{case}");
        assert_eq!(version(&member, "/a"), Some(0), "{case}");
    }
}

/// What was asked behind an upgrade may be executed, and nobody here would know.
#[test]
fn c17_what_a_session_asked_as_it_became_everybodys_is_not_asked_again() {
    let settings = Settings { local_sessions: true, upgrades_local_sessions: true, ..Settings::default() };
    let mut member = Member::with(1, settings, AuthRules::default());
    let writer = member.connect(0);
    member.leave_in_flight(writer, &create_as(1, "/e", 1));
    member.change_leader(2);
    assert!(member.is_over(writer) && member.receive(writer).is_empty());
    assert_eq!(version(&member, "/e"), Some(0), "it is there once");
}

#[test]
fn c17_what_is_kept_to_be_asked_again_is_no_copy_and_goes_with_the_answer() {
    let (mut member, _, writer) = watched();
    let ids = member.core(writer).conns.get(writer.conn).unwrap().ids.clone();
    let holders = Arc::strong_count(&ids);
    member.send(writer, &set(2, "/a", &"x".repeat(1_000)));
    let asked = member.core(writer).take_submissions();
    let [Submission::Write { write: Write::One(_), .. }] = &asked[..] else { panic!("{asked:?}") };
    let core = member.core(writer);
    let pipeline = &core.conns.get(writer.conn).unwrap().pipeline;
    let again = pipeline.to_ask_again().next().unwrap().1;
    assert!(!again.body.is_unique(), "it shares the frame with what was asked");
    assert!(again.body.len() <= pipeline.bytes(), "C3: it counts as its frame");
    assert_eq!(Arc::strong_count(&ids), holders + 2, "one is asked, one is kept");
    member.answer(writer.arbiter, asked);
    assert_eq!(Arc::strong_count(&ids), holders);
}
