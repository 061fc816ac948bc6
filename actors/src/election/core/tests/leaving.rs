//! Roles that end: what is said between them and the next search.

use super::*;

#[test]
fn el10_whose_role_has_ended_tells_of_no_leader_until_it_looks() {
    check(
        1,
        3,
        &[
            ("leave", ""), // nothing was said yet
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("2: looking 1 1@1.5", ""),
            ("3: looking 1 1@1.5", "decided 1@1.5"),
            ("settle leading 1@2.0", "leading 1 1@2.0 to 2 3"),
            ("leave", "observing 1 - to 2 3"),
            ("leave", ""),
            // What the log still has it stands with later.
            ("2: looking 2 2@1.5", "observing 1 - to 2"),
            ("3: looking 2 2@1.5", "observing 1 - to 3"),
            ("3: observing 1 -", ""), // its role has ended, too: they do not answer each other for ever
            ("3: looking 2 2@1.5", "observing 1 - to 3"),
            ("at 200", "observing 1 - to 2 3"),
            ("2: leading 2 2@3.0", ""),
            ("3: following 2 2@3.0", ""), // a leader, which it does not join yet
            ("look 2.0", "looking 2 1@2.0 to 2 3"),
            ("2: leading 2 2@3.0", ""),
            ("3: following 2 2@3.0", "decided 2@3.0"),
            ("settle following 2@3.0", "following 2 2@3.0 to 2 3"),
        ],
    );
}

/// Two of three lose their leader, whose log takes long to finish. On its old word they would go back to it.
#[test]
fn el10_a_leader_that_leaves_is_not_joined_again() {
    let begins = [
        ("up 1 2", ""),
        ("look 1.5", "looking 1 3@1.5 to 1 2"),
        ("1: leading 1 1@2.0", ""),
        ("2: following 1 1@2.0", "decided 1@2.0"),
        ("settle following 1@2.0", "following 1 1@2.0 to 1 2"),
        ("leave", "observing 1 - to 1 2"),
        ("look 2.0", "looking 2 3@2.0 to 1 2"),
        ("2: following 1 1@2.0", ""), // it has not noticed yet
    ];
    check(3, 3, &[&begins[..], &[("1: leading 1 1@2.0", "decided 1@2.0")]].concat());
    let leaves = [("1: observing 1 -", ""), ("2: looking 2 3@2.0", ""), ("at 20", "decided 3@2.0")];
    check(3, 3, &[&begins[..], &leaves].concat());
    // One whose process ends is not even waited for.
    let ends = [("1: looking 1 -", ""), ("2: looking 2 3@2.0", "decided 3@2.0")];
    check(3, 3, &[&begins[..], &ends].concat());
}

#[test]
fn el10_whose_process_ends_has_no_leader_and_no_vote_to_wait_for() {
    check(
        1,
        3,
        &[
            ("leave for good", ""), // nothing was said yet
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("leave for good", "looking 1 - to 2 3"), // before it found one
            ("2: looking 1 2@1.5", "looking 1 - to 2"),
            ("3: looking 1 2@1.5", "looking 1 - to 3"), // a quorum, but it decides nothing
            ("3: looking 1 -", ""), // another that ends: they do not answer each other for ever
            ("2: leading 1 2@2.0", ""),
            ("3: following 1 2@2.0", ""),
            ("at 900", ""),
        ],
    );
}

/// Two of three whose leader leaves: the other has the same log and a greater id.
#[test]
fn el11_whom_the_last_leader_names_wins_among_those_with_as_much_history_and_no_others() {
    let begins = [
        ("up 1 3", ""),
        ("look 1.5", "looking 1 2@1.5 to 1 3"),
        ("1: leading 1 1@2.0", ""),
        ("3: following 1 1@2.0", "decided 1@2.0"),
        ("settle following 1@2.0", "following 1 1@2.0 to 1 3"),
    ];
    let with = |steps: &[(&'static str, &'static str)]| check(2, 3, &[&begins[..], steps].concat());
    // Named before it looks.
    with(&[
        ("1: observing 1 2@0.0", ""),
        ("leave", "observing 1 - to 1 3"),
        ("look 2.0", "looking 2 2@2.0 to 1 3"),
        ("3: looking 2 3@2.0", ""),
        ("3: looking 2 2@2.0", ""), // it has heard of it, too; the last leader is waited for, but not for long
        ("at 20", "decided 2@2.0"),
    ]);
    // Named when it has turned to the other already: that was in a round of before.
    with(&[
        ("leave", "observing 1 - to 1 3"),
        ("look 2.0", "looking 2 2@2.0 to 1 3"),
        ("3: looking 2 3@2.0", "looking 2 3@2.0 to 1 3"),
        ("1: observing 1 2@0.0", "looking 3 2@2.0 to 1 3"),
        ("3: looking 3 2@2.0", ""),
        ("1: looking 3 2@2.0", "decided 2@2.0"),
    ]);
    // More history wins.
    with(&[
        ("1: observing 1 2@0.0", ""),
        ("leave", "observing 1 - to 1 3"),
        ("look 2.0", "looking 2 2@2.0 to 1 3"),
        ("3: looking 2 3@2.1", "looking 2 3@2.1 to 1 3"),
        ("at 20", "decided 3@2.1"),
    ]);
    // Of others than the last leader it means nothing; nor does it in the search after the next.
    with(&[
        ("3: observing 1 2@0.0", ""),
        ("leave", "observing 1 - to 1 3"),
        ("look 2.0", "looking 2 2@2.0 to 1 3"),
        ("3: looking 2 3@2.0", "looking 2 3@2.0 to 1 3"),
    ]);
    with(&[
        ("1: observing 1 2@0.0", ""),
        ("leave", "observing 1 - to 1 3"),
        ("look 2.0", "looking 2 2@2.0 to 1 3"),
        ("3: leading 2 3@2.0", ""),
        ("1: following 2 3@2.0", "decided 3@2.0"),
        ("settle following 3@2.0", "following 2 3@2.0 to 1 3"),
        ("leave", "observing 2 - to 1 3"),
        ("look 2.0", "looking 3 2@2.0 to 1 3"),
        ("3: looking 3 3@2.0", "looking 3 3@2.0 to 1 3"),
    ]);
}

#[test]
fn el11_a_leader_names_its_heir_as_it_leaves_and_votes_for_it() {
    check(
        3,
        3,
        &[
            ("up 1 2", ""),
            ("look 1.5", "looking 1 3@1.5 to 1 2"),
            ("1: looking 1 3@1.5", ""),
            ("2: looking 1 3@1.5", "decided 3@1.5"),
            ("settle leading 3@2.0", "leading 1 3@2.0 to 1 2"),
            ("leave to 1", "observing 1 1@0.0 to 1 2"),
            ("look 2.0", "looking 2 3@2.0 to 1 2"), // as long as nobody has heard of the heir
            ("2: looking 2 2@2.0", ""),
            ("1: looking 2 1@2.0", "looking 2 1@2.0 to 1 2"),
            ("2: looking 2 1@2.0", "decided 1@2.0"),
        ],
    );
}

/// Whose process ends is heard of once more, and then not waited for.
#[test]
fn el11_q7_a_leader_whose_process_ends_names_its_heir_first() {
    let begins = [
        ("up 1 2", ""),
        ("look 1.5", "looking 1 3@1.5 to 1 2"),
        ("1: looking 1 3@1.5", ""),
        ("2: looking 1 3@1.5", "decided 3@1.5"),
        ("settle leading 3@2.0", "leading 1 3@2.0 to 1 2"),
    ];
    let ends = [
        ("leave for good to 1", "observing 1 1@0.0 to 1 2; looking 1 - to 1 2"),
        ("2: looking 2 2@2.0", "looking 1 - to 2"),
    ];
    check(3, 3, &[&begins[..], &ends].concat());
    check(3, 3, &[&begins[..], &[("leave for good", "looking 1 - to 1 2")]].concat());
    // Server 1, of the lesser id, once it has heard both.
    check(
        1,
        3,
        &[
            ("up 2 3", ""),
            ("look 1.5", "looking 1 1@1.5 to 2 3"),
            ("3: leading 1 3@2.0", ""),
            ("2: following 1 3@2.0", "decided 3@2.0"),
            ("settle following 3@2.0", "following 1 3@2.0 to 2 3"),
            ("3: observing 1 1@0.0", ""),
            ("3: looking 1 -", "following 1 3@2.0 to 3"),
            ("leave", "observing 1 - to 2 3"),
            ("look 2.0", "looking 2 1@2.0 to 2 3"),
            ("2: looking 2 1@2.0", "decided 1@2.0"), // it has heard of it, too
        ],
    );
}
