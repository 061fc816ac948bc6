//! From an epoch to the next, over the lanes of the last.

use super::*;

/// Of five voters, 2 and 3 are served by the leader of epoch 5, 4 is on its way, 8 observes; 5.1 is committed.
fn used_up() -> Bench {
    let way: Vec<_> = WAY.iter().flat_map(|(_, steps)| *steps).copied().collect();
    Bench::new(5, 4, 3, "3.7").run(&way).run(&[
        "8 connects",
        "8 info 4",
        "8 acks-epoch 3 3.7",
        "8 found 0.0 3.7",
        "8 acks-new 3.7",
        "4 connects",
        "4 info 4",
        "4 acks-epoch 3 3.5",
        "propose 5.1",
        "persisted 5.1",
        "commit 5.1",
    ])
}

#[test]
fn z11_the_next_epoch_is_led_once_a_quorum_has_it_on_disk_and_the_leader_last() {
    let mut bench = used_up();
    bench.check(&[(
        "roll-over 6 1234589",
        "2: NEWEPOCH 6 after 5.1, 3: NEWEPOCH 6 after 5.1, hang up on 4, 8: NEWEPOCH 6 after 5.1",
    )]);
    let progress = |bench: &Bench| match bench.0.progress() {
        crate::quorum_peer::Progress::Leading(reign) => reign,
        other => panic!("{other:?}"),
    };
    let reign = progress(&bench);
    assert_eq!(
        (reign.established, reign.next),
        (Some(Epoch(5)), Some(Epoch(6))),
        "it leads the last until then"
    );
    assert_eq!(reign.serving, [2, 3, 8].map(ServerId).into());
    bench.check(&[
        ("2 asks", "requests of 2"), // it goes on being served
        ("2 acks 5.1", ""),          // on its way when it was told
        ("8 acks-new 5.1", ""),      // no voter
        ("2 acks-new 5.1", "ack 2 5.1"),
        ("2 acks-new 5.1", "hang up on 2"), // once
    ]);
    assert_eq!(progress(&bench).turned, [8].map(ServerId).into());
    let mut bench = used_up().run(&["roll-over 6 1234589", "2 acks-new 5.1"]);
    assert_eq!(progress(&bench).turned, [2].map(ServerId).into());
    bench.check(&[
        ("4 connects", ""),
        ("4 info 5", ""), // it is told once the next is led
        ("entered", ""),  // nobody asked for that
        ("3 acks-new 5.1", "enter 6, ack 3 5.1"),
        ("8 acks-new 5.1", ""),
        ("entered", "establish 6, 2: COMMIT 6.0, 3: COMMIT 6.0, 8: COMMIT 6.0, 4: LEADERINFO 6"),
        ("propose 6.1", "2: 5.1 then 6.1, 3: 5.1 then 6.1"),
        ("4 acks-epoch 3 3.5", "find [3.5] for 4"),
    ]);
    assert_eq!((bench.0.established(), progress(&bench).next), (Some(Epoch(6)), None));
}

/// Its acks of the next epoch count behind its word that it has the epoch only.
#[test]
fn z11_who_is_late_is_served_on_and_counts_for_nothing_until_it_has_the_epoch() {
    let late = ["roll-over 6 1234589", "2 acks-new 5.1"];
    let mut bench = used_up().run(&late).run(&["5 connects"]);
    bench.check(&[("3 acks-new 5.1", "enter 6, ack 3 5.1")]);
    bench.step("entered");
    bench.check(&[
        ("propose 6.1", "2: 5.1 then 6.1, 3: 5.1 then 6.1"),
        ("commit 6.1", "8: 5.1 then 6.1, 2: COMMIT 6.1, 3: COMMIT 6.1, 8: COMMIT 6.1"),
        ("8 acks 6.1", ""), // breaks the order; it has no vote anyway
        ("8 asks", "requests of 8"),
        ("8 acks-new 6.1", ""),
        // It is still on its way when the next one ends.
        ("roll-over 7 1234589", "2: NEWEPOCH 7 after 6.1, 3: NEWEPOCH 7 after 6.1, 8: NEWEPOCH 7 after 6.1"),
        ("2 acks-new 6.1", "ack 2 6.1"),
        ("3 goes", ""),
        ("3 connects", ""),
        ("3 acks-new 6.1", "hang up on 3"),
    ]);
}

#[test]
fn z11_without_a_quorum_that_can_be_told_the_lead_is_given_up() {
    for (hearing, expected) in [
        ("1234589", false),
        ("123", false), // what has no word for it is synchronised anew
        ("12", true),
        ("128", true),
    ] {
        let mut bench = used_up();
        let told = bench.told(&format!("roll-over 6 {hearing}"));
        assert_eq!(told.ends_with("resign"), expected, "{hearing}: {told}");
        assert_eq!(told.contains("hang up on 8"), !hearing.contains('8'), "{hearing}: {told}");
        if expected {
            bench.check(&[("2 acks-new 5.1", ""), ("entered", "")]);
        }
    }
    Bench::new(3, 4, 3, "3.7").run(&["start"]).check(&[("roll-over 6 123", "")]); // it leads nothing
}

#[test]
#[should_panic(expected = "Z11")]
fn z11_an_epoch_ends_with_its_last_commit() {
    used_up().run(&["propose 5.2", "roll-over 6 1234589"]);
}
