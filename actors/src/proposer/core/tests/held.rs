//! What is held back, and how much of it.

use super::super::super::held::MOST_HELD;
use super::room::small;
use super::{Bench, ServerId, check};

#[test]
fn p7_new_sessions_are_refused_while_too_much_is_held_back_and_an_expiry_is_held_once() {
    let mut bench = small();
    bench.step("7 0#1 set / | 8 0#1 set /");
    let syncs = vec!["sync 8 0#1"; MOST_HELD - 1].join(" | ");
    assert_eq!(bench.told(&syncs), "");
    assert_eq!(bench.told("expire 7"), "");
    assert_eq!(bench.told("expire 7"), "", "E4 asks again and again");
    assert_eq!(bench.proposer.held(), MOST_HELD);
    assert_eq!(bench.told("open 9 | attach 8"), "not begun 9", "who has a session waits");
    assert_eq!(bench.proposer.held(), MOST_HELD + 1);
    bench.step("ack 1 1.2");
    assert_eq!((bench.proposer.held(), bench.proposer.take_expired()), (0, 1));
}

#[test]
fn p10_a_session_that_attaches_once_more_takes_the_place_of_its_first_attach() {
    let mut bench = small();
    bench.step("7 0#1 set / | 8 0#1 set /");
    for (input, expected) in [
        ("revalidate 7 0#1", "no place 3"), // nothing bounds how many wait
        ("attach 8 1", ""),
        ("expire 8@0#1", ""), // judged by the attachment before
        ("8 0#1 set /", ""),
        ("attach 8 2 | attach 7 3", "moved 1"),
        ("attach 8 4", "moved 2"),
        ("attach 99 5", "ended 5"), // no such session: it takes no place, and is told at once
        // As if all of them were done in order: 8 has attached, so it lives, and its older write is moved.
        ("ack 1 1.2", "attached 8 1#1 | 1.3 8 -118 | attached 7 1#2"),
        ("attach 8 5", "attached 8 1#3"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
    assert_eq!(bench.proposer.held(), 0);
}

/// What waits may have come down a lane that is no more: behind this word its client's member asks it again.
#[test]
fn p16_no_session_is_revalidated_while_something_waits_but_behind_it() {
    let mut bench = small();
    bench.step("7 0#1 set / | 8 0#1 set /");
    for (input, expected) in [
        ("7 0#1 set /", ""),
        ("revalidate 7 0#1", "no place 3"),
        ("revalidate 8 0#1", "no place 3"),
        ("ack 1 1.2", "1.3 7 set / v3"),
        ("revalidate 8 0#1", "attached 8 0#1"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
}

/// It is about to begin, so no client may take it for expired.
#[test]
fn p10_a_session_that_waits_to_become_everybodys_has_not_ended() {
    let mut bench = small();
    bench.step("7 0#1 set / | 8 0#1 set /");
    for (input, expected) in [
        ("upgrade 9 0#3", ""),
        ("attach 9 1", "no place 1"),
        ("ack 1 1.2", "1.3 9 0#3 open 1000"),
        ("attach 9 2", "attached 9 1#1"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
}

/// Whatever is not logged takes memory for as long as the disk is silent, so it counts.
#[test]
fn p10_what_stands_behind_a_silent_disk_counts_until_it_is_reached() {
    let mut bench = small();
    let attaches = "attach 7 1 | attach 8 2";
    assert_eq!(bench.told(&[attaches; 50].join(" | ")).matches("attached").count(), 100, "nothing is owed");
    bench.step("7 1#99 set /");
    let mut behind = 0;
    while bench.proposer.held() == 0 {
        behind += bench.told("attach 7 1 | sync 8 1#100 | attach 99 3").matches(" | ").count() + 1;
        assert!(behind < 100, "held back some time");
    }
    assert!(behind > 3, "a few are no matter: {behind}");
    // A full disk lets nothing wait: who attaches is turned away instead, until the disk owes less.
    bench.step("disk full");
    assert_eq!(bench.told("attach 8 6"), "no place 6");
    assert_eq!(bench.told("revalidate 8 1#100"), "no place 3");
    assert_eq!(bench.proposer.held(), 0);
    assert_eq!(bench.told("ack 1 1.1"), "");
    assert!(bench.told("attach 8 7").starts_with("attached 8"));
}

#[test]
fn the_configuration_has_its_own_zxid_as_version_and_waits_for_the_disk() {
    check(
        1,
        &[
            ("7 0#1 set /", "1.1 7 set / v1"),
            ("configure a\n", "1.2 0 reconfig a\nversion=100000002"),
            ("disk full", ""),
            ("configure b\n", ""),
            ("disk free", ""),
            ("configure b\n", "1.3 0 reconfig b\nversion=100000003"),
        ],
    );
}

#[test]
fn p15_a_leader_that_is_to_hand_over_numbers_nothing_more_and_has_finished_once_all_is_committed() {
    let mut bench = Bench::new(3);
    assert_eq!(bench.told("7 0#1 create /a | 7 0#1 set /a"), "1.1 7 create /a p1 | 1.2 7 set /a v1");
    assert!(!bench.proposer.has_finished(), "it was not told to");
    bench.proposer.finish(None);
    for (input, expected) in [
        ("7 0#1 set /a | attach 7 | sync 7 0#1 | open 9", ""),
        ("expire 8", ""),
        ("ack 1 1.2", ""),
        ("ack 2 1.1", "commit 1.1"),
        ("reap /a", ""),
        ("configure 7", ""),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
        assert!(!bench.proposer.has_finished(), "{input}: 1.2 is not committed");
    }
    assert_eq!(bench.told("ack 3 1.2"), "commit 1.2");
    assert!(bench.proposer.has_finished());
    assert_eq!(bench.told("7 0#1 set /a"), "");
    assert!(bench.proposer.has_finished() && bench.proposer.held() == 6, "{}", bench.proposer.held());

    let mut idle = Bench::new(3);
    idle.proposer.finish(None);
    assert!(idle.proposer.has_finished(), "it has numbered nothing");
}

#[test]
fn p15_a_leader_with_an_heir_has_finished_once_that_one_has_all_of_it() {
    let mut bench = Bench::new(3);
    bench.proposer.finish(Some(ServerId(3)));
    assert!(bench.proposer.has_finished(), "nothing is numbered");
    let mut bench = Bench::new(3);
    assert_eq!(bench.told("7 0#1 create /a"), "1.1 7 create /a p1");
    bench.proposer.finish(Some(ServerId(3)));
    for (input, expected, is_over) in
        [("ack 1 1.1", "", false), ("ack 2 1.1", "commit 1.1", false), ("ack 3 1.1", "", true)]
    {
        assert_eq!(bench.told(input), expected, "{input}");
        assert_eq!(bench.proposer.has_finished(), is_over, "{input}");
    }
}
