//! Who decides changes while learners are on their way, or served.

use super::*;

/// Observer 7 is served too.
fn observed() -> Bench {
    established().run(&["7 connects", "7 info 4", "7 acks-epoch 3 3.7", "7 found 0.0 3.7", "7 acks-new 3.7"])
}

#[test]
fn z2_mb1_who_gets_a_vote_or_loses_it_is_sent_each_txn_once_and_without_a_gap() {
    observed().check(&[
        ("propose 5.1", "2: 3.7 then 5.1"),
        ("7 acks 5.1", ""), // Z3: no voter yet
        ("commit 5.1", "7: 3.7 then 5.1, 2: COMMIT 5.1, 7: COMMIT 5.1"),
        // 7 is to have a vote, and is sent the very reconfig at once.
        ("decide 123@0 and 137@9", ""),
        ("propose 5.2 synced", "2: 5.1 then 5.2 synced, 7: 5.1 then 5.2 synced"),
        ("7 acks 5.2", "ack 7 5.2"),
        ("2 acks 5.2", "ack 2 5.2"),
        ("commit 5.2", "2: COMMIT 5.2, 7: COMMIT 5.2"),
        // 2 has none any more, and is sent what is committed.
        ("decide 137@9", ""),
        ("propose 5.3", "7: 5.2 then 5.3"),
        ("2 acks 5.2", ""),
        ("commit 5.3", "2: 5.2 then 5.3, 2: COMMIT 5.3, 7: COMMIT 5.3"),
        ("decide 137@9 and 12@10", ""),
        ("propose 5.4", "2: 5.3 then 5.4, 7: 5.3 then 5.4"),
        ("commit 5.4", "2: COMMIT 5.4, 7: COMMIT 5.4"),
        ("decide 12@10", ""),
        ("propose 5.5", "2: 5.4 then 5.5"),
        ("commit 5.5", "7: 5.4 then 5.5, 2: COMMIT 5.5, 7: COMMIT 5.5"),
    ]);
}

#[test]
fn z2_mb1_who_is_on_its_way_as_the_votes_change_misses_nothing() {
    let on_its_way = ["3 connects", "3 info 4", "3 acks-epoch 3 3.5", "3 found 0.0 3.5"];
    let observer = ["8 connects", "8 info 4", "8 acks-epoch 3 3.5", "8 found 0.0 3.5"];
    observed().run(&on_its_way).run(&observer).check(&[
        ("decide 123@0 and 128@9", ""),
        ("propose 5.1", "2: 3.7 then 5.1"),
        ("8 log-sent 3.7", "8: 3.7 then 5.1, 8: NEWLEADER 5 after 5.1"), // it is to acknowledge the reconfig
        ("commit 5.1", "7: 3.7 then 5.1, 2: COMMIT 5.1, 7: COMMIT 5.1"),
        ("decide 128@9", ""),
        ("propose 5.2", "2: 5.1 then 5.2, 8: 5.1 then 5.2"),
        ("3 log-sent 3.7", "3: 3.7 then 5.1, 3: NEWLEADER 5 after 5.1"), // what is committed
        ("commit 5.2", "3: 5.1 then 5.2, 7: 5.1 then 5.2, 2: COMMIT 5.2, 7: COMMIT 5.2"),
    ]);
}

/// Else those whose part changes would be sent a txn twice, or never.
#[test]
fn mb2_nobodys_part_changes_while_something_is_not_committed() {
    let mut bench = observed().run(&["propose 5.1"]);
    let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.step("decide 137@9")));
    let message = *decided.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("MB2"), "{message}");
}

#[test]
fn mb1_a_leader_with_a_reconfig_in_its_log_is_established_by_a_quorum_of_each() {
    let begun = || Bench::new(3, 4, 3, "3.7").run(&["decide 123@0 and 345@5", "start"]);
    begun().check(&[
        ("2 connects", ""),
        ("2 info 4", ""), // two of the old three
        ("4 connects", ""),
        ("4 info 4", ""), // and one of the new
        ("5 connects", ""),
        ("5 info 9", "accept 10"), // Z1: above what a voter of either has accepted
        ("accepted", "2: LEADERINFO 10, 4: LEADERINFO 10, 5: LEADERINFO 10"),
        ("4 acks-epoch 3 3.7", ""),
        ("5 acks-epoch 3 3.7", ""), // two of the new three, and of the old we alone
        ("2 acks-epoch 3 3.7", "enter 10"),
        ("entered", "find [3.7] for 2, find [3.7] for 4, find [3.7] for 5"),
        ("2 found 0.0 3.7", "2: DIFF, 2: NEWLEADER 10 after 3.7"),
        ("2 acks-new 3.7", ""), // two of the old
        ("4 found 0.0 3.7", "4: DIFF, 4: NEWLEADER 10 after 3.7"),
        ("4 acks-new 3.7", ""),
        ("5 found 0.0 3.7", "5: DIFF, 5: NEWLEADER 10 after 3.7"),
        ("5 acks-new 3.7", "establish 10, 2: UPTODATE 10.0, 4: UPTODATE 10.0, 5: UPTODATE 10.0, ack 5 3.7"),
    ]);
    // A voter of either that has more is to lead.
    for voter in ["2", "4"] {
        let steps = [2, 4, 5].map(|it| [format!("{it} connects"), format!("{it} info 4")]).concat();
        let steps: Vec<&str> = steps.iter().map(String::as_str).chain(["accepted"]).collect();
        assert_eq!(begun().run(&steps).told(&format!("{voter} acks-epoch 3 3.8")), "resign", "{voter}");
    }
}
