//! Z1: which epoch is proposed, when it is told, and when it is led.

use super::*;

#[test]
fn z1_an_epoch_is_above_all_that_a_quorum_of_voters_accepted_and_told_once_durable() {
    Bench::new(3, 4, 3, "3.7").check(&[
        ("start", ""), // one of three
        ("7 connects", ""),
        ("7 info 9", ""), // ZOOKEEPER-2959: an observer is none of the quorum, nor is its epoch of weight
        ("2 connects", ""),
        ("2 info 6", "accept 7"),
        ("3 connects", ""),
        ("3 info 6", ""), // not before it is durable
        ("accepted", "2: LEADERINFO 7, 3: LEADERINFO 7, hang up on 7"), // 7 follows nobody below 9
        ("accepted", ""),
        ("8 connects", ""),
        ("8 info 0", "8: LEADERINFO 7"),
    ]);
    // One that is connected and has said nothing does not count; one that is gone neither.
    Bench::new(5, 4, 3, "3.7").run(&["start", "2 connects", "3 connects", "4 connects"]).check(&[
        ("2 info 4", ""),
        ("2 goes", ""),
        ("3 info 4", ""),
        ("4 info 4", "accept 5"),
    ]);
}

#[test]
fn z1_an_epoch_is_above_each_that_is_known() {
    for (accepted, current, last, others, expected) in [
        (4, 3, "3.7", 2, "accept 5"),      // ours
        (4, 3, "3.7", 4, "accept 5"),      // both
        (4, 3, "3.7", 6, "accept 7"),      // the other's
        (2, 5, "3.7", 2, "accept 6"),      // our current epoch: the file of the accepted one was lost
        (2, 2, "8.1", 2, "accept 9"),      // ZOOKEEPER-582: what the log has
        (0, 0, "0.0", 0, "accept 1"),      // a new ensemble
        (4, 3, "3.7", u32::MAX, "resign"), // there is none above
    ] {
        let mut bench = Bench::new(3, accepted, current, last).run(&["start", "2 connects"]);
        assert_eq!(
            bench.told(&format!("2 info {others}")),
            expected,
            "{accepted}, {current}, {last}, {others}"
        );
    }
}

#[test]
fn z1_an_epoch_is_led_once_a_quorum_of_voters_has_acknowledged_it() {
    let all_told = ["2 connects", "3 connects", "7 connects", "2 info 4", "3 info 4", "7 info 4", "accepted"];
    Bench::new(3, 4, 3, "3.7").run(&all_told).check(&[
        ("2 acks-epoch-again 3 3.7", ""), // it accepted 5 before, perhaps from another leader
        ("7 acks-epoch 3 3.7", ""),       // no voter
        ("entered", ""),                  // nothing of the sort was asked
        ("3 acks-epoch 3 3.7", "enter 5"),
        ("entered", "find [3.7] for 2, find [3.7] for 3, find [3.7] for 7"), // they all may follow
    ]);
    // One that is gone has not acknowledged.
    Bench::new(5, 4, 3, "3.7").run(&["4 connects", "4 info 4"]).run(&all_told).check(&[
        ("2 acks-epoch 3 3.7", ""),
        ("2 goes", ""),
        ("3 acks-epoch 3 3.7", ""),
        ("4 acks-epoch 3 3.7", "enter 5"),
    ]);
    // A server alone is its own quorum.
    Bench::new(1, 4, 3, "3.7").check(&[
        ("start", "accept 5"),
        ("accepted", "enter 5"),
        ("entered", "establish 5"),
        ("persisted 5.1", "ack 1 5.1"),
    ]);
}

#[test]
fn z8_who_had_no_vote_completes_no_quorum_and_is_counted_once_it_has_acknowledged_newleader() {
    Bench::new(3, 4, 3, "3.7").run(&["start", "2 connects"]).check(&[
        ("2 empty-info 0", ""),
        ("3 connects", ""),
        ("3 info 4", "accept 5"),
        ("accepted", "2: LEADERINFO 5, 3: LEADERINFO 5"),
        ("2 acks-epoch 0 0.0", ""),
        ("3 acks-epoch 3 3.7", "enter 5"),
    ]);
    // It may claim what it likes.
    Bench::new(3, 4, 3, "3.7").run(&["start", "3 connects", "3 info 4", "accepted", "2 connects"]).check(&[
        ("2 empty-info 0", "2: LEADERINFO 5"),
        ("2 acks-epoch 4 4.9", ""),
        ("3 acks-epoch 3 3.7", "enter 5"),
    ]);
    // It has all that we have then.
    Bench::new(3, 4, 3, "3.7")
        .run(&["start", "2 connects", "2 empty-info 0", "3 connects", "3 info 4", "accepted"])
        .run(&["2 acks-epoch 0 0.0", "3 acks-epoch 3 3.7", "3 goes", "entered", "2 found 0.0 0.0"])
        .run(&["2 log-sent 3.7"])
        .check(&[("2 acks-new 3.7", "establish 5, 2: UPTODATE 5.0, ack 2 3.7")]);
}

#[test]
fn z1_who_has_more_ends_the_reign_unless_it_comes_after_the_quorum() {
    let told =
        ["start", "2 connects", "2 info 4", "accepted", "3 connects", "3 info 4", "7 connects", "7 info 4"];
    for (ack, expected) in [
        ("2 acks-epoch 3 3.7", "enter 5"), // as much
        ("2 acks-epoch 2 3.7", "enter 5"), // less
        ("2 acks-epoch 3 3.6", "enter 5"),
        ("2 acks-epoch 2 3.9", "enter 5"), // more txns, but of a leader before ours: never committed
        ("2 acks-epoch 3 3.8", "resign"),  // a quorum may have had 3.8
        ("2 acks-epoch 3 3.6+3.7-3.8", "resign"),
        ("2 acks-epoch 4 3.6", "resign"), // a quorum followed 4 beyond what we have
        ("2 acks-epoch-again 4 3.6", "resign"), // it counts for nothing, but may be elected
        ("7 acks-epoch 4 3.9", ""),       // it may not, and is one of no quorum
    ] {
        assert_eq!(Bench::new(3, 4, 3, "3.7").run(&told).told(ack), expected, "{ack}");
    }
    // A quorum is there that has less than we: what only the late one has is not committed.
    for ack in ["3 acks-epoch 3 3.7+3.8-3.8", "3 acks-epoch-again 4 3.7+4.1-4.2"] {
        let mut bench = Bench::new(3, 4, 3, "3.7").run(&told).run(&["2 acks-epoch 3 3.7"]);
        assert_eq!(bench.told(ack), "", "on its way to the disk: {ack}");
        assert!(bench.told("entered").ends_with("for 3"), "{ack}");
        assert_eq!(bench.told("3 found 0.0 3.7 3.7"), "3: TRUNC 3.7, 3: NEWLEADER 5 after 3.7");
        let mut bench = Bench::new(3, 4, 3, "3.7").run(&told).run(&["2 acks-epoch 3 3.7", "entered"]);
        assert!(bench.told(ack).starts_with("find"), "{ack}");
    }
}

/// A voter that follows nobody below its epoch would be left out for ever; an observer waits.
#[test]
fn z1_a_voter_that_accepted_a_higher_epoch_ends_the_reign() {
    for stage in ["told", "acknowledged", "finding", "joined", "synchronised", "serving"] {
        for (input, expected) in [
            ("4 info 5", "4: LEADERINFO 5"), // ours: it may have been with us before
            ("4 info 6", "resign"),
            ("7 info 5", "7: LEADERINFO 5"),
            ("7 info 6", "hang up on 7"),
        ] {
            let mut bench = at(stage).run(&["4 connects", "7 connects"]);
            assert_eq!(bench.told(input), expected, "{input} when {stage}");
        }
    }
    // Whatever is on its way to the disk comes too late: nothing is decided any more.
    let told = ["start", "2 connects", "2 info 4", "accepted", "2 acks-epoch 3 3.7", "3 connects"];
    Bench::new(3, 4, 3, "3.7").run(&told).check(&[
        ("3 info 6", "resign"),
        ("entered", ""),
        ("2 acks-new 3.7", ""),
    ]);
    // Before ours is told: it is hung up on, and says so again when it comes back.
    Bench::new(3, 4, 3, "3.7").run(&["start", "2 connects", "2 info 4", "3 connects"]).check(&[
        ("3 info 6", ""),
        ("accepted", "2: LEADERINFO 5, hang up on 3"),
        ("3 connects", ""),
        ("3 info 6", "resign"),
    ]);
}
