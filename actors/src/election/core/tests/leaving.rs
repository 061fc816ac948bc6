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
