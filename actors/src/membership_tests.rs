use paddock_messages::ids::{AttachNumber, SessionId};
use paddock_messages::txn::TxnHeader;
use paddock_messages::zxid::Epoch;
use proptest::prelude::*;

use super::*;
use crate::quorum::Majority;

/// Members of which these vote, in a configuration of this version.
fn members_of(voters: &str, version: u64) -> Members {
    let line = |id: char| format!("server.{id}=h{id}:1:2:participant;3\n");
    let lines: String = voters.chars().map(line).collect();
    Members { version, ..Members::read(&lines).unwrap() }
}

fn zxid(at: u64) -> Zxid {
    Zxid::new(Epoch(1), u32::try_from(at).unwrap())
}

/// `123@5`: voters 1 to 3, made by the fifth txn; none of them is of version 0.
fn configuration(text: &str) -> Members {
    let (voters, at) = text.split_once('@').unwrap();
    let at: u64 = at.parse().unwrap();
    members_of(voters, if at == 0 { 0 } else { zxid(at).0 })
}

fn reconfig(from: &Members, to: &Members) -> Txn {
    let text = |of: &Members| text(&of.to_string(), Zxid(of.version));
    let body = TxnBody::Membership { from: text(from), to: text(to) };
    let (session, attach) = (SessionId(7), AttachNumber::default());
    Txn { header: TxnHeader { session, attach, cxid: 1, zxid: Zxid(to.version), time: 0 }, body }
}

/// `123@0`, or `123@0 and 145@5`.
pub(crate) fn joint(text: &str) -> Joint<Majority> {
    let (now, next) = text.split_once(" and ").map_or((text, None), |(now, next)| (now, Some(next)));
    let now = configuration(now);
    let quorum = Majority(now.voters());
    let mut by = Joint::of(now, quorum);
    if let Some(next) = next {
        by.begin(configuration(next));
    }
    by
}

fn told_of(members: &Members) -> String {
    let voters: String = members.voters().iter().map(ToString::to_string).collect();
    format!("{voters}@{}", Zxid(members.version).counter())
}

fn told(by: &Joint<Majority>) -> String {
    match by.next() {
        Some(next) => format!("{} and {}", told_of(&by.now().members), told_of(&next.members)),
        None => told_of(&by.now().members),
    }
}

fn told_word(of: &str) -> Told {
    let (now, next) = of.split_once('>').map_or((of, None), |(now, next)| (now, Some(next)));
    Told { now: configuration(now), next: next.map(configuration) }
}

fn membership(of: &str) -> Membership<Majority> {
    let members = configuration(of);
    let quorum = Majority(members.voters());
    Membership::new(members, quorum)
}

/// One thing that happens: whether the view is said to be another now.
fn step(of: &mut Membership<Majority>, input: &str) -> bool {
    let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
    let at = || zxid(rest.parse().unwrap());
    match verb {
        "log" => {
            let (from, to) = rest.split_once('>').unwrap();
            of.on_logged(&reconfig(&configuration(from), &configuration(to)))
        }
        "apply" => of.on_applied(at()),
        "cut" => of.on_truncated(at()),
        "served" => of.on_served(),
        "install" => {
            let before = told(&of.view());
            of.on_installed((!rest.is_empty()).then(|| configuration(rest)));
            before != told(&of.view())
        }
        "hear" => {
            let (from, what) = rest.split_once(' ').unwrap();
            let from = ServerId(from.parse().unwrap());
            of.on_heard(from, (what != "nothing").then(|| told_word(what)).as_ref())
        }
        _ => panic!("{input}"),
    }
}

/// Each input, and who decides then; `=` before it, if nothing is said to be new.
fn check(first: &str, cases: &[(&str, &str)]) {
    let mut membership = membership(first);
    for (input, expected) in cases {
        let sign = if step(&mut membership, input) { "" } else { "=" };
        assert_eq!(format!("{sign}{}", told(&membership.view())), *expected, "{input}");
    }
}

#[test]
fn mb1_both_decide_from_the_log_on_until_it_is_known_to_be_committed() {
    check(
        "123@0",
        &[
            ("log 123@0>145@5", "123@0 and 145@5"),
            ("apply 4", "=123@0 and 145@5"),
            ("apply 5", "145@5"),
            ("apply 9", "=145@5"),
            // Of two that are logged the first is committed, for the second is behind it.
            ("log 145@5>245@11", "145@5 and 245@11"),
            ("log 245@11>12@13", "245@11 and 12@13"),
            ("apply 11", "245@11 and 12@13"),
            ("cut 12", "245@11"),
            ("log 245@11>3@14", "245@11 and 3@14"),
            ("cut 14", "=245@11 and 3@14"),
            ("install 45@12", "45@12"),
            ("log 45@12>1@15", "45@12 and 1@15"),
            ("install", "45@12"), // its tree names nobody
        ],
    );
}

#[test]
fn mb1_what_decides_has_a_quorum_of_each() {
    let mut membership = membership("123@0");
    step(&mut membership, "log 123@0>345@5");
    let by = membership.view();
    let holds = |agree: &str| by.holds(|it| agree.contains(&it.to_string()));
    assert!(holds("1234") && holds("1345") && holds("2345"), "each has two of three in both");
    assert!(!holds("12") && !holds("123"), "the old one alone");
    assert!(!holds("45") && !holds("345"), "the new one alone");
    assert!((1..=5).all(|it| by.is_voter(ServerId(it)) && by.can_lead(ServerId(it))), "either may finish it");
    let by = by.settled();
    assert!(by.holds(|it| it.0 > 3) && !by.holds(|it| it.0 < 4), "the new one alone, once it is committed");
    assert!(!by.is_voter(ServerId(1)) && !by.can_lead(ServerId(1)));
}

#[test]
fn mb4_what_others_have_committed_is_committed() {
    check(
        "123@0",
        &[
            ("hear 2 123@0", "=123@0"),
            ("hear 2 145@5", "145@5"),
            ("hear 3 123@3", "=145@5"),    // an older one says nothing
            ("log 123@0>145@5", "=145@5"), // it is known to be committed: those who left need not be asked
            // One of our own that never was, and one that was.
            ("log 145@5>124@7", "145@5 and 124@7"),
            ("hear 2 135@9", "135@9"),
            ("log 135@9>12@12", "135@9 and 12@12"),
            ("hear 2 135@9", "=135@9 and 12@12"),
            ("hear 3 12@12>34@14", "12@12 and 34@14"),
        ],
    );
}

#[test]
fn mb4_a_reconfig_that_others_have_asks_for_more_while_they_do() {
    check(
        "123@1",
        &[
            ("hear 2 123@1>145@5", "123@1 and 145@5"),
            ("hear 3 123@1>124@7", "123@1 and 124@7"), // of a later leader: the first is over
            ("hear 2 123@1>145@5", "=123@1 and 124@7"),
            ("hear 3 nothing", "123@1 and 145@5"), // its lane is down, and 2 has it still
            ("log 123@1>145@5", "123@1 and 145@5"), // our own is no less
            ("hear 3 123@1>124@7", "123@1 and 124@7"),
            ("served", "123@1 and 145@5"), // by a leader that has what we have
            ("served", "=123@1 and 145@5"),
            ("hear 3 123@1>124@7", "123@1 and 124@7"),
            ("hear 3 123@1", "123@1 and 145@5"), // it was cut there
            ("cut 4", "123@1"),
            ("hear 2 123@1>145@5", "123@1 and 145@5"),
            ("hear 3 12@6>13@8", "12@6 and 13@8"), // what 2 has is over
            ("hear 3 13@8", "13@8"),
            ("hear 2 13@8>1@9", "13@8 and 1@9"),
            ("install 13@8", "13@8"),
        ],
    );
}

/// What is told is what the log says, not what was heard: else a reconfig that is no more would go round for ever.
#[test]
fn mb5_the_log_is_to_say_once_that_a_reconfig_is_committed_whoever_knew_it_before() {
    for (inputs, expected) in [
        (&["apply 9"][..], false),
        (&["log 123@0>145@5"], false),
        (&["log 123@0>145@5", "apply 9"], true),
        (&["hear 4 145@5", "log 123@0>145@5", "apply 9"], true), // known before our log has it
        (&["log 123@0>145@5", "cut 4", "apply 9"], false),
        (&["log 123@0>145@5", "cut 5", "apply 9"], true),
        (&["log 123@0>145@5", "install 145@5", "apply 9"], false), // the snapshot says it
    ] {
        let mut membership = membership("123@0");
        for input in inputs {
            step(&mut membership, input);
        }
        let applied = zxid(if inputs.last().is_some_and(|it| it.starts_with("apply")) { 9 } else { 4 });
        assert_eq!([(); 2].map(|()| membership.take_unsaid(applied)), [expected, false], "{inputs:?}");
    }
}

#[test]
fn mb4_others_are_told_what_the_log_says() {
    let mut membership = membership("123@0");
    assert_eq!(membership.logged_view().told(), None, "a file's is not told");
    step(&mut membership, "hear 2 123@1>145@5");
    assert_eq!(membership.logged_view().told(), Some(told_word("123@1")));
    step(&mut membership, "log 123@1>145@5");
    assert_eq!(membership.logged_view().told(), Some(told_word("123@1>145@5")));
    step(&mut membership, "apply 5");
    assert_eq!(membership.logged_view().told(), Some(told_word("145@5")));
}

#[test]
fn mb1_the_text_of_a_configuration_reads_as_the_same_and_any_other_as_none() {
    for of in ["1@1", "123@0", "12345@77"] {
        let whole = configuration(of);
        let bytes = text(&whole.to_string(), Zxid(whole.version));
        assert_eq!(members(&bytes).as_ref(), Some(&whole), "{of}");
        for cut in 0..bytes.len() {
            let read = members(&bytes[..cut]); // a digit less is another version
            assert!(read.is_none_or(|it| it.version < whole.version), "{of} up to {cut}");
        }
    }
    for other in [
        &b""[..],
        b"version=",
        b"version=g",
        b"version=-1",
        b"version=11111111111111111",
        b"server.1=a:1:2\n",
        b"server.1=a\nversion=1",
        b"\xff\nversion=1",
    ] {
        assert_eq!(members(other), None, "{other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Of a history whose nth reconfig is the nth txn: as it comes and goes in one member's log, whoever decides has a
    /// quorum of the newest that the member has or knows of, and, unless that is known to be committed, of the one before.
    #[test]
    fn mb1_the_view_asks_for_a_quorum_of_every_configuration_that_may_decide(
        history in prop::collection::vec(prop::collection::btree_set(1_u64..6, 1..5), 2..7),
        steps in prop::collection::vec((0_usize..4, 0_usize..7), 1..40),
        agree in prop::collection::btree_set(1_u64..6, 0..6),
    ) {
        let configurations: Vec<Members> = history.iter().enumerate().map(|(at, voters)| {
            let voters: String = voters.iter().map(ToString::to_string).collect();
            configuration(&format!("{voters}@{at}"))
        }).collect();
        let last = configurations.len() - 1;
        let agrees = |it: ServerId| agree.contains(&it.0);
        let quorum = |at: usize| Majority(configurations[at].voters()).holds(agrees);
        let mut membership = Membership::new(configurations[0].clone(), Majority(configurations[0].voters()));
        let (mut has, mut applied, mut committed) = (0, 0, 0);
        for (what, at) in steps {
            match what {
                0 if has < last => {
                    membership.on_logged(&reconfig(&configurations[has], &configurations[has + 1]));
                    has += 1;
                }
                1 => {
                    applied = at.min(has).max(applied);
                    membership.on_applied(zxid(applied as u64));
                    committed = committed.max(applied);
                }
                2 => {
                    has = has.min(at.max(applied));
                    membership.on_truncated(zxid(has as u64));
                }
                3 => {
                    let now = at.min(last);
                    membership.on_heard(ServerId(9), Some(&Told { now: configurations[now].clone(), next: None }));
                    committed = committed.max(now);
                }
                _ => {}
            }
            let newest = has.max(committed);
            let in_force = if newest > committed { newest - 1 } else { newest };
            let by = membership.view();
            prop_assert_eq!(by.holds(agrees), quorum(newest) && quorum(in_force), "{}, {}: {:?}", has, committed, by);
        }
    }
}

/// The others, which have no vote by it, remember what it has lost.
#[test]
fn mb4_one_without_data_that_hears_of_a_reconfig_begins_nothing_with_it() {
    let mut membership = membership("123@0");
    for memory in [Memory::Empty, Memory::Whole, Memory::Marked] {
        assert_eq!(membership.qualify(memory), memory, "the file's");
    }
    step(&mut membership, "hear 2 1@5");
    let all = [Memory::Empty, Memory::Whole, Memory::Marked].map(|memory| membership.qualify(memory));
    assert_eq!(all, [Memory::Damaged, Memory::Whole, Memory::Marked], "an operator may still say otherwise");
}

/// The reconfig is of epoch 1.
#[test]
fn mb7_a_leader_of_a_later_epoch_is_followed_by_a_quorum_of_the_configuration_before() {
    for (by, follow, epoch, expected) in [
        ("123@0 and 345@5", "12", 2, true),
        ("123@0 and 345@5", "12", 1, false), // it may be an older leader's last moments
        ("123@0 and 345@5", "1234", 1, true),
        ("123@0 and 345@5", "1", 2, false),
        ("123@0 and 345@5", "345", 2, false),
        ("123@0", "12", 1, true),
        ("123@0", "1", 2, false),
    ] {
        let follows = |id: ServerId| follow.contains(&id.to_string());
        assert_eq!(joint(by).holds_under(Epoch(epoch), follows), expected, "{by}: {follow} of epoch {epoch}");
        assert!(!joint(by).holds_under(Epoch(epoch), |_| false));
    }
}

#[test]
fn a_configuration_that_a_file_contradicts_is_told_once_and_only_where_the_file_is_to_be_gone_by() {
    let mut bound = membership("123@0").with_file(configuration("123@0"));
    let mut free = membership("123@0");
    for (input, expected) in [
        ("apply 4", None),
        ("log 123@0>124@5", None), // it may never be committed
        ("cut 4", None),
        ("log 123@0>124@6", None),
        ("apply 6", Some("124@6")),
        ("apply 7", None),
        ("hear 2 124@6", None),
        ("hear 2 145@9", Some("145@9")), // what others have committed is committed (MB4)
        ("log 124@6>145@9", None),
        ("apply 9", None),
        ("log 145@9>123@12", None),
        ("apply 12", None), // as the file has it
        ("install 12@14", Some("12@14")),
        ("install 12@14", None),
        ("install", None),
    ] {
        step(&mut bound, input);
        step(&mut free, input);
        assert_eq!(bound.take_contradiction().map(told_of).as_deref(), expected, "{input}");
        assert_eq!(free.take_contradiction(), None, "{input}");
    }
}
