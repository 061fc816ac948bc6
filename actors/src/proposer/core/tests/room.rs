use super::*;

/// With room for two writes of some 1,800 bytes, overhead included, and a request of up to 1,000; behind one
/// write, for a few proposals that are not logged.
pub(super) fn small() -> Bench {
    let overhead = crate::storage::ADMITTED_OVERHEAD;
    Bench::with(
        Majority([1, 2, 3].map(ServerId).into()),
        Room { admitted: 2 * overhead + 2_200, largest: 1_000 },
    )
}

#[test]
fn p9_no_more_is_proposed_than_the_log_has_room_for() {
    let mut bench = small();
    for (input, expected) in [
        // One is below the limit, two are not.
        ("7 0#1 set / | 8 0#1 set / | 7 0#1 set /", "1.1 7 set / v1 | 1.2 8 set / v2"),
        ("sync 8 0#1 | reads 5 | attach 8", ""), // in their order behind the third (P7)
        ("expire 7", ""),
        ("reap /nothing", ""),
        ("ack 2 1.2", ""),           // another's disk
        ("ack 1 1.1", "commit 1.1"), // part of a batch: the whole of it still counts
        (
            "ack 1 1.2",
            "commit 1.2, 1.3 7 set / v3 | synced 8 | reads synced 5 | attached 8 1#1 | 1.4 7 close , begin round 2",
        ),
        ("8 1#1 set /", ""),
        ("disk full", "refused 8 -119"),
        ("8 1#1 set /", "refused 8 -119"),
        ("disk free", ""),
        ("8 1#1 set /", ""), // room is known to be there, but not that so much is durable
        ("ack 1 1.4", "1.5 8 set / v4"),
    ] {
        assert_eq!(bench.told(input), expected, "{input}");
    }
}

#[test]
fn p9_what_is_larger_than_the_room_goes_alone() {
    let mut bench = small();
    let many = vec!["set /"; 40].join(" ; ");
    let large = format!("7 0#1 multi {many}");
    let out = bench.told(&format!("{large} | 8 0#1 set /"));
    assert!(out.starts_with("1.1 7 multi") && !out.contains("1.2"), "{out}");
    assert_eq!(bench.told("ack 1 1.1"), "1.2 8 set / v41");
}
