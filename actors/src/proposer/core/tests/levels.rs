//! The feature level, as it is numbered.

use super::*;

#[test]
fn fl1_fl2_a_level_is_numbered_once_in_its_place_and_never_a_lower_one() {
    let mut bench = Bench::new(3);
    assert_eq!(bench.proposer.level(), 0);
    for (input, expected) in [
        ("level 0", ""), // it is
        ("7 0#1 set /", "1.1 7 set / v1"),
        ("level 2", "from level 2 on, 1.2 0 level 2"),
        ("level 2", ""),
        ("level 1", ""),
        ("7 0#1 set /", "1.3 7 set / v2"),
        ("level 3", "from level 3 on, 1.4 0 level 3"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
    assert_eq!(bench.proposer.level(), 3, "as numbered, committed or not");
}

/// Whoever asks is told so, and asks again: nothing waits for it.
#[test]
fn p6_p15_no_level_is_numbered_where_nothing_is() {
    let mut bench = Bench::new(1);
    bench.step("disk full");
    assert_eq!(bench.told("level 1"), "");
    bench.step("disk enough");
    bench.proposer.finish(None);
    assert_eq!((bench.told("level 1"), bench.proposer.level()), (String::new(), 0));
    let mut bench = Bench::new(1);
    bench.proposer = bench.proposer.with_last_counter(1);
    bench.step("7 0#1 set /");
    assert_eq!(bench.told("level 1"), "", "the epoch has no zxid left");
    bench.step("ack 1 1.1");
    bench.step("epoch 2");
    assert_eq!(bench.told("level 1"), "from level 1 on, 2.1 0 level 1");
}

#[test]
fn fl2_the_level_outlasts_an_epoch_and_a_history_brings_its_own() {
    let mut bench = Bench::new(1);
    bench.proposer = bench.proposer.with_last_counter(1);
    bench.step("level 1");
    bench.step("ack 1 1.1");
    bench.step("epoch 2");
    assert_eq!((bench.told("level 1"), bench.proposer.level()), (String::new(), 1));
    let mut bench = Bench::new(1);
    bench.proposer = bench.proposer.with_level(2);
    assert_eq!(bench.told("level 2"), "", "the log has it already");
}

#[test]
#[should_panic(expected = "FL1: FeatureLevel { level: 1 }")]
fn fl1_what_needs_a_level_is_not_numbered_before_it() {
    let (zxid, body) = (Zxid::new(Epoch(1), 1), TxnBody::FeatureLevel { level: 1 });
    Bench::new(1).proposer.server_txn(SessionId::NONE, zxid, NOW, body);
}
