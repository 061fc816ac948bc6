//! Each row of compat zab, 3, and each invariant by itself.

use super::*;

#[test]
fn a_lone_voter_decides_at_once() {
    check(1, 1, &[("look 1.5", "decided 1@1.5"), ("settle leading 1@2.0", "")]);
}

#[test]
fn el3_looking_in_a_higher_round_its_round_is_taken_over_and_ours_forgotten() {
    check(
        2,
        5,
        &[
            ("up 1 3 4 5", ""),
            ("look 1.5", "looking 1 2@1.5 to 1 3 4 5"),
            ("3: looking 1 3@1.5", "looking 1 3@1.5 to 1 3 4 5"),
            // Less than what was proposed, more than our own: the comparison begins anew.
            ("1: looking 4 4@1.4", "looking 4 2@1.5 to 1 3 4 5"),
            ("4: looking 4 4@1.4", ""), // the word of 3 is of another round: no quorum for anyone
            ("5: looking 4 5@1.5", "looking 4 5@1.5 to 1 3 4 5"),
            ("at 200", "looking 4 5@1.5 to 1 3 4 5"),
            ("3: looking 4 5@1.5", ""), // the third of five
            ("at 219", ""),
            ("at 220", "decided 5@1.5"),
        ],
    );
}

#[test]
fn looking_in_a_lower_round_it_is_answered_and_not_counted() {
    check(
        2,
        3,
        &[
            ("look 1.5", ""),
            ("look 1.5", ""),
            ("up 1 3", "looking 2 2@1.5 to 1 3"),
            ("1: looking 1 2@1.5", "looking 2 2@1.5 to 1"),
            ("3: looking 1 3@9.9", "looking 2 2@1.5 to 3"), // however great
            ("1: looking 2 2@1.5", ""),
            ("at 20", "decided 2@1.5"),
        ],
    );
}

#[test]
fn el2_looking_in_the_same_round_the_greater_vote_is_taken_over() {
    // By epoch, then zxid, then id.
    for (first, heard, is_taken) in [
        ("2.5", "1@3.0", true),
        ("2.5", "1@2.6", true),
        ("2.5", "3@2.5", true),
        ("2.5", "1@2.5", false),
        ("2.5", "3@2.4", false),
        ("2.5", "3@1.9", false),
    ] {
        let mut table = Table::of(2, members(5, &[], ""));
        table.check(&[("up 1 3", "")]);
        table.step(&format!("look {first}"));
        let expected = if is_taken { format!("looking 1 {heard} to 1 3") } else { String::new() };
        assert_eq!(table.step(&format!("{}: looking 1 {heard}", &heard[..1])), expected);
    }
}

#[test]
fn el2_a_vote_for_one_without_a_live_link_is_not_taken_over() {
    check(
        1,
        5,
        &[
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("2: looking 1 5@1.9", ""), // whom we could not follow
            ("3: looking 1 3@1.6", "looking 1 3@1.6 to 2 3"),
            ("up 5", "looking 1 5@1.9 to 2 3 5"), // now we could
            // It is gone: others may still pass it on in this round, so there is another.
            ("down 5", "looking 2 1@1.5 to 2 3"),
            ("2: looking 1 5@1.9", "looking 2 1@1.5 to 2"),
            // What is said of us is not what we stand with: of a time before.
            ("2: looking 2 1@1.9", ""),
        ],
    );
}

#[test]
fn el7_a_quorum_waits_for_those_that_are_linked_and_do_not_agree() {
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 1@1.5", ""),
            ("1: looking 1 3@1.5", ""), // a quorum; 2 may have better
            ("at 19", ""),
            ("2: looking 1 2@1.6", "looking 1 2@1.6 to 1 2"), // it has: the wait begins anew
            ("at 30", ""),
            ("1: looking 1 2@1.6", "decided 2@1.6"), // all three: nothing to wait for
        ],
    );
    check(
        3,
        3,
        &[
            ("up 1", ""),
            ("look 1.5", "looking 1 3@1.5 to 1"),
            ("1: looking 1 3@1.5", "decided 3@1.5"), // 2 has no link: not waited for
        ],
    );
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("2: looking 1 -", "decided 3@1.5"), // no vote will come from an amnesiac
        ],
    );
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("down 2", "decided 3@1.5"), // nobody left to wait for
        ],
    );
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("at 10", ""),
            ("down 1", ""), // the quorum is gone, and with it the time
            ("up 1", "looking 1 3@1.5 to 1"),
            ("at 20", ""),
            ("1: looking 1 3@1.5", ""),
            ("at 39", ""),
            ("at 40", "decided 3@1.5"),
        ],
    );
}

#[test]
fn following_or_leading_in_the_same_round_it_is_joined_if_a_quorum_votes_so_and_the_leader_leads() {
    check(
        1,
        5,
        &[
            ("up 2 3 4", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3 4"),
            ("2: following 1 4@1.4", ""), // less than ours, and yet decided
            ("3: looking 1 4@1.4", ""),
            ("4: leading 1 4@1.4", "decided 4@1.4"),
        ],
    );
    check(
        1,
        5,
        &[
            ("up 2 3 4 5", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3 4 5"),
            ("2: following 1 4@1.4", ""),
            ("3: following 1 4@1.4", ""),
            ("5: following 1 4@1.4", ""), // a quorum, but does 4 live?
            ("at 150", ""),
            ("4: leading 1 4@1.4", "decided 4@1.4"),
        ],
    );
    // Others have decided for us, on our own vote: whatever greater we have heard of since.
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 1.5", "looking 1 2@1.5 to 1 3"),
            ("1: following 1 2@1.4", ""), // not what we stand with
            ("1: following 1 2@1.5", "decided 2@1.5"),
        ],
    );
    check(
        3,
        5,
        &[
            ("up 1 2 4 5", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2 4 5"),
            ("5: looking 1 5@1.5", "looking 1 5@1.5 to 1 2 4 5"),
            ("1: following 1 3@1.5", ""),
            ("2: following 1 3@1.5", ""),
            ("4: looking 1 3@1.5", "decided 3@1.5"),
        ],
    );
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 1.5", "looking 1 2@1.5 to 1 3"),
            ("look 1.5", "looking 2 2@1.5 to 1 3"),
            ("1: following 1 2@1.5", ""), // of another round
            ("3: following 1 2@1.5", ""),
            ("at 100", ""),
        ],
    );
}

#[test]
fn el3_following_or_leading_in_another_round_it_is_joined_if_a_quorum_has_it() {
    let rejoins = |steps: &[(&str, &str)]| {
        let mut table = Table::of(1, members(5, &[], ""));
        table.check(&[("up 2 3 4 5", ""), ("look 9.9", "looking 1 1@9.9 to 2 3 4 5")]);
        table.check(steps);
        table.election.round()
    };
    // Zxid and round differ; leader and epoch do not. The round is the leader's.
    let joined = rejoins(&[
        ("2: following 7 4@3.5", ""),
        ("3: following 5 4@3.0", ""),
        ("4: leading 6 4@3.7", "decided 4@3.7"),
    ]);
    assert_eq!(joined, 6);
    // The leader does not say that it leads.
    rejoins(&[
        ("2: following 7 4@3.5", ""),
        ("3: following 7 4@3.5", ""),
        ("5: following 7 4@3.5", ""),
        ("at 100", ""),
    ]);
    // It leads another epoch than they follow.
    rejoins(&[("2: following 7 4@3.5", ""), ("3: following 7 4@3.5", ""), ("4: leading 7 4@4.0", "")]);
    // No quorum has it: ours does not count.
    rejoins(&[("2: following 7 4@3.5", ""), ("4: leading 7 4@3.5", ""), ("at 100", "")]);
    // Nobody leads by saying that another does, or follows itself.
    rejoins(&[
        ("2: leading 7 4@3.5", ""),
        ("3: following 7 4@3.5", ""),
        ("5: following 7 4@3.5", ""),
        ("4: following 7 4@3.5", ""),
    ]);
}

#[test]
fn observing_is_ignored() {
    let with_observer = || Table::of(1, members(4, &[4], ""));
    with_observer().check(&[
        ("up 2 3 4", ""),
        ("look 1.5", "looking 1 1@1.5 to 2 3 4"),
        ("4: observing 9 3@3.5", ""),
        ("2: observing 9 3@3.5", ""), // of a voter, too
        ("3: leading 9 3@3.5", ""),
        ("2: following 9 3@3.5", "decided 3@3.5"),
    ]);
}

#[test]
fn el1_what_counts_for_nothing() {
    // 3 weighs nothing, 5 observes, 9 is no member.
    let quorum = || members(5, &[5], "group.1=1:2:3:4\nweight.3=0\n");
    for nothing in [
        "2: looking 1 -",
        "2: looking 1 9@9.9", // a stranger as the candidate
        "2: looking 1 5@9.9", // an observer
        "2: looking 1 3@9.9", // a weight of 0
        "2: looking 7 9@9.9", // its round neither
        "2: looking 7 -",
        "3: looking 1 4@9.9", // from a weight of 0
        "3: looking 7 4@9.9",
        "5: looking 1 4@9.9", // from an observer
        "9: looking 1 4@9.9", // from a stranger
        "1: looking 1 4@9.9", // from ourselves
        "2: observing 7 4@9.9",
        "2: following 7 -",
    ] {
        let mut table = Table::of(1, quorum());
        table.check(&[("up 2 3 4 5 9", ""), ("look 1.5", "looking 1 1@1.5 to 2 3 4 5 9"), (nothing, "")]);
        assert_eq!(
            (table.election.round(), table.election.proposal()),
            (1, Some(vote(1, 1, 5))),
            "{nothing}"
        );
        // The other two that count decide, and are not held up by those that do not.
        table.check(&[("2: looking 1 1@1.5", ""), ("4: looking 1 1@1.5", "decided 1@1.5")]);
    }
    // Who weighs nothing stands with nothing itself.
    Table::of(3, quorum()).check(&[("up 2", ""), ("look 9.9", "looking 1 - to 2")]);
}

#[test]
fn el1_what_was_said_before_the_link_broke_counts_no_more() {
    check(
        3,
        5,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("down 1", ""),
            ("1: looking 1 3@1.5", ""), // still on its way then
            ("2: looking 1 3@1.5", ""),
            ("at 100", ""),
            ("up 1", "looking 1 3@1.5 to 1"),
            ("1: looking 1 3@1.5", "decided 3@1.5"),
        ],
    );
}

#[test]
fn el4_without_a_vote_a_leader_is_joined_and_none_elected() {
    for observers in [&[4][..], &[]] {
        let mut table = Table::of(4, members(4, observers, "")); // an observer; an amnesiac
        table.check(&[
            ("up 1 2 3", ""),
            ("look", "looking 1 - to 1 2 3"),
            ("1: looking 5 3@1.5", ""),
            ("2: looking 5 3@1.5", ""),
            ("3: looking 5 3@1.5", ""), // they will decide: that is theirs
            ("at 100", ""),
            ("1: following 5 3@1.5", ""),
            ("2: following 5 3@1.5", ""),
            ("3: leading 5 3@1.5", "decided 3@1.5"),
        ]);
        assert_eq!(table.election.round(), 5);
        table.check(&[("settle observing 3@2.0", "observing 5 3@2.0 to 1 2 3")]);
    }
}

#[test]
fn el5_a_member_with_a_role_answers_and_stays() {
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("2: looking 1 3@1.5", "decided 3@1.5"),
            ("settle leading 3@1.5", "leading 1 3@1.5 to 1 2"),
            ("1: following 1 3@1.5", ""),
            ("2: following 1 3@1.5", ""),
            ("settle leading 3@2.0", "leading 1 3@2.0 to 1 2"), // the epoch is known
            ("settle leading 3@2.0", ""),
            ("1: looking 77 1@9.9", "leading 1 3@2.0 to 1"),
            ("1: looking 77 1@9.9", "leading 1 3@2.0 to 1"),
            ("settle leading 3@2.0", "leading 1 3@2.0 to 1"), // who looks is told again
            ("2: looking 0 -", "leading 1 3@2.0 to 2"),
            ("1: following 1 2@1.5", ""),
            ("down 1", ""),
            ("up 1", "leading 1 3@2.0 to 1"),
            ("2: following 1 3@2.0", ""),
            ("at 9000", ""), // nobody looks
        ],
    );
}

#[test]
fn el6_what_is_current_is_repeated_until_nobody_looks() {
    let mut table = Table::of(1, members(3, &[], ""));
    assert_eq!(table.election.next_due_ms(), None);
    table.check(&[("at 1000", ""), ("look 1.5", ""), ("at 1500", "")]);
    assert_eq!(table.election.next_due_ms(), None, "nobody to tell");
    table.check(&[("up 2 3", "looking 1 1@1.5 to 2 3")]);
    let mut due = Vec::new();
    for _ in 0..11 {
        let at = table.election.next_due_ms().unwrap();
        table.check(&[(&format!("at {}", at - 1), ""), (&format!("at {at}"), "looking 1 1@1.5 to 2 3")]);
        due.push(at - 1500);
    }
    assert_eq!(due[..3], [200, 600, 1_400]);
    assert_eq!(due[10] - due[9], MAX_REPEAT_MS);
    let mut now = table.now_ms;
    // What is heard again is nothing new; what is new begins anew.
    table.check(&[("2: looking 1 2@1.4", "")]);
    assert_eq!(table.election.next_due_ms(), Some(now + MIN_REPEAT_MS));
    now += 300;
    table.check(&[(&format!("at {now}"), "looking 1 1@1.5 to 2 3"), ("2: looking 1 2@1.4", "")]);
    assert_eq!(table.election.next_due_ms(), Some(now + 2 * MIN_REPEAT_MS));
    // With a role it is repeated to those that look.
    table.check(&[
        ("3: leading 1 3@1.4", ""),
        ("settle following 3@1.4", "following 1 3@1.4 to 2 3"),
        (&format!("at {}", now + 200), "following 1 3@1.4 to 2"),
        ("2: following 1 3@1.4", ""),
    ]);
    assert_eq!(table.election.next_due_ms(), None);
}

#[test]
fn between_its_decision_and_its_role_nothing_is_said_but_over_a_new_link() {
    check(
        2,
        3,
        &[
            ("up 1 3", ""),
            ("look 1.5", "looking 1 2@1.5 to 1 3"),
            ("3: leading 4 3@1.4", ""),
            ("1: following 4 3@1.4", "decided 3@1.4"),
            ("1: looking 5 1@1.6", ""),
            ("at 500", ""),
            ("up 1", "looking 4 3@1.4 to 1"),
            ("settle following 3@1.4", "following 4 3@1.4 to 1 3"),
        ],
    );
}

#[test]
fn who_looks_again_counts_those_that_look_and_asks_those_that_had_a_leader() {
    check(
        1,
        3,
        &[
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("3: leading 1 3@1.5", ""),
            ("2: following 1 3@1.5", "decided 3@1.5"),
            ("settle following 3@1.5", "following 1 3@1.5 to 2 3"),
            ("look 1.5", "looking 2 1@1.5 to 2 3"), // what 2 and 3 said may be why we look
            ("settle following 3@1.5", "following 2 3@1.5 to 2 3"),
            ("down 3", ""),
            ("2: looking 3 2@1.5", "following 2 3@1.5 to 2"),
            ("look 1.5", "looking 3 2@1.5 to 2; decided 2@1.5"), // told once, and counted
        ],
    );
}

#[test]
fn el8_no_round_overflows_and_none_is_taken_from_far_ahead() {
    let mut table = Table::of(1, members(3, &[], ""));
    table.check(&[
        ("up 2 3", ""),
        ("look 1.5", "looking 1 1@1.5 to 2 3"),
        ("2: looking 18446744073709551615 2@9.9", ""),
        ("2: looking 4294967298 2@9.9", ""), // one too many
        ("2: leading 4294967298 2@9.9", ""),
        ("3: following 4294967298 2@9.9", ""),
        ("2: looking 4294967297 2@9.9", "looking 4294967297 2@9.9 to 2 3"),
    ]);
    table.election.round = u64::MAX; // as 2^32 lies would have it
    table.check(&[
        ("look 1.5", "looking 18446744073709551615 1@1.5 to 2 3"),
        ("2: looking 18446744073709551615 2@4294967295.4294967295", {
            "looking 18446744073709551615 2@4294967295.4294967295 to 2 3"
        }),
        ("at 18446744073709551615", "decided 2@4294967295.4294967295"),
    ]);
}
