//! From one leader to the next: what the log held, what is cut or replaced, and where an epoch begins.

use super::*;
use crate::learner::core::APPLY_BATCH;

/// `1.3`, or `synced`, which is no txn.
fn item(text: &str) -> Proposal {
    let Some((epoch, counter)) = text.split_once('.') else {
        return Proposal::Synced { number: 0, session: SESSION, attach: number(1), xid: 1, path: None };
    };
    let Proposal::Txn(mut txn) = change(counter.parse().unwrap(), 9) else { unreachable!() };
    txn.header.zxid = Zxid::new(Epoch(epoch.parse().unwrap()), txn.header.zxid.counter());
    Proposal::Txn(txn)
}

fn zxid(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once('.').unwrap();
    Zxid::new(Epoch(epoch.parse().unwrap()), counter.parse().unwrap())
}

/// All of these, in a line.
fn items(text: &str) -> Vec<Proposal> {
    text.split_whitespace().map(item).collect()
}

fn logged(text: &str) -> World {
    let World { learner, .. } = World::new();
    let txns = items(text).into_iter().filter_map(|it| it.txn().cloned()).collect();
    World { learner: learner.with_logged(txns), ..World::new() }
}

impl World {
    /// What the log ends with, and the zxid that the log's watermark tells.
    fn tail(&self) -> String {
        let tail = self.learner.tail();
        format!("{:?} {:?}, {:?}", tail.committed, tail.runs, self.learner.watermark())
    }
}

/// Only a leader's word makes it committed.
#[test]
fn l2_l5_what_the_log_held_at_the_start_waits_for_a_leader() {
    let mut world = logged("1.1 1.2 3.1 3.2");
    assert_eq!(world.tail(), "1.0 [(1.1, 1.2), (3.1, 3.2)], 1.0");
    assert_eq!(world.learner.appended(), zxid("3.2"));
    assert!(!world.learner.is_ready());
    world.learner.on_commit(zxid("3.1"), &mut world.out);
    assert_eq!((world.out.split_off(0), world.apply()), (vec![Output::Apply], vec![]));
    assert_eq!((world.toy.applied.len(), world.tail()), (3, "3.1 [(3.2, 3.2)], 3.1".into()));
    world.propose(items("4.1")); // behind it, and not appended twice
    assert!(matches!(&world.out[..], [Output::Append(batch)] if batch.len() == 1));
    assert_eq!(world.tail(), "3.1 [(3.2, 3.2), (4.1, 4.1)], 3.1");
}

#[test]
#[should_panic(expected = "L5")]
fn l5_a_gap_in_the_log_stops_the_node() {
    logged("1.1 1.3");
}

/// An epoch's start is no txn: the log does not hold it.
#[test]
fn l2_the_watermark_is_the_last_txn_that_is_committed() {
    for (proposed, commit, expected) in [
        ("", "1.0", "1.0"),
        ("", "2.0", "1.0"), // all that is applied
        ("1.1 1.2", "1.1", "1.1"),
        ("1.1 1.2", "2.0", "1.2"),
        ("1.1 synced 2.1 2.2 3.1", "2.0", "1.1"),
        ("1.1 2.1 2.2 3.1", "3.0", "2.2"),
        ("2.1 2.2", "2.0", "1.0"),
        ("2.1 2.2", "2.1", "2.1"),
    ] {
        let mut world = logged("");
        world.propose(items(proposed));
        world.learner.on_commit(zxid(commit), &mut world.out);
        assert_eq!(world.learner.watermark(), zxid(expected), "{proposed}: {commit}");
        world.apply();
        assert_eq!(world.learner.watermark(), zxid(expected), "{proposed}: {commit}, applied");
    }
}

#[test]
fn l2_what_is_cut_from_the_log_is_not_applied() {
    for (to, expected, next) in [
        ("1.1", "1.1 [], 1.1", "1.2"), // all that is not applied
        ("1.2", "1.1 [(1.2, 1.2)], 1.1", "1.3"),
        ("2.1", "1.1 [(1.2, 1.2), (2.1, 2.1)], 1.1", "2.2"),
        ("2.2", "1.1 [(1.2, 1.2), (2.1, 2.2)], 1.1", "2.3"), // nothing
        ("2.9", "1.1 [(1.2, 1.2), (2.1, 2.2)], 1.1", "2.3"),
    ] {
        let mut world = logged("1.1 1.2");
        world.commit(1);
        world.apply();
        world.propose(items("2.1 synced 2.2"));
        world.learner.on_truncated(zxid(to));
        assert_eq!(world.tail(), expected, "after {to}");
        world.propose(items(next)); // L5: it follows what is left
        world.learner.on_commit(zxid(next), &mut world.out);
        assert_eq!(world.apply(), [""; 0], "who waited for the sync is not there any more");
        assert_eq!(
            (world.toy.applied.last(), world.tail()),
            (Some(&zxid(next)), format!("{next} [], {next}"))
        );
    }
}

#[test]
#[should_panic(expected = "L2")]
fn l2_what_is_applied_cannot_be_cut() {
    let mut world = logged("1.1 1.2");
    world.commit(2);
    world.apply();
    world.learner.on_truncated(z(1));
}

#[test]
fn l2_l5_a_snapshot_stands_for_all_before_it() {
    let mut world = logged("1.1 1.2 1.3");
    world.commit(1);
    world.apply();
    world.learner.on_installed(zxid("3.4"));
    assert_eq!((world.tail(), world.learner.appended()), ("3.4 [], 3.4".into(), zxid("3.4")));
    assert!(!world.learner.is_ready());
    world.propose(items("3.5"));
    world.apply();
    assert_eq!(world.toy.applied, [z(1)], "what was in the log before is gone, 3.5 is not committed");
    world.learner.on_commit(zxid("3.5"), &mut world.out);
    world.apply();
    assert_eq!(world.toy.applied, [z(1), zxid("3.5")]);
}

#[test]
#[should_panic(expected = "L2")]
fn l2_a_snapshot_that_is_older_than_the_tree_is_not_installed() {
    let mut world = logged("1.1 1.2");
    world.commit(2);
    world.apply();
    world.learner.on_installed(z(1));
}

/// Nobody waits for the leader any more, and what is logged is committed by the next one or cut.
#[test]
fn l4_whoever_waits_for_a_leader_that_is_lost_gets_no_answer_but_by_what_is_applied() {
    let mut world = World::attached();
    world.submit(vec![write(1, 1), write(2, 1)]);
    world.propose(vec![change(1, 1), item("synced"), change(2, 1), attached(1, 2)]);
    world.learner.on_turned_away(vec![Handshake::Ended(client(7))], &mut world.out);
    world.learner.on_epoch(Epoch(1), &mut world.out);
    world.learner.on_leader_lost();
    assert!(!world.learner.is_ready());
    assert_eq!(world.tail(), "1.0 [(1.1, 1.2)], 1.0");
    world.learner.on_commit(zxid("2.0"), &mut world.out);
    assert_eq!(world.apply(), ["0: late reply 1", "0: late reply 2"], "L7: writes alone");
    assert_eq!((world.toy.applied.len(), world.toy.begun.len()), (2, 0));
    world.propose(vec![attached(2, 3)]); // whoever comes anew is answered
    assert_eq!(world.apply(), ["0: moved", "2: attached"]);
}

#[test]
fn l3_l7_reads_keep_their_places_among_the_writes_whichever_leader_commits_them() {
    for (losses, cut) in [(1, false), (2, false), (1, true)] {
        let mut world = World::attached();
        world.submit(vec![write(1, 1), read(2, 1), read(3, 1), write(4, 1), read(5, 1), write(6, 1)]);
        world.propose(vec![change(1, 1), change(2, 1), change(3, 1)]);
        (0..losses).for_each(|_| world.learner.on_leader_lost());
        assert!(!world.learner.is_ready());
        if cut {
            world.learner.on_truncated(z(2));
        }
        world.learner.on_commit(zxid("2.0"), &mut world.out);
        let all = [
            "0: late reply 1",
            "0: read 2 at 1",
            "0: read 3 at 1",
            "0: late reply 2",
            "0: read 5 at 2",
            "0: late reply 3",
        ];
        assert_eq!(world.apply(), all[..if cut { 5 } else { 6 }], "{losses} losses, {cut}");
        // It goes on, and asks again.
        world.propose(vec![attached(0, 1)]);
        assert_eq!(world.apply(), ["0: attached"]);
        world.submit(vec![read(8, 1)]);
        assert_eq!(world.apply(), [format!("0: read 8 at {}", if cut { 2 } else { 3 })]);
    }
}

/// Else those of clients that do not come back would be kept as long as their sessions live.
#[test]
fn l7_reads_are_kept_until_the_next_leader_answers_anybody_of_this_member() {
    let refused = |member| Proposal::AttachRefused { member, client: client(7), session: SessionId(70) };
    for (word, told, is_kept) in [
        (refused(ServerId(1)), Some("7: refused"), false),
        (refused(ServerId(9)), None, true),
        (attached(0, 1), Some("0: attached"), false),
    ] {
        let mut world = World::attached();
        world.submit(vec![write(1, 1), write(2, 1), read(3, 1), write(4, 1)]);
        world.propose(vec![change(1, 1)]);
        world.learner.on_leader_lost();
        world.propose(vec![word]);
        world.commit(1);
        let told: Vec<&str> = std::iter::once("0: late reply 1").chain(told).collect();
        assert_eq!(world.apply(), told);
        assert_eq!(world.learner.routes.keeps_reads(), is_kept, "{told:?}");
    }
}

#[test]
fn l3_l7_a_read_whose_turn_had_come_is_executed_before_the_next_leaders_log_goes_on() {
    let mut world = World::attached();
    world.toy.body = READ_BYTES;
    world.submit(vec![write(1, 1), read(2, 1), read(3, 1), write(4, 1)]);
    world.propose(vec![change(1, 1), change(2, 1)]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1"], "there was too much else to read");
    world.learner.on_leader_lost();
    world.learner.on_commit(zxid("2.0"), &mut world.out);
    assert_eq!(world.apply(), ["0: read 3 at 1", "0: late reply 2"]);
    // Nothing is kept for whoever does not wait any more.
    let ended = txn(2, 0, TxnBody::CloseSession { ephemerals: vec![] });
    for (ends, told) in [(attached(5, 3), vec!["0: moved", "5: attached"]), (ended, vec!["0: ended"])] {
        let mut world = World::attached();
        world.submit(vec![write(1, 1), write(2, 1), read(3, 1), write(4, 1)]);
        world.propose(vec![change(1, 1)]);
        world.learner.on_leader_lost();
        world.propose(vec![ends]);
        let next = world.learner.appended().next().unwrap();
        world.propose(vec![change(next.counter(), 1)]);
        world.commit(next.counter());
        assert_eq!(world.apply(), [vec!["0: late reply 1"], told].concat());
    }
}

#[test]
fn l6_an_epoch_begins_behind_all_before_it_and_before_any_of_it() {
    for (log, commit, begun, applied) in [
        ("", "2.0", 0, 0), // at once
        ("1.1 1.2", "2.0", 2, 2),
        ("1.1 1.2 synced", "2.0", 2, 2),
        ("synced 1.1", "2.0", 1, 1),
        ("1.1 1.2 2.1 2.2", "2.0", 2, 2),
        ("1.1 1.2 2.1 2.2", "2.1", 2, 3), // who was away for a moment
        ("2.1", "2.1", 0, 1),
    ] {
        let mut world = World::new();
        world.propose(items(log));
        world.learner.on_commit(zxid(commit), &mut world.out);
        world.out.clear();
        world.learner.on_epoch(Epoch(2), &mut world.out);
        assert_eq!(world.out, [Output::Apply], "{log}");
        world.apply();
        assert_eq!(world.toy.begun, [(Epoch(2), begun)], "{log}, {commit}");
        assert_eq!(world.toy.applied.len(), applied, "{log}, {commit}");
        world.apply();
        assert_eq!((world.toy.begun.len(), world.learner.is_ready()), (1, false), "once");
    }
}

#[test]
fn l6_an_epoch_that_the_tree_is_in_already_does_not_begin_again() {
    let mut world = logged("1.1 2.1");
    world.learner.on_commit(zxid("2.1"), &mut world.out);
    world.apply();
    world.learner.on_epoch(Epoch(2), &mut world.out);
    world.apply();
    assert_eq!((world.toy.begun.len(), world.learner.is_ready()), (0, false));
}

#[test]
fn l6_an_epoch_waits_for_more_than_one_hold_of_the_lock() {
    let mut world = World::new();
    let all = APPLY_BATCH as u32 + 10;
    world.propose((1..=all).map(|counter| change(counter, 9)).collect());
    world.learner.on_commit(zxid("2.0"), &mut world.out);
    world.learner.on_epoch(Epoch(2), &mut world.out);
    world.apply();
    assert_eq!((world.toy.applied.len(), world.toy.begun.len()), (APPLY_BATCH, 0));
    assert!(world.learner.is_ready());
    world.apply();
    assert_eq!(world.toy.begun, [(Epoch(2), all as usize)]);
}

#[test]
fn l4_a_session_that_attaches_through_another_member_has_moved() {
    let elsewhere = |session, slot| Proposal::Attached {
        member: ServerId(2),
        client: client(slot),
        session,
        attach: number(2),
        timeout_ms: 4000,
    };
    let mut world = World::attached();
    world.submit(vec![write(1, 1), read(2, 1)]);
    // Connection 5 is one of member 2's; ours of that number is somebody else's.
    world.propose(vec![elsewhere(SessionId(8), 5), change(1, 1), elsewhere(SESSION, 5), change(2, 1)]);
    world.commit(2);
    assert_eq!(world.apply(), ["0: reply 1", "0: read 2 at 1", "0: moved"]);
    world.propose(vec![elsewhere(SESSION, 6), attached(3, 3)]);
    assert_eq!(world.apply(), ["3: attached"], "it has come back");
    let refused = |member| Proposal::AttachRefused { member, client: client(4), session: SessionId(9) };
    world.propose(vec![refused(ServerId(2)), refused(ServerId(1))]);
    assert_eq!(world.apply(), ["4: refused"], "once, where it asked");
}

#[test]
fn l7_a_parked_connection_hears_what_is_applied_of_its_session_and_no_more() {
    let elsewhere = |attach| Proposal::Attached {
        member: ServerId(2),
        client: client(9),
        session: SESSION,
        attach: number(attach),
        timeout_ms: 4000,
    };
    let ends = |counter| txn(counter, 0, TxnBody::CloseSession { ephemerals: vec![] });
    // Connection 0 is attached by number 2.
    for (applied, told) in [
        (vec![change(1, 2), change(2, 2)], vec!["0: late reply 1", "0: late reply 2"]),
        (vec![change(1, 1)], vec![]),
        (vec![change(1, 2), change(2, 3), change(3, 2)], vec!["0: late reply 1", "0: moved"]),
        (vec![elsewhere(3), change(1, 2)], vec!["0: moved"]),
        (vec![elsewhere(1), change(1, 2)], vec!["0: late reply 1"]),
        (vec![ends(1)], vec!["0: ended"]),
        (vec![attached(0, 2)], vec!["0: attached"]),
        (vec![attached(5, 3)], vec!["0: moved", "5: attached"]),
    ] {
        let mut world = World::new();
        world.propose(vec![attached(0, 2)]);
        world.apply();
        world.submit(vec![write(1, 2), write(2, 2), write(3, 2)]);
        for _ in 0..2 {
            world.learner.on_leader_lost(); // the second never served
        }
        world.propose(applied.clone());
        world.commit(3);
        assert_eq!(world.apply(), told, "{applied:?}");
    }
    let mut world = World::attached();
    world.learner.on_leader_lost();
    world.learner.on_installed(z(1));
    world.propose(vec![change(2, 1)]);
    world.commit(2);
    assert_eq!(world.apply(), [""; 0], "a snapshot came");
}

/// An observer may be told by a leader to which it returns what was said for its last stay.
#[test]
fn l4_a_revalidation_that_is_told_twice_forgets_nothing_that_was_asked_between() {
    let mut world = World::attached();
    world.learner.on_leader_lost();
    world.propose(vec![attached(0, 1)]);
    world.apply();
    world.submit(vec![write(1, 1), read(2, 1)]);
    world.propose(vec![attached(0, 1), change(1, 1)]);
    world.commit(1);
    assert_eq!(world.apply(), ["0: attached", "0: reply 1", "0: read 2 at 1"]);
}
