//! What is in flight when the leader is lost, and asked again of the next (C17).

use paddock_messages::letters::Internal;
use proptest::prelude::*;

use super::order::{Run, SESSIONS, Script, script};
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
    /// The next leader has some of the txns that are logged here and not known to be committed.
    fn find_leader_with(&mut self, epoch: u32, many: usize) {
        let watermark = self.learner.watermark();
        let runs = self.learner.tail().runs;
        let all = runs.into_iter().flat_map(|(first, last)| {
            std::iter::successors(Some(first), move |it| it.next().filter(|next| *next <= last))
        });
        let logged: Vec<Zxid> = all.filter(|it| *it > watermark).collect();
        let upto = (many % (logged.len() + 1)).checked_sub(1).map_or(watermark, |last| logged[last]);
        self.learner.on_truncated(upto);
        self.find_leader(epoch);
        self.serve(Serving::Everybody);
    }

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
fn c17_syncs_are_asked_again_and_one_in_front_of_what_is_executed_closes_the_connection() {
    /// In flight; the xids that are answered; whether it is closed.
    type Case<'a> = (&'a [Vec<u8>], &'a [i32], bool);
    let read = |xid| look(xid, OpCode::GetData, "/a", false);
    let cases: [Case<'_>; 6] = [
        (&[set(2, "/a", ""), sync(3)], &[2, 3], false),
        (&[set(2, "/a", ""), read(3), sync(4)], &[2, 3, 4], false),
        (&[sync(2)], &[2], false),
        (&[sync(2), set(3, "/a", "")], &[], true), // nobody knows of the sync
        (&[sync(2), set(2, "/a", "")], &[], true),
        (&[set(2, "/a", ""), sync(3), read(4), set(5, "/a", ""), read(6), set(7, "/a", "")], &[2], true),
    ];
    for (at, (in_flight, answered, is_closed)) in cases.iter().enumerate() {
        let (mut member, idle, writer) = watched();
        member.leave_in_flight(writer, &in_flight.concat());
        member.change_leader(2);
        assert_eq!(xids(&member.receive(writer)), *answered, "case {at}");
        assert_eq!((member.is_over(writer), member.is_over(idle)), (*is_closed, false), "case {at}");
    }
}

/// How many of the writes in flight the next leader has.
const HAS: std::ops::RangeInclusive<usize> = 0..=3;

/// Three writes in flight, with what `between` gives for 3 and 5 behind the first two. The next leader has the first
/// `has`: what is answered before its word, and what after.
fn in_flight_with(has: usize, between: impl Fn(i32) -> Vec<u8>) -> (Member, Client, [Vec<Packet>; 2]) {
    let (mut member, _, writer) = watched();
    let mut upto = member.learner.appended();
    for (at, xid) in [2, 4, 6].into_iter().enumerate() {
        member.leave_in_flight(writer, &[set(xid, "/a", &xid.to_string()), between(xid + 1)].concat());
        if at < has {
            upto = member.learner.appended();
        }
    }
    member.change_leader_without(2, upto);
    let early = member.receive(writer);
    member.settle();
    let late = member.receive(writer);
    assert!(!member.is_over(writer), "the next leader has {has}");
    (member, writer, [early, late])
}

#[test]
fn c17_c1_a_read_between_two_writes_finds_the_first_and_not_the_second_whatever_the_next_leader_has() {
    for has in HAS {
        let read = |xid| look(xid, OpCode::GetData, "/a", false);
        let (_, _, [early, late]) = in_flight_with(has, read);
        let answered = [0, 2, 4, 5][has]; // the read behind the last write is the arbiter's own
        assert_eq!(xids(&early), (2..2 + answered).collect::<Vec<_>>(), "the next leader has {has}");
        let told = [early, late].concat();
        assert_eq!(xids(&told), [2, 3, 4, 5, 6, 7], "the next leader has {has}");
        assert!(told.windows(2).all(|two| two[0].zxid <= two[1].zxid), "W1: {told:?}");
        for (at, data) in [(1, b"2"), (3, b"4"), (5, b"6")] {
            assert_eq!(&told[at].body[4..5], data, "the next leader has {has}, {}", told[at].xid);
        }
        assert!(
            told[1].zxid < told[2].zxid && told[3].zxid < told[4].zxid,
            "each stands before the next write"
        );
    }
}

#[test]
fn c17_c1_what_needs_no_tree_keeps_its_place_between_two_writes() {
    let who = |xid| request(xid, OpCode::WhoAmI as i32, |_| {});
    let unknown = |xid| request(xid, 999, |_| {});
    let add = |xid| watch(xid, OpCode::AddWatch, "/a", 0);
    for has in HAS {
        let (_, _, told) = in_flight_with(has, who);
        assert_eq!(xids(&told.concat()), [2, 3, 4, 5, 6, 7], "whoAmI, {has}");
        let (_, _, told) = in_flight_with(has, unknown);
        let told = told.concat().iter().map(|it| (it.xid, it.err)).collect::<Vec<_>>();
        assert_eq!(told, [(2, 0), (3, -6), (4, 0), (5, -6), (6, 0), (7, -6)], "a refusal, {has}");
        let (_, _, told) = in_flight_with(has, add);
        assert_eq!(xids(&told.concat()), [2, 3, -1, 4, 5, -1, 6, 7], "a persistent watch, {has}");
    }
}

#[test]
fn c17_c9_a_ping_between_two_writes_is_answered_once_its_session_is_known_to_live() {
    for has in HAS {
        let (_, _, [early, late]) = in_flight_with(has, |_| ping());
        assert!(
            early.iter().all(|it| it.xid != -2),
            "nothing is promised before the leader's word: {early:?}"
        );
        let told = xids(&[early, late].concat());
        let (pongs, writes): (Vec<i32>, Vec<i32>) = told.into_iter().partition(|xid| *xid == -2);
        assert_eq!((writes, pongs), (vec![2, 4, 6], vec![-2; 3]), "the next leader has {has}");
    }
}

#[test]
fn c17_c2_a_watch_that_a_read_between_two_writes_sets_fires_for_the_second_and_before_its_answer() {
    let read = |xid| look(xid, OpCode::GetData, "/a", true);
    for has in HAS {
        let (mut member, writer, told) = in_flight_with(has, read);
        assert_eq!(xids(&told.concat()), [2, 3, -1, 4, 5, -1, 6, 7], "the next leader has {has}");
        assert_eq!(xids(&member.ask(writer, &set(8, "/a", ""))), [-1, 8], "and 7 sets one, too");
    }
}

#[test]
fn c17_reads_in_front_of_the_end_of_the_session_are_answered_before_it() {
    for has in 0..=2 {
        let (mut member, _, writer) = watched();
        let mut upto = member.learner.appended();
        let read = look(3, OpCode::GetData, "/a", false);
        for (at, bytes) in [set(2, "/a", "2"), [read, close(4)].concat()].iter().enumerate() {
            member.leave_in_flight(writer, bytes);
            if at < has {
                upto = member.learner.appended();
            }
        }
        member.change_leader_without(2, upto);
        member.settle();
        let told = member.receive(writer);
        assert_eq!(
            (xids(&told), &told[1].body[4..5]),
            (vec![2, 3, 4], &b"2"[..]),
            "the next leader has {has}"
        );
        assert!(member.is_over(writer));
    }
}

#[test]
fn c17_a_read_that_never_came_to_the_learner_is_asked_again_behind_the_write_that_is_executed() {
    let (mut member, _, writer) = watched();
    member.leave_in_flight(writer, &set(2, "/a", "2"));
    member.send(writer, &[look(3, OpCode::GetData, "/a", false), set(4, "/a", "4")].concat());
    let lost = member.core(writer).take_submissions();
    assert_eq!(lost.len(), 2, "on its way");
    member.lose_leader();
    member.find_leader(2);
    member.serve(Serving::Everybody);
    assert_eq!(xids(&member.receive(writer)), [2]);
    let word = member.core(writer).take_submissions();
    member.answer(writer.arbiter, word);
    let again = member.core(writer).take_submissions();
    assert_eq!(again, lost, "as it was asked");
    member.answer(writer.arbiter, again);
    let told = member.receive(writer);
    assert_eq!((xids(&told), &told[0].body[4..5]), (vec![3, 4], &b"2"[..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn c17_c1_pipelined_requests_come_to_what_they_come_to_one_by_one_however_often_leaders_are_lost(
        drawn in proptest::collection::vec(
            // Syncs may close a connection, and pings may be overtaken.
            proptest::collection::vec((0..18u8, any::<u8>()), 0..30), SESSIONS..=SESSIONS),
        turns in proptest::collection::vec((0..13u8, any::<u8>()), 0..400),
        linearizable_reads: bool,
    ) {
        let kind = |kind: u8| if kind < 10 { kind } else { kind + 2 };
        let drawn = drawn.iter().map(|of| of.iter().map(|(it, at)| (kind(*it), *at)).collect::<Vec<_>>());
        let scripts: Vec<Script> = drawn.enumerate().map(|(at, drawn)| script(at, &drawn)).collect();
        let mut run = Run::new(&scripts, linearizable_reads);
        let (mut epoch, mut leads) = (1, true);
        for (turn, choice) in turns {
            match (turn, leads) {
                (12.., true) => run.member.lose_leader(),
                (12.., false) => {
                    epoch += 1;
                    run.member.find_leader_with(epoch, choice.into());
                }
                _ => run.turn(turn, choice),
            }
            leads ^= turn >= 12;
        }
        if !leads {
            run.member.find_leader_with(epoch + 1, 0);
        }
        run.finish(&scripts);
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

/// Each write in flight, its xid, and whether the leader that is lost gave it a zxid, or refused it without one; of the
/// former the next leader has the first `has`.
fn pipelined(writes: &[(i32, bool)], has: usize) -> (Member, Client, Vec<Packet>) {
    let (mut member, _, writer) = watched();
    member.leave_in_flight(writer, &set(9, "/a", "in front")); // else a refusal would be answered at once
    let (mut upto, mut numbered) = (member.learner.appended(), 0);
    for (at, (xid, is_numbered)) in writes.iter().enumerate() {
        member.proposer.on_disk_full(!is_numbered);
        member.leave_in_flight(writer, &set(*xid, "/a", &at.to_string()));
        numbered += usize::from(*is_numbered);
        if numbered <= has {
            upto = member.learner.appended();
        }
    }
    member.change_leader_without(2, upto);
    member.settle();
    let told = member.receive(writer);
    (member, writer, told)
}

/// A client may use an xid again while it is in flight: its answers come in order.
#[test]
fn c17_requests_in_flight_that_share_an_xid_are_never_taken_for_one_another() {
    let (numbered, refused) = (true, false);
    for (writes, has, answered, is_closed, executed) in [
        (&[(2, numbered), (3, numbered)][..], 1, &[9, 2, 3][..], false, 3),
        (&[(2, refused), (3, numbered)], 1, &[9], true, 2), // the first may not come behind the second
        (&[(2, refused), (2, numbered)], 1, &[9], true, 2),
        (&[(2, refused), (3, refused), (2, numbered)], 1, &[9], true, 2),
        (&[(2, refused), (2, numbered), (2, numbered)], 2, &[9], true, 3),
        (&[(2, numbered), (2, refused), (2, numbered)], 2, &[9], true, 3),
        (&[(2, numbered), (3, refused), (3, numbered)], 2, &[9, 2], true, 3),
        // Whether it is the first that is executed cannot be told.
        (&[(2, numbered), (2, numbered)], 1, &[9], true, 2),
        (&[(2, numbered), (2, numbered)], 2, &[9], true, 3),
        // Nothing is, and all is asked again.
        (&[(2, numbered), (2, numbered)], 0, &[9, 2, 2], false, 3),
        (&[(2, refused), (2, numbered)], 0, &[9, 2, 2], false, 3),
    ] {
        let (mut member, writer, told) = pipelined(writes, has);
        assert_eq!(xids(&told), answered, "{writes:?}, of which the next leader has {has}");
        assert_eq!(member.is_over(writer), is_closed, "{writes:?}, of which the next leader has {has}");
        assert_eq!(version(&member, "/a"), Some(executed), "{writes:?}, of which the next leader has {has}");
        assert!(told.windows(2).all(|two| two[0].zxid < two[1].zxid), "no answer is told twice");
    }
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
    let read = look(3, OpCode::GetData, "/a", false);
    member.send(writer, &[set(2, "/a", &"x".repeat(1_000)), read, set(4, "/a", "")].concat());
    let asked = member.core(writer).take_submissions();
    assert!(matches!(
        asked[..],
        [Submission::Write { .. }, Submission::Read { .. }, Submission::Write { .. }]
    ));
    let core = member.core(writer);
    let pipeline = &core.conns.get(writer.conn).unwrap().pipeline;
    let kept: Vec<&Bytes> = pipeline.to_ask_again().map(|(_, again)| &again.body).collect();
    assert!(kept.iter().all(|body| !body.is_unique()), "they share the frames with what was asked");
    let bytes = kept.iter().map(|body| body.len()).sum::<usize>();
    assert!(bytes <= pipeline.bytes(), "C3: they count as their frames");
    assert_eq!(Arc::strong_count(&ids), holders + 2 * kept.len(), "each is asked, and kept once");
    member.answer(writer.arbiter, asked);
    assert_eq!(Arc::strong_count(&ids), holders);
}
