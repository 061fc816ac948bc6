//! Feature levels: who is let in, and when a level is raised.

use super::*;
use crate::proposer::leadership::levels::InTheWay;

/// Member 1 leads epoch 5 of three voters; 2 follows, and reads level 1.
fn led() -> Bench {
    Bench::new(3, 4, 4, "4.3").run(&[
        "start",
        "2 connects",
        "2 info 4",
        "accepted",
        "2 acks-epoch 4 4.3",
        "entered",
        "2 found 0.0 4.3",
        "2 acks-new 4.3",
    ])
}

fn in_the_way(bench: &Bench, level: u8) -> String {
    let told = bench.0.in_the_way(level, (1..=4).map(ServerId));
    told.iter().map(InTheWay::to_string).collect::<Vec<_>>().join(", ")
}

/// Whoever is away may be of any build.
#[test]
fn fl4_everybody_must_be_there_and_read_the_level_voter_or_not() {
    let mut bench = led();
    assert_eq!(in_the_way(&bench, 1), "server 3 is away, server 4 is away");
    bench = bench.run(&["3 connects 0", "4 connects"]);
    assert_eq!(in_the_way(&bench, 1), "server 3 reads feature level 0 at most");
    assert_eq!(in_the_way(&bench, 0), "", "what all read that are there");
    bench = bench.run(&["3 goes", "3 connects"]);
    assert_eq!(in_the_way(&bench, 1), "", "it is upgraded, on its way or not");
    bench = bench.run(&["9 connects 0"]);
    assert_eq!(in_the_way(&bench, 1), "server 9 reads feature level 0 at most", "whoever would be sent it");
    bench = bench.run(&["9 goes", "4 goes"]);
    assert_eq!(in_the_way(&bench, 1), "server 4 is away");
    let above =
        "server 2 reads feature level 1 at most, server 3 reads feature level 1 at most, server 4 is away";
    assert_eq!(in_the_way(&bench, 2), above);
}

#[test]
#[should_panic(expected = "FL4: the feature level rises to 1, which Some(ServerId(3)) cannot read")]
fn fl4_a_level_that_a_learner_cannot_read_is_not_begun() {
    led().run(&["3 connects 0", "level 1"]);
}

#[test]
#[should_panic(expected = "FL2: the feature level falls from 1 to 0")]
fn fl2_the_level_does_not_fall_in_a_reign() {
    led().run(&["level 1", "level 0"]);
}

/// Not one packet goes to it, and a later build under the same id is let in.
#[test]
fn fl3_from_the_numbering_on_nobody_joins_who_cannot_read_the_level() {
    let mut bench = led();
    bench.check(&[
        ("3 connects 0", ""),
        ("3 info 4", "3: LEADERINFO 5"), // before: all builds do
        ("3 goes", ""),
        ("level 1", ""),
        ("propose 5.1", "2: 4.3 then 5.1"), // it may never be committed, and is sent all the same
        ("3 connects 0", ""),
        ("3 info 5", "hang up on 3"),
        ("3 connects", ""),
        ("3 info 5", "3: LEADERINFO 5"),
    ]);
    assert_eq!(bench.0.level(), 1);
}

/// What our log may bring is not committed, and counts all the same: a learner would be sent it.
#[test]
fn fl3_a_learner_that_cannot_read_our_log_counts_in_no_discovery() {
    let mut bench = Bench::new(3, 4, 4, "4.3");
    bench.0 = bench.0.at_level(1);
    bench.check(&[
        ("start", ""),
        ("2 connects 0", ""),
        ("2 info 9", "hang up on 2"), // else ours would be above 9, or we resign
        ("3 connects", ""),
        ("3 info 4", "accept 5"),
    ]);
}
