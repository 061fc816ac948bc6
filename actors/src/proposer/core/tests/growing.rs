//! A server alone becomes an ensemble of one: server 1, at level 0.

use paddock_config::reconfig;
use paddock_messages::path;

use super::reconfiguring::bench as of_ensemble;
use super::*;

fn alone() -> Bench {
    let rules = reconfig::Rules { standalone_enabled: true, multi_address: false };
    let rules = PrepRules { reconfig_by_operators: Some(rules), ..PrepRules::default() };
    let mut bench = Bench::new(1);
    let room = Room { admitted: 1 << 20, largest: 4 << 10 };
    bench.proposer =
        Proposer::new(ServerId(1), Epoch(1), Majority(BTreeSet::from([ServerId(1)])), rules, room);
    bench.toy.nodes.get_mut(path::CONFIG).unwrap().acl = None;
    bench
}

const OPERATORS: &str = "ids=super:operator";

#[test]
fn mb6_a_server_alone_becomes_an_ensemble_of_one_by_an_operators_word_alone() {
    let mut bench = alone();
    let one = |who: &str| format!("7 0#1 reconfig members=server.1=h1:1:2;3 {who}");
    bench.check(&[
        ("7 0#1 set /", "1.1 7 set / v1"),
        (&one(""), ""),        // it waits for what is before it, as any
        (&one(OPERATORS), ""), // the same
        ("ack 1 1.1", "commit 1.1, 1.2 7 -123"),
    ]);
    bench.step("ack 1 1.2");
    let wanted = bench.proposer.take_wanted_level().expect("the first reconfig of all asks for its level");
    assert!(bench.proposer.readers(&wanted.leaving).is_empty(), "there is nobody else to read it");
    bench.check(&[
        ("level 1", "from level 1 on, 1.3 0 level 1"),
        ("8 0#1 set /", ""),
        ("ack 1 1.3", "commit 1.3, decide 1@0.0 and 1@1.4, 1.4 7"),
        // Committed by itself alone, and what is behind it by the ensemble of one.
        ("ack 1 1.4", "commit 1.4, decide 1@1.4, 1.5 8 set / v2"),
        ("ack 1 1.5", "commit 1.5"),
    ]);
    assert!(bench.proposer.membership().can_lead(ServerId(1)));
}

#[test]
fn mb6_it_adds_nobody_else_before_and_says_what_comes_first() {
    let mut bench = alone();
    bench.proposer = bench.proposer.with_level(1);
    for members in [
        "members=server.2=h2:1:2;3",
        "members=server.1=h1:1:2;3,server.2=h2:1:2:participant;3",
        "joining=server.2=h2:1:2:observer;3",
        "members=server.1=0.0.0.0:1:2;3", // where nobody would find it
    ] {
        let out = bench.told(&format!("7 0#1 reconfig {members} {OPERATORS}"));
        assert!(out.ends_with(" 7 -8") || out.ends_with(" 7 -5"), "{members}: {out}");
        let upto = format!("ack 1 {}", bench.proposer.last().counter());
        bench.step(&upto.replace("ack 1 ", "ack 1 1."));
    }
    let why = bench.proposer.take_refused_reconfigs();
    assert!(why.iter().any(|it| it.why.contains("before others are added")), "{why:?}");
    // A member is asked as ever: two voters are the least with standaloneEnabled.
    let mut bench = of_ensemble("12", 1);
    let rules = reconfig::Rules { standalone_enabled: true, multi_address: false };
    bench.proposer.rules.reconfig_by_operators = Some(rules);
    assert!(bench.told(&format!("7 0#1 reconfig leaving=2 {OPERATORS}")).ends_with(" 7 -8"));
}

/// As `paddock recover` leaves it: its file has the others still, and `standaloneEnabled` is true there.
#[test]
fn nh4_an_ensemble_of_one_takes_others_whatever_is_the_least_for_those_who_leave() {
    let mut bench = of_ensemble("1", 1);
    let rules = reconfig::Rules { standalone_enabled: true, multi_address: false };
    bench.proposer.rules.reconfig_by_operators = Some(rules);
    let out = bench.told(&format!("7 0#1 reconfig joining=server.2=h2:1:2:observer;3 {OPERATORS}"));
    assert!(!out.contains(" 7 -"), "{out}");
}
