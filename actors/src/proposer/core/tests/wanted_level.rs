//! A reconfig waits for the feature level from which on there are any: servers 1 to 3 vote, 1 leads, at level 0.

use paddock_messages::level::RECONFIG;

use super::reconfiguring::{anew, bench};
use super::*;

fn below() -> Bench {
    let mut bench = bench("123", 1);
    bench.proposer = bench.proposer.with_level(0);
    bench
}

/// What the shell is told each time that it asks.
fn wanted(bench: &mut Bench) -> [Option<u8>; 2] {
    [(); 2].map(|()| bench.proposer.take_wanted_level().map(|it| it.level))
}

const ONCE: [Option<u8>; 2] = [Some(RECONFIG), None];
const NONE: [Option<u8>; 2] = [None; 2];

#[test]
fn fl1_mb2_a_reconfig_waits_for_its_level_and_all_behind_it_for_both() {
    let mut bench = below();
    let all = format!("7 0#1 set / | {} | 7 0#1 set / | sync 7 0#1", anew("145"));
    bench.check(&[(&all, "1.1 7 set / v1"), ("8 0#1 set /", ""), ("expire 8", ""), ("ack 1 1.1", "")]);
    assert_eq!(wanted(&mut bench), NONE, "what is before it comes first");
    bench.check(&[("ack 2 1.1", "commit 1.1")]);
    assert_eq!(wanted(&mut bench), ONCE);
    bench.check(&[
        ("8 0#1 set /", ""),
        ("level 1", "from level 1 on, 1.2 0 level 1"), // before all that waits
        ("7 0#1 set /", ""),
        ("ack 1 1.2", ""), // numbered is not committed
        ("ack 2 1.2", "commit 1.2, decide 123@1.0 and 145@1.3, 1.3 7"),
        ("decided 1.3", ""),
        ("ack 1 1.3", ""),
        ("ack 2 1.3", ""),
        (
            "ack 4 1.3",
            "commit 1.3, decide 145@1.3, 1.4 7 set / v2 | synced 7 | 1.5 8 set / v3 | 1.6 8 close  | 1.7 8 -112 | 1.8 7 set / v4, begin round 1",
        ),
    ]);
    assert_eq!((wanted(&mut bench), bench.proposer.held()), (NONE, 0));
}

#[test]
fn fl1_mb2_the_first_reconfig_asks_at_once_and_was_under_way_as_the_second_was_asked() {
    let mut bench = below();
    let both = format!("{} | {} | 7 0#1 set /", anew("145"), anew("15o"));
    bench.check(&[(&both, "")]);
    assert_eq!((wanted(&mut bench), bench.proposer.held()), (ONCE, 3));
    bench.check(&[
        ("level 1", "from level 1 on, 1.1 0 level 1"),
        ("ack 1 1.1", ""),
        ("ack 3 1.1", "commit 1.1, decide 123@1.0 and 145@1.2, 1.2 7"),
        ("decided 1.2", ""),
        ("ack 1 1.2", ""),
        ("ack 2 1.2", ""),
        ("ack 4 1.2", "commit 1.2, decide 145@1.2, 1.3 7 -14 | 1.4 7 set / v1"),
    ]);
    assert_eq!(wanted(&mut bench), NONE);
}

/// A member is away, or older: what waited is answered, and the next one asks anew.
#[test]
fn fl4_where_the_level_may_not_rise_a_reconfig_is_refused_and_nothing_waits_for_it() {
    let mut bench = below();
    let all = format!("{} | 8 0#1 set / | {} | 8 0#1 set /", anew("145"), anew("134"));
    bench.check(&[(&all, "")]);
    assert_eq!(wanted(&mut bench), ONCE);
    bench.check(&[("level refused", "1.1 7 -13 | 1.2 8 set / v1")]);
    assert_eq!(wanted(&mut bench), NONE, "the second waits for what is before it");
    bench.check(&[("ack 1 1.2", ""), ("ack 2 1.2", "commit 1.2")]);
    assert_eq!(wanted(&mut bench), ONCE);
    bench.check(&[("level refused", "1.3 7 -13 | 1.4 8 set / v2")]);
    let told = bench.proposer.take_refused_reconfigs();
    assert_eq!(told.len(), 2);
    for refused in told {
        assert_eq!(refused.code, ErrorCode::NewConfigNoQuorum);
        assert!(refused.why.starts_with("not every member is connected"), "{refused}");
    }
}

/// The level never falls: it is not raised for nothing.
#[test]
fn fl2_a_reconfig_that_is_refused_anyway_asks_for_no_level() {
    let mut bench = below();
    bench.step("heard 8 0#3"); // its newest attachment
    for (input, expected) in [
        ("7 0#1 reconfig version=5 leaving=3", "1.1 7 -103"),
        ("7 0#1 reconfig leaving=x", "1.2 7 -5"),
        ("7 0#1 reconfig leaving=1,2,3", "1.3 7 -8"),
        (&anew("167"), "1.4 7 -13"), // 6 and 7 are not there
        ("9 0#1 reconfig leaving=3", "1.5 9 -112"),
        ("8 0#1 reconfig leaving=3", "1.6 8 -118"),
    ] {
        bench.check(&[(input, expected)]);
        assert_eq!(wanted(&mut bench), NONE, "{input}");
        let zxid = expected.split(' ').next().unwrap();
        bench.check(&[(&format!("ack 1 {zxid}"), ""), (&format!("ack 2 {zxid}"), &format!("commit {zxid}"))]);
    }
    bench.check(&[("disk full", ""), (&anew("145"), "refused 7 -119"), ("disk free", "")]);
    assert_eq!(wanted(&mut bench), NONE);
    bench.check(&[(&anew("145"), "")]);
    assert_eq!(wanted(&mut bench), ONCE);
}

/// It has no configuration that could change. An ensemble of one has, and grows.
#[test]
fn a_server_alone_asks_for_no_level_and_an_ensemble_of_one_does() {
    let mut bench = bench("1", 1);
    bench.proposer = bench.proposer.with_level(0);
    bench.check(&[(&anew("1o"), "")]);
    assert_eq!(wanted(&mut bench), ONCE);
    let (rules, room) = (bench.proposer.rules.clone(), Room { admitted: 1 << 20, largest: 4 << 10 });
    let quorum = Majority([ServerId(1)].into());
    bench.proposer = Proposer::new(ServerId(1), Epoch(1), quorum, rules, room);
    bench.check(&[(&anew("1o"), "1.1 7 -6")]);
    assert_eq!(wanted(&mut bench), NONE);
}

/// A dead one must not be waited for.
#[test]
fn fl4_who_leaves_by_the_reconfig_need_not_read_it() {
    for (change, leaving) in [("12", &[3][..]), ("145", &[2, 3]), ("123o", &[]), ("o12", &[3])] {
        let mut bench = below();
        bench.check(&[(&anew(change), "")]);
        let wanted = bench.proposer.take_wanted_level().unwrap();
        assert_eq!(wanted.leaving, leaving.iter().copied().map(ServerId).collect(), "{change}");
        let must = (1..=3).filter(|id| !leaving.contains(id)).map(ServerId).collect();
        assert_eq!(bench.proposer.readers(&wanted.leaving), must, "{change}");
        assert_eq!(bench.proposer.take_wanted_level(), None);
    }
}

#[test]
fn p5_one_whose_session_moves_while_it_waits_leaves_nothing_for_the_next() {
    let mut bench = below();
    bench.check(&[(&anew("145"), "")]);
    assert_eq!(wanted(&mut bench), ONCE);
    bench.check(&[
        ("heard 7 0#3", "holds"), // it has a newer attachment
        ("level refused", "1.1 7 -118"),
        ("ack 1 1.1", ""),
        ("ack 2 1.1", "commit 1.1"),
        (&anew("145").replace("0#1", "0#3"), ""),
    ]);
    assert_eq!(wanted(&mut bench), ONCE, "it asks for itself");
}

#[test]
fn p6_one_that_a_full_disk_refuses_while_it_waits_leaves_nothing_for_the_next() {
    let mut bench = below();
    bench.check(&[(&anew("145"), "")]);
    assert_eq!(wanted(&mut bench), ONCE);
    bench.check(&[("disk full", "refused 7 -119"), ("disk free", ""), (&anew("145"), "")]);
    assert_eq!(wanted(&mut bench), ONCE, "it asks for itself");
}
