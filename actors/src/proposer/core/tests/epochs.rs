//! Where epochs end for good, and what nobody asked for.

use super::*;

#[test]
fn p8_the_last_epoch_has_none_behind_it() {
    let mut bench = Bench::new(1);
    let quorum = Majority(BTreeSet::from([ServerId(1)]));
    let room = Room { admitted: 1 << 20, largest: 4 << 10 };
    let proposer = Proposer::new(ServerId(1), Epoch(u32::MAX), quorum, PrepRules::default(), room);
    bench.proposer = proposer.with_last_counter(1);
    let last = Zxid::new(Epoch(u32::MAX), 1);
    assert_eq!(bench.told("7 0#1 set /"), format!("{last:?} 7 set / v1"));
    assert_eq!(bench.told(&format!("ack 1 {last:?}")), format!("commit {last:?}, no epoch left"));
}

/// Each is an order of the shell's that nothing asked for: the core must not take it.
#[test]
fn p8_an_answer_that_was_not_asked_for_is_not_taken() {
    for answer in ["epoch 2", "refuse"] {
        let taken = std::panic::catch_unwind(|| Bench::new(1).step(answer));
        let message = *taken.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("P8"), "{answer}: {message}");
    }
}
