//! From one configuration to the next: servers 1 to 3 vote, 1 leads.

use paddock_config::{Members, reconfig};
use paddock_messages::znode::Acl;
use paddock_messages::{level, path};

use super::*;

pub(super) fn told(by: &Joint<Majority>) -> String {
    let told = |of: &membership::Configuration<Majority>| {
        let voters: String = of.quorum.0.iter().map(ToString::to_string).collect();
        format!("{voters}@{:?}", Zxid(of.members.version))
    };
    match by.next() {
        Some(next) => format!("decide {} and {}", told(by.now()), told(next)),
        None => format!("decide {}", told(by.now())),
    }
}

fn lines(servers: &str) -> String {
    let line = |id: char| {
        let (id, role) = id.to_digit(10).map_or((9, "observer"), |id| (id, "participant"));
        format!("server.{id}=h{id}:1:2:{role};3\n")
    };
    servers.chars().map(line).collect()
}

/// `reconfig` to these, all of them named anew.
pub(super) fn anew(servers: &str) -> String {
    format!("7 0#1 reconfig members={}", lines(servers).trim_end().replace('\n', ","))
}

/// Voters by their digits, `o` for an observer, 9; the first of them leads if `leads` says so.
pub(super) fn bench(servers: &str, me: u64) -> Bench {
    let members = Members { version: Zxid::new(Epoch(1), 0).0, ..Members::read(&lines(servers)).unwrap() };
    let quorum = Majority(members.voters());
    let rules = reconfig::Rules { standalone_enabled: false, multi_address: false };
    let rules = PrepRules { reconfig: Some(rules), ..PrepRules::default() };
    let room = Room { admitted: 1 << 20, largest: 4 << 10 };
    let mut bench = Bench::new(3);
    let by = Joint::of(members, quorum);
    bench.proposer = Proposer::new(ServerId(me), Epoch(1), by, rules, room)
        .with_level(level::RECONFIG)
        .leading_with_vote();
    bench.toy.nodes.get_mut(path::CONFIG).unwrap().acl = None;
    bench.step("synchronised 2 3 4 5");
    bench
}

impl Bench {
    /// Each input, and all that comes out, but for what txns a reconfig's text makes.
    pub(super) fn check(&mut self, cases: &[(&str, &str)]) {
        for (input, expected) in cases {
            let out = self.told(input);
            let brief: Vec<_> =
                out.split(" membership").map(|it| it.split_once("->").map_or(it, |_| "")).collect();
            assert_eq!(brief.concat().trim_end(), *expected, "{input}: {out}");
        }
    }
}

#[test]
fn mb2_a_reconfig_waits_until_all_before_it_is_committed_and_all_behind_it_until_it_is() {
    let mut bench = bench("123", 1);
    let change = format!("7 0#1 set / | {} | 7 0#1 set / | sync 7 0#1", anew("145"));
    bench.check(&[
        (&change, "1.1 7 set / v1"),
        ("8 0#1 set /", ""), // behind it, in its order (P7)
        ("expire 8", ""),
        ("decided before", ""),
        ("ack 1 1.1", ""),
        ("ack 2 1.1", "commit 1.1, decide 123@1.0 and 145@1.2, 1.2 7"),
        ("8 0#1 set /", ""),
        ("configure x", ""),
        ("reap /nothing", ""),
        ("decided 1.2", ""),
        ("ack 1 1.2", ""),
        ("ack 4 1.2", ""), // one of two of each
        ("ack 3 1.1", ""),
        (
            "ack 2 1.2",
            "commit 1.2, decide 145@1.2, 1.3 7 set / v2 | synced 7 | 1.4 8 set / v3 | 1.5 8 close  | 1.6 8 -112, begin round 1",
        ),
    ]);
    assert_eq!(bench.proposer.held(), 0);
}

#[test]
fn mb2_a_reconfig_is_refused_if_another_was_under_way_when_it_was_asked() {
    let mut bench = bench("123", 1);
    let both = format!("{} | {} | 7 0#1 set /", anew("145"), anew("15o"));
    bench.check(&[
        (&both, "decide 123@1.0 and 145@1.1, 1.1 7"),
        ("decided 1.1", ""),
        ("ack 1 1.1", ""),
        (&anew("13"), ""),
        ("ack 2 1.1", ""),
        ("ack 4 1.1", "commit 1.1, decide 145@1.1, 1.2 7 -14 | 1.3 7 set / v1"),
        ("ack 1 1.3", ""),
        ("ack 4 1.3", "commit 1.3, 1.4 7 -14"),
        ("ack 1 1.4", ""),
        ("ack 4 1.4", "commit 1.4"),
    ]);
    let told = bench.proposer.take_refused_reconfigs();
    assert!(told.iter().all(|it| it.why.contains("ask again")), "{told:?}");
    // The first of two that wait is refused for itself: the second was asked while none was under way.
    let both = format!("7 0#1 set / | {} | {}", anew("189"), anew("15o"));
    bench.check(&[
        (&both, "1.5 7 set / v2"),
        ("ack 1 1.5", ""),
        ("ack 4 1.5", "commit 1.5, 1.6 7 -13"),
        ("ack 1 1.6", ""),
        ("ack 4 1.6", "commit 1.6, decide 145@1.1 and 15@1.7, 1.7 7"),
    ]);
}

#[test]
fn mb3_what_judges_the_lead_said_of_one_reconfig_says_nothing_of_the_next() {
    let mut bench = bench("123", 1);
    bench.check(&[
        (&anew("145"), "decide 123@1.0 and 145@1.1, 1.1 7"),
        ("decided 1.1", ""),
        ("ack 1 1.1", ""),
        ("ack 2 1.1", ""),
        ("ack 4 1.1", "commit 1.1, decide 145@1.1"),
        (&format!("{} | 7 0#1 set /", anew("15o")), "decide 145@1.1 and 15@1.2, 1.2 7"),
        ("ack 1 1.2", ""),
        ("ack 4 1.2", ""),
        ("ack 5 1.2", ""),
        ("decided before", ""),
        ("decided 1.1", ""),
        ("decided 1.2", "commit 1.2, decide 15@1.2, 1.3 7 set / v1"),
    ]);
}

#[test]
fn mb3_it_is_committed_with_a_quorum_of_each_and_once_the_lead_is_judged_by_both() {
    let mut one = bench("123", 1);
    one.check(&[
        (&anew("145"), "decide 123@1.0 and 145@1.1, 1.1 7"),
        ("decided before", ""), // of what was before
        ("ack 1 1.1", ""),
        ("ack 2 1.1", ""),
        ("ack 3 1.1", ""), // all of the old
        ("ack 9 1.1", ""), // nobody
        ("ack 5 1.1", ""), // a quorum of both, and the lead is not judged so
        ("decided 1.1", "commit 1.1, decide 145@1.1"),
        ("decided 1.1", ""),
        ("7 0#1 set /", "1.2 7 set / v1"),
        ("ack 2 1.2", ""),
        ("ack 3 1.2", ""), // they have left
        ("ack 1 1.2", ""),
        ("ack 4 1.2", "commit 1.2"),
    ]);
    let mut other = bench("123", 1);
    other.check(&[
        (&anew("145"), "decide 123@1.0 and 145@1.1, 1.1 7"),
        ("decided 1.1", ""),
        ("ack 4 1.1", ""),
        ("ack 5 1.1", ""), // a quorum of the new one
        ("ack 1 1.1", ""),
        ("ack 2 1.1", "commit 1.1, decide 145@1.1"),
    ]);
}

#[test]
fn mb3_who_has_no_vote_any_more_numbers_nothing_and_has_finished() {
    let mut bench = bench("123", 1);
    let change = format!("{} | 7 0#1 set /", anew("234"));
    bench.check(&[(&change, "decide 123@1.0 and 234@1.1, 1.1 7"), ("decided 1.1", ""), ("ack 2 1.1", "")]);
    assert!(!bench.proposer.has_finished());
    bench.check(&[("ack 3 1.1", "commit 1.1, decide 234@1.1"), ("8 0#1 set /", ""), ("expire 7", "")]);
    assert!(bench.proposer.has_finished(), "it is for another to lead");
    assert_eq!(bench.proposer.held(), 3, "what waits is asked of the next leader");

    // Elected to finish one that its log had.
    let elected = self::bench("234", 1).proposer;
    assert!(elected.has_finished());
    assert!(!self::bench("123", 1).proposer.has_finished());
}

#[test]
fn mb3_a_leader_that_is_to_finish_ends_once_its_reconfig_is_committed() {
    let mut bench = bench("123", 1);
    bench.check(&[(&anew("123o"), "decide 123@1.0 and 123@1.1, 1.1 7"), ("finish", ""), ("7 0#1 set /", "")]);
    assert!(!bench.proposer.has_finished());
    bench.check(&[("decided 1.1", ""), ("ack 1 1.1", ""), ("ack 3 1.1", "commit 1.1, decide 123@1.1")]);
    assert!(bench.proposer.has_finished());
}

#[test]
fn mb2_an_epoch_ends_behind_a_reconfig_and_none_begins_before() {
    let mut bench = bench("123", 1);
    bench.proposer = bench.proposer.with_last_counter(2);
    let change = format!("7 0#1 set / | {} | 7 0#1 set / | {}", anew("134"), anew("123"));
    bench.check(&[
        (&change, "1.1 7 set / v1"),
        ("ack 1 1.1", ""),
        ("ack 2 1.1", "commit 1.1, decide 123@1.0 and 134@1.2, 1.2 7"),
        ("tick", ""),
        ("decided 1.2", ""),
        ("ack 1 1.2", ""),
        ("ack 3 1.2", "commit 1.2, decide 134@1.2, begin 2"),
        // A disk that has no room for the epoch refuses reconfigs as all that writes.
        ("refuse", "refused 7 -119 | refused 7 -119"),
        (&anew("123"), "refused 7 -119"),
        ("tick", "begin 2"),
        (&format!("7 0#1 set / | {}", anew("123")), ""),
        ("epoch 2", "2.1 7 set / v2"),
        ("ack 3 2.1", ""),
        ("ack 1 2.1", "commit 2.1, decide 134@1.2 and 123@2.2, 2.2 7"),
    ]);
}

#[test]
fn mb2_a_full_disk_refuses_what_is_behind_a_reconfig_and_begins_no_other() {
    let mut bench = bench("123", 1);
    bench.check(&[
        (&anew("134"), "decide 123@1.0 and 134@1.1, 1.1 7"),
        ("7 0#1 set /", ""),
        ("disk full", "refused 7 -119"),
        // What is no txn goes on, and nobody is told of the reconfig again.
        ("attach 7 | sync 7 1#1", "attached 7 1#1 | synced 7, begin round 1"),
        (&anew("123").replace("0#1", "1#1"), "refused 7 -119"),
        ("decided 1.1", ""),
        ("ack 3 1.1", ""),
        ("ack 2 1.1", ""),
        ("ack 4 1.1", "commit 1.1, decide 134@1.1"),
        ("disk free", ""),
        ("7 1#1 set /", "1.2 7 set / v1"),
        ("disk full", ""),
        // Nor does one wait for what is before it: it would be first in a row that a full disk refuses.
        (&anew("123").replace("0#1", "1#1"), "refused 7 -119"),
    ]);
}

#[test]
fn mb2_what_is_refused_is_refused_in_the_order_of_apaches_server() {
    let reconfig = |rest: &str| format!("7 0#1 reconfig {rest}");
    let version = |bench: &str| format!("{bench} version=5");
    let joins = "joining=server.4=h4:1:2:participant;3";
    let nowhere = "joining=server.9=0.0.0.0:1:2:observer;3";
    let mut bench = bench("123", 1);
    bench.toy.nodes.get_mut(path::CONFIG).unwrap().acl = Some(Acl::read_only().into());
    bench.step("synchronised 2");
    for (input, expected) in [
        (reconfig("version=5 leaving=x"), "1.1 7 -103"), // the version before the arguments
        (reconfig("leaving=x"), "1.2 7 -5"),             // no number
        (reconfig("leaving=1,2,3"), "1.3 7 -8"),         // nobody is left, before the quorum
        (reconfig("joining=server.1"), "1.4 7 -8"),      // no address
        (format!("{} joining=x", version(&anew("345"))), "1.5 7 -103"),
        (anew("345"), "1.6 7 -13"),            // 3 and 5 are not there
        (reconfig("leaving=2"), "1.7 7 -13"),  // nor is 3
        (reconfig(joins), "1.8 7 -13"),        // two of four
        (reconfig("leaving=3"), "1.9 7 -102"), // the ACL last
        (reconfig("leaving=3").replace("7 0#1", "9 0#1"), "1.10 9 -112"), // no session
        (reconfig(nowhere), "1.11 7 -102"),    // what is refused here alone comes behind all that
    ] {
        assert_eq!(bench.told(&input), expected, "{input}");
        bench.step(&format!("ack 1 {}", expected.split(' ').next().unwrap()));
        bench.step(&format!("ack 2 {}", expected.split(' ').next().unwrap()));
    }
    assert_eq!(bench.proposer.membership().next().map(|it| it.members.version), None);
    // The very version that is in force passes it.
    bench.step("configured 1.10");
    let asked = format!("{} version={}", reconfig("leaving=3"), zxid("1.10").0);
    assert_eq!(bench.told(&asked), "1.12 7 -102");
    bench.step("ack 1 1.12");
    bench.step("ack 2 1.12");
    bench.toy.nodes.get_mut(path::CONFIG).unwrap().acl = None;
    assert_eq!(bench.told(&reconfig(nowhere)), "1.13 7 -8");
    bench.proposer.rules.reconfig = None;
    bench.step("ack 1 1.13");
    bench.step("ack 2 1.13");
    assert_eq!(bench.told(&reconfig("version=5 leaving=x")), "1.14 7 -123");
}

/// Servers 1 to 3 vote, 9 observes, and is not in sync.
#[test]
fn ad10_an_operator_may_what_the_file_leaves_open_and_gives_no_vote_to_one_that_is_not_in_sync() {
    let mut bench = bench("123o", 1);
    bench.toy.nodes.get_mut(path::CONFIG).unwrap().acl = Some(Acl::read_only().into());
    bench.step("synchronised 2 3");
    let rules = bench.proposer.rules.reconfig;
    assert!(bench.proposer.rules.reconfig_by_operators.is_none(), "the file forbids it");
    let (promote, leave) = ("joining=server.9=h9:1:2:participant;3", "leaving=3");
    let steps = [
        (Some("open"), format!("{promote} ids=super:operator"), "1.1 7 -13"),
        (None, format!("{promote} version=5 ids=super:operator"), "1.2 7 -103"),
        (None, format!("{promote} ids=super:"), "1.3 7 -123"), // a client's super
        (None, "leaving=x ids=super:operator".into(), "1.4 7 -5"),
        (Some("forbidden"), format!("{leave} ids=super:operator"), "1.5 7 -123"),
    ];
    for (file, order, expected) in steps {
        if let Some(file) = file {
            let rules_of = |by: &str| rules.filter(|_| file == by);
            bench.proposer.rules.reconfig = rules_of("enabled");
            bench.proposer.rules.reconfig_by_operators = rules_of("open");
        }
        assert_eq!(bench.told(&format!("7 0#1 reconfig {order}")), expected, "{order}");
        let zxid = expected.split(' ').next().unwrap();
        bench.step(&format!("ack 1 {zxid}"));
        bench.step(&format!("ack 2 {zxid}"));
    }
    let refused = bench.proposer.take_refused_reconfigs();
    assert!(refused[0].why.starts_with("server 9 is to vote and is not in sync"), "{refused:?}");
    let of_operators: Vec<_> = refused.iter().map(|it| it.is_operators).collect();
    assert_eq!(of_operators, [true, true, false, true, true]);
    // With force one that is away may, but not what would leave no quorum in sync.
    let forced = format!("{promote} ids=super:operator ids=super:force");
    bench.proposer.rules.reconfig_by_operators = rules;
    bench.step("synchronised 1");
    assert_eq!(bench.told(&format!("7 0#1 reconfig {forced}")), "1.6 7 -13");
    let mut forcing = self::bench("123o", 1);
    forcing.proposer.rules.reconfig_by_operators = rules;
    forcing.step("synchronised 2 3");
    let out = forcing.told(&format!("7 0#1 reconfig {forced}"));
    assert!(out.starts_with("decide 123@1.0 and 1239@1.1, 1.1 7 membership"), "{out}");
    bench.step("ack 1 1.6");
    bench.step("ack 2 1.6");
    bench.step("synchronised 2 3");
    // One that is in sync gets it; and a client gets it sooner, as in ZooKeeper.
    bench.proposer.rules.reconfig_by_operators = rules;
    let out = bench.told(&format!("7 0#1 reconfig {leave} ids=super:operator"));
    assert!(out.starts_with("decide 123@1.0 and 12@1.7, 1.7 7 membership"), "{out}");
    let mut other = self::bench("123o", 1);
    other.step("synchronised 2 3");
    let out = other.told(&format!("7 0#1 reconfig {promote}"));
    assert!(out.starts_with("decide 123@1.0 and 1239@1.1, 1.1 7 membership"), "{out}");
    let mut synced = self::bench("123o", 1);
    synced.proposer.rules.reconfig_by_operators = rules;
    synced.step("synchronised 2 9");
    let out = synced.told(&format!("7 0#1 reconfig {promote} ids=super:operator"));
    assert!(out.starts_with("decide 123@1.0 and 1239@1.1, 1.1 7 membership"), "{out}");
}

/// What is logged is what was in force and what takes its place, each with its version.
#[test]
fn mb1_the_txn_holds_both_configurations() {
    let mut bench = bench("123", 1);
    bench.step("configured 1.0");
    let out = bench.step("7 0#1 reconfig joining=server.4=h4:1:2:participant;3 leaving=2");
    let [Output::Decide(by), Output::Propose(all)] = &out[..] else { panic!("{out:?}") };
    let [Proposal::Txn(Txn { body: TxnBody::Membership { from, to }, .. })] = &all[..] else {
        panic!("{all:?}")
    };
    let [from, to] = [from, to].map(|text| membership::members(text).unwrap());
    assert_eq!((&from, Some(&to)), (&by.now().members, by.next().map(|it| &it.members)));
    assert_eq!((Zxid(from.version), Zxid(to.version)), (zxid("1.0"), zxid("1.1")));
    assert_eq!(to.voters(), [1, 3, 4].map(ServerId).into());
}

/// A quorum of a single server is there at once, and its own Learner's ack is all it takes.
#[test]
fn mb3_one_voter_becomes_two_and_two_become_one() {
    let mut grows = bench("1o", 1);
    grows.check(&[
        (&anew("12"), "decide 1@1.0 and 12@1.1, 1.1 7"),
        ("decided 1.1", ""),
        ("ack 1 1.1", ""), // both of the new one must have it
        ("ack 2 1.1", "commit 1.1, decide 12@1.1"),
    ]);
    let mut shrinks = bench("12", 1);
    shrinks.check(&[
        (&anew("1"), "decide 12@1.0 and 1@1.1, 1.1 7"),
        ("decided 1.1", ""),
        ("ack 1 1.1", ""), // both of the old one
        ("ack 2 1.1", "commit 1.1, decide 1@1.1"),
        ("7 0#1 set / | sync 7 0#1", "1.2 7 set / v1 | synced 7"),
        ("ack 1 1.2", "commit 1.2"),
    ]);
}

/// For the log: who asked, what is answered, and why, once.
#[test]
fn each_refusal_of_a_reconfig_is_told_once_with_its_reason() {
    let mut bench = bench("123", 1);
    let reasons = [
        (
            "7 0#1 reconfig version=5 leaving=3",
            "it is to change version 5, and version 100000000 is in force",
        ),
        ("8 0#1 reconfig leaving=x", "leaving: \"x\" is no whole number"),
        (&*anew("167"), "this leader has no quorum of it in sync: start those who join"),
        ("9 0#1 reconfig leaving=3", "the session has expired"),
    ];
    for (input, _) in reasons {
        bench.step(input);
        for voter in [1, 2] {
            bench.step(&format!("ack {voter} {:?}", bench.proposer.last()));
        }
    }
    let told = bench.proposer.take_refused_reconfigs();
    let whom: Vec<_> = told.iter().map(|it| (it.session.0, it.code.code())).collect();
    assert_eq!(whom, [(7, -103), (8, -5), (7, -13), (9, -112)]);
    for (refused, (input, why)) in told.iter().zip(reasons) {
        assert!(refused.why.starts_with(why), "{input}: {}", refused.why);
        assert_eq!(refused.to_string(), format!("a reconfig is refused: {}", refused.why));
    }
    assert_eq!(bench.proposer.take_refused_reconfigs(), []);
    bench.check(&[(&anew("134"), "decide 123@1.0 and 134@1.5, 1.5 7")]);
    assert_eq!(bench.proposer.take_refused_reconfigs(), [], "it is not refused");
}
