//! Z2 to Z4: what a learner is sent until it serves, and from when on it counts.

use super::*;

impl Bench {
    /// A learner with this log knocks.
    fn knock(self, learner: u64, tail: &str) -> Self {
        let ack = format!("{learner} acks-epoch 3 {tail}");
        self.run(&[&format!("{learner} connects"), &format!("{learner} info 4"), &ack])
    }
}

#[test]
fn z2_what_a_learner_is_sent_depends_on_the_last_txn_that_both_have() {
    for (tail, found, expected) in [
        ("3.7", "0.0 3.7", "3: DIFF, 3: NEWLEADER 5 after 3.7"),
        ("3.5", "0.0 3.5", "3: DIFF, 3: log 3.5 to 3.7"),
        ("3.5+3.6-3.9", "0.0 3.7 3.5", "3: TRUNC 3.7, 3: NEWLEADER 5 after 3.7"),
        ("3.4+4.1-4.2", "0.0 3.7 3.4", "3: TRUNC 3.4, 3: log 3.4 to 3.7"),
        ("3.4", "3.5 3.5", "3: snapshot"), // our log begins later
        ("3.5", "3.5 3.5", "3: DIFF, 3: log 3.5 to 3.7"),
        ("3.9", "0.0 3.7", "hang up on 3"), // it knows 3.9 to be committed: not here
    ] {
        assert_eq!(established().knock(3, tail).told(&format!("3 found {found}")), expected, "{tail}");
    }
    established().knock(3, "3.4").run(&["3 found 3.5 3.5"]).check(&[
        ("3 snap-sent 3.6", "3: log 3.6 to 3.7"),
        ("3 log-sent 3.7", "3: NEWLEADER 5 after 3.7"),
        ("3 log-sent 3.7", ""), // once
    ]);
    established()
        .knock(3, "3.4")
        .run(&["3 found 3.5 3.5"])
        .check(&[("3 snap-sent 3.7", "3: NEWLEADER 5 after 3.7")]);
}

/// An older copy of its disk was put back.
#[test]
fn who_comes_back_with_less_than_it_acknowledged_is_told_and_sent_what_it_lacks() {
    let serves =
        || established().knock(3, "3.7").run(&["3 found 0.0 3.7", "3 acks-new 3.7", "3 acks 5.2", "3 goes"]);
    let back = |info: &str, ack: &str| serves().run(&["3 connects", info]).told(ack);
    let told = back("3 info 4", "3 acks-epoch 3 3.5");
    assert!(told.starts_with("3 forgot 0x500000002, has 0x300000005, find "), "{told}");
    // It has all of it; and one whose disk is empty knows that itself.
    for (info, ack) in [("3 info 5", "3 acks-epoch 5 3.7+5.1-5.2"), ("3 empty-info 0", "3 acks-epoch 0 0.0")]
    {
        let told = back(info, ack);
        assert!(told.starts_with("find "), "{ack}: {told}");
    }
}

#[test]
fn z10_who_lacks_more_of_the_log_than_a_snapshots_share_is_sent_that_once() {
    for (tail, found, expected) in [
        ("3.5", "0.0 3.5:300", "3: DIFF, 3: log 3.5 to 3.7"), // three tenths of it
        ("3.5", "0.0 3.5:400", "3: snapshot"),
        ("3.4+4.1-4.2", "0.0 3.7 3.4:400", "3: snapshot"), // TRUNC after 3.4 otherwise
        ("3.4+3.5-3.9", "0.0 3.7 3.4:400", "3: TRUNC 3.7, 3: NEWLEADER 5 after 3.7"), // it has more than that
        ("3.9", "0.0 3.7:400", "hang up on 3"),
    ] {
        let mut bench = small_shares(established().knock(3, tail));
        assert_eq!(bench.told(&format!("3 found {found}")), expected, "{tail} {found}");
    }
    // It came to nothing: the log brings it there, if slowly.
    let again = |bench: Bench| bench.knock(3, "3.5").told("3 found 0.0 3.5:400");
    let sent = || small_shares(established()).knock(3, "3.5").run(&["3 found 0.0 3.5:400"]);
    assert_eq!(again(sent().run(&["3 goes"])), "3: DIFF, 3: log 3.5 to 3.7");
    let there = sent().run(&["3 snap-sent 3.6", "3 log-sent 3.7", "3 acks-new 3.7", "3 goes"]);
    assert_eq!(again(there), "3: snapshot", "it came to something");
}

#[test]
fn dg4_who_asks_for_a_tree_is_sent_the_newest_snapshot_whatever_its_log_lacks() {
    let asks = |tail: &str, ours: &str| {
        let ack = format!("3 acks-epoch 3 {tail}");
        let mut bench = established().run(&["3 connects", "3 differs-info 4", &ack]);
        bench.told(&format!("3 found {ours}"))
    };
    assert_eq!(asks("3.7", "0.0 3.7"), "3: snapshot", "it lacks nothing");
    assert_eq!(asks("3.4+4.1-4.2", "0.0 3.7 3.4"), "3: snapshot");
    assert_eq!(asks("3.9", "0.0 3.7"), "hang up on 3", "another history");
    // It asks by each lane anew.
    let again = established().run(&["3 connects", "3 differs-info 4", "3 goes"]);
    assert_eq!(again.knock(3, "3.7").told("3 found 0.0 3.7"), "3: DIFF, 3: NEWLEADER 5 after 3.7");
}

/// So that a kilobyte is much.
fn small_shares(Bench(lead): Bench) -> Bench {
    Bench(lead.sparing(Spares { least_bytes: 100, ..Spares::default() }))
}

#[test]
fn z10_what_is_known_to_be_committed_is_told_with_the_log() {
    let way = ["start", "2 connects", "2 info 4", "accepted", "2 acks-epoch 3 3.5", "entered"];
    for (known, expected) in [("3.2", "3.2"), ("3.6", "3.6"), ("3.9", "3.7")] {
        let Bench(lead) = Bench::new(3, 4, 3, "3.7");
        let mut bench = Bench(lead.knowing(z(known))).run(&way);
        let out = bench.step("2 found 0.0 3.5");
        let span = Span { after: z("3.5"), upto: z("3.7"), committed: z(expected) };
        assert_eq!(out[1], Output::SendLog(ServerId(2), span), "{known} when it was elected");
    }
    let mut bench = established().knock(3, "3.5");
    let span = Span { after: z("3.5"), upto: z("3.7"), committed: z("5.0") };
    assert_eq!(
        bench.step("3 found 0.0 3.5")[1],
        Output::SendLog(ServerId(3), span),
        "all of it, once it leads"
    );
}

/// ZOOKEEPER-3104, 4394, 2418: not before all sync data, nor with a hole where the log ends and memory begins.
#[test]
fn z2_newleader_stands_behind_all_that_is_proposed_meanwhile() {
    established().knock(3, "3.5").check(&[
        ("propose 5.1", "2: 3.7 then 5.1"), // 3 is not in the broadcast
        ("3 found 0.0 3.5", "3: DIFF, 3: log 3.5 to 3.7"), // 5.1 is not on our disk
        ("propose 5.2 synced 5.3", "2: 5.1 then 5.2 synced 5.3"),
        ("persisted 5.2", "ack 1 5.2"),
        // What is no txn was an answer to somebody else.
        ("3 log-sent 3.7", "3: 3.7 then 5.1, 3: 5.1 then 5.2 5.3, 3: NEWLEADER 5 after 5.3"),
        ("propose 5.4", "2: 5.3 then 5.4, 3: 5.3 then 5.4"), // before its ACK: never lost
        ("commit 5.1", "2: COMMIT 5.1"),                     // UPTODATE will tell
        ("3 acks-new 5.4", "3: UPTODATE 5.1, ack 3 5.4"),
        ("commit 5.4", "2: COMMIT 5.4, 3: COMMIT 5.4"),
        ("3 turned-away", "3: turned away"),
    ]);
    // Part of what it lacks is in memory: that is not sent twice.
    established().run(&["propose 5.1 5.2", "propose 5.3"]).knock(3, "3.7+5.1-5.1").check(&[
        ("3 turned-away", ""),
        ("3 found 0.0 3.7 3.7", "3: DIFF, 3: 5.1 then 5.2, 3: 5.2 then 5.3, 3: NEWLEADER 5 after 5.3"),
    ]);
}

#[test]
fn z2_what_memory_has_forgotten_meanwhile_comes_from_the_log() {
    let mut bench = established().knock(3, "3.5").run(&["3 found 0.0 3.5"]);
    for counter in 1..=700 {
        bench.step(&format!("propose 5.{counter}"));
    }
    let bench = &mut bench.run(&["persisted 5.650", "commit 5.600"]);
    assert_eq!(bench.told("3 log-sent 3.7"), "3: log 3.7 to 5.650");
    let rest = bench.step("3 log-sent 5.650");
    assert_eq!(rest.len(), 51, "one for each txn, then NEWLEADER");
    assert_eq!(told(&rest[0]), "3: 5.650 then 5.651");
    assert_eq!(told(&rest[50]), "3: NEWLEADER 5 after 5.700");
}

#[test]
fn z2_uptodate_comes_behind_a_quorums_ack_of_newleader() {
    let told = ["2 connects", "2 info 4", "3 connects", "3 info 4", "7 connects", "7 info 4", "accepted"];
    let entered = ["2 acks-epoch 3 3.7", "3 acks-epoch 3 3.7", "7 acks-epoch 3 3.7", "entered"];
    let joined = ["2 found 0.0 3.7", "3 found 0.0 3.7", "7 found 0.0 3.7"];
    Bench::new(5, 4, 3, "3.7").run(&["4 connects", "4 info 4"]).run(&told).run(&entered).run(&joined).check(
        &[
            ("2 acks-new 3.7", ""),
            ("7 acks-new 3.7", ""), // no voter
            ("2 acks 3.7", ""),     // nothing is proposed yet, so nothing can be committed
            ("persisted 3.7", ""),
            ("2 goes", ""), // it is not synchronised any more
            ("3 acks-new 3.7", ""),
            ("2 connects", ""),
            ("2 info 5", "2: LEADERINFO 5"),
            ("2 acks-epoch-again 5 3.7", "find [3.7] for 2"),
            ("2 found 0.0 3.7", "2: DIFF, 2: NEWLEADER 5 after 3.7"),
            ("4 acks-epoch-again 3 3.7", "find [3.7] for 4"), // it takes its time, and gets no UPTODATE yet
            ("4 found 0.0 3.7", "4: DIFF, 4: NEWLEADER 5 after 3.7"),
            // The third of five; what the log holds is committed.
            ("2 acks-new 3.7", "establish 5, 2: UPTODATE 5.0, 3: UPTODATE 5.0, 7: UPTODATE 5.0, ack 2 3.7"),
            ("4 acks-new 3.7", "4: UPTODATE 5.0, ack 4 3.7"),
        ],
    );
}

#[test]
fn z2_z3_observers_get_what_is_committed_and_nothing_else() {
    established().run(&["propose 5.1 5.2", "propose 5.3", "commit 5.1"]).knock(7, "3.7").check(&[
        ("7 found 0.0 3.7", "7: DIFF, 7: 3.7 then 5.1, 7: NEWLEADER 5 after 5.1"),
        ("propose 5.4 synced", "2: 5.3 then 5.4 synced"),
        ("commit 5.2", "7: 5.1 then 5.2, 2: COMMIT 5.2"),
        ("7 acks-new 5.2", "7: UPTODATE 5.2"),
        ("7 acks 5.2", ""), // Z3: it has no vote
        ("commit 5.4", "7: 5.2 then 5.3, 7: 5.3 then 5.4 synced, 2: COMMIT 5.4, 7: COMMIT 5.4"),
        ("propose synced", "2: 5.4 then synced, 7: 5.4 then synced"), // it stands behind nothing
        ("7 asks", "requests of 7"),
    ]);
    // Through the log, too: what is durable there need not be committed.
    established().knock(7, "3.5").run(&["propose 5.1 5.2", "persisted 5.2"]).check(&[
        ("7 found 0.0 3.5", "7: DIFF, 7: log 3.5 to 3.7"),
        ("7 log-sent 3.7", "7: NEWLEADER 5 after 3.7"),
    ]);
}

#[test]
fn z3_acks_count_of_voters_that_have_acknowledged_newleader() {
    established().run(&["propose 5.1"]).knock(3, "3.7").check(&[
        ("2 acks 5.1", "ack 2 5.1"),
        ("persisted 5.1", "ack 1 5.1"),
        ("3 found 0.0 3.7", "3: DIFF, 3: 3.7 then 5.1, 3: NEWLEADER 5 after 5.1"),
        ("3 acks 5.1", "hang up on 3"), // behind data, but its epoch is not durable
        ("3 connects", ""),
        ("3 acks 5.1", "hang up on 3"),
    ]);
    established().run(&["propose 5.1"]).knock(3, "3.7").run(&["3 found 0.0 3.7"]).check(&[
        ("3 acks-new 5.1", "3: UPTODATE 5.0, ack 3 5.1"), // what is durable with it counts
        ("3 acks-new 5.1", "hang up on 3"),
    ]);
}

/// Our own disk may be the slowest of all: the others' are a quorum without it.
#[test]
fn z4_a_learner_ahead_of_our_disk_keeps_what_we_proposed() {
    for (tail, found, expected) in [
        ("3.7+5.1-5.3", "0.0 3.7 3.7", "3: DIFF, 3: NEWLEADER 5 after 5.3"),
        ("5.1+5.2-5.2", "0.0 3.7 3.7", "3: DIFF, 3: 5.2 then 5.3, 3: NEWLEADER 5 after 5.3"),
        ("5.2", "0.0 3.7", "3: DIFF, 3: 5.2 then 5.3, 3: NEWLEADER 5 after 5.3"), // committed without our disk
        ("3.7+5.1-5.9", "0.0 3.7 3.7", "3: TRUNC 5.3, 3: NEWLEADER 5 after 5.3"), // who knows from whom
        ("5.9", "0.0 3.7", "hang up on 3"),
        (
            "3.6+3.7-3.9+4.1-4.3",
            "0.0 3.7 3.7 3.6",
            "3: TRUNC 3.7, 3: 3.7 then 5.1, 3: 5.1 then 5.2 5.3, 3: NEWLEADER 5 after 5.3",
        ),
    ] {
        let mut bench = established().run(&["propose 5.1", "propose 5.2 5.3"]).knock(3, tail);
        assert_eq!(bench.told(&format!("3 found {found}")), expected, "{tail}");
    }
    // Before anything is proposed, nobody has anything of our epoch.
    assert_eq!(
        established().knock(3, "3.7+5.1-5.1").told("3 found 0.0 3.7 3.7"),
        "3: TRUNC 3.7, 3: NEWLEADER 5 after 3.7"
    );
}
